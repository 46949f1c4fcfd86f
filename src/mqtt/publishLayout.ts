import { Buffer } from "node:buffer"
import { copyBytes } from "./copyBytes.ts"
import { headerLength } from "./FrameReader.ts"
import type { QoS } from "./Packet.ts"
import { Property } from "./Properties.ts"
import { skipPublishProperty } from "./publishProperties.ts"
import { variableByteIntegerSize, writeVariableByteInteger } from "./variableByteInteger.ts"

/**
 * How the bytes of one PUBLISH become those of another: other QoS, other version, aliases and subscription identifiers
 * added, the remaining expiry written. Works on the bytes as they came; no object in between.
 */

/** `shape` of a PUBLISH: the low three bits of its first byte (RETAIN, QoS) and what is in its properties. */
export const Shape = {
  Retain: 1,
  QoS: 6,
  /** It has a property section. */
  Version5: 8,
  /** It has a topic alias, and maybe no topic name. */
  TopicAlias: 16,
  Expiry: 32
} as const

/** A PUBLISH as it came in. */
export interface PublishBytes {
  readonly buffer: Buffer
  readonly start: number
  readonly end: number
  readonly payloadLength: number
  readonly shape: number
  readonly topic: string
}

/** What is wanted in the packet that goes out. */
export interface PublishHop {
  version5: boolean
  qos: QoS
  /** The first byte. */
  header: number
  packetIdentifier: number
  subscriptionIdentifiers: ReadonlyArray<number> | undefined
  /** Seconds; -1 leaves the property out. */
  remainingExpiry: number
  /** 0 = none. */
  topicAlias: number
  omitTopic: boolean
}

/** Whether the packet can go out as it came in, but for its first byte, its packet identifier and its expiry. */
export const isSameLayout = (source: PublishBytes, hop: PublishHop): boolean => {
  const shape = source.shape
  return (shape & (Shape.Version5 | Shape.TopicAlias)) === (hop.version5 ? Shape.Version5 : 0) &&
    ((shape & Shape.QoS) === 0) === (hop.qos === 0) && hop.subscriptionIdentifiers === undefined &&
    hop.topicAlias === 0 &&
    ((shape & Shape.Expiry) === 0 || hop.remainingExpiry >= 0)
}

/** Bytes of the whole packet that goes out; more than `noMaximumPacketSize` when no fixed header can say it. */
export const outgoingSize = (source: PublishBytes, hop: PublishHop): number => {
  if (isSameLayout(source, hop)) return source.end - source.start
  measure(source, hop)
  return 1 + variableByteIntegerSize(measured.remaining) + measured.remaining
}

/** Writes `outgoingSize` bytes and returns the position after them. */
export const writeOutgoing = (source: PublishBytes, hop: PublishHop, target: Buffer, at: number): number => {
  if (isSameLayout(source, hop)) return writeAsItCame(source, hop, target, at)
  measure(source, hop)
  return writeAnew(source, hop, target, at)
}

/** Where the first property is: after the property length. Equal to the payload's start for a version without. */
export const propertiesStart = (source: PublishBytes): number => {
  const { buffer, start, end, shape } = source
  if ((shape & Shape.Version5) === 0) return end - source.payloadLength
  const topic = start + headerLength(end - start) + 2
  let at = topic + uint16(buffer, topic - 2) + ((shape & Shape.QoS) === 0 ? 0 : 2)
  while ((buffer[at++] as number) >= 0x80);
  return at
}

const writeAsItCame = (source: PublishBytes, hop: PublishHop, target: Buffer, at: number): number => {
  const { buffer, start, end } = source
  copyBytes(buffer, start, end, target, at)
  target[at] = hop.header
  if (hop.qos !== 0) writePacketIdentifier(target, at, end - start, hop.packetIdentifier)
  const after = at + end - start
  if ((source.shape & Shape.Expiry) !== 0) {
    writeExpiry(target, at + propertiesStart(source) - start, after - source.payloadLength, hop.remainingExpiry)
  }
  return after
}

/** Overwrites the packet identifier of the PUBLISH with QoS 1 or 2 that is `size` bytes at `start`. */
export const writePacketIdentifier = (target: Buffer, start: number, size: number, packetIdentifier: number): void => {
  const topic = start + headerLength(size)
  const at = topic + 2 + uint16(target, topic)
  target[at] = packetIdentifier >>> 8
  target[at + 1] = packetIdentifier & 0xff
}

// Where things are in the source and how long they get: one object for all calls, filled and used within one.
const measured = { topicFrom: 0, topicTo: 0, topicLength: 0, propertiesFrom: 0, propertiesLength: 0, remaining: 0 }

