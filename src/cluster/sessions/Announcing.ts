// Tells the members that look after client ids what this node holds: after members have come or gone, and to a member whose link is new; then each peer that
// it was told all. Plain code in the cluster's turns, a slice at a time. Invariants: what a member could not be told is told it once its queue has room,
// and keeps nobody else waiting; a peer hears that it was told all after all of it.
import { type Bus, FrameKind } from "../Bus.ts"
import type { DirectoryView } from "./DirectoryView.ts"
import { type Holding, HoldingsFrame, writeNames } from "./directoryFrames.ts"
import { rendezvous } from "./rendezvous.ts"

/** Hashes of a client id with a member's name in one slice: some milliseconds. */
const hashedPerSlice = 25_000
/** Frames in one slice, of up to 64 KiB each: some milliseconds. */
const framesPerSlice = 2

/** What a peer is still to be told. */
interface Listener {
  ids: Array<string>
  /** Told up to here. */
  at: number
  /** Then it is to hear that this was all. */
  tellsAll: boolean
}

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
  /** Members that have not heard of what is held. */
  private readonly uninformed = new Set<string>()
  private readonly listeners = new Map<string, Listener>()
  private readonly frame = new HoldingsFrame()

  constructor(options: AnnouncingOptions) {
    this.options = options
  }

  /** Everything was looked at: nothing is held here that this node should have told itself. */
  get done(): boolean {
    return this.left === null
  }

  /** Its link is new, or it is this node and knows nothing of what is held. */
  inform(member: string): void {
    this.uninformed.add(member)
    this.start(this.options.view.names)
  }

  /** The members have changed; `before`: those they were. */
  start(before: ReadonlyArray<string>): void {
    if (this.left === null) this.before = before
    // What a peer was still to be told may be another one's now.
    for (const [peer, { at, ids, tellsAll }] of this.listeners) {
      if (at < ids.length || tellsAll) this.uninformed.add(peer)
    }
    this.listeners.clear()
    this.left = this.options.held.keys()
  }

  linkDown(peer: string): void {
    this.listeners.delete(peer)
    this.uninformed.delete(peer)
  }

  /** A slice of what is to be done. True: there is more, and it need not wait. */
  some(): boolean {
    this.look()
    let frames = framesPerSlice
    for (const [peer, listener] of this.listeners) frames = this.send(peer, listener, frames)
    return this.left !== null || frames === 0
  }

  /** One client id, at once where that can be. */
  one(member: string, clientId: string): void {
    const { atHome, bus, held } = this.options
    const token = held.get(clientId)
    if (token === undefined) return
    if (member === bus.self.name) return atHome({ clientId, token })
    // Without a link it is announced when there is one.
    if (!bus.peers.has(member)) return
    const listener = this.add(member, clientId)
    // Told again and again, and nothing heard: all of it once more, later.
    if (listener.ids.length - listener.at > 2 * held.size + 1_000) this.inform(member)
    else this.send(member, listener, 1)
  }

  // --- inside ------------------------------------------------------------------------------------------------------

  /** Of what is held, what another member looks after now, or one that has not heard of it. */
  private look(): void {
    const { left, options: { atHome, bus, held, view } } = this
    if (left === null) return
    const { before, uninformed } = this
    const moves = before.length !== view.names.length || before.some((name, at) => name !== view.names[at])
    const count = Math.ceil(hashedPerSlice / (view.names.length + (moves ? before.length : 0)))
    for (let seen = 0; seen < count; seen++) {
      const { done, value } = left.next()
      if (done === true) return this.seenAll()
      const member = view.memberFor(value)
      if (!uninformed.has(member) && !(moves && before.length > 0 && rendezvous(before, value) !== member)) continue
      if (member === bus.self.name) atHome({ clientId: value, token: held.get(value) ?? 0 })
      else if (bus.peers.has(member)) this.add(member, value)
    }
  }

  private seenAll(): void {
    this.left = null
    this.uninformed.clear()
    for (const peer of this.options.bus.peers.keys()) this.listenerOf(peer).tellsAll = true
  }

  private listenerOf(peer: string): Listener {
    let listener = this.listeners.get(peer)
    if (listener === undefined) this.listeners.set(peer, listener = { ids: [], at: 0, tellsAll: false })
    return listener
  }

  private add(peer: string, clientId: string): Listener {
    const listener = this.listenerOf(peer)
    listener.ids.push(clientId)
    return listener
  }

  /** As far as its queue takes it, and at most so many frames; returns how many of them are left. */
  private send(peer: string, listener: Listener, most: number): number {
    const { bus, held, view } = this.options
    const { frame } = this
    let left = most
    while (listener.at < listener.ids.length) {
      if (left === 0 || bus.isCongested(peer)) return left
      frame.begin()
      let at = listener.at
      for (; at < listener.ids.length && !frame.isFull; at++) {
        const clientId = listener.ids[at] ?? ""
        const token = held.get(clientId)
        if (token !== undefined) frame.add(clientId, token)
      }
      if (!bus.send(peer, FrameKind.Announce, frame.written())) return left
      listener.at = at
      left--
    }
    if (listener.tellsAll && !bus.send(peer, FrameKind.Told, writeNames(view.names))) return left
    this.listeners.delete(peer)
    return left
  }
}
