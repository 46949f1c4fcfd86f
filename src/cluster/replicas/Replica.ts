// What is the same on every node: keys with what stands under them. Each change is stamped by the node that makes it and sent to all peers, the later stamp wins
// everywhere; what a node missed is found by comparing digests, when a link comes up and now and then. One part of the cluster, once for retained
// messages and once for records. Invariants: a stamp goes to the store in the group of its change; a node that comes back with older ones overwrites nothing.
import type { Journal } from "../../store/Journal.ts"
import { BodyWriter } from "../BodyWriter.ts"
import type { Bus, BusPart, FrameKind, Peer } from "../Bus.ts"
import { type HybridClock, millisOfStamp } from "../HybridClock.ts"
import {
  beginChanges,
  type Change,
  type ContentCodec,
  deltaBytes,
  differingBuckets,
  readBucket,
  readChanges,
  writeBucket,
  writeChange,
  writeDigest
} from "./replicaFrames.ts"
import { bucketCount, ReplicaStamps, type Stamp } from "./ReplicaStamps.ts"

export interface ReplicaOptions<A> {
  readonly bus: Bus
  readonly journal: Journal
  readonly clock: HybridClock
  /** ms since 1970. */
  readonly now: () => number
  /** Digests are compared so often. */
  readonly digestMillis: number
  /** So long is remembered that a key was deleted: as long as a node may be away. */
  readonly rememberMillis: number
  /** `flush` is to be called in a turn of the cluster. */
  readonly wake: () => void
  readonly frames: { readonly delta: FrameKind; readonly digest: FrameKind; readonly request: FrameKind }
  /** The kind of the records of its stamps. */
  readonly stampKind: string
  readonly codec: ContentCodec<A>
  /** What stands under a key here. */
  readonly get: (key: string) => A | undefined
  /** Of another node. False: it cannot be taken now. */
  readonly take: (key: string, content: A | null) => boolean
}

/** Changes that wait for the cluster's turn; beyond it the digests find them. */
const freshAtMost = 100_000
/** Keys that a congested or new peer is still to be sent; beyond it the digests find them, later. */
const owedAtMost = 1_000_000
/** Keys looked at in one tick for deletions that nobody has to remember. */
const sweptPerTick = 2_000
/** A stamp, whether it was deleted, and the node's name. */
const stampBytes = 9

export class Replica<A> implements BusPart {
  readonly kinds: ReadonlyArray<FrameKind>
  readonly stamps = new ReplicaStamps()
  /** Changes of other nodes that came too late to matter, and that this node could not take. */
  stale = 0
  refused = 0
  private readonly options: ReplicaOptions<A>
  private readonly fresh = new Map<string, Change<A>>()
  private readonly owed = new Map<string, Set<string>>()
  private flushDue = false
  private digestDueAt = 0
  private sweepBucket = 0
  private readonly record = new BodyWriter(256)

  constructor(options: ReplicaOptions<A>) {
    this.options = options
    const { delta, digest, request } = options.frames
    this.kinds = [delta, digest, request]
  }

  // --- this node's changes ------------------------------------------------------------------------------------------

  /** Made here, not by another node. Null: deleted. */
  changed(key: string, content: A | null): void {
    const { bus, clock, wake } = this.options
    const stamp = { stamp: clock.next(), node: bus.self.name }
    this.set(key, stamp, content === null)
    if (this.fresh.size < freshAtMost) this.fresh.set(key, { ...stamp, key, content })
    if (this.flushDue) return
    this.flushDue = true
    wake()
  }

  /** Its stamp stays, as that of a deletion: the others have it too, and it expires there by itself. */
  expired(key: string): void {
    const held = this.stamps.get(key)
    if (held !== undefined && !held.deleted) this.set(key, held, true)
  }

  /** What the store has of it, before the first link. False: it cannot be read. */
  restore(key: string, value: Uint8Array): boolean {
    if (value.length < stampBytes) return false
    const bytes = Buffer.from(value)
    const stamp = bytes.readUInt32BE(0) * 0x1_0000_0000 + bytes.readUInt32BE(4)
    if (!Number.isSafeInteger(stamp)) return false
    this.options.clock.observe(stamp)
    this.stamps.set(key, { stamp, node: bytes.toString("utf8", stampBytes) }, bytes[8] !== 0)
    return true
  }

