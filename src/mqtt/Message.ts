import { Buffer } from "node:buffer"
import type { ProtocolVersion, PublishProperties, QoS } from "./Packet.ts"
import { noMaximumPacketSize } from "./Packet.ts"
import { ProtocolError } from "./ProtocolError.ts"
import {
  outgoingSize,
  propertiesStart,
  type PublishBytes,
  type PublishHop,
  Shape,
  writeOutgoing
} from "./publishLayout.ts"
import {
  parsePublishProperties,
  publishPropertiesSize,
  writePublishProperties,
  writeString
} from "./publishProperties.ts"
import { ReasonCode } from "./ReasonCode.ts"
import { levelsOf, validateTopicName } from "./Topic.ts"
import { TopicName } from "./TopicTable.ts"
import { variableByteIntegerSize, writeVariableByteInteger } from "./variableByteInteger.ts"

/** A range of bytes that is one whole packet. */
export interface Frame {
  readonly buffer: Buffer
  readonly start: number
  readonly end: number
}

/** Under which number a message goes to the store, in which group, and how many deliveries of that group need it. */
export interface Recorded {
  readonly group: number
  readonly number: number
  users: number
  /** The store did not take it, and its publisher was told so: it is neither stored nor sent any more. */
  withdrawn: boolean
}

/**
 * An application message: the bytes of its PUBLISH as they came in, and what the broker asks of them often. One object however
 * many sessions get it; nothing of it is decoded that nobody asks for.
 * Invariant: what it says never changes. `detach` moves the bytes elsewhere, memo fields fill, `sequence` is the retainer's,
 * `recorded` the journal's.
 */
export class Message implements Frame, PublishBytes {
  readonly topicName: TopicName
  /** The client id of who published it; "" for the broker itself. */
  readonly publisher: string
  /** buffer[start..end) is the PUBLISH as it came in. */
  buffer: Buffer
  start: number
  end: number
  readonly payloadLength: number
  readonly shape: number
  /** Milliseconds. */
  readonly receivedAt: number
  /** Milliseconds; 0 = never. */
  readonly expiresAt: number
  /** Set by the retainer. */
  sequence: number
  /** The journal's memo; nobody else's. */
  recorded: Recorded | undefined
  private propertiesMemo: PublishProperties | null | undefined
  private frame3: Frame | undefined
  private frame5: Frame | undefined

  /** For PublishDecoder and `make`: the bytes are a PUBLISH that passed all checks. */
  constructor(
    topicName: TopicName,
    publisher: string,
    buffer: Buffer,
    start: number,
    end: number,
    payloadLength: number,
    shape: number,
    receivedAt: number,
    expiresAt: number
  ) {
    this.topicName = topicName
    this.publisher = publisher
    this.buffer = buffer
    this.start = start
    this.end = end
    this.payloadLength = payloadLength
    this.shape = shape
    this.receivedAt = receivedAt
    this.expiresAt = expiresAt
    this.sequence = 0
    this.recorded = undefined
    this.propertiesMemo = undefined
    this.frame3 = undefined
    this.frame5 = undefined
  }

