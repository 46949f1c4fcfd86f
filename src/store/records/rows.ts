// Each row of the store as bytes, the same for every engine; the key of the row stands beside them, not in them.
// Invariant: what is written here is read by every later version; a change of a layout is a new store version.
import type { DeliveryRow, DeliveryState, MessageRow, RecordRow, SessionRow, SubscriptionRow } from "../Engine.ts"
import type { RecordReader } from "./RecordReader.ts"
import type { RecordWriter } from "./RecordWriter.ts"

export type RetainedMessage = Omit<MessageRow, "message">

/** What came later stands at the end, behind a flag of its own: a row without it is as it always was. */
export const writeSession = (to: RecordWriter, row: SessionRow) => {
  const { clientId, connected, expiresAt, expiryMillis, token = 0, userName, will, zone = "" } = row
  const by = will?.by ?? ""
  to.uint8(
    (connected ? 1 : 0) | (will === null ? 0 : 2) | (zone === "" ? 0 : 4) | (by === "" ? 0 : 8) |
      userNameFlag(userName) |
      (token === 0 ? 0 : 64)
  )
  to.float64(expiryMillis)
  to.float64(expiresAt)
  to.text(clientId)
  if (will !== null) {
    to.float64(will.delaySeconds)
    to.float64(will.dueAt)
    to.data(will.packet)
  }
  if (zone !== "") to.text(zone)
  if (by !== "") to.text(by)
  if (typeof userName === "string") to.text(userName)
  if (token !== 0) to.float64(token)
}

const userNameFlag = (userName: SessionRow["userName"]): number =>
  userName === undefined ? 0 : userName === null ? 32 : 16

export const readSession = (from: RecordReader, session: number): SessionRow => {
  const flags = from.uint8()
  const expiryMillis = from.float64()
  const expiresAt = from.float64()
  const clientId = from.text()
  const will = (flags & 2) === 0 ? null : { delaySeconds: from.float64(), dueAt: from.float64(), packet: from.data() }
  const zone = (flags & 4) === 0 ? undefined : from.text()
  const by = (flags & 8) === 0 ? undefined : from.text()
  const userName = (flags & 16) !== 0 ? from.text() : (flags & 32) !== 0 ? null : undefined
  const token = (flags & 64) === 0 ? 0 : from.float64()
  return {
    session,
    clientId,
    expiryMillis,
    expiresAt,
    connected: (flags & 1) !== 0,
    will: will === null || by === undefined ? will : { ...will, by },
    ...(zone === undefined ? {} : { zone }),
    ...(userName === undefined ? {} : { userName }),
    ...(token === 0 ? {} : { token })
  }
}

export const writeSubscription = (to: RecordWriter, row: SubscriptionRow): void => {
  to.uint8(row.qos | (row.noLocal ? 4 : 0) | (row.retainAsPublished ? 8 : 0) | (row.retainHandling << 4))
  to.uint32(row.subscriptionIdentifier)
  to.text(row.topicFilter)
}

const qualities = [0, 1, 2, 0] as const

export const readSubscription = (from: RecordReader, session: number): SubscriptionRow => {
  const flags = from.uint8()
  const subscriptionIdentifier = from.uint32()
  return {
    session,
    topicFilter: from.text(),
    qos: qualities[flags & 3] ?? 0,
    noLocal: (flags & 4) !== 0,
    retainAsPublished: (flags & 8) !== 0,
    retainHandling: qualities[(flags >> 4) & 3] ?? 0,
    subscriptionIdentifier
  }
}

export const writeMessage = (to: RecordWriter, row: RetainedMessage): void => {
  to.float64(row.receivedAt)
  to.float64(row.expiresAt)
  to.uint32(row.shape)
  to.text(row.publisher)
  to.data(row.packet)
}

export const readMessage = (from: RecordReader): RetainedMessage => {
  const receivedAt = from.float64()
  const expiresAt = from.float64()
  const shape = from.uint32()
  const publisher = from.text()
  return { packet: from.data(), shape, publisher, receivedAt, expiresAt }
}

/** The row without its exchange, which changes more often than the rest. */
export const writeDelivery = (to: RecordWriter, row: DeliveryRow): void => {
  to.uint8((row.qos === 2 ? 1 : 0) | (row.retain ? 2 : 0))
  to.float64(row.message)
  to.text(row.topicFilter)
  to.uint16(row.subscriptionIdentifiers.length)
  for (const identifier of row.subscriptionIdentifiers) to.uint32(identifier)
}

/** State and packet identifier as one number: 0 is queued, without an identifier. */
export const exchangeOf = ({ packetIdentifier, state }: Pick<DeliveryRow, "packetIdentifier" | "state">): number =>
  packetIdentifier * 4 + state

const states: ReadonlyArray<DeliveryState> = [0, 1, 2, 3]

export const readDelivery = (
  from: RecordReader,
  session: number,
  sequence: number,
  exchange: number
): DeliveryRow => {
  const flags = from.uint8()
  const message = from.float64()
  const topicFilter = from.text()
  const count = from.uint16()
  const subscriptionIdentifiers: Array<number> = []
  for (let index = 0; index < count; index++) subscriptionIdentifiers.push(from.uint32())
  return {
    session,
    sequence,
    message,
    qos: (flags & 1) !== 0 ? 2 : 1,
    retain: (flags & 2) !== 0,
    topicFilter,
    subscriptionIdentifiers,
    state: states[exchange & 3] ?? 0,
    packetIdentifier: Math.floor(exchange / 4)
  }
}

export const writeRecord = (to: RecordWriter, { key, kind, value }: RecordRow): void => {
  to.text(kind)
  to.text(key)
  to.data(value)
}

export const readRecord = (from: RecordReader): RecordRow => ({
  kind: from.text(),
  key: from.text(),
  value: from.data()
})
