// Sessions follow their clients from node to node: claims of the registry go to the directory, the session of the former holder comes here part by part, and
// ours go where they were claimed (Departures.ts). One part of the cluster, in its turns; the registry sees it as RemoteSessions. Invariants: every claim is
// answered, with the session if it came in time; a session that came is on disk here before the former holder ends its own.
import type { Claimed, RemoteSessions, SessionHead, SessionState } from "../session/RemoteSessions.ts"
import type { Sessions } from "../session/Sessions.ts"
import type { StoredDelivery } from "../store/Engine.ts"
import type { Journal } from "../store/Journal.ts"
import { whenCommitted } from "../store/whenCommitted.ts"
import { BodyReader } from "./BodyReader.ts"
import { BodyWriter } from "./BodyWriter.ts"
import { type Bus, type BusPart, FrameKind, type Peer } from "./Bus.ts"
import { Departures } from "./Departures.ts"
import type { Directory } from "./Directory.ts"
import type { Yield } from "./directoryFrames.ts"
import { Wanted } from "./DirectoryTable.ts"
import { HandOver, type HandOverOptions } from "./HandOver.ts"
import { readSessionPart, type SessionPart } from "./sessionFrames.ts"

export interface TakeoverOptions {
  readonly bus: Bus
  readonly sessions: Sessions
  readonly journal: Journal
  /** ms since 1970. */
  readonly now: () => number
  /** So long may a step of the other node take. */
  readonly moveMillis: number
  /** To the cluster's turn; false: it has no room. */
  readonly post: (task: () => void) => boolean
  /** What this node's sessions have subscribed to has been sent to all peers when it returns. */
  readonly flushRoutes: () => void
  /** Runs it, in a turn of the cluster, once the messages that this peer is owed now have been sent. */
  readonly afterMessages: (peer: string, run: () => void) => void
}

interface Arrival {
  readonly token: number
  readonly from: string
  formerToken: number
  head: SessionHead | null
  readonly deliveries: Array<StoredDelivery>
  deadline: number
  isWhole: boolean
  /** Null: nobody waits for it, or not yet; it is merged, or adopted. */
  done: ((claimed: Claimed) => void) | null
}

/** It is here; what came late is awaited, and the word of all peers that what they sent before has come. */
interface Settling {
  readonly token: number
  readonly from: string
  deadline: number
  lateIsHere: boolean
  unfenced: Set<string>
}

/** Sessions that came, for when the former holder has not heard that they did: by client id. */
interface Came {
  readonly from: string
  readonly formerToken: number
  /** What was taken of it: sequences up to this one. */
  readonly sequence: number
}

const cameRemembered = 10_000

export class Takeover implements BusPart, RemoteSessions {
  readonly kinds = [FrameKind.SessionPart, FrameKind.SessionTaken, FrameKind.Fence, FrameKind.FencePassed]
  readonly departures: Departures
  /** Moves that took too long: the client went on without its session, which is merged later. */
  late = 0
  private readonly options: TakeoverOptions
  private readonly directory: Directory
  private readonly arrivals = new Map<string, Arrival>()
  private readonly settling = new Map<string, Settling>()
  private readonly came = new Map<string, Came>()
  private readonly body = new BodyWriter(1024)

  constructor(options: TakeoverOptions, makeDirectory: (onYield: (order: Yield) => void) => Directory) {
    this.options = options
    this.directory = makeDirectory((order) => this.onYield(order))
    this.departures = new Departures({
      bus: options.bus,
      now: options.now,
      moveMillis: options.moveMillis,
      post: (task) => void options.post(task),
      onStayed: (clientId, formerToken) => this.directory.keeps(clientId, formerToken)
    })
  }

  get moving(): number {
    return this.arrivals.size + this.settling.size + this.departures.size
  }

  /** Before the first link is up: what the store had. */
  begin(): void {
    for (const clientId of this.options.sessions.clientIds()) this.directory.keeps(clientId, 0)
  }

  // --- the registry's side -----------------------------------------------------------------------------------------

  holds(clientId: string): boolean {
    return this.directory.holds(clientId)
  }

  claim(clientId: string, resume: boolean, mark: string | null, done: (claimed: Claimed) => void): void {
    const posted = this.options.post(() =>
      this.directory.claim(clientId, resume ? Wanted.State : Wanted.End, mark, ({ from, refused, token }) => {
        if (refused === true) return done({ _tag: "Refused" })
        if (token === 0) return done({ _tag: "Superseded" })
        this.granted(clientId, token, from, done)
      })
    )
    if (!posted) done({ _tag: "Granted", token: 0, state: null })
  }

