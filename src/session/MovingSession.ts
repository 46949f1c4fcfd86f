// A session that can go to another node and come from one: the half of Session.ts that makes it ready to leave, takes in what comes, and holds back what the
// router gives it while the rest of what it is owed is still on its way. Called in the session's turn. Invariants: what is owed leaves once; what
// came directly meanwhile stands behind what came from the other node.
import { ReasonCode } from "../mqtt/ReasonCode.ts"
import type { Subscription } from "../router/Subscriber.ts"
import type { StoredDelivery } from "../store/Engine.ts"
import { type Arriving, countIdentities, doubled, mergeIn, takeIn } from "./Arrival.ts"
import type { AwaitingPubrel } from "./AwaitingPubrel.ts"
import type { ClientLink } from "./ClientLink.ts"
import { Departure } from "./Departure.ts"
import { DurableState } from "./DurableState.ts"
import type { LastWill } from "./LastWill.ts"
import type { Outgoing } from "./Outgoing.ts"
import { type SessionHead, type SessionState, takenOverElsewhere } from "./RemoteSessions.ts"
import { SessionInbox } from "./SessionInbox.ts"
import { storedSubscription, Subscriptions } from "./Subscriptions.ts"

/** For its row. */
export const ownerOf = (userName: string | null | undefined): { readonly userName?: string | null } =>
  userName === undefined ? {} : { userName }

export abstract class MovingSession extends SessionInbox {
  /** How long it lives without a connection, ms; 0: it ends with its connection; Infinity: for ever. */
  expiryMillis = 0
  /** Of the client that it belongs to; null: it has none; undefined: not known, from a store of an earlier version. */
  userName: string | null | undefined = undefined
  subscriptions: Subscriptions | null = null
  protected lastWill: LastWill | null = null
  protected link: ClientLink | null = null
  // Made by the first message that goes in or out: most sessions of a large broker are idle.
  protected sending: Outgoing | null = null
  protected awaiting: AwaitingPubrel | null = null
  protected expiresAt = Infinity
  /** What the store is owed for it and has not been read, until the client comes. */
  protected stored = 0
  protected departing = false
  /** What came from the other node while it was holding, by identity. */
  private came: Map<string, number> | null = null
  /** What came while the client had not been answered yet: nothing goes out before its CONNACK. */
  protected deferred: Array<() => void> | null = null
  /** What comes from another node now is owed to another user. */
  private keepsOut = false
  /** It began with a clean start: what another node has for this client is not wanted. */
  protected startedClean = false

  abstract readonly awaitingPubrel: AwaitingPubrel

  /** To the store, as it is now. */
  protected abstract save(): void
  protected abstract loseLink(): void
  protected abstract setTimer(): void
  protected abstract terminate(reasonCode: number, reason: string): void
  /** It is over: its will is published, what it is owed is counted as lost. */
  protected abstract conclude(): void
  protected abstract stays(): void

  /** Its client has come to another node [MQTT-3.1.4-2] [MQTT5-3.1.4-3]. Null: nothing of it outlives its connection. */
  protected depart(): Departure | null {
    const { clientId, link, services } = this
    const { counters, scheduler } = services
    if (link !== null) counters.sessions_taken_over_total++
    if (this.expiryMillis === 0 || this.departing) {
      this.terminate(ReasonCode.SessionTakenOver, takenOverElsewhere)
      return null
    }
    // What is held goes with it, whatever is still missing.
    this.holding = false
    const will = link === null ? null : this.lastWill
    this.lastWill = null
    if (link !== null) {
      link.post({ _tag: "Close", reasonCode: ReasonCode.SessionTakenOver, reason: takenOverElsewhere })
      this.loseLink()
      this.expiresAt = scheduler.now + this.expiryMillis
    }
    this.departing = true
    this.save()
    this.setTimer()
    will?.arm(services, clientId, scheduler.now, Infinity)
    const { expiresAt, expiryMillis, userName } = this
    const head: SessionHead = {
      row: { clientId, expiryMillis, expiresAt, connected: false, will: null, ...ownerOf(userName) },
      subscriptions: [...this.subscriptions?.values() ?? []],
      awaitingPubrel: this.awaiting?.toArray() ?? []
    }
    return new Departure(head, this, services)
  }

