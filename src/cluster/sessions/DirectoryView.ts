// The members that client ids are assigned to, as this node sees them: those that it has a link to, so that a member that has just died is asked for
// nothing. And whether each peer has told all that it has. Plain state. Invariant: who sees fewer members assigns to each of them at
// least what those who see more assign to it; so a peer whose members are all seen here has announced whatever this node looks after.
import type { Bus, Members } from "../Bus.ts"
import { rendezvous } from "./rendezvous.ts"

/** A node that has just started waits so long for the members that it has heard of, ms. */
const startMillis = 2_000
/** A peer that sees others than this node does, and goes on to: after so long it is not waited for, ms. */
const steadyMillis = 3_000

interface Told {
  readonly names: ReadonlyArray<string>
  readonly at: number
  covered: boolean
}

export interface DirectoryViewOptions {
  readonly bus: Bus
  readonly members: Members
  /** ms since 1970. */
  readonly now: () => number
  /** It was told of others when it was started. */
  readonly expectsPeers: () => boolean
}

export class DirectoryView {
  /** Sorted, this node among them. */
  names: ReadonlyArray<string>
  private readonly options: DirectoryViewOptions
  private readonly startedAt: number
  private changedAt: number
  private readonly told = new Map<string, Told>()

  constructor(options: DirectoryViewOptions) {
    this.options = options
    this.startedAt = this.changedAt = options.now()
    this.names = this.seen()
  }

  memberFor(clientId: string): string {
    return this.names.length < 2 ? this.options.members.self : rendezvous(this.names, clientId)
  }

  /** True: they are others than before. */
  refresh(): boolean {
    const names = this.seen()
    if (names.length === this.names.length && names.every((name, at) => name === this.names[at])) return false
    this.names = names
    this.changedAt = this.options.now()
    for (const told of this.told.values()) told.covered = this.covers(told.names)
    return true
  }

  /** It has announced all that it has, for these members. True: that is all that this node looks after. */
  tell(peer: string, names: ReadonlyArray<string>): boolean {
    const covered = this.covers(names)
    this.told.set(peer, { names, at: this.options.now(), covered })
    return covered
  }

  /** All that this node looks after. */
  hasTold(peer: string): boolean {
    return this.told.get(peer)?.covered === true
  }

  forget(peer: string): void {
    this.told.delete(peer)
  }

  /** Nobody has anything that he has not announced here, as far as can be known. */
  get isTold(): boolean {
    const { bus: { peers }, expectsPeers, members } = this.options
    const now = this.options.now()
    if (now - this.startedAt < startMillis) {
      if (
        peers.size === 0 ? expectsPeers() : members.present.some((name) => name !== members.self && !peers.has(name))
      ) {
        return false
      }
    }
    for (const name of peers.keys()) {
      const told = this.told.get(name)
      if (told === undefined) return false
      if (!told.covered && now - Math.max(told.at, this.changedAt) < steadyMillis) return false
    }
    return true
  }

  private seen(): ReadonlyArray<string> {
    const { bus, members } = this.options
    return [members.self, ...bus.peers.keys()].sort()
  }

  private covers(names: ReadonlyArray<string>): boolean {
    return names.every((name) => this.names.includes(name))
  }
}
