// Applies a packed group within the transaction of its caller, each kind of row in one go and in the order of the keys,
// so that neighbouring rows meet the same page.
// Invariant: a message row is there exactly as long as a delivery row names it.
import type { SQLInputValue } from "node:sqlite"
import { RecordReader } from "../records/RecordReader.ts"
import {
  checksumSize,
  type GroupItem as Item,
  messageOf,
  Operation,
  readGroup,
  recordKeyOf,
  topicOf
} from "../records/packGroup.ts"
import { checksumOf, sealExchange } from "./checksum.ts"
import type { Statements } from "./Statements.ts"

/** `sharing`: whether there may be message rows; answers the same for the time after. */
export const applyGroup = (statements: Statements, group: Uint8Array, sharing: boolean): boolean => {
  const { message, now, runs, session } = readGroup(group)
  let mayShare = sharing
  for (const { items, operation } of runs) {
    if (operation === Operation.PutMessage) mayShare = true
    apply(statements, operation, items, mayShare)
  }
  statements.run(
    "UPDATE highest SET session = max(session, ?), message = max(message, ?), committed_at = ?",
    session,
    message,
    now
  )
  return mayShare && statements.get("SELECT 1 FROM message LIMIT 1").get() !== undefined
}

/** The body with its checksum put into the room that it has for it. */
const sealed = ({ a, b, body }: Item): Uint8Array => {
  const end = body.length - checksumSize
  const checksum = checksumOf(a, b, body.subarray(0, end))
  for (let index = 0; index < checksumSize; index++) body[end + index] = checksum >>> (8 * index)
  return body
}

const byKey = (one: Item, other: Item): number => one.a - other.a || one.b - other.b

const apply = (statements: Statements, operation: number, items: Array<Item>, mayShare: boolean): void => {
  switch (operation) {
    case Operation.EndSession:
      return endSessions(statements, items, mayShare)
    case Operation.PutSession:
      return statements.insert(
        "INSERT OR REPLACE INTO session VALUES",
        2,
        items.flatMap((item) => [item.a, sealed(item)])
      )
    case Operation.EndSubscription:
      for (const item of items) {
        statements.run("DELETE FROM subscription WHERE session = ? AND topic_filter = ?", item.a, topicOf(item))
      }
      return
    case Operation.PutSubscription:
      return statements.insert(
        "INSERT OR REPLACE INTO subscription VALUES",
        3,
        items.flatMap((item) => [item.a, topicOf(item), sealed(item)])
      )
    case Operation.PutMessage:
      return statements.insert(
        "INSERT OR IGNORE INTO message VALUES",
        2,
        items.flatMap((item) => [item.a, sealed(item)])
      )
    case Operation.PutDelivery:
      return putDeliveries(statements, items)
    case Operation.SetExchange:
      for (const { a, b, body } of items.sort(byKey)) {
        const exchange = new RecordReader(body).uint32()
        statements.run(
          "UPDATE delivery SET exchange = ? WHERE session = ? AND sequence = ?",
          sealExchange(a, b, exchange),
          a,
          b
        )
      }
      return
    case Operation.EndDelivery:
      return endDeliveries(statements, items.sort(byKey), mayShare)
    case Operation.PutAwaitingPubrel:
      return statements.insert(
        "INSERT OR REPLACE INTO awaiting_pubrel VALUES",
        3,
        items.flatMap((item) => [item.a, item.b, sealed(item)])
      )
    case Operation.EndAwaitingPubrel:
      for (const { a, b } of items) {
        statements.run("DELETE FROM awaiting_pubrel WHERE session = ? AND packet_identifier = ?", a, b)
      }
      return
    case Operation.PutRetained:
      return statements.insert(
        "INSERT OR REPLACE INTO retained VALUES",
        2,
        items.flatMap((item) => [topicOf(item), sealed(item)])
      )
    case Operation.EndRetained:
      for (const item of items) statements.run("DELETE FROM retained WHERE topic = ?", topicOf(item))
      return
    case Operation.PutRecord:
      return statements.insert(
        "INSERT OR REPLACE INTO record VALUES",
        3,
        items.flatMap((item) => [...recordKeyOf(item), sealed(item)])
      )
    case Operation.EndRecord:
      for (const item of items) statements.run("DELETE FROM record WHERE kind = ? AND key = ?", ...recordKeyOf(item))
      return
    default:
      throw new Error(`unknown operation ${operation}`)
  }
}

const putDeliveries = (statements: Statements, items: Array<Item>): void => {
  const values: Array<SQLInputValue> = []
  for (const item of items.sort(byKey)) {
    values.push(item.a, item.b, messageOf(item), 0, sealed(item))
  }
  statements.insert("INSERT OR REPLACE INTO delivery VALUES", 5, values)
}

const endSessions = (statements: Statements, items: ReadonlyArray<Item>, mayShare: boolean): void => {
  for (const { a } of items) {
    const shared = mayShare
      ? statements.all("SELECT DISTINCT message FROM delivery WHERE session = ? AND message IS NOT NULL", a)
      : []
    for (const table of ["session", "subscription", "delivery", "awaiting_pubrel"]) {
      statements.run(`DELETE FROM ${table} WHERE session = ?`, a)
    }
    release(statements, new Set(shared.map(({ message }) => Number(message))))
  }
}

const endDeliveries = (statements: Statements, items: ReadonlyArray<Item>, mayShare: boolean): void => {
  const released = new Set<number>()
  for (let start = 0; start < items.length;) {
    const first = items[start]
    let last = first
    let next = start + 1
    for (; next < items.length; next++) {
      const item = items[next]
      if (item === undefined || last === undefined || item.a !== last.a || item.b - last.b > 1) break
      last = item
    }
    start = next
    if (first === undefined || last === undefined) break
    const { a } = first
    const { b: to } = last
    if (mayShare) {
      const range = "session = ? AND sequence BETWEEN ? AND ? AND message IS NOT NULL"
      for (const { message } of statements.all(`SELECT message FROM delivery WHERE ${range}`, a, first.b, to)) {
        released.add(Number(message))
      }
    }
    statements.run("DELETE FROM delivery WHERE session = ? AND sequence BETWEEN ? AND ?", a, first.b, to)
  }
  release(statements, released)
}

const release = (statements: Statements, messages: ReadonlySet<number>): void => {
  for (const message of messages) {
    statements.run(
      "DELETE FROM message WHERE message = ? AND NOT EXISTS (SELECT 1 FROM delivery WHERE message = ?)",
      message,
      message
    )
  }
}
