// Which node has which client's session: a claim before a session is opened here, orders to give one up, what this node holds. Each client id is looked
// after by one member (rendezvous.ts), whose table answers; this file speaks with it, as claimant and as member. Plain code, called in turns of the
// registry and of the cluster. Invariants: each claim is answered once, within `claimMillis`; without the member's answer this node serves its
// client, and what it holds is announced as soon as there is a link.
import { type Bus, type BusPart, FrameKind, type Members, type Peer } from "../Bus.ts"
import { type Claim, type DirectoryOrders, DirectoryTable, type Wanted } from "./DirectoryTable.ts"
import {
  type Answer,
  type Holding,
  type Question,
  readAnswer,
  readClaim,
  readHoldings,
  readQuestion,
  readQuestionAnswer,
  readYield,
  writeAnswer,
  writeClaim,
  writeHoldings,
  writeQuestion,
  writeQuestionAnswer,
  writeYield,
  type Yield
} from "./directoryFrames.ts"
import type { HybridClock } from "../HybridClock.ts"
import { rendezvous } from "./rendezvous.ts"
import { fnv1a } from "../../router/textHash.ts"

/** So long does a claim that finds nothing wait for the word of all peers that they have said what they have, ms. */
const parkedMillis = 2_000
/** Client ids looked at in one tick after the members have changed: 100,000 in a second. */
const announcedPerTick = 10_000
const holdingsPerFrame = 500

export interface Granted {
  /** 0: another connection with this client id came later, on another node. */
  readonly token: number
  /** The node that hands the session over; "": nobody has one. */
  readonly from: string
  /** It is another user's: nothing has changed. */
  readonly refused?: boolean
}

export interface DirectoryOptions {
  readonly bus: Bus
  readonly members: Members
  readonly clock: HybridClock
  /** ms since 1970. */
  readonly now: () => number
  readonly claimMillis: number
  readonly moveMillis: number
  /** This node gives a session up. */
  readonly onYield: (order: Yield) => void
  /** Whether the session that is here is this user's (session/userMark.ts), or nobody's; `reply` in a turn of the cluster. */
  readonly judge: (clientId: string, mark: string, reply: (may: boolean) => void) => void
}

interface Parked {
  readonly clientId: string
  readonly run: () => void
  readonly deadline: number
}

interface OpenClaim {
  readonly clientId: string
  readonly wanted: Wanted
  readonly member: string
  readonly deadline: number
  readonly done: (granted: Granted) => void
}

export class Directory implements BusPart, DirectoryOrders {
  readonly kinds = [
    FrameKind.Claim,
    FrameKind.ClaimAnswer,
    FrameKind.Yield,
    FrameKind.Announce,
    FrameKind.Release,
    FrameKind.Settled,
    FrameKind.Question,
    FrameKind.QuestionAnswer
  ]
  readonly table: DirectoryTable
  /** Claims that were answered here because their member did not. */
  unanswered = 0
  private readonly options: DirectoryOptions
  /** What this node has, with its tokens. */
  private readonly held = new Map<string, number>()
  private readonly claims = new Map<number, OpenClaim>()
  /** Their client ids. */
  private readonly claiming = new Set<string>()
  private lastRequest = 0
  /** Held client ids that are still to be looked at since the members changed, and those of the table. */
  private toAnnounce: Iterator<string> | null = null
  private toDrop: Iterator<string> | null = null
  private membersNow: ReadonlyArray<string>
  /** Of the members that are present: a number that is another one for other members. */
  private view: number
  /** The view for which a peer has said all that it has here. */
  private readonly told = new Map<string, number>()
  /** Claims of client ids that nobody has, as far as is known: somebody may not have said so yet. */
  private parked: Array<Parked> = []
  private membersBefore: ReadonlyArray<string> = []
  /** Members whose table has lost what it knew, or has not heard of what is held. */
  private readonly uninformed = new Set<string>()

  constructor(options: DirectoryOptions) {
    this.options = options
    this.table = new DirectoryTable(options.clock, this, options.moveMillis)
    this.membersNow = options.members.present
    this.view = viewOf(this.membersNow)
  }

  get heldCount(): number {
    return this.held.size
  }

