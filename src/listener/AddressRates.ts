// How fast each network opens connections: a token bucket for each of those seen lately. Plain; the overload judge asks at each new socket.
// Invariants: never more networks than the bound; the one that has been quiet the longest is forgotten first, which lets it start anew.
import { TokenBucket } from "../connection/TokenBucket.ts"

export class AddressRates {
  private buckets = new Map<string, TokenBucket>()
  private perSecond = 0
  private burst = 0
  private bound = 1

  /** 0 a second: nobody is limited. Those who are known start anew where the rate has changed. */
  change(perSecond: number, burst: number, bound: number): void {
    if (perSecond !== this.perSecond || burst !== this.burst) this.buckets = new Map()
    this.perSecond = perSecond
    this.burst = burst
    this.bound = bound
    this.shrink()
  }

  get isOff(): boolean {
    return this.perSecond === 0
  }

  get size(): number {
    return this.buckets.size
  }

  /** One more connection of this network (`networkKey`). False: it is too fast. */
  admits(network: string, now: number): boolean {
    const known = this.buckets.get(network)
    const bucket = known ?? new TokenBucket(this.perSecond, this.burst, now)
    // The order of the map is that of the last call.
    if (known !== undefined) this.buckets.delete(network)
    this.buckets.set(network, bucket)
    this.shrink()
    return bucket.take(1, now)
  }

  private shrink(): void {
    for (const oldest of this.buckets.keys()) {
      if (this.buckets.size <= this.bound) return
      this.buckets.delete(oldest)
    }
  }
}
