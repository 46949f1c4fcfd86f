// All subscriptions of this node, by filter, and the answers that were given lately, by topic. Pure; owned by the Router, which alone
// changes it; read by everybody. Invariant: an answer whose `table` is this one is what `match` would work out now.
//
// A change of a filter without wildcards makes the answer for that one topic invalid, a change of one with wildcards all answers: their
// number is bounded, and each was paid for when it was made, so a storm of changes costs no more than the answers given in between.
import type { SharedStrategy } from "../config/Settings.ts"
import { isSystemTopic, parseSharedFilter } from "../mqtt/Topic.ts"
import type { TopicName } from "../mqtt/TopicTable.ts"
import { FilterRoutes } from "./FilterRoutes.ts"
import { Matches, noGroups, noRoutes } from "./Matches.ts"
import { noRemoteRoutes, type RemoteRoutes, RouteLevel } from "./RemoteRoutes.ts"
import { Route, type Subscriber } from "./Route.ts"
import { type Random, SharedGroup } from "./SharedGroup.ts"
import type { Subscription } from "./Subscription.ts"
import { isWildcard, TopicTrie } from "./TopicTrie.ts"

export interface RouteTableOptions {
  readonly strategy?: SharedStrategy
  readonly random?: Random
  /** Topics whose answer is remembered; the oldest goes. About 200 bytes each. */
  readonly topicCache?: number
  readonly remote?: RemoteRoutes
}

/** One subscriber and no group is by far the most common: then there is nothing but the route. */
type Leaf = Route | FilterRoutes

/** Up to so many routes overlaps are searched one by one. */
const searched = 16

export class RouteTable {
  private readonly strategy: SharedStrategy
  private readonly random: Random
  private readonly topicCache: number
  /** Told of what changes. */
  remote: RemoteRoutes
  private readonly trie = new TopicTrie<Leaf>()
  /** "$local/a" and "a" are two subscriptions of one session that match the same. */
  private readonly localTrie = new TopicTrie<Leaf>()
  private readonly answers = new Map<string, Matches>()
  private oldest: IterableIterator<string> | undefined
  private readonly found: Array<Leaf> = []
  private subscriptions = 0
  private sharedSubscriptions = 0
  private systemSubscriptions = 0

  constructor(options: RouteTableOptions = {}) {
    this.strategy = options.strategy ?? "round_robin"
    this.random = options.random ?? Math.random
    this.topicCache = Math.max(1, options.topicCache ?? 65_536)
    this.remote = options.remote ?? noRemoteRoutes
  }

  /** Subscriptions, shared ones included. */
  get size(): number {
    return this.subscriptions
  }

  get sharedSize(): number {
    return this.sharedSubscriptions
  }

  /** Whether any subscription is about `$SYS`. */
  get wantsSystem(): boolean {
    return this.systemSubscriptions > 0
  }

  /** Different filters that somebody subscribed to. */
  get filterCount(): number {
    return this.trie.size + this.localTrie.size
  }

  /** Answers that are remembered. */
  get answerCount(): number {
    return this.answers.size
  }

  /** Nodes of the tries: 0 when nothing with a wildcard is subscribed. */
  get nodeCount(): number {
    return this.trie.nodes + this.localTrie.nodes
  }

  /** Filters that concern other nodes: without those of "$local/" subscriptions. */
  filters(): IterableIterator<string> {
    return this.trie.filters()
  }

  /** What the normal subscriptions of a filter want of other nodes; 0: there is none. Of many only a few are looked at. */
  levelOf(filter: string): RouteLevel | 0 {
    const leaf = this.trie.get(filter)
    if (leaf === undefined) return 0
    if (leaf instanceof Route) return levelOf(leaf)
    if (leaf.size > searched) return RouteLevel.Owed
    return leaf.routes.reduce<RouteLevel | 0>((level, route) => Math.max(level, levelOf(route)) as RouteLevel, 0)
  }

  /** Shared groups that concern other nodes. */
  *sharedGroups(): IterableIterator<SharedGroup> {
    for (const filter of this.trie.filters()) {
      const leaf = this.trie.get(filter)
      if (leaf instanceof FilterRoutes) yield* leaf.groups
    }
  }

  /** Who gets a message on this topic. Two reads when nothing has changed since it was asked last. */
  match(topicName: TopicName): Matches {
    const memo = topicName.route
    if (memo instanceof Matches && memo.table === this) return memo
    let matches = this.answers.get(topicName.text)
    if (matches === undefined) {
      matches = this.answer(topicName.text)
      if (this.answers.size >= this.topicCache) this.forgetOldest()
      this.answers.set(topicName.text, matches)
    }
    topicName.route = matches
    return matches
  }

