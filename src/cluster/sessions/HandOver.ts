// A node that leaves gives its sessions away: each goes to one of the members that stay, a bounded number at a time, as a departure that nobody has asked for.
// Plain code in the cluster's turns. Invariant: a session that no member has taken stays here, on disk, and is counted.
import type { SessionDeparture } from "../../session/RemoteSessions.ts"
import { rendezvous } from "./rendezvous.ts"

/** Sessions on their way at the same time. */
const atATime = 64
/** A session is offered so often, each time to whoever is there then. */
const attempts = 3

export interface HandOverOptions {
  readonly clientIds: Iterable<string>
  /** Members that stay and have a link; asked anew for each session. */
  readonly takers: () => ReadonlyArray<string>
  /** Null: there is nothing to move. */
  readonly depart: (clientId: string, reply: (departure: SessionDeparture | null) => void) => void
  /** `ended`: true when the other node has it. */
  readonly send: (clientId: string, to: string, departure: SessionDeparture, ended: (moved: boolean) => void) => void
  readonly done: (result: { readonly moved: number; readonly stayed: number }) => void
}

export class HandOver {
  moved = 0
  stayed = 0
  private readonly options: HandOverOptions
  private readonly left: Iterator<string>
  private underWay = 0
  private over = false

  constructor(options: HandOverOptions) {
    this.options = options
    this.left = [...options.clientIds][Symbol.iterator]()
  }

  begin(): void {
    this.fill()
  }

  private fill(): void {
    while (this.underWay < atATime) {
      const { done, value } = this.left.next()
      if (done === true) break
      this.underWay++
      this.offer(value, 1)
    }
    if (this.underWay > 0 || this.over) return
    this.over = true
    this.options.done({ moved: this.moved, stayed: this.stayed })
  }

  private offer(clientId: string, attempt: number): void {
    const takers = this.options.takers()
    if (takers.length === 0 || attempt > attempts) {
      this.stayed++
      return this.next()
    }
    this.options.depart(clientId, (departure) => {
      if (departure === null) return this.next()
      this.options.send(clientId, rendezvous(takers, `${clientId} ${attempt}`), departure, (moved) => {
        if (!moved) return this.offer(clientId, attempt + 1)
        this.moved++
        this.next()
      })
    })
  }

  private next(): void {
    this.underWay--
    this.fill()
  }
}
