// The frames of one WebSocket client (RFC 6455 section 5), taken apart as their bytes come. Pure. The unmasked payload is moved
// together at the beginning of the chunk it came in, over the frame headers: nothing is copied elsewhere, and what a chunk carries is
// one range again. Invariant: beside a header or a control frame that is cut by the end of a chunk, nothing is held.

/** RFC 6455 section 7.4.1. */
export const CloseCode = {
  Normal: 1000,
  ProtocolError: 1002,
  UnsupportedData: 1003,
  InvalidPayload: 1007,
  MessageTooBig: 1009,
  InternalError: 1011
} as const

/** How a stream of frames ended. `fault` is for the log; undefined: the client sent a Close frame, as it should. */
export interface StreamEnd {
  /** What the answering Close frame says. */
  readonly code: number
  readonly fault: string | undefined
}

const opcodes = { continuation: 0x0, text: 0x1, binary: 0x2, close: 0x8, ping: 0x9, pong: 0xa } as const

const longestHeader = 14
const longestControl = 125
/** Below this many bytes a view of the chunk costs more than it saves. */
const wordsFrom = 16

export class FrameDecoder {
  /** Payload of the last Ping of the chunk just decoded; who answers it sets it back. */
  ping: Buffer | undefined = undefined
  /** Set once: nothing of the stream is looked at any more. */
  end: StreamEnd | undefined = undefined
  private readonly maximum: number
  /** Bytes of the current frame's payload that have not come. */
  remaining = 0
  /** The mask, lowest byte first, turned so that its lowest byte is next. */
  private mask = 0
  /** Bytes of the message so far; less than 0: between two messages. */
  private message = -1
  /** A header that came in part, and how much of it. */
  private header: Buffer | undefined = undefined
  private held = 0
  /** The control frame under way: its opcode, 0 for none, and its payload so far. */
  private control = 0
  private controlPayload: Buffer | undefined = undefined

  /** `maximum`: bytes of a message, in one frame or in fragments. */
  constructor(maximum: number) {
    this.maximum = maximum
  }

  /** Unmasks the chunk in place. What it carries is then chunk[0..n), n being the answer. */
  decode(chunk: Buffer): number {
    const length = chunk.length
    let at = 0
    let out = 0
    let words: DataView | undefined
    while (this.end === undefined) {
      if (this.remaining > 0) {
        if (at === length) break
        const taken = Math.min(this.remaining, length - at)
        if (this.control !== 0) this.takeControl(chunk, at, taken)
        else {
          if (taken >= wordsFrom) words ??= new DataView(chunk.buffer, chunk.byteOffset, length)
          unmask(chunk, words, at, taken, out, this.mask)
          out += taken
          this.mask = turned(this.mask, taken)
        }
        this.remaining -= taken
        at += taken
        continue
      }
      if (this.control !== 0) {
        this.onControl(this.control, this.controlPayload ?? nothing)
        continue
      }
      if (at === length) break
      at += this.header === undefined ? this.readHeader(chunk, at, length - at) : this.joinHeader(chunk, at)
    }
    return out
  }

  /** Bytes used: of a whole header, or all there are, which are then held. */
  private readHeader(bytes: Buffer, at: number, available: number): number {
    const needed = this.judge(bytes, at, available)
    if (this.end !== undefined) return 0
    if (available >= needed) {
      this.beginFrame(bytes, at, needed)
      return needed
    }
    this.header = Buffer.allocUnsafeSlow(longestHeader)
    this.held = bytes.copy(this.header, 0, at, at + available)
    return available
  }

  private joinHeader(bytes: Buffer, at: number): number {
    const header = this.header ?? nothing
    header[this.held++] = bytes[at] as number
    const needed = this.judge(header, 0, this.held)
    if (this.end === undefined && this.held >= needed) {
      this.header = undefined
      this.beginFrame(header, 0, needed)
    }
    return 1
  }

