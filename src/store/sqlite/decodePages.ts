// What readRows wrote, as rows again, on the event loop.
import { type DeliveryPage, pageOf, type RecordRow, type StoredDelivery, type StoredSession } from "../Engine.ts"
import { RecordReader } from "../records/RecordReader.ts"
import {
  readDelivery,
  readMessage,
  readRecord,
  readSession,
  readSubscription,
  type RetainedMessage
} from "../records/rows.ts"

export const decodeSessions = (page: Uint8Array): ReadonlyArray<StoredSession> => {
  const from = new RecordReader(page)
  const sessions: Array<StoredSession> = []
  while (!from.atEnd) {
    const session = from.float64()
    const row = readSession(from, session)
    const subscriptions = repeat(from.uint32(), () => readSubscription(from, session))
    const awaitingPubrel = repeat(from.uint32(), () => ({ packetIdentifier: from.uint32(), since: from.float64() }))
    sessions.push({ row, subscriptions, awaitingPubrel, owed: from.float64(), lastSequence: from.float64() })
  }
  return sessions
}

const repeat = <A>(count: number, read: () => A): ReadonlyArray<A> => {
  const all: Array<A> = []
  for (let index = 0; index < count; index++) all.push(read())
  return all
}

export const decodeDeliveries = (page: Uint8Array, session: number): DeliveryPage => {
  const from = new RecordReader(page)
  const more = page.length > 0 && from.uint8() === 1
  const deliveries: Array<StoredDelivery> = []
  while (!from.atEnd) {
    const sequence = from.float64()
    const row = readDelivery(from, session, sequence, from.uint32())
    deliveries.push({ ...row, stored: { message: row.message, ...readMessage(from) } })
  }
  return pageOf(deliveries, more)
}

export const decodeRetained = (
  page: Uint8Array
): ReadonlyArray<{ readonly topic: string; readonly message: RetainedMessage }> => {
  const from = new RecordReader(page)
  const retained: Array<{ topic: string; message: RetainedMessage }> = []
  while (!from.atEnd) retained.push({ topic: from.text(), message: readMessage(from) })
  return retained
}

export const decodeRecords = (page: Uint8Array): ReadonlyArray<RecordRow> => {
  const from = new RecordReader(page)
  const records: Array<RecordRow> = []
  while (!from.atEnd) records.push(readRecord(from))
  return records
}
