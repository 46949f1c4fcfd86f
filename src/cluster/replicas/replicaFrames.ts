// Changes of replicated keys between nodes as bytes. Plain functions. A read beyond the end throws, which closes the link.
import { BodyReader } from "../BodyReader.ts"
import { BodyWriter } from "../BodyWriter.ts"
import { bucketCount, type Stamp } from "./ReplicaStamps.ts"

export interface Change<A> extends Stamp {
  readonly key: string
  /** Null: deleted. */
  readonly content: A | null
}

/** How what stands under a key goes over the link. `now`: ms since 1970; times go as what is left of them. */
export interface ContentCodec<A> {
  readonly write: (to: BodyWriter, content: A, now: number) => void
  readonly read: (from: BodyReader, now: number) => A
}

/** A frame is sent when it has so many bytes; a longer change is a frame of its own. */
export const deltaBytes = 65_536

const body = new BodyWriter(deltaBytes)

/** Begins a frame of changes. */
export const beginChanges = (): BodyWriter => body.reset()

export const writeChange = <A>(
  to: BodyWriter,
  { content, key, node, stamp }: Change<A>,
  codec: ContentCodec<A>,
  now: number
): void => {
  to.uint64(stamp).text(node).text(key).uint8(content === null ? 0 : 1)
  if (content !== null) codec.write(to, content, now)
}

export const readChanges = <A>(
  bytes: Buffer,
  codec: ContentCodec<A>,
  now: number,
  take: (change: Change<A>) => void
): void => {
  const from = new BodyReader(bytes)
  while (!from.atEnd) {
    const stamp = from.uint64()
    const node = from.text()
    const key = from.text()
    take({ key, stamp, node, content: from.uint8() === 0 ? null : codec.read(from, now) })
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
  for (const [key, { node, stamp }] of stamps) body.text(key).uint64(stamp).text(node)
  return body.written()
}

export const readBucket = (bytes: Buffer): { readonly bucket: number; readonly stamps: ReadonlyMap<string, Stamp> } => {
  const from = new BodyReader(bytes)
  const bucket = from.uint8()
  const stamps = new Map<string, Stamp>()
  while (!from.atEnd) {
    const key = from.text()
    stamps.set(key, { stamp: from.uint64(), node: from.text() })
  }
  return { bucket, stamps }
}
