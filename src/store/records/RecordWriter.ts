// A growing run of bytes into which rows are written: little-endian numbers, texts and bytes with their length before them.
// Invariant: what was written is never moved within the run, only the run as a whole into a larger one.

const encoder = new TextEncoder()

export class RecordWriter {
  length = 0
  private bytes: Uint8Array<ArrayBuffer>
  private view: DataView

  constructor(capacity = 1024) {
    this.bytes = new Uint8Array(capacity)
    this.view = new DataView(this.bytes.buffer)
  }

  uint8(value: number): void {
    this.room(1)
    this.bytes[this.length++] = value
  }

  uint16(value: number): void {
    this.room(2)
    this.view.setUint16(this.length, value, true)
    this.length += 2
  }

  uint32(value: number): void {
    this.room(4)
    this.view.setUint32(this.length, value, true)
    this.length += 4
  }

  float64(value: number): void {
    this.room(8)
    this.view.setFloat64(this.length, value, true)
    this.length += 8
  }

  text(value: string): void {
    this.room(4 + value.length * 3)
    const start = this.length + 4
    let index = 0
    for (; index < value.length; index++) {
      const code = value.charCodeAt(index)
      if (code > 127) break
      this.bytes[start + index] = code
    }
    const size = index === value.length ? index : encoder.encodeInto(value, this.bytes.subarray(start)).written
    this.view.setUint32(this.length, size, true)
    this.length = start + size
  }

  data(value: Uint8Array): void {
    this.uint32(value.length)
    this.raw(value)
  }

  raw(value: Uint8Array): void {
    this.room(value.length)
    this.bytes.set(value, this.length)
    this.length += value.length
  }

  overwriteUint8(offset: number, value: number): void {
    this.bytes[offset] = value
  }

  /** Writes a number over one that stands already at `offset`. */
  overwriteUint32(offset: number, value: number): void {
    this.view.setUint32(offset, value, true)
  }

  /** What was written, in a buffer of its own that holds nothing else and may be transferred. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.bytes.slice(0, this.length)
  }

  /** What was written, without a copy: good until the next write. */
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
