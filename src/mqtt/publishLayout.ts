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
  const remaining = remainingLength(source, hop)
  return 1 + variableByteIntegerSize(remaining) + remaining
}

/** Writes `outgoingSize` bytes and returns the position after them. */
export const writeOutgoing = (source: PublishBytes, hop: PublishHop, target: Buffer, at: number): number => {
  if (isSameLayout(source, hop)) {
    const { buffer, start, end } = source
    copyBytes(buffer, start, end, target, at)
    target[at] = hop.header
    if (hop.qos !== 0) {
      const topic = at + headerLength(end - start)
      const identifier = topic + 2 + (((target[topic] as number) << 8) | (target[topic + 1] as number))
      target[identifier] = hop.packetIdentifier >>> 8
      target[identifier + 1] = hop.packetIdentifier & 0xff
    }
    const after = at + end - start
    if ((source.shape & Shape.Expiry) !== 0) {
      writeExpiry(target, at + propertiesStart(source) - start, after - source.payloadLength, hop.remainingExpiry)
    }
    return after
  }
  return writeAnew(source, hop, target, at)
}

/** Where the topic name's first byte is; `topicEnd` where it ends. */
const topicStart = (source: PublishBytes): number => source.start + headerLength(source.end - source.start) + 2

const topicEnd = (source: PublishBytes): number => {
  const start = topicStart(source)
  return start + source.buffer.readUInt16BE(start - 2)
}

/** Where the first property is: after the property length. Equal to the payload's start for a version without. */
export const propertiesStart = (source: PublishBytes): number => {
  if ((source.shape & Shape.Version5) === 0) return source.end - source.payloadLength
  let at = topicEnd(source) + ((source.shape & Shape.QoS) === 0 ? 0 : 2)
  while ((source.buffer[at++] as number) >= 0x80);
  return at
}

const topicLength = (source: PublishBytes, hop: PublishHop): number => {
  if (hop.omitTopic) return 0
  const length = topicEnd(source) - topicStart(source)
  return length === 0 ? Buffer.byteLength(source.topic) : length
}

const propertiesLength = (source: PublishBytes, hop: PublishHop): number => {
  let length = source.end - source.payloadLength - propertiesStart(source)
  if ((source.shape & Shape.TopicAlias) !== 0) length -= 3
  if ((source.shape & Shape.Expiry) !== 0 && hop.remainingExpiry < 0) length -= 5
  if (hop.topicAlias !== 0) length += 3
  if (hop.subscriptionIdentifiers !== undefined) {
    for (const identifier of hop.subscriptionIdentifiers) length += 1 + variableByteIntegerSize(identifier)
  }
  return length
}

const remainingLength = (source: PublishBytes, hop: PublishHop): number => {
  const length = 2 + topicLength(source, hop) + (hop.qos === 0 ? 0 : 2) + source.payloadLength
  if (!hop.version5) return length
  const properties = propertiesLength(source, hop)
  return length + variableByteIntegerSize(properties) + properties
}

const writeAnew = (source: PublishBytes, hop: PublishHop, target: Buffer, start: number): number => {
  const { buffer, end } = source
  target[start] = hop.header
  let at = writeVariableByteInteger(target, start + 1, remainingLength(source, hop))
  at = writeTopic(source, hop, target, at)
  if (hop.qos !== 0) {
    target[at++] = hop.packetIdentifier >>> 8
    target[at++] = hop.packetIdentifier & 0xff
  }
  if (hop.version5) at = writeProperties(source, hop, target, at)
  copyBytes(buffer, end - source.payloadLength, end, target, at)
  return at + source.payloadLength
}

const writeTopic = (source: PublishBytes, hop: PublishHop, target: Buffer, at: number): number => {
  const length = topicLength(source, hop)
  target[at] = length >>> 8
  target[at + 1] = length & 0xff
  if (length === 0) return at + 2
  const from = topicStart(source)
  const to = topicEnd(source)
  if (from === to) target.write(source.topic, at + 2, "utf8")
  else copyBytes(source.buffer, from, to, target, at + 2)
  return at + 2 + length
}

const writeProperties = (source: PublishBytes, hop: PublishHop, target: Buffer, start: number): number => {
  let at = writeVariableByteInteger(target, start, propertiesLength(source, hop))
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
  const { buffer, shape } = source
  const from = propertiesStart(source)
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
