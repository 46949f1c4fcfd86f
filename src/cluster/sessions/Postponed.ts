// Orders to give a session to a node that this one has no link to: only the member that looks after its client id sees both. The claimant goes on with a new
// session; the one that is here stays as it is, without its connection, and goes there once there is a link. Plain state in the cluster's turns.
// Invariant: a session that waits here is not held, so that its client is asked for before it is served; and is held again when the other node has gone.
import type { Members } from "../Bus.ts"
import type { Yield } from "./directoryFrames.ts"

export interface PostponedOptions {
  readonly members: Pick<Members, "present">
  /** Its connection is closed, nothing else. */
  readonly setAside: (clientId: string) => void
  /** Nobody has to wait for this move. */
  readonly unreachable: (clientId: string, token: number) => void
  /** Where the session is still here: it is held again. */
  readonly keeps: (clientId: string) => void
}

export class Postponed {
  private readonly options: PostponedOptions
  /** By the node that they are to go to, then by client id. */
  private readonly waiting = new Map<string, Map<string, Yield>>()

  constructor(options: PostponedOptions) {
    this.options = options
  }

  add(order: Yield): void {
    const { clientId, to, token } = order
    let orders = this.waiting.get(to)
    if (orders === undefined) this.waiting.set(to, orders = new Map())
    orders.set(clientId, order)
    this.options.setAside(clientId)
    this.options.unreachable(clientId, token)
  }

  has(clientId: string): boolean {
    for (const orders of this.waiting.values()) if (orders.has(clientId)) return true
    return false
  }

  /** There is a link now: what is to be done. */
  take(peer: string): ReadonlyArray<Yield> {
    const orders = this.waiting.get(peer)
    this.waiting.delete(peer)
    return [...orders?.values() ?? []]
  }

  tick(): void {
    for (const [peer, orders] of this.waiting) {
      if (this.options.members.present.includes(peer)) continue
      this.waiting.delete(peer)
      for (const clientId of orders.keys()) this.options.keeps(clientId)
    }
  }
}