  /** Length of the header that begins there, as far as its first two bytes are known; or it is wrong, and that is the end. */
  private judge(bytes: Buffer, at: number, available: number): number {
    if (available < 2) return 2
    const first = bytes[at] as number
    const second = bytes[at + 1] as number
    const opcode = first & 0x0f
    const short = second & 0x7f
    if ((first & 0x70) !== 0) this.fail(CloseCode.ProtocolError, "a frame with a reserved bit set")
    else if (second < 0x80) this.fail(CloseCode.ProtocolError, "a frame without a mask")
    else if (opcode >= opcodes.close) {
      if (opcode > opcodes.pong) this.fail(CloseCode.ProtocolError, `a frame with opcode ${opcode}`)
      else if (first < 0x80) this.fail(CloseCode.ProtocolError, "a control frame in fragments")
      else if (short > longestControl) this.fail(CloseCode.ProtocolError, "a control frame of more than 125 bytes")
    } else if (opcode === opcodes.continuation) {
      if (this.message < 0) this.fail(CloseCode.ProtocolError, "a continuation of nothing")
    } else if (opcode > opcodes.binary) this.fail(CloseCode.ProtocolError, `a frame with opcode ${opcode}`)
    else if (this.message >= 0) this.fail(CloseCode.ProtocolError, "a new message inside a fragmented one")
    // [MQTT-6.0.0-1] [MQTT5-6.0.0-1] binary frames only
    else if (opcode === opcodes.text) this.fail(CloseCode.UnsupportedData, "a text frame: MQTT goes in binary ones")
    return short === 126 ? 8 : short === 127 ? longestHeader : 6
  }

  private beginFrame(bytes: Buffer, at: number, headerLength: number): void {
    const first = bytes[at] as number
    const short = (bytes[at + 1] as number) & 0x7f
    const size = short < 126
      ? short
      : short === 126
      ? (bytes[at + 2] as number) << 8 | (bytes[at + 3] as number)
      : bytes.readUInt32BE(at + 2) * 2 ** 32 + bytes.readUInt32BE(at + 6)
    const key = at + headerLength - 4
    this.mask = (bytes[key] as number) | (bytes[key + 1] as number) << 8 | (bytes[key + 2] as number) << 16 |
      (bytes[key + 3] as number) << 24
    if ((first & 0x08) !== 0) {
      this.control = first & 0x0f
      this.remaining = size
      return
    }
    const message = Math.max(0, this.message) + size
    if (message > this.maximum) {
      return this.fail(CloseCode.MessageTooBig, `a message of ${message} bytes where ${this.maximum} is the limit`)
    }
    this.remaining = size
    this.message = first >= 0x80 ? -1 : message
  }

  private takeControl(chunk: Buffer, at: number, length: number): void {
    const held = this.controlPayload?.length ?? 0
    const payload = Buffer.allocUnsafeSlow(held + length)
    this.controlPayload?.copy(payload)
    for (let i = 0; i < length; i++) payload[held + i] = (chunk[at + i] as number) ^ (this.mask >>> 8 * (i & 3))
    this.mask = turned(this.mask, length)
    this.controlPayload = payload
  }

  private onControl(opcode: number, payload: Buffer): void {
    this.control = 0
    this.controlPayload = undefined
    if (opcode === opcodes.ping) this.ping = payload
    else if (opcode === opcodes.close) this.onClose(payload)
  }

  private onClose(payload: Buffer): void {
    if (payload.length === 0) {
      this.end = { code: CloseCode.Normal, fault: undefined }
      return
    }
    if (payload.length === 1) return this.fail(CloseCode.ProtocolError, "a Close frame of one byte")
    const code = payload.readUInt16BE(0)
    if (!isCloseCode(code)) return this.fail(CloseCode.ProtocolError, `a Close frame with code ${code}`)
    if (!isUtf8(payload.subarray(2))) {
      return this.fail(CloseCode.InvalidPayload, "a Close frame whose text is not UTF-8")
    }
    this.end = { code, fault: undefined }
  }

  private fail(code: number, fault: string): void {
    this.end = { code, fault }
  }
}

const nothing = Buffer.alloc(0)

const isCloseCode = (code: number): boolean =>
  code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006 || code >= 3000 && code <= 4999

const utf8 = new TextDecoder("utf-8", { fatal: true })
const isUtf8 = (bytes: Buffer): boolean => {
  try {
    utf8.decode(bytes)
    return true
  } catch {
    return false
  }
}

/** The mask as it is after so many bytes. */
const turned = (mask: number, bytes: number): number => {
  const bits = 8 * (bytes & 3)
  return bits === 0 ? mask : mask >>> bits | mask << 32 - bits
}

/** chunk[from..from+length) unmasked to chunk[to..); `to` is not above `from`. Four bytes at a time where there are many. */
const unmask = (chunk: Buffer, words: DataView | undefined, from: number, length: number, to: number, mask: number) => {
  const end = from + length
  let source = from
  let target = to
  if (words !== undefined) {
    for (const whole = end - 3; source < whole; source += 4, target += 4) {
      words.setInt32(target, words.getInt32(source, true) ^ mask, true)
    }
  }
  for (let bits = 0; source < end; source++, target++, bits = bits + 8 & 31) {
    chunk[target] = (chunk[source] as number) ^ (mask >>> bits)
  }
}
