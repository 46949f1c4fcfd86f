// The messages that one peer is owed: sent in order, kept until the peer acknowledges them, sent again after a reconnect. Plain code, owned by
// the Forwarder. Invariants: one queue in the order of publishing, in memory and on disk alike, so that no switch between them reorders
// anything; what the outbox has is deleted there only when the peer has it or it was given up and counted.
import type { Message } from "../../mqtt/Message.ts"
import { Forward } from "../../router/Forward.ts"
import type { Journal } from "../../store/Journal.ts"
import type { BodyWriter } from "../BodyWriter.ts"
import { type Bus, FrameKind } from "../Bus.ts"
import { RouteLevel } from "../../router/RemoteRoutes.ts"
import { Entry, entryBytes, isAfter, isGapKey, nowhere, type Position, type Target, toRoutes } from "./Entry.ts"
import { beginMessages, writeRun } from "./forwardFrames.ts"
import { LooseRuns } from "./LooseRuns.ts"
import { mergeCopies } from "./mergeCopies.ts"
import { type NodeNames, outboxKey, outboxKind, outboxValue } from "./outboxRecords.ts"

export interface StreamLimits {
  readonly outboxMessages: number
  readonly outboxBytes: number
  readonly outboxWhenFull: "drop_oldest" | "drop_newest"
  /** A message that no peer has acknowledged for so long is kept on disk, and its publisher is answered. */
  readonly forwardTimeoutMillis: number
  /** A longer message than a frame can carry goes to no peer. */
  readonly mostMessageBytes: number
}

export interface StreamCounts {
  forward_sent_total: number
  forward_resent_total: number
  forward_stored_total: number
  forward_dropped_qos0_total: number
  forward_dropped_full_total: number
  forward_dropped_dead_total: number
  forward_dropped_too_long_total: number
}

export interface StreamOwner {
  /** A message of shared groups goes to members elsewhere; what it returns is to be waited for. */
  giveBack(message: Message, groups: ReadonlyArray<string>, peer: string): Forward | null
  onFull(peer: string, full: boolean): void
  readonly names: NodeNames
}

/** So much is put into one frame of messages; a longer message is a frame of its own. */
const frameBytes = 64 * 1024
const closeGapFrom = 1_024

export class PeerStream {
  readonly peer: string
  /** Of the entries that are made now. */
  epoch: number
  /** True: its member counts as dead. What is not owed to a durable session is not kept for it. */
  isDown = false
  /** The last place that was given to a message. */
  private sequence = 0
  private entries: Array<Entry | undefined> = []
  /** entries[first..): not acknowledged; [first..next): sent on this link; [first..secured): nobody waits for them. */
  private first = 0
  private next = 0
  private secured = 0
  /** The highest place ever sent: what lies below is sent again. */
  private sentTo: Position = nowhere
  /** The peer has it, or it was sent on this link: what is put in comes after it. */
  private reached: Position = nowhere
  /** entries[first..kept): their bytes have been taken out of larger chunks. */
  private kept = 0
  private messages = 0
  private bytes = 0
  private readonly loose: LooseRuns
  /** The peer has said how far it has come: on a new link nothing goes before that. */
  private ready = false
  private full = false
  /** What is to be done once everything up to a place has been sent on this link. */
  private fences: Array<{ readonly after: Position; readonly run: () => void }> = []
  private readonly journal: Journal
  private readonly limits: StreamLimits
  private readonly counts: StreamCounts
  private readonly owner: StreamOwner

  constructor(
    peer: string,
    epoch: number,
    journal: Journal,
    limits: StreamLimits,
    counts: StreamCounts,
    owner: StreamOwner
  ) {
    this.peer = peer
    this.epoch = epoch
    this.journal = journal
    this.limits = limits
    this.counts = counts
    this.owner = owner
    this.loose = new LooseRuns(counts)
  }

  /** Messages that it is owed. */
  get size(): number {
    return this.messages
  }

  get byteSize(): number {
    return this.bytes
  }

  // --- messages in -------------------------------------------------------------------------------------------------

  /** True: it has become part of a run that waits to be sent; to be tried before `pushLoose`. */
  follow(message: Message): boolean {
    return this.loose.extend(message, toRoutes)
  }

  /** QoS 0 there: sent with the next flush or never. */
  pushLoose(message: Message, target: Target): void {
    if (this.loose.extend(message, target) || this.isTooLong(message)) return
    this.loose.push(message, target)
  }

