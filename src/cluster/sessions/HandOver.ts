// A node that leaves gives its sessions away: each is offered to one of the members that stay, a bounded number at a time, which claims it as if its client had
// come there; so a client that comes somewhere meanwhile is served as ever. Plain code in the cluster's turns. Invariant: a session that no member has
// taken stays here, on disk, and is counted.
import { rendezvous } from "./rendezvous.ts"

/** Sessions on their way at the same time. */
const atATime = 128
/** A session is offered so often, each time to whoever is there then. */
const attempts = 3

export interface HandOverOptions {
  readonly clientIds: Iterable<string>
  /** Members that stay and have a link; asked anew for each session. */
  readonly takers: () => ReadonlyArray<string>
  /** It has a session here, or one that is on its way. */
  readonly isHere: (clientId: string) => boolean
  /** False: no link to it. */
  readonly offer: (clientId: string, to: string) => boolean
  /** ms since 1970. */
  readonly now: () => number
  /** After so long it is offered to another one. */
  readonly offerMillis: number
  readonly done: (result: { readonly moved: number; readonly stayed: number }) => void
}

interface Offered {
  readonly attempt: number
  readonly deadline: number
}

export class HandOver {
  moved = 0
  stayed = 0
  private readonly options: HandOverOptions
  private readonly left: Iterator<string>
  private readonly offered = new Map<string, Offered>()
  private over = false

  constructor(options: HandOverOptions) {
    this.options = options
    this.left = [...options.clientIds][Symbol.iterator]()
  }

  begin(): void {
    this.fill()
  }

  /** It has ended here, or was refused, or has stayed after all: it is looked at again. */
  look(clientId: string): void {
    const offered = this.offered.get(clientId)
    if (offered === undefined) return
    this.offered.delete(clientId)
    if (this.options.isHere(clientId)) this.offer(clientId, offered.attempt + 1)
    else this.moved++
    this.fill()
  }

  tick(now: number): void {
    for (const [clientId, { deadline }] of this.offered) if (now >= deadline) this.look(clientId)
  }

  private fill(): void {
    while (this.offered.size < atATime) {
      const { done, value } = this.left.next()
      if (done === true) break
      if (this.options.isHere(value)) this.offer(value, 1)
    }
    if (this.offered.size > 0 || this.over) return
    this.over = true
    this.options.done({ moved: this.moved, stayed: this.stayed })
  }

  private offer(clientId: string, attempt: number): void {
    const { now, offerMillis, takers } = this.options
    const there = takers()
    for (let at = attempt; there.length > 0 && at <= attempts; at++) {
      if (!this.options.offer(clientId, rendezvous(there, `${clientId} ${at}`))) continue
      this.offered.set(clientId, { attempt: at, deadline: now() + offerMillis })
      return
    }
    this.stayed++
  }
}
