/**
 * TCP by Bun's own sockets: a fifth of node:net's memory per connection. Bun's write takes what the kernel takes and forgets the rest,
 * and its end drops what has not gone and resets, so the rest is kept here and the end is a half-close. Invariant: while anything is
 * kept nothing overtakes it.
 */
import type { Socket, UnixSocketOptions } from "bun"
import { Effect } from "effect"
import { listenFailed } from "./listenFailed.ts"
import { withPreface } from "./Preface.ts"
import { type Tcp, type TcpHandlers, type TcpListenOptions, type TcpSocket, unixPath } from "./Tcp.ts"
import { onUnixPath } from "./unixSocket.ts"

class BunSocket<S> implements TcpSocket {
  private readonly socket: Socket<BunSocket<S> | undefined>
  readonly remoteAddress: string
  readonly remotePort: number
  private readonly handlers: TcpHandlers<S>
  private readonly state: S
  /** What the kernel did not take, in order; the first may be partly gone. */
  private rest: Array<Buffer> | undefined = undefined
  private restBytes = 0
  private ending = false
  private closed = false
  /** Bun calls its close handler inside end and terminate; ours is not called inside the caller's stack. */
  private closingHere = false
  private defect: string | undefined = undefined

  /** Where it comes from is asked at once: of a socket that was reset nobody knows it any more. */
  constructor(
    socket: Socket<BunSocket<S> | undefined>,
    handlers: TcpHandlers<S>,
    remoteAddress = socket.remoteAddress ?? "",
    remotePort = socket.remotePort ?? 0
  ) {
    this.socket = socket
    this.remoteAddress = remoteAddress
    this.remotePort = remotePort
    this.handlers = handlers
    this.state = handlers.open(this)
  }

  get bufferedBytes(): number {
    return this.restBytes
  }

  write(buffer: Buffer, start: number, end: number): boolean {
    if (this.ending || this.closed || end <= start) return this.restBytes === 0
    let from = start
    if (this.restBytes === 0) {
      const taken = this.socket.write(buffer, start, end - start)
      if (taken === end - start) return true
      // Less than 0: closed; the close handler is on its way.
      if (taken < 0) return true
      from = start + taken
    }
    this.rest ??= []
    this.rest.push(Buffer.from(buffer.subarray(from, end)))
    this.restBytes += end - from
    return false
  }

  end(): void {
    if (this.ending) return
    this.ending = true
    if (this.restBytes === 0) this.close(false)
  }

  destroy(): void {
    this.ending = true
    this.close(true)
  }

  pause(): void {
    if (!this.closed) this.socket.pause()
  }

  resume(): void {
    if (!this.closed) this.socket.resume()
  }

  data(chunk: Buffer): void {
    if (!this.closed) this.handlers.data(this.state, chunk)
  }

  writable(): void {
    const rest = this.rest
    if (rest === undefined) return
    let gone = 0
    for (const chunk of rest) {
      const taken = this.socket.write(chunk)
      if (taken < 0) return
      this.restBytes -= taken
      if (taken < chunk.length) {
        rest[gone] = chunk.subarray(taken)
        break
      }
      gone++
    }
    if (this.restBytes > 0) {
      if (gone > 0) rest.splice(0, gone)
      return
    }
    this.rest = undefined
    if (this.ending) this.close(false)
    else this.handlers.drain(this.state)
  }

  /** A handler of ours threw: that is the end of this connection alone. */
  failed(error: Error): void {
    this.defect = error.message
    this.destroy()
  }

  ended(error: string | undefined): void {
    if (this.closed) return
    this.closed = true
    this.rest = undefined
    this.restBytes = 0
    const reason = this.defect ?? error
    if (this.closingHere) queueMicrotask(() => this.handlers.close(this.state, reason))
    else this.handlers.close(this.state, reason)
  }

  private close(now: boolean): void {
    if (this.closed) return
    // Still inside `open`: its answer is the state that `close` is to be called with.
    if (this.socket.data === undefined) return queueMicrotask(() => this.close(now))
    this.closingHere = true
    if (now) this.socket.terminate()
    else this.socket.shutdown()
    this.closingHere = false
  }
}

/** A client on this machine: its address says nothing. */
class UnixBunSocket<S> extends BunSocket<S> {
  constructor(socket: Socket<BunSocket<S> | undefined>, handlers: TcpHandlers<S>) {
    super(socket, handlers, "127.0.0.1", 0)
  }
}

const listen = <S>(options: TcpListenOptions, handlers: TcpHandlers<S>): { port: number; stop(): void } => {
  const path = unixPath(options.address)
  const Seen = path === undefined ? BunSocket : UnixBunSocket
  const common: Omit<UnixSocketOptions<BunSocket<S> | undefined>, "unix"> = {
    socket: {
      open(socket) {
        socket.data = new Seen(socket, handlers)
      },
      data(socket, chunk) {
        socket.data?.data(chunk)
      },
      drain(socket) {
        socket.data?.writable()
      },
      close(socket, error) {
        socket.data?.ended(error?.message)
      },
      error(socket, error) {
        if (socket.data === undefined) socket.terminate()
        else socket.data.failed(error)
      }
    },
    data: undefined
  }
  if (path !== undefined) {
    const listener = Bun.listen<BunSocket<S> | undefined>({ ...common, unix: path })
    return { port: 0, stop: () => listener.stop(false) }
  }
  const listener = Bun.listen<BunSocket<S> | undefined>({
    ...common,
    hostname: options.address,
    port: options.port,
    ...(options.reusePort === true ? { reusePort: true } : {})
  })
  raiseBacklog(listener, options.backlog)
  return { port: listener.port, stop: () => listener.stop(false) }
}

const isFfi = (module: object | undefined): module is typeof import("bun:ffi") =>
  module !== undefined && "dlopen" in module

/**
 * Bun listens with a backlog of 512 whatever it is told, and each connection above it costs its client a second. A second listen(2) on
 * the same socket raises it. Where that cannot be done, 512 it is.
 */
const raiseBacklog = (listener: object, backlog: number): void => {
  try {
    const ffi = process.getBuiltinModule("bun:ffi")
    if (!isFfi(ffi) || !("fd" in listener) || typeof listener.fd !== "number") return
    const libc = ffi.dlopen(process.platform === "darwin" ? "libc.dylib" : "libc.so.6", {
      listen: { args: ["i32", "i32"], returns: "i32" }
    })
    libc.symbols.listen(listener.fd, backlog)
    libc.close()
  } catch {
    // No such library here, or no FFI in this build.
  }
}

export const tcpBun: Tcp = {
  listen: (options, handlers) => {
    const { address, preface } = options
    const start = () =>
      preface === undefined ? listen(options, handlers) : listen(options, withPreface(handlers, preface))
    const listening = Effect.acquireRelease(
      Effect.try({ try: start, catch: (error) => listenFailed(options, error) }),
      (listener) => Effect.sync(() => listener.stop())
    )
    return onUnixPath(
      options,
      Effect.map(listening, ({ port, stop }) => ({ address, port, stop: Effect.sync(stop) }))
    )
  }
}
