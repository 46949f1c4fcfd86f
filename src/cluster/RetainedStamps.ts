// Which change of a retained topic is the last one, on all nodes: a stamp and a node for each topic, of those that were deleted too, and what they add up to in
// buckets, so that two nodes find out in 2 KB whether they have the same. Plain class. Invariant: a bucket's digest is the sum over its topics.

/** When a topic was changed last (HybridClock), and by which node. */
export interface Stamp {
  readonly stamp: number
  readonly node: string
}

export const bucketCount = 256

interface Held extends Stamp {
  readonly deleted: boolean
}

export class RetainedStamps {
  private readonly byTopic: ReadonlyArray<Map<string, Held>> = Array.from({ length: bucketCount }, () => new Map())
  private readonly sums = new Uint32Array(bucketCount * 2)
  /** Topics that were deleted. */
  deleted = 0
  size = 0

  get(topic: string): (Stamp & { readonly deleted: boolean }) | undefined {
    return this.byTopic[bucketOf(topic)]?.get(topic)
  }

  /** Whether this change is later than the one that is known; of the same moment, the greater name's. */
  isNews(topic: string, { node, stamp }: Stamp): boolean {
    const held = this.get(topic)
    return held === undefined || stamp > held.stamp || (stamp === held.stamp && node > held.node)
  }

  set(topic: string, stamp: Stamp, deleted: boolean): void {
    this.remove(topic)
    const bucket = bucketOf(topic)
    this.byTopic[bucket]?.set(topic, { stamp: stamp.stamp, node: stamp.node, deleted })
    this.count(bucket, topic, stamp)
    this.size++
    if (deleted) this.deleted++
  }

  /** A deletion that everybody has long heard of. */
  remove(topic: string): void {
    const bucket = bucketOf(topic)
    const held = this.byTopic[bucket]?.get(topic)
    if (held === undefined) return
    this.byTopic[bucket]?.delete(topic)
    // Adding is exclusive or: the same once more takes it out.
    this.count(bucket, topic, held)
    this.size--
    if (held.deleted) this.deleted--
  }

  bucket(bucket: number): IterableIterator<[string, Held]> {
    return (this.byTopic[bucket] ?? new Map<string, Held>()).entries()
  }

  /** Two numbers a bucket. */
  get digest(): Uint32Array {
    return this.sums
  }

  private count(bucket: number, topic: string, { node, stamp }: Stamp): void {
    const text = `${topic}\n${stamp}\n${node}`
    const at = bucket * 2
    this.sums[at] = ((this.sums[at] ?? 0) ^ hash(text, 0x811c9dc5)) >>> 0
    this.sums[at + 1] = ((this.sums[at + 1] ?? 0) ^ hash(text, 0x9747b28c)) >>> 0
  }
}

export const bucketOf = (topic: string): number => hash(topic, 0x2f0b4a37) & (bucketCount - 1)

/** FNV-1a over UTF-16 units, its bits mixed at the end. */
const hash = (text: string, seed: number): number => {
  let h = seed
  for (let index = 0; index < text.length; index++) h = Math.imul(h ^ text.charCodeAt(index), 0x01000193)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
