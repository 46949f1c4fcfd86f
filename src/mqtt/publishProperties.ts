import { Buffer } from "node:buffer"
import type { PublishProperties } from "./Packet.ts"
import { Property } from "./Properties.ts"

/**
 * The properties of a PUBLISH between bytes and object. `parse` reads bytes that PublishDecoder has checked already, so it checks
 * nothing; `write` puts the user properties last and in their order [MQTT-3.3.2-18].
 */

/** Position after the property at `at`, for the properties that a PUBLISH may have. */
export const skipPublishProperty = (buffer: Buffer, at: number): number => {
  switch (buffer[at]) {
    case Property.PayloadFormatIndicator:
      return at + 2
    case Property.MessageExpiryInterval:
      return at + 5
    case Property.TopicAlias:
      return at + 3
    case Property.UserProperty: {
      const value = at + 3 + buffer.readUInt16BE(at + 1)
      return value + 2 + buffer.readUInt16BE(value)
    }
    default:
      return at + 3 + buffer.readUInt16BE(at + 1)
  }
}

/** Null when there is nothing that travels with the message. Copies what it takes. */
export const parsePublishProperties = (buffer: Buffer, start: number, end: number): PublishProperties | null => {
  const found: { -readonly [K in keyof PublishProperties]: PublishProperties[K] } = {}
  const userProperties: Array<readonly [string, string]> = []
  let any = false
  let next = start
  for (let at = start; at < end; at = next) {
    next = skipPublishProperty(buffer, at)
    const identifier = buffer[at]
    if (identifier === Property.TopicAlias) continue
    any = true
    if (identifier === Property.PayloadFormatIndicator) found.payloadFormatIndicator = buffer[at + 1] === 1 ? 1 : 0
    else if (identifier === Property.MessageExpiryInterval) found.messageExpiryInterval = buffer.readUInt32BE(at + 1)
    else if (identifier === Property.CorrelationData) {
      found.correlationData = new Uint8Array(buffer.subarray(at + 3, next))
    } else if (identifier === Property.ContentType) found.contentType = buffer.toString("utf8", at + 3, next)
    else if (identifier === Property.ResponseTopic) found.responseTopic = buffer.toString("utf8", at + 3, next)
    else {
      const nameEnd = at + 3 + buffer.readUInt16BE(at + 1)
      userProperties.push([buffer.toString("utf8", at + 3, nameEnd), buffer.toString("utf8", nameEnd + 2, next)])
    }
  }
  if (userProperties.length > 0) found.userProperties = userProperties
  return any ? found : null
}

export const publishPropertiesSize = (properties: PublishProperties | null): number => {
  if (properties === null) return 0
  let size = 0
  if (properties.payloadFormatIndicator !== undefined) size += 2
  if (properties.messageExpiryInterval !== undefined) size += 5
  if (properties.contentType !== undefined) size += 3 + Buffer.byteLength(properties.contentType)
  if (properties.responseTopic !== undefined) size += 3 + Buffer.byteLength(properties.responseTopic)
  if (properties.correlationData !== undefined) size += 3 + properties.correlationData.length
  for (const [name, value] of properties.userProperties ?? []) {
    size += 5 + Buffer.byteLength(name) + Buffer.byteLength(value)
  }
  return size
}

/** Returns the position after them. */
export const writePublishProperties = (properties: PublishProperties | null, target: Buffer, at: number): number => {
  if (properties === null) return at
  if (properties.payloadFormatIndicator !== undefined) {
    target[at] = Property.PayloadFormatIndicator
    target[at + 1] = properties.payloadFormatIndicator
    at += 2
  }
  if (properties.messageExpiryInterval !== undefined) {
    target[at] = Property.MessageExpiryInterval
    at = target.writeUInt32BE(properties.messageExpiryInterval, at + 1)
  }
  if (properties.contentType !== undefined) {
    target[at] = Property.ContentType
    at = writeString(target, at + 1, properties.contentType)
  }
  if (properties.responseTopic !== undefined) {
    target[at] = Property.ResponseTopic
    at = writeString(target, at + 1, properties.responseTopic)
  }
  if (properties.correlationData !== undefined) {
    target[at] = Property.CorrelationData
    target.writeUInt16BE(properties.correlationData.length, at + 1)
    target.set(properties.correlationData, at + 3)
    at += 3 + properties.correlationData.length
  }
  for (const [name, value] of properties.userProperties ?? []) {
    target[at] = Property.UserProperty
    at = writeString(target, writeString(target, at + 1, name), value)
  }
  return at
}

/** Two bytes of length and the text; returns the position after it. */
export const writeString = (target: Buffer, at: number, text: string): number => {
  const length = target.write(text, at + 2, "utf8")
  target.writeUInt16BE(length, at)
  return at + 2 + length
}
