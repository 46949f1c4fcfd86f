/**
 * TLS by node:tls, on both runtimes, behind the contract of Tcp.ts: handlers see a connection once its handshake is through and its
 * client's certificate is judged. Certificates can be exchanged while it listens: handshakes from then on use the new ones. Invariant:
 * handshakes under way are bounded in number and in time, whatever strangers do.
 */
import { Effect } from "effect"
import type { Socket } from "node:net"
import { createServer, type Server as TlsServer, type TLSSocket } from "node:tls"
import { peerNameOf } from "./peerName.ts"
import { latePreface, PrefaceReader, tooManyWait } from "./Preface.ts"
import { accept, createPlainServer, NodeSocket, serve } from "./TcpNode.ts"
import {
  type PeerCertificate,
  type Preface,
  type Tcp,
  type TcpHandlers,
  type TcpListenOptions,
  unixPath
} from "./Tcp.ts"
import {
  type TlsCertificates,
  type TlsContexts,
  tlsContexts,
  type TlsInvalid,
  type TlsPolicy,
  versionRange
} from "./TlsContext.ts"

export interface TlsOptions extends TlsPolicy {
  readonly handshakeTimeoutMillis: number
  readonly maxHandshakes: number
  /** A handshake that came to nothing: the client's fault, or a certificate it does not like. */
  readonly onFailed: (reason: string, remoteAddress: string) => void
  /** More handshakes at the same time than allowed: closed before a byte was read. */
  readonly onRefused: (remoteAddress: string) => void
  /** Asked for each handshake: false, and the connection is closed before a byte was read. Told of the end of each that it let in. */
  readonly door?: {
    readonly begins: (connection: object, remoteAddress: string) => boolean
    readonly ended: (connection: object) => void
  }
}

export interface Tls extends Tcp {
  /** From the next handshake on. What is there stays in force when it fails. */
  readonly exchange: (certificates: TlsCertificates) => Effect.Effect<void, TlsInvalid>
}

type Named = { readonly address: string; readonly port: number }

interface Reading {
  readStop(): unknown
  readStart(): unknown
}

/** Deno goes on reading below a paused TLS socket and keeps it all; Bun has nothing below. */
const readingBelow = (socket: TLSSocket): Reading | undefined => {
  const raw = under(socket)
  if (raw === socket || !("_handle" in raw)) return undefined
  const handle = raw._handle
  return typeof handle === "object" && handle !== null && "readStop" in handle && "readStart" in handle
    ? handle as Reading
    : undefined
}

class TlsNodeSocket extends NodeSocket {
  /** Of one that was verified. */
  readonly peerCertificate: PeerCertificate | undefined
  private readonly encrypted: TLSSocket

  /** After the handshake; `client`: on a Unix socket, or behind a proxy. Who it is is asked at once, as is where it comes from: a reset must not make a client without a certificate of it. */
  constructor(socket: TLSSocket, client?: Named) {
    super(socket, client?.address, client?.port)
    this.encrypted = socket
    const { raw } = socket.getPeerCertificate() ?? {}
    this.peerCertificate = raw === undefined || !socket.authorized ? undefined : peerNameOf(raw)
  }

  override pause(): void {
    super.pause()
    readingBelow(this.encrypted)?.readStop()
  }

  override resume(): void {
    readingBelow(this.encrypted)?.readStart()
    super.resume()
  }
}

/** The sockets whose handshake is under way. */
class Handshakes {
  private readonly under = new Map<object, ReturnType<typeof setTimeout>>()
  private readonly onEnd: (socket: object) => void

  constructor(onEnd: (socket: object) => void) {
    this.onEnd = onEnd
  }

  get size(): number {
    return this.under.size
  }

  /** Both runtimes have a time limit of their own, but not for every way to be silent. */
  begin(socket: Socket, timeoutMillis: number, failed: (reason: string) => void): void {
    const over = (reason: string) => () => {
      if (this.end(socket)) failed(reason)
    }
    this.under.set(socket, setTimeout(over("the handshake took too long"), timeoutMillis))
    socket.once("close", over("the connection was closed during the handshake"))
  }

  /** False: it was not under way. */
  end(socket: object): boolean {
    const timer = this.under.get(socket)
    if (timer === undefined) return false
    clearTimeout(timer)
    this.under.delete(socket)
    this.onEnd(socket)
    return true
  }
}

/** What the TLS socket runs over: itself on Bun, unless it was handed a plain one. */
const under = (socket: object): object =>
  "_parent" in socket && typeof socket._parent === "object" && socket._parent !== null ? socket._parent : socket

/** "error:100000c0:SSL routines:OPENSSL_internal:PEER_DID_NOT_RETURN_A_CERTIFICATE" in words. */
const reasonOf = (error: unknown): string => {
  const text = error instanceof Error ? error.message : String(error)
  const name = /^error:[0-9a-f]+:SSL routines:[^:]*:(\w+)$/i.exec(text)?.[1]
  return name === undefined ? text : name.toLowerCase().replaceAll("_", " ")
}

/** No certificate at all is fine where it is optional; one that is not good never is. */
const untrusted = (socket: TLSSocket, options: TlsOptions): string | undefined => {
  if (options.clientCertificate === "off" || socket.authorized) return undefined
  const shown = socket.getPeerCertificate()?.raw !== undefined
  if (!shown && options.clientCertificate === "optional") return undefined
  return shown ? `client certificate: ${socket.authorizationError}` : "no client certificate"
}

