// What durable sessions and the retainer have changed and the store has not taken yet. Plain code on the packet path: changes are put
// into the group that is being formed; a group goes when the writer is idle, at the end of the scheduler's turn, so that groups form by
// themselves under load and nobody waits for a clock. Invariants: groups are committed in the order of their numbers, each whole; what
// a group says of a thing is the last that was said of it; a delivery that is done before its group went is never written.
import type { Counters } from "../metrics/Counters.ts"
import type { Message, Recorded } from "../mqtt/Message.ts"
import type { Scheduler, Task } from "../otp/Scheduler.ts"
import {
  type Changes,
  DeliveryState,
  noChanges,
  type SessionRow,
  type StoreFailure,
  type SubscriptionRow
} from "./Engine.ts"
import { FormingGroup } from "./FormingGroup.ts"
import { DurableDelivery } from "./DurableDelivery.ts"

/** Someone who waits for a group: a connection with held answers, a session with a held PUBLISH. Woken at every commit and failure. */
export interface Waiter {
  wake(): void
}

export interface JournalOptions {
  readonly scheduler: Scheduler
  readonly counters: Counters
  /** False: nothing is recorded and nobody waits. */
  readonly enabled: boolean
  /** The highest numbers that the store knows. */
  /** Bytes of the group that is being formed beyond which those who add to it have to wait; Infinity where it is not given. */
  readonly maxPendingBytes?: number
  readonly session?: number
  readonly message?: number
  /** The store has stopped taking changes; undefined: it takes them again. */
  readonly onAlarm?: (failure: StoreFailure | undefined) => void
  /** A message makes no row, by a defect: it is not stored. */
  readonly onUnstorable?: (topic: string, defect: unknown) => void
}

/** So many changes that nobody waits for go without waiting for the tick. */
const lazyAtMost = 4_096

/** Each takes what it is owed with it: so many are one step of the store. */
const endingsAtOnce = 256

/** Once there was a group another one goes after so long, with nothing in it: a start knows by it until when the broker lived. */
export const beatMillis = 10_000

export class Journal implements Task {
  readonly enabled: boolean
  /** The group that a change made now belongs to. */
  group = 1
  /** The highest group that is committed; Infinity when nothing is recorded. */
  committed: number
  /** Changes that somebody waits for, made so far: whether it has moved says whether there is something to wait for. */
  changes = 0
  /** Why the store does not take changes now; null: it does. */
  failing: StoreFailure | null = null
  /** Told of every record that is put; null: deleted. Also where nothing is kept. */
  onRecord: ((kind: string, key: string, value: Uint8Array | null) => void) | null = null
  private readonly counters: Counters
  private readonly scheduler: Scheduler
  private readonly onAlarm: (failure: StoreFailure | undefined) => void
  private readonly onUnstorable: (topic: string, defect: unknown) => void
  private readonly maxPendingBytes: number
  private forming = new FormingGroup()
  private urgent = false
  private lazy = 0
  private flushing = false
  /** When the last group went, ms; 0: none has, nothing durable is under way. */
  private wentAt = 0
  private beating = false
  private lastSession: number
  private lastMessage: number
  private waiters = new Set<Waiter>()
  /** Handed to the writer and not committed. */
  private handed: { readonly group: number; changes: Changes } | null = null
  /** Messages of it that were refused since. */
  private withdrawn = new Set<number>()
  /** Sessions that are over, oldest first, and in no group yet: a start finds them expired. */
  private readonly ending: Array<number> = []
  private takeGroup: ((changes: Changes) => void) | null = null
  private onIdle: Array<() => void> = []

  constructor(options: JournalOptions) {
    this.scheduler = options.scheduler
    this.counters = options.counters
    this.enabled = options.enabled
    this.committed = options.enabled ? 0 : Infinity
    this.maxPendingBytes = options.maxPendingBytes ?? Infinity
    this.lastSession = options.session ?? 0
    this.lastMessage = options.message ?? 0
    this.onAlarm = options.onAlarm ?? (() => {})
    this.onUnstorable = options.onUnstorable ?? (() => {})
  }

  // --- changes: each returns the group that it is in ----------------------------------------------------------------

  nextSession(): number {
    return ++this.lastSession
  }

  session(row: SessionRow): number {
    this.forming.session(row)
    return this.changed()
  }

  /** It takes everything it has with it; nothing is recorded of it any more. */
  sessionEnded(session: number): number {
    this.forming.end(session)
    return this.changed()
  }

