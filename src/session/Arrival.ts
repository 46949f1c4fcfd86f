// What a session takes in that comes from another node: what it is owed, with the exchanges that are under way. Plain functions, called in the session's turn.
// Invariant: a message that reached this session directly while the other one was on its way is not owed twice.
import { Buffer } from "node:buffer"
import type { Message } from "../mqtt/Message.ts"
import { Route } from "../router/Route.ts"
import type { Subscriber } from "../router/Subscriber.ts"
import { DurableDelivery } from "../store/DurableDelivery.ts"
import { DeliveryState, type StoredDelivery } from "../store/Engine.ts"
import { contentOf, messageOf } from "../store/storedMessage.ts"
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
  const owed = new SameMessages()
  for (const { message } of inflight.inOrder()) if (message !== null) owed.add(message)
  for (const { message } of queue.toArray()) owed.add(message)
  for (const row of rows) {
    if (row.state === DeliveryState.AwaitingPubcomp || owed.take(messageOf(row.stored, arriving.services.topics))) {
      continue
    }
    takeIn(arriving, { ...row, state: DeliveryState.Queued, packetIdentifier: 0 })
  }
}

/** Positions in `held` of messages that are in `came` too; each of those once. */
export const doubled = (held: ReadonlyArray<Message>, came: SameMessages): ReadonlySet<number> => {
  const positions = new Set<number>()
  held.forEach((message, position) => {
    if (came.take(message)) positions.add(position)
  })
  return positions
}

/** One message that comes by two ways has the same time of receipt on both but for what the ways took, ms. */
const apartMillis = 2_000

/**
 * Messages that may come a second time, by another way. The same are two only with the bytes of the PUBLISH as its client has sent it, packet identifier
 * and all but for DUP, received at about the same time: a sensor says "on" again and again.
 */
export class SameMessages {
  private readonly times = new Map<string, Array<number>>()

  add(message: Message): void {
    const key = bytesOf(message)
    const times = this.times.get(key)
    if (times === undefined) this.times.set(key, [message.receivedAt])
    else times.push(message.receivedAt)
  }

  /** True: it was there, and is there once less. */
  take(message: Message): boolean {
    const times = this.times.get(bytesOf(message)) ?? []
    const apart = times.map((time) => Math.abs(time - message.receivedAt))
    const nearest = apart.indexOf(Math.min(...apart))
    if (nearest < 0 || (apart[nearest] ?? 0) > apartMillis) return false
    times.splice(nearest, 1)
    return true
  }
}

const bytesOf = (message: Message): string => {
  const { packet, publisher } = contentOf(message)
  const bytes = Buffer.from(packet.buffer, packet.byteOffset, packet.byteLength)
  return `${publisher}\n${message.qos}\n${bytes.toString("latin1", 1)}`
}
