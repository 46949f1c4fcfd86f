// A session on its way between two nodes as bytes: what it is, then what it is owed. Plain functions. The rows are those of the store, whose layouts
// only grow with its version. A read beyond the end throws a RangeError, which closes the link.
import type { StoredDelivery } from "../../store/Engine.ts"
import type { SessionHead } from "../../session/RemoteSessions.ts"
import { readTaken, writeTaken } from "../../session/TakenNotes.ts"
import { RecordReader } from "../../store/records/RecordReader.ts"
import { RecordWriter } from "../../store/records/RecordWriter.ts"
import {
  exchangeOf,
  readDelivery,
  readMessage,
  readSession,
  readSubscription,
  writeDelivery,
  writeMessage,
  writeSession,
  writeSubscription
} from "../../store/records/rows.ts"

export interface SessionPart {
  readonly clientId: string
  /** Of the claim that moves it. */
  readonly token: number
  /** As the former holder's store numbers it, which it does not do twice; 0: it is in no store. */
  readonly session: number
  /** There is nothing to move. */
  readonly none: boolean
  /** What came after its client had gone. */
  readonly late: boolean
  /** No more parts of the state, or of what came late. */
  readonly last: boolean
  /** With the first part of the state. */
  readonly head: Omit<SessionHead, "subscriptions"> | null
  readonly subscriptions: SessionHead["subscriptions"]
  readonly deliveries: ReadonlyArray<StoredDelivery>
}

/** Deliveries beyond this go in a frame of their own, bytes. */
const partBytes = 65_536

const none = 1
const late = 2
const last = 4
const withHead = 8
const withSubscriptions = 16

const to = new RecordWriter(partBytes)

/**
 * One frame, with as many of its subscriptions and then deliveries, counted through, from the one at `from` on as go into it; the head goes with the
 * first. `next`: where the next frame begins; beyond the last one when this was the last. The body is good until the next one is written.
 */
export const sessionFrame = (
  part: SessionPart,
  from: number,
  now: number
): { readonly body: Uint8Array; readonly next: number } => {
  const { deliveries, subscriptions } = part
  const head = from === 0 ? part.head : null
  to.length = 0
  to.float64(part.token)
  to.float64(part.session)
  to.float64(now)
  const flagsAt = to.length
  to.uint32(0)
  to.text(part.clientId)
  if (head !== null) writeHead(head)
  let next = from
  const withSome = next < subscriptions.length
  if (withSome) {
    const countAt = to.length
    to.uint32(0)
    for (; next < subscriptions.length && to.length < partBytes; next++) {
      const subscription = subscriptions[next]
      if (subscription !== undefined) writeSubscription(to, { session: 0, ...subscription })
    }
    to.overwriteUint32(countAt, next - from)
  }
  const size = subscriptions.length + deliveries.length
  for (; next >= subscriptions.length && next < size && to.length < partBytes; next++) {
    const delivery = deliveries[next - subscriptions.length]
    if (delivery !== undefined) writeOwed(delivery)
  }
  to.overwriteUint32(
    flagsAt,
    (part.none ? none : 0) | (part.late ? late : 0) | (part.last && next >= size ? last : 0) |
      (head === null ? 0 : withHead) | (withSome ? withSubscriptions : 0)
  )
  return { body: to.written(), next }
}

/** The clocks of two nodes may be minutes apart: what is left of each time is kept. `now`: ms since 1970, here. */
export const readSessionPart = (body: Uint8Array, now: number): SessionPart => {
  const from = new RecordReader(body)
  const token = from.float64()
  const session = from.float64()
  const ahead = now - from.float64()
  const flags = from.uint32()
  const clientId = from.text()
  const head = (flags & withHead) === 0 ? null : readHead(from, ahead)
  const subscriptions = (flags & withSubscriptions) === 0
    ? []
    : Array.from({ length: bounded(from.uint32()) }, () => readSubscription(from, 0))
  const deliveries: Array<StoredDelivery> = []
  while (!from.atEnd) deliveries.push(readOwed(from, ahead))
  return {
    clientId,
    token,
    session,
    none: (flags & none) !== 0,
    late: (flags & late) !== 0,
    last: (flags & last) !== 0,
    head,
    subscriptions,
    deliveries
  }
}

const writeHead = ({ awaitingPubrel, restored, row, seen, taken }: Omit<SessionHead, "subscriptions">): void => {
  writeSession(to, { session: 0, ...row })
  to.uint32(awaitingPubrel.length)
  for (const { packetIdentifier, since } of awaitingPubrel) {
    to.uint16(packetIdentifier)
    to.float64(since)
  }
  to.float64(restored)
  to.uint16(seen.length)
  for (const { epoch, node, sequence } of seen) {
    to.text(node)
    to.float64(epoch)
    to.float64(sequence)
  }
  writeTaken(to, taken)
}

const readHead = (from: RecordReader, ahead: number): Omit<SessionHead, "subscriptions"> => {
  const { session: _, ...row } = readSession(from, 0)
  const awaitingPubrel = Array.from(
    { length: bounded(from.uint32()) },
    () => ({ packetIdentifier: from.uint16(), since: from.float64() + ahead })
  )
  const restored = from.float64()
  const seen = Array.from(
    { length: from.uint16() },
    () => ({ node: from.text(), epoch: from.float64(), sequence: from.float64() })
  )
  const taken = readTaken(from)
  return { row: { ...row, expiresAt: row.expiresAt + ahead }, awaitingPubrel, restored, seen, taken }
}

/** More than any session may have: not bytes of ours. */
const bounded = (count: number): number => {
  if (count > 1_048_576) throw new RangeError("a session with too many parts")
  return count
}

const writeOwed = (delivery: StoredDelivery): void => {
  to.float64(delivery.sequence)
  to.float64(exchangeOf(delivery))
  writeDelivery(to, delivery)
  writeMessage(to, delivery.stored)
}

const readOwed = (from: RecordReader, ahead: number): StoredDelivery => {
  const sequence = from.float64()
  const exchange = from.float64()
  const row = readDelivery(from, 0, sequence, exchange)
  const stored = readMessage(from)
  const receivedAt = stored.receivedAt + ahead
  const expiresAt = stored.expiresAt === 0 ? 0 : Math.max(1, stored.expiresAt + ahead)
  return { ...row, stored: { message: row.message, ...stored, receivedAt, expiresAt } }
}
