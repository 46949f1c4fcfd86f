// Which change of a replicated key is the last one, on all nodes: a stamp and a node for each key, of those that were deleted too, and what they add up to in
// buckets, so that two nodes find out in 2 KB whether they have the same. Plain class. Invariant: a bucket's digest is the sum over its keys.
import { fnv1a, fnvBasis, mixed } from "../../router/textHash.ts"

/** When a key was changed last (HybridClock), and by which node. */
export interface Stamp {
  readonly stamp: number
  readonly node: string
}

export const bucketCount = 256

interface Held extends Stamp {
  readonly deleted: boolean
}

export class ReplicaStamps {
  private readonly byKey: ReadonlyArray<Map<string, Held>> = Array.from({ length: bucketCount }, () => new Map())
  private readonly sums = new Uint32Array(bucketCount * 2)
  /** Keys that were deleted. */
  deleted = 0
  size = 0

  get(key: string): (Stamp & { readonly deleted: boolean }) | undefined {
    return this.byKey[bucketOf(key)]?.get(key)
  }

  /** Whether this change is later than the one that is known; of the same moment, the greater name's. */
  isNews(key: string, { node, stamp }: Stamp): boolean {
    const held = this.get(key)
    return held === undefined || stamp > held.stamp || (stamp === held.stamp && node > held.node)
  }

  set(key: string, stamp: Stamp, deleted: boolean): void {
    this.remove(key)
    const bucket = bucketOf(key)
    this.byKey[bucket]?.set(key, { stamp: stamp.stamp, node: stamp.node, deleted })
    this.count(bucket, key, stamp)
    this.size++
    if (deleted) this.deleted++
  }

  /** A deletion that everybody has long heard of. */
  remove(key: string): void {
    const bucket = bucketOf(key)
    const held = this.byKey[bucket]?.get(key)
    if (held === undefined) return
    this.byKey[bucket]?.delete(key)
    // Adding is exclusive or: the same once more takes it out.
    this.count(bucket, key, held)
    this.size--
    if (held.deleted) this.deleted--
  }

  bucket(bucket: number): IterableIterator<[string, Held]> {
    return (this.byKey[bucket] ?? new Map<string, Held>()).entries()
  }

  /** Two numbers a bucket. */
  get digest(): Uint32Array {
    return this.sums
  }

  private count(bucket: number, key: string, { node, stamp }: Stamp): void {
    const text = `${key}\n${stamp}\n${node}`
    const at = bucket * 2
    this.sums[at] = ((this.sums[at] ?? 0) ^ hash(text, fnvBasis)) >>> 0
    this.sums[at + 1] = ((this.sums[at + 1] ?? 0) ^ hash(text, 0x9747b28c)) >>> 0
  }
}

export const bucketOf = (key: string): number => hash(key, 0x2f0b4a37) & (bucketCount - 1)

const hash = (text: string, seed: number): number => mixed(fnv1a(text, seed))
