import type { Buffer } from "node:buffer"
import type { FrameReader } from "./FrameReader.ts"
import { Message } from "./Message.ts"
import type { ProtocolVersion } from "./Packet.ts"
import { Property } from "./Properties.ts"
import { ProtocolError } from "./ProtocolError.ts"
import { Shape } from "./publishLayout.ts"
import { ReasonCode } from "./ReasonCode.ts"
import { illFormed, sawNull, sawWildcard, scanUtf8 } from "./scanUtf8.ts"
import type { TopicName, TopicTable } from "./TopicTable.ts"

export interface PublishLimits {
  /** What CONNACK announced; 0 = the client may not use aliases. */
  readonly maximumTopicAlias: number
  readonly maximumTopicLevels: number
  /** Bytes. */
  readonly maximumTopicLength?: number
}

/**
 * Makes a Message of the PUBLISH in a reader, after all checks of sections 3.3 of the three specifications. One per connection: it
 * holds the topic aliases that the client set, which end with the connection [MQTT-3.3.2-7].
 * Invariant: a Message is only made of bytes that passed every check, so whoever reads its bytes later checks nothing.
 */
export class PublishDecoder {
  /** Of the packet that was decoded last; 0 for QoS 0. */
  packetIdentifier: number
  dup: boolean
  private readonly topics: TopicTable
  private readonly limits: PublishLimits
  private aliases: Array<TopicName | undefined> | undefined
  // What the walk over the properties of one packet found; -1 = absent.
  private topicAlias: number
  private expiryInterval: number

  constructor(topics: TopicTable, limits: PublishLimits) {
    this.packetIdentifier = 0
    this.dup = false
    this.topics = topics
    this.limits = limits
    this.aliases = undefined
    this.topicAlias = -1
    this.expiryInterval = -1
  }

  /** Throws ProtocolError with the reason code that MQTT 5 wants. */
  decode(reader: FrameReader, version: ProtocolVersion, publisher: string, now: number): Message {
    const header = reader.header
    const buffer = reader.buffer
    const end = reader.end
    const qosBits = header & Shape.QoS
    if (qosBits === 0 ? (header & 8) !== 0 : qosBits === Shape.QoS) throw badFlags(qosBits)
    const topicStart = reader.bodyStart + 2
    if (topicStart > end) throw truncated()
    const topicEnd = topicStart + (((buffer[topicStart - 2] as number) << 8) | (buffer[topicStart - 1] as number))
    if (topicEnd > end) throw truncated()
    let at = topicEnd
    if (qosBits === 0) {
      // [MQTT-2.3.1-5] [MQTT5-2.2.1-2] QoS 0 has no packet identifier: the payload begins here
      this.packetIdentifier = 0
      this.dup = false
    } else {
      at += 2
      if (at > end) throw truncated()
      const packetIdentifier = ((buffer[at - 2] as number) << 8) | (buffer[at - 1] as number)
      // [MQTT-2.3.1-1] [MQTT-2.2.1-3]
      if (packetIdentifier === 0) throw protocolError("MQTT-2.3.1-1", "packet identifier 0 in a PUBLISH")
      this.packetIdentifier = packetIdentifier
      this.dup = (header & 8) !== 0
    }
    let shape = header & (Shape.QoS | Shape.Retain)
    let expiresAt = 0
    let topicName: TopicName
    if (version === 5) {
      shape |= Shape.Version5
      // [MQTT5-2.2.2-1] even no properties have a length
      if (at >= end) throw truncated()
      if (buffer[at] === 0) at++
      else {
        at = this.walkProperties(buffer, at, end)
        if (this.expiryInterval >= 0) {
          shape |= Shape.Expiry
          expiresAt = Math.max(1, now + this.expiryInterval * 1000)
        }
        if (this.topicAlias >= 0) {
          topicName = this.aliased(buffer, topicStart, topicEnd)
          shape |= Shape.TopicAlias
          return new Message(topicName, publisher, buffer, reader.start, end, end - at, shape, now, expiresAt)
        }
      }
      // Section 3.3.2.1: no topic name and no alias.
      if (topicEnd === topicStart) {
        throw protocolError("MQTT5-3.3.2.1", "a PUBLISH without a topic name and without a topic alias")
      }
    }
    topicName = this.topics.lookup(buffer, topicStart, topicEnd)
    this.checkLimits(topicName, topicEnd - topicStart)
    return new Message(topicName, publisher, buffer, reader.start, end, end - at, shape, now, expiresAt)
  }

  private checkLimits(topicName: TopicName, length: number): void {
    if (topicName.levels > this.limits.maximumTopicLevels) {
      throw new ProtocolError(
        ReasonCode.TopicNameInvalid,
        "MQTT5-3.3.2.1",
        `a topic name of ${topicName.levels} levels`
      )
    }
    const maximum = this.limits.maximumTopicLength
    if (maximum !== undefined && length > maximum) {
      throw new ProtocolError(ReasonCode.TopicNameInvalid, "MQTT5-3.3.2.1", `a topic name of ${length} bytes`)
    }
  }