const tlsServer = <S>(
  listenOptions: TcpListenOptions,
  options: TlsOptions,
  contexts: () => TlsContexts,
  handlers: TcpHandlers<S>,
  handshakes: Handshakes,
  named: WeakMap<object, Named>,
  certificates: TlsCertificates
): TlsServer => {
  const { ca } = certificates
  const asks = options.clientCertificate !== "off"
  const server = createServer({
    ...versionRange(options.versions),
    cert: certificates.certificate,
    key: certificates.key,
    ...(ca !== undefined && asks ? { ca } : {}),
    ...(certificates.crl !== undefined ? { crl: certificates.crl } : {}),
    ...(options.ciphers !== "" ? { ciphers: options.ciphers } : {}),
    requestCert: asks,
    rejectUnauthorized: options.clientCertificate === "required",
    handshakeTimeout: options.handshakeTimeoutMillis,
    noDelay: true,
    // Deno asks here for clients that name no server too; Bun does not (see `exchange`).
    SNICallback: (serverName, answer) => answer(null, contexts().of(serverName))
  })
  const isUnix = unixPath(listenOptions.address) !== undefined
  server.on("connection", (socket: Socket) => {
    const address = named.get(socket)?.address ?? socket.remoteAddress ?? ""
    const isFull = handshakes.size >= options.maxHandshakes
    if (isFull) options.onRefused(address)
    if (isFull || options.door?.begins(socket, address) === false) {
      socket.on("error", () => {})
      socket.destroy()
      return
    }
    handshakes.begin(socket, options.handshakeTimeoutMillis, (reason) => {
      options.onFailed(reason, address)
      socket.destroy()
    })
  })
  server.on("tlsClientError", (error, socket) => {
    const raw = under(socket)
    // Reported once, however often the runtime does.
    if (!handshakes.end(raw)) return
    options.onFailed(reasonOf(error), named.get(raw)?.address ?? socket.remoteAddress ?? "")
    socket.destroy()
  })
  server.on("secureConnection", (socket) => {
    const raw = under(socket)
    handshakes.end(raw)
    const client = isUnix ? { address: "127.0.0.1", port: 0 } : named.get(raw)
    const reason = untrusted(socket, options)
    if (reason !== undefined) {
      options.onFailed(reason, client?.address ?? socket.remoteAddress ?? "")
      socket.on("error", () => {})
      socket.destroy()
      return
    }
    accept(socket, new TlsNodeSocket(socket, client), handlers)
  })
  return server
}

interface Waiters {
  count: number
}

/** Reads the preface of a plain socket and hands it, and what is behind it, to `on`. */
const readPreface = (
  socket: Socket,
  preface: Preface,
  waiters: Waiters,
  on: (socket: Socket, client: Named | undefined) => void
): void => {
  const address = socket.remoteAddress ?? ""
  socket.on("error", () => {})
  if (waiters.count >= preface.maxWaiting) {
    preface.onFailed(tooManyWait, address)
    socket.destroy()
    return
  }
  waiters.count++
  let over = false
  const failed = (reason: string) => {
    if (over) return
    over = true
    waiters.count--
    reader.cancel()
    preface.onFailed(reason, address)
    socket.destroy()
  }
  const reader = new PrefaceReader(preface, () => failed(latePreface))
  socket.once("close", () => failed("the connection was closed before it"))
  const onData = (chunk: Buffer) => {
    if (over) return
    const read = reader.push(chunk)
    if (read === undefined) return
    if (typeof read === "string") return failed(read)
    over = true
    waiters.count--
    socket.off("data", onData)
    socket.pause()
    if (read.rest.length > 0) socket.unshift(read.rest)
    on(socket, read.client)
  }
  socket.on("data", onData)
}

export const makeTls = Effect.fnUntraced(function* (
  options: TlsOptions,
  initial: TlsCertificates
): Effect.fn.Return<Tls, TlsInvalid> {
  let certificates = initial
  let contexts = yield* tlsContexts(initial, options)
  const servers = new Set<TlsServer>()
  const tls: Tls = {
    listen: (listenOptions, handlers) =>
      Effect.gen(function* () {
        const handshakes = new Handshakes((socket) => options.door?.ended(socket))
        const named = new WeakMap<object, Named>()
        const server = tlsServer(listenOptions, options, () => contexts, handlers, handshakes, named, certificates)
        yield* Effect.acquireRelease(
          Effect.sync(() => servers.add(server)),
          () => Effect.sync(() => servers.delete(server))
        )
        const { preface } = listenOptions
        if (preface === undefined) return yield* serve(listenOptions, () => server)
        const waiters: Waiters = { count: 0 }
        const plain = createPlainServer((socket) =>
          readPreface(socket, preface, waiters, (ready, client) => {
            if (client !== undefined) named.set(ready, client)
            server.emit("connection", ready)
          })
        )
        return yield* serve(listenOptions, () => plain)
      }),
    exchange: (next) =>
      Effect.map(tlsContexts(next, options), (made) => {
        certificates = next
        contexts = made
        for (const server of servers) {
          // For clients that name no server, on Bun.
          server.setSecureContext({
            cert: next.certificate,
            key: next.key,
            ...(next.ca !== undefined && options.clientCertificate !== "off" ? { ca: next.ca } : {}),
            ...(next.crl !== undefined ? { crl: next.crl } : {}),
            ...(options.ciphers !== "" ? { ciphers: options.ciphers } : {}),
            ...versionRange(options.versions)
          })
        }
      })
  }
  return tls
})