  private granted(clientId: string, token: number, from: string, done: (claimed: Claimed) => void): void {
    const early = this.arrivals.get(clientId)
    if (early !== undefined && early.token === token) {
      // What it brings was faster than the answer, which came by way of another node.
      early.done = done
      if (early.isWhole) this.arrived(clientId, early)
      return
    }
    if (early !== undefined) this.giveUpArrival(clientId)
    if (from === "") return done({ _tag: "Granted", token, state: null })
    this.arrivals.set(clientId, this.arrival(token, from, done))
  }

  private arrival(token: number, from: string, done: Arrival["done"]): Arrival {
    const deadline = this.options.now() + this.options.moveMillis
    return { token, from, formerToken: 0, head: null, deliveries: [], deadline, isWhole: false, done }
  }

  installed(clientId: string, token: number, group: number): void {
    whenCommitted(this.options.journal, group, () => this.options.post(() => this.onInstalled(clientId, token)))
  }

  ended(clientId: string): void {
    this.options.post(() => this.directory.released(clientId))
  }

  // --- frames ------------------------------------------------------------------------------------------------------

  linkUp(): void {}

  linkDown(peer: Peer): void {
    this.departures.linkDown(peer.name)
    for (const [clientId, arrival] of this.arrivals) if (arrival.from === peer.name) this.giveUpArrival(clientId)
    for (const [clientId, settling] of this.settling) {
      settling.unfenced.delete(peer.name)
      if (settling.from === peer.name) settling.lateIsHere = true
      this.settle(clientId, settling)
    }
  }

  receive(peer: Peer, kind: FrameKind, bytes: Buffer): void {
    if (kind === FrameKind.SessionPart) return this.onPart(peer.name, readSessionPart(bytes, this.options.now()))
    const reader = new BodyReader(bytes)
    const token = reader.uint64()
    const clientId = reader.text()
    if (kind === FrameKind.SessionTaken) return this.departures.taken(clientId, token)
    if (kind === FrameKind.FencePassed) return this.fencePassed(peer.name, clientId, token)
    const { afterMessages, bus } = this.options
    // Both are told, behind what they were sent before: where the session was, and where it is.
    for (const name of [reader.text(), peer.name]) {
      if (name === bus.self.name) this.departures.fencePassed(peer.name, clientId, token)
      else afterMessages(name, () => bus.send(name, FrameKind.FencePassed, this.named(clientId, token)))
    }
  }

  private fencePassed(peer: string, clientId: string, token: number): void {
    this.departures.fencePassed(peer, clientId, token)
    const settling = this.settling.get(clientId)
    if (settling === undefined || settling.token !== token) return
    settling.unfenced.delete(peer)
    this.settle(clientId, settling)
  }

  writable(peer: Peer): void {
    this.departures.writable(peer.name)
  }

  tick(now: number): void {
    this.departures.tick(now)
    for (const [clientId, { deadline }] of this.arrivals) if (now >= deadline) this.giveUpArrival(clientId)
    for (const [clientId, settling] of this.settling) if (now >= settling.deadline) this.settled(clientId, settling)
  }

  // --- a session comes ---------------------------------------------------------------------------------------------

  private onPart(from: string, part: SessionPart): void {
    const { clientId, deliveries, formerToken, head, last, late, none, token } = part
    if (late) return this.onLate(from, part)
    let arrival = this.arrivals.get(clientId)
    if (arrival === undefined || arrival.token !== token) {
      const isEarly = this.directory.isClaiming(clientId)
      // Nobody waits for it (any more): two nodes had one, or it took too long.
      if (!isEarly && (none || head === null)) return
      this.giveUpArrival(clientId)
      arrival = this.arrival(token, from, null)
      this.arrivals.set(clientId, arrival)
    }
    arrival.deadline = this.options.now() + this.options.moveMillis
    arrival.formerToken = formerToken
    arrival.head ??= head
    arrival.deliveries.push(...this.unknownOf(from, part, deliveries))
    arrival.isWhole = last
    if (last && (arrival.done !== null || !this.directory.isClaiming(clientId))) this.arrived(clientId, arrival)
  }

  private arrived(clientId: string, arrival: Arrival): void {
    const { deliveries, done, from, head, token } = arrival
    this.arrivals.delete(clientId)
    if (head === null) {
      this.directory.settled(clientId, token)
      return done?.({ _tag: "Granted", token, state: null })
    }
    this.remember(clientId, arrival)
    this.settling.set(clientId, {
      token,
      from,
      deadline: this.options.now() + this.options.moveMillis,
      lateIsHere: false,
      unfenced: new Set(this.options.bus.peers.keys())
    })
    const state: SessionState = { ...head, deliveries }
    if (done !== null) return done({ _tag: "Granted", token, state })
    this.options.sessions.adopt(state, (group) => this.installed(clientId, token, group))
    this.directory.keeps(clientId, token)
  }

