// Claims and questions about client ids that nobody has, as far as this member knows: somebody may not have said so yet. Plain state in the cluster's turns.
// Invariants: each is run once, at the latest after `mostMillis`; one that waits for a node that goes on telling what it has waits no longer than for that.

/** So long is waited for the word of all peers that they have said what they have, ms. */
const parkedMillis = 2_000
/** Who has said something of what he has within this time goes on to, ms. */
const progressMillis = 1_000

export interface ParkedOptions {
  /** ms since 1970. */
  readonly now: () => number
  /** After so long the claimant does without the answer. */
  readonly claimMillis: number
  /** Somebody else than the claimant has it. */
  readonly isKnown: (clientId: string, claimant: string) => boolean
  /** Everybody has said what he has. */
  readonly isTold: () => boolean
}

interface Waiting {
  readonly clientId: string
  readonly claimant: string
  readonly run: () => void
  readonly since: number
}

export class Parked {
  private readonly options: ParkedOptions
  private waiting: Array<Waiting> = []
  private heardAt = -Infinity

  constructor(options: ParkedOptions) {
    this.options = options
  }

  /** A node that has not said all that it has goes on saying it. */
  heard(): void {
    this.heardAt = this.options.now()
  }

  /** Once somebody has it, or everybody has said what he has; or after a while. */
  whenKnown(clientId: string, claimant: string, run: () => void): void {
    const { isKnown, isTold, now } = this.options
    if (isKnown(clientId, claimant) || isTold()) return run()
    this.waiting.push({ clientId, claimant, since: now(), run })
  }

  look(): void {
    if (this.waiting.length === 0) return
    const { claimMillis, isKnown, isTold, now } = this.options
    const at = now()
    // The answer has to be there before the claimant does without it.
    const most = at - this.heardAt < progressMillis ? Math.max(parkedMillis, claimMillis * 0.9) : parkedMillis
    const toldAll = isTold()
    const { waiting } = this
    this.waiting = []
    for (const one of waiting) {
      if (toldAll || at - one.since >= most || isKnown(one.clientId, one.claimant)) one.run()
      else this.waiting.push(one)
    }
  }
}
