// CONNACK, SUBACK and UNSUBACK of a durable session that wait until what they say is committed. Plain state of one Session.
// Invariant: they leave in the order in which they came, or, while the store takes nothing, as a refusal.
import { ReasonCode } from "../mqtt/ReasonCode.ts"
import type { Subscription } from "../router/Subscriber.ts"
import type { Journal, Waiter } from "../store/Journal.ts"
import type { ClientLink, LinkEvent, SessionCommand } from "./ClientLink.ts"

export interface HeldAnswer {
  readonly link: ClientLink
  readonly event: LinkEvent
  /** Subscriptions whose retained messages follow it. */
  readonly replays: ReadonlyArray<Subscription>
  /** CONNACK was refused: the connection never had its session, and one that was made for it ends. */
  readonly undo?: Extract<SessionCommand, { readonly _tag: "Detach" }>
}

export class HeldAnswers {
  private readonly journal: Journal
  private readonly owner: Waiter
  private held: Array<{ readonly answer: HeldAnswer; readonly group: number }> = []

  constructor(journal: Journal, owner: Waiter) {
    this.journal = journal
    this.owner = owner
  }

  get isEmpty(): boolean {
    return this.held.length === 0
  }

  hold(answer: HeldAnswer, group: number): void {
    this.held.push({ answer, group })
    // A store that takes nothing refuses it in the next turn.
    if (this.journal.failing === null) this.journal.wait(this.owner)
    else this.owner.wake()
  }

  takeCommitted(): ReadonlyArray<HeldAnswer> {
    const { committed, failing } = this.journal
    const ready: Array<HeldAnswer> = []
    const left: typeof this.held = []
    for (const one of this.held) {
      if (left.length === 0 && one.group <= committed) ready.push(one.answer)
      else if (failing === null) left.push(one)
      else ready.push(refused(one.answer))
    }
    this.held = left
    if (left.length > 0) this.journal.wait(this.owner)
    return ready
  }
}

const refused = ({ event, link }: HeldAnswer): HeldAnswer => {
  const why = { reasonCode: ReasonCode.QuotaExceeded, reason: "the store takes no changes" }
  if (event._tag !== "Attached") return { link, replays: [], event: { _tag: "Close", ...why } }
  const expiryMillis = event.sessionPresent ? undefined : 0
  const undo = { _tag: "Detach", link, publishWill: false, expiryMillis } as const
  return { link, replays: [], event: { _tag: "Refused", ...why }, undo }
}
