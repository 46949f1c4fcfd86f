// The subscriptions of one session, by topic filter as the client wrote it. Most sessions have a handful: those stand in a short
// array, a fifth of a Map's memory. Invariant: a topic filter is in here at most once.
import { parseSharedFilter } from "../mqtt/Topic.ts"
import type { Subscription } from "../router/Subscriber.ts"
import type { SubscriptionRow } from "../store/Engine.ts"

/** Up to so many are looked through one by one. */
const few = 8

export class Subscriptions {
  private list: Array<Subscription> = []
  private map: Map<string, Subscription> | null = null

  get size(): number {
    return this.map === null ? this.list.length : this.map.size
  }

  get(topicFilter: string): Subscription | undefined {
    if (this.map !== null) return this.map.get(topicFilter)
    return this.list.find((subscription) => subscription.topicFilter === topicFilter)
  }

  /** Replaces the one with the same topic filter. */
  set(subscription: Subscription): void {
    const { topicFilter } = subscription
    if (this.map !== null) {
      this.map.set(topicFilter, subscription)
      return
    }
    const at = this.list.findIndex((one) => one.topicFilter === topicFilter)
    if (at >= 0) this.list[at] = subscription
    else if (this.list.length < few) this.list = [...this.list, subscription]
    else {
      this.map = new Map(this.list.map((one) => [one.topicFilter, one]))
      this.map.set(topicFilter, subscription)
      this.list = []
    }
  }

  /** False: there was none. */
  delete(topicFilter: string): boolean {
    if (this.map !== null) return this.map.delete(topicFilter)
    const left = this.list.filter((one) => one.topicFilter !== topicFilter)
    const found = left.length < this.list.length
    this.list = left
    return found
  }

  values(): Iterable<Subscription> {
    return this.map === null ? this.list : this.map.values()
  }

  topicFilters(): Array<string> {
    return this.map === null ? this.list.map((one) => one.topicFilter) : [...this.map.keys()]
  }
}

/** As the store or another node has it; empty: the filter is none. */
export const storedSubscription = (row: Omit<SubscriptionRow, "session">): ReadonlyArray<Subscription> => {
  const parsed = parseSharedFilter(row.topicFilter)
  if (parsed === undefined) return []
  const { noLocal, qos, retainAsPublished, retainHandling, subscriptionIdentifier, topicFilter } = row
  const { filter, group, local } = parsed
  return [
    { topicFilter, filter, group, local, qos, noLocal, retainAsPublished, retainHandling, subscriptionIdentifier }
  ]
}
