// Sessions that come to this node: their parts are collected until all is here, then the session is installed for the client that waits for it, or merged,
// or adopted; what came late to the former holder follows, and the word of all peers that nothing more goes there. Owned by Takeover. Invariants: whoever
// waits is answered once; the former holder is told only of what is on disk here; a client id is settled once nothing of it is under way.
import type { Claimed, SessionHead, SessionState } from "../../session/RemoteSessions.ts"
import type { Sessions } from "../../session/Sessions.ts"
import type { StoredDelivery } from "../../store/Engine.ts"
import type { Journal } from "../../store/Journal.ts"
import { whenCommitted } from "../../store/whenCommitted.ts"
import type { Bus } from "../Bus.ts"
import type { SessionPart } from "./sessionFrames.ts"

/** Once the rest is here, a peer that has not given its word is waited for so long, ms. */
const slowestMillis = 1_000

interface Arrival {
  readonly clientId: string
  readonly token: number
  readonly from: string
  session: number
  head: Omit<SessionHead, "subscriptions"> | null
  readonly subscriptions: Array<SessionHead["subscriptions"][number]>
  readonly deliveries: Array<StoredDelivery>
  deadline: number
  isWhole: boolean
  /** Null: nobody waits for it, or not yet; it is merged, or adopted. */
  done: ((claimed: Claimed) => void) | null
}

/** It is here; what came late is awaited, and the word of all peers that what they sent before has come. */
interface Settling {
  readonly clientId: string
  readonly token: number
  readonly from: string
  deadline: number
  lateIsHere: boolean
  readonly unfenced: Set<string>
}

export interface ArrivalsOptions {
  readonly bus: Bus
  readonly sessions: Pick<Sessions, "adopt" | "with">
  readonly journal: Journal
  /** ms since 1970. */
  readonly now: () => number
  /** Between two steps of the other node. */
  readonly moveMillis: number
  /** To the cluster's turn. */
  readonly post: (task: () => void) => void
  /** A claim for it has not been answered. */
  readonly isClaiming: (clientId: string) => boolean
  /** It is on disk here: all peers are asked for their word, and the former holder is told. */
  readonly fence: (clientId: string, token: number, from: string) => void
  /** What came late is on disk here: the former holder may end its session. */
  readonly lateTaken: (clientId: string, token: number, from: string) => void
  /** Its session has gone to another node from here, or is about to. */
  readonly hasMovedOn: (clientId: string) => boolean
  readonly lateRefused: (clientId: string, token: number, from: string) => void
  /** It is here without a client that has claimed it. */
  readonly adopted: (clientId: string, token: number) => void
  /** Nothing of this move is under way any more. */
  readonly settled: (clientId: string, token: number) => void
  /** Nothing of any move of this client id is under way to this node any more. */
  readonly quiet: (clientId: string) => void
}

export class Arrivals {
  /** Moves that took too long: the client went on without its session, which is merged later. */
  late = 0
  private readonly options: ArrivalsOptions
  /** By client id: two nodes may hand over what they have for one client at the same time. */
  private readonly arrivals = new Map<string, Array<Arrival>>()
  private readonly settling = new Map<string, Array<Settling>>()
  /** On their way into the registry, without a client that waits for them. */
  private readonly adopting = new Set<string>()

  constructor(options: ArrivalsOptions) {
    this.options = options
  }

  get size(): number {
    return this.arrivals.size + this.settling.size
  }

  /** Something of it is on its way. */
  has(clientId: string): boolean {
    return this.arrivals.has(clientId) || this.settling.has(clientId)
  }

  /** It is not in the registry yet. */
  isComing(clientId: string): boolean {
    return this.arrivals.has(clientId) || this.adopting.has(clientId)
  }

