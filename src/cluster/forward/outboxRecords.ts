// What the forwarder keeps on disk: messages that a peer is owed (kind "cluster_outbox", key: peer, epoch and sequence) and how far each peer's
// stream has come here (kind "cluster_position", key: peer). Plain functions. Invariant: the keys of one peer sort in the order of its stream.
import { Buffer } from "node:buffer"
import type { TopicTable } from "../../mqtt/TopicTable.ts"
import { RecordReader } from "../../store/records/RecordReader.ts"
import { RecordWriter } from "../../store/records/RecordWriter.ts"
import type { RouteLevel } from "../../router/RemoteRoutes.ts"
import { Entry, noGroupKeys, type Position } from "./Entry.ts"
import { packetAt } from "./forwardFrames.ts"

export const outboxKind = "cluster_outbox"
export const positionKind = "cluster_position"

const digits = 14

/** The name may hold any character: the rest has a fixed length. */
export const outboxKey = (peer: string, { epoch, sequence }: Position): string =>
  `${peer} ${epoch.toString(16).padStart(digits, "0")} ${sequence.toString(16).padStart(digits, "0")}`

export const outboxPlace = (key: string): { readonly peer: string; readonly position: Position } | undefined => {
  const found = /^(.+) ([0-9a-f]{14}) ([0-9a-f]{14})$/s.exec(key)
  if (found === null) return undefined
  const [, peer = "", epoch = "", sequence = ""] = found
  return { peer, position: { epoch: Number.parseInt(epoch, 16), sequence: Number.parseInt(sequence, 16) } }
}

/** Numbers of nodes are of one process: on disk they have names. */
export interface NodeNames {
  nameOf(number: number): string
  numberOf(name: string): number
}

/** Version 1 did not have the nodes. */
const layout = 2
const notKnown = 0xffff

export const outboxValue = (entry: Entry, names: NodeNames): Uint8Array => {
  const { buffer, count, end, expiresAt, given, level, publisher, receivedAt, shape, start, target } = entry
  const writer = new RecordWriter(end - start + 128)
  writer.uint8(layout)
  writer.uint8(level)
  writer.uint8(target.routes ? 1 : 0)
  writer.uint8(target.hops)
  writer.uint8(shape)
  writer.uint16(count)
  writer.float64(receivedAt)
  writer.float64(expiresAt)
  writer.text(publisher)
  writer.uint16(target.groups.length)
  for (const key of target.groups) writer.text(key)
  writer.uint16(given?.length ?? notKnown)
  for (const number of given ?? []) writer.text(names.nameOf(number))
  writer.data(buffer.subarray(start, end))
  return writer.finish()
}

/** Undefined: damaged, or of a later version. */
export const outboxEntry = (
  position: Position,
  value: Uint8Array,
  topics: TopicTable,
  now: number,
  names: NodeNames
): Entry | undefined => readable(() => readEntry(position, new RecordReader(value), topics, now, names))

const readEntry = (
  position: Position,
  reader: RecordReader,
  topics: TopicTable,
  now: number,
  names: NodeNames
): Entry | undefined => {
  const version = reader.uint8()
  if (version !== 1 && version !== layout) return undefined
  const level = reader.uint8() as RouteLevel
  const routes = reader.uint8() === 1
  const hops = reader.uint8()
  const shape = reader.uint8()
  const messages = reader.uint16()
  const receivedAt = reader.float64()
  const expiresAt = reader.float64()
  const publisher = reader.text()
  let groups = noGroupKeys
  for (let left = reader.uint16(); left > 0; left--) groups = [...groups, reader.text()]
  const count = version === 1 ? notKnown : reader.uint16()
  const given = count === notKnown ? undefined : Array.from({ length: count }, () => names.numberOf(reader.text()))
  const packets = reader.data()
  const buffer = Buffer.from(packets.buffer, packets.byteOffset, packets.byteLength)
  const message = packetAt(buffer, 0, buffer.length, shape, publisher, receivedAt, expiresAt, topics)
  const entry = new Entry(position, message, { routes, groups, hops }, level, now, null, given)
  entry.end = buffer.length
  entry.count = messages
  entry.storedIn = -1
  return entry
}

export const positionValue = ({ epoch, sequence }: Position): Uint8Array => {
  const writer = new RecordWriter(16)
  writer.float64(epoch)
  writer.float64(sequence)
  return writer.finish()
}

export const positionOf = (value: Uint8Array): Position | undefined =>
  readable(() => {
    const reader = new RecordReader(value)
    return { epoch: reader.float64(), sequence: reader.float64() }
  })

const readable = <A>(read: () => A): A | undefined => {
  try {
    return read()
  } catch {
    return undefined
  }
}
