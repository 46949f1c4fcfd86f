// A group of changes as one run of bytes, made on the event loop and applied by an engine, in SQLite's case in a thread of its own.
// A record: operation, size of the body, two keys, body; a body that is stored ends with room for a checksum.
// Invariant: records stand in the order in which they are to be applied.
import type { Changes, MessageRow } from "../Engine.ts"
import { RecordReader } from "./RecordReader.ts"
import { RecordWriter } from "./RecordWriter.ts"
import { exchangeOf, writeDelivery, writeMessage, writeRecord, writeSession, writeSubscription } from "./rows.ts"

export const Operation = {
  EndSession: 1,
  PutSession: 2,
  EndSubscription: 3,
  PutSubscription: 4,
  PutMessage: 5,
  /** The message stands in the row. */
  PutDelivery: 6,
  /** The message is a row of its own. */
  PutSharedDelivery: 7,
  SetExchange: 8,
  EndDelivery: 9,
  PutAwaitingPubrel: 10,
  EndAwaitingPubrel: 11,
  PutRetained: 12,
  EndRetained: 13,
  PutRecord: 14,
  EndRecord: 15
} as const
export type Operation = (typeof Operation)[keyof typeof Operation]

/** Bytes at the end of a stored body. */
export const checksumSize = 4

export interface GroupItem {
  readonly operation: number
  readonly a: number
  readonly b: number
  readonly body: Uint8Array
}

/** Operations of the same kind that follow one another. */
export interface GroupRun {
  readonly operation: number
  readonly items: Array<GroupItem>
}

/** A larger message is a row of its own, so that a page holds many deliveries. */
const inlineMaximum = 1024
const noBody = () => {}

/** Room for all of it but for long names, so that it is not moved while it is written: that would hold up the event loop. */
const roomFor = ({ deliveries, deliveriesDone, messages, retained }: Changes): number => {
  let room = 4096 + deliveries.length * 256 + deliveriesDone.length * 21
  for (const { packet } of messages) room += packet.length
  for (const { message, topic } of retained) room += 256 + topic.length + (message?.packet.length ?? 0)
  return room
}

/** A view of the beginning of a buffer that is its own. */
export const packGroup = (changes: Changes, now: number): Uint8Array<ArrayBuffer> => {
  const to = new RecordWriter(roomFor(changes))
  const record = (operation: Operation, a: number, b: number, body: () => void, stored: boolean): void => {
    to.uint8(operation)
    const start = to.length
    to.uint32(0)
    to.float64(a)
    to.float64(b)
    body()
    if (stored) to.uint32(0)
    to.overwriteUint32(start, to.length - start - 20)
  }
  to.float64(now)
  to.float64(highestOf(changes.sessions, (row) => row.session))
  to.float64(highestOf(changes.messages, (row) => row.message))

  for (const session of changes.sessionsEnded) record(Operation.EndSession, session, 0, noBody, false)
  for (const row of changes.sessions) {
    record(Operation.PutSession, row.session, 0, () => writeSession(to, row), true)
  }
  for (const { session, topicFilter } of changes.unsubscriptions) {
    record(Operation.EndSubscription, session, 0, () => to.text(topicFilter), false)
  }
  for (const row of changes.subscriptions) {
    record(Operation.PutSubscription, row.session, 0, () => writeSubscription(to, row), true)
  }
  packDeliveries(changes, to, record)
  for (const row of changes.deliveryStates) {
    record(Operation.SetExchange, row.session, row.sequence, () => to.uint32(exchangeOf(row)), false)
  }
  for (const { sequence, session } of changes.deliveriesDone) {
    record(Operation.EndDelivery, session, sequence, noBody, false)
  }
  for (const { packetIdentifier, session, since } of changes.awaitingPubrel) {
    if (since === 0) record(Operation.EndAwaitingPubrel, session, packetIdentifier, noBody, false)
    else record(Operation.PutAwaitingPubrel, session, packetIdentifier, () => to.float64(since), true)
  }
  for (const { message, topic } of changes.retained) {
    if (message === null) record(Operation.EndRetained, 0, 0, () => to.text(topic), false)
    else {
      record(Operation.PutRetained, 0, 0, () => {
        to.text(topic)
        writeMessage(to, message)
      }, true)
    }
  }
  for (const row of changes.records) {
    const { value } = row
    if (value !== null) record(Operation.PutRecord, 0, 0, () => writeRecord(to, { ...row, value }), true)
    else {
      record(Operation.EndRecord, 0, 0, () => {
        to.text(row.kind)
        to.text(row.key)
      }, false)
    }
  }
  return to.written()
}

