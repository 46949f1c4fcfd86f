// Cuts frames out of the chunks that a link's socket has read: u32 length of what follows, u8 kind, body. Invariant: a frame longer than
// the maximum is refused on its header, before a byte of its body is kept.

export const frameHeaderBytes = 5

export class FrameTooLong extends Error {
  constructor(length: number, maximum: number) {
    super(`a frame of ${length} bytes; at most ${maximum} are taken`)
  }
}

export class FrameCutter {
  /** Of the frame that `next` has found. The body is a view, good until the next call. */
  kind = 0
  body: Buffer = Buffer.alloc(0)
  /** Of the kind and the body, in bytes. */
  maximum: number

  private chunks: Array<Buffer> = []
  private bytes = 0
  private offset = 0

  constructor(maximum: number) {
    this.maximum = maximum
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return
    this.chunks.push(chunk)
    this.bytes += chunk.length
  }

  /** Bytes that are no whole frame yet. */
  get waiting(): number {
    return this.bytes
  }

  /** False: there has to be more. Throws FrameTooLong. */
  next(): boolean {
    if (this.bytes < frameHeaderBytes) return false
    const head = this.gather(frameHeaderBytes)
    const length = head.readUInt32BE(this.offset)
    if (length < 1 || length > this.maximum) throw new FrameTooLong(length, this.maximum)
    const whole = 4 + length
    if (this.bytes < whole) return false
    const chunk = this.gather(whole)
    this.kind = chunk.readUInt8(this.offset + 4)
    this.body = chunk.subarray(this.offset + frameHeaderBytes, this.offset + whole)
    this.offset += whole
    this.bytes -= whole
    if (this.offset === chunk.length) {
      this.chunks.shift()
      this.offset = 0
    }
    return true
  }

  /** The first chunk, which then has `size` bytes from the offset on. */
  private gather(size: number): Buffer {
    const first = this.chunks[0] ?? this.body
    if (first.length - this.offset >= size) return first
    // All there is, once: a long frame comes in many chunks, and each is copied once when the frame is whole.
    const joined = Buffer.concat([first.subarray(this.offset), ...this.chunks.slice(1)])
    this.chunks = [joined]
    this.offset = 0
    return joined
  }
}
