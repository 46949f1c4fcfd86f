// Tells the members that look after client ids what this node holds: after members have come or gone, and to a member whose link is new; then each peer that
// all was told. Plain code in the cluster's turns. Invariant: what a member could not be told is told again until it was.
import { type Bus, FrameKind } from "../Bus.ts"
import type { DirectoryView } from "./DirectoryView.ts"
import { type Holding, writeHoldings, writeNames } from "./directoryFrames.ts"
import { rendezvous } from "./rendezvous.ts"

/** Client ids looked at in one tick: 100,000 in a second. */
const announcedPerTick = 10_000
const holdingsPerFrame = 500

export interface AnnouncingOptions {
  readonly bus: Bus
  readonly view: DirectoryView
  /** What this node has, with its tokens. */
  readonly held: ReadonlyMap<string, number>
  /** What this node looks after itself. */
  readonly atHome: (holding: Holding) => void
}

export class Announcing {
  private readonly options: AnnouncingOptions
  /** Held client ids that are still to be looked at; null: all have been. */
  private left: Iterator<string> | null = null
  private before: ReadonlyArray<string> = []
  /** Members whose table has lost what it knew, or has not heard of what is held. */
  private readonly uninformed = new Set<string>()

  constructor(options: AnnouncingOptions) {
    this.options = options
  }

  get done(): boolean {
    return this.left === null
  }

  /** Its link is new. */
  inform(peer: string): void {
    this.uninformed.add(peer)
    this.start(this.options.view.names)
    // The first ten thousand at once: a client may be here sooner than the next tick.
    this.some()
  }

  /** The members have changed; `before`: those they were. */
  start(before: ReadonlyArray<string>): void {
    if (this.left === null) this.before = before
    this.left = this.options.held.keys()
  }

  /** Of what is held, what another member looks after now, or one that has not heard of it. */
  some(): void {
    const { left, options: { bus, held, view } } = this
    if (left === null) return
    const holdings = new Map<string, Array<Holding>>()
    for (let seen = 0; seen < announcedPerTick; seen++) {
      const { done, value } = left.next()
      if (done === true) {
        this.left = null
        break
      }
      const member = view.memberFor(value)
      const moved = this.before.length > 0 && rendezvous(this.before, value) !== member
      if (!moved && !this.uninformed.has(member)) continue
      const holding = { clientId: value, token: held.get(value) ?? 0 }
      const list = holdings.get(member)
      if (list === undefined) holdings.set(member, [holding])
      else list.push(holding)
    }
    const done = this.left === null
    if (done) this.uninformed.clear()
    for (const [member, list] of holdings) this.to(member, list)
    if (!done) return
    if (this.uninformed.size === 0) {
      const all = writeNames(view.names)
      for (const peer of bus.peers.keys()) if (!bus.send(peer, FrameKind.Told, all)) this.uninformed.add(peer)
    }
    if (this.uninformed.size > 0) this.start(view.names)
  }

  to(member: string, list: ReadonlyArray<Holding>): void {
    const { atHome, bus, view } = this.options
    if (member === bus.self.name) return list.forEach(atHome)
    for (let at = 0; at < list.length; at += holdingsPerFrame) {
      if (bus.send(member, FrameKind.Announce, writeHoldings(list.slice(at, at + holdingsPerFrame)))) continue
      // Its queue is full: once more, all of it. Without a link it is announced when there is one.
      if (!bus.peers.has(member)) return
      this.uninformed.add(member)
      return this.start(view.names)
    }
  }
}
