// Sessions follow their clients from node to node: claims of the registry go to the directory, the session of the former holder comes here part by part
// (Arrivals.ts), and ours go where they were claimed (Departures.ts). One part of the cluster, in its turns; the registry sees it as RemoteSessions.
// Invariants: every claim is answered, with the session if it came in time; a session leaves only once nothing of it is on its way here.
import type { Claimed, RemoteSessions } from "../../session/RemoteSessions.ts"
import type { Sessions } from "../../session/Sessions.ts"
import type { Journal } from "../../store/Journal.ts"
import { whenCommitted } from "../../store/whenCommitted.ts"
import { BodyReader } from "../BodyReader.ts"
import { BodyWriter } from "../BodyWriter.ts"
import { type Bus, type BusPart, FrameKind, type Members, type Peer } from "../Bus.ts"
import type { SessionGaps } from "../forward/SessionGaps.ts"
import type { SetVersion } from "../routes/routeFrames.ts"
import { Arrivals } from "./Arrivals.ts"
import { Departures } from "./Departures.ts"
import type { Directory } from "./Directory.ts"
import { readNames, writeNames, type Yield } from "./directoryFrames.ts"
import { Wanted } from "./DirectoryTable.ts"
import { HandOver, type HandOverOptions } from "./HandOver.ts"
import { Postponed } from "./Postponed.ts"
import { Unheld } from "./Unheld.ts"
import { readSessionPart, type SessionPart } from "./sessionFrames.ts"

/** The last of a session that came late for one that has gone on since is refused: for so many client ids that is known. */
const movedRemembered = 10_000
const nowhere: SetVersion = { epoch: 0, version: 0 }

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
  /** What this node's sessions have subscribed to has been sent to all peers when it returns: up to this version of its routes. */
  readonly flushRoutes: () => SetVersion
  /** Whether so much of a peer's routes is known here. */
  readonly knowsRoutes: (peer: string, routes: SetVersion) => boolean
  /** Runs it, in a turn of the cluster, once the messages that this peer is owed now have been sent. */
  readonly afterMessages: (peer: string, run: () => void) => void
  /** Told of sessions that come and go. */
  readonly gaps?: Pick<SessionGaps, "cameIn" | "hasLeft" | "leaves" | "stayed">
  /** It takes no session that its client has not come for. */
  readonly isFull?: () => boolean
}

export class Takeover implements BusPart, RemoteSessions {
  readonly kinds = [
    FrameKind.SessionPart,
    FrameKind.SessionTaken,
    FrameKind.SessionEnded,
    FrameKind.Fence,
    FrameKind.FencePassed,
    FrameKind.Offer,
    FrameKind.OfferRefused,
    FrameKind.Closing,
    FrameKind.LateRefused,
    FrameKind.AskFence
  ]
  readonly departures: Departures
  readonly directory: Directory
  /** Peers that are about to stop: no client finds room there. */
  readonly closing = new Set<string>()
  private readonly options: TakeoverOptions
  private readonly arrivals: Arrivals
  /** Orders for sessions of which something is still on its way here. */
  private readonly deferred = new Map<string, Array<Yield>>()
  /** What comes is for a session that is here. */
  private readonly merging = new Set<string>()
  /** Orders for nodes without a link to this one. */
  private readonly postponed: Postponed
  private readonly unheld: Unheld
  private leaving: HandOver | null = null
  /** What waits for the cluster's turn, in its order; a full mailbox loses none of it. */
  private waiting: Array<() => void> = []
  private posted = false
  /** Of sessions that are over; the directory has not heard of it. */
  private readonly ending = new Set<string>()
  /** Client ids that have gone from here lately. */
  private readonly movedOn = new Set<string>()
  private readonly body = new BodyWriter(1024)