type PutRecord = (operation: Operation, a: number, b: number, body: () => void, stored: boolean) => void

const packDeliveries = ({ deliveries, messages }: Changes, to: RecordWriter, record: PutRecord): void => {
  const rows = new Map<number, MessageRow>()
  for (const row of messages) rows.set(row.message, row)
  const receivers = new Map<number, number>()
  for (const { message } of deliveries) receivers.set(message, (receivers.get(message) ?? 0) + 1)
  const isInline = (row: MessageRow) => row.packet.length <= inlineMaximum && receivers.get(row.message) === 1
  for (const row of messages) {
    if (receivers.has(row.message) && !isInline(row)) {
      record(Operation.PutMessage, row.message, 0, () => writeMessage(to, row), true)
    }
  }
  for (const row of deliveries) {
    const message = rows.get(row.message)
    if (message === undefined || !isInline(message)) {
      record(Operation.PutSharedDelivery, row.session, row.sequence, () => writeDelivery(to, row), true)
      continue
    }
    record(Operation.PutDelivery, row.session, row.sequence, () => {
      writeDelivery(to, row)
      writeMessage(to, message)
    }, true)
  }
  for (const row of deliveries) {
    if (exchangeOf(row) === 0) continue
    record(Operation.SetExchange, row.session, row.sequence, () => to.uint32(exchangeOf(row)), false)
  }
}

const highestOf = <Row>(rows: ReadonlyArray<Row>, number: (row: Row) => number): number => {
  let highest = 0
  for (const row of rows) if (number(row) > highest) highest = number(row)
  return highest
}

export const readGroup = (
  group: Uint8Array
): {
  readonly now: number
  readonly session: number
  readonly message: number
  readonly runs: ReadonlyArray<GroupRun>
} => {
  const from = new RecordReader(group)
  const now = from.float64()
  const session = from.float64()
  const message = from.float64()
  const runs: Array<GroupRun> = []
  let run: GroupRun | undefined
  while (!from.atEnd) {
    const operation = from.uint8()
    const size = from.uint32()
    const item = { operation, a: from.float64(), b: from.float64(), body: from.take(size) }
    // The two kinds of deliveries go together: they share an order.
    const kind = operation === Operation.PutSharedDelivery ? Operation.PutDelivery : operation
    if (run?.operation !== kind) {
      run = { operation: kind, items: [] }
      runs.push(run)
    }
    run.items.push(item)
  }
  return { now, session, message, runs }
}

/** The number of the message that a delivery of kind PutSharedDelivery names. */
export const messageOf = ({ body, operation }: GroupItem): number | null => {
  if (operation !== Operation.PutSharedDelivery) return null
  const from = new RecordReader(body)
  from.offset = 1
  return from.float64()
}

/** The topic filter of a subscription's body, the topic of a retained message's. */
export const topicOf = ({ body, operation }: GroupItem): string => {
  const from = new RecordReader(body)
  if (operation === Operation.PutSubscription) from.offset = 5
  return from.text()
}

/** The kind and the key of a record's body. */
export const recordKeyOf = ({ body }: GroupItem): readonly [kind: string, key: string] => {
  const from = new RecordReader(body)
  return [from.text(), from.text()]
}
