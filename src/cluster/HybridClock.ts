// A clock that all nodes of a cluster agree on well enough to say which of two things was later: wall time that never goes back and never falls
// behind a stamp that was seen. Plain code. A stamp is one number: ms since 1970 times 1,024, plus a count within the millisecond; a double
// holds it exactly until the year 2248. Invariant: a stamp is greater than every stamp that this clock has given or observed.

/** Stamps a millisecond. */
const perMillisecond = 1024
/** Whoever is further ahead than this is not followed: a stamp gone wrong must not carry every clock away with it, ms. */
const maximumLead = 24 * 60 * 60 * 1000

export class HybridClock {
  private last = 0
  private readonly now: () => number

  /** `now`: ms since 1970. */
  constructor(now: () => number) {
    this.now = now
  }

  next(): number {
    return this.last = Math.max(this.last + 1, Math.floor(this.now()) * perMillisecond)
  }

  /** A stamp of another node: ours come after it. False: it lies more than a day ahead and is not followed. */
  observe(stamp: number): boolean {
    if (stamp > (this.now() + maximumLead) * perMillisecond) return false
    if (stamp > this.last) this.last = stamp
    return true
  }
}

/** ms since 1970. */
export const millisOfStamp = (stamp: number): number => Math.floor(stamp / perMillisecond)
