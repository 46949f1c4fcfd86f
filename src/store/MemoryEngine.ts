// The engine that keeps everything in this process: for `durability = "memory"`, for tests, and as the measure of what the others answer.
// Invariant: a message is held exactly as long as a delivery names it.
import { Effect } from "effect"
import {
  type Changes,
  type DeliveryRow,
  type Engine,
  type MessageRow,
  type OpenEngine,
  type RecordRow,
  type SessionRow,
  type SubscriptionRow
} from "./Engine.ts"

interface Held {
  row: SessionRow
  readonly subscriptions: Map<string, SubscriptionRow>
  readonly awaitingPubrel: Map<number, number>
  /** By sequence; kept ascending by the order in which deliveries come. */
  readonly deliveries: Map<number, DeliveryRow>
}

class MemoryEngine implements Engine {
  readonly description = "memory"
  readonly highest = { session: 0, message: 0, committedAt: 0 }
  private readonly sessions = new Map<number, Held>()
  private readonly messages = new Map<number, { readonly row: MessageRow; users: number }>()
  private readonly retained = new Map<string, Omit<MessageRow, "message">>()
  private readonly records = new Map<string, Map<string, RecordRow>>()

  commit(changes: Changes) {
    return Effect.sync(() => this.apply(changes))
  }

  readSessions(after: number, limit: number) {
    return Effect.sync(() =>
      ascending(this.sessions, after).slice(0, limit).map(([, held]) => ({
        row: held.row,
        subscriptions: ascending(held.subscriptions, "").map(([, row]) => row),
        awaitingPubrel: ascending(held.awaitingPubrel, 0).map(([packetIdentifier, since]) => ({
          packetIdentifier,
          since
        })),
        owed: held.deliveries.size,
        lastSequence: Math.max(0, ...held.deliveries.keys())
      }))
    )
  }

  readDeliveries(session: number, after: number, limit: number) {
    return Effect.sync(() =>
      ascending(this.sessions.get(session)?.deliveries ?? new Map<number, DeliveryRow>(), after)
        .slice(0, limit)
        .flatMap(([, row]) => {
          const stored = this.messages.get(row.message)?.row
          return stored === undefined ? [] : [{ ...row, stored }]
        })
    )
  }

  nextDelivery(session: number, after: number) {
    return Effect.sync(() => {
      const sequences = [...this.sessions.get(session)?.deliveries.keys() ?? []].filter((sequence) => sequence > after)
      return sequences.length === 0 ? 0 : Math.min(...sequences)
    })
  }

  readRetained(after: string, limit: number) {
    return Effect.sync(() =>
      ascending(this.retained, after).slice(0, limit).map(([topic, message]) => ({ topic, message }))
    )
  }

  readRecords(kind: string, after: string, limit: number) {
    return Effect.sync(() =>
      [...this.records.get(kind)?.values() ?? []]
        .filter(({ key }) => compareText(key, after) > 0)
        .sort((one, other) => compareText(one.key, other.key))
        .slice(0, limit)
    )
  }

  readonly recordKinds = Effect.sync(() => [...this.records.keys()].sort(compareText))

  readonly tidy = Effect.succeed(false)

  readonly stats = Effect.sync(() => {
    let subscriptions = 0
    let deliveries = 0
    for (const held of this.sessions.values()) {
      subscriptions += held.subscriptions.size
      deliveries += held.deliveries.size
    }
    let records = 0
    for (const rows of this.records.values()) records += rows.size
    const { messages, retained, sessions } = this
    return {
      sessions: sessions.size,
      subscriptions,
      messages: messages.size,
      deliveries,
      retained: retained.size,
      records,
      bytes: 0
    }
  })

  private apply(changes: Changes): void {
    for (const session of changes.sessionsEnded) {
      for (const row of this.sessions.get(session)?.deliveries.values() ?? []) this.release(row.message)
      this.sessions.delete(session)
    }
    for (const row of changes.sessions) {
      const held = this.sessions.get(row.session)
      if (held !== undefined) held.row = row
      else {this.sessions.set(row.session, {
          row,
          subscriptions: new Map(),
          awaitingPubrel: new Map(),
          deliveries: new Map()
        })}
    }
    for (const { session, topicFilter } of changes.unsubscriptions) {
      this.sessions.get(session)?.subscriptions.delete(topicFilter)
    }
    for (const row of changes.subscriptions) this.sessions.get(row.session)?.subscriptions.set(row.topicFilter, row)
    const fresh: Array<number> = []
    for (const row of changes.messages) {
      if (this.messages.has(row.message)) continue
      this.messages.set(row.message, { row, users: 0 })
      fresh.push(row.message)
    }
    for (const row of changes.deliveries) this.deliver(row)
    for (const { packetIdentifier, sequence, session, state } of changes.deliveryStates) {
      const deliveries = this.sessions.get(session)?.deliveries
      const row = deliveries?.get(sequence)
      if (row !== undefined) deliveries?.set(sequence, { ...row, state, packetIdentifier })
    }
    for (const { sequence, session } of changes.deliveriesDone) {
      const deliveries = this.sessions.get(session)?.deliveries
      const row = deliveries?.get(sequence)
      if (row === undefined) continue
      deliveries?.delete(sequence)
      this.release(row.message)
    }
    for (const message of fresh) if (this.messages.get(message)?.users === 0) this.messages.delete(message)
    for (const { packetIdentifier, session, since } of changes.awaitingPubrel) {
      const awaiting = this.sessions.get(session)?.awaitingPubrel
      if (since === 0) awaiting?.delete(packetIdentifier)
      else awaiting?.set(packetIdentifier, since)
    }
    for (const { message, topic } of changes.retained) {
      if (message === null) this.retained.delete(topic)
      else this.retained.set(topic, message)
    }
    for (const { key, kind, value } of changes.records) this.record(kind, key, value)
  }

  private record(kind: string, key: string, value: Uint8Array | null): void {
    const rows = this.records.get(kind) ?? new Map<string, RecordRow>()
    if (value === null) rows.delete(key)
    else rows.set(key, { kind, key, value })
    if (rows.size === 0) this.records.delete(kind)
    else this.records.set(kind, rows)
  }

  private deliver(row: DeliveryRow): void {
    const held = this.sessions.get(row.session)
    const message = this.messages.get(row.message)
    if (held === undefined || message === undefined) return
    const before = held.deliveries.get(row.sequence)
    message.users++
    held.deliveries.set(row.sequence, row)
    if (before !== undefined) this.release(before.message)
  }

  private release(message: number): void {
    const held = this.messages.get(message)
    if (held !== undefined && --held.users === 0) this.messages.delete(message)
  }
}

const ascending = <Key extends number | string, Value>(rows: ReadonlyMap<Key, Value>, after: Key) =>
  [...rows].filter(([key]) => key > after).sort(([a], [b]) => a < b ? -1 : 1)

/** The order of the bytes in UTF-8, as databases have it; that of JavaScript differs where surrogates meet U+E000 and above. */
const compareText = (one: string, other: string): number => {
  const end = Math.min(one.length, other.length)
  for (let index = 0; index < end; index++) {
    const a = one.charCodeAt(index)
    const b = other.charCodeAt(index)
    if (a !== b) return inUtf8(a) - inUtf8(b)
  }
  return one.length - other.length
}

/** Surrogates stand for code points above all others. */
const inUtf8 = (unit: number): number => unit >= 0xd800 && unit <= 0xdfff ? unit + 0x1_0000 : unit

export const openMemory: OpenEngine = Effect.sync(() => new MemoryEngine())
