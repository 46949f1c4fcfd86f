import { Buffer } from "node:buffer"

/**
 * Cuts the frames out of the chunks of one connection. `push` a chunk, then call `next` until it says false.
 * After `next() === true` the frame is buffer[start..end), its first byte `header`, its body from `bodyStart`.
 */
export class FrameReader {
  maximumPacketSize: number
  header: number
  buffer: Buffer
  start: number
  bodyStart: number
  end: number

  constructor(maximumPacketSize: number) {
    this.maximumPacketSize = maximumPacketSize
    this.header = 0
    this.buffer = Buffer.alloc(0)
    this.start = 0
    this.bodyStart = 0
    this.end = 0
  }

  get pendingBytes(): number {
    return 0
  }

  push(_chunk: Uint8Array): void {
    throw new Error("not yet")
  }

  next(): boolean {
    throw new Error("not yet")
  }
}
