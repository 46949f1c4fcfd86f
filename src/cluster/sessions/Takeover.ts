// Sessions follow their clients from node to node: claims of the registry go to the directory, the session of the former holder comes here part by part, and
// ours go where they were claimed (Departures.ts). One part of the cluster, in its turns; the registry sees it as RemoteSessions. Invariants: every claim is
// answered, with the session if it came in time; a session that came is on disk here before the former holder ends its own.
import type { Claimed, RemoteSessions, SessionHead, SessionState } from "../../session/RemoteSessions.ts"
import type { Sessions } from "../../session/Sessions.ts"
import type { StoredDelivery } from "../../store/Engine.ts"
import type { Journal } from "../../store/Journal.ts"
import { whenCommitted } from "../../store/whenCommitted.ts"
import { BodyReader } from "../BodyReader.ts"
import { BodyWriter } from "../BodyWriter.ts"
import { type Bus, type BusPart, FrameKind, type Members, type Peer } from "../Bus.ts"
import { Departures } from "./Departures.ts"
import type { Directory } from "./Directory.ts"
import type { Yield } from "./directoryFrames.ts"
import { Wanted } from "./DirectoryTable.ts"
import { HandOver, type HandOverOptions } from "./HandOver.ts"
import { readSessionPart, type SessionPart } from "./sessionFrames.ts"

export interface TakeoverOptions {
  readonly bus: Bus
  readonly members: Pick<Members, "present">
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
  readonly clientId: string
  readonly token: number
  readonly from: string
  session: number
  head: SessionHead | null
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
  unfenced: Set<string>
}

/** A session that came, for when the former holder has not heard that it did. */
interface Came {
  /** As its former holder numbers it. */
  readonly session: number
  /** What was taken of it: sequences up to this one. */
  readonly sequence: number
}

const cameRemembered = 10_000

/** Two nodes may hand over what they have for one client at the same time, under the same token. */
const keyOf = (clientId: string, from: string): string => `${from}\n${clientId}`
/** One node may hand over twice: what it gives away when it leaves, and what was claimed of it at that time. */
const arrivalKey = (clientId: string, from: string, token: number): string => `${token}\n${keyOf(clientId, from)}`

export class Takeover implements BusPart, RemoteSessions {
  readonly kinds = [FrameKind.SessionPart, FrameKind.SessionTaken, FrameKind.Fence, FrameKind.FencePassed]
  readonly departures: Departures
  /** Moves that took too long: the client went on without its session, which is merged later. */
  late = 0
  private readonly options: TakeoverOptions
  readonly directory: Directory
  private readonly arrivals = new Map<string, Arrival>()
  /** By client id and former holder. */
  private readonly settling = new Map<string, Settling>()
  private readonly came = new Map<string, Came>()
  private readonly body = new BodyWriter(1024)