  constructor(options: TakeoverOptions, makeDirectory: (onYield: (order: Yield) => void) => Directory) {
    this.options = options
    const { bus, journal, members, moveMillis, now, sessions } = options
    const post = (task: () => void) => this.post(task)
    const directory = this.directory = makeDirectory((order) => this.onYield(order))
    this.arrivals = new Arrivals({
      bus,
      sessions,
      journal,
      now,
      moveMillis,
      post,
      isClaiming: (clientId) => directory.isClaiming(clientId),
      fence: (clientId, token, from) => this.fence(clientId, token, from),
      lateTaken: (clientId, token, from) => this.sayTaken(from, clientId, token, nowhere),
      hasMovedOn: (clientId) => this.movedOn.has(clientId) || this.departures.knows(clientId),
      lateRefused: (clientId, token, from) => this.say(from, FrameKind.LateRefused, clientId, token, ""),
      adopted: (clientId, token) => directory.keeps(clientId, token),
      settled: (clientId, token) => directory.settled(clientId, token),
      quiet: (clientId) => this.quiet(clientId)
    })
    const holdAgain = (clientId: string) => {
      const session = sessions.get(clientId)
      if (session !== undefined) directory.keeps(clientId, session.token)
    }
    this.postponed = new Postponed({
      members,
      setAside: (clientId) => {
        directory.gaveUp(clientId)
        sessions.yieldTo(clientId, false, (departure) => departure?.abort(() => {}))
      },
      unreachable: (clientId, token) => directory.unreachable(clientId, token),
      keeps: holdAgain
    })
    this.unheld = new Unheld({
      clientIds: () => sessions.clientIds(),
      isKnown: (clientId) =>
        directory.holds(clientId) || directory.isClaiming(clientId) || this.arrivals.has(clientId) ||
        this.arrivals.isComing(clientId) || this.departures.knows(clientId) || this.ending.has(clientId) ||
        this.postponed.has(clientId) || this.deferred.has(clientId),
      hold: holdAgain
    })
    this.departures = new Departures({
      bus,
      members,
      ask: (peer, { clientId, to, token }, { epoch, version }) => {
        const body = this.body.reset().uint64(token).text(clientId).text(to).uint64(epoch).uint64(version).written()
        bus.send(peer, FrameKind.AskFence, body)
      },
      now,
      moveMillis,
      post,
      onStayed: (clientId, formerToken) => {
        options.gaps?.stayed(clientId)
        directory.keeps(clientId, formerToken)
      },
      onMarked: ({ clientId, to }, fenced) => options.gaps?.leaves(clientId, fenced, to),
      onTrails: ({ clientId, to }) => options.gaps?.hasLeft(clientId, to),
      onEnded: ({ clientId, to }, session, group) => {
        post(() => options.gaps?.hasLeft(clientId, to))
        this.moved(clientId)
        whenCommitted(journal, group, () => post(() => this.say(to, FrameKind.SessionEnded, clientId, session, "")))
      }
    })
  }

  /** Sessions that come or go. */
  get moving(): number {
    return this.arrivals.size + this.departures.size
  }

  /** Moves that took too long: the client went on without its session, which is merged later. */
  get late(): number {
    return this.arrivals.late
  }

  /** Before the first link is up: what the store had. */
  begin(): void {
    this.directory.restored(this.options.sessions.all())
  }

  // --- the registry's side -----------------------------------------------------------------------------------------

  holds(clientId: string): boolean {
    if (!this.directory.isSureOf(clientId) || this.ending.has(clientId)) return false
    // What comes is merged into the one that is here.
    return !this.arrivals.isComing(clientId) || this.options.sessions.get(clientId) !== undefined
  }

  tokenOf(clientId: string): number {
    return this.directory.tokenOf(clientId)
  }

  attached(clientId: string): number {
    const token = this.directory.raise(clientId)
    if (token > 0) this.post(() => this.directory.announce(clientId))
    return token
  }

  claim(clientId: string, resume: boolean, mark: string | null, done: (claimed: Claimed) => void): void {
    this.post(() =>
      this.directory.claim(clientId, resume ? Wanted.State : Wanted.End, mark, ({ from, refused, token }) => {
        if (refused === true) return done({ _tag: "Refused" })
        if (token === 0) return done({ _tag: "Superseded" })
        this.arrivals.granted(clientId, token, from, (claimed) => {
          this.movedOn.delete(clientId)
          done(claimed)
          if (claimed._tag === "Granted" && claimed.state === null) {
            this.post(() => this.departures.recall(clientId))
          }
        })
      })
    )
  }

  installed(clientId: string, token: number, group: number): void {
    whenCommitted(this.options.journal, group, () =>
      this.post(() => {
        this.arrivals.installed(clientId, token)
        this.departures.recall(clientId)
      }))
  }

