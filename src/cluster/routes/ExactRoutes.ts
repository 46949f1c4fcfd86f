// Which peers have a filter without wildcards: a hash table of numbers, about 18 bytes a route, without the filter's text. Owned by the
// RemoteTable. Two texts that fall on one hash of 64 bits would cost a message sent for nothing; the hash has a seed of its own, so that
// no client can choose such texts. Invariant: a hash and a node stand in it together at most once.

/** The two halves of the last hash taken: no object is made for it. */
export class FilterHash {
  low = 0
  high = 0
  private readonly seedLow: number
  private readonly seedHigh: number

  constructor(random: () => number = Math.random) {
    this.seedLow = (random() * 0x1_0000_0000) | 0
    this.seedHigh = (random() * 0x1_0000_0000) | 0
  }

  of(text: string): void {
    let low = this.seedLow
    let high = this.seedHigh
    for (let index = 0; index < text.length; index++) {
      const unit = text.charCodeAt(index)
      low = Math.imul(low ^ unit, 0x9e3779b1)
      low ^= low >>> 15
      high = Math.imul(high ^ unit, 0x85ebca6b)
      high ^= high >>> 13
    }
    this.low = low >>> 0
    this.high = high >>> 0
  }
}

/** So many tables, each of which grows alone: growing one of ten million routes takes no turn longer than a millisecond. */
const shardCount = 256
const smallest = 8
/** Of a slot's third number: node << 8 | mark | state. */
const markBit = 0x80
const stateBits = 0x7f

class Shard {
  count = 0
  capacity = smallest
  low = new Uint32Array(smallest)
  high = new Uint32Array(smallest)
  /** 0: a free slot. */
  entry = new Uint32Array(smallest)

  home(low: number): number {
    return Math.floor(low / 0x1_0000_0000 * this.capacity)
  }

  resize(capacity: number): void {
    const { entry, high, low } = this
    const size = this.capacity
    this.capacity = capacity
    this.low = new Uint32Array(capacity)
    this.high = new Uint32Array(capacity)
    this.entry = new Uint32Array(capacity)
    for (let slot = 0; slot < size; slot++) {
      const kept = entry[slot] ?? 0
      if (kept !== 0) this.put(low[slot] ?? 0, high[slot] ?? 0, kept)
    }
  }

  /** One that is not there; there is room. */
  put(low: number, high: number, entry: number): void {
    let slot = this.home(low)
    while (this.entry[slot] !== 0) if (++slot === this.capacity) slot = 0
    this.low[slot] = low
    this.high[slot] = high
    this.entry[slot] = entry
  }

  /** -1: not there. */
  find(low: number, high: number, node: number): number {
    for (let slot = this.home(low);;) {
      const entry = this.entry[slot] ?? 0
      if (entry === 0) return -1
      if (this.low[slot] === low && this.high[slot] === high && entry >>> 8 === node) return slot
      if (++slot === this.capacity) slot = 0
    }
  }

  /** Those behind the hole that may stand further to the front close it, so that no search stops too early. */
  free(hole: number): void {
    const { capacity } = this
    this.count--
    for (let slot = hole;;) {
      if (++slot === capacity) slot = 0
      if (this.entry[slot] === 0) break
      const home = this.home(this.low[slot] ?? 0)
      const fromHome = slot >= home ? slot - home : slot + capacity - home
      const fromHole = slot >= hole ? slot - hole : slot + capacity - hole
      if (fromHome < fromHole) continue
      this.low[hole] = this.low[slot] ?? 0
      this.high[hole] = this.high[slot] ?? 0
      this.entry[hole] = this.entry[slot] ?? 0
      hole = slot
    }
    this.entry[hole] = 0
  }
}

export class ExactRoutes {
  private readonly shards: Array<Shard | undefined> = new Array<Shard | undefined>(shardCount).fill(undefined)
  private rows = 0

  get size(): number {
    return this.rows
  }

  /** Of the tables, without what holds them. */
  get bytes(): number {
    return this.shards.reduce((sum, shard) => sum + (shard === undefined ? 0 : shard.capacity * 12), 0)
  }

  /** `state` 1 to 127, `node` below 2^24; returns the state from before, 0 for none. */
  set(hash: FilterHash, node: number, state: number, marked: boolean): number {
    const entry = ((node << 8) | (marked ? markBit : 0) | state) >>> 0
    const shard = this.shards[hash.high & 0xff] ??= new Shard()
    const slot = shard.find(hash.low, hash.high, node)
    if (slot >= 0) {
      const before = (shard.entry[slot] ?? 0) & stateBits
      shard.entry[slot] = entry
      return before
    }
    if ((shard.count + 1) * 5 > shard.capacity * 4) shard.resize(Math.ceil(shard.capacity * 1.5))
    shard.put(hash.low, hash.high, entry)
    shard.count++
    this.rows++
    return 0
  }

  /** The state that it had; 0: it was not there. */
  delete(hash: FilterHash, node: number): number {
    const shard = this.shards[hash.high & 0xff]
    const slot = shard?.find(hash.low, hash.high, node) ?? -1
    if (shard === undefined || slot < 0) return 0
    const before = (shard.entry[slot] ?? 0) & stateBits
    shard.free(slot)
    this.rows--
    shrink(shard)
    return before
  }

  /** All nodes that have it. */
  each(hash: FilterHash, found: (node: number, state: number) => void): void {
    const shard = this.shards[hash.high & 0xff]
    if (shard === undefined) return
    const { low, high } = hash
    for (let slot = shard.home(low);;) {
      const entry = shard.entry[slot] ?? 0
      if (entry === 0) return
      if (shard.low[slot] === low && shard.high[slot] === high) found(entry >>> 8, entry & stateBits)
      if (++slot === shard.capacity) slot = 0
    }
  }

  /** Before the whole set of a node comes: what is not set anew with a mark goes in `sweep`. O(all routes). */
  unmark(node: number): void {
    for (const shard of this.shards) {
      if (shard === undefined) continue
      const { entry } = shard
      for (let slot = 0; slot < entry.length; slot++) {
        const one = entry[slot] ?? 0
        if (one !== 0 && one >>> 8 === node) entry[slot] = one & ~markBit
      }
    }
  }

  /** What the node has without a mark and in this state, another one has from now on; both may have had it. Returns whether there was any. */
  give(node: number, state: number, to: number): boolean {
    let any = false
    for (const shard of this.shards) {
      if (shard === undefined) continue
      const { entry } = shard
      for (let slot = 0; slot < entry.length; slot++) {
        if (entry[slot] !== ((node << 8) | state) >>> 0) continue
        entry[slot] = ((to << 8) | state) >>> 0
        any = true
      }
    }
    return any
  }

  /** Takes away what the node has without a mark, or all that it has; returns how many. */
  sweep(node: number, all: boolean): number {
    let gone = 0
    for (const shard of this.shards) {
      if (shard === undefined) continue
      for (let slot = 0; slot < shard.capacity;) {
        const entry = shard.entry[slot] ?? 0
        if (entry !== 0 && entry >>> 8 === node && (all || (entry & markBit) === 0)) {
          // Another one may stand here now; one that was moved to the end of the table from its start was looked at already.
          shard.free(slot)
          this.rows--
          gone++
        } else slot++
      }
      shrink(shard)
    }
    return gone
  }
}

const shrink = (shard: Shard): void => {
  if (shard.capacity > smallest && shard.count * 4 < shard.capacity) {
    shard.resize(Math.max(smallest, Math.ceil(shard.count * 1.5)))
  }
}
