// What a session that has moved was not given: between its leaving one node and its coming to the next, by a node that neither of them could ask. And the
// frames and records of it. Plain functions. Invariant: a gap says for each place where the session has been what of that origin it has seen there.
import { Buffer } from "node:buffer"
import { createHash } from "node:crypto"
import { BodyReader } from "../BodyReader.ts"
import { BodyWriter } from "../BodyWriter.ts"
import type { Position } from "./Entry.ts"

/** What `node` took of the origin behind `after` and up to `until` the session has seen there. */
export interface Stay {
  readonly node: string
  readonly after: Position
  readonly until: Position
}

export interface Gap {
  /** Given by the node where the session is: another one each time it learns more. */
  readonly id: string
  /** The node whose messages are missing. */
  readonly origin: string
  readonly clientId: string
  /** The last is where it is now. */
  readonly stays: ReadonlyArray<Stay>
}

/** Of one session, from the node that it leaves: for each origin what it has seen so far. */
export interface SeenBefore {
  readonly clientId: string
  readonly origins: ReadonlyMap<string, ReadonlyArray<Stay>>
}

/** The same for all sessions that were in the same places: what a message names that is for them. */
export const gapKey = (stays: ReadonlyArray<Stay>): string =>
  `$gap/${createHash("sha256").update(JSON.stringify(stays)).digest("base64url").slice(0, 20)}`

export const forever: Position = { epoch: Number.MAX_SAFE_INTEGER, sequence: 0 }

/** Where a session has been longest ago is forgotten beyond this. */
export const mostStays = 16

const body = new BodyWriter(4096)

const writeStays = (stays: ReadonlyArray<Stay>): void => {
  body.uint16(stays.length)
  for (const { after, node, until } of stays) {
    body.text(node).uint64(after.epoch).uint64(after.sequence).uint64(until.epoch).uint64(until.sequence)
  }
}

const readStays = (reader: BodyReader): ReadonlyArray<Stay> =>
  Array.from({ length: reader.uint16() }, () => ({
    node: reader.text(),
    after: { epoch: reader.uint64(), sequence: reader.uint64() },
    until: { epoch: reader.uint64(), sequence: reader.uint64() }
  }))

export const writeSeen = ({ clientId, origins }: SeenBefore): Uint8Array => {
  body.reset().text(clientId)
  for (const [origin, stays] of origins) {
    body.text(origin)
    writeStays(stays)
  }
  return body.written()
}

export const readSeen = (bytes: Buffer): SeenBefore => {
  const reader = new BodyReader(bytes)
  const clientId = reader.text()
  const origins = new Map<string, ReadonlyArray<Stay>>()
  while (!reader.atEnd) origins.set(reader.text(), readStays(reader))
  return { clientId, origins }
}

const framesOf = 32 * 1024

/** As many as one frame takes, from this one on; returns where the next frame begins. */
export const writeGaps = (
  gaps: ReadonlyArray<Gap>,
  from: number
): { readonly bytes: Uint8Array; readonly next: number } => {
  body.reset()
  let next = from
  for (; next < gaps.length && body.length < framesOf; next++) {
    const gap = gaps[next]
    if (gap === undefined) continue
    body.text(gap.id).text(gap.clientId)
    writeStays(gap.stays)
  }
  return { bytes: body.written(), next }
}

export const readGaps = (bytes: Buffer, origin: string): ReadonlyArray<Gap> => {
  const reader = new BodyReader(bytes)
  const gaps: Array<Gap> = []
  while (!reader.atEnd) gaps.push({ id: reader.text(), origin, clientId: reader.text(), stays: readStays(reader) })
  return gaps
}

export const writeIds = (ids: ReadonlyArray<string>) => body.reset().texts(ids).written()

export const readIds = (bytes: Buffer) => new BodyReader(bytes).texts()

/** Kept by the node where the session is, by its id. */
export const gapKind = "cluster_gap"
/** Kept by the origin, by the node that has told of it and its id: it has been filled, and must not be a second time. */
export const filledKind = "cluster_gap_filled"

export const gapValue = ({ clientId, origin, stays }: Gap): Uint8Array => {
  body.reset().text(origin).text(clientId)
  writeStays(stays)
  return body.written().slice()
}

/** Undefined: damaged. */
export const gapOf = (id: string, value: Uint8Array): Gap | undefined => {
  try {
    const reader = new BodyReader(Buffer.from(value.buffer, value.byteOffset, value.byteLength))
    return { id, origin: reader.text(), clientId: reader.text(), stays: readStays(reader) }
  } catch {
    return undefined
  }
}