  /** From here to another node. */
  private moved(clientId: string): void {
    this.movedOn.add(clientId)
    for (const oldest of this.movedOn) {
      if (this.movedOn.size <= movedRemembered) break
      this.movedOn.delete(oldest)
    }
  }

  ended(clientId: string): void {
    this.ending.add(clientId)
    this.post(() => {
      this.ending.delete(clientId)
      this.directory.released(clientId)
      this.leaving?.look(clientId)
    })
  }

  /** To the cluster's turn, however full its mailbox is. */
  post(task: () => void): void {
    this.waiting.push(task)
    if (!this.posted) this.posted = this.options.post(() => this.takeWaiting())
  }

  private takeWaiting(): void {
    this.posted = false
    const tasks = this.waiting
    this.waiting = []
    let done = 0
    try {
      while (done < tasks.length) tasks[done++]?.()
    } finally {
      // After a crash the others are for the next life.
      if (done < tasks.length) this.waiting = [...tasks.slice(done), ...this.waiting]
    }
  }

  // --- frames ------------------------------------------------------------------------------------------------------

  linkUp(peer: Peer): void {
    this.closing.delete(peer.name)
    this.departures.linkUp(peer.name)
    for (const order of this.postponed.take(peer.name)) this.onYield(order)
  }

  linkDown(peer: Peer): void {
    this.closing.delete(peer.name)
    this.departures.linkDown(peer.name)
    this.arrivals.linkDown(peer.name)
  }

  receive(peer: Peer, kind: FrameKind, bytes: Buffer): void {
    switch (kind) {
      case FrameKind.SessionPart:
        return this.onPart(peer.name, readSessionPart(bytes, this.options.now()))
      case FrameKind.Offer:
        return readNames(bytes).forEach((clientId) => this.onOffer(peer.name, clientId))
      case FrameKind.OfferRefused:
        return readNames(bytes).forEach((clientId) => this.leaving?.look(clientId))
      case FrameKind.Closing:
        return void this.closing.add(peer.name)
    }
    const reader = new BodyReader(bytes)
    const token = reader.uint64()
    const clientId = reader.text()
    const from = reader.text()
    switch (kind) {
      case FrameKind.SessionTaken:
        return this.departures.taken(clientId, token, { epoch: reader.uint64(), version: reader.uint64() })
      case FrameKind.LateRefused:
        return this.departures.refused(clientId, token)
      case FrameKind.AskFence: {
        const routes = { epoch: reader.uint64(), version: reader.uint64() }
        if (!this.options.knowsRoutes(from, routes)) return
        const { afterMessages } = this.options
        return afterMessages(peer.name, () => this.say(peer.name, FrameKind.FencePassed, clientId, token, peer.name))
      }
      case FrameKind.SessionEnded: {
        const { sessions } = this.options
        return sessions.with(clientId, (session) => session?.forgetTaken({ node: peer.name, session: token }))
      }
      case FrameKind.FencePassed:
        return this.fencePassed(peer.name, clientId, token, from)
      case FrameKind.Fence:
        return this.onFence(peer.name, clientId, token, from)
    }
  }

  private onPart(from: string, part: SessionPart): void {
    const { clientId, head } = part
    if (head !== null && this.options.sessions.get(clientId) !== undefined) this.merging.add(clientId)
    this.arrivals.onPart(from, part)
  }

  private onFence(peer: string, clientId: string, token: number, from: string): void {
    const { afterMessages, bus } = this.options
    // Both are told, behind what they were sent before: where the session was, and where it is.
    for (const name of [from, peer]) {
      if (name === bus.self.name) this.departures.fencePassed(peer, clientId, token)
      else afterMessages(name, () => this.say(name, FrameKind.FencePassed, clientId, token, from))
    }
  }

  private fencePassed(peer: string, clientId: string, token: number, from: string): void {
    if (from === this.options.bus.self.name) return this.departures.fencePassed(peer, clientId, token)
    this.arrivals.fencePassed(peer, clientId, token, from)
  }

  writable(peer: Peer): void {
    this.departures.writable(peer.name)
  }

  tick(now: number): void {
    this.takeWaiting()
    this.postponed.tick()
    this.departures.tick(now)
    this.arrivals.tick(now)
    this.leaving?.tick(now)
    this.unheld.tick(now)
  }

