// The changes of one group while it is formed: of each thing the last word, and nothing of what was over before the group went.
// Plain state of the Journal. Invariant: `take` gives plain rows that no later change touches.
import type { Message, Recorded } from "../mqtt/Message.ts"
import type { Changes, DeliveryRow, MessageRow, SessionRow, SubscriptionRow } from "./Engine.ts"
import type { DurableDelivery } from "./DurableDelivery.ts"
import { contentOf, type StoredContent } from "./storedMessage.ts"

const noIdentifiers: ReadonlyArray<number> = []
/** So many places of struck deliveries are worth closing. */
const struckWorthClosing = 1_024

interface SubscriptionChange {
  readonly session: number
  readonly topicFilter: string
  /** Null: unsubscribed. */
  readonly row: SubscriptionRow | null
}

export class FormingGroup {
  readonly sessions = new Map<number, SessionRow>()
  readonly ended = new Set<number>()
  messages: Array<{ readonly recorded: Recorded; readonly message: Message }> = []
  deliveries: Array<DurableDelivery> = []
  readonly states: Array<DurableDelivery> = []
  readonly done: Array<DurableDelivery> = []
  readonly retained = new Map<string, Message | null>()
  private readonly subscriptions = new Map<string, SubscriptionChange>()
  private readonly pubrels = new Map<
    number,
    { readonly session: number; readonly packetIdentifier: number; readonly since: number }
  >()
  private readonly records = new Map<string, Changes["records"][number]>()
  private struck = 0

  end(session: number): void {
    this.ended.add(session)
  }

  subscribe(row: SubscriptionRow): void {
    const { session, topicFilter } = row
    this.subscriptions.set(`${session} ${topicFilter}`, { session, topicFilter, row })
  }

  unsubscribe(session: number, topicFilter: string): void {
    this.subscriptions.set(`${session} ${topicFilter}`, { session, topicFilter, row: null })
  }

  awaiting(session: number, packetIdentifier: number, since: number): void {
    this.pubrels.set(session * 65_536 + packetIdentifier, { session, packetIdentifier, since })
  }

  record(kind: string, key: string, value: Uint8Array | null): void {
    this.records.set(`${kind} ${key}`, { kind, key, value })
  }

  /** One of `deliveries` is done: it will not be written, nor its message when nobody else needs it. */
  strike(delivery: DurableDelivery): void {
    delivery.recorded.users--
    if (++this.struck < struckWorthClosing || this.struck * 2 < this.deliveries.length) return
    this.struck = 0
    this.deliveries = this.deliveries.filter((one) => !one.done)
    this.messages = this.messages.filter(({ message, recorded }) => {
      if (recorded.users === 0 && message.recorded === recorded) message.recorded = undefined
      return recorded.users > 0
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
      if (delivery.done) continue
      if (ended.size > 0 && ended.has(delivery.session)) delivery.recorded.users--
      else owed.push(delivery)
    }
    const messages: Array<MessageRow> = []
    for (const { message, recorded } of this.messages) {
      if (recorded.users === 0) continue
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
