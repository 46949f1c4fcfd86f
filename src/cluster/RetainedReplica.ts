// Retained messages on every node: each change is stamped by the node that takes it in and sent to all peers, the later stamp wins everywhere; what a node missed
// is found by comparing digests, when a link comes up and now and then. One part of the cluster; the retainer sees it as RetainedReplicas. Invariants: a
// stamp goes to the store in the group of its change; a node that comes back with older ones overwrites nothing.
import { Message } from "../mqtt/Message.ts"
import type { TopicTable } from "../mqtt/TopicTable.ts"
import type { RetainedReplicas } from "../retain/RetainedReplicas.ts"
import type { Journal } from "../store/Journal.ts"
import { type Bus, type BusPart, FrameKind, type Peer } from "./Bus.ts"
import { BodyWriter } from "./BodyWriter.ts"
import { type HybridClock, millisOfStamp } from "./HybridClock.ts"
import {
  beginChanges,
  deltaBytes,
  differingBuckets,
  readBucket,
  readChanges,
  type RetainedChange,
  writeBucket,
  writeChange,
  writeDigest
} from "./retainedFrames.ts"
import { bucketCount, RetainedStamps, type Stamp } from "./RetainedStamps.ts"

/** A stamp, whether it was deleted, and the node's name. */
const stampBytes = 9

/** Of the store: a record a topic. */
export const retainedStampKind = "cluster_retained"

/** The node's own Retainer. */
export interface LocalRetainer {
  get(topic: string): Message | undefined
  /** False: it takes nothing now. */
  store(message: Message): boolean
}

export interface RetainedReplicaOptions {
  readonly bus: Bus
  readonly retainer: LocalRetainer
  readonly journal: Journal
  readonly topics: TopicTable
  readonly clock: HybridClock
  /** ms since 1970. */
  readonly now: () => number
  /** Digests are compared so often. */
  readonly digestMillis: number
  /** So long is remembered that a topic was deleted: as long as a node may be away. */
  readonly rememberMillis: number
  /** `flush` is to be called in a turn of the cluster. */
  readonly wake: () => void
}

/** Changes that were taken in and wait for the cluster's turn; beyond it the digests find them. */
const freshAtMost = 100_000
/** Topics that a congested or new peer is still to be sent; beyond it the digests find them, later. */
const owedAtMost = 1_000_000
/** Topics looked at in one tick for deletions that nobody has to remember. */
const sweptPerTick = 2_000

export class RetainedReplica implements BusPart, RetainedReplicas {
  readonly kinds = [FrameKind.RetainedDelta, FrameKind.RetainedDigest, FrameKind.RetainedRequest]
  readonly stamps = new RetainedStamps()
  /** Changes of other nodes that came too late to matter, and that this node could not take. */
  stale = 0
  refused = 0
  private readonly options: RetainedReplicaOptions
  private readonly fresh = new Map<string, RetainedChange>()
  /** What came from other nodes and is on its way into the retainer. */
  private readonly incoming = new Map<Message, Stamp>()
  private readonly owed = new Map<string, Set<string>>()
  private flushDue = false
  private digestDueAt = 0
  private sweepBucket = 0
  private readonly record = new BodyWriter(256)

  constructor(options: RetainedReplicaOptions) {
    this.options = options
  }

  // --- the retainer's side -----------------------------------------------------------------------------------------

  taken(message: Message): void {
    const { bus, clock, wake } = this.options
    const { payloadLength, topic } = message
    const remote = this.incoming.get(message)
    const stamp = remote ?? { stamp: clock.next(), node: bus.self.name }
    this.set(topic, stamp, payloadLength === 0)
    if (remote !== undefined) return
    if (this.fresh.size < freshAtMost) {
      // The bytes of a chunk that goes on: it waits for a turn.
      message.detach()
      this.fresh.set(topic, { ...stamp, topic, message: payloadLength === 0 ? null : message })
    }
    if (this.flushDue) return
    this.flushDue = true
    wake()
  }

  expired(topic: string): void {
    const held = this.stamps.get(topic)
    // Its stamp stays, as that of a deletion: the others have it too, and it expires there by itself.
    if (held !== undefined && !held.deleted) this.set(topic, held, true)
  }

  /** What the store has of it, before the first link. False: it cannot be read. */
  restore(topic: string, value: Uint8Array): boolean {
    if (value.length < stampBytes) return false
    const bytes = Buffer.from(value)
    const stamp = bytes.readUInt32BE(0) * 0x1_0000_0000 + bytes.readUInt32BE(4)
    if (!Number.isSafeInteger(stamp)) return false
    this.options.clock.observe(stamp)
    this.stamps.set(topic, { stamp, node: bytes.toString("utf8", stampBytes) }, bytes[8] !== 0)
    return true
  }

  /** Retained before there was a cluster: whatever the others have goes before it. */
  adopt(topic: string): void {
    if (this.stamps.get(topic) === undefined) this.set(topic, { stamp: 0, node: this.options.bus.self.name }, false)
  }

  // --- the bus -----------------------------------------------------------------------------------------------------

  linkUp({ name }: Peer): void {
    this.owed.set(name, new Set())
    this.sendDigest(name)
  }

  linkDown({ name }: Peer): void {
    this.owed.delete(name)
  }

