// Claims of this node that have not been answered: who was asked, until when it is waited. Plain state. Invariant: a claim is taken out once, when it is
// answered; one whose member cannot be reached any more is put to the one that looks after its client id now.
import type { Wanted } from "./DirectoryTable.ts"

export interface Granted {
  /** 0: another connection with this client id came later, on another node. */
  readonly token: number
  /** The node that hands the session over; "": nobody has one. */
  readonly from: string
  /** It is another user's: nothing has changed. */
  readonly refused?: boolean
}

export interface OpenClaim {
  readonly clientId: string
  readonly wanted: Wanted
  /** Of the user that it is for; null: whoever it is. */
  readonly mark: string | null
  /** Who was asked last. */
  member: string
  readonly deadline: number
  readonly done: (granted: Granted) => void
}

export interface ClaimsOptions {
  /** ms since 1970. */
  readonly now: () => number
  readonly claimMillis: number
  readonly memberFor: (clientId: string) => string
  readonly ask: (request: number, member: string) => void
  /** It is answered here, at once. */
  readonly serveAlone: (request: number) => void
}

export class Claims {
  /** That were answered here because their member did not. */
  unanswered = 0
  private readonly options: ClaimsOptions
  private readonly claims = new Map<number, OpenClaim>()
  /** How many a client id has. */
  private readonly counts = new Map<string, number>()
  private last = 0

  constructor(options: ClaimsOptions) {
    this.options = options
  }

  open(clientId: string, wanted: Wanted, mark: string | null, done: (granted: Granted) => void): void {
    const { ask, claimMillis, memberFor, now } = this.options
    const member = memberFor(clientId)
    const request = this.last = (this.last + 1) >>> 0
    this.claims.set(request, { clientId, wanted, mark, member, deadline: now() + claimMillis, done })
    this.counts.set(clientId, (this.counts.get(clientId) ?? 0) + 1)
    ask(request, member)
  }

  has(clientId: string): boolean {
    return this.counts.has(clientId)
  }

  get(request: number): OpenClaim | undefined {
    return this.claims.get(request)
  }

  take(request: number): OpenClaim | undefined {
    const claim = this.claims.get(request)
    if (claim === undefined) return undefined
    this.claims.delete(request)
    const left = (this.counts.get(claim.clientId) ?? 1) - 1
    if (left > 0) this.counts.set(claim.clientId, left)
    else this.counts.delete(claim.clientId)
    return claim
  }

  /** There is no link to this member any more. */
  lost(member: string): void {
    for (const [request, claim] of [...this.claims]) {
      if (claim.member !== member) continue
      claim.member = this.options.memberFor(claim.clientId)
      this.options.ask(request, claim.member)
    }
  }

  /** Of those that this node itself looked after, some are another member's now that it has a link. */
  reassign(self: string): void {
    for (const [request, claim] of [...this.claims]) {
      const member = this.options.memberFor(claim.clientId)
      if (claim.member !== self || member === self) continue
      claim.member = member
      this.options.ask(request, member)
    }
  }

  tick(now: number): void {
    // By deadline, as they were opened.
    for (const [request, { deadline }] of this.claims) {
      if (now < deadline) return
      this.options.serveAlone(request)
    }
  }
}