  private onInstalled(clientId: string, token: number): void {
    const settling = this.settling.get(clientId)
    if (settling === undefined || settling.token !== token) return
    const { afterMessages, bus, flushRoutes, moveMillis, now } = this.options
    settling.deadline = now() + moveMillis
    flushRoutes()
    const fence = this.body.reset().uint64(token).text(clientId).text(settling.from).written()
    for (const name of bus.peers.keys()) bus.send(name, FrameKind.Fence, fence)
    afterMessages(settling.from, () => bus.send(settling.from, FrameKind.SessionTaken, this.named(clientId, token)))
  }

  private named(clientId: string, token: number): Uint8Array {
    return this.body.reset().uint64(token).text(clientId).written()
  }

  private onLate(from: string, { clientId, deliveries, last, token }: SessionPart): void {
    this.options.sessions.with(clientId, (session) => session?.arrive(deliveries))
    const settling = this.settling.get(clientId)
    if (settling?.token !== token || settling.from !== from) return
    settling.lateIsHere = last
    this.settle(clientId, settling)
  }

  private settle(clientId: string, settling: Settling): void {
    if (settling.lateIsHere && settling.unfenced.size === 0) this.settled(clientId, settling)
  }

  /** All of it is here, or nothing more will come. */
  private settled(clientId: string, { token }: Settling): void {
    this.settling.delete(clientId)
    this.options.sessions.with(clientId, (session) => session?.release())
    this.directory.settled(clientId, token)
  }

  /** Its client goes on without what does not come; what comes later is merged. */
  private giveUpArrival(clientId: string): void {
    const arrival = this.arrivals.get(clientId)
    if (arrival === undefined) return
    // All of it is here, only nobody has asked for it: it is not thrown away.
    if (arrival.isWhole) return this.arrived(clientId, arrival)
    this.arrivals.delete(clientId)
    this.late++
    this.directory.settled(clientId, arrival.token)
    arrival.done?.({ _tag: "Granted", token: arrival.token, state: null })
  }

  private remember(clientId: string, { deliveries, formerToken, from }: Arrival): void {
    this.came.delete(clientId)
    this.came.set(clientId, { from, formerToken, sequence: deliveries[deliveries.length - 1]?.sequence ?? 0 })
    for (const oldest of this.came.keys()) {
      if (this.came.size <= cameRemembered) break
      this.came.delete(oldest)
    }
  }

  /** Of a session that was taken before, whose former holder has not heard of it: only what it did not have then. */
  private unknownOf(from: string, { clientId, formerToken }: SessionPart, rows: ReadonlyArray<StoredDelivery>) {
    const came = this.came.get(clientId)
    if (came === undefined || came.from !== from || came.formerToken !== formerToken) return rows
    return rows.filter(({ sequence }) => sequence > came.sequence)
  }

  /** This node leaves: all its sessions go to members that stay. `done` in a turn of the cluster. */
  handOver(takers: () => ReadonlyArray<string>, done: HandOverOptions["done"]): void {
    const { post, sessions } = this.options
    const handOver = new HandOver({
      clientIds: sessions.clientIds(),
      takers,
      depart: (clientId, reply) => sessions.yieldTo(clientId, false, (departure) => void post(() => reply(departure))),
      send: (clientId, to, departure, ended) => {
        const formerToken = this.directory.tokenOf(clientId)
        this.directory.gaveUp(clientId)
        const order = { clientId, to, token: this.directory.nextToken(), wanted: Wanted.Merge }
        this.departures.begin(order, departure, formerToken, ended)
      },
      done
    })
    handOver.begin()
  }

  // --- a session goes ----------------------------------------------------------------------------------------------

  private onYield(order: Yield): void {
    const { clientId, to, wanted } = order
    const { bus, post, sessions } = this.options
    const formerToken = this.directory.tokenOf(clientId)
    if (to === bus.self.name) return
    // Ours is newer: the order was overtaken.
    if (order.token < formerToken) return this.departures.begin(order, null, formerToken)
    this.directory.gaveUp(clientId)
    sessions.yieldTo(
      clientId,
      wanted === Wanted.End,
      (departure) => void post(() => this.departures.begin(order, departure, formerToken))
    )
  }
}