  // --- this node's sessions ----------------------------------------------------------------------------------------

  /** True: nobody else has been given this client id since. */
  holds(clientId: string): boolean {
    return this.held.has(clientId)
  }

  /** A claim of this node has not been answered: what it brings may be here before its answer. */
  isClaiming(clientId: string): boolean {
    return this.claiming.has(clientId)
  }

  tokenOf(clientId: string): number {
    return this.held.get(clientId) ?? 0
  }

  /** `mark`: for this user alone (session/userMark.ts), so that who has the session is asked first whose it is; null: whoever it is. */
  claim(clientId: string, wanted: Wanted, mark: string | null, done: (granted: Granted) => void): void {
    const member = this.memberFor(clientId)
    const request = this.lastRequest = (this.lastRequest + 1) >>> 0
    this.claiming.add(clientId)
    this.claims.set(request, {
      clientId,
      wanted,
      member,
      deadline: this.options.now() + this.options.claimMillis,
      done
    })
    if (mark === null) return this.sendClaim(request)
    this.question({ request, clientId, claimant: this.self, mark, passedOn: false }, member)
  }

  private sendClaim(request: number): void {
    const claim = this.claims.get(request)
    if (claim === undefined) return
    const { clientId, member, wanted } = claim
    if (member === this.self) {
      return this.ask({ clientId, claimant: this.self, request, wanted }, this.options.now())
    }
    if (this.options.bus.send(member, FrameKind.Claim, writeClaim({ request, clientId, wanted }))) return
    this.answerHere(request)
  }

  // --- whose it is -------------------------------------------------------------------------------------------------

  private question(question: Question, node: string): void {
    if (node === this.self) this.onQuestion(question)
    else if (!this.options.bus.send(node, FrameKind.Question, writeQuestion(question))) this.tell(question, true)
  }

  private onQuestion(question: Question): void {
    const { clientId, mark, passedOn } = question
    if (passedOn || this.held.has(clientId)) {
      return this.options.judge(clientId, mark, (may) => this.tell(question, may))
    }
    if (this.table.holder(clientId) !== undefined || this.isTold) return this.passOn(question)
    // As a claim would, it waits until somebody has said that he has it.
    this.parked.push({ clientId, deadline: this.options.now() + parkedMillis, run: () => this.passOn(question) })
  }

  private passOn(question: Question): void {
    const { claimant, clientId } = question
    const holder = this.table.holder(clientId)
    if (holder === undefined || holder === this.self || holder === claimant || !this.reachable(holder)) {
      return this.tell(question, true)
    }
    this.question({ ...question, passedOn: true }, holder)
  }

  private tell({ claimant, request }: Question, may: boolean): void {
    if (claimant === this.self) this.onTold(request, may)
    else this.options.bus.send(claimant, FrameKind.QuestionAnswer, writeQuestionAnswer({ request, may }))
  }

  private onTold(request: number, may: boolean): void {
    const claim = this.claims.get(request)
    if (claim === undefined) return
    if (may) return this.sendClaim(request)
    this.claims.delete(request)
    this.claiming.delete(claim.clientId)
    claim.done({ token: 0, from: "", refused: true })
  }

  /** The session is here, or this node goes on without it: the next claim may be served. */
  settled(clientId: string, token: number): void {
    const member = this.memberFor(clientId)
    if (member === this.self) this.table.settled(clientId, this.self, token, this.options.now())
    else this.options.bus.send(member, FrameKind.Settled, writeHoldings([{ clientId, token }]))
  }

  /** It is here without a claim: from the store (token 0: whoever has claimed it meanwhile goes before it), or it has stayed. */
  keeps(clientId: string, token: number): void {
    if (!this.held.has(clientId)) this.held.set(clientId, token)
    this.announceTo(this.memberFor(clientId), [{ clientId, token: this.tokenOf(clientId) }])
  }

  /** Its session has ended here. */
  released(clientId: string): void {
    const token = this.held.get(clientId)
    if (token === undefined) return
    this.held.delete(clientId)
    const member = this.memberFor(clientId)
    if (member === this.self) this.table.release(clientId, this.self, token)
    else this.options.bus.send(member, FrameKind.Release, writeHoldings([{ clientId, token }]))
  }

