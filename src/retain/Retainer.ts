// The actor that owns the RetainedTree. Connections leave it the messages to retain; sessions read `cursor` and `get` at once, in their
// own tick. Invariants: the limits hold at any time, what exceeds one is counted and said in the log, never silent; a crash loses the one
// message that caused it and no other.
import type { RetainSettings } from "../config/Settings.ts"
import type { Message } from "../mqtt/Message.ts"
import { isSystemTopic } from "../mqtt/Topic.ts"
import { MailboxActor } from "../otp/MailboxActor.ts"
import type { Scheduler } from "../otp/Scheduler.ts"
import type { Journal } from "../store/Journal.ts"
import type { RetainedCursor } from "./RetainedCursor.ts"
import type { RetainedReplicas } from "./RetainedReplicas.ts"
import { RetainedTree } from "./RetainedTree.ts"

/** Why a message was not retained. */
export type RetainLimit = "max_messages" | "max_payload" | "max_total" | "mailbox" | "store"

/** Totals since the start. */
export class RetainCounters {
  /** For a topic that had none. */
  stored = 0
  replaced = 0
  /** By an empty payload. */
  deleted = 0
  expired = 0
  rejectedMaxMessages = 0
  rejectedMaxPayload = 0
  rejectedMaxTotal = 0
  rejectedMailbox = 0
  /** The store fails, and what waits for it is as much as it may be. */
  rejectedStore = 0
}

/** Whoever calls back when it is time: the broker's timer wheel. */
export interface RetainWheel {
  schedule(deadlineMillis: number, item: { onTimer(): void }): unknown
}

export interface RetainerOptions {
  readonly scheduler: Scheduler
  readonly settings: RetainSettings
  /** Without one expired messages are not given out, but they keep their memory. */
  readonly wheel?: RetainWheel
  /** A message was not retained; at most once in `warnMillis` for each limit, with the count of those since the last time. */
  readonly onLimit?: (limit: RetainLimit, rejected: number, message: Message) => void
  readonly warnMillis?: number
  /** Where changes are kept for the next start; without one nothing is. */
  readonly journal?: Journal
  /** For tests: a tree that throws. */
  readonly tree?: RetainedTree
}

/** The sweep looks at so many nodes (about 0.2 ms), waits, goes on; after the end of the tree it rests. */
const sweepSteps = 2_000
const sweepPauseMillis = 100
const sweepRestMillis = 5_000

interface Warning {
  notBefore: number
  rejected: number
}

export class Retainer extends MailboxActor<Message> {
  readonly counters = new RetainCounters()
  /** Null: there are no other nodes. Set before the broker listens. */
  replicas: RetainedReplicas | null = null
  private tree: RetainedTree
  /** What this node says of itself and of the others under `$SYS`: a handful, of this process alone. */
  private readonly system: RetainedTree
  private readonly settings: RetainSettings
  private readonly options: RetainerOptions
  private readonly warnings = new Map<RetainLimit, Warning>()
  /** A change of the tree has begun and not ended: after a crash the tree is made anew. */
  private changing = false
  private sweepScheduled = false
  private sweepDue = false
  /** Topics of which a message of this batch was rejected: what was recorded of those behind it was overwritten. */
  private readonly rejectedNow = new Set<string>()
  /** Trees made anew after a crash. */
  rebuilds = 0

  constructor(options: RetainerOptions) {
    super("retainer", options.scheduler, options.settings.mailboxCapacity)
    this.options = options
    this.settings = options.settings
    this.tree = options.tree ?? new RetainedTree(() => this.scheduler.now)
    this.system = new RetainedTree(() => this.scheduler.now)
  }

  /** Retained messages; a few may have expired and wait to be swept. */
  get count(): number {
    return this.tree.size
  }

  get payloadBytes(): number {
    return this.tree.payloadBytes
  }

  get(topic: string): Message | undefined {
    return this.tree.get(topic)
  }

  /** Of all that is retained. */
  topics(): Iterable<string> {
    return this.tree.topics()
  }

  /** A filter that matches anything under `$SYS` says so: no wildcard stands for it [MQTT-4.7.2-1]. */
  cursor(filter: string): RetainedCursor {
    return (isSystemTopic(filter) ? this.system : this.tree).cursor(filter)
  }

  /**
   * A topic under `$SYS`, of the broker itself: neither counted, stored on disk nor given to other nodes; an empty payload deletes. The
   * caller bounds how many there are.
   */
  keepSystem(message: Message): void {
    if (message.payloadLength === 0) this.system.delete(message.topic)
    else this.system.set(message)
  }

  /**
   * Leaves a message with RETAIN 1 to be retained; an empty payload deletes what is retained. False: the mailbox is full, it will not be
   * (counted). `isFull` tells before whether a limit is in the way.
   */
  store(message: Message): boolean {
    const { journal } = this.options
    if (journal !== undefined && journal.failing !== null && journal.isFull) {
      this.counters.rejectedStore++
      this.warn("store", message)
      return false
    }
    if (this.cast(message)) {
      this.replicas?.taken(message)
      // Recorded in the publisher's turn, so that its acknowledgement knows what to wait for.
      journal?.retain(message.topic, message.payloadLength === 0 ? null : message)
      // A SUBSCRIBE that comes after it must find it: it overtakes what is queued, as requests do.
      this.wakeNext()
      return true
    }
    this.counters.rejectedMailbox++
    this.warn("mailbox", message)
    return false
  }

