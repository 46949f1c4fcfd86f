// Writes the body of a frame between nodes: big-endian numbers, strings with a u16 of their length in bytes before them. One writer is
// used again and again. Invariant: what `written` gives is good until the next write; `Bus.send` copies it.
const encoder = new TextEncoder()

export class BodyWriter {
  length = 0
  private bytes: Uint8Array<ArrayBuffer>
  private view: DataView

  constructor(capacity = 1024) {
    this.bytes = new Uint8Array(capacity)
    this.view = new DataView(this.bytes.buffer)
  }

  /** Begins a new body. */
  reset(): this {
    this.length = 0
    return this
  }

  uint8(value: number): this {
    this.room(1)
    this.bytes[this.length++] = value
    return this
  }

  uint16(value: number): this {
    this.room(2)
    this.view.setUint16(this.length, value)
    this.length += 2
    return this
  }

  uint32(value: number): this {
    this.room(4)
    this.view.setUint32(this.length, value)
    this.length += 4
    return this
  }

  /** A whole number up to 2^53: times, sequence numbers, epochs. */
  uint64(value: number): this {
    this.room(8)
    this.view.setUint32(this.length, Math.floor(value / 0x1_0000_0000))
    this.view.setUint32(this.length + 4, value >>> 0)
    this.length += 8
    return this
  }

  float64(value: number): this {
    this.room(8)
    this.view.setFloat64(this.length, value)
    this.length += 8
    return this
  }

  /** One behind the other. */
  texts(values: ReadonlyArray<string>): this {
    for (const value of values) this.text(value)
    return this
  }

  /** At most 65,535 bytes of UTF-8; throws a RangeError for more. */
  text(value: string): this {
    this.room(2 + value.length * 3)
    const start = this.length + 2
    const size = encoder.encodeInto(value, this.bytes.subarray(start)).written
    if (size > 0xffff) throw new RangeError("a text of more than 65,535 bytes")
    this.view.setUint16(this.length, size)
    this.length = start + size
    return this
  }

  /** With a u32 of its length before it. */
  data(value: Uint8Array): this {
    return this.uint32(value.length).raw(value)
  }

  raw(value: Uint8Array): this {
    this.room(value.length)
    this.bytes.set(value, this.length)
    this.length += value.length
    return this
  }

  /** buffer[start..end). */
  range(buffer: Buffer, start: number, end: number): this {
    this.room(end - start)
    buffer.copy(this.bytes, this.length, start, end)
    this.length += end - start
    return this
  }

  /** Writes a number over one that stands already at `offset`: a count that is known at the end. */
  overwriteUint16(offset: number, value: number): void {
    this.view.setUint16(offset, value)
  }

  overwriteUint32(offset: number, value: number): void {
    this.view.setUint32(offset, value)
  }

  /** Without a copy: good until the next write. */
  written(): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(0, this.length)
  }

  private room(size: number): void {
    const needed = this.length + size
    if (needed <= this.bytes.length) return
    const larger = new Uint8Array(Math.max(needed, this.bytes.length * 2))
    larger.set(this.bytes.subarray(0, this.length))
    this.bytes = larger
    this.view = new DataView(larger.buffer)
  }
}
