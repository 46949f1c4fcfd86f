// The changes of one group while it is formed: of each thing the last word, and nothing of what was over before the group went.
// Plain state of the Journal. Invariant: `take` gives plain rows that no later change touches.
import type { Message, Recorded } from "../mqtt/Message.ts"
import type { Changes, DeliveryRow, MessageRow, SessionRow, SubscriptionRow } from "./Engine.ts"
import type { DurableDelivery } from "./DurableDelivery.ts"
import { contentOf, type StoredContent } from "./storedMessage.ts"

const noIdentifiers: ReadonlyArray<number> = []
/** So many places of struck deliveries are worth closing. */
const struckWorthClosing = 1_024
/** What a row counts as beside its texts and bytes: about what it takes in memory, and of the event loop's time when the group goes. */
const rowBytes = 256

interface SubscriptionChange {
  readonly session: number
  readonly topicFilter: string
  /** Null: unsubscribed. */
  readonly row: SubscriptionRow | null
}

export class FormingGroup {
  /** About, and never less than what messages and retained messages take. */
  bytes = 0
  private readonly sessions = new Map<number, SessionRow>()
  private readonly ended = new Set<number>()
  private messages: Array<{ readonly recorded: Recorded; readonly message: Message }> = []
  private deliveries: Array<DurableDelivery> = []
  private readonly states: Array<DurableDelivery> = []
  private readonly done: Array<{ readonly session: number; readonly sequence: number }> = []
  private readonly retained = new Map<string, Message | null>()
  private readonly subscriptions = new Map<string, SubscriptionChange>()
  private readonly pubrels = new Map<
    number,
    { readonly session: number; readonly packetIdentifier: number; readonly since: number }
  >()
  private readonly records = new Map<string, Changes["records"][number]>()
  private struck = 0

  session(row: SessionRow): void {
    if (!this.sessions.has(row.session)) this.bytes += rowBytes * 2
    this.sessions.set(row.session, row)
  }

  end(session: number): void {
    this.bytes += rowBytes
    this.ended.add(session)
  }

  get endings(): number {
    return this.ended.size
  }

  message(recorded: Recorded, message: Message): void {
    this.bytes += sizeOf(message)
    this.messages.push({ recorded, message })
  }

  deliver(delivery: DurableDelivery): void {
    this.bytes += rowBytes
    this.deliveries.push(delivery)
  }

  /** The exchange of one that an earlier group has. */
  exchange(delivery: DurableDelivery): void {
    this.bytes += rowBytes
    this.states.push(delivery)
  }

  /** One that an earlier group has is over. */
  finish(delivery: { readonly session: number; readonly sequence: number }): void {
    this.bytes += rowBytes
    this.done.push(delivery)
  }

  /** Null: none is retained any more. */
  retain(topic: string, message: Message | null): void {
    const before = this.retained.get(topic)
    this.bytes += before === undefined ? rowBytes + topic.length : before === null ? 0 : -sizeOf(before)
    if (message !== null) this.bytes += sizeOf(message)
    this.retained.set(topic, message)
  }

  subscribe(row: SubscriptionRow): void {
    const { session, topicFilter } = row
    this.bytes += rowBytes + topicFilter.length
    this.subscriptions.set(`${session} ${topicFilter}`, { session, topicFilter, row })
  }

  unsubscribe(session: number, topicFilter: string): void {
    this.bytes += rowBytes + topicFilter.length
    this.subscriptions.set(`${session} ${topicFilter}`, { session, topicFilter, row: null })
  }

  awaiting(session: number, packetIdentifier: number, since: number): void {
    this.bytes += rowBytes
    this.pubrels.set(session * 65_536 + packetIdentifier, { session, packetIdentifier, since })
  }

  record(kind: string, key: string, value: Uint8Array | null): void {
    this.bytes += rowBytes + key.length + (value?.length ?? 0)
    this.records.set(`${kind} ${key}`, { kind, key, value })
  }

