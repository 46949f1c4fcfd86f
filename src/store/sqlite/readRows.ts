// Reads pages of rows into runs of bytes that the event loop decodes. Every row's checksum is judged here.
// Invariant: a damaged row is never answered; it is named to `damage`, and its page goes on without it.
import { deliveryPageBytes } from "../Engine.ts"
import { RecordReader } from "../records/RecordReader.ts"
import { RecordWriter } from "../records/RecordWriter.ts"
import { contentOf, openExchange } from "./checksum.ts"
import type { Statements } from "./Statements.ts"

/** Of deliveries, whose messages may be large, so that a page is not much larger than it may be. */
const rowsAtOnce = 32

type Key = number | string

/** A row whose checksum does not fit, by its table and its key. */
export interface DamagedRow {
  readonly table: "session" | "subscription" | "message" | "delivery" | "awaiting_pubrel" | "retained" | "record"
  readonly key: readonly [Key] | readonly [Key, Key]
}

export type Damage = (row: DamagedRow) => void

type Row = Readonly<Record<string, unknown>>

/** Session by session: session, row, subscriptions, awaiting PUBREL, owed, last sequence. */
export const readSessionPage = (
  statements: Statements,
  after: number,
  limit: number,
  damage: Damage
): Uint8Array<ArrayBuffer> => {
  const to = new RecordWriter(4096)
  let last = after
  // A page of which all is damaged is not the end.
  while (to.length === 0) {
    const rows = statements.all(
      "SELECT session, body FROM session WHERE session > ? ORDER BY session LIMIT ?",
      last,
      limit
    )
    if (rows.length === 0) break
    const first = last + 1
    last = Number(rows[rows.length - 1]?.["session"])
    const subscriptions = grouped(statements.all(
      "SELECT session, topic_filter, body FROM subscription WHERE session BETWEEN ? AND ? ORDER BY session, topic_filter",
      first,
      last
    ))
    const awaiting = grouped(statements.all(
      "SELECT session, packet_identifier, body FROM awaiting_pubrel WHERE session BETWEEN ? AND ? ORDER BY session, packet_identifier",
      first,
      last
    ))
    const owed = grouped(statements.all(
      "SELECT session, count(*) AS owed, max(sequence) AS last FROM delivery WHERE session BETWEEN ? AND ? GROUP BY session",
      first,
      last
    ))
    for (const row of rows) {
      const session = Number(row["session"])
      const content = contentOf(session, 0, row["body"])
      if (content === undefined) {
        damage({ table: "session", key: [session] })
        continue
      }
      to.float64(session)
      to.raw(content)
      writeSubscriptions(to, session, subscriptions.get(session) ?? [], damage)
      writeAwaiting(to, session, awaiting.get(session) ?? [], damage)
      const [sums] = owed.get(session) ?? []
      to.float64(Number(sums?.["owed"] ?? 0))
      to.float64(Number(sums?.["last"] ?? 0))
    }
  }
  return to.finish()
}

const grouped = (rows: ReadonlyArray<Row>): ReadonlyMap<number, ReadonlyArray<Row>> => {
  const groups = new Map<number, Array<Row>>()
  for (const row of rows) {
    const session = Number(row["session"])
    const group = groups.get(session)
    if (group === undefined) groups.set(session, [row])
    else group.push(row)
  }
  return groups
}

const writeSubscriptions = (to: RecordWriter, session: number, rows: ReadonlyArray<Row>, damage: Damage): void => {
  const good: Array<Uint8Array> = []
  for (const row of rows) {
    const content = contentOf(session, 0, row["body"])
    if (content === undefined) damage({ table: "subscription", key: [session, String(row["topic_filter"])] })
    else good.push(content)
  }
  to.uint32(good.length)
  for (const content of good) to.raw(content)
}

const writeAwaiting = (to: RecordWriter, session: number, rows: ReadonlyArray<Row>, damage: Damage): void => {
  const good: Array<readonly [number, Uint8Array]> = []
  for (const row of rows) {
    const packetIdentifier = Number(row["packet_identifier"])
    const content = contentOf(session, packetIdentifier, row["body"])
    if (content === undefined) damage({ table: "awaiting_pubrel", key: [session, packetIdentifier] })
    else good.push([packetIdentifier, content])
  }
  to.uint32(good.length)
  for (const [packetIdentifier, content] of good) {
    to.uint32(packetIdentifier)
    to.raw(content)
  }
}

