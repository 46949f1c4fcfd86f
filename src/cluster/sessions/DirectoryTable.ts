// The directory's half that lives on the member a client id is assigned to: which node has the session, under which token. Plain state machine; its
// answers and orders go out through `DirectoryOrders` (Directory.ts). Invariants: tokens of one client id only grow; at most one move is under way for a
// client id, whoever asked for it; the newest claim waits for its end and the older ones are told that they were superseded, then come the merges.
// What a node had before it went, or did not name again, is as if it were not there from that moment on; `sweep` takes it out bit by bit.
import type { HybridClock } from "../HybridClock.ts"

/** What the claimant will do with the session of the former holder. */
export const Wanted = {
  /** Its state: the client resumes. */
  State: 0,
  /** Its end: the client starts clean. */
  End: 1,
  /** What it is owed: both nodes had one while they did not see each other; the holder of the greater token keeps its own. */
  Merge: 2
} as const
export type Wanted = (typeof Wanted)[keyof typeof Wanted]

export interface Claim {
  readonly clientId: string
  readonly claimant: string
  /** The claimant's own number of it. */
  readonly request: number
  readonly wanted: Wanted
}

export interface DirectoryOrders {
  /** `from`: who hands the session over to the claimant, which tells when that is done (`settled`); "": nobody has one. Token 0: superseded. */
  answer(claim: Claim, token: number, from: string): void
  /** The holder gives its session up to `to`. */
  yieldTo(holder: string, clientId: string, token: number, to: string, wanted: Wanted): void
  /** There is a link to it, or it is this node. */
  reachable(node: string): boolean
}

interface Holder {
  readonly name: string
  /** Grows with each link to it, and when it goes. */
  generation: number
  /** Entries of an earlier generation are void. */
  oldest: number
}

interface Entry {
  readonly node: Holder
  readonly token: number
  /** What the node calls it: what it releases under an older token is another one. Less than `token` after its restart. */
  readonly named: number
  /** In which the node named it last, or was granted it. */
  readonly generation: number
}

const isVoid = ({ generation, node }: Entry): boolean => generation < node.oldest

interface Move {
  readonly from: string
  readonly to: string
  readonly token: number
  readonly deadline: number
  /** At most one a node, oldest first. */
  waiting: Array<Claim>
  /** Nodes that have said meanwhile that they have it too, with their tokens. */
  readonly rivals: Map<string, number>
}

export class DirectoryTable {
  private readonly entries = new Map<string, Entry>()
  /** By deadline. */
  private readonly moves = new Map<string, Move>()
  private readonly holders = new Map<string, Holder>()
  /** Where the sweep is; null: there is nothing void. */
  private sweeping: Iterator<[string, Entry]> | null = null
  private sweepsAgain = false
  private readonly clock: HybridClock
  private readonly orders: DirectoryOrders
  private readonly moveMillis: number

  /** `moveMillis`: a move that takes longer is not waited for. */
  constructor(clock: HybridClock, orders: DirectoryOrders, moveMillis: number) {
    this.clock = clock
    this.orders = orders
    this.moveMillis = moveMillis
  }

  /** Void ones among them, until they are swept. */
  get size(): number {
    return this.entries.size
  }

  get moving(): number {
    return this.moves.size
  }

  isMoving(clientId: string): boolean {
    return this.moves.has(clientId)
  }

  /** Whom a client id belongs to; undefined: nobody. */
  holder(clientId: string): string | undefined {
    return this.entryOf(clientId)?.node.name
  }

  tokenOf(clientId: string): number {
    return this.entryOf(clientId)?.token ?? 0
  }

  /** Void ones among them. */
  clientIds(): IterableIterator<string> {
    return this.entries.keys()
  }

  claim(claim: Claim, now: number): void {
    const move = this.moves.get(claim.clientId)
    if (move === undefined) return this.grant(claim, now)
    const older = move.waiting.find(({ claimant }) => claimant === claim.claimant)
    if (older !== undefined) {
      move.waiting = move.waiting.filter((one) => one !== older)
      this.orders.answer(older, 0, "")
    }
    move.waiting.push(claim)
  }

  /** The claimant has the session, or has gone on without it; or the former holder cannot reach it. */
  settled(clientId: string, node: string, token: number, now: number): void {
    const move = this.moves.get(clientId)
    if (move?.token === token && (move.to === node || move.from === node)) this.finish(clientId, move, now)
  }

