// What a session that was read from the store is owed and has not read back yet: it stays on disk until the client is there, and is read
// in pages as the queue runs low. Plain state of one Outgoing. Invariants: pages come in the order of the sequence, so exchanges that
// were under way come first; new deliveries stand behind all of it, the last few in memory, so the order holds and memory is bounded.
import type { Message } from "../mqtt/Message.ts"
import { type DeliveryPage, hasMore, type StoredDelivery } from "../store/Engine.ts"
import type { DurableDelivery } from "../store/DurableDelivery.ts"
import type { Journal, Waiter } from "../store/Journal.ts"
import type { StoreReads } from "../store/StoreReads.ts"
import type { DurableState } from "./DurableState.ts"
import { readableMessage } from "../store/storedMessage.ts"
import type { Delivery } from "./OutgoingQueue.ts"
import type { Services } from "./Services.ts"

export interface RecordedDelivery extends Delivery {
  readonly record: DurableDelivery
}

const pageSize = 256
/** The next page is asked for when the queue is shorter. */
const lowWater = 128
/** So many new deliveries are kept in memory; beyond that they are read back like the others. */
const freshAtMost = 256

export class Backlog {
  /** The oldest ones that are to be given up when they are read: the queue's bound was met while they were on disk. */
  excess = 0
  /** Exchanges that were under way may be among what is unread: no packet identifier is free yet. */
  exchangesUnread = true
  private unread: number
  private fresh: Array<RecordedDelivery> = []
  private readonly journal: Journal
  private readonly reads: StoreReads
  private readonly session: number
  private readonly owner: Waiter
  /** The youngest that is unread: what is younger is in memory, here or on its way to here, even where a page has it too. */
  private last: number
  private after = 0
  private reading = false
  private arrived: DeliveryPage | null = null
  /** The group of the youngest that is unread. */
  private group = 0
  /** When the last page was asked for: what was committed, and whether that was all of it. */
  private askedAt = -1
  private askedWhole = false
  private short = false

  constructor(journal: Journal, reads: StoreReads, durable: DurableState, unread: number, owner: Waiter) {
    this.journal = journal
    this.reads = reads
    this.session = durable.number
    this.last = durable.storedSequence
    this.unread = unread
    this.owner = owner
  }

  /** Deliveries that the queue does not have yet. */
  get size(): number {
    return this.unread + this.fresh.length
  }

  /** One more, which the journal has. */
  add(delivery: RecordedDelivery): void {
    const last = this.fresh[freshAtMost - 1]
    if (last !== undefined) {
      this.unread += this.fresh.length
      this.group = last.record.group
      this.last = last.record.sequence
      // A page that was asked for before may not have them.
      this.askedWhole = false
      this.fresh = []
    }
    this.fresh.push(delivery)
  }

  /** The page that has come, once; null: none has. */
  take(): ReadonlyArray<StoredDelivery> | null {
    const rows = this.arrived
    if (rows === null) return null
    this.arrived = null
    const older = rows.filter((row) => row.sequence <= this.last)
    const last = older[older.length - 1]
    if (last !== undefined) this.after = last.sequence
    this.short = !hasMore(rows, pageSize)
    // At its end, what was counted and is not there is not owed any more.
    const ended = older.length < rows.length || (this.short && this.askedWhole)
    this.unread = ended ? 0 : Math.max(1, this.unread - older.length)
    return older
  }

  /** Nothing is unread any more: what is in memory follows, once. */
  get rest(): ReadonlyArray<RecordedDelivery> | null {
    return this.unread > 0 ? null : this.fresh
  }

  /** Asks for the next page where one is wanted. `queued`: how many wait in memory; `present`: the client is there to take them. */
  readOn(queued: number, present: boolean): void {
    if (this.reading || this.arrived !== null || this.unread === 0) return
    if (this.excess === 0 && (!present || queued >= lowWater)) return
    const { committed } = this.journal
    // What is not committed cannot be read: after a page that came to the end there is a commit to wait for.
    if (this.short && committed === this.askedAt) return this.journal.wait(this.owner)
    this.askedAt = committed
    this.askedWhole = committed >= this.group
    this.reading = true
    this.reads.request({
      session: this.session,
      after: this.after,
      limit: pageSize,
      reply: (rows) => {
        this.reading = false
        this.arrived = rows
        this.owner.wake()
      }
    })
  }
}

/** What was read back, as a message; undefined: its bytes make none. It stays in the store, the log names it, the rest goes on. */
export const storedMessage = (row: StoredDelivery, clientId: string, services: Services): Message | undefined =>
  readableMessage(row.stored, services.topics, (reason) => {
    const { message, sequence, session } = row
    services.counters.store_deliveries_unreadable_total++
    services.log.error("store: a message cannot be read: it stays there, and its session goes on without it", {
      client_id: clientId,
      session,
      sequence,
      message,
      reason
    })
  })
