import { Buffer } from "node:buffer"
import { ProtocolError } from "./ProtocolError.ts"
import { ReasonCode } from "./ReasonCode.ts"

/**
 * Cuts the packets out of the chunks of one connection. `push` a chunk, then call `next` until it says false; after true the
 * packet is buffer[start..end), its first byte `header`, its body from `bodyStart`.
 * A packet that lies whole in a chunk is read where it lies; one that spans chunks is joined in a buffer of its own.
 * Invariant: no byte of a body is kept before the header passed the size check, and never more than `maximumPacketSize` are.
 * After a ProtocolError the reader is of no more use: there is no way to find the next packet.
 */
export class FrameReader {
  /** Of the whole packet, fixed header included. */
  maximumPacketSize: number
  header: number
  buffer: Buffer
  start: number
  bodyStart: number
  end: number
  private chunk: Buffer
  private position: number
  // The beginning of a packet whose end has not come yet: held bytes of `joined`, `expected` in all (0 = not known yet).
  private joined: Buffer
  private held: number
  private expected: number

  constructor(maximumPacketSize: number) {
    this.maximumPacketSize = maximumPacketSize
    this.header = 0
    this.buffer = nothing
    this.start = 0
    this.bodyStart = 0
    this.end = 0
    this.chunk = nothing
    this.position = 0
    this.joined = nothing
    this.held = 0
    this.expected = 0
  }

  /** Bytes kept of a packet that is not complete. */
  get pendingBytes(): number {
    return this.held
  }

  /**
   * The chunk is not copied and must not be written again: messages are views of it. It should own its memory (a small view of a
   * large slab would pin the slab).
   */
  push(chunk: Uint8Array): void {
    const view = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    // Whoever pushes without draining pays for the copy.
    this.chunk = this.position === this.chunk.length ? view : Buffer.concat([this.chunk.subarray(this.position), view])
    this.position = 0
  }

  /** Throws ProtocolError: 0x95 for a packet that is too large, 0x81 for a length that is not a variable byte integer. */
  next(): boolean {
    if (this.held !== 0) return this.nextJoined()
    const chunk = this.chunk
    const start = this.position
    const available = chunk.length - start
    if (available >= 2) {
      const first = chunk[start + 1] as number
      const size = first < 0x80 ? first + 2 : measure(chunk, start, available)
      // [MQTT5-3.2.2-15] before a byte of the body is kept
      if (size > this.maximumPacketSize) throw tooLarge(size, this.maximumPacketSize)
      if (size !== 0 && size <= available) {
        this.header = chunk[start] as number
        this.buffer = chunk
        this.start = start
        this.bodyStart = start + headerLength(size)
        this.position = this.end = start + size
        return true
      }
      this.expected = size
    } else this.expected = 0
    if (available !== 0) this.take(available)
    // An idle connection keeps no chunk.
    this.chunk = this.buffer = nothing
    this.position = 0
    return false
  }

  private nextJoined(): boolean {
    let available = this.chunk.length - this.position
    while (this.expected === 0 && available !== 0) {
      this.take(1)
      available--
      this.expected = measure(this.joined, 0, this.held)
      if (this.expected > this.maximumPacketSize) throw tooLarge(this.expected, this.maximumPacketSize)
    }
    if (this.expected !== 0) this.take(Math.min(this.expected - this.held, available))
    if (this.expected === 0 || this.held < this.expected) {
      this.chunk = this.buffer = nothing
      this.position = 0
      return false
    }
    this.buffer = this.joined
    this.header = this.joined[0] as number
    this.start = 0
    this.bodyStart = headerLength(this.expected)
    this.end = this.expected
    this.joined = nothing
    this.held = 0
    return true
  }

  private take(bytes: number): void {
    const needed = this.held + bytes
    if (needed > this.joined.length) {
      // Grows with what has come, not with what a header promises: a header alone must not cost a megabyte.
      const capacity = Math.max(needed, Math.min(this.expected, Math.max(4096, needed * 4)))
      const grown = Buffer.allocUnsafeSlow(capacity)
      this.joined.copy(grown, 0, 0, this.held)
      this.joined = grown
    }
    this.chunk.copy(this.joined, this.held, this.position, this.position + bytes)
    this.held = needed
    this.position += bytes
  }
}

const nothing = Buffer.alloc(0)

const tooLarge = (size: number, maximum: number): ProtocolError =>
  // The mirror of MQTT5-3.1.2-24: what the server announced in CONNACK, section 3.2.2.3.6.
  new ProtocolError(
    ReasonCode.PacketTooLarge,
    "MQTT5-3.2.2.3.6",
    `a packet of ${size} bytes where ${maximum} is the limit`
  )

/** Length of the fixed header of a packet of `size` bytes in all; the encoding is minimal, so the size tells. */
export const headerLength = (size: number): number => size <= 129 ? 2 : size <= 16_386 ? 3 : size <= 2_097_155 ? 4 : 5

/** Bytes of the whole packet that begins at `start`, 0 while its length has not come whole. */
const measure = (bytes: Buffer, start: number, available: number): number => {
  let remaining = 0
  for (let i = 1; i < available; i++) {
    const byte = bytes[start + i] as number
    remaining += (byte & 0x7f) * 128 ** (i - 1)
    if (byte < 0x80) {
      // [MQTT-1.5.5-1] the encoded value uses as few bytes as it can
      if (byte === 0 && i > 1) {
        throw new ProtocolError(
          ReasonCode.MalformedPacket,
          "MQTT-1.5.5-1",
          "a remaining length with more bytes than it needs"
        )
      }
      return remaining + i + 1
    }
    if (i === 4) {
      throw new ProtocolError(ReasonCode.MalformedPacket, "MQTT5-1.5.5", "a remaining length of more than four bytes")
    }
  }
  return 0
}