  /** For wills, $SYS and HTTP. Copies the payload. Throws ProtocolError for a topic that is no topic name. */
  static make(options: {
    readonly topic: TopicName | string
    readonly payload: Uint8Array
    readonly qos: QoS
    readonly retain: boolean
    readonly publisher: string
    readonly properties: PublishProperties | null
    readonly now: number
  }): Message {
    const { payload, properties, qos, retain } = options
    const topicName = typeof options.topic === "string" ? nameOf(options.topic) : options.topic
    const propertiesLength = publishPropertiesSize(properties)
    const remaining = 2 + Buffer.byteLength(topicName.text) + (qos === 0 ? 0 : 2) +
      variableByteIntegerSize(propertiesLength) + propertiesLength + payload.length
    const size = 1 + variableByteIntegerSize(remaining) + remaining
    if (size > noMaximumPacketSize) {
      throw new ProtocolError(ReasonCode.PacketTooLarge, "MQTT5-2.1.4", "a message that no packet can carry")
    }
    const bytes = Buffer.allocUnsafeSlow(size)
    const expiryInterval = properties?.messageExpiryInterval
    const shape = Shape.Version5 | (qos << 1) | (retain ? Shape.Retain : 0) |
      (expiryInterval === undefined ? 0 : Shape.Expiry)
    bytes[0] = 0x30 | (shape & (Shape.QoS | Shape.Retain))
    let at = writeString(bytes, writeVariableByteInteger(bytes, 1, remaining), topicName.text)
    // A place for the packet identifier of whoever gets it.
    if (qos !== 0) at = bytes.writeUInt16BE(1, at)
    at = writePublishProperties(properties, bytes, writeVariableByteInteger(bytes, at, propertiesLength))
    bytes.set(payload, at)
    const expiresAt = expiryInterval === undefined ? 0 : Math.max(1, options.now + expiryInterval * 1000)
    return new Message(topicName, options.publisher, bytes, 0, size, payload.length, shape, options.now, expiresAt)
  }

  get topic(): string {
    return this.topicName.text
  }

  get qos(): QoS {
    return ((this.shape & Shape.QoS) >> 1) as QoS
  }

  /** RETAIN as the publisher set it. */
  get retain(): boolean {
    return (this.shape & Shape.Retain) !== 0
  }

  /** Read from the bytes on first use. */
  get properties(): PublishProperties | null {
    if (this.propertiesMemo === undefined) {
      this.propertiesMemo = parsePublishProperties(this.buffer, propertiesStart(this), this.end - this.payloadLength)
    }
    return this.propertiesMemo
  }

  /** A view, made anew on each call: use `payloadLength` where that is enough. */
  get payload(): Buffer {
    return this.buffer.subarray(this.end - this.payloadLength, this.end)
  }

  isExpired(now: number): boolean {
    return this.expiresAt !== 0 && now >= this.expiresAt
  }

  /**
   * Before a message is kept: takes its bytes out of the chunk they came in when that is much larger, so that a kept message never
   * pins a read buffer. Cheap when there is nothing to do.
   */
  detach(): void {
    const size = this.end - this.start
    if (this.buffer.length <= 4096 || size * 2 >= this.buffer.length) return
    const own = Buffer.allocUnsafeSlow(size)
    this.buffer.copy(own, 0, this.start, this.end)
    this.buffer = own
    this.start = 0
    this.end = size
  }

  /**
   * The packet with QoS 0, RETAIN 0, DUP 0, without subscription identifiers and without message expiry (for a message with
   * `expiresAt !== 0` use writePublish: subscribers must get what is left). Made once for MQTT 5 and once for the older ones;
   * when the PUBLISH came in as exactly these bytes, it is the message itself.
   */
  frame(version: ProtocolVersion): Frame {
    if (version === 5) {
      if (this.shape === Shape.Version5) return this
      return this.frame5 ??= this.plain(true)
    }
    if (this.shape === 0) return this
    return this.frame3 ??= this.plain(false)
  }

  private plain(version5: boolean): Frame {
    const hop: PublishHop = {
      version5,
      qos: 0,
      header: 0x30,
      packetIdentifier: 0,
      subscriptionIdentifiers: undefined,
      remainingExpiry: -1,
      topicAlias: 0,
      omitTopic: false
    }
    const size = outgoingSize(this, hop)
    const buffer = Buffer.allocUnsafeSlow(size)
    writeOutgoing(this, hop, buffer, 0)
    return { buffer, start: 0, end: size }
  }
}

const nameOf = (topic: string): TopicName => {
  if (!validateTopicName(topic)) {
    throw new ProtocolError(ReasonCode.TopicNameInvalid, "MQTT-3.3.2-2", "a message whose topic is no topic name")
  }
  return new TopicName(topic, levelsOf(topic))
}
