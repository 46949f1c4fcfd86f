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
import { Former } from "./Former.ts"
import { Parked } from "./Parked.ts"
import { type WordCounts, Words } from "./Words.ts"

/** Entries of the table that are looked at in one slice: some milliseconds. */
const sweptPerSlice = 10_000
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
  readonly counts?: WordCounts
  /** To the next turn of the cluster: long work goes on there. Missing, or false: at the next tick. */
  readonly post?: (task: () => void) => boolean
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
  /** What has a token up to this one is from the store. */
  private sureFrom = -1
  /** What has stayed here although it was claimed elsewhere. */
  private readonly doubted = new Set<string>()
  private readonly claims: Claims
  private readonly announcing: Announcing
  private readonly words: Words
  private readonly parked: Parked
  private readonly former: Former
  /** Another slice has been posted. */
  private goesOn = false
  /** Who has granted what is not settled yet: by the time it is, another member may look after it. */
  private readonly grantedBy = new Map<string, string>()

  constructor(options: DirectoryOptions) {
    this.options = options
    const { bus, clock, moveMillis, now } = options
    const table = this.table = new DirectoryTable(clock, this, moveMillis * movesWaitedFor)
    const view = this.view = new DirectoryView({ expectsPeers: () => false, ...options })
    this.words = new Words(bus, options.counts ?? { cluster_words_dropped_total: 0 })
    this.former = new Former({
      table,
      now,
      isOurs: (clientId) => view.memberFor(clientId) === bus.self.name,
      memberCount: () => view.names.length
    })
    this.parked = new Parked({
      now,
      claimMillis: options.claimMillis,
      // Who claims what he has himself is not sure of it.
      isKnown: (clientId, claimant) => {
        const holder = table.holder(clientId)
        return (holder !== undefined && holder !== claimant) || table.isMoving(clientId)
      },
      isTold: () => this.announcing.done && view.isTold
    })
    this.announcing = new Announcing({
      bus,
      view,
      held: this.held,
      atHome: ({ clientId, token }) => table.announce(clientId, this.self, token, now())
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

  /** The same, and no other node can have been given it while this one was away: nobody has to be asked. */
  isSureOf(clientId: string): boolean {
    const token = this.held.get(clientId)
    return token !== undefined && token > this.sureFrom && !this.doubted.has(clientId)
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
    if (this.words.say(member, FrameKind.Claim, writeClaim({ request, clientId, wanted }))) return
    this.answerHere(request)
  }

  // --- whose it is -------------------------------------------------------------------------------------------------

  private question(question: Question, node: string): void {
    if (node === this.self) this.onQuestion(question)
    else if (!this.words.say(node, FrameKind.Question, writeQuestion(question))) this.tell(question, true)
  }

  private onQuestion(question: Question): void {
    const { clientId, mark, passedOn } = question
    if (passedOn || this.held.has(clientId)) {
      return this.options.judge(clientId, mark, (may) => this.tell(question, may))
    }
    // As a claim would, it waits until somebody has said that he has it.
    this.parked.whenKnown(clientId, question.claimant, () => this.passOn(question))
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
    else this.words.say(claimant, FrameKind.QuestionAnswer, writeQuestionAnswer({ request, may }))
  }

  private onTold(request: number, may: boolean): void {
    if (may) return this.sendClaim(request)
    this.claims.take(request)?.done({ token: 0, from: "", refused: true })
  }

  /** The session is here, or this node goes on without it: the next claim may be served. */
  settled(clientId: string, token: number): void {
    const members = new Set([this.grantedBy.get(clientId) ?? this.memberFor(clientId), this.memberFor(clientId)])
    this.grantedBy.delete(clientId)
    this.saySettled(members, clientId, token)
  }

  private saySettled(members: Iterable<string>, clientId: string, token: number): void {
    for (const member of members) {
      if (member === this.self) this.table.settled(clientId, this.self, token, this.options.now())
      else this.words.say(member, FrameKind.Settled, writeHoldings([{ clientId, token }]))
    }
  }

  /** The session of this order is here, and there is no link to the node that it is to go to. */
  unreachable(clientId: string, token: number): void {
    this.saySettled([this.memberFor(clientId)], clientId, token)
  }

  /** What the store had. Token 0: it had none, and whoever has claimed it meanwhile goes before it. */
  restored(sessions: Iterable<{ readonly clientId: string; readonly token: number }>): void {
    const { clock } = this.options
    for (const { clientId, token } of sessions) {
      clock.observe(token)
      if (!this.held.has(clientId)) this.held.set(clientId, token)
    }
    this.sureFrom = clock.next()
    this.announcing.inform(this.self)
  }

  /** It is here without a claim: nobody has taken it. */
  keeps(clientId: string, token: number): void {
    if (!this.held.has(clientId)) {
      this.held.set(clientId, token)
      this.doubted.add(clientId)
    }
    this.announce(clientId)
  }

  /** Its client has come to it: the token that it is held under from now on, to be announced; 0: it is not held. */
  raise(clientId: string): number {
    if (!this.held.has(clientId)) return 0
    const token = this.options.clock.next()
    this.held.set(clientId, token)
    return token
  }

  /** Under its token, as far as it is still here. */
  announce(clientId: string): void {
    this.announcing.one(this.memberFor(clientId), clientId)
  }

  /** Its session has ended here. */
  released(clientId: string): void {
    const token = this.held.get(clientId)
    if (token === undefined) return
    this.held.delete(clientId)
    this.doubted.delete(clientId)
    const member = this.memberFor(clientId)
    if (member === this.self) this.table.release(clientId, this.self, token)
    else this.words.say(member, FrameKind.Release, writeHoldings([{ clientId, token }]))
  }

  /** It was given to another node. */
  gaveUp(clientId: string): void {
    this.held.delete(clientId)
    this.doubted.delete(clientId)
  }

  // --- orders of the table -----------------------------------------------------------------------------------------

  answer(claim: Claim, token: number, from: string): void {
    const { claimant, clientId, request } = claim
    if (claimant === this.self) return this.answered(request, clientId, token, from)
    this.words.say(claimant, FrameKind.ClaimAnswer, writeAnswer({ request, clientId, token, from }))
  }

  yieldTo(holder: string, clientId: string, token: number, to: string, wanted: Wanted): void {
    const order: Yield = { clientId, token, to, wanted }
    if (holder === this.self) this.yielding(order)
    else this.words.say(holder, FrameKind.Yield, writeYield(order))
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
    // Some at once: a client may be here sooner than the next tick.
    this.work()
  }

  linkDown(peer: Peer): void {
    const { members, now } = this.options
    this.view.forget(peer.name)
    if (isGone(members.status(peer.name))) this.table.nodeGone(peer.name, now())
    else this.table.linkDown(peer.name, now())
    this.words.linkDown(peer.name)
    this.announcing.linkDown(peer.name)
    this.look()
    this.claims.lost(peer.name)
    this.parked.look()
  }

  writable(peer: Peer): void {
    this.words.writable(peer.name)
    this.work()
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
        return this.onAnnounce(peer.name, body)
      case FrameKind.Told:
        if (this.view.tell(peer.name, readNames(body))) this.table.confirmed(peer.name)
        return this.parked.look()
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
    this.words.tick()
    this.work()
  }

  /** One slice of what is long: the other parts of the cluster wait no longer than for that. */
  private work(): void {
    const more = this.announcing.some() || this.table.sweep(sweptPerSlice) || this.former.some()
    this.parked.look()
    if (!more || this.goesOn || this.options.post === undefined) return
    this.goesOn = this.options.post(() => {
      this.goesOn = false
      this.work()
    })
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
    this.claims.reassign(this.self)
    this.announcing.start(before)
    this.former.lookAtAll()
  }

  private answered(request: number, clientId: string, token: number, from: string): void {
    const claim = this.claims.take(request)
    if (token > 0) {
      this.options.clock.observe(token)
      if (claim !== undefined || this.held.has(clientId)) {
        this.held.set(clientId, Math.max(token, this.tokenOf(clientId)))
      }
    }
    if (claim !== undefined) {
      this.doubted.delete(clientId)
      const member = this.memberFor(clientId)
      if (token > 0 && member !== claim.member) this.announcing.one(member, clientId)
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
    this.announcing.one(this.memberFor(clientId), clientId)
  }

  private yielding(order: Yield): void {
    this.options.clock.observe(order.token)
    this.options.onYield(order)
  }

  private ask(claim: Claim): void {
    const { clientId } = claim
    const now = this.options.now()
    const token = this.held.get(clientId)
    // It is here, and the table has not been told yet.
    if (token !== undefined && this.table.holder(clientId) === undefined) {
      this.table.announce(clientId, this.self, token, now)
    }
    this.parked.whenKnown(clientId, claim.claimant, () => {
      // Another member has come meanwhile, and was asked.
      if (claim.claimant === this.self && this.claims.get(claim.request)?.member !== this.self) return
      this.table.claim(claim, this.options.now())
      this.former.look(clientId)
    })
  }

  private onAnnounce(peer: string, body: Buffer): void {
    const now = this.options.now()
    for (const { clientId, token } of readHoldings(body)) {
      this.table.announce(clientId, peer, token, now)
      this.former.look(clientId)
    }
    if (!this.view.hasTold(peer)) this.parked.heard()
    this.parked.look()
  }
}

const isGone = (status: string | undefined): boolean => status !== "alive" && status !== "suspect"