  /** One of `deliveries` is done: it will not be written, nor its message when nobody else needs it. */
  strike(delivery: DurableDelivery): void {
    delivery.recorded.users--
    this.bytes -= rowBytes
    if (++this.struck < struckWorthClosing || this.struck * 2 < this.deliveries.length) return
    this.struck = 0
    this.deliveries = this.deliveries.filter((one) => !one.done)
    this.messages = this.messages.filter(({ message, recorded }) => {
      if (recorded.users > 0) return true
      if (message.recorded === recorded) message.recorded = undefined
      this.bytes -= sizeOf(message)
      return false
    })
  }

  /** Undefined: nothing is left of it. `onUnstorable`: a message that makes no row is left out, with its deliveries. */
  take(onUnstorable: (topic: string, defect: unknown) => void): Changes | undefined {
    const contents = new Contents(onUnstorable)
    const { ended } = this
    const lives = (row: { readonly session: number }) => !ended.has(row.session)
    const unsubscriptions: Array<{ readonly session: number; readonly topicFilter: string }> = []
    const subscriptions: Array<SubscriptionRow> = []
    for (const { row, session, topicFilter } of this.subscriptions.values()) {
      if (ended.has(session)) continue
      if (row === null) unsubscriptions.push({ session, topicFilter })
      else subscriptions.push(row)
    }
    const owed: Array<DurableDelivery> = []
    for (const delivery of this.deliveries) {
      if (delivery.done || delivery.recorded.withdrawn) continue
      if (ended.size > 0 && ended.has(delivery.session)) delivery.recorded.users--
      else owed.push(delivery)
    }
    const messages: Array<MessageRow> = []
    for (const { message, recorded } of this.messages) {
      if (recorded.users === 0 || recorded.withdrawn) continue
      const content = contents.of(message)
      if (content === undefined) recorded.users = 0
      else messages.push({ message: recorded.number, ...content })
    }
    const changes: Changes = {
      sessionsEnded: [...ended],
      sessions: [...this.sessions.values()].filter(lives),
      unsubscriptions,
      subscriptions,
      messages,
      deliveries: (contents.failed ? owed.filter(({ recorded }) => recorded.users > 0) : owed).map(rowOf),
      // The last state of one that is done does not matter any more.
      deliveryStates: this.states.filter((one) => !one.done && lives(one)).map(stateOf),
      deliveriesDone: this.done.filter(lives).map(({ sequence, session }) => ({ session, sequence })),
      awaitingPubrel: [...this.pubrels.values()].filter(lives),
      retained: [...this.retained].flatMap(([topic, message]) => {
        const content = message === null ? null : contents.of(message)
        return content === undefined ? [] : [{ topic, message: content }]
      }),
      records: [...this.records.values()]
    }
    for (const rows of Object.values(changes)) if (rows.length > 0) return changes
    return undefined
  }
}

const sizeOf = ({ end, start }: Message): number => rowBytes + end - start

/** A defect in one message must not hold up all that is to be stored. */
class Contents {
  failed = false
  private readonly onUnstorable: (topic: string, defect: unknown) => void

  constructor(onUnstorable: (topic: string, defect: unknown) => void) {
    this.onUnstorable = onUnstorable
  }

  of(message: Message): StoredContent | undefined {
    try {
      return contentOf(message)
    } catch (defect) {
      this.failed = true
      this.onUnstorable(message.topic, defect)
      return undefined
    }
  }
}

const rowOf = (delivery: DurableDelivery): DeliveryRow => ({
  session: delivery.session,
  sequence: delivery.sequence,
  message: delivery.recorded.number,
  qos: delivery.qos,
  retain: delivery.retain,
  topicFilter: delivery.topicFilter,
  subscriptionIdentifiers: delivery.subscriptionIdentifiers ?? noIdentifiers,
  state: delivery.state,
  packetIdentifier: delivery.packetIdentifier
})

const stateOf = ({ packetIdentifier, sequence, session, state }: DurableDelivery) => ({
  session,
  sequence,
  state,
  packetIdentifier
})
