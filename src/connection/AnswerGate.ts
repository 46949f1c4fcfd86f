// PUBACK, PUBREC and PUBCOMP of one connection that wait until what they say is committed. Plain state of one Incoming.
// Invariant: answers leave in the order in which they came, none before its group is committed.
import { PacketType } from "../mqtt/Packet.ts"
import type { Journal, Waiter } from "../store/Journal.ts"

interface Held {
  readonly type: 4 | 5 | 7
  readonly packetIdentifier: number
  reasonCode: number
  /** 0: it waits for nothing but the answers before it. */
  group: number
}

/** Never pushed to: what a connection that publishes nothing durable stands on. */
const none: Array<Held> = []

export class AnswerGate {
  private readonly journal: Journal
  private readonly owner: Waiter
  private readonly capacity: number
  private held = none

  /** `capacity`: answers held before the client is read no more. */
  constructor(journal: Journal, owner: Waiter, capacity: number) {
    this.journal = journal
    this.owner = owner
    this.capacity = capacity
  }

  get isEmpty(): boolean {
    return this.held.length === 0
  }

  /** While the store fails nothing is held for long, and its client is told why. */
  get isFull(): boolean {
    return this.held.length >= this.capacity || (this.journal.isFull && this.journal.failing === null)
  }

  hold(type: 4 | 5 | 7, packetIdentifier: number, reasonCode: number, group: number): void {
    if (this.held === none) this.held = []
    this.held.push({ type, packetIdentifier, reasonCode, group })
    this.journal.wait(this.owner)
    // The failure has been told already: this one is refused in the next turn.
    if (this.journal.failing !== null) this.owner.wake()
  }

  release(write: (type: 4 | 5 | 7, packetIdentifier: number, reasonCode: number) => void): void {
    const { held } = this
    const { committed } = this.journal
    let count = 0
    for (; count < held.length; count++) {
      const one = held[count]
      if (one === undefined || one.group > committed) break
      write(one.type, one.packetIdentifier, one.reasonCode)
    }
    if (count === held.length) this.held = none
    else {
      if (count > 0) held.splice(0, count)
      this.journal.wait(this.owner)
    }
  }

  /**
   * The store takes nothing: PUBACKs and PUBRECs that wait for it become refusals and need not wait. A PUBCOMP has no code for that and
   * waits on, at its place. Returns the packet identifiers of the PUBRECs.
   */
  refuse(reasonCode: number): ReadonlyArray<number> {
    const { committed } = this.journal
    const pubrecs: Array<number> = []
    for (const one of this.held) {
      if (one.group <= committed || one.type === PacketType.Pubcomp) continue
      one.group = 0
      one.reasonCode = reasonCode
      if (one.type === PacketType.Pubrec) pubrecs.push(one.packetIdentifier)
    }
    return pubrecs
  }
}
