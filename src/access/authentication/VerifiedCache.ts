// What the chain remembers of clients that it has let in, so that one that comes back in time costs no hash and no back end. Plain; owned by
// one Authentication, so that a reload begins with none. Invariants: only what was allowed is remembered, for a bounded time and number; the
// key is `credentialsKey`, so that another password, address or listener is another client.
import type { Verdict } from "./AuthLink.ts"

interface Remembered {
  readonly verdict: Verdict
  readonly until: number
}

export class VerifiedCache {
  private readonly capacity: number
  private readonly ttlMillis: number
  private readonly entries = new Map<string, Remembered>()

  /** 0 of either: nothing is remembered. */
  constructor(capacity: number, ttlMillis: number) {
    this.capacity = ttlMillis === 0 ? 0 : capacity
    this.ttlMillis = ttlMillis
  }

  get isOff(): boolean {
    return this.capacity === 0
  }

  get size(): number {
    return this.entries.size
  }

  get(key: string, now: number): Verdict | undefined {
    const found = this.entries.get(key)
    if (found === undefined) return undefined
    if (now < found.until) return found.verdict
    this.entries.delete(key)
    return undefined
  }

  put(key: string, verdict: Verdict, now: number): void {
    if (this.capacity === 0 || verdict._tag !== "Allow") return
    this.entries.delete(key)
    if (this.entries.size >= this.capacity) {
      for (const oldest of this.entries.keys()) {
        this.entries.delete(oldest)
        break
      }
    }
    this.entries.set(key, { verdict, until: Math.min(now + this.ttlMillis, verdict.expiresAt ?? Infinity) })
  }

  clear(): void {
    this.entries.clear()
  }
}