  /** Whether a limit keeps this message from being retained, as things are now: for the 0x97 of its acknowledgement. */
  isFull(message: Message): boolean {
    // What waits in the mailbox is counted as if all of it were new: better refused than acknowledged and not kept.
    const waiting = this.mailbox.size
    if (waiting > 0 && this.tree.size + waiting >= this.settings.maxMessages && this.get(message.topic) === undefined) {
      return message.payloadLength > 0
    }
    return this.mailbox.isFull || this.limitOf(message) !== undefined
  }

  /** For the wheel. */
  onTimer(): void {
    this.sweepScheduled = false
    this.sweepDue = true
    this.wake()
  }

  protected override receive(): void {
    super.receive()
    this.rejectedNow.clear()
    if (this.sweepDue) this.sweep()
  }

  protected override handle(message: Message): void {
    const { counters, tree } = this
    if (message.payloadLength === 0) {
      // [MQTT-3.3.1-10] [MQTT-3.3.1-11] [MQTT5-3.3.1-6] [MQTT5-3.3.1-7] an empty payload deletes and is not itself
      // retained
      this.changing = true
      if (tree.delete(message.topic) !== undefined) counters.deleted++
      this.changing = false
      if (this.rejectedNow.has(message.topic)) this.options.journal?.retain(message.topic, null)
      return
    }
    const limit = this.limitOf(message)
    if (limit !== undefined) {
      this.reject(limit, message)
      return
    }
    // It stays: it must not keep the chunk of the socket that it came in.
    message.detach()
    // [MQTT-3.3.1-5] [MQTT-3.3.1-7] [MQTT-3.1.2-7] whatever its QoS, and for longer than the session of its publisher
    this.changing = true
    const replaced = tree.set(message, this.expiryOf(message))
    this.changing = false
    if (this.rejectedNow.has(message.topic)) this.options.journal?.retain(message.topic, message)
    if (replaced === undefined) counters.stored++
    else counters.replaced++
    if (tree.expiring > 0 && !this.sweepScheduled) this.scheduleSweep(sweepRestMillis)
  }

  protected override restarted(): void {
    super.restarted()
    if (this.changing) {
      this.changing = false
      this.tree = this.tree.salvage()
      this.rebuilds++
    }
    if (this.tree.expiring > 0 && !this.sweepScheduled) this.scheduleSweep(sweepRestMillis)
  }

  private limitOf(message: Message): RetainLimit | undefined {
    const { maxMessages, maxPayloadBytes, maxTotalBytes } = this.settings
    const bytes = message.payloadLength
    if (bytes === 0) return undefined
    if (bytes > maxPayloadBytes) return "max_payload"
    const tree = this.tree
    const total = tree.payloadBytes + bytes
    if (tree.size < maxMessages && total <= maxTotalBytes) return undefined
    const held = tree.held(message.topic)
    if (held === undefined) return tree.size >= maxMessages ? "max_messages" : "max_total"
    return total - held.payloadLength <= maxTotalBytes ? undefined : "max_total"
  }

  private expiryOf(message: Message): number {
    if (message.expiresAt !== 0 || this.settings.expiryMillis === Infinity) return message.expiresAt
    return message.receivedAt + this.settings.expiryMillis
  }

  /** From the store, before the broker listens. */
  restore(message: Message): void {
    this.tree.set(message, this.expiryOf(message))
    if (this.tree.expiring > 0 && !this.sweepScheduled) this.scheduleSweep(sweepRestMillis)
  }

  private reject(limit: RetainLimit, message: Message): void {
    const { counters } = this
    this.rejectedNow.add(message.topic)
    // It was recorded when it came: what is retained instead is what is retained still.
    this.options.journal?.retain(message.topic, this.tree.held(message.topic) ?? null)
    if (limit === "max_messages") counters.rejectedMaxMessages++
    else if (limit === "max_payload") counters.rejectedMaxPayload++
    else counters.rejectedMaxTotal++
    this.warn(limit, message)
  }

  private warn(limit: RetainLimit, message: Message): void {
    const { onLimit, warnMillis = 10_000 } = this.options
    if (onLimit === undefined) return
    let warning = this.warnings.get(limit)
    if (warning === undefined) this.warnings.set(limit, warning = { notBefore: 0, rejected: 0 })
    warning.rejected++
    const now = this.scheduler.now
    if (now < warning.notBefore) return
    warning.notBefore = now + warnMillis
    const rejected = warning.rejected
    warning.rejected = 0
    onLimit(limit, rejected, message)
  }

  private sweep(): void {
    this.sweepDue = false
    this.changing = true
    const ended = this.tree.sweep(sweepSteps, (message) => {
      this.counters.expired++
      this.options.journal?.retain(message.topic, null)
      this.replicas?.expired(message.topic)
    })
    this.changing = false
    if (this.tree.expiring > 0) this.scheduleSweep(ended ? sweepRestMillis : sweepPauseMillis)
  }

  private scheduleSweep(inMillis: number): void {
    const wheel = this.options.wheel
    if (wheel === undefined) return
    this.sweepScheduled = true
    wheel.schedule(this.scheduler.now + inMillis, this)
  }
}