  /** For each whether it existed before: then its options are replaced [MQTT-3.8.4-3]. */
  subscribe(subscriber: Subscriber, subscriptions: ReadonlyArray<Subscription>): Array<boolean> {
    const existed: Array<boolean> = []
    for (const subscription of subscriptions) existed.push(this.add(subscriber, subscription))
    return existed
  }

  /**
   * Filters as the client wrote them; for each whether it existed. Later messages do not find it [MQTT-3.10.4-2]
   * [MQTT5-3.10.4-2].
   */
  unsubscribe(subscriber: Subscriber, topicFilters: Iterable<string>): Array<boolean> {
    const existed: Array<boolean> = []
    for (const topicFilter of topicFilters) existed.push(this.remove(subscriber, topicFilter))
    return existed
  }

  /** The session has ended: these are all the filters that it had. */
  removeSubscriber(subscriber: Subscriber, topicFilters: Iterable<string>): void {
    for (const topicFilter of topicFilters) this.remove(subscriber, topicFilter)
  }

  /** The group of this shared filter, as a client writes it. */
  share(topicFilter: string): SharedGroup | undefined {
    const parsed = parseSharedFilter(topicFilter)
    if (parsed?.group === undefined) return undefined
    const leaf = (parsed.local ? this.localTrie : this.trie).get(parsed.filter)
    return leaf instanceof FilterRoutes ? leaf.group(parsed.group) : undefined
  }

  /** Another table takes over: no answer of this one is valid any more. */
  retire(): void {
    this.forgetAll()
  }

  private add(subscriber: Subscriber, subscription: Subscription): boolean {
    const { filter, group, local } = subscription
    const trie = local ? this.localTrie : this.trie
    const leaf = trie.get(filter)
    if (group !== undefined) return this.join(trie, leaf, group, subscriber, subscription)
    const route = Route.of(subscriber, subscription, undefined)
    if (leaf === undefined) {
      trie.set(filter, route)
    } else if (leaf instanceof Route) {
      if (leaf.subscriber === subscriber) {
        if (leaf.equals(route)) return true
        trie.set(filter, route)
        this.changed(filter)
        if (!local) this.remote.changed(filter)
        return true
      }
      const several = new FilterRoutes()
      several.add(leaf)
      several.add(route)
      trie.set(filter, several)
    } else {
      const position = leaf.positionOf(subscriber)
      if (position >= 0) {
        if (leaf.routeAt(position)?.equals(route)) return true
        leaf.replace(position, route)
        this.changed(filter)
        if (!local) this.remote.changed(filter)
        return true
      }
      leaf.add(route)
    }
    this.count(filter, 1)
    this.changed(filter)
    if (!local) this.remote.changed(filter)
    return false
  }

  private join(
    trie: TopicTrie<Leaf>,
    leaf: Leaf | undefined,
    name: string,
    subscriber: Subscriber,
    subscription: Subscription
  ): boolean {
    const { filter, local } = subscription
    let several: FilterRoutes
    if (leaf instanceof FilterRoutes) {
      several = leaf
    } else {
      several = new FilterRoutes()
      if (leaf !== undefined) several.add(leaf)
      trie.set(filter, several)
    }
    let group = several.group(name)
    if (group === undefined) {
      group = new SharedGroup(name, filter, this.strategy, this.random)
      several.addGroup(group)
      this.changed(filter)
    }
    // Answers hold the group, not its members: who comes and goes within it makes none of them invalid.
    const existed = group.join(subscriber, subscription)
    if (!existed) {
      this.count(filter, 1)
      this.sharedSubscriptions++
      if (!local) this.remote.groupChanged(group)
    }
    return existed
  }

  private remove(subscriber: Subscriber, topicFilter: string): boolean {
    const parsed = topicFilter.startsWith("$") ? parseSharedFilter(topicFilter) : undefined
    const filter = parsed?.filter ?? topicFilter
    const local = parsed?.local ?? false
    const trie = local ? this.localTrie : this.trie
    const leaf = trie.get(filter)
    if (leaf === undefined) return false
    if (parsed?.group !== undefined) {
      const group = leaf instanceof FilterRoutes ? leaf.group(parsed.group) : undefined
      if (!(leaf instanceof FilterRoutes) || group === undefined || !group.leave(subscriber)) return false
      this.sharedSubscriptions--
      this.count(filter, -1)
      if (!local) this.remote.groupChanged(group)
      if (group.size > 0) return true
      leaf.removeGroup(group)
    } else if (leaf instanceof Route) {
      if (leaf.subscriber !== subscriber) return false
      leaf.release()
      this.count(filter, -1)
    } else {
      const position = leaf.positionOf(subscriber)
      if (position < 0) return false
      leaf.remove(position)
      this.count(filter, -1)
    }
    if (leaf instanceof Route || leaf.isEmpty) trie.delete(filter)
    this.changed(filter)
    if (!local && parsed?.group === undefined) this.remote.changed(filter)
    return true
  }

