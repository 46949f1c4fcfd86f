// Retained messages that new subscriptions of one session are owed: read from the tree as the client takes them. Plain state of one
// Outgoing. Invariant: at most one for each topic filter.
import type { Message } from "../mqtt/Message.ts"
import type { RetainedCursor } from "../retain/RetainedCursor.ts"
import type { Route } from "../router/Route.ts"

/** Sent in one turn of one session, so that a large replay leaves others their turn. */
const replayPerTurn = 512
/** Places of the tree looked at for them: a filter that matches little must not hold the loop. */
const stepsPerTurn = 2_000

export class Replays {
  private readonly clientId: string
  private readonly byFilter = new Map<string, { readonly cursor: RetainedCursor; readonly route: Route }>()

  constructor(clientId: string) {
    this.clientId = clientId
  }

  add(cursor: RetainedCursor, route: Route): void {
    this.byFilter.set(route.topicFilter, { cursor, route })
  }

  stop(topicFilter: string): void {
    this.byFilter.delete(topicFilter)
  }

  /** Sends as long as `mayDraw` says that the next one could go at once. True: there is more for the next turn. */
  pump(mayDraw: (route: Route) => boolean, send: (message: Message, route: Route) => void): boolean {
    let budget = replayPerTurn
    for (const [topicFilter, { cursor, route }] of this.byFilter) {
      while (true) {
        if (!mayDraw(route)) return false
        if (budget-- <= 0) return true
        const message = cursor.next(stepsPerTurn)
        if (message === undefined && !cursor.done) return true
        if (message === undefined) break
        if (route.noLocal && message.publisher === this.clientId) continue // [MQTT5-3.8.3-3]
        send(message, route)
      }
      this.byFilter.delete(topicFilter)
    }
    return false
  }
}
