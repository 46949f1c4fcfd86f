// What makes one session durable: its number in the store, and the record of what it changes. Plain state of one Session, lent to the
// parts of it that are owed something (Outgoing, AwaitingPubrel). Invariant: nothing is recorded of a session that was ended.
import type { Message } from "../mqtt/Message.ts"
import type { Route } from "../router/Route.ts"
import type { Subscription } from "../router/Subscription.ts"
import type { DurableDelivery } from "../store/DurableDelivery.ts"
import type { SessionRow } from "../store/Engine.ts"
import type { Journal } from "../store/Journal.ts"

export class DurableState {
  readonly journal: Journal
  readonly number: number
  /** The group of the last change of the session itself or its subscriptions: what CONNACK, SUBACK and UNSUBACK wait for. */
  changedIn = 0
  /** The group of the last delivery. */
  deliveredIn = 0
  /** The highest sequence that was in the store when it was read. */
  readonly storedSequence: number
  private sequence: number
  private over = false

  constructor(journal: Journal, number: number, lastSequence: number) {
    this.journal = journal
    this.number = number
    this.storedSequence = lastSequence
    this.sequence = lastSequence
  }

  /** Of the youngest delivery. */
  get lastSequence(): number {
    return this.sequence
  }

  save(row: Omit<SessionRow, "session">): void {
    if (!this.over) this.changedIn = this.journal.session({ session: this.number, ...row })
  }

  subscribed(subscription: Subscription): void {
    if (this.over) return
    this.changedIn = this.journal.subscription({
      session: this.number,
      topicFilter: subscription.topicFilter,
      qos: subscription.qos,
      noLocal: subscription.noLocal,
      retainAsPublished: subscription.retainAsPublished,
      retainHandling: subscription.retainHandling,
      subscriptionIdentifier: subscription.subscriptionIdentifier
    })
  }

  unsubscribed(topicFilter: string): void {
    if (!this.over) this.changedIn = this.journal.unsubscription(this.number, topicFilter)
  }

  /** Null: it goes with QoS 0, or the session is over. `retain`: as the client will get it. */
  deliver(message: Message, route: Route, retain: boolean): DurableDelivery | null {
    const qos = message.qos < route.qos ? message.qos : route.qos
    if (qos === 0 || this.over) return null
    const { subscriptionIdentifiers, topicFilter } = route
    const delivery = this.journal.deliver(
      this.number,
      ++this.sequence,
      message,
      qos,
      retain,
      topicFilter,
      subscriptionIdentifiers
    )
    this.deliveredIn = delivery.group
    return delivery
  }

  /** `since` 0: released. */
  awaitingPubrel(packetIdentifier: number, since: number): void {
    if (!this.over) this.journal.awaitingPubrel(this.number, packetIdentifier, since)
  }

  /** It is over, and nobody waits for it to be so in the store. */
  leave(): void {
    if (this.over) return
    this.over = true
    this.journal.sessionExpired(this.number)
  }

  /** Returns the group that ends it. */
  end(): number {
    if (this.over) return this.changedIn
    this.over = true
    return this.changedIn = this.journal.sessionEnded(this.number)
  }
}
