/**
 * Holds a connection back until what has to come first is there: its handlers see it opened then, with the addresses that the preface
 * names, and the bytes after it. Invariant: a connection whose preface is late or wrong is closed and was never opened.
 */
import type { Preface, PrefaceRead, TcpHandlers, TcpSocket } from "./Tcp.ts"

/** No preface is longer: a stranger must not make us keep more. */
const maximumBytes = 64 * 1024

/** The client that a preface names, over the socket of the proxy. */
class NamedSocket implements TcpSocket {
  private readonly socket: TcpSocket
  readonly remoteAddress: string
  readonly remotePort: number

  constructor(socket: TcpSocket, client: { readonly address: string; readonly port: number }) {
    this.socket = socket
    this.remoteAddress = client.address
    this.remotePort = client.port
  }

  get bufferedBytes(): number {
    return this.socket.bufferedBytes
  }

  write(buffer: Buffer, start: number, end: number): boolean {
    return this.socket.write(buffer, start, end)
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

/** Collects bytes until the preface is whole. */
export class PrefaceReader {
  private readonly preface: Preface
  private bytes: Buffer = Buffer.alloc(0)
  private readonly timer: ReturnType<typeof setTimeout>

  /** `late` is called once when it does not come in time. */
  constructor(preface: Preface, late: () => void) {
    this.preface = preface
    this.timer = setTimeout(late, preface.timeoutMillis)
  }

  /** The preface and the bytes behind it; a text: what is wrong; undefined: there is more to come. */
  push(chunk: Buffer): (PrefaceRead & { readonly rest: Buffer }) | string | undefined {
    this.bytes = this.bytes.length === 0 ? chunk : Buffer.concat([this.bytes, chunk])
    const read = this.preface.read(this.bytes)
    if (read === undefined) {
      if (this.bytes.length <= maximumBytes) return undefined
      this.cancel()
      return "too long"
    }
    this.cancel()
    return typeof read === "string" ? read : { ...read, rest: this.bytes.subarray(read.length) }
  }

  cancel(): void {
    clearTimeout(this.timer)
  }
}

export const latePreface = "it did not come in time"
export const tooManyWait = "too many connections wait for theirs"

class Waiting<S> {
  readonly socket: TcpSocket
  reader: PrefaceReader | undefined = undefined
  opened: { readonly state: S } | undefined = undefined

  constructor(socket: TcpSocket) {
    this.socket = socket
  }
}

export const withPreface = <S>(handlers: TcpHandlers<S>, preface: Preface): TcpHandlers<object> => {
  let waitingNow = 0
  const over = (waiting: Waiting<S>) => {
    if (waiting.reader === undefined) return
    waiting.reader.cancel()
    waiting.reader = undefined
    waitingNow--
  }
  const failed = (waiting: Waiting<S>, reason: string) => {
    over(waiting)
    preface.onFailed(reason, waiting.socket.remoteAddress)
    waiting.socket.destroy()
  }
  return {
    open: (socket) => {
      const waiting = new Waiting<S>(socket)
      if (waitingNow >= preface.maxWaiting) {
        failed(waiting, tooManyWait)
        return waiting
      }
      waitingNow++
      waiting.reader = new PrefaceReader(preface, () => failed(waiting, latePreface))
      return waiting
    },
    data: (state, chunk) => {
      if (!(state instanceof Waiting)) return
      const waiting: Waiting<S> = state
      if (waiting.opened !== undefined) return handlers.data(waiting.opened.state, chunk)
      const read = waiting.reader?.push(chunk)
      if (read === undefined) return
      if (typeof read === "string") return failed(waiting, read)
      over(waiting)
      const { client, rest } = read
      const { socket } = waiting
      waiting.opened = { state: handlers.open(client === undefined ? socket : new NamedSocket(socket, client)) }
      if (rest.length > 0) handlers.data(waiting.opened.state, rest)
    },
    drain: (state) => {
      if (state instanceof Waiting && state.opened !== undefined) handlers.drain(state.opened.state)
    },
    close: (state, error) => {
      if (!(state instanceof Waiting)) return
      if (state.opened !== undefined) return handlers.close(state.opened.state, error)
      if (state.reader === undefined) return
      over(state)
      preface.onFailed("the connection was closed before it", "")
    }
  }
}
