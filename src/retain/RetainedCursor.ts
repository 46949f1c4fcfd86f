// The retained messages that a filter matches, one at a time: what a new subscription is owed, taken as fast as its client takes it.
// Invariant: a message that is retained while the cursor lives is given exactly once; one stored after the cursor was opened never (the
// subscription brings that one), and none that has expired.
import type { Message } from "../mqtt/Message.ts"
import type { RetainedNode } from "./RetainedNode.ts"
import { RetainedWalk } from "./RetainedWalk.ts"

export class RetainedCursor {
  private readonly walk: RetainedWalk
  private readonly newest: number
  private readonly clock: () => number

  /** Opened by RetainedTree.cursor. */
  constructor(root: RetainedNode, filter: string, newest: number, clock: () => number) {
    this.walk = new RetainedWalk(root, filter)
    this.newest = newest
    this.clock = clock
  }

  /** Nothing is left. */
  get done(): boolean {
    return this.walk.done
  }

  /**
   * The next message. undefined: there is none any more (`done`), or `maximumSteps` nodes were looked at and none had one: go on in
   * another turn. A filter like "+/+/x" may pass many nodes on the way to a message, about 50 ns each.
   */
  next(maximumSteps = Infinity): Message | undefined {
    const walk = this.walk
    for (let step = 0; step < maximumSteps; step++) {
      const node = walk.step()
      if (node === undefined) {
        if (walk.done) return undefined
        continue
      }
      const message = node.message
      if (message === undefined || message.sequence > this.newest) continue
      // [MQTT5-3.3.2-5]
      if (node.expiresAt !== 0 && node.expiresAt <= this.clock()) continue
      return message
    }
    return undefined
  }
}
