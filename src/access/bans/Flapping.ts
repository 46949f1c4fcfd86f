// Client ids that connect and go again and again: how often each has gone lately. Pure; Bans.ts asks it at each disconnect. Invariant: never
// more client ids than the bound; the one that went first is forgotten first.

export interface FlappingLimits {
  /** So many disconnects within the window; 0: nobody is counted. */
  readonly disconnects: number
  readonly windowMillis: number
  /** Client ids that are counted. */
  readonly tracked: number
}

export class Flapping {
  private limits: FlappingLimits
  private readonly counts = new Map<string, { since: number; count: number }>()

  constructor(limits: FlappingLimits) {
    this.limits = limits
  }

  change(limits: FlappingLimits): void {
    this.limits = limits
    if (limits.disconnects === 0) this.counts.clear()
    this.shrink()
  }

  get size(): number {
    return this.counts.size
  }

  /** The client has gone once more. True: that is too often; it is counted anew from here. */
  disconnected(clientId: string, now: number): boolean {
    const { disconnects, windowMillis } = this.limits
    if (disconnects === 0) return false
    const known = this.counts.get(clientId)
    if (known === undefined || now - known.since >= windowMillis || now < known.since) {
      // The order of the map is that of the windows.
      this.counts.delete(clientId)
      if (disconnects === 1) return true
      this.counts.set(clientId, { since: now, count: 1 })
      this.shrink()
      return false
    }
    known.count++
    if (known.count < disconnects) return false
    this.counts.delete(clientId)
    return true
  }

  private shrink(): void {
    for (const oldest of this.counts.keys()) {
      if (this.counts.size <= this.limits.tracked) return
      this.counts.delete(oldest)
    }
  }
}