const measure = (source: PublishBytes, hop: PublishHop): void => {
  const { buffer, start, end, payloadLength, shape } = source
  const topicFrom = start + headerLength(end - start) + 2
  const topicTo = topicFrom + uint16(buffer, topicFrom - 2)
  measured.topicFrom = topicFrom
  measured.topicTo = topicTo
  measured.topicLength = hop.omitTopic
    ? 0
    : topicFrom === topicTo
    ? Buffer.byteLength(source.topic)
    : topicTo - topicFrom
  let remaining = 2 + measured.topicLength + (hop.qos === 0 ? 0 : 2) + payloadLength
  if (hop.version5) {
    let from = end - payloadLength
    if ((shape & Shape.Version5) !== 0) {
      from = topicTo + ((shape & Shape.QoS) === 0 ? 0 : 2)
      while ((buffer[from++] as number) >= 0x80);
    }
    let length = end - payloadLength - from
    if ((shape & Shape.TopicAlias) !== 0) length -= 3
    if ((shape & Shape.Expiry) !== 0 && hop.remainingExpiry < 0) length -= 5
    if (hop.topicAlias !== 0) length += 3
    if (hop.subscriptionIdentifiers !== undefined) {
      for (const identifier of hop.subscriptionIdentifiers) length += 1 + variableByteIntegerSize(identifier)
    }
    measured.propertiesFrom = from
    measured.propertiesLength = length
    remaining += variableByteIntegerSize(length) + length
  }
  measured.remaining = remaining
}

const writeAnew = (source: PublishBytes, hop: PublishHop, target: Buffer, start: number): number => {
  const { buffer, end, payloadLength } = source
  const { topicFrom, topicTo, topicLength } = measured
  target[start] = hop.header
  let at = writeVariableByteInteger(target, start + 1, measured.remaining)
  target[at] = topicLength >>> 8
  target[at + 1] = topicLength & 0xff
  at += 2
  if (topicLength !== 0) {
    if (topicFrom === topicTo) target.write(source.topic, at, "utf8")
    else copyBytes(buffer, topicFrom, topicTo, target, at)
    at += topicLength
  }
  // [MQTT-2.3.1-5] [MQTT5-2.2.1-2] only QoS 1 and 2 have a packet identifier
  if (hop.qos !== 0) {
    target[at] = hop.packetIdentifier >>> 8
    target[at + 1] = hop.packetIdentifier & 0xff
    at += 2
  }
  // [MQTT31-7] the older versions get the message without its properties
  if (hop.version5) at = writeProperties(source, hop, target, at)
  copyBytes(buffer, end - payloadLength, end, target, at)
  return at + payloadLength
}

const writeProperties = (source: PublishBytes, hop: PublishHop, target: Buffer, start: number): number => {
  let at = writeVariableByteInteger(target, start, measured.propertiesLength)
  if (hop.topicAlias !== 0) {
    target[at] = Property.TopicAlias
    target[at + 1] = hop.topicAlias >>> 8
    target[at + 2] = hop.topicAlias & 0xff
    at += 3
  }
  if (hop.subscriptionIdentifiers !== undefined) {
    for (const identifier of hop.subscriptionIdentifiers) {
      target[at] = Property.SubscriptionIdentifier
      at = writeVariableByteInteger(target, at + 1, identifier)
    }
  }
  // [MQTT5-3.3.2-4] [MQTT5-3.3.2-15] [MQTT5-3.3.2-16] [MQTT5-3.3.2-17] [MQTT5-3.3.2-18] [MQTT5-3.3.2-20] copied as
  // they came, in their order
  const { buffer, shape } = source
  const from = measured.propertiesFrom
  const to = source.end - source.payloadLength
  if ((shape & (Shape.TopicAlias | Shape.Expiry)) === 0) {
    copyBytes(buffer, from, to, target, at)
    return at + to - from
  }
  const first = at
  let next = from
  for (let property = from; property < to; property = next) {
    next = skipPublishProperty(buffer, property)
    // [MQTT-3.3.2-7] an alias ends with the connection that it came on
    if (buffer[property] === Property.TopicAlias) continue
    if (buffer[property] === Property.MessageExpiryInterval && hop.remainingExpiry < 0) continue
    copyBytes(buffer, property, next, target, at)
    at += next - property
  }
  if ((shape & Shape.Expiry) !== 0 && hop.remainingExpiry >= 0) writeExpiry(target, first, at, hop.remainingExpiry)
  return at
}

/** Overwrites the Message Expiry Interval among the properties in target[from..to) [MQTT-3.3.2-6]. */
const writeExpiry = (target: Buffer, from: number, to: number, seconds: number): void => {
  for (let at = from; at < to; at = skipPublishProperty(target, at)) {
    if (target[at] === Property.MessageExpiryInterval) {
      target.writeUInt32BE(seconds, at + 1)
      return
    }
  }
}

const uint16 = (buffer: Buffer, at: number): number => ((buffer[at] as number) << 8) | (buffer[at + 1] as number)