  /** Returns what to wait for: `forward`, or the one of the messages before it; null where it is not kept, and counted. */
  push(
    message: Message,
    target: Target,
    level: RouteLevel,
    now: number,
    forward: Forward | null,
    storeNow: boolean,
    sequence: number,
    given: ReadonlyArray<number> | undefined
  ): Forward | null {
    if (this.isDown && level < RouteLevel.Owed) {
      this.counts.forward_dropped_dead_total++
      return null
    }
    const size = message.end - message.start
    const isStored = storeNow && this.journal.enabled
    if (!isStored && this.next < this.entries.length && this.fits(size)) {
      const last = this.entries[this.entries.length - 1]
      if (
        last !== undefined && last.level === level && last.storedIn === 0 && last.forward !== null &&
        isAfter(last, this.sentTo) &&
        (forward === null || forward === last.forward) && last.follows(message, target, sequence, given)
      ) {
        this.sequence = sequence
        this.messages++
        this.bytes += size
        return last.forward
      }
    }
    if (this.isTooLong(message) || !this.makeRoom(size + entryBytes)) return null
    const waited = forward ?? new Forward()
    waited.open++
    this.sequence = sequence
    const entry = new Entry({ epoch: this.epoch, sequence }, message, target, level, now, waited, given)
    this.add(entry)
    // QoS 2: a crash of this node must neither lose it nor send it a second time, once its publisher's packet identifier is on disk.
    if (isStored) this.store(entry)
    if (this.isDown) this.tick(now)
    return waited
  }

  /** From the disk, at the start, in order. */
  restore(entry: Entry): void {
    this.add(entry)
    this.kept = this.secured = this.entries.length
    // Whatever the clock says: what is made from now on comes after it.
    if (entry.epoch >= this.epoch) this.epoch = entry.epoch + 1
  }

  private add(entry: Entry): void {
    this.entries.push(entry)
    this.messages += entry.count
    this.bytes += entry.bytes
  }

  /** Up to so many of what the peer has not acknowledged, from behind this place on. */
  entriesAfter(position: Position, most: number): ReadonlyArray<Entry> {
    let low = this.first
    for (let high = this.entries.length; low < high;) {
      const middle = (low + high) >> 1
      const entry = this.entries[middle]
      if (entry !== undefined && isAfter(entry, position)) high = middle
      else low = middle + 1
    }
    return this.entries.slice(low, low + most).filter((entry) => entry !== undefined)
  }

  /**
   * Copies of what another peer is owed, in the order of their places: each in its place, or, where the peer has come beyond that, at the end with
   * the next one. `isStored`: they are to be on disk in the group that is being formed.
   */
  insert(
    copies: ReadonlyArray<{ readonly entry: Entry; readonly isStored: boolean }>,
    nextSequence: () => number
  ): void {
    const taken: Array<Entry> = []
    const stored: Array<Entry> = []
    for (const { entry, isStored } of copies) {
      if (this.fits(entry.bytes)) {
        this.messages += entry.count
        this.bytes += entry.bytes
        taken.push(entry)
        if (isStored && this.journal.enabled) stored.push(entry)
      } else {
        if (!this.full) this.setFull(true)
        this.counts.forward_dropped_full_total += entry.count
        entry.forward?.settle()
      }
    }
    const { entries, late } = mergeCopies(taken, this.entries.slice(this.next), this.reached, this.epoch)
    for (const entry of late) {
      entry.epoch = this.epoch
      entry.sequence = this.sequence = nextSequence()
      // A run has as many places as messages.
      for (let more = entry.count; more > 1; more--) this.sequence = nextSequence()
      entries.push(entry)
    }
    this.entries = [...this.entries.slice(0, this.next), ...entries]
    this.secured = Math.min(this.secured, this.next)
    this.kept = Math.min(this.kept, this.next)
    for (const entry of stored) this.store(entry)
  }

  private isTooLong(message: Message): boolean {
    if (message.end - message.start <= this.limits.mostMessageBytes) return false
    this.counts.forward_dropped_too_long_total++
    return true
  }

  private fits(bytes: number): boolean {
    return this.messages < this.limits.outboxMessages && this.bytes + bytes <= this.limits.outboxBytes
  }

  private makeRoom(bytes: number): boolean {
    const { outboxBytes, outboxMessages, outboxWhenFull } = this.limits
    if (this.fits(bytes)) {
      if (this.full && this.size * 2 < outboxMessages && this.bytes * 2 < outboxBytes) this.setFull(false)
      return true
    }
    if (!this.full) this.setFull(true)
    if (outboxWhenFull === "drop_newest") {
      this.counts.forward_dropped_full_total++
      return false
    }
    while (!this.fits(bytes) && this.first < this.entries.length) {
      this.counts.forward_dropped_full_total += this.entries[this.first]?.count ?? 0
      this.shift()
    }
    return true
  }