  /** Here before there was a cluster: whatever the others have goes before it. */
  adopt(key: string): void {
    if (this.stamps.get(key) === undefined) this.set(key, { stamp: 0, node: this.options.bus.self.name }, false)
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
    const { codec, frames, now } = this.options
    if (kind === frames.delta) return readChanges(bytes, codec, now(), (change) => this.onChange(change))
    if (kind === frames.digest) {
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
    for (const [name, keys] of this.owed) if (keys.size > 0) this.sendOwed(name)
  }

  // --- out ---------------------------------------------------------------------------------------------------------

  private sendChanges(name: string, changes: ReadonlyArray<Change<A>>): void {
    const { bus, codec, frames, now } = this.options
    const at = now()
    let index = 0
    while (index < changes.length && !bus.isCongested(name)) {
      const first = index
      const body = beginChanges()
      for (; index < changes.length && body.length < deltaBytes; index++) {
        const change = changes[index]
        if (change !== undefined) writeChange(body, change, codec, at)
      }
      if (!bus.send(name, frames.delta, body.written())) {
        index = first
        break
      }
    }
    // The rest when there is room: as it is then.
    const owed = this.owed.get(name)
    for (; owed !== undefined && index < changes.length && owed.size < owedAtMost; index++) {
      const change = changes[index]
      if (change !== undefined) owed.add(change.key)
    }
  }

  private sendOwed(name: string): void {
    const owed = this.owed.get(name)
    while (owed !== undefined && owed.size > 0 && !this.options.bus.isCongested(name)) {
      const changes: Array<Change<A>> = []
      for (const key of owed) {
        owed.delete(key)
        const held = this.stamps.get(key)
        if (held === undefined) continue
        const content = held.deleted ? null : this.options.get(key) ?? null
        changes.push({ key, stamp: held.stamp, node: held.node, content })
        if (changes.length >= 256) break
      }
      this.sendChanges(name, changes)
    }
  }

  private sendDigest(name: string): void {
    this.options.bus.send(name, this.options.frames.digest, writeDigest(this.stamps.digest))
  }

  private sendBucket(name: string, bucket: number): void {
    this.options.bus.send(name, this.options.frames.request, writeBucket(bucket, this.stamps.bucket(bucket)))
  }

  /** The peer has said what it has: it is owed what is later here. What is later there it finds by our digest. */
  private owe(name: string, bucket: number, theirs: ReadonlyMap<string, Stamp>): void {
    const owed = this.owed.get(name)
    if (owed === undefined) return
    for (const [key, { node, stamp }] of this.stamps.bucket(bucket)) {
      const there = theirs.get(key)
      const later = there === undefined || stamp > there.stamp || (stamp === there.stamp && node > there.node)
      if (later && owed.size < owedAtMost) owed.add(key)
    }
    this.sendOwed(name)
  }

  // --- in ----------------------------------------------------------------------------------------------------------

  private onChange({ content, key, node, stamp }: Change<A>): void {
    const { clock, now, rememberMillis, take } = this.options
    const forgotten = content === null && stamp > 0 && millisOfStamp(stamp) + rememberMillis < now()
    if (!clock.observe(stamp) || forgotten || !this.stamps.isNews(key, { stamp, node })) {
      this.stale++
      return
    }
    if (take(key, content)) this.set(key, { stamp, node }, content === null)
    else this.refused++
  }

  private set(key: string, stamp: Stamp, deleted: boolean): void {
    this.stamps.set(key, stamp, deleted)
    const value = this.record.reset().uint64(stamp.stamp).uint8(deleted ? 1 : 0).raw(Buffer.from(stamp.node)).written()
    if (this.options.journal.enabled) this.options.journal.putRecord(this.options.stampKind, key, value.slice())
  }

  private sweep(now: number): void {
    const before = now - this.options.rememberMillis
    let looked = 0
    for (let buckets = 0; buckets < bucketCount && looked < sweptPerTick && this.stamps.deleted > 0; buckets++) {
      for (const [key, { deleted, stamp }] of [...this.stamps.bucket(this.sweepBucket)]) {
        looked++
        if (!deleted || millisOfStamp(stamp) >= before) continue
        this.stamps.remove(key)
        if (this.options.journal.enabled) this.options.journal.deleteRecord(this.options.stampKind, key)
      }
      this.sweepBucket = (this.sweepBucket + 1) % bucketCount
    }
  }
}
