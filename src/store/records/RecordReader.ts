// Reads what RecordWriter wrote. A read beyond the end throws a RangeError: whoever reads what may be damaged has checked it before.

// With a byte order mark kept: it is a character of a topic like any other.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true })

export class RecordReader {
  offset = 0
  readonly bytes: Uint8Array
  private readonly view: DataView

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get atEnd(): boolean {
    return this.offset >= this.bytes.length
  }

  uint8(): number {
    return this.view.getUint8(this.offset++)
  }

  uint16(): number {
    const value = this.view.getUint16(this.offset, true)
    this.offset += 2
    return value
  }

  uint32(): number {
    const value = this.view.getUint32(this.offset, true)
    this.offset += 4
    return value
  }

  float64(): number {
    const value = this.view.getFloat64(this.offset, true)
    this.offset += 8
    return value
  }

  text(): string {
    const size = this.uint32()
    const start = this.offset
    this.offset = start + size
    if (size > 64) return decoder.decode(this.bytes.subarray(start, start + size))
    let text = ""
    for (let index = start; index < start + size; index++) {
      const code = this.view.getUint8(index)
      if (code > 127) return decoder.decode(this.bytes.subarray(start, start + size))
      text += String.fromCharCode(code)
    }
    return text
  }

  /** A copy: the page that it came in is not held for it. */
  data(): Uint8Array<ArrayBuffer> {
    return this.take(this.uint32()).slice()
  }

  /** Without a copy. */
  take(size: number): Uint8Array {
    if (this.offset + size > this.bytes.length) throw new RangeError("a record ends too early")
    this.offset += size
    return this.bytes.subarray(this.offset - size, this.offset)
  }
}
