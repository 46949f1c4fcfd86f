// Reads what BodyWriter wrote. Invariant: a read beyond the end, or a text that is no UTF-8, throws a RangeError or a TypeError, which
// ends the link that it came by (Bus.ts): no version of ours sends such bytes.

// With a byte order mark kept: it is a character of a topic like any other.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true })

export class BodyReader {
  offset = 0
  readonly bytes: Buffer

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }

  get atEnd(): boolean {
    return this.offset >= this.bytes.length
  }

  get left(): number {
    return this.bytes.length - this.offset
  }

  uint8(): number {
    return this.bytes.readUInt8(this.advance(1))
  }

  uint16(): number {
    return this.bytes.readUInt16BE(this.advance(2))
  }

  uint32(): number {
    return this.bytes.readUInt32BE(this.advance(4))
  }

  /** Above 2^53 - 1 it throws. */
  uint64(): number {
    const at = this.advance(8)
    const value = this.bytes.readUInt32BE(at) * 0x1_0000_0000 + this.bytes.readUInt32BE(at + 4)
    if (!Number.isSafeInteger(value)) throw new RangeError("a number above 2^53 - 1")
    return value
  }

  float64(): number {
    return this.bytes.readDoubleBE(this.advance(8))
  }

  /** All that are left. */
  texts(): ReadonlyArray<string> {
    const values: Array<string> = []
    while (!this.atEnd) values.push(this.text())
    return values
  }

  text(): string {
    return decoder.decode(this.take(this.uint16()))
  }

  /** A copy: it may be kept. */
  data(): Buffer {
    return Buffer.from(this.take(this.uint32()))
  }

  /** Without a copy: good as long as the body is. */
  take(size: number): Buffer {
    const start = this.advance(size)
    return this.bytes.subarray(start, start + size)
  }

  private advance(size: number): number {
    const start = this.offset
    if (start + size > this.bytes.length) throw new RangeError("a frame ends too early")
    this.offset = start + size
    return start
  }
}