  receive({ name }: Peer, kind: FrameKind, bytes: Buffer): void {
    const { now, topics } = this.options
    if (kind === FrameKind.RetainedDelta) return readChanges(bytes, topics, now(), (change) => this.onChange(change))
    if (kind === FrameKind.RetainedDigest) {
      for (const bucket of differingBuckets(bytes, this.stamps.digest)) this.sendBucket(name, bucket)
    } else {
      const { bucket, stamps } = readBucket(bytes)
      this.owe(name, bucket, stamps)
    }
  }

  writable({ name }: Peer): void {
    this.sendOwed(name)
  }

  tick(now: number): void {
    this.flush()
    this.sweep(now)
    if (now < this.digestDueAt) return
    this.digestDueAt = now + this.options.digestMillis
    for (const name of this.options.bus.peers.keys()) this.sendDigest(name)
  }

  /** Once a turn of the cluster. */
  flush(): void {
    this.flushDue = false
    if (this.fresh.size > 0) {
      const changes = [...this.fresh.values()]
      this.fresh.clear()
      for (const name of this.options.bus.peers.keys()) this.sendChanges(name, changes)
    }
    for (const [name, topics] of this.owed) if (topics.size > 0) this.sendOwed(name)
  }

  // --- out ---------------------------------------------------------------------------------------------------------

  private sendChanges(name: string, changes: ReadonlyArray<RetainedChange>): void {
    const { bus, now } = this.options
    const at = now()
    let index = 0
    while (index < changes.length && !bus.isCongested(name)) {
      const first = index
      const body = beginChanges()
      for (; index < changes.length && body.length < deltaBytes; index++) {
        const change = changes[index]
        if (change !== undefined) writeChange(body, change, at)
      }
      if (!bus.send(name, FrameKind.RetainedDelta, body.written())) {
        index = first
        break
      }
    }
    // The rest when there is room: as it is then.
    const owed = this.owed.get(name)
    for (; owed !== undefined && index < changes.length && owed.size < owedAtMost; index++) {
      const change = changes[index]
      if (change !== undefined) owed.add(change.topic)
    }
  }

  private sendOwed(name: string): void {
    const owed = this.owed.get(name)
    while (owed !== undefined && owed.size > 0 && !this.options.bus.isCongested(name)) {
      const changes: Array<RetainedChange> = []
      for (const topic of owed) {
        owed.delete(topic)
        const held = this.stamps.get(topic)
        if (held === undefined) continue
        const message = held.deleted ? null : this.options.retainer.get(topic) ?? null
        changes.push({ topic, stamp: held.stamp, node: held.node, message })
        if (changes.length >= 256) break
      }
      this.sendChanges(name, changes)
    }
  }

  private sendDigest(name: string): void {
    this.options.bus.send(name, FrameKind.RetainedDigest, writeDigest(this.stamps.digest))
  }

  private sendBucket(name: string, bucket: number): void {
    this.options.bus.send(name, FrameKind.RetainedRequest, writeBucket(bucket, this.stamps.bucket(bucket)))
  }

  /** The peer has said what it has: it is owed what is later here. What is later there it finds by our digest. */
  private owe(name: string, bucket: number, theirs: ReadonlyMap<string, Stamp>): void {
    const owed = this.owed.get(name)
    if (owed === undefined) return
    for (const [topic, { node, stamp }] of this.stamps.bucket(bucket)) {
      const there = theirs.get(topic)
      const later = there === undefined || stamp > there.stamp || (stamp === there.stamp && node > there.node)
      if (later && owed.size < owedAtMost) owed.add(topic)
    }
    this.sendOwed(name)
  }

  // --- in ----------------------------------------------------------------------------------------------------------

  private onChange({ message, node, stamp, topic }: RetainedChange): void {
    const { bus, clock, now, retainer } = this.options
    const forgotten = message === null && stamp > 0 && millisOfStamp(stamp) + this.options.rememberMillis < now()
    if (!clock.observe(stamp) || forgotten || !this.stamps.isNews(topic, { stamp, node })) {
      this.stale++
      return
    }
    const change = message ?? Message.make({
      topic,
      payload: new Uint8Array(0),
      qos: 0,
      retain: true,
      publisher: bus.self.name,
      properties: null,
      now: now()
    })
    this.incoming.set(change, { stamp, node })
    // Told back by `taken`, in this call.
    if (!retainer.store(change)) this.refused++
    this.incoming.delete(change)
  }

  private set(topic: string, stamp: Stamp, deleted: boolean): void {
    this.stamps.set(topic, stamp, deleted)
    const value = this.record.reset().uint64(stamp.stamp).uint8(deleted ? 1 : 0).raw(Buffer.from(stamp.node)).written()
    if (this.options.journal.enabled) this.options.journal.putRecord(retainedStampKind, topic, value.slice())
  }

  private sweep(now: number): void {
    const before = now - this.options.rememberMillis
    let looked = 0
    for (let buckets = 0; buckets < bucketCount && looked < sweptPerTick && this.stamps.deleted > 0; buckets++) {
      for (const [topic, { deleted, stamp }] of [...this.stamps.bucket(this.sweepBucket)]) {
        looked++
        if (!deleted || millisOfStamp(stamp) >= before) continue
        this.stamps.remove(topic)
        if (this.options.journal.enabled) this.options.journal.deleteRecord(retainedStampKind, topic)
      }
      this.sweepBucket = (this.sweepBucket + 1) % bucketCount
    }
  }
}
