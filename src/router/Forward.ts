// What the acknowledgement of a message waits for beyond this node: the peers that it was handed to. Made by the cluster where a message with
// QoS 1 or 2 goes to a peer, held by the publisher's answer. Invariant: it is settled once, when each peer has the message or it is kept for it.

export interface ForwardWaiter {
  wake(): void
}

export class Forward {
  /** Peers that have not answered yet. */
  open = 0
  /** The journal's group in which the message was kept for a peer that did not answer; 0: in none. */
  group = 0
  private waiter: ForwardWaiter | undefined

  get settled(): boolean {
    return this.open === 0
  }

  /** Woken once, when it is settled. */
  wait(waiter: ForwardWaiter): void {
    this.waiter = waiter
  }

  /** One peer has it, or it is kept for it in this group. */
  settle(group = 0): void {
    if (group > this.group) this.group = group
    if (--this.open > 0) return
    this.waiter?.wake()
    this.waiter = undefined
  }
}
