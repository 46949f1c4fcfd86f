// Changes of retained messages between nodes as bytes. Plain functions. A read beyond the end throws, which closes the link.
import type { Message } from "../mqtt/Message.ts"
import type { TopicTable } from "../mqtt/TopicTable.ts"
import { contentOf, messageOf } from "../store/storedMessage.ts"
import { BodyReader } from "./BodyReader.ts"
import { BodyWriter } from "./BodyWriter.ts"
import { bucketCount, type Stamp } from "./RetainedStamps.ts"

export interface RetainedChange extends Stamp {
  readonly topic: string
  /** Null: deleted. */
  readonly message: Message | null
}

/** A frame is sent when it has so many bytes; a longer message is a frame of its own. */
export const deltaBytes = 65_536

const body = new BodyWriter(deltaBytes)

/** Begins a frame of changes. `now`: ms since 1970; times go as what is left of them. */
export const beginChanges = (): BodyWriter => body.reset()

export const writeChange = (to: BodyWriter, { message, node, stamp, topic }: RetainedChange, now: number): void => {
  to.uint64(stamp).text(node).text(topic).uint8(message === null ? 0 : 1)
  if (message === null) return
  const { expiresAt, packet, publisher, receivedAt, shape } = contentOf(message)
  to.uint32(shape).text(publisher).float64(now - receivedAt).float64(expiresAt === 0 ? Infinity : expiresAt - now)
  to.data(packet)
}

export const readChanges = (bytes: Buffer, topics: TopicTable, now: number, take: (change: RetainedChange) => void) => {
  const from = new BodyReader(bytes)
  while (!from.atEnd) {
    const stamp = from.uint64()
    const node = from.text()
    const topic = from.text()
    if (from.uint8() === 0) {
      take({ topic, stamp, node, message: null })
      continue
    }
    const shape = from.uint32()
    const publisher = from.text()
    const receivedAt = now - from.float64()
    const left = from.float64()
    const expiresAt = left === Infinity ? 0 : Math.max(1, now + left)
    const message = messageOf({ packet: from.data(), shape, publisher, receivedAt, expiresAt }, topics)
    take({ topic, stamp, node, message })
  }
}

export const writeDigest = (digest: Uint32Array): Uint8Array => {
  body.reset()
  for (const sum of digest) body.uint32(sum)
  return body.written()
}

/** The buckets in which the other node has something else. */
export const differingBuckets = (bytes: Buffer, digest: Uint32Array): ReadonlyArray<number> => {
  const from = new BodyReader(bytes)
  const differing: Array<number> = []
  for (let bucket = 0; bucket < bucketCount; bucket++) {
    const same = from.uint32() === digest[bucket * 2]
    if (from.uint32() !== digest[bucket * 2 + 1] || !same) differing.push(bucket)
  }
  return differing
}

/** What a node has in one bucket. */
export const writeBucket = (bucket: number, stamps: Iterable<readonly [string, Stamp]>): Uint8Array => {
  body.reset().uint8(bucket)
  for (const [topic, { node, stamp }] of stamps) body.text(topic).uint64(stamp).text(node)
  return body.written()
}

export const readBucket = (bytes: Buffer): { readonly bucket: number; readonly stamps: ReadonlyMap<string, Stamp> } => {
  const from = new BodyReader(bytes)
  const bucket = from.uint8()
  const stamps = new Map<string, Stamp>()
  while (!from.atEnd) {
    const topic = from.text()
    stamps.set(topic, { stamp: from.uint64(), node: from.text() })
  }
  return { bucket, stamps }
}
