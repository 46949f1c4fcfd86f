// A Message as a row, and back. What is stored is the PUBLISH as it came in; only a topic alias, which ends with its connection, is
// written out. Plain functions.
import { Buffer } from "node:buffer"
import { headerLength } from "../mqtt/FrameReader.ts"
import { Message } from "../mqtt/Message.ts"
import { outgoingSize, type PublishHop, Shape, writeOutgoing } from "../mqtt/publishLayout.ts"
import type { TopicTable } from "../mqtt/TopicTable.ts"
import type { MessageRow } from "./Engine.ts"

export type StoredContent = Omit<MessageRow, "message">

/** A view of the message's bytes where that will do. */
export const contentOf = (message: Message): StoredContent => {
  const { buffer, end, expiresAt, publisher, receivedAt, shape, start } = message
  if ((shape & Shape.TopicAlias) === 0) {
    return { packet: buffer.subarray(start, end), shape, publisher, receivedAt, expiresAt }
  }
  const hop: PublishHop = {
    version5: true,
    qos: message.qos,
    header: 0x30 | (shape & (Shape.QoS | Shape.Retain)),
    packetIdentifier: 1,
    subscriptionIdentifiers: undefined,
    remainingExpiry: (shape & Shape.Expiry) === 0 ? -1 : Math.ceil((expiresAt - receivedAt) / 1000),
    topicAlias: 0,
    omitTopic: false
  }
  const packet = Buffer.allocUnsafeSlow(outgoingSize(message, hop))
  writeOutgoing(message, hop, packet, 0)
  return { packet, shape: shape & ~Shape.TopicAlias, publisher, receivedAt, expiresAt }
}

/** Undefined, and the reason, for bytes that make no message: a damaged row. */
export const readableMessage = (
  content: StoredContent,
  topics: TopicTable,
  unreadable: (reason: string) => void
): Message | undefined => {
  try {
    return messageOf(content, topics)
  } catch (error) {
    unreadable(error instanceof Error ? error.message : String(error))
    return undefined
  }
}

/** Throws for bytes that make no message. */
export const messageOf = (content: StoredContent, topics: TopicTable): Message => {
  const { packet, shape } = content
  const buffer = Buffer.from(packet.buffer, packet.byteOffset, packet.byteLength)
  const size = buffer.length
  const topicStart = headerLength(size) + 2
  const topicEnd = topicStart + buffer.readUInt16BE(topicStart - 2)
  let payload = topicEnd + ((shape & Shape.QoS) === 0 ? 0 : 2)
  if ((shape & Shape.Version5) !== 0) {
    let length = 0
    for (let shift = 0;; shift += 7) {
      const byte = buffer.readUInt8(payload++)
      length |= (byte & 0x7f) << shift
      if (byte < 0x80) break
    }
    payload += length
  }
  if (payload > size) throw new RangeError("a stored message ends too early")
  return new Message(
    topics.lookup(buffer, topicStart, topicEnd),
    content.publisher,
    buffer,
    0,
    size,
    size - payload,
    shape,
    content.receivedAt,
    content.expiresAt
  )
}