  private count(filter: string, more: 1 | -1): void {
    this.subscriptions += more
    if (isSystemTopic(filter)) this.systemSubscriptions += more
  }

  private changed(filter: string): void {
    if (isWildcard(filter)) {
      this.forgetAll()
      return
    }
    const matches = this.answers.get(filter)
    if (matches === undefined) return
    matches.invalidate()
    this.answers.delete(filter)
  }

  private forgetAll(): void {
    if (this.answers.size === 0) return
    for (const matches of this.answers.values()) matches.invalidate()
    this.answers.clear()
    this.oldest = undefined
  }

  /** The iterator goes on from where it stood: a Map keeps the order of insertion, and it skips what has been deleted. */
  private forgetOldest(): void {
    let next = (this.oldest ??= this.answers.keys()).next()
    if (next.done === true) next = (this.oldest = this.answers.keys()).next()
    if (next.done === true) return
    this.answers.get(next.value)?.invalidate()
    this.answers.delete(next.value)
  }

  private answer(topic: string): Matches {
    const found = this.found
    found.length = 0
    this.trie.match(topic, found)
    if (this.localTrie.size > 0) this.localTrie.match(topic, found)
    if (found.length === 0) return new Matches(topic, noRoutes, noGroups, this)
    const only = found.length === 1 ? found[0] : undefined
    const matches = only === undefined
      ? new Matches(topic, mergedRoutes(found), groupsOf(found), this)
      : only instanceof Route
      ? new Matches(topic, [only], noGroups, this)
      : new Matches(topic, only.handOut(), only.groups, this)
    found.length = 0
    return matches
  }
}

/** What one subscription wants of other nodes. */
const levelOf = ({ qos, subscriber }: Route): RouteLevel =>
  qos === 0 ? RouteLevel.QoS0 : (subscriber.durable ?? null) === null ? RouteLevel.Assured : RouteLevel.Owed

const groupsOf = (found: ReadonlyArray<Leaf>): ReadonlyArray<SharedGroup> => {
  let groups: ReadonlyArray<SharedGroup> = noGroups
  for (const leaf of found) {
    if (leaf instanceof Route || leaf.groups.length === 0) continue
    groups = groups.length === 0 ? leaf.groups : [...groups, ...leaf.groups]
  }
  return groups
}

/**
 * One route per subscriber [MQTT-3.3.5-1]. The filter with the most subscribers is the base, which is copied (or handed out as it is,
 * when no other filter has one); each subscriber of the others is looked for in it.
 */
const mergedRoutes = (found: ReadonlyArray<Leaf>): ReadonlyArray<Route> => {
  let base: FilterRoutes | undefined
  for (const leaf of found) {
    if (leaf instanceof FilterRoutes && leaf.size > (base?.size ?? 0)) base = leaf
  }
  let merged: Array<Route> | undefined
  let added: Map<Subscriber, number> | undefined
  const baseCount = base?.size ?? 0
  const take = (route: Route): void => {
    merged ??= base === undefined ? [] : base.routes.slice()
    let position = -1
    if (merged.length <= searched) {
      position = merged.findIndex((other) => other.subscriber === route.subscriber)
    } else {
      if (added === undefined) {
        added = new Map()
        for (let index = baseCount; index < merged.length; index++) {
          const other = merged[index]
          if (other !== undefined) added.set(other.subscriber, index)
        }
      }
      position = added.get(route.subscriber) ?? base?.positionOf(route.subscriber) ?? -1
    }
    const other = merged[position]
    if (other !== undefined) {
      merged[position] = Route.merge(other, route)
    } else {
      added?.set(route.subscriber, merged.length)
      merged.push(route)
    }
  }
  for (const leaf of found) {
    if (leaf === base) continue
    if (leaf instanceof Route) take(leaf)
    else for (const route of leaf.routes) take(route)
  }
  return merged ?? base?.handOut() ?? noRoutes
}