  /** A node says what it has: after this member got the client id from another one, and after nodes that did not see each other do so again. */
  announce(clientId: string, node: string, token: number, now: number): void {
    this.clock.observe(token)
    const entry = this.entryOf(clientId)
    if (entry === undefined || entry.node.name === node) {
      return this.enter(clientId, node, Math.max(token, entry?.token ?? 0), token)
    }
    const move = this.moves.get(clientId)
    if (move !== undefined) {
      move.rivals.set(node, token)
      return
    }
    const { name } = entry.node
    const isThere = this.orders.reachable(name)
    const wins = token > entry.token || (token === entry.token && node > name)
    if (wins || !isThere) {
      this.enter(clientId, node, token, token)
      // Who is away says what it has when it is back. Until then nothing can be given to it.
      if (isThere) this.move(clientId, name, { to: node, token, wanted: Wanted.Merge, now })
    } else this.move(clientId, node, { to: name, token: entry.token, wanted: Wanted.Merge, now })
  }

  /** Its session has ended. An older token says nothing of the one that is there. */
  release(clientId: string, node: string, token: number): void {
    const entry = this.entryOf(clientId)
    if (entry?.node.name === node && token >= entry.named) this.entries.delete(clientId)
  }

  /** A link to it is new: what it had it says anew, all of it before `confirmed`. */
  doubt(node: string): void {
    this.holderOf(node).generation++
  }

  /** It has said all that it has: the rest has ended while there was no link. */
  confirmed(node: string): void {
    this.forgetBefore(this.holderOf(node))
  }

  /** The node does not answer any more. What it had comes back with it, and is announced then. */
  nodeGone(node: string, now: number): void {
    const holder = this.holderOf(node)
    holder.generation++
    this.forgetBefore(holder)
    this.linkDown(node, now)
  }

  /** It will not say that a move to it has ended, nor hear of its claims. What it has it says anew when it is back. */
  linkDown(node: string, now: number): void {
    for (const [clientId, move] of this.moves) {
      move.waiting = move.waiting.filter(({ claimant }) => claimant !== node)
      move.rivals.delete(node)
      if (move.to === node) this.finish(clientId, move, now)
    }
  }

  /** Another member looks after it now. */
  drop(clientId: string): void {
    if (!this.moves.has(clientId)) this.entries.delete(clientId)
  }

  tick(now: number): void {
    for (const [clientId, move] of this.moves) {
      if (now < move.deadline) return
      this.finish(clientId, move, now)
    }
  }

  /** Looks at so many entries. True: there is more to do. */
  sweep(count: number): boolean {
    for (let seen = 0; this.sweeping !== null && seen < count; seen++) {
      const { done, value } = this.sweeping.next()
      if (done === true) {
        this.sweeping = this.sweepsAgain ? this.entries.entries() : null
        this.sweepsAgain = false
      } else if (isVoid(value[1])) this.entries.delete(value[0])
    }
    return this.sweeping !== null
  }

  // --- inside ------------------------------------------------------------------------------------------------------

  private entryOf(clientId: string): Entry | undefined {
    const entry = this.entries.get(clientId)
    return entry === undefined || isVoid(entry) ? undefined : entry
  }

  private holderOf(name: string): Holder {
    let holder = this.holders.get(name)
    if (holder === undefined) this.holders.set(name, holder = { name, generation: 0, oldest: 0 })
    return holder
  }

  private enter(clientId: string, name: string, token: number, named: number): void {
    const node = this.holderOf(name)
    this.entries.set(clientId, { node, token, named, generation: node.generation })
  }

  private forgetBefore(holder: Holder): void {
    if (holder.oldest === holder.generation) return
    holder.oldest = holder.generation
    if (this.sweeping === null) this.sweeping = this.entries.entries()
    else this.sweepsAgain = true
  }

  private finish(clientId: string, move: Move, now: number): void {
    this.moves.delete(clientId)
    const newest = move.waiting.pop()
    for (const older of move.waiting) this.orders.answer(older, 0, "")
    if (newest !== undefined) this.grant(newest, now)
    // One starts a move, of which the others are rivals then.
    for (const [node, token] of move.rivals) this.announce(clientId, node, token, now)
  }

  private grant(claim: Claim, now: number): void {
    const { claimant, clientId, wanted } = claim
    const former = this.holder(clientId)
    const token = this.clock.next()
    this.enter(clientId, claimant, token, token)
    if (former === undefined || former === claimant || !this.orders.reachable(former)) {
      return this.orders.answer(claim, token, "")
    }
    // The answer first: what comes of the order must not meet a claimant who does not expect it.
    this.orders.answer(claim, token, former)
    this.move(clientId, former, { to: claimant, token, wanted, now })
  }

  private move(
    clientId: string,
    from: string,
    { now, to, token, wanted }: { to: string; token: number; wanted: Wanted; now: number }
  ): void {
    this.moves.set(clientId, { from, to, token, deadline: now + this.moveMillis, waiting: [], rivals: new Map() })
    this.orders.yieldTo(from, clientId, token, to, wanted)
  }
}