  private setFull(full: boolean): void {
    this.full = full
    this.owner.onFull(this.peer, full)
  }

  /** In a flush, once all that is here now has been sent; at once, where it has. A link that breaks before forgets it. */
  whenSent(run: () => void): void {
    const last = this.entries[this.entries.length - 1]
    if (last === undefined || (this.ready && this.next >= this.entries.length)) return run()
    this.fences.push({ after: { epoch: last.epoch, sequence: last.sequence }, run })
  }

  private passFences(): void {
    for (let fence = this.fences[0]; fence !== undefined; fence = this.fences[0]) {
      const next = this.entries[this.next]
      if (next !== undefined && !isAfter(next, fence.after)) return
      this.fences.shift()
      fence.run()
    }
  }

  // --- the peer ----------------------------------------------------------------------------------------------------

  linkDown(): void {
    this.fences = []
    this.ready = false
    this.next = this.first
  }

  /** The peer has come so far: what it has is not sent again, but stays until it is acknowledged. */
  onPosition(position: Position): void {
    // A clock that was set back: what is made here must come after what the peer has seen of us.
    if (position.epoch > this.epoch || (position.epoch === this.epoch && position.sequence > this.sequence)) {
      this.restamp(position.epoch + 1)
    }
    this.ready = true
    this.reached = position
    this.next = this.first
    while (this.next < this.entries.length) {
      const entry = this.entries[this.next]
      if (entry === undefined || isAfter(entry, position)) break
      this.next++
    }
  }

  private restamp(epoch: number): void {
    const former = this.epoch
    this.epoch = epoch
    for (let index = this.first; index < this.entries.length; index++) {
      const entry = this.entries[index]
      if (entry === undefined || entry.epoch !== former) continue
      if (entry.isStored) this.journal.deleteRecord(outboxKind, outboxKey(this.peer, entry))
      entry.epoch = epoch
      if (entry.isStored) this.store(entry)
    }
  }

  onAck(position: Position): void {
    while (this.first < this.entries.length) {
      const entry = this.entries[this.first]
      if (entry === undefined || isAfter(entry, position)) break
      this.shift()
    }
    if (this.full && this.messages === 0) this.setFull(false)
  }

  get isReady(): boolean {
    return this.ready
  }

  /** Sends what can go; `closed`: only what has no place. True: something waits for the journal's commit. */
  pump(bus: Bus, writer: BodyWriter, now: number, closed: boolean): boolean {
    let waits = false
    if (this.ready && !closed) {
      while (this.next < this.entries.length && !waits) {
        if (bus.isCongested(this.peer)) break
        const entry = this.entries[this.next]
        if (entry === undefined) break
        if (entry.storedIn > this.journal.committed) {
          waits = true
          break
        }
        if (!this.sendFrom(bus, writer, now, entry)) break
      }
      if (this.fences.length > 0) this.passFences()
    }
    if (!this.loose.isEmpty) this.sendLoose(bus, writer, now)
    return waits
  }

  /** One frame that begins with this entry; loose messages fill it up. */
  private sendFrom(bus: Bus, writer: BodyWriter, now: number, first: Entry): boolean {
    const { epoch } = first
    const base = first.sequence
    beginMessages(writer, first)
    let index = this.next
    let sent = 0
    let resent = 0
    for (; index < this.entries.length && writer.length < frameBytes; index++) {
      const entry = this.entries[index]
      if (entry === undefined || entry.epoch !== epoch || entry.storedIn > this.journal.committed) break
      writeRun(writer, entry, entry.sequence - base, now)
      if (isAfter(entry, this.sentTo)) sent += entry.count
      else resent += entry.count
    }
    if (index === this.entries.length && writer.length < frameBytes && !this.loose.isEmpty) {
      this.loose.write(writer, now, frameBytes)
    }
    if (!bus.send(this.peer, FrameKind.Messages, writer.written())) return false
    this.counts.forward_sent_total += sent
    this.counts.forward_resent_total += resent
    const last = this.entries[index - 1]
    if (last !== undefined) this.reached = { epoch, sequence: last.sequence + last.count - 1 }
    if (last !== undefined && isAfter(last, this.sentTo)) this.sentTo = { epoch, sequence: last.sequence }
    this.next = index
    return true
  }

