// The bodies of the frames of Forwarder.ts: runs of messages with their places in the stream, and places. Plain code. Times travel as spans: the
// clocks of two nodes may be minutes apart. Invariant: a message arrives with the bytes of the PUBLISH that its client has sent.
import { Buffer } from "node:buffer"
import { Message } from "../../mqtt/Message.ts"
import { Shape } from "../../mqtt/publishLayout.ts"
import type { TopicTable } from "../../mqtt/TopicTable.ts"
import { BodyReader } from "../BodyReader.ts"
import type { BodyWriter } from "../BodyWriter.ts"
import { FrameMalformed } from "../routes/routeFrames.ts"
import { noGroupKeys, type Position, type Run, type Target, toRoutes } from "./Entry.ts"

const sequenced = 1
const forRoutes = 2
const forGroups = 4
const expires = 8
const version5 = 16
const hopsShift = 5

const mostAge = 0xffff_ffff

/** Begins a body: the places in it count from `base`. */
export const beginMessages = (writer: BodyWriter, base: Position): void => {
  writer.reset().uint64(base.epoch).uint64(base.sequence)
}

/** `offset`: from the base's sequence; -1 for a run that has no place: it may be lost. */
export const writeRun = (writer: BodyWriter, run: Run, offset: number, now: number): void => {
  const { buffer, end, expiresAt, shape, start } = run
  const { groups, hops, routes } = run.target
  writer.uint8(
    (offset < 0 ? 0 : sequenced) | (routes ? forRoutes : 0) | (groups.length > 0 ? forGroups : 0) |
      (expiresAt === 0 ? 0 : expires) | ((shape & Shape.Version5) === 0 ? 0 : version5) | (hops << hopsShift)
  )
  if (offset >= 0) writer.uint32(offset)
  writer.text(run.publisher).uint32(Math.min(mostAge, Math.max(0, now - run.receivedAt)))
  if (expiresAt !== 0) writer.float64(expiresAt - now)
  if (groups.length > 0) {
    writer.uint16(groups.length)
    for (const key of groups) writer.text(key)
  }
  writer.uint32(end - start).range(buffer, start, end)
}

export interface TakeMessages {
  /** A run comes; false: it is passed over. `sequence` -1: it has no place. */
  run(epoch: number, sequence: number): boolean
  message(message: Message, target: Target): void
}

/**
 * The body is copied. A run that has a place is kept by sessions until it is acknowledged, and has a copy of its own; the others share one, which is
 * gone in a moment.
 */
export const readMessages = (body: Buffer, topics: TopicTable, now: number, take: TakeMessages): void => {
  const reader = new BodyReader(body)
  const epoch = reader.uint64()
  const base = reader.uint64()
  let shared: Buffer | undefined
  while (!reader.atEnd) {
    const flags = reader.uint8()
    const sequence = (flags & sequenced) === 0 ? -1 : base + reader.uint32()
    const publisher = reader.text()
    const receivedAt = now - reader.uint32()
    const expiresAt = (flags & expires) === 0 ? 0 : Math.max(1, now + reader.float64())
    const target = targetOf(flags, reader)
    const size = reader.uint32()
    if (size > reader.left) throw new FrameMalformed("a run of messages")
    const start = reader.offset
    reader.offset += size
    if (!take.run(epoch, sequence)) continue
    const run = sequence < 0 ? shared ??= copyOf(body, 0, body.length) : copyOf(body, start, size)
    const first = sequence < 0 ? start : 0
    const end = first + size
    const shape = ((flags & version5) === 0 ? 0 : Shape.Version5) | (expiresAt === 0 ? 0 : Shape.Expiry)
    for (let at = first; at < end;) {
      const message = packetAt(run, at, end, shape, publisher, receivedAt, expiresAt, topics)
      at = message.end
      take.message(message, target)
    }
  }
}

const copyOf = (body: Buffer, start: number, size: number): Buffer => {
  const copy = Buffer.allocUnsafeSlow(size)
  body.copy(copy, 0, start, start + size)
  return copy
}

/** Throws FrameMalformed, or ProtocolError where its topic name is none. */
export const packetAt = (
  buffer: Buffer,
  start: number,
  most: number,
  shape: number,
  publisher: string,
  receivedAt: number,
  expiresAt: number,
  topics: TopicTable
): Message => {
  let at = start + 1
  let length = 0
  for (let shift = 0; shift < 28; shift += 7) {
    const byte = buffer[at++] ?? 0
    length |= (byte & 0x7f) << shift
    if (byte < 0x80) break
  }
  const end = at + length
  if (end > most || length < 2) throw new FrameMalformed("a message")
  const first = buffer[start] ?? 0
  const topicStart = at + 2
  const topicEnd = topicStart + ((buffer[at] ?? 0) << 8 | (buffer[at + 1] ?? 0))
  let payload = topicEnd + ((first & Shape.QoS) === 0 ? 0 : 2)
  if ((shape & Shape.Version5) !== 0) {
    let properties = 0
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = buffer[payload++] ?? 0
      properties |= (byte & 0x7f) << shift
      if (byte < 0x80) break
    }
    payload += properties
  }
  if (first >> 4 !== 3 || payload > end) throw new FrameMalformed("a message")
  return new Message(
    topics.lookup(buffer, topicStart, topicEnd),
    publisher,
    buffer,
    start,
    end,
    end - payload,
    shape | (first & (Shape.Retain | Shape.QoS)),
    receivedAt,
    expiresAt
  )
}

const targetOf = (flags: number, reader: BodyReader): Target => {
  const hops = flags >>> hopsShift
  const routes = (flags & forRoutes) !== 0
  if ((flags & forGroups) === 0) return routes && hops === 0 ? toRoutes : { routes, groups: noGroupKeys, hops }
  const groups: Array<string> = []
  for (let count = reader.uint16(); count > 0; count--) groups.push(reader.text())
  return { routes, groups, hops }
}

export const writePosition = (writer: BodyWriter, { epoch, sequence }: Position): Uint8Array =>
  writer.reset().uint64(epoch).uint64(sequence).written()

export const readPosition = (body: Buffer): Position => {
  const reader = new BodyReader(body)
  return { epoch: reader.uint64(), sequence: reader.uint64() }
}
