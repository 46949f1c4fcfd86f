/**
 * TCP by node:net, for Deno (and, in the contract test, for Bun). The stream keeps what the kernel does not take. Invariant: whatever the
 * peer does, a reset included, it ends in `close` and never in a throw.
 */
import { Effect } from "effect"
import { createServer, type Server, type Socket } from "node:net"
import { listenFailed } from "./listenFailed.ts"
import { withPreface } from "./Preface.ts"
import {
  type ListenFailed,
  type Tcp,
  type TcpHandlers,
  type TcpListener,
  type TcpListenOptions,
  type TcpSocket,
  unixPath
} from "./Tcp.ts"
import { onUnixPath } from "./unixSocket.ts"

export class NodeSocket implements TcpSocket {
  readonly remoteAddress: string
  readonly remotePort: number
  protected readonly socket: Socket

  /** Where it comes from is asked at once: of a socket that was reset nobody knows it any more. */
  constructor(socket: Socket, remoteAddress = socket.remoteAddress ?? "", remotePort = socket.remotePort ?? 0) {
    this.socket = socket
    this.remoteAddress = remoteAddress
    this.remotePort = remotePort
  }

  get bufferedBytes(): number {
    return this.socket.writableLength
  }

  write(buffer: Buffer, start: number, end: number): boolean {
    if (!this.socket.writable || end <= start) return !this.socket.writableNeedDrain
    // The stream may keep the range, and the caller writes into it again.
    return this.socket.write(Buffer.from(buffer.subarray(start, end)))
  }

  end(): void {
    this.socket.end()
  }

  destroy(): void {
    this.socket.destroy()
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }
}

/** A client on this machine: its address says nothing. */
export class UnixNodeSocket extends NodeSocket {
  constructor(socket: Socket) {
    super(socket, "127.0.0.1", 0)
  }
}

/** A small chunk is a view into a slab of 64 KB: who keeps a message out of it would keep the slab. */
const owned = (chunk: Buffer): Buffer =>
  chunk.length * 2 < chunk.buffer.byteLength ? Buffer.from(new Uint8Array(chunk).buffer) : chunk

/** A handler of ours that throws ends its connection alone. */
const guarded = (socket: Socket, handle: () => void): void => {
  try {
    handle()
  } catch (defect) {
    socket.destroy(defect instanceof Error ? defect : new Error(String(defect)))
  }
}

/** `seen` is what the handlers see of it. */
export const accept = <S>(socket: Socket, seen: TcpSocket, handlers: TcpHandlers<S>): void => {
  let failure: string | undefined
  socket.on("error", (error) => {
    failure ??= error.message
  })
  guarded(socket, () => {
    const state = handlers.open(seen)
    socket.on("data", (chunk: Buffer) => {
      if (!socket.destroyed) guarded(socket, () => handlers.data(state, owned(chunk)))
    })
    socket.on("drain", () => {
      if (socket.writable) guarded(socket, () => handlers.drain(state))
    })
    socket.on("close", () => handlers.close(state, failure))
  })
}

/** A server that is not listening yet, of TCP or of TLS, and what it is to listen on. */
export const listenServer = (server: Server, options: TcpListenOptions): Effect.Effect<Server, ListenFailed> =>
  Effect.callback((resume) => {
    const failed = (error: Error) => resume(Effect.fail(listenFailed(options, error)))
    server.once("error", failed)
    server.once("listening", () => {
      server.off("error", failed)
      // A failed accept (too many open files, a reset before it) costs that connection, not the listener.
      server.on("error", () => {})
      resume(Effect.succeed(server))
    })
    try {
      const { address, backlog, port, reusePort = false } = options
      const path = unixPath(address)
      server.listen(path === undefined ? { host: address, port, backlog, reusePort } : { path, backlog })
    } catch (error) {
      // A port that is none is thrown, not emitted.
      resume(Effect.fail(listenFailed(options, error)))
    }
    return Effect.sync(() => server.close())
  })

const portOf = (server: Server): number => {
  const address = server.address()
  return typeof address === "object" && address !== null ? address.port : 0
}

/** Not waited for: close's callback comes when the last connection is gone, and they live on. */
const stop = (server: Server) =>
  Effect.sync(() => {
    if (server.listening) server.close()
  })

/** Listens until the scope ends. */
export const serve = (options: TcpListenOptions, make: () => Server) =>
  onUnixPath(
    options,
    Effect.map(
      Effect.acquireRelease(Effect.suspend(() => listenServer(make(), options)), stop, { interruptible: true }),
      (server): TcpListener => ({ address: options.address, port: portOf(server), stop: stop(server) })
    )
  )

export const createPlainServer = (accepted: (socket: Socket) => void): Server =>
  createServer({ noDelay: true }, accepted)

const server = <S>(options: TcpListenOptions, handlers: TcpHandlers<S>): Server => {
  const Seen = unixPath(options.address) === undefined ? NodeSocket : UnixNodeSocket
  return createPlainServer((socket) => accept(socket, new Seen(socket), handlers))
}

export const tcpNode: Tcp = {
  listen: (options, handlers) =>
    serve(
      options,
      () =>
        options.preface === undefined
          ? server(options, handlers)
          : server(options, withPreface(handlers, options.preface))
    )
}