  /** The topic of a PUBLISH that has an alias: sets it or looks it up (section 3.3.2.3.4). */
  private aliased(buffer: Buffer, start: number, end: number): TopicName {
    const alias = this.topicAlias
    // [MQTT5-3.3.2-8] [MQTT5-3.3.2-9] [MQTT5-3.3.2-12] [MQTT5-3.2.2-17] [MQTT5-3.2.2-18] 1 to what CONNACK announced,
    // nothing without it
    if (alias === 0 || alias > this.limits.maximumTopicAlias) {
      throw new ProtocolError(
        ReasonCode.TopicAliasInvalid,
        alias === 0 ? "MQTT-3.3.2-8" : "MQTT-3.3.2-9",
        `topic alias ${alias}, with ${this.limits.maximumTopicAlias} as the largest`
      )
    }
    if (start === end) {
      const known = this.aliases?.[alias]
      if (known === undefined) {
        throw protocolError("MQTT5-3.3.2.3.4", `topic alias ${alias}, which stands for nothing yet`)
      }
      return known
    }
    const topicName = this.topics.lookup(buffer, start, end)
    this.checkLimits(topicName, end - start)
    this.aliases ??= []
    this.aliases[alias] = topicName
    return topicName
  }

  /** Checks the property section whose length is at `start`, notes alias and expiry, returns the payload's start. */
  private walkProperties(buffer: Buffer, start: number, packetEnd: number): number {
    this.topicAlias = -1
    this.expiryInterval = -1
    let at = start
    let length = 0
    for (let shift = 0;; shift += 7) {
      if (at >= packetEnd) throw truncated()
      if (shift === 28) throw malformed("MQTT5-1.5.5", "a property length of more than four bytes")
      const byte = buffer[at++] as number
      length |= (byte & 0x7f) << shift
      if (byte < 0x80) {
        // [MQTT-1.5.5-1]
        if (byte === 0 && shift > 0) throw malformed("MQTT-1.5.5-1", "a property length with more bytes than it needs")
        break
      }
    }
    const end = at + length
    if (end > packetEnd) throw truncated()
    let seen = 0
    while (at < end) {
      const identifier = buffer[at] as number
      let next: number
      switch (identifier) {
        case Property.PayloadFormatIndicator:
          next = at + 2
          if (next > end) throw truncated()
          if ((buffer[at + 1] as number) > 1) {
            throw protocolError("MQTT5-3.3.2.3.2", "a payload format that is not 0 or 1")
          }
          break
        case Property.MessageExpiryInterval:
          next = at + 5
          if (next > end) throw truncated()
          this.expiryInterval = buffer.readUInt32BE(at + 1)
          break
        case Property.TopicAlias:
          next = at + 3
          if (next > end) throw truncated()
          this.topicAlias = buffer.readUInt16BE(at + 1)
          break
        case Property.CorrelationData:
          next = stringEnd(buffer, at + 1, end)
          break
        case Property.ContentType:
          next = stringEnd(buffer, at + 1, end)
          // [MQTT-3.3.2-19]
          checkText(buffer, at + 3, next)
          break
        case Property.ResponseTopic:
          next = stringEnd(buffer, at + 1, end)
          // [MQTT-3.3.2-13] [MQTT-3.3.2-14]
          if ((checkText(buffer, at + 3, next) & sawWildcard) !== 0) {
            throw protocolError("MQTT-3.3.2-14", "a response topic with a wildcard")
          }
          if (next === at + 3) throw protocolError("MQTT-4.7.3-1", "a response topic without a character")
          break
        case Property.UserProperty: {
          const value = stringEnd(buffer, at + 1, end)
          checkText(buffer, at + 3, value)
          next = stringEnd(buffer, value, end)
          checkText(buffer, value + 2, next)
          at = next
          continue
        }
        case Property.SubscriptionIdentifier:
          // [MQTT-3.3.4-6]
          throw protocolError("MQTT-3.3.4-6", "a subscription identifier in a PUBLISH from a client")
        default:
          throw malformed("MQTT5-2.2.2.2", `property ${identifier} in a PUBLISH`)
      }
      // The largest identifier is below 0x20 but for the topic alias, whose bit wraps around to 3 + 32: keep it apart.
      const bit = identifier === Property.TopicAlias ? 1 << 30 : 1 << identifier
      if ((seen & bit) !== 0) throw protocolError("MQTT5-2.2.2.2", `property ${identifier} twice in a PUBLISH`)
      seen |= bit
      at = next
    }
    return end
  }
}

const stringEnd = (buffer: Buffer, at: number, end: number): number => {
  if (at + 2 > end) throw truncated()
  const next = at + 2 + (((buffer[at] as number) << 8) | (buffer[at + 1] as number))
  if (next > end) throw truncated()
  return next
}

const checkText = (buffer: Buffer, start: number, end: number): number => {
  const seen = scanUtf8(buffer, start, end)
  // [MQTT-1.5.4-1] [MQTT-1.5.7-1]
  if (seen === illFormed) throw malformed("MQTT-1.5.4-1", "a property that is not UTF-8")
  // [MQTT-1.5.4-2]
  if ((seen & sawNull) !== 0) throw malformed("MQTT-1.5.4-2", "a property with U+0000")
  return seen
}

const malformed = (clause: string, message: string): ProtocolError =>
  new ProtocolError(ReasonCode.MalformedPacket, clause, message)

const protocolError = (clause: string, message: string): ProtocolError =>
  new ProtocolError(ReasonCode.ProtocolError, clause, message)

const truncated = (): ProtocolError => malformed("MQTT5-4.13.1", "a PUBLISH that ends before its contents do")

const badFlags = (qosBits: number): ProtocolError =>
  qosBits === 0
    // [MQTT-3.3.1-2]
    ? malformed("MQTT-3.3.1-2", "a PUBLISH with QoS 0 and DUP")
    // [MQTT-3.3.1-4]
    : malformed("MQTT-3.3.1-4", "a PUBLISH with QoS 3")
