/**
 * TCP by node:net, for Deno (and, in the contract test, for Bun). The stream keeps what the kernel does not take. Invariant: whatever the
 * peer does, a reset included, it ends in `close` and never in a throw.
 */
import { Effect } from "effect"
import { createServer, type Server, type Socket } from "node:net"
import { listenFailed } from "./listenFailed.ts"
import type { ListenFailed, Tcp, TcpHandlers, TcpListenOptions, TcpSocket } from "./Tcp.ts"

class NodeSocket implements TcpSocket {
  private readonly socket: Socket

  constructor(socket: Socket) {
    this.socket = socket
  }

  get remoteAddress(): string {
    return this.socket.remoteAddress ?? ""
  }

  get remotePort(): number {
    return this.socket.remotePort ?? 0
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

const accept = <S>(socket: Socket, handlers: TcpHandlers<S>): void => {
  let failure: string | undefined
  socket.on("error", (error) => {
    failure ??= error.message
  })
  guarded(socket, () => {
    const state = handlers.open(new NodeSocket(socket))
    socket.on("data", (chunk: Buffer) => {
      if (!socket.destroyed) guarded(socket, () => handlers.data(state, owned(chunk)))
    })
    socket.on("drain", () => {
      if (socket.writable) guarded(socket, () => handlers.drain(state))
    })
    socket.on("close", () => handlers.close(state, failure))
  })
}

const listen = <S>(options: TcpListenOptions, handlers: TcpHandlers<S>): Effect.Effect<Server, ListenFailed> =>
  Effect.callback((resume) => {
    const server = createServer({ noDelay: true }, (socket) => accept(socket, handlers))
    const failed = (error: Error) => resume(Effect.fail(listenFailed(options, error)))
    server.once("error", failed)
    server.once("listening", () => {
      server.off("error", failed)
      // A failed accept (too many open files, a reset before it) costs that connection, not the listener.
      server.on("error", () => {})
      resume(Effect.succeed(server))
    })
    try {
      server.listen({ host: options.address, port: options.port, backlog: options.backlog })
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

export const tcpNode: Tcp = {
  listen: (options, handlers) =>
    Effect.map(
      Effect.acquireRelease(listen(options, handlers), stop, { interruptible: true }),
      (server) => ({ address: options.address, port: portOf(server), stop: stop(server) })
    )
}