  constructor(options: TakeoverOptions, makeDirectory: (onYield: (order: Yield) => void) => Directory) {
    this.options = options
    this.directory = makeDirectory((order) => this.onYield(order))
    this.departures = new Departures({
      bus: options.bus,
      members: options.members,
      ask: (peer, { clientId, token }) => {
        options.bus.send(peer, FrameKind.Fence, this.named(clientId, token, options.bus.self.name))
      },
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
    const early = this.arrivals.get(arrivalKey(clientId, from, token))
    if (early !== undefined) {
      // What it brings was faster than the answer, which came by way of another node.
      early.done = done
      if (early.isWhole) this.arrived(early)
      return
    }
    if (from === "") return done({ _tag: "Granted", token, state: null })
    this.expect(clientId, token, from, done)
  }

  private expect(clientId: string, token: number, from: string, done: Arrival["done"]): Arrival {
    const deadline = this.options.now() + this.options.moveMillis
    const arrival = { clientId, token, from, session: 0, head: null, deliveries: [], deadline, isWhole: false, done }
    this.arrivals.set(arrivalKey(clientId, from, token), arrival)
    return arrival
  }

  installed(clientId: string, token: number, group: number): void {
    whenCommitted(this.options.journal, group, () => this.options.post(() => this.onInstalled(clientId, token)))
  }

  ended(clientId: string): void {
    this.options.post(() => this.directory.released(clientId))
  }

  // --- frames ------------------------------------------------------------------------------------------------------

  linkUp(peer: Peer): void {
    this.departures.linkUp(peer.name)
  }

  linkDown(peer: Peer): void {
    this.departures.linkDown(peer.name)
    for (const arrival of this.arrivals.values()) if (arrival.from === peer.name) this.giveUpArrival(arrival)
    for (const settling of this.settling.values()) {
      settling.unfenced.delete(peer.name)
      if (settling.from === peer.name) settling.lateIsHere = true
      this.settle(settling)
    }
  }

  receive(peer: Peer, kind: FrameKind, bytes: Buffer): void {
    if (kind === FrameKind.SessionPart) return this.onPart(peer.name, readSessionPart(bytes, this.options.now()))
    const reader = new BodyReader(bytes)
    const token = reader.uint64()
    const clientId = reader.text()
    if (kind === FrameKind.SessionTaken) return this.departures.taken(clientId, token)
    const from = reader.text()
    if (kind === FrameKind.FencePassed) return this.fencePassed(peer.name, clientId, token, from)
    const { afterMessages, bus } = this.options
    // Both are told, behind what they were sent before: where the session was, and where it is.
    for (const name of [from, peer.name]) {
      if (name === bus.self.name) this.departures.fencePassed(peer.name, clientId, token)
      else afterMessages(name, () => bus.send(name, FrameKind.FencePassed, this.named(clientId, token, from)))
    }
  }

  private fencePassed(peer: string, clientId: string, token: number, from: string): void {
    if (from === this.options.bus.self.name) return this.departures.fencePassed(peer, clientId, token)
    const settling = this.settling.get(keyOf(clientId, from))
    if (settling === undefined || settling.token !== token) return
    settling.unfenced.delete(peer)
    this.settle(settling)
  }

  writable(peer: Peer): void {
    this.departures.writable(peer.name)
  }

  tick(now: number): void {
    this.departures.tick(now)
    for (const arrival of this.arrivals.values()) if (now >= arrival.deadline) this.giveUpArrival(arrival)
    for (const settling of this.settling.values()) if (now >= settling.deadline) this.settled(settling)
  }

  // --- a session comes ---------------------------------------------------------------------------------------------

  private onPart(from: string, part: SessionPart): void {
    const { clientId, deliveries, head, last, late, none, session, token } = part
    if (late) return this.onLate(from, part)
    let arrival = this.arrivals.get(arrivalKey(clientId, from, token))
    if (arrival === undefined) {
      const isEarly = this.directory.isClaiming(clientId)
      // Nobody waits for it (any more): two nodes had one, or it took too long.
      if (!isEarly && (none || head === null)) return
      arrival = this.expect(clientId, token, from, null)
    }
    arrival.deadline = this.options.now() + this.options.moveMillis
    arrival.session = session
    arrival.head ??= head
    arrival.deliveries.push(...this.unknownOf(from, part, deliveries))
    arrival.isWhole = last
    if (last && (arrival.done !== null || !this.directory.isClaiming(clientId))) this.arrived(arrival)
  }

  private arrived(arrival: Arrival): void {
    const { clientId, deliveries, done, from, head, token } = arrival
    const key = keyOf(clientId, from)
    this.arrivals.delete(arrivalKey(clientId, from, token))
    if (head === null) {
      this.directory.settled(clientId, token)
      return done?.({ _tag: "Granted", token, state: null })
    }
    this.remember(key, arrival)
    this.settling.set(key, {
      clientId,
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
    const { bus } = this.options
    for (const from of bus.peers.keys()) {
      const settling = this.settling.get(keyOf(clientId, from))
      if (settling !== undefined && settling.token === token) this.fence(settling)
    }
  }

  private fence(settling: Settling): void {
    const { clientId, from, token } = settling
    const { afterMessages, bus, flushRoutes, moveMillis, now } = this.options
    settling.deadline = now() + moveMillis
    flushRoutes()
    const fence = this.named(clientId, token, from)
    for (const name of bus.peers.keys()) bus.send(name, FrameKind.Fence, fence)
    afterMessages(from, () => bus.send(from, FrameKind.SessionTaken, this.named(clientId, token, from)))
  }

  private named(clientId: string, token: number, from: string): Uint8Array {
    return this.body.reset().uint64(token).text(clientId).text(from).written()
  }

  private onLate(from: string, { clientId, deliveries, last, token }: SessionPart): void {
    this.options.sessions.with(clientId, (session) => session?.arrive(deliveries))
    const settling = this.settling.get(keyOf(clientId, from))
    if (settling?.token !== token) return
    settling.lateIsHere = last
    this.settle(settling)
  }

  private settle(settling: Settling): void {
    if (settling.lateIsHere && settling.unfenced.size === 0) this.settled(settling)
  }

  /** All of it is here, or nothing more will come. */
  private settled({ clientId, from, token }: Settling): void {
    this.settling.delete(keyOf(clientId, from))
    // Another node may still be handing over what it has.
    if (!this.isSettling(clientId)) this.options.sessions.with(clientId, (session) => session?.release())
    this.directory.settled(clientId, token)
  }

  private isSettling(clientId: string): boolean {
    for (const name of this.options.bus.peers.keys()) if (this.settling.has(keyOf(clientId, name))) return true
    return false
  }

  /** Its client goes on without what does not come; what comes later is merged. */
  private giveUpArrival(arrival: Arrival): void {
    // All of it is here, only nobody has asked for it: it is not thrown away.
    if (arrival.isWhole) return this.arrived(arrival)
    const { clientId, done, from, token } = arrival
    this.arrivals.delete(arrivalKey(clientId, from, token))
    this.late++
    this.directory.settled(clientId, token)
    done?.({ _tag: "Granted", token, state: null })
  }

  private remember(key: string, { deliveries, session }: Arrival): void {
    this.came.delete(key)
    this.came.set(key, { session, sequence: deliveries[deliveries.length - 1]?.sequence ?? 0 })
    for (const oldest of this.came.keys()) {
      if (this.came.size <= cameRemembered) break
      this.came.delete(oldest)
    }
  }

  /** Of a session that was taken before, whose former holder has not heard of it: only what it did not have then. */
  private unknownOf(from: string, { clientId, session }: SessionPart, rows: ReadonlyArray<StoredDelivery>) {
    const came = this.came.get(keyOf(clientId, from))
    if (came === undefined || session === 0 || came.session !== session) return rows
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
        // Whoever claims it meanwhile goes before this.
        const order = { clientId, to, token: formerToken + 1, wanted: Wanted.Merge }
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