  /** A claim was answered: `from` hands it over; "": nobody has it, as far as its member knows. */
  granted(clientId: string, token: number, from: string, done: (claimed: Claimed) => void): void {
    // What it brings was faster than the answer, which came by way of another node; or the answer was lost with a member, and another one knows nothing.
    const early = this.of(clientId, from, token) ?? (from === "" ? this.unclaimed(clientId) : undefined)
    if (early !== undefined) {
      early.done = done
      if (early.isWhole) this.arrived(early)
      return
    }
    if (from === "") return done({ _tag: "Granted", token, state: null })
    const arrival = this.expect(clientId, token, from, done)
    // It has died just now, and its member did not know yet.
    if (!this.options.bus.peers.has(from)) this.giveUp(arrival)
  }

  onPart(from: string, part: SessionPart): void {
    const { clientId, deliveries, head, last, late, none, session, subscriptions, token } = part
    if (late) return this.onLate(from, part)
    let arrival = this.of(clientId, from, token)
    if (arrival === undefined) {
      const isEarly = this.options.isClaiming(clientId)
      // Nobody waits for it (any more): two nodes had one, or it took too long.
      if (!isEarly && (none || head === null)) return none ? this.options.settled(clientId, token) : undefined
      arrival = this.expect(clientId, token, from, null)
    }
    arrival.deadline = this.options.now() + this.options.moveMillis
    arrival.session = session
    if (head !== null) {
      // It begins anew, after an attempt that was broken off.
      arrival.head = head
      arrival.subscriptions.length = 0
      arrival.deliveries.length = 0
    }
    for (const subscription of subscriptions) arrival.subscriptions.push(subscription)
    for (const delivery of deliveries) arrival.deliveries.push(delivery)
    arrival.isWhole = last
    if (last && (arrival.done !== null || !this.options.isClaiming(clientId))) this.arrived(arrival)
  }

  /** What came with this token is on disk. */
  installed(clientId: string, token: number): void {
    for (const settling of this.settling.get(clientId) ?? []) {
      if (settling.token !== token) continue
      settling.deadline = this.options.now() + this.options.moveMillis
      this.options.fence(clientId, token, settling.from)
    }
  }

  /** From this peer nothing more goes to the former holder that does not come here too. */
  fencePassed(peer: string, clientId: string, token: number, from: string): void {
    const settling = this.settlingOf(clientId, from, token)
    if (settling === undefined) return
    settling.unfenced.delete(peer)
    this.settle(settling)
  }

  linkDown(peer: string): void {
    for (const arrival of [...this.arrivals.values()].flat()) if (arrival.from === peer) this.giveUp(arrival)
    for (const settling of [...this.settling.values()].flat()) {
      settling.unfenced.delete(peer)
      if (settling.from === peer) settling.lateIsHere = true
      this.settle(settling)
    }
  }

  tick(now: number): void {
    for (const arrival of [...this.arrivals.values()].flat()) if (now >= arrival.deadline) this.giveUp(arrival)
    for (const settling of [...this.settling.values()].flat()) if (now >= settling.deadline) this.end(settling)
  }

  // --- inside ------------------------------------------------------------------------------------------------------

  private of(clientId: string, from: string, token: number): Arrival | undefined {
    return this.arrivals.get(clientId)?.find((one) => one.from === from && one.token === token)
  }

  private unclaimed(clientId: string): Arrival | undefined {
    return this.arrivals.get(clientId)?.find(({ done, head }) => done === null && head !== null)
  }

  private settlingOf(clientId: string, from: string, token: number): Settling | undefined {
    return this.settling.get(clientId)?.find((one) => one.from === from && one.token === token)
  }

  private expect(clientId: string, token: number, from: string, done: Arrival["done"]): Arrival {
    const deadline = this.options.now() + this.options.moveMillis
    const arrival: Arrival = {
      clientId,
      token,
      from,
      session: 0,
      head: null,
      subscriptions: [],
      deliveries: [],
      deadline,
      isWhole: false,
      done
    }
    add(this.arrivals, clientId, arrival)
    return arrival
  }

