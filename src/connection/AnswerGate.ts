// PUBACK, PUBREC and PUBCOMP of one connection that wait until what they say is committed, and until the other nodes that were handed the
// message have it. Plain state of one Incoming. Invariant: PUBACKs and PUBRECs leave in the order in which they came, and so do PUBCOMPs;
// none before its group is committed.
import type { Recorded } from "../mqtt/Message.ts"
import { PacketType } from "../mqtt/Packet.ts"
import type { Forward } from "../router/Forward.ts"
import type { Journal, Waiter } from "../store/Journal.ts"

interface Held {
  readonly type: 4 | 5 | 7
  readonly packetIdentifier: number
  reasonCode: number
  /** 0: it waits for nothing but the answers before it. */
  group: number
  /** What the store is to have of the message that it answers. */
  readonly recorded: Recorded | undefined
  /** Null: no other node was handed the message. */
  forward: Forward | null
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

  hold(
    type: 4 | 5 | 7,
    packetIdentifier: number,
    reasonCode: number,
    group: number,
    recorded: Recorded | undefined,
    forward: Forward | null
  ): void {
    if (this.held === none) this.held = []
    this.held.push({ type, packetIdentifier, reasonCode, group, recorded, forward })
    forward?.wait(this.owner)
    if (group > this.journal.committed) this.journal.wait(this.owner)
    // The failure has been told already: this one is refused in the next turn.
    if (this.journal.failing !== null) this.owner.wake()
  }

  release(write: (type: 4 | 5 | 7, packetIdentifier: number, reasonCode: number) => void): void {
    const { held } = this
    const { committed } = this.journal
    let kept = 0
    let acknowledgementsWait = false
    let completionsWait = false
    let storeWaits = false
    for (const one of held) {
      const completes = one.type === PacketType.Pubcomp
      if (isReady(one, committed) && !(completes ? completionsWait : acknowledgementsWait)) {
        write(one.type, one.packetIdentifier, one.reasonCode)
        continue
      }
      if (completes) completionsWait = true
      else acknowledgementsWait = true
      if (one.group > committed) storeWaits = true
      held[kept++] = one
    }
    if (kept === 0) this.held = none
    else {
      held.length = kept
      // One that waits for another node is woken by its Forward.
      if (storeWaits) this.journal.wait(this.owner)
    }
  }

  /**
   * The store takes nothing: PUBACKs and PUBRECs that wait for it become refusals and need not wait, and their messages are withdrawn. A PUBCOMP
   * has no code for that and waits on. Returns the packet identifiers of the PUBRECs.
   */
  refuse(reasonCode: number): ReadonlyArray<number> {
    const { committed } = this.journal
    const pubrecs: Array<number> = []
    for (const one of this.held) {
      isReady(one, committed)
      if (one.group <= committed || one.type === PacketType.Pubcomp) continue
      one.group = 0
      one.forward = null
      one.reasonCode = reasonCode
      if (one.recorded !== undefined) this.journal.withdraw(one.recorded)
      if (one.type === PacketType.Pubrec) pubrecs.push(one.packetIdentifier)
    }
    return pubrecs
  }
}

/** A peer that did not answer may have been replaced by a group of the journal. */
const isReady = (one: Held, committed: number): boolean => {
  if (one.forward !== null) {
    if (!one.forward.settled) return false
    if (one.forward.group > one.group) one.group = one.forward.group
    one.forward = null
  }
  return one.group <= committed
}
