import { Buffer } from "node:buffer"
import { ProtocolError } from "./ProtocolError.ts"
import { ReasonCode } from "./ReasonCode.ts"
import { illFormed, sawNonAscii, sawNull, sawWildcard, scanUtf8 } from "./scanUtf8.ts"
import { isSystemTopic, levelsOf } from "./Topic.ts"

/**
 * Interns topic names on the packet path: a name that was seen before is found by its bytes, so that neither a string is made
 * nor a check repeated. One table per broker, shared by all connections.
 * Invariant: every TopicName here passed all checks of a topic name. A lost slot costs time, never correctness: two
 * TopicNames with the same text may exist, so compare `text`, not the objects.
 */
export class TopicTable {
  private readonly maximumBytes: number
  private readonly mask: number
  private readonly keys: Array<Buffer>
  private readonly names: Array<TopicName>

  /** `slots` is rounded up to a power of two; a name longer than `maximumBytes` is checked and made anew each time. */
  constructor(options: { readonly slots?: number; readonly maximumBytes?: number } = {}) {
    const slots = 2 ** Math.ceil(Math.log2(Math.max(2, options.slots ?? 65_536)))
    this.maximumBytes = options.maximumBytes ?? 256
    this.mask = slots - 1
    this.keys = new Array<Buffer>(slots).fill(noBytes)
    this.names = new Array<TopicName>(slots).fill(noName)
  }

  /** The topic name in buffer[start..end). Throws ProtocolError: 0x81 for bad UTF-8 and U+0000, 0x90 for wildcards or nothing. */
  lookup(buffer: Buffer, start: number, end: number): TopicName {
    const length = end - start
    if (length > this.maximumBytes) return checked(buffer, start, end)
    const slot = hashOf(buffer, start, end) & this.mask
    const key = this.keys[slot] as Buffer
    if (key.length === length && length !== 0 && equal(buffer, start, key, length)) return this.names[slot] as TopicName
    return this.intern(buffer, start, end, slot)
  }

  /** For names that come as text: wills, $SYS, HTTP. Throws as `lookup` does. */
  of(text: string): TopicName {
    if (!text.isWellFormed()) throw notUtf8()
    const bytes = Buffer.from(text, "utf8")
    if (bytes.length > 65_535) {
      throw new ProtocolError(ReasonCode.TopicNameInvalid, "MQTT-4.7.3-3", "a topic name of more than 65,535 bytes")
    }
    return this.lookup(bytes, 0, bytes.length)
  }

  private intern(buffer: Buffer, start: number, end: number, slot: number): TopicName {
    const name = checked(buffer, start, end)
    const key = Buffer.allocUnsafeSlow(end - start)
    buffer.copy(key, 0, start, end)
    this.keys[slot] = key
    this.names[slot] = name
    return name
  }
}

/** A topic name that passed all checks, and what others remember about it. */
export class TopicName {
  readonly text: string
  /** Count of levels: "a/b" has two. */
  readonly levels: number
  /** "$SYS" and what is below it. */
  readonly isSystem: boolean
  /** The router's memo of its answer; nobody else's. */
  route: unknown
  /** The cluster's, of the peers. */
  remote: { readonly table: object | undefined } | undefined

  constructor(text: string, levels: number) {
    this.text = text
    this.levels = levels
    this.isSystem = isSystemTopic(text)
    this.route = undefined
    this.remote = undefined
  }
}

const noBytes = Buffer.alloc(0)
const noName = new TopicName("", 0)

const notUtf8 = (): ProtocolError =>
  new ProtocolError(ReasonCode.MalformedPacket, "MQTT-1.5.4-1", "a topic name that is not UTF-8")

const checked = (buffer: Buffer, start: number, end: number): TopicName => {
  // [MQTT-4.7.3-1]
  if (end === start) {
    throw new ProtocolError(ReasonCode.TopicNameInvalid, "MQTT-4.7.3-1", "a topic name without a character")
  }
  const seen = scanUtf8(buffer, start, end)
  // [MQTT-3.3.2-1] [MQTT-1.5.3-1] [MQTT-1.5.4-1]
  if (seen === illFormed) throw notUtf8()
  // [MQTT-4.7.3-2] [MQTT-1.5.3-2] [MQTT-1.5.4-2]
  if ((seen & sawNull) !== 0) {
    throw new ProtocolError(ReasonCode.MalformedPacket, "MQTT-4.7.3-2", "a topic name with U+0000")
  }
  // [MQTT-3.3.2-2] [MQTT-4.7.1-1] [MQTT5-4.7.0-1]
  if ((seen & sawWildcard) !== 0) {
    throw new ProtocolError(ReasonCode.TopicNameInvalid, "MQTT-3.3.2-2", "a topic name with a wildcard")
  }
  const text = buffer.toString((seen & sawNonAscii) === 0 ? "latin1" : "utf8", start, end)
  return new TopicName(text, levelsOf(text))
}

// Four bytes a step: readInt32LE is a plain load once compiled. The last step overlaps the one before it.
const hashOf = (buffer: Buffer, start: number, end: number): number => {
  let h = end - start
  let i = start
  for (const last = end - 4; i <= last; i += 4) {
    h = Math.imul(h ^ buffer.readInt32LE(i), 0x9e3779b1)
    h ^= h >>> 15
  }
  for (; i < end; i++) h = Math.imul(h ^ (buffer[i] as number), 0x01000193)
  return h ^ (h >>> 16)
}

const equal = (buffer: Buffer, start: number, key: Buffer, length: number): boolean => {
  let i = 0
  for (const last = length - 4; i <= last; i += 4) {
    if (buffer.readInt32LE(start + i) !== key.readInt32LE(i)) return false
  }
  for (; i < length; i++) if (buffer[start + i] !== key[i]) return false
  return true
}