  private arrived(arrival: Arrival): void {
    const { clientId, deliveries, done, from, head, session, subscriptions, token } = arrival
    if (head === null) {
      this.takeOut(arrival)
      this.options.settled(clientId, token)
      return done?.({ _tag: "Granted", token, state: null })
    }
    const { bus, now, moveMillis } = this.options
    add(this.settling, clientId, {
      clientId,
      token,
      from,
      deadline: now() + moveMillis,
      lateIsHere: !bus.peers.has(from),
      unfenced: new Set(bus.peers.keys())
    })
    this.takeOut(arrival)
    const state: SessionState = { ...head, subscriptions, deliveries, from: { node: from, session } }
    if (done !== null) return done({ _tag: "Granted", token, state })
    this.adopt(state, token)
    this.options.adopted(clientId, token)
  }

  /** Without a client that has come for it. */
  adopt(state: SessionState, token: number): void {
    const { journal, post, sessions } = this.options
    const { clientId } = state.row
    this.adopting.add(clientId)
    sessions.adopt(state, (group) => {
      post(() => this.adopting.delete(clientId))
      whenCommitted(journal, group, () => post(() => this.installed(clientId, token)))
    })
  }

  private takeOut(arrival: Arrival): void {
    remove(this.arrivals, arrival.clientId, arrival)
    if (!this.has(arrival.clientId)) this.options.quiet(arrival.clientId)
  }

  private onLate(from: string, { clientId, deliveries, last, session, token }: SessionPart): void {
    const { hasMovedOn, journal, lateRefused, lateTaken, now, post, sessions } = this.options
    const taken = (group: number) => {
      if (!last) return
      whenCommitted(journal, group, () =>
        post(() => {
          lateTaken(clientId, token, from)
          const settling = this.settlingOf(clientId, from, token)
          if (settling === undefined) return
          settling.lateIsHere = true
          settling.deadline = Math.min(settling.deadline, now() + slowestMillis)
          this.settle(settling)
        }))
    }
    const settling = this.settlingOf(clientId, from, token)
    // Where its session has ended meanwhile nobody is owed anything.
    sessions.with(clientId, (found) => {
      if (found === undefined) {
        post(() => hasMovedOn(clientId) ? lateRefused(clientId, token, from) : taken(0))
        return
      }
      found.arrive({ node: from, session }, deliveries, taken)
      // It was settled without the last of it.
      if (settling === undefined) found.release()
    })
    if (settling !== undefined) settling.deadline = this.options.now() + this.options.moveMillis
  }

  private settle(settling: Settling): void {
    if (settling.lateIsHere && settling.unfenced.size === 0) this.end(settling)
  }

  /** All of it is here, or nothing more will come. */
  private end(settling: Settling): void {
    const { clientId, token } = settling
    remove(this.settling, clientId, settling)
    // Another node may still be handing over what it has.
    if (!this.settling.has(clientId)) this.options.sessions.with(clientId, (session) => session?.release())
    this.options.settled(clientId, token)
    if (!this.has(clientId)) this.options.quiet(clientId)
  }

  /** Its client goes on without what does not come; what comes later is merged. */
  private giveUp(arrival: Arrival): void {
    // All of it is here, only nobody has asked for it: it is not thrown away.
    if (arrival.isWhole) return this.arrived(arrival)
    const { clientId, done, token } = arrival
    this.late++
    this.takeOut(arrival)
    this.options.settled(clientId, token)
    done?.({ _tag: "Granted", token, state: null })
  }
}

const add = <A>(map: Map<string, Array<A>>, key: string, value: A): void => {
  const list = map.get(key)
  if (list === undefined) map.set(key, [value])
  else list.push(value)
}

const remove = <A>(map: Map<string, Array<A>>, key: string, value: A): void => {
  const list = map.get(key)?.filter((one) => one !== value) ?? []
  if (list.length === 0) map.delete(key)
  else map.set(key, list)
}
