// Sessions that are here and that the directory knows nothing of: after whatever has gone wrong. Looked for in slices, all the time; one that stays so is held
// again, which ends in one session for the client, wherever else it has one. Plain code in the cluster's turns. Invariant: a session that is on
// its way, or about to be, is left alone.

/** Client ids looked at in one tick: a million in less than a minute. */
const lookedAtPerTick = 2_000
/** So long has it to be so, ms: longer than any turn of the registry. */
const unheldMillis = 2_000

export interface UnheldOptions {
  readonly clientIds: () => Iterable<string>
  /** It is held, or something of it is under way. */
  readonly isKnown: (clientId: string) => boolean
  readonly hold: (clientId: string) => void
}

export class Unheld {
  /** Held again. */
  found = 0
  private readonly options: UnheldOptions
  private left: Iterator<string> | null = null
  /** Since when, ms. */
  private readonly since = new Map<string, number>()

  constructor(options: UnheldOptions) {
    this.options = options
  }

  tick(now: number): void {
    const { clientIds, hold, isKnown } = this.options
    for (const [clientId, at] of this.since) {
      if (isKnown(clientId)) this.since.delete(clientId)
      else if (now - at >= unheldMillis) {
        this.since.delete(clientId)
        this.found++
        hold(clientId)
      }
    }
    this.left ??= clientIds()[Symbol.iterator]()
    for (let seen = 0; seen < lookedAtPerTick; seen++) {
      const { done, value } = this.left.next()
      if (done === true) {
        this.left = null
        return
      }
      if (!isKnown(value) && !this.since.has(value)) this.since.set(value, now)
    }
  }
}
