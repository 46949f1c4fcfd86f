// A WebSocket connection as a TcpSocket: the listener and its connections do not know the difference. It lies between the handlers of
// the platform and those of the listener; before the upgrade it collects a request, afterwards it takes frames apart and puts one frame
// around each write. Invariant: the inner handlers see what platform/Tcp.ts promises, the bytes of MQTT alone.
import type { PeerCertificate, TcpHandlers, TcpSocket } from "../../platform/Tcp.ts"
import { closeFrame, longestFrameHeader, pongFrame, putHeaderBefore } from "./encodeFrame.ts"
import { CloseCode, FrameDecoder } from "./FrameDecoder.ts"
import {
  answerUpgrade,
  endOfHead,
  headTooLarge,
  notHttp,
  type Refused,
  unfinished,
  type UpgradeRules
} from "./upgrade.ts"

export interface WebSocketOptions {
  readonly rules: UpgradeRules
  readonly isLoopback: (address: string) => boolean
  /** Bytes of a message, in one frame or in fragments. */
  readonly maxMessageSize: number
  /** Bytes of the head of the request. */
  readonly maxHeaderSize: number
  /** A request was answered with an HTTP status; for the log. */
  readonly onRefused: (refused: Refused, socket: TcpSocket) => void
  /** Frames against the rules: the client gets the code. */
  readonly onFault: (code: number, fault: string, socket: TcpSocket) => void
  /** Calls `onTimer` once some seconds have passed, unless the answer is called before. */
  readonly linger: (timed: { onTimer(): void }) => () => void
}

/** What all connections of a listener share. */
interface Door<S> {
  readonly options: WebSocketOptions
  readonly inner: TcpHandlers<S>
  /** Sockets that have their last answer and are waited for; those above are closed at once. */
  lingering: number
}

export const lingeringAtATime = 64

/** A write up to this many bytes is copied behind its header, so that it is one call of the system; above it two calls are cheaper. */
const copiedUpTo = 32_768
/** Its bytes are taken before `write` returns, so one is enough. */
const scratch = Buffer.allocUnsafeSlow(longestFrameHeader + copiedUpTo)
const nothing = Buffer.alloc(0)

export class WebSocketSocket<S> implements TcpSocket {
  private readonly raw: TcpSocket
  private readonly door: Door<S>
  private readonly state: S
  /** Until the request is whole. */
  private head: Buffer | undefined = nothing
  private frames: FrameDecoder | undefined = undefined
  private forwardedFor: string | undefined = undefined
  /** Nothing is sent any more, and what comes is not looked at. */
  private ending = false
  /** The inner handlers have seen `close`. */
  private told = false
  private stopLingering: (() => void) | undefined = undefined

  constructor(raw: TcpSocket, door: Door<S>) {
    this.raw = raw
    this.door = door
    this.state = door.inner.open(this)
  }

  get remoteAddress(): string {
    return this.forwardedFor ?? this.raw.remoteAddress
  }

  get remotePort(): number {
    return this.forwardedFor === undefined ? this.raw.remotePort : 0
  }

  get bufferedBytes(): number {
    return this.raw.bufferedBytes
  }

  get peerCertificate(): PeerCertificate | undefined {
    return this.raw.peerCertificate
  }

  write(buffer: Buffer, start: number, end: number): boolean {
    const length = end - start
    if (this.ending || length <= 0 || this.frames === undefined) return this.raw.bufferedBytes === 0
    if (length <= copiedUpTo) {
      buffer.copy(scratch, longestFrameHeader, start, end)
      return this.raw.write(
        scratch,
        putHeaderBefore(scratch, longestFrameHeader, length),
        longestFrameHeader + length
      )
    }
    this.raw.write(scratch, putHeaderBefore(scratch, longestFrameHeader, length), longestFrameHeader)
    return this.raw.write(buffer, start, end)
  }

  end(): void {
    if (this.ending) return
    this.sayLast(this.frames === undefined ? unfinished.response : closeFrame(CloseCode.Normal))
  }

  destroy(): void {
    this.ending = true
    this.raw.destroy()
  }

  pause(): void {
    this.raw.pause()
  }

  resume(): void {
    this.raw.resume()
  }

  // --- what the platform calls -------------------------------------------------------------------------------------