/** Whether there may be more, then delivery by delivery: sequence, exchange, row, message. */
export const readDeliveryPage = (
  statements: Statements,
  session: number,
  after: number,
  limit: number,
  damage: Damage
): Uint8Array<ArrayBuffer> => {
  const to = new RecordWriter(4096)
  to.uint8(1)
  let last = after
  let left = limit
  // A page of which all is damaged is not the end.
  while (to.length === 1 || (left > 0 && to.length < deliveryPageBytes)) {
    const wanted = left > 0 ? Math.min(left, rowsAtOnce) : rowsAtOnce
    const rows = statements.all(
      "SELECT d.sequence, d.exchange, d.body, d.message, m.body AS stored FROM delivery d LEFT JOIN message m " +
        "ON m.message = d.message WHERE d.session = ? AND d.sequence > ? ORDER BY d.sequence LIMIT ?",
      session,
      last,
      wanted
    )
    left -= rows.length
    for (const row of rows) {
      last = Number(row["sequence"])
      const message = row["message"]
      const content = contentOf(session, last, row["body"])
      const exchange = openExchange(session, last, row["exchange"])
      const stored = typeof message === "number" ? contentOf(message, 0, row["stored"]) : null
      if (stored === undefined && row["stored"] !== null) damage({ table: "message", key: [Number(message)] })
      if (content === undefined || exchange === undefined || stored === undefined) {
        damage({ table: "delivery", key: [session, last] })
        continue
      }
      to.float64(last)
      to.uint32(exchange)
      to.raw(content)
      if (stored !== null) to.raw(stored)
    }
    if (rows.length < wanted) {
      to.overwriteUint8(0, 0)
      break
    }
  }
  return to.finish()
}

/** Topic by topic: topic, message. */
export const readRetainedPage = (
  statements: Statements,
  after: string,
  limit: number,
  damage: Damage
): Uint8Array<ArrayBuffer> =>
  readNamed(
    after,
    (last) =>
      statements.all("SELECT topic AS name, body FROM retained WHERE topic > ? ORDER BY topic LIMIT ?", last, limit),
    (from, topic) => from.text() === topic,
    (topic) => damage({ table: "retained", key: [topic] })
  )

/** Record by record: kind, key, value. */
export const readRecordPage = (
  statements: Statements,
  kind: string,
  after: string,
  limit: number,
  damage: Damage
): Uint8Array<ArrayBuffer> =>
  readNamed(
    after,
    (last) =>
      statements.all(
        "SELECT key AS name, body FROM record WHERE kind = ? AND key > ? ORDER BY key LIMIT ?",
        kind,
        last,
        limit
      ),
    (from, key) => from.text() === kind && from.text() === key,
    (key) => damage({ table: "record", key: [kind, key] })
  )

/** Rows with a name and a body that begins with it. A page of which all is damaged is not the end. */
const readNamed = (
  after: string,
  select: (after: string) => ReadonlyArray<Row>,
  isOfName: (body: RecordReader, name: string) => boolean,
  damaged: (name: string) => void
): Uint8Array<ArrayBuffer> => {
  const to = new RecordWriter(4096)
  let last = after
  while (to.length === 0) {
    const rows = select(last)
    if (rows.length === 0) break
    for (const row of rows) {
      last = String(row["name"])
      const content = contentOf(0, 0, row["body"])
      if (content !== undefined && isOfName(new RecordReader(content), last)) to.raw(content)
      else damaged(last)
    }
  }
  return to.finish()
}

export const readRecordKinds = (statements: Statements): ReadonlyArray<string> => {
  const kinds: Array<string> = []
  // From one kind to the next by the key: what lies between is not read.
  for (let last = "";;) {
    const [row] = statements.all("SELECT kind FROM record WHERE kind > ? ORDER BY kind LIMIT 1", last)
    if (row === undefined) return kinds
    last = String(row["kind"])
    kinds.push(last)
  }
}