  /** For a session that is given away without a claim. */
  nextToken(): number {
    return this.options.clock.next()
  }

  /** It was given to another node. */
  gaveUp(clientId: string): void {
    this.held.delete(clientId)
  }

  // --- orders of the table -----------------------------------------------------------------------------------------

  answer(claim: Claim, token: number, from: string): void {
    if (claim.claimant === this.self) return this.answered({ ...claim, token, from })
    const { clientId, request } = claim
    this.options.bus.send(claim.claimant, FrameKind.ClaimAnswer, writeAnswer({ request, clientId, token, from }))
  }

  yieldTo(holder: string, clientId: string, token: number, to: string, wanted: Wanted): void {
    const order: Yield = { clientId, token, to, wanted }
    if (holder === this.self) this.yielding(order)
    else this.options.bus.send(holder, FrameKind.Yield, writeYield(order))
  }

  reachable(node: string): boolean {
    return node === this.self || this.options.bus.peers.has(node)
  }

  // --- frames ------------------------------------------------------------------------------------------------------

  linkUp(peer: Peer): void {
    this.uninformed.add(peer.name)
    this.told.delete(peer.name)
    this.startAnnouncing()
    // The first ten thousand at once: a client may be here sooner than the next tick.
    this.announceSome()
  }

  linkDown(peer: Peer): void {
    this.told.delete(peer.name)
    this.unpark()
    this.table.linkDown(peer.name, this.options.now())
    for (const [request, { member }] of this.claims) if (member === peer.name) this.answerHere(request)
  }

  receive(peer: Peer, kind: FrameKind, body: Buffer): void {
    const now = this.options.now()
    switch (kind) {
      case FrameKind.Claim:
        return this.ask({ ...readClaim(body), claimant: peer.name }, now)
      case FrameKind.ClaimAnswer:
        return this.answered(readAnswer(body))
      case FrameKind.Question:
        return this.onQuestion(readQuestion(body))
      case FrameKind.QuestionAnswer: {
        const { may, request } = readQuestionAnswer(body)
        return this.onTold(request, may)
      }
      case FrameKind.Yield:
        return this.yielding(readYield(body))
      case FrameKind.Announce:
        return this.onAnnounce(peer.name, readHoldings(body))
      case FrameKind.Release:
        return readHoldings(body).forEach(({ clientId, token }) => this.table.release(clientId, peer.name, token))
      case FrameKind.Settled:
        return readHoldings(body).forEach(({ clientId, token }) => this.table.settled(clientId, peer.name, token, now))
    }
  }

  memberChanged(name: string, status: string): void {
    if (status !== "alive" && status !== "suspect") this.table.nodeGone(name, this.options.now())
    const { present } = this.options.members
    if (present.join("\n") === this.membersNow.join("\n")) return
    if (this.toAnnounce === null) this.membersBefore = this.membersNow
    this.membersNow = present
    this.view = viewOf(present)
    this.startAnnouncing()
  }

  tick(now: number): void {
    for (const [request, { deadline }] of this.claims) if (now >= deadline) this.answerHere(request)
    this.table.tick(now)
    this.announceSome()
    this.unpark()
    this.dropSome()
  }

  // --- inside ------------------------------------------------------------------------------------------------------

  private get self(): string {
    return this.options.members.self
  }

  private memberFor(clientId: string): string {
    return this.membersNow.length < 2 ? this.self : rendezvous(this.membersNow, clientId)
  }

  private answered({ clientId, from, request, token }: Answer): void {
    const claim = this.claims.get(request)
    this.claims.delete(request)
    if (claim !== undefined) this.claiming.delete(clientId)
    if (token > 0) {
      this.options.clock.observe(token)
      if (claim !== undefined || this.held.has(clientId)) this.held.set(clientId, token)
    }
    if (claim !== undefined) return claim.done({ token, from })
    if (token === 0) return
    // Too late: this node has gone on by itself. What the former holder still sends is merged.
    this.settled(clientId, token)
    if (this.held.has(clientId)) return
    this.held.set(clientId, token)
    this.released(clientId)
  }