  data(chunk: Buffer): void {
    if (this.ending) return
    if (this.frames !== undefined) return this.onFrames(this.frames, chunk)
    const before = this.head ?? nothing
    const wrong = before.length === 0 ? notHttp(chunk[0] ?? 0, this.door.options.rules.path) : undefined
    if (wrong !== undefined) return this.refuse(wrong)
    const head = before.length === 0 ? chunk : Buffer.concat([before, chunk])
    const end = endOfHead(head, before.length)
    const { maxHeaderSize } = this.door.options
    if (end > maxHeaderSize || end === 0 && head.length >= maxHeaderSize) {
      return this.refuse(headTooLarge(maxHeaderSize))
    }
    if (end === 0) {
      this.head = head
      return
    }
    this.onRequest(head.subarray(0, end), head.subarray(end))
  }

  drain(): void {
    if (this.told) return
    if (this.frames?.ping !== undefined && !this.ending) this.pong(this.frames)
    this.door.inner.drain(this.state)
  }

  close(error: string | undefined): void {
    this.ending = true
    if (this.stopLingering !== undefined) {
      this.stopLingering()
      this.stopLingering = undefined
      this.door.lingering--
    }
    this.tell(error)
  }

  /** It has had its last answer and has not closed. */
  onTimer(): void {
    this.raw.destroy()
  }

  // --- inside ------------------------------------------------------------------------------------------------------

  private onRequest(head: Buffer, rest: Buffer): void {
    const { options } = this.door
    const answer = answerUpgrade(head, options.rules, {
      isLoopback: (forwardedFor) => options.isLoopback(forwardedFor ?? this.raw.remoteAddress)
    })
    if (answer._tag === "Refused") return this.refuse(answer)
    this.head = undefined
    this.frames = new FrameDecoder(options.maxMessageSize)
    this.forwardedFor = answer.forwardedFor
    this.raw.write(answer.response, 0, answer.response.length)
    if (rest.length > 0) this.onFrames(this.frames, rest)
  }

  private onFrames(frames: FrameDecoder, chunk: Buffer): void {
    const length = frames.decode(chunk)
    // [MQTT-6.0.0-2] [MQTT5-6.0.0-2] packets and frames have nothing to do with each other
    if (length > 0) this.door.inner.data(this.state, length === chunk.length ? chunk : chunk.subarray(0, length))
    if (this.ending) return
    // Only the last Ping is answered (RFC 6455 section 5.5.3), and not while the client does not read: pongs cannot pile up.
    if (frames.ping !== undefined && this.raw.bufferedBytes === 0) this.pong(frames)
    const { end } = frames
    if (end === undefined) return
    if (end.fault !== undefined) this.door.options.onFault(end.code, end.fault, this)
    this.finish(closeFrame(end.code, end.fault), end.fault)
  }

  private pong(frames: FrameDecoder): void {
    const frame = pongFrame(frames.ping ?? nothing)
    frames.ping = undefined
    this.raw.write(frame, 0, frame.length)
  }

  private refuse(refused: Refused): void {
    this.head = undefined
    this.door.options.onRefused(refused, this)
    this.finish(refused.response, refused.reason)
  }

  /** The last bytes, and the end of this direction. */
  private sayLast(bytes: Buffer): void {
    this.ending = true
    this.raw.write(bytes, 0, bytes.length)
    this.raw.end()
  }

  /** It is over from our side: the inner handlers are done with it, the client gets some seconds to read why. */
  private finish(last: Buffer, error: string | undefined): void {
    this.sayLast(last)
    if (this.door.lingering >= lingeringAtATime) this.raw.destroy()
    else {
      this.door.lingering++
      this.stopLingering = this.door.options.linger(this)
    }
    this.tell(error)
  }

  private tell(error: string | undefined): void {
    if (this.told) return
    this.told = true
    this.door.inner.close(this.state, error)
  }
}

/** The handlers to give to the platform, so that `inner` is given MQTT's bytes. */
export const webSocketHandlers = <S>(
  options: WebSocketOptions,
  inner: TcpHandlers<S>
): TcpHandlers<WebSocketSocket<S>> => {
  const door: Door<S> = { options, inner, lingering: 0 }
  return {
    open: (socket) => new WebSocketSocket(socket, door),
    data: (socket, chunk) => socket.data(chunk),
    drain: (socket) => socket.drain(),
    close: (socket, error) => socket.close(error)
  }
}
