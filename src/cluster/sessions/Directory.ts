// Which node has which client's session: claims before a session is opened here, orders to give one up, what this node holds. Each client id is looked
// after by one member (DirectoryView.ts), whose table answers; this file speaks with it, as claimant and as member. Plain code, called in turns of the
// registry and of the cluster. Invariants: each claim is answered once, within `claimMillis`; without the member's answer this node serves its
// client, and what it holds is announced as soon as there is a link.
import { type Bus, type BusPart, FrameKind, type Members, type Peer } from "../Bus.ts"
import type { HybridClock } from "../HybridClock.ts"
import { Announcing } from "./Announcing.ts"
import { Claims, type Granted } from "./Claims.ts"
import { type Claim, type DirectoryOrders, DirectoryTable, type Wanted } from "./DirectoryTable.ts"
import { DirectoryView } from "./DirectoryView.ts"
import {
  type Holding,
  type Question,
  readAnswer,
  readClaim,
  readHoldings,
  readNames,
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

/** So long does a claim that finds nothing wait for the word of all peers that they have said what they have, ms. */
const parkedMillis = 2_000
/** What another member looks after now stays so long for claims of those who do not know yet, ms. */
const formerKeptMillis = 2_000
const lookedAtPerTick = 10_000
/** Moves that the claimant is slow to end: it tries for longer than this. */
const movesWaitedFor = 3

export interface DirectoryOptions {
  readonly bus: Bus
  readonly members: Members
  readonly clock: HybridClock
  /** ms since 1970. */
  readonly now: () => number
  readonly claimMillis: number
  readonly moveMillis: number
  /** It was told of other nodes when it was started. */
  readonly expectsPeers?: () => boolean
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

export class Directory implements BusPart, DirectoryOrders {
  readonly kinds = [
    FrameKind.Claim,
    FrameKind.ClaimAnswer,
    FrameKind.Yield,
    FrameKind.Announce,
    FrameKind.Told,
    FrameKind.Release,
    FrameKind.Settled,
    FrameKind.Question,
    FrameKind.QuestionAnswer
  ]
  readonly table: DirectoryTable
  readonly view: DirectoryView
  private readonly options: DirectoryOptions
  /** What this node has, with its tokens. */
  private readonly held = new Map<string, number>()
  private readonly claims: Claims
  private readonly announcing: Announcing
  /** Claims of client ids that nobody has, as far as is known: somebody may not have said so yet. */
  private parked: Array<Parked> = []
  /** Client ids of the table that another member looks after, from `formerUntil` on. */
  private former = new Set<string>()
  private formerUntil = 0
  /** Client ids of the table that are still to be looked at since the members changed. */
  private toAssign: Iterator<string> | null = null
  /** Who has granted what is not settled yet: by the time it is, another member may look after it. */
  private readonly grantedBy = new Map<string, string>()

  constructor(options: DirectoryOptions) {
    this.options = options
    const { bus, clock, moveMillis, now } = options
    this.table = new DirectoryTable(clock, this, moveMillis * movesWaitedFor)
    this.view = new DirectoryView({ expectsPeers: () => false, ...options })
    this.announcing = new Announcing({
      bus,
      view: this.view,
      held: this.held,
      atHome: ({ clientId, token }) => this.table.announce(clientId, this.self, token, now())
    })
    this.claims = new Claims({
      now,
      claimMillis: options.claimMillis,
      memberFor: (clientId) => this.memberFor(clientId),
      ask: (request, member) => this.askMember(request, member),
      serveAlone: (request) => this.answerHere(request)
    })
  }

  get heldCount(): number {
    return this.held.size
  }

  /** Claims that were answered here because their member did not. */
  get unanswered(): number {
    return this.claims.unanswered
  }

  // --- this node's sessions ----------------------------------------------------------------------------------------

  /** True: nobody else has been given this client id since. */
  holds(clientId: string): boolean {
    return this.held.has(clientId)
  }

  /** A claim of this node has not been answered: what it brings may be here before its answer. */
  isClaiming(clientId: string): boolean {
    return this.claims.has(clientId)
  }

  tokenOf(clientId: string): number {
    return this.held.get(clientId) ?? 0
  }

  /** `mark`: for this user alone (session/userMark.ts), so that who has the session is asked first whose it is; null: whoever it is. */
  claim(clientId: string, wanted: Wanted, mark: string | null, done: (granted: Granted) => void): void {
    this.claims.open(clientId, wanted, mark, done)
  }

  private askMember(request: number, member: string): void {
    const claim = this.claims.get(request)
    if (claim === undefined) return
    const { clientId, mark } = claim
    if (mark === null) return this.sendClaim(request)
    this.question({ request, clientId, claimant: this.self, mark, passedOn: false }, member)
  }

  private sendClaim(request: number): void {
    const claim = this.claims.get(request)
    if (claim === undefined) return
    const { clientId, member, wanted } = claim
    if (member === this.self) return this.ask({ clientId, claimant: this.self, request, wanted })
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
    // As a claim would, it waits until somebody has said that he has it.
    this.whenKnown(clientId, () => this.passOn(question))
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
    if (may) return this.sendClaim(request)
    this.claims.take(request)?.done({ token: 0, from: "", refused: true })
  }

  /** The session is here, or this node goes on without it: the next claim may be served. */
  settled(clientId: string, token: number): void {
    const members = new Set([this.grantedBy.get(clientId) ?? this.memberFor(clientId), this.memberFor(clientId)])
    this.grantedBy.delete(clientId)
    for (const member of members) {
      if (member === this.self) this.table.settled(clientId, this.self, token, this.options.now())
      else this.options.bus.send(member, FrameKind.Settled, writeHoldings([{ clientId, token }]))
    }
  }

  /** It is here without a claim: from the store (token 0: whoever has claimed it meanwhile goes before it), or it has stayed. */
  keeps(clientId: string, token: number): void {
    if (!this.held.has(clientId)) this.held.set(clientId, token)
    this.announcing.to(this.memberFor(clientId), [{ clientId, token: this.tokenOf(clientId) }])
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

  /** It was given to another node. */
  gaveUp(clientId: string): void {
    this.held.delete(clientId)
  }

  // --- orders of the table -----------------------------------------------------------------------------------------

  answer(claim: Claim, token: number, from: string): void {
    const { claimant, clientId, request } = claim
    if (claimant === this.self) return this.answered(request, clientId, token, from)
    this.options.bus.send(claimant, FrameKind.ClaimAnswer, writeAnswer({ request, clientId, token, from }))
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
    this.view.forget(peer.name)
    this.table.doubt(peer.name)
    this.look()
    this.announcing.inform(peer.name)
    this.unpark()
  }

  linkDown(peer: Peer): void {
    const { members, now } = this.options
    this.view.forget(peer.name)
    if (isGone(members.status(peer.name))) this.table.nodeGone(peer.name, now())
    else this.table.linkDown(peer.name, now())
    this.look()
    this.claims.lost(peer.name)
    this.unpark()
  }

  receive(peer: Peer, kind: FrameKind, body: Buffer): void {
    const now = this.options.now()
    switch (kind) {
      case FrameKind.Claim:
        return this.ask({ ...readClaim(body), claimant: peer.name })
      case FrameKind.ClaimAnswer: {
        const { clientId, from, request, token } = readAnswer(body)
        return this.answered(request, clientId, token, from)
      }
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
      case FrameKind.Told:
        if (this.view.tell(peer.name, readNames(body))) this.table.confirmed(peer.name)
        return this.unpark()
      case FrameKind.Release:
        return readHoldings(body).forEach(({ clientId, token }) => this.table.release(clientId, peer.name, token))
      case FrameKind.Settled:
        return readHoldings(body).forEach(({ clientId, token }) => this.table.settled(clientId, peer.name, token, now))
    }
  }

  memberChanged(name: string, status: string): void {
    // With a link it is there, whatever is said of it.
    if (isGone(status) && !this.options.bus.peers.has(name)) this.table.nodeGone(name, this.options.now())
  }

  tick(now: number): void {
    this.claims.tick(now)
    this.table.tick(now)
    this.announcing.some()
    this.unpark()
    this.dropFormer(now)
  }

  // --- inside ------------------------------------------------------------------------------------------------------

  private get self(): string {
    return this.options.members.self
  }

  private memberFor(clientId: string): string {
    return this.view.memberFor(clientId)
  }

  /** Members may have come or gone. */
  private look(): void {
    const before = this.view.names
    if (!this.view.refresh()) return
    this.announcing.start(before)
    this.toAssign = this.table.clientIds()
  }

  private answered(request: number, clientId: string, token: number, from: string): void {
    const claim = this.claims.take(request)
    if (token > 0) {
      this.options.clock.observe(token)
      if (claim !== undefined || this.held.has(clientId)) this.held.set(clientId, token)
    }
    if (claim !== undefined) {
      const member = this.memberFor(clientId)
      if (token > 0 && member !== claim.member) this.announcing.to(member, [{ clientId, token }])
      if (from !== "") this.grantedBy.set(clientId, claim.member)
      return claim.done({ token, from })
    }
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
    this.claims.unanswered++
    const { clientId } = claim
    const token = this.options.clock.next()
    this.answered(request, clientId, token, "")
    this.announcing.to(this.memberFor(clientId), [{ clientId, token }])
  }

  private yielding(order: Yield): void {
    this.options.clock.observe(order.token)
    this.options.onYield(order)
  }

  // --- claims that find nothing --------------------------------------------------------------------------------------

  private ask(claim: Claim): void {
    this.whenKnown(claim.clientId, () => {
      this.table.claim(claim, this.options.now())
      this.assigned(claim.clientId)
    })
  }

  /** Once somebody has it, or everybody has said what he has; or after a while. */
  private whenKnown(clientId: string, run: () => void): void {
    if (this.isKnown(clientId) || this.isTold) return run()
    this.parked.push({ clientId, deadline: this.options.now() + parkedMillis, run })
  }

  private isKnown(clientId: string): boolean {
    return this.table.holder(clientId) !== undefined || this.table.isMoving(clientId)
  }

  private get isTold(): boolean {
    return this.announcing.done && this.view.isTold
  }

  private unpark(): void {
    if (this.parked.length === 0) return
    const now = this.options.now()
    const { isTold, parked } = this
    this.parked = []
    for (const one of parked) {
      const { clientId, deadline, run } = one
      if (isTold || now >= deadline || this.isKnown(clientId)) run()
      else this.parked.push(one)
    }
  }

  private onAnnounce(peer: string, holdings: ReadonlyArray<Holding>): void {
    const now = this.options.now()
    for (const { clientId, token } of holdings) {
      this.table.announce(clientId, peer, token, now)
      this.assigned(clientId)
    }
    this.unpark()
  }

  /** Whoever sees other members than this node asks it for client ids that are not its own. */
  private assigned(clientId: string): void {
    if (this.memberFor(clientId) === this.self) return
    if (this.former.size === 0) this.formerUntil = this.options.now() + formerKeptMillis
    this.former.add(clientId)
  }

  private dropFormer(now: number): void {
    for (let seen = 0; this.toAssign !== null && seen < lookedAtPerTick; seen++) {
      const { done, value } = this.toAssign.next()
      if (done === true) this.toAssign = null
      else this.assigned(value)
    }
    if (this.former.size === 0 || now < this.formerUntil) return
    const { former } = this
    this.former = new Set()
    for (const clientId of former) {
      if (this.memberFor(clientId) === this.self) continue
      this.table.drop(clientId)
      if (this.table.holder(clientId) !== undefined) this.assigned(clientId)
    }
  }
}

const isGone = (status: string | undefined): boolean => status !== "alive" && status !== "suspect"
