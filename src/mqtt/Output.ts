import { Buffer } from "node:buffer"
import { copyBytes } from "./copyBytes.ts"

/**
 * A byte arena that everybody who sends in one tick writes into: encoders append at `position`, sessions keep the ranges
 * (buffer, start, end) that are theirs and hand them to their sockets before the tick ends.
 * Invariant: bytes below `position` are never written again until `clear`, so a range stays what it was.
 */
export class Output {
  buffer: Buffer
  position: number
  private readonly initialSize: number

  constructor(initialSize = 65_536) {
    this.buffer = Buffer.allocUnsafeSlow(initialSize)
    this.position = 0
    this.initialSize = initialSize
  }

  /**
   * Makes room for `bytes` at `position`. Where the buffer is full a new one takes its place, with position 0: the ranges of
   * the old one stay valid, but whoever builds one contiguous range compares `buffer` before and after.
   */
  reserve(bytes: number): void {
    if (this.position + bytes > this.buffer.length) this.replace(bytes)
  }

  /** Reserves its room itself. */
  append(source: Buffer, start: number, end: number): void {
    this.reserve(end - start)
    copyBytes(source, start, end, this.buffer, this.position)
    this.position += end - start
  }

  /** Only when no range is in use any more: the same memory is written again from the start. */
  clear(): void {
    this.position = 0
    // One huge tick must not keep its arena for ever.
    if (this.buffer.length > this.initialSize * 16) this.buffer = Buffer.allocUnsafeSlow(this.initialSize)
  }

  private replace(bytes: number): void {
    const doubled = Math.min(this.buffer.length * 2, this.initialSize * 16)
    this.buffer = Buffer.allocUnsafeSlow(Math.max(doubled, bytes))
    this.position = 0
  }
}
