// Questions whether a member lives: those of this node, directly and by way of others, and those that it asks on behalf of others. Pure:
// `Membership` sends and judges. Invariant: each question ends, answered or not, within its time; so many are kept and no more.

export interface Probe {
  readonly member: string
  readonly epoch: number
  /** From when on others are asked to ask. */
  indirectAt: number
  /** When it counts as unanswered. */
  until: number
  isIndirect: boolean
}

interface Relay {
  readonly asker: string
  readonly number: number
  readonly until: number
}

const mostRelays = 10_000

export class Probes {
  private readonly own = new Map<number, Probe>()
  private readonly byMember = new Map<string, number>()
  private readonly relays = new Map<number, Relay>()
  private last = 0

  /** The number of a new question; undefined: this member is being asked already. */
  begin(member: string, epoch: number, now: number, timeoutMillis: number): number | undefined {
    if (this.byMember.has(member)) return undefined
    const number = this.next()
    // Asking by way of others is two ways longer.
    this.own.set(number, {
      member,
      epoch,
      indirectAt: now + timeoutMillis,
      until: now + 3 * timeoutMillis,
      isIndirect: false
    })
    this.byMember.set(member, number)
    return number
  }

  /** The number under which a question of somebody else's is passed on; undefined: too many are under way. */
  relay(asker: string, number: number, now: number, timeoutMillis: number): number | undefined {
    if (this.relays.size >= mostRelays) return undefined
    const own = this.next()
    this.relays.set(own, { asker, number, until: now + 2 * timeoutMillis })
    return own
  }

  /** Whose question it was that has been answered. */
  answered(number: number): { readonly asker: string; readonly number: number } | undefined {
    const probe = this.own.get(number)
    if (probe !== undefined) {
      this.end(number, probe)
      return undefined
    }
    const relay = this.relays.get(number)
    if (relay !== undefined) this.relays.delete(number)
    return relay
  }

  /** It spoke, or is no member any more: no need to ask on. */
  cancel(member: string): void {
    const number = this.byMember.get(member)
    const probe = number === undefined ? undefined : this.own.get(number)
    if (number !== undefined && probe !== undefined) this.end(number, probe)
  }

  /** What is due: those to be asked by way of others, and those that were not answered. `lateMillis`: so long this node has slept. */
  tick(
    now: number,
    lateMillis: number,
    ask: (number: number, probe: Probe) => void,
    unanswered: (probe: Probe) => void
  ): void {
    for (const [number, probe] of this.own) {
      probe.indirectAt += lateMillis
      probe.until += lateMillis
      if (now >= probe.until) {
        this.end(number, probe)
        unanswered(probe)
      } else if (now >= probe.indirectAt && !probe.isIndirect) {
        probe.isIndirect = true
        ask(number, probe)
      }
    }
    for (const [number, relay] of this.relays) if (now >= relay.until) this.relays.delete(number)
  }

  private end(number: number, probe: Probe): void {
    this.own.delete(number)
    this.byMember.delete(probe.member)
  }

  private next(): number {
    return this.last = (this.last + 1) >>> 0
  }
}
