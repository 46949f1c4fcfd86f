/**
 * TCP as the broker sees it, whatever the runtime: a listener calls plain functions, a socket takes every byte it is given. Its
 * implementations (TcpBun, TcpNode, Tls) keep one contract (test/platform/Tcp.test.ts), on Unix sockets too. Invariant: `open` once, then
 * any number of `data` and `drain`, then `close` once, for every connection accepted; nothing after `close`.
 */
import { Data } from "effect"
import type { Effect, Scope } from "effect"

/** Whom a client's certificate names; there is one only where it was verified. */
export interface PeerCertificate {
  readonly commonName: string | undefined
  /** As RFC 4514 writes it. */
  readonly distinguishedName: string
}

export interface TcpSocket {
  /**
   * As it was when the socket was accepted; "" when the connection had gone by then; 127.0.0.1 and port 0 on a Unix socket.
   */
  readonly remoteAddress: string
  readonly remotePort: number
  /**
   * Takes all bytes of the range: what the kernel does not take is copied, so the caller may reuse its buffer at once. False: bytes are
   * held back here, `drain` will come once they have gone. Ignored after the end.
   */
  write(buffer: Buffer, start: number, end: number): boolean
  /** What was taken by `write` and not yet by the kernel. */
  readonly bufferedBytes: number
  /**
   * Half-closes once what is buffered has gone: the peer reads everything and then the end. `close` comes when the peer has closed
   * too; who does not want to wait for it calls `destroy`.
   */
  end(): void
  /** Closes at once; what is buffered is lost. */
  destroy(): void
  /** Stops reading: the kernel's buffer fills and the peer has to wait. */
  pause(): void
  resume(): void
  /** Undefined: the client showed none, or this is not TLS. */
  readonly peerCertificate?: PeerCertificate | undefined
}

/** What comes before the bytes of a connection: a PROXY header. */
export interface Preface {
  /** Given all bytes that there are. Undefined: there have to be more; a text: what is wrong with them. */
  readonly read: (bytes: Buffer) => PrefaceRead | string | undefined
  readonly timeoutMillis: number
  /** Connections that may wait for theirs at the same time; the next one is closed. */
  readonly maxWaiting: number
  /** A connection was closed for want of it. */
  readonly onFailed: (reason: string, remoteAddress: string) => void
}

export interface PrefaceRead {
  /** Bytes that it takes. */
  readonly length: number
  /** Whom it names as the client; undefined: whoever has opened the connection. */
  readonly client: { readonly address: string; readonly port: number } | undefined
}

/** One object for all connections of a listener; `S` is what `open` makes of a connection. */
export interface TcpHandlers<S> {
  open(socket: TcpSocket): S
  /** The chunk is fresh: it may be kept. */
  data(state: S, chunk: Buffer): void
  drain(state: S): void
  /** `error` is undefined when either side closed in order, and for a reset by the peer its message. */
  close(state: S, error: string | undefined): void
}

export interface TcpListenOptions {
  /** An IP address, a host name, or `unix:` and the path of a Unix socket, whose port is 0. */
  readonly address: string
  /** 0: any free port; see TcpListener.port. */
  readonly port: number
  /** How many connections may wait to be accepted; the kernel caps it at net.core.somaxconn. */
  readonly backlog: number
  /** Permissions of a Unix socket's file; undefined: what the process's umask leaves. */
  readonly unixMode?: number | undefined
  readonly preface?: Preface | undefined
  /** Other processes listen on the same port (SO_REUSEPORT): the system gives each its share of the connections. */
  readonly reusePort?: boolean | undefined
}

export interface TcpListener {
  readonly address: string
  readonly port: number
  /** Accepts no more; the connections there are live on. The scope's end does the same. */
  readonly stop: Effect.Effect<void>
}

export type ListenFailure = "AddressInUse" | "PermissionDenied" | "AddressNotAvailable" | "Other"

export class ListenFailed extends Data.TaggedError("ListenFailed")<{
  readonly reason: ListenFailure
  readonly address: string
  readonly port: number
  readonly detail: string
}> {
  override get message() {
    return `cannot listen on ${hostPort(this.address, this.port)}: ${this.detail}`
  }
}

export interface Tcp {
  readonly listen: <S>(
    options: TcpListenOptions,
    handlers: TcpHandlers<S>
  ) => Effect.Effect<TcpListener, ListenFailed, Scope.Scope>
}

/** The path in `unix:/run/mqtt.sock`; undefined: it is no Unix socket. */
export const unixPath = (address: string): string | undefined =>
  address.startsWith("unix:") ? address.slice("unix:".length) : undefined

/** 127.0.0.1:1883, [::1]:1883, unix:/run/mqtt.sock */
export const hostPort = (address: string, port: number): string =>
  unixPath(address) !== undefined ? address : address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`
