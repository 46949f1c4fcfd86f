// The engine that keeps everything in this process: for `durability = "memory"`, for tests, and as the measure of what the others answer.
// Invariant: a message is held exactly as long as a delivery names it.
import { Effect } from "effect"
import {
  type Changes,
  type DeliveryRow,
  type Engine,
  type MessageRow,
  type OpenEngine,
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

  readRetained(after: string, limit: number) {
    return Effect.sync(() =>
      ascending(this.retained, after).slice(0, limit).map(([topic, message]) => ({ topic, message }))
    )
  }

  readonly tidy = Effect.succeed(false)

  readonly stats = Effect.sync(() => {
    let subscriptions = 0
    let deliveries = 0
    for (const held of this.sessions.values()) {
      subscriptions += held.subscriptions.size
      deliveries += held.deliveries.size
    }
    const { messages, retained, sessions } = this
    return {
      sessions: sessions.size,
      subscriptions,
      messages: messages.size,
      deliveries,
      retained: retained.size,
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

export const openMemory: OpenEngine = Effect.sync(() => new MemoryEngine())