  /** For its Departure, in its turn. */
  stay(): void {
    this.departing = false
    this.setTimer()
    this.stays()
  }

  departed(): void {
    this.services.counters.sessions_moved_out_total++
    this.sending = null
    this.stored = 0
    this.conclude()
  }

  /** Before its client attaches: as it was on another node. `done`: with the group that it is recorded in, once the router has it. */
  install({ awaitingPubrel, deliveries, row, subscriptions }: SessionState, done: (group: number) => void): void {
    const { counters, journal } = this.services
    counters.sessions_moved_in_total++
    this.userName = row.userName
    this.expiryMillis = row.expiryMillis
    this.expiresAt = row.expiresAt
    if (journal.enabled) this.durable = new DurableState(journal, journal.nextSession(), 0)
    this.save()
    const all = subscriptions.flatMap(storedSubscription)
    for (const subscription of all) {
      ;(this.subscriptions ??= new Subscriptions()).set(subscription)
      this.durable?.subscribed(subscription)
    }
    if (awaitingPubrel.length > 0) this.awaitingPubrel.takeOver(awaitingPubrel)
    for (const delivery of deliveries) takeIn(this.arriving, delivery)
    this.holding = true
    this.setTimer()
    const { group } = journal
    if (all.length === 0) return done(group)
    this.route(all, () => done(group))
  }

  /** What came to the other node after its client had gone. What comes here directly meanwhile is held. */
  arrive(rows: ReadonlyArray<StoredDelivery>): void {
    if (this.finished || this.startedClean || this.keepsOut || this.defers(() => this.arrive(rows))) return
    this.came ??= new Map()
    countIdentities(this.came, rows, this.services)
    for (const row of rows) takeIn(this.arriving, row)
  }

  /** None of what comes from the other node is taken, until all has come. */
  keepOut(): void {
    this.keepsOut = true
  }

  /** Nothing more comes from the other node: what is held goes on, but for what came by that way too. */
  release(): void {
    if (this.finished || this.defers(() => this.release())) return
    if (this.came !== null && this.messages !== null) {
      this.strike(doubled(this.messages, this.came))
      this.recordAnew()
    }
    this.came = null
    this.holding = false
    this.keepsOut = false
    this.wake()
  }

  /** What another session of this client id is owed, of which this node did not know. */
  merge(rows: ReadonlyArray<StoredDelivery>): void {
    if (this.finished) return
    this.holding = true
    if (this.defers(() => this.merge(rows))) return
    if (!this.startedClean) mergeIn(this.arriving, rows)
    this.wake()
  }

  /** [MQTT-3.2.0-1] [MQTT5-3.2.0-1] True: it is done once CONNACK has gone. */
  private defers(step: () => void): boolean {
    if (this.link === null || this.link.accepting) return false
    this.deferred ??= []
    this.deferred.push(step)
    return true
  }

  /** In its turn, once CONNACK has gone or nobody is there. */
  protected takeDeferred(steps: ReadonlyArray<() => void>): void {
    this.deferred = null
    for (const step of steps) step()
  }

  private get arriving(): Arriving {
    return { services: this.services, subscriber: this, durable: this.durable, outgoing: this.outgoing }
  }

  /** The router's mailbox may be full: then it is asked again. */
  private route(subscriptions: ReadonlyArray<Subscription>, done: () => void): void {
    if (this.services.router.subscribe(this, subscriptions, done)) return
    this.command({ _tag: "Step", run: () => this.route(subscriptions, done) })
  }
}