  /** The same where nobody waits for it: when very many end at once, some of them go with each group. */
  sessionExpired(session: number): void {
    if (this.forming.endings < endingsAtOnce) this.sessionEnded(session)
    else this.ending.push(session)
  }

  subscription(row: SubscriptionRow): number {
    this.forming.subscribe(row)
    return this.changed()
  }

  unsubscription(session: number, topicFilter: string): number {
    this.forming.unsubscribe(session, topicFilter)
    return this.changed()
  }

  /** A message is written once for all who are owed it, as long as they come in the same group. */
  deliver(
    session: number,
    sequence: number,
    message: Message,
    qos: 1 | 2,
    retain: boolean,
    topicFilter: string,
    subscriptionIdentifiers: ReadonlyArray<number> | undefined
  ): DurableDelivery {
    let recorded = message.recorded
    if (recorded === undefined || recorded.group !== this.group) {
      // It is kept until the commit: it must not keep the chunk that it came in.
      message.detach()
      recorded = { group: this.group, number: ++this.lastMessage, users: 0, withdrawn: false }
      message.recorded = recorded
      this.forming.message(recorded, message)
    }
    recorded.users++
    const delivery = new DurableDelivery(
      session,
      sequence,
      recorded,
      qos,
      retain,
      topicFilter,
      subscriptionIdentifiers,
      this.group
    )
    this.forming.deliver(delivery)
    this.counters.store_deliveries_total++
    this.changed()
    return delivery
  }

  /** QoS 1: nobody waits for it, a crash costs a DUP flag. QoS 2: what is said to the client next waits for the group. */
  exchange(delivery: DurableDelivery, state: DeliveryState, packetIdentifier: number): number {
    delivery.state = state
    delivery.packetIdentifier = packetIdentifier
    if (delivery.group !== this.group && delivery.notedIn !== this.group) {
      delivery.notedIn = this.group
      this.forming.exchange(delivery)
    }
    return delivery.qos === 2 ? this.changed() : this.changedLazily()
  }

  /** The client has it, or never will. Nobody waits for it: a crash costs the same message again. */
  done(delivery: DurableDelivery): void {
    if (delivery.done) return
    delivery.done = true
    if (delivery.group === this.group) {
      this.forming.strike(delivery)
      this.counters.store_deliveries_struck_total++
      return
    }
    this.forming.finish(delivery)
    this.changedLazily()
  }

  /**
   * The store fails, and the publisher of this message is told that it was not taken: no session is owed it any more. Who has had it by then,
   * connected, has had it.
   */
  withdraw(recorded: Recorded): void {
    if (recorded.withdrawn || recorded.group <= this.committed) return
    recorded.withdrawn = true
    if (recorded.group === this.handed?.group) this.withdrawn.add(recorded.number)
  }

  /** `since`: 0 releases it. */
  awaitingPubrel(session: number, packetIdentifier: number, since: number): number {
    this.forming.awaiting(session, packetIdentifier, since)
    return this.changed()
  }

  /** Null: none is retained any more. */
  retain(topic: string, message: Message | null): number {
    if (!this.enabled) return 0
    message?.detach()
    this.forming.retain(topic, message)
    return this.changed()
  }

  /** `value` belongs to the store from here on. */
  putRecord(kind: string, key: string, value: Uint8Array): number {
    return this.record(kind, key, value) ? this.changed() : 0
  }

  deleteRecord(kind: string, key: string): number {
    return this.record(kind, key, null) ? this.changed() : 0
  }

  /** As `putRecord`, but nobody waits for it: it goes with the next group, or at the next tick. */
  putRecordLazily(kind: string, key: string, value: Uint8Array): number {
    return this.record(kind, key, value) ? this.changedLazily() : 0
  }

  /** As `deleteRecord`, but nobody waits for it. */
  deleteRecordLazily(kind: string, key: string): number {
    return this.record(kind, key, null) ? this.changedLazily() : 0
  }

  private record(kind: string, key: string, value: Uint8Array | null): boolean {
    this.onRecord?.(kind, key, value)
    if (this.enabled) this.forming.record(kind, key, value)
    return this.enabled
  }

  // --- waiting -----------------------------------------------------------------------------------------------------

  /** The group that is being formed is as large as it may be. */
  get isFull(): boolean {
    return this.forming.bytes >= this.maxPendingBytes
  }

