// A rate with a burst: tokens come in evenly up to a bound, whoever does something takes them. Plain numbers, no timer of its own.
// Invariant: over any time no more is taken than the bound and what has come in meanwhile, but for the debt of one taking.

/** The clock tick after which whoever waits is woken again, at most, as a share of a second: what comes in within it must fit. */
const leastSeconds = 0.2

export class TokenBucket {
  readonly perSecond: number
  readonly capacity: number
  private readonly burst: number
  private tokens: number
  private at: number

  /** `burst`: what may be taken at once after a rest; 0: as much as comes in within a second. At least a fifth of a second's worth. */
  constructor(perSecond: number, burst: number, now: number) {
    this.perSecond = perSecond
    this.burst = burst
    this.capacity = Math.max(1, perSecond * leastSeconds, burst === 0 ? perSecond : burst)
    this.tokens = this.capacity
    this.at = now
  }

  /** Takes them if there is one at all; what is not there is owed. False: none was there, none was taken. */
  take(count: number, now: number): boolean {
    this.fill(now)
    // Several readings of a clock add up to a little less than they say.
    if (this.tokens < 1 - 1e-9) return false
    this.tokens -= count
    return true
  }

  /** Takes them whether or not they are there. */
  owe(count: number, now: number): void {
    this.fill(now)
    this.tokens -= count
  }

  /** Until there is one again; 0: there is. */
  waitMillis(now: number): number {
    this.fill(now)
    return this.tokens >= 1 - 1e-9 ? 0 : (1 - this.tokens) / this.perSecond * 1000
  }

  /** Made of these numbers. */
  sets(perSecond: number, burst: number): boolean {
    return this.perSecond === perSecond && this.burst === burst
  }

  private fill(now: number): void {
    // A clock that was set back gives nothing and takes nothing.
    if (now > this.at) this.tokens = Math.min(this.capacity, this.tokens + (now - this.at) / 1000 * this.perSecond)
    this.at = now
  }
}