  private fence(clientId: string, token: number, from: string): void {
    const { afterMessages, bus, flushRoutes } = this.options
    const routes = flushRoutes()
    const subscribedAt = this.options.sessions.get(clientId)?.subscribedAt ?? null
    this.options.gaps?.cameIn(clientId, this.merging.delete(clientId), subscribedAt)
    for (const name of bus.peers.keys()) this.say(name, FrameKind.Fence, clientId, token, from)
    afterMessages(from, () => this.sayTaken(from, clientId, token, routes))
  }

  private sayTaken(peer: string, clientId: string, token: number, { epoch, version }: SetVersion): void {
    const body = this.body.reset().uint64(token).text(clientId).text("").uint64(epoch).uint64(version).written()
    this.options.bus.send(peer, FrameKind.SessionTaken, body)
  }

  private say(peer: string, kind: FrameKind, clientId: string, token: number, from: string): void {
    this.options.bus.send(peer, kind, this.body.reset().uint64(token).text(clientId).text(from).written())
  }

  // --- a session goes ----------------------------------------------------------------------------------------------

  private onYield(order: Yield): void {
    const { clientId, to, wanted } = order
    const { bus, sessions } = this.options
    if (to === bus.self.name) return
    if (this.arrivals.has(clientId)) {
      // It goes on when all of it is here.
      const waiting = this.deferred.get(clientId)
      if (waiting === undefined) this.deferred.set(clientId, [order])
      else waiting.push(order)
      return
    }
    const formerToken = this.directory.tokenOf(clientId)
    // Ours is newer: the order was overtaken.
    if (order.token < formerToken) return this.departures.begin(order, null, formerToken)
    if (wanted !== Wanted.End && !bus.peers.has(to)) return this.postponed.add(order)
    this.directory.gaveUp(clientId)
    sessions.yieldTo(
      clientId,
      wanted === Wanted.End,
      (departure) =>
        this.post(() => this.departures.begin(order, departure, formerToken, () => this.leaving?.look(clientId)))
    )
  }

  private quiet(clientId: string): void {
    this.merging.delete(clientId)
    const orders = this.deferred.get(clientId)
    if (orders === undefined) return
    this.deferred.delete(clientId)
    for (const order of orders) this.post(() => this.onYield(order))
  }

  // --- a node leaves, or stops -------------------------------------------------------------------------------------

  /** This node leaves: all its sessions go to members that stay. `done` in a turn of the cluster. */
  handOver(takers: () => ReadonlyArray<string>, done: HandOverOptions["done"]): void {
    const { bus, moveMillis, now, sessions } = this.options
    this.leaving = new HandOver({
      clientIds: sessions.clientIds(),
      takers,
      isHere: (clientId) => sessions.get(clientId) !== undefined || this.departures.has(clientId),
      offer: (clientId, to) => bus.send(to, FrameKind.Offer, writeNames([clientId])),
      now,
      offerMillis: moveMillis,
      done: (result) => {
        this.leaving = null
        done(result)
      }
    })
    this.leaving.begin()
  }

  /** A node that leaves has it: this one claims it, as if its client had come here. */
  private onOffer(from: string, clientId: string): void {
    const { bus, isFull } = this.options
    if (this.directory.holds(clientId) || this.directory.isClaiming(clientId)) return
    if (isFull?.() === true) return void bus.send(from, FrameKind.OfferRefused, writeNames([clientId]))
    this.directory.claim(clientId, Wanted.State, null, ({ from: holder, token }) => {
      if (token === 0) return
      this.arrivals.granted(clientId, token, holder, (claimed) => {
        if (claimed._tag !== "Granted") return
        if (claimed.state === null) {
          // Unless a client has come for it meanwhile, and has it under a token of its own.
          if (this.directory.tokenOf(clientId) === claimed.token) this.directory.released(clientId)
        } else this.arrivals.adopt(claimed.state, claimed.token)
      })
    })
  }

  /** Peers hear that this node is about to stop. */
  sayClosing(): void {
    for (const name of this.options.bus.peers.keys()) this.options.bus.send(name, FrameKind.Closing, new Uint8Array(0))
  }
}
