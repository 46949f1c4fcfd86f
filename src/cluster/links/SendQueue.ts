// What waits for one peer: frames as bytes, in blocks that hold whole frames, in two lanes. Frames of the link itself and of membership
// go first and need no credit, so that a peer with much to read is not taken for dead. Invariant: within a lane the order is that of
// `push`; never more than the bound and one frame wait; no more than the peer's window and one block are under way without its word.
import type { TcpSocket } from "../../platform/Tcp.ts"
import { FrameKind } from "../Bus.ts"
import { frameHeaderBytes } from "./FrameCutter.ts"

const blockBytes = 64 * 1024
/** Bytes of membership and of the link itself that may wait: far more than they ever say. */
const urgentBytes = 16 * 1024 * 1024

/** Claims, answers and orders about sessions are short: they find room where nothing else does. What a node has it says in bulk, and again. */
const roomForWords = 1.25
const isWord = (kind: number): boolean =>
  kind >= FrameKind.Claim && kind < FrameKind.RetainedDelta && kind !== FrameKind.SessionPart &&
  kind !== FrameKind.Announce

interface Block {
  readonly buffer: Buffer
  length: number
}

class Lane {
  readonly blocks: Array<Block> = []
  bytes = 0
  private spare: Block | undefined

  push(kind: number, body: Uint8Array): void {
    const size = frameHeaderBytes + body.length
    let block = this.blocks.at(-1)
    if (block === undefined || block.buffer.length - block.length < size) {
      block = this.spare !== undefined && size <= blockBytes
        ? this.spare
        : { buffer: Buffer.allocUnsafeSlow(Math.max(blockBytes, size)), length: 0 }
      if (block === this.spare) this.spare = undefined
      this.blocks.push(block)
    }
    const { buffer, length } = block
    buffer.writeUInt32BE(1 + body.length, length)
    buffer[length + 4] = kind
    buffer.set(body, length + frameHeaderBytes)
    block.length += size
    this.bytes += size
  }

  /** Writes the oldest block. False: the socket holds bytes back. */
  write(socket: TcpSocket): boolean {
    const block = this.blocks.shift()
    if (block === undefined) return true
    const all = socket.write(block.buffer, 0, block.length)
    this.bytes -= block.length
    block.length = 0
    if (block.buffer.length === blockBytes) this.spare = block
    return all
  }

  clear(): void {
    this.blocks.length = 0
    this.bytes = 0
    this.spare = undefined
  }
}

export class SendQueue {
  /** Written in all, and what the peer has said it has handled of the lane that needs credit. */
  written = 0
  /** The last `push` or a later one was refused, or the queue is above its half: whoever waits is to be told when there is room. */
  wanted = false
  private readonly urgent = new Lane()
  private readonly usual = new Lane()
  private readonly limit: number
  private readonly window: number
  private spent = 0
  private handled = 0
  private held = false

  /** `limit`: bytes that may wait; `window`: bytes that the peer takes before it says that it has handled them. */
  constructor(limit: number, window: number) {
    this.limit = limit
    this.window = window
  }

  get bytes(): number {
    return this.usual.bytes
  }

  get isCongested(): boolean {
    return this.usual.bytes > this.limit / 2
  }

  /** Bytes under way that the peer has not handled yet. */
  get underWay(): number {
    return this.spent - this.handled
  }

  /** There is room again, and somebody asked for it: true once. */
  takeRoom(): boolean {
    if (!this.wanted || this.usual.bytes > this.limit / 4) return false
    this.wanted = false
    return true
  }

  /** False: the queue is full. */
  push(kind: number, body: Uint8Array): boolean {
    if (kind < FrameKind.RoutesDelta) {
      if (this.urgent.bytes > urgentBytes) return false
      this.urgent.push(kind, body)
      return true
    }
    const limit = isWord(kind) ? this.limit * roomForWords : this.limit
    if (this.usual.bytes + body.length > limit && this.usual.bytes > 0) {
      this.wanted = true
      return false
    }
    this.usual.push(kind, body)
    if (this.isCongested) this.wanted = true
    return true
  }

  /** The peer has handled so many bytes of the lane that needs credit, since the link was opened. */
  credit(handled: number): void {
    if (handled > this.spent) throw new RangeError(`credit for ${handled} bytes; ${this.spent} were sent`)
    this.handled = Math.max(this.handled, handled)
  }

  /** The socket takes bytes again. */
  drained(): void {
    this.held = false
  }

  /** Writes what may go. */
  flush(socket: TcpSocket): void {
    while (this.urgent.bytes > 0) {
      const before = this.urgent.bytes
      if (!this.urgent.write(socket)) this.held = true
      this.written += before - this.urgent.bytes
    }
    while (this.usual.bytes > 0 && !this.held && this.underWay < this.window) {
      const before = this.usual.bytes
      if (!this.usual.write(socket)) this.held = true
      this.spent += before - this.usual.bytes
      this.written += before - this.usual.bytes
    }
  }

  clear(): void {
    this.urgent.clear()
    this.usual.clear()
  }
}

/** The same count on the other side: frames of the lane that needs credit. */
export const needsCredit = (kind: number): boolean => kind >= FrameKind.RoutesDelta
