// What a session takes in that comes from another node: what it is owed, with the exchanges that are under way. Plain functions, called in the session's turn.
// Invariant: a message that reached this session directly while the other one was on its way is not owed twice.
import type { Message } from "../mqtt/Message.ts"
import { Route } from "../router/Route.ts"
import type { Subscriber } from "../router/Subscriber.ts"
import { DurableDelivery } from "../store/DurableDelivery.ts"
import { DeliveryState, type StoredDelivery } from "../store/Engine.ts"
import { messageOf } from "../store/storedMessage.ts"
import type { DurableState } from "./DurableState.ts"
import type { Outgoing } from "./Outgoing.ts"
import type { Services } from "./Services.ts"

export interface Arriving {
  readonly services: Services
  readonly subscriber: Subscriber
  readonly durable: DurableState | null
  readonly outgoing: Outgoing
}

/** With its exchange, if it has one: the client knows the packet identifier. */
export const takeIn = ({ durable, outgoing, services, subscriber }: Arriving, row: StoredDelivery): void => {
  const message = messageOf(row.stored, services.topics)
  const route = Route.stored(subscriber, row)
  const record = durable?.deliver(message, route, row.retain) ?? null
  if (row.state === DeliveryState.Queued) return outgoing.deliver(message, route, record)
  if (record !== null) services.journal.exchange(record, row.state, row.packetIdentifier)
  const entry = outgoing.inflight.restore(message, route, record ?? DurableDelivery.stored(row))
  if (entry === undefined) return outgoing.deliver(message, route, record)
  entry.record = record
}

/**
 * Of a session that another node had besides this one, of which the client was told that it is gone: what was under way there goes out anew. What
 * this session is owed already it is not owed twice.
 */
export const mergeIn = (arriving: Arriving, rows: ReadonlyArray<StoredDelivery>): void => {
  const { inflight, queue } = arriving.outgoing
  const owed = new Map<string, number>()
  const count = (message: Message | null) => {
    if (message === null) return
    const key = identityOf(message)
    owed.set(key, (owed.get(key) ?? 0) + 1)
  }
  for (const { message } of inflight.inOrder()) count(message)
  for (const { message } of queue.toArray()) count(message)
  for (const row of rows) {
    if (row.state === DeliveryState.AwaitingPubcomp) continue
    const key = identityOf(messageOf(row.stored, arriving.services.topics))
    const known = owed.get(key) ?? 0
    if (known > 0) owed.set(key, known - 1)
    else takeIn(arriving, { ...row, state: DeliveryState.Queued, packetIdentifier: 0 })
  }
}

export const countIdentities = (
  counts: Map<string, number>,
  rows: ReadonlyArray<StoredDelivery>,
  { topics }: Services
): void => {
  for (const { stored } of rows) {
    const identity = identityOf(messageOf(stored, topics))
    counts.set(identity, (counts.get(identity) ?? 0) + 1)
  }
}

/** Positions in `held` of messages that are counted in `came`, each as often as it is there. */
export const doubled = (held: ReadonlyArray<Message>, came: ReadonlyMap<string, number>): ReadonlySet<number> => {
  const left = new Map(came)
  const positions = new Set<number>()
  held.forEach((message, position) => {
    const identity = identityOf(message)
    const count = left.get(identity) ?? 0
    if (count === 0) return
    left.set(identity, count - 1)
    positions.add(position)
  })
  return positions
}

/** The same for two messages only where they are the same, or no client could tell them apart. */
const identityOf = (message: Message): string =>
  `${message.publisher}\n${message.topic}\n${message.qos}\n${message.payload.toString("latin1")}`
