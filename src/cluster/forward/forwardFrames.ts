// The bodies of the frames of Forwarder.ts: messages with their place in the stream, and places. Plain code. Times travel as spans: the clocks
// of two nodes may be minutes apart. Invariant: a message arrives with the bytes of the PUBLISH that its client has sent.
import { Buffer } from "node:buffer"
import type { Message } from "../../mqtt/Message.ts"
import type { TopicTable } from "../../mqtt/TopicTable.ts"
import { contentOf, messageOf } from "../../store/storedMessage.ts"
import { BodyReader } from "../BodyReader.ts"
import type { BodyWriter } from "../BodyWriter.ts"
import { noGroupKeys, type Position, type Target, toRoutes } from "./Entry.ts"

const sequenced = 1
const forRoutes = 2
const forGroups = 4
const expires = 8
const hopsShift = 4

const mostAge = 0xffff_ffff

/** Begins a body: the places in it count from `base`. */
export const beginMessages = (writer: BodyWriter, base: Position): void => {
  writer.reset().uint64(base.epoch).uint64(base.sequence)
}

/** `offset`: from the base's sequence; -1 for a message that has no place: QoS 0, which may be lost. */
export const writeMessage = (
  writer: BodyWriter,
  message: Message,
  target: Target,
  offset: number,
  now: number
): void => {
  const { expiresAt, packet, publisher, receivedAt, shape } = contentOf(message)
  const { groups, hops, routes } = target
  writer.uint8(
    (offset < 0 ? 0 : sequenced) | (routes ? forRoutes : 0) | (groups.length > 0 ? forGroups : 0) |
      (expiresAt === 0 ? 0 : expires) | (hops << hopsShift)
  )
  if (offset >= 0) writer.uint32(offset)
  writer.uint8(shape).text(publisher).uint32(Math.min(mostAge, Math.max(0, now - receivedAt)))
  if (expiresAt !== 0) writer.float64(expiresAt - now)
  if (groups.length > 0) {
    writer.uint16(groups.length)
    for (const key of groups) writer.text(key)
  }
  writer.data(packet)
}

/** One message of a body; `sequence` -1: it has no place. */
export type TakeMessage = (message: Message, target: Target, epoch: number, sequence: number) => void

/** The messages point into the body, which they keep: it is the caller's copy. */
export const readMessages = (body: Buffer, topics: TopicTable, now: number, take: TakeMessage): void => {
  const reader = new BodyReader(body)
  const epoch = reader.uint64()
  const base = reader.uint64()
  while (!reader.atEnd) {
    const flags = reader.uint8()
    const sequence = (flags & sequenced) === 0 ? -1 : base + reader.uint32()
    const shape = reader.uint8()
    const publisher = reader.text()
    const receivedAt = now - reader.uint32()
    const expiresAt = (flags & expires) === 0 ? 0 : Math.max(1, now + reader.float64())
    const target = targetOf(flags, reader)
    const packet = reader.take(reader.uint32())
    take(messageOf({ packet, shape, publisher, receivedAt, expiresAt }, topics), target, epoch, sequence)
  }
}

const targetOf = (flags: number, reader: BodyReader): Target => {
  const hops = flags >>> hopsShift
  if ((flags & forGroups) === 0) {
    return (flags & forRoutes) !== 0 && hops === 0
      ? toRoutes
      : { routes: (flags & forRoutes) !== 0, groups: noGroupKeys, hops }
  }
  const groups: Array<string> = []
  for (let count = reader.uint16(); count > 0; count--) groups.push(reader.text())
  return { routes: (flags & forRoutes) !== 0, groups, hops }
}

export const writePosition = (writer: BodyWriter, { epoch, sequence }: Position): Uint8Array =>
  writer.reset().uint64(epoch).uint64(sequence).written()

export const readPosition = (body: Buffer): Position => {
  const reader = new BodyReader(body)
  return { epoch: reader.uint64(), sequence: reader.uint64() }
}
