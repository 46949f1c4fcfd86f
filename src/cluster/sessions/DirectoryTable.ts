// The directory's half that lives on the member a client id is assigned to: which node has the session, under which token. Plain state machine; its
// answers and orders go out through `DirectoryOrders` (Directory.ts). Invariants: tokens of one client id only grow; at most one move is under way for a
// client id, whoever asked for it; the newest claim waits for its end and the older ones are told that they were superseded, then come the merges.
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

interface Entry {
  readonly node: string
  readonly token: number
  /** What the node calls it: what it releases under an older token is another one. Less than `token` after its restart. */
  readonly named: number
}

interface Move {
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
  private readonly moves = new Map<string, Move>()
  /** Of a node whose link is new: client ids that it has not said anew that it has. */
  private readonly unconfirmed = new Map<string, Set<string>>()
  private readonly clock: HybridClock
  private readonly orders: DirectoryOrders
  private readonly moveMillis: number

  /** `moveMillis`: a move that takes longer is not waited for. */
  constructor(clock: HybridClock, orders: DirectoryOrders, moveMillis: number) {
    this.clock = clock
    this.orders = orders
    this.moveMillis = moveMillis
  }

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
    return this.entries.get(clientId)?.node
  }

  tokenOf(clientId: string): number {
    return this.entries.get(clientId)?.token ?? 0
  }

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

  /** The claimant has the session, or has gone on without it. */
  settled(clientId: string, node: string, token: number, now: number): void {
    const move = this.moves.get(clientId)
    if (move !== undefined && move.to === node && move.token === token) this.finish(clientId, move, now)
  }

  /** A node says what it has: after this member got the client id from another one, and after nodes that did not see each other do so again. */
  announce(clientId: string, node: string, token: number, now: number): void {
    this.clock.observe(token)
    this.unconfirmed.get(node)?.delete(clientId)
    const entry = this.entries.get(clientId)
    if (entry === undefined || entry.node === node) {
      this.entries.set(clientId, { node, token: Math.max(token, entry?.token ?? 0), named: token })
      return
    }
    const move = this.moves.get(clientId)
    if (move !== undefined) {
      move.rivals.set(node, token)
      return
    }
    const isThere = this.orders.reachable(entry.node)
    const wins = token > entry.token || (token === entry.token && node > entry.node)
    if (wins || !isThere) {
      this.entries.set(clientId, { node, token, named: token })
      // Who is away says what it has when it is back. Until then nothing can be given to it.
      if (isThere) this.move(clientId, entry.node, { to: node, token, wanted: Wanted.Merge, now })
    } else this.move(clientId, node, { to: entry.node, token: entry.token, wanted: Wanted.Merge, now })
  }

  /** Its session has ended. An older token says nothing of the one that is there. */
  release(clientId: string, node: string, token: number): void {
    const entry = this.entries.get(clientId)
    if (entry !== undefined && entry.node === node && token >= entry.named) this.entries.delete(clientId)
  }

  /** A link to it is new: what it had it says anew, all of it before `confirmed`. */
  doubt(node: string): void {
    const doubted = new Set<string>()
    for (const [clientId, entry] of this.entries) if (entry.node === node) doubted.add(clientId)
    this.unconfirmed.set(node, doubted)
  }

  /** It has said all that it has: the rest has ended while there was no link. */
  confirmed(node: string): void {
    for (const clientId of this.unconfirmed.get(node) ?? []) {
      if (this.entries.get(clientId)?.node === node && !this.moves.has(clientId)) this.entries.delete(clientId)
    }
    this.unconfirmed.delete(node)
  }

  /** The node does not answer any more. What it had comes back with it, and is announced then. */
  nodeGone(node: string, now: number): void {
    this.unconfirmed.delete(node)
    for (const [clientId, entry] of this.entries) if (entry.node === node) this.entries.delete(clientId)
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
    for (const [clientId, move] of this.moves) if (now >= move.deadline) this.finish(clientId, move, now)
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
    const entry = this.entries.get(clientId)
    const token = this.clock.next()
    this.entries.set(clientId, { node: claimant, token, named: token })
    this.unconfirmed.get(claimant)?.delete(clientId)
    if (entry === undefined || entry.node === claimant || !this.orders.reachable(entry.node)) {
      return this.orders.answer(claim, token, "")
    }
    // The answer first: what comes of the order must not meet a claimant who does not expect it.
    this.orders.answer(claim, token, entry.node)
    this.move(clientId, entry.node, { to: claimant, token, wanted, now })
  }

  private move(
    clientId: string,
    from: string,
    { now, to, token, wanted }: { to: string; token: number; wanted: Wanted; now: number }
  ): void {
    this.moves.set(clientId, { to, token, deadline: now + this.moveMillis, waiting: [], rivals: new Map() })
    this.orders.yieldTo(from, clientId, token, to, wanted)
  }
}