  private sendLoose(bus: Bus, writer: BodyWriter, now: number): void {
    const { loose } = this
    while (!loose.isEmpty) {
      if (!this.ready || bus.isCongested(this.peer)) return loose.drop()
      beginMessages(writer, { epoch: this.epoch, sequence: 0 })
      const { forward_sent_total } = this.counts
      loose.write(writer, now, frameBytes)
      if (bus.send(this.peer, FrameKind.Messages, writer.written())) continue
      // It has not gone.
      this.counts.forward_dropped_qos0_total += this.counts.forward_sent_total - forward_sent_total
      this.counts.forward_sent_total = forward_sent_total
      return loose.drop()
    }
  }

  // --- the outbox --------------------------------------------------------------------------------------------------

  /** Time passes: who has waited too long for the peer is answered, once the message is on disk. */
  tick(now: number): void {
    for (; this.kept < this.entries.length; this.kept++) this.entries[this.kept]?.detach()
    const deadline = now - this.limits.forwardTimeoutMillis
    for (; this.secured < this.entries.length; this.secured++) {
      const entry = this.entries[this.secured]
      if (entry === undefined || (entry.at > deadline && !this.isDown)) return
      // The store takes nothing: the publisher waits with it.
      if (entry.isOwed && this.journal.failing !== null) return
      this.secure(entry)
    }
  }

  /** Its member counts as dead: what a session is owed goes to disk now, the rest is given up. */
  down(now: number): void {
    this.isDown = true
    const lost = this.entries.slice(this.first).filter((entry) => entry !== undefined)
    const kept = lost.filter((entry) => entry.isOwed && !this.returns(entry))
    this.entries = kept
    this.first =
      this.next =
      this.secured =
      this.kept =
        0
    // All in one group: a crash must not keep the later ones alone.
    this.tick(now)
    for (const entry of lost) {
      if (this.returns(entry)) this.giveBack(entry)
      else if (!entry.isOwed) {
        this.counts.forward_dropped_dead_total += entry.count
        this.release(entry)
      }
    }
  }

  /** Nobody will ask for it any more; returns how many messages are given up. */
  drop(): number {
    const lost = this.entries.slice(this.first).filter((entry) => entry !== undefined)
    this.entries = []
    this.first =
      this.next =
      this.secured =
      this.kept =
        0
    this.loose.forget()
    for (const entry of lost) {
      if (this.returns(entry)) this.giveBack(entry)
      else this.release(entry)
    }
    return lost.reduce((sum, entry) => this.returns(entry) ? sum : sum + entry.count, 0)
  }

  // [MQTT5-4.8.2-5] QoS 2 that was sent stays where it is
  private returns(entry: Entry): boolean {
    const [key] = entry.target.groups
    return key !== undefined && !isGapKey(key) &&
      (entry.message.qos === 1 || isAfter(entry, this.sentTo))
  }

  private giveBack(entry: Entry): void {
    const { forward, message, target } = entry
    entry.forward = null
    const { changes } = this.journal
    const next = this.owner.giveBack(message, target.groups, this.peer)
    const group = this.journal.changes === changes ? 0 : this.journal.group
    this.release(entry)
    if (forward === null) return
    if (next === null || next.settled) forward.settle(Math.max(group, next?.group ?? 0))
    else next.wait({ wake: () => forward.settle(Math.max(group, next.group)) })
  }

  private secure(entry: Entry): void {
    if (entry.isOwed && this.journal.enabled && !entry.isStored) this.store(entry)
    const { forward } = entry
    entry.forward = null
    forward?.settle(Math.max(0, entry.storedIn))
  }

  private store(entry: Entry): void {
    entry.storedIn = this.journal.putRecord(
      outboxKind,
      outboxKey(this.peer, entry),
      outboxValue(entry, this.owner.names)
    )
    this.counts.forward_stored_total += entry.count
  }

  private shift(): void {
    const entry = this.entries[this.first]
    this.entries[this.first++] = undefined
    if (this.next < this.first) this.next = this.first
    if (this.secured < this.first) this.secured = this.first
    if (this.kept < this.first) this.kept = this.first
    if (entry !== undefined) this.release(entry)
    if (this.first < closeGapFrom && this.first < this.entries.length) return
    if (this.first * 2 < this.entries.length) return
    this.entries = this.entries.slice(this.first)
    this.next -= this.first
    this.secured -= this.first
    this.kept -= this.first
    this.first = 0
  }

  private release(entry: Entry): void {
    this.messages -= entry.count
    this.bytes -= entry.bytes
    if (entry.isStored) this.journal.deleteRecordLazily(outboxKind, outboxKey(this.peer, entry))
    const { forward } = entry
    entry.forward = null
    forward?.settle()
  }
}
