// What a session that is over is still owed in the store of shared subscriptions: read page by page and given to other members that are connected,
// as `Outgoing.handOver` does with what is in memory. Only then does the session end in the store. Invariants: a delivery leaves this session in the
// group that has it for the other one, so a crash neither loses nor doubles it; a QoS 2 exchange that has begun goes to nobody else.
import type { Router } from "../router/Router.ts"
import type { Subscriber } from "../router/Subscriber.ts"
import { DurableDelivery } from "../store/DurableDelivery.ts"
import { type DeliveryPage, DeliveryState, hasMore, type StoredDelivery } from "../store/Engine.ts"
import { whenCommitted } from "../store/whenCommitted.ts"
import { storedMessage } from "./Backlog.ts"
import type { DurableState } from "./DurableState.ts"
import type { Services } from "./Services.ts"

/** Members take them in one turn each: fewer than any mailbox has room for. */
const pageSize = 16

export const isShared = (topicFilter: string): boolean => /^(\$local\/)?\$(share|queue)\//.test(topicFilter)

export class StoredHandOver {
  private readonly services: Services
  private readonly router: Router
  private readonly session: Subscriber
  private readonly durable: DurableState
  private dropped = 0

  constructor(services: Services, session: Subscriber, durable: DurableState) {
    this.services = services
    this.router = services.router
    this.session = session
    this.durable = durable
  }

  /** Once what was said of its deliveries so far is in the store: what is read then is owed still. */
  begin(): void {
    const { journal } = this.services
    whenCommitted(journal, journal.barrier(), () => this.read(0))
  }

  private read(after: number): void {
    this.services.reads.request({
      session: this.durable.number,
      after,
      limit: pageSize,
      reply: (page) => this.services.scheduler.enqueue({ run: () => this.take(page) })
    })
  }

  private take(page: DeliveryPage): void {
    const { journal } = this.services
    for (const row of page) {
      if (this.give(row)) journal.done(DurableDelivery.stored(row))
      else this.dropped++
    }
    const last = page[page.length - 1]
    if (hasMore(page, pageSize) && last !== undefined) return this.read(last.sequence)
    this.services.counters.deliveries_dropped_session_ended_total += this.dropped
    this.durable.leave()
  }

  private give(row: StoredDelivery): boolean {
    const { counters, scheduler } = this.services
    // As in Outgoing: a QoS 2 message that was sent dies with its session.
    if (row.state === DeliveryState.AwaitingPubrec || row.state === DeliveryState.AwaitingPubcomp) return false
    const group = isShared(row.topicFilter) ? this.router.share(row.topicFilter) : undefined
    if (group === undefined) return false
    const message = storedMessage(row, this.session.clientId, this.services)
    if (message === undefined || message.isExpired(scheduler.now) || !group.redispatch(message, this.session)) {
      return false
    }
    counters.shared_redispatched_total++
    return true
  }
}