  /** What has been recorded and not been handed to the store, bytes, about. */
  get pendingBytes(): number {
    return this.forming.bytes
  }

  /** The group with which all that was said so far is committed. It goes soon, whether there is anything in it or not. */
  barrier(): number {
    return this.changed()
  }

  /** Woken once, at the next commit or failure. */
  wait(waiter: Waiter): void {
    this.waiters.add(waiter)
  }

  /** From the clock: what nobody waits for goes now. */
  tick(): void {
    this.beating = this.wentAt > 0 && this.scheduler.now - this.wentAt >= beatMillis
    if (this.lazy > 0 || this.beating) this.flushSoon()
  }

  /** Calls back once all that was changed so far is committed. */
  whenIdle(callback: () => void): void {
    if (this.handed === null && !this.urgent && this.lazy === 0) return callback()
    this.onIdle.push(callback)
    this.flushSoon()
  }

  // --- the writer --------------------------------------------------------------------------------------------------

  /** The writer has nothing to do: `take` is called with the next group; with the same one again when its writer has crashed. */
  park(take: (changes: Changes) => void): void {
    if (this.handed !== null) return take(this.underWay)
    this.takeGroup = take
    if (this.urgent) this.flushSoon()
  }

  /** What the next attempt is to commit: the group that the writer has, without what was withdrawn since. */
  get underWay(): Changes {
    const { handed, withdrawn } = this
    if (handed === null) return noChanges
    if (withdrawn.size > 0) {
      const { deliveries, deliveriesDone, messages } = handed.changes
      handed.changes = {
        ...handed.changes,
        messages: messages.filter(({ message }) => !withdrawn.has(message)),
        deliveries: deliveries.filter(({ message }) => !withdrawn.has(message)),
        // The attempt that failed may have succeeded and not been heard of.
        deliveriesDone: [...deliveriesDone, ...deliveries.filter(({ message }) => withdrawn.has(message))]
      }
      this.withdrawn = new Set()
    }
    return handed.changes
  }

  unpark(): void {
    this.takeGroup = null
  }

  groupCommitted(): void {
    const handed = this.handed
    if (handed === null) return
    // Withdrawn while the attempt was under way that succeeded.
    for (const delivery of this.withdrawn.size === 0 ? [] : handed.changes.deliveries) {
      if (!this.withdrawn.has(delivery.message)) continue
      this.forming.finish(delivery)
      this.changedLazily()
    }
    this.withdrawn.clear()
    this.handed = null
    this.advance(handed.group)
    if (this.failing === null) return
    this.failing = null
    this.onAlarm(undefined)
  }

  /** The same group will be tried again. */
  groupFailed(failure: StoreFailure): void {
    this.counters.store_failures_total++
    const first = this.failing === null
    this.failing = failure
    if (first) this.onAlarm(failure)
    this.wakeAll()
  }

  run(): void {
    this.flushing = false
    const take = this.takeGroup
    if (take === null || (!this.urgent && this.lazy === 0 && !this.beating)) return
    const group = this.group++
    const changes = this.forming.take(this.onUnstorable) ?? (this.beating ? noChanges : undefined)
    this.beating = false
    this.forming = new FormingGroup()
    this.urgent = false
    this.lazy = this.ending.length
    for (const session of this.ending.splice(0, endingsAtOnce)) this.forming.end(session)
    // All of it was struck out again.
    if (changes === undefined) return this.advance(group)
    this.wentAt = this.scheduler.now
    this.handed = { group, changes }
    this.takeGroup = null
    take(changes)
  }

  private advance(group: number): void {
    this.counters.store_groups_total++
    this.committed = group
    this.wakeAll()
    if (this.onIdle.length === 0) return
    if (this.urgent || this.lazy > 0) return this.flushSoon()
    const callbacks = this.onIdle
    this.onIdle = []
    for (const callback of callbacks) callback()
  }

  private wakeAll(): void {
    if (this.waiters.size === 0) return
    const woken = this.waiters
    this.waiters = new Set()
    for (const waiter of woken) waiter.wake()
  }

  private changed(): number {
    this.changes++
    this.urgent = true
    if (this.takeGroup !== null) this.flushSoon()
    return this.group
  }

  private changedLazily(): number {
    if (++this.lazy >= lazyAtMost && this.takeGroup !== null) this.flushSoon()
    return this.group
  }

  private flushSoon(): void {
    if (this.flushing) return
    this.flushing = true
    this.scheduler.enqueueFlush(this)
  }
}
