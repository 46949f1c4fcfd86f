// A session that can go to another node and come from one: the half of Session.ts that makes it ready to leave, takes in what comes, and holds back what the
// router gives it while the rest of what it is owed is still on its way. Called in the session's turn. Invariants: what is owed leaves once; what
// came directly meanwhile stands behind what came from the other node.
import { ReasonCode } from "../mqtt/ReasonCode.ts"
import type { Place } from "../router/RemoteRoutes.ts"
import type { Subscription } from "../router/Subscriber.ts"
import type { StoredDelivery } from "../store/Engine.ts"
import { messageOf } from "../store/storedMessage.ts"
import { type Arriving, doubled, mergeIn, SameMessages, takeIn } from "./Arrival.ts"
import type { AwaitingPubrel } from "./AwaitingPubrel.ts"
import type { ClientLink } from "./ClientLink.ts"
import { Departure } from "./Departure.ts"
import { DurableState } from "./DurableState.ts"
import type { LastWill } from "./LastWill.ts"
import type { Outgoing } from "./Outgoing.ts"
import { type SessionHead, type SessionState, takenOverElsewhere } from "./RemoteSessions.ts"
import { SessionInbox } from "./SessionInbox.ts"
import { storedSubscription, Subscriptions } from "./Subscriptions.ts"
import { type TakenFrom, takenKind, type TakenNote, TakenNotes } from "./TakenNotes.ts"

/** For its row. */
export const ownerOf = (userName: string | null | undefined): { readonly userName?: string | null } =>
  userName === undefined ? {} : { userName }

type Merged = Pick<SessionState, "deliveries" | "from" | "restored" | "taken">

export abstract class MovingSession extends SessionInbox {
  /** How long it lives without a connection, ms; 0: it ends with its connection; Infinity: for ever. */
  expiryMillis = 0
  /** Of the client that it belongs to; null: it has none; undefined: not known, from a store of an earlier version. */
  userName: string | null | undefined = undefined
  /** Under which this node was given its client id in the cluster (RemoteSessions.ts); 0: none was. */
  token = 0
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
  private taken: TakenNotes | null = null
  /** Where the messages of all nodes were when it subscribed last, while some node was away; null: nobody was. */
  subscribedAt: ReadonlyArray<Place> | null = null
  /** What it had when this node started, up to this sequence; 0: it is of this start. */
  protected restoredTo = 0
  /** What came from the other node while it was holding. */
  private came: SameMessages | null = null
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
  protected abstract stays(done: () => void): void

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
      awaitingPubrel: this.awaiting?.toArray() ?? [],
      restored: this.restoredTo,
      seen: this.seenUntilNow(),
      taken: this.taken?.all ?? []
    }
    return new Departure(head, this, services)
  }

  /** For its Departure, in its turn. */
  stay(done: () => void): void {
    this.departing = false
    this.setTimer()
    this.stays(done)
  }

  departed(): number {
    this.services.counters.sessions_moved_out_total++
    this.sending = null
    this.stored = 0
    // Soon: until it is on disk a crash brings the session back, which is elsewhere by now.
    const group = this.durable?.end() ?? 0
    this.conclude()
    return group
  }

  /** Before its client attaches: as it was on another node. `done`: with the group that it is recorded in, once the router has it. */
  install(state: SessionState, done: (group: number) => void): void {
    const { awaitingPubrel, deliveries, from, row, subscriptions, taken } = state
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
    this.note(taken, from, deliveries, true)
    const behind = this.services.router.remote.behind(state.seen)
    if (behind.length > 0) this.seen = behind
    this.holding = true
    this.setTimer()
    const { group } = journal
    if (all.length === 0) return done(group)
    this.route(all, () => done(group))
  }

  /** What came to the other node after its client had gone. What comes here directly meanwhile is held. `done`: with the group that has it. */
  arrive(from: TakenFrom, rows: ReadonlyArray<StoredDelivery>, done: (group: number) => void): void {
    if (this.defers(() => this.arrive(from, rows, done))) return
    if (!this.finished && !this.startedClean && !this.keepsOut && rows.length > 0) {
      const unknown = this.taken?.unknown(from, rows) ?? rows
      this.came ??= new SameMessages()
      for (const row of unknown) {
        this.came.add(messageOf(row.stored, this.services.topics))
        takeIn(this.arriving, row)
      }
      this.note([], from, unknown, false)
    }
    done(this.came === null ? 0 : this.services.journal.barrier())
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

  /** What another session of this client id is owed, of which this node did not know. `done`: with the group that has it. */
  merge(state: Merged, done: (group: number) => void): void {
    if (!this.finished) this.holding = true
    if (this.defers(() => this.merge(state, done))) return
    const { deliveries, from, restored, taken } = state
    if (!this.finished && !this.startedClean) {
      this.taken?.offered(from, restored)
      const unknown = this.taken?.unknown(from, deliveries) ?? deliveries
      mergeIn(this.arriving, unknown)
      this.note(taken, from, unknown, false)
    }
    done(this.services.journal.barrier())
    this.wake()
  }

  private seenUntilNow(): ReadonlyArray<Place> {
    const { remote } = this.services.router
    const places = remote.places()
    if (this.seen === null) return places
    // What it has seen elsewhere this node has not reached yet.
    const ahead = remote.behind(this.seen)
    return [...places.filter(({ node }) => ahead.every((one) => one.node !== node)), ...ahead]
  }

  /** That other session has ended: nothing of it is offered again. */
  forgetTaken(from: TakenFrom): void {
    if (this.taken?.forget(from) === true) this.saveTaken()
    if (this.taken?.all.length === 0) this.taken = null
  }

  /** Before the broker listens. */
  restoreTaken(notes: ReadonlyArray<TakenNote>): void {
    this.taken = new TakenNotes(notes)
  }

  /** `descends`: this session is that one, gone on. */
  private note(
    known: ReadonlyArray<TakenNote>,
    from: TakenFrom,
    rows: ReadonlyArray<StoredDelivery>,
    descends: boolean
  ): void {
    const sequence = rows[rows.length - 1]?.sequence ?? 0
    const isFrom = from.session > 0 && (sequence > 0 || descends)
    if (known.length === 0 && !isFrom) return
    this.taken ??= new TakenNotes([])
    for (const one of known) this.taken.add(one, one.sequence, descends && one.descends)
    if (isFrom) this.taken.add(from, sequence, descends)
    this.saveTaken()
  }

  private saveTaken(): void {
    if (this.durable !== null) this.taken?.save(this.services.journal, this.clientId, this.durable.number)
  }

  protected dropTaken(): void {
    if (this.durable !== null && this.taken !== null) {
      this.services.journal.deleteRecordLazily(takenKind, String(this.durable.number))
    }
    this.taken = null
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
