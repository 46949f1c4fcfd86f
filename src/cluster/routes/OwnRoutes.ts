// The routes of this node as it has told them to its peers, and which of them changed lately. Pure; owned by Routes. Invariant: the digest
// is that of the rows; the log holds the keys of the latest changes without a gap.
import { Digest } from "./routeKey.ts"

/** Changes whose keys are kept: a peer that has missed no more is sent those rows, one that has missed more is sent all. */
export const logLength = 16_384

export class OwnRoutes {
  /** Another one after a restart, and greater. */
  readonly epoch: number
  /** Changes so far. */
  version = 0
  readonly digest = new Digest()
  private readonly rows = new Map<string, number>()
  /** Key of change n at n % logLength. */
  private readonly log: Array<string> = []

  constructor(epoch: number) {
    this.epoch = epoch
  }

  get size(): number {
    return this.rows.size
  }

  get(key: string): number {
    return this.rows.get(key) ?? 0
  }

  /** False: it had that state. */
  set(key: string, state: number): boolean {
    const before = this.rows.get(key) ?? 0
    if (before === state) return false
    this.digest.subtract(key, before)
    this.digest.add(key, state)
    if (state === 0) this.rows.delete(key)
    else this.rows.set(key, state)
    this.log[++this.version % logLength] = key
    return true
  }

  /** In the order in which they appeared; may go on while rows change: what appears meanwhile comes at the end. */
  entries(): IterableIterator<[string, number]> {
    return this.rows.entries()
  }

  keys(): IterableIterator<string> {
    return this.rows.keys()
  }

  /** The keys that have changed since then, each once; undefined: that is not known any more. */
  changedSince(version: number): Set<string> | undefined {
    if (version < 0 || version > this.version || this.version - version > logLength) return undefined
    const keys = new Set<string>()
    for (let change = version + 1; change <= this.version; change++) {
      const key = this.log[change % logLength]
      if (key !== undefined) keys.add(key)
    }
    return keys
  }
}