  /** Its member cannot be asked: this node serves the client, and says so once it can. */
  private answerHere(request: number): void {
    const claim = this.claims.get(request)
    if (claim === undefined) return
    this.unanswered++
    const { clientId, member } = claim
    const token = this.options.clock.next()
    this.answered({ clientId, request, token, from: "" })
    this.announceTo(member, [{ clientId, token }])
  }

  private yielding(order: Yield): void {
    this.options.clock.observe(order.token)
    this.options.onYield(order)
  }

  // --- claims that find nothing --------------------------------------------------------------------------------------

  private ask(claim: Claim, now: number): void {
    if (this.table.holder(claim.clientId) !== undefined || this.isTold) return this.table.claim(claim, now)
    this.parked.push({
      clientId: claim.clientId,
      deadline: now + parkedMillis,
      run: () => this.table.claim(claim, this.options.now())
    })
  }

  /** Every peer has said what it has here, for the members that are present. */
  private get isTold(): boolean {
    if (this.toAnnounce !== null) return false
    for (const name of this.options.bus.peers.keys()) {
      if (this.told.get(name) !== this.view && this.membersNow.includes(name)) return false
    }
    return true
  }

  private unpark(): void {
    if (this.parked.length === 0) return
    const now = this.options.now()
    const { isTold, parked } = this
    this.parked = []
    for (const one of parked) {
      const { clientId, deadline, run } = one
      if (isTold || now >= deadline || this.table.holder(clientId) !== undefined) run()
      else this.parked.push(one)
    }
  }

  private onAnnounce(peer: string, holdings: ReadonlyArray<Holding>): void {
    for (const { clientId, token } of holdings) {
      if (clientId === "") this.told.set(peer, token)
      else this.table.announce(clientId, peer, token)
    }
    this.unpark()
  }

  private startAnnouncing(): void {
    this.toAnnounce = this.held.keys()
    this.toDrop = this.table.clientIds()
  }

  /** Of what is held, what another member looks after now, or one that has not heard of it. */
  private announceSome(): void {
    const { toAnnounce } = this
    if (toAnnounce === null) return
    const holdings = new Map<string, Array<Holding>>()
    for (let seen = 0; seen < announcedPerTick; seen++) {
      const { done, value } = toAnnounce.next()
      if (done === true) {
        this.toAnnounce = null
        this.membersBefore = this.membersNow
        break
      }
      const member = this.memberFor(value)
      const moved = this.membersBefore.length > 0 && rendezvous(this.membersBefore, value) !== member
      if (!moved && !this.uninformed.has(member)) continue
      const list = holdings.get(member)
      if (list === undefined) holdings.set(member, [{ clientId: value, token: this.tokenOf(value) }])
      else list.push({ clientId: value, token: this.tokenOf(value) })
    }
    const done = this.toAnnounce === null
    if (done) this.uninformed.clear()
    for (const [member, list] of holdings) this.announceTo(member, list)
    if (!done) return
    if (this.uninformed.size > 0) return this.startAnnouncing()
    const end = writeHoldings([{ clientId: "", token: this.view }])
    for (const member of this.options.bus.peers.keys()) {
      if (!this.options.bus.send(member, FrameKind.Announce, end)) this.uninformed.add(member)
    }
    if (this.uninformed.size > 0) this.startAnnouncing()
    this.unpark()
  }

  private announceTo(member: string, list: ReadonlyArray<Holding>): void {
    if (member === this.self) {
      return list.forEach(({ clientId, token }) => this.table.announce(clientId, this.self, token))
    }
    for (let at = 0; at < list.length; at += holdingsPerFrame) {
      const part = list.slice(at, at + holdingsPerFrame)
      if (this.options.bus.send(member, FrameKind.Announce, writeHoldings(part))) continue
      // Its queue is full: once more, all of it. Without a link it is announced when there is one.
      if (this.options.bus.peers.has(member)) this.uninformed.add(member)
      return
    }
  }

  private dropSome(): void {
    for (let seen = 0; this.toDrop !== null && seen < announcedPerTick; seen++) {
      const { done, value } = this.toDrop.next()
      if (done === true) this.toDrop = null
      else if (this.memberFor(value) !== this.self) this.table.drop(value)
    }
  }
}

const viewOf = (members: ReadonlyArray<string>): number => fnv1a(members.join("\n")) >>> 0
