import type { Buffer } from "node:buffer"
import { ProtocolError } from "./ProtocolError.ts"
import { ReasonCode } from "./ReasonCode.ts"
import { illFormed, sawNull, scanUtf8 } from "./scanUtf8.ts"

/**
 * Walks over buffer[position..end) by the data types of section 1.5 and throws ProtocolError where the bytes are not what they
 * should be. For the control packets; PUBLISH and its acknowledgements have their own way.
 */
export class ByteReader {
  readonly buffer: Buffer
  position: number
  readonly end: number

  constructor(buffer: Buffer, start: number, end: number) {
    this.buffer = buffer
    this.position = start
    this.end = end
  }

  get left(): number {
    return this.end - this.position
  }

  byte(): number {
    this.need(1)
    return this.buffer[this.position++] as number
  }

  uint16(): number {
    this.need(2)
    this.position += 2
    return this.buffer.readUInt16BE(this.position - 2)
  }

  uint32(): number {
    this.need(4)
    this.position += 4
    return this.buffer.readUInt32BE(this.position - 4)
  }

  variableByteInteger(): number {
    let value = 0
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.byte()
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) {
        // [MQTT-1.5.5-1]
        if (byte === 0 && shift > 0) {
          throw malformed("MQTT-1.5.5-1", "a variable byte integer with more bytes than it needs")
        }
        return value
      }
    }
    throw malformed("MQTT5-1.5.5", "a variable byte integer of more than four bytes")
  }

  /** Checks a UTF-8 encoded string, moves past it and returns what `scanUtf8` saw in it. */
  skipString(): number {
    const start = this.skipBinary()
    const seen = scanUtf8(this.buffer, start, this.position)
    // [MQTT-1.5.3-1] [MQTT-1.5.4-1] [MQTT-1.5.7-1]
    if (seen === illFormed) throw malformed("MQTT-1.5.4-1", "a string that is not UTF-8")
    // [MQTT-1.5.3-2] [MQTT-1.5.4-2]
    if ((seen & sawNull) !== 0) throw malformed("MQTT-1.5.4-2", "a string with U+0000")
    return seen
  }

  string(): string {
    const start = this.position + 2
    this.skipString()
    return this.buffer.toString("utf8", start, this.position)
  }

  /** Moves past binary data and returns where its first byte is. */
  skipBinary(): number {
    const length = this.uint16()
    this.need(length)
    const start = this.position
    this.position += length
    return start
  }

  expectEnd(): void {
    if (this.position !== this.end) {
      throw malformed("MQTT-4.8.0-1", `${this.left} bytes after the end of what the packet says it has`)
    }
  }

  private need(bytes: number): void {
    if (this.position + bytes > this.end) throw malformed("MQTT5-4.13.1", "a packet that ends before its contents do")
  }
}

const malformed = (clause: string, message: string): ProtocolError =>
  new ProtocolError(ReasonCode.MalformedPacket, clause, message)
