// The routes of all peers, and who among them gets a message on a topic. Pure; owned by Routes, read on the packet path. Filters without
// wildcards are numbers in a hash table, the others and the shared groups stand in tries. Invariant: an answer that is
// remembered is what `match` would work out now.
import { isSystemTopic } from "../../mqtt/Topic.ts"
import type { TopicName } from "../../mqtt/TopicTable.ts"
import { RouteLevel } from "../../router/RemoteRoutes.ts"
import { isWildcard, TopicTrie } from "../../router/TopicTrie.ts"
import { ExactRoutes, FilterHash } from "./ExactRoutes.ts"
import { RemoteGroup } from "./RemoteGroup.ts"
import { groupOf, isGroupKey } from "./routeKey.ts"

/** Nodes with one filter that has wildcards: a list, as there are tens of nodes. */
interface WildcardRoute {
  node: number
  level: number
  marked: boolean
  next: WildcardRoute | undefined
}

/** The groups of one filter. */
interface GroupsOfFilter {
  groups: ReadonlyArray<RemoteGroup>
}

export class RemoteAnswer {
  /** Numbers of the nodes, each once, and the strongest level of their matching filters. The arrays never change. */
  readonly nodes: ReadonlyArray<number>
  readonly levels: ReadonlyArray<RouteLevel>
  readonly groups: ReadonlyArray<RemoteGroup>
  /** The number of the one node that gets it; -1: none or several do, or shared groups have a say. */
  readonly only: number
  /** Whose answer it is; undefined: no longer anybody's. */
  table: RemoteTable | undefined

  constructor(
    table: RemoteTable,
    nodes: ReadonlyArray<number>,
    levels: ReadonlyArray<RouteLevel>,
    groups: ReadonlyArray<RemoteGroup>
  ) {
    this.table = table
    this.nodes = nodes
    this.levels = levels
    this.groups = groups
    this.only = nodes.length === 1 && groups.length === 0 ? nodes[0] ?? -1 : -1
  }
}

const noNumbers: ReadonlyArray<number> = []
const noLevels: ReadonlyArray<RouteLevel> = []
const noGroups: ReadonlyArray<RemoteGroup> = []
/** Numbers of nodes are below it. With it: rows that a node does not have any more, and that count as its own until it is known who has them. */
const formerly = 1 << 23
/** Different sets of nodes that are remembered. */
const mostSets = 4_096

export class RemoteTable {
  private readonly exact = new ExactRoutes()
  private readonly hash: FilterHash
  private readonly wildcards = new TopicTrie<WildcardRoute>()
  private readonly groupsByFilter = new TopicTrie<GroupsOfFilter>()
  private readonly groupsByKey = new Map<string, RemoteGroup>()
  private readonly answers = new Map<string, RemoteAnswer>()
  private readonly topicCache: number
  private oldest: IterableIterator<string> | undefined
  private wildcardRoutes = 0
  private groupRoutes = 0
  /** How many rows about `$SYS` each node has, or had: what a sweep takes away of some is not known by name. */
  private readonly systemRoutes = new Map<number, number>()
  private readonly sets = new Map<string, ReadonlyArray<number>>()
  private readonly foundWildcards: Array<WildcardRoute> = []
  private readonly foundGroups: Array<GroupsOfFilter> = []
  /** Told of groups that appear and go. */
  onGroup: (group: RemoteGroup, there: boolean) => void = () => {}

  constructor(options: { readonly topicCache?: number; readonly random?: () => number } = {}) {
    this.topicCache = options.topicCache ?? 65_536
    this.hash = new FilterHash(options.random)
  }

  /** Rows of all peers. */
  get size(): number {
    return this.exact.size + this.wildcardRoutes + this.groupRoutes
  }

  /** Whether some node may have a filter under `$SYS`. */
  get wantsSystem(): boolean {
    return this.systemRoutes.size > 0
  }

  group(key: string): RemoteGroup | undefined {
    return this.groupsByKey.get(key)
  }

  groups(): IterableIterator<RemoteGroup> {
    return this.groupsByKey.values()
  }

  /** `state` 0 takes it away; returns the state from before. `marked`: it is part of a whole set that is on its way. */
  set(node: number, key: string, state: number, marked = false): number {
    if (isGroupKey(key)) return this.setGroup(node, key, state, marked)
    const before = isWildcard(key)
      ? this.setWildcard(node, key, state, marked)
      : this.setExact(node, key, state, marked)
    if (before !== state) {
      this.changed(key)
      this.countSystem(node, key, before, state)
    }
    return before
  }

  /** The node does not have it any more; until `release` it counts as if it had. */
  keep(node: number, filter: string): void {
    this.set(node | formerly, filter, RouteLevel.Owed)
  }

  /** The same of all that it has without a mark, and that sessions are owed. O(all routes). */
  keepUnmarked(node: number): void {
    const former = node | formerly
    this.exact.give(node, RouteLevel.Owed, former)
    for (const filter of this.wildcards.filters()) {
      for (let route = this.wildcards.get(filter); route !== undefined; route = route.next) {
        if (route.node !== node || route.marked || route.level !== RouteLevel.Owed) continue
        route.node = former
        this.countSystem(node, filter, route.level, 0)
        this.countSystem(former, filter, 0, route.level)
      }
    }
    this.forgetAll()
  }

  release(node: number): void {
    this.sweep(node | formerly, true)
  }

  private countSystem(node: number, filter: string, before: number, state: number): void {
    if (!isSystemTopic(filter) || (before === 0) === (state === 0)) return
    const count = (this.systemRoutes.get(node) ?? 0) + (state === 0 ? -1 : 1)
    if (count > 0) this.systemRoutes.set(node, count)
    else this.systemRoutes.delete(node)
  }

  unmark(node: number): void {
    this.exact.unmark(node)
    for (const filter of this.wildcards.filters()) {
      for (let route = this.wildcards.get(filter); route !== undefined; route = route.next) {
        if (route.node === node) route.marked = false
      }
    }
    for (const group of this.groupsByKey.values()) group.unmark(node)
  }

  /** What the node has without a mark goes; with `all`, all that it has. O(all routes). */
  sweep(node: number, all: boolean): void {
    let gone = this.exact.sweep(node, all)
    const wildcards: Array<string> = []
    for (const filter of this.wildcards.filters()) {
      for (let route = this.wildcards.get(filter); route !== undefined; route = route.next) {
        if (route.node === node && (all || !route.marked)) wildcards.push(filter)
      }
    }
    for (const filter of wildcards) this.countSystem(node, filter, this.setWildcard(node, filter, 0, false), 0)
    gone += wildcards.length
    for (const group of [...this.groupsByKey.values()]) {
      if (group.has(node) && (all || !group.isMarked(node))) this.setGroup(node, group.key, 0, false)
    }
    if (all) this.systemRoutes.delete(node)
    if (gone > 0) this.forgetAll()
  }

  /** As `match`; two reads when the topic was asked for lately. */
  matchName(topicName: TopicName): RemoteAnswer {
    const memo = topicName.remote
    // No other kind of answer has this table.
    if (memo !== undefined && memo.table === this) return memo as RemoteAnswer
    const answer = this.match(topicName.text)
    topicName.remote = answer
    return answer
  }

  match(topic: string): RemoteAnswer {
    const known = this.answers.get(topic)
    if (known !== undefined) return known
    const answer = this.answer(topic)
    if (this.answers.size >= this.topicCache) this.forgetOldest()
    this.answers.set(topic, answer)
    return answer
  }

  private setExact(node: number, filter: string, state: number, marked: boolean): number {
    this.hash.of(filter)
    return state === 0 ? this.exact.delete(this.hash, node) : this.exact.set(this.hash, node, state, marked)
  }

  private setWildcard(node: number, filter: string, level: number, marked: boolean): number {
    const first = this.wildcards.get(filter)
    let previous: WildcardRoute | undefined
    let route = first
    while (route !== undefined && route.node !== node) {
      previous = route
      route = route.next
    }
    const before = route?.level ?? 0
    if (level === 0) {
      if (route === undefined) return 0
      this.wildcardRoutes--
      if (previous !== undefined) previous.next = route.next
      else if (route.next !== undefined) this.wildcards.set(filter, route.next)
      else this.wildcards.delete(filter)
    } else if (route !== undefined) {
      route.level = level
      route.marked = marked
    } else {
      this.wildcards.set(filter, { node, level, marked, next: first })
      this.wildcardRoutes++
    }
    return before
  }

  private setGroup(node: number, key: string, state: number, marked: boolean): number {
    let group = this.groupsByKey.get(key)
    if (group === undefined) {
      if (state === 0) return 0
      const parsed = groupOf(key)
      if (parsed === undefined) return 0
      group = new RemoteGroup(key, parsed.name, parsed.filter)
      this.groupsByKey.set(key, group)
      const of = this.groupsByFilter.get(parsed.filter)
      if (of === undefined) this.groupsByFilter.set(parsed.filter, { groups: [group] })
      else of.groups = [...of.groups, group]
      this.changed(parsed.filter)
      this.onGroup(group, true)
    }
    const before = group.set(node, state, marked)
    if (before === 0 && state !== 0) this.groupRoutes++
    if (before !== 0 && state === 0) this.groupRoutes--
    this.countSystem(node, group.filter, before, state)
    if (group.isEmpty) this.removeGroup(group)
    return before
  }

  private removeGroup(group: RemoteGroup): void {
    const { filter, key } = group
    this.groupsByKey.delete(key)
    const of = this.groupsByFilter.get(filter)
    if (of !== undefined) {
      of.groups = of.groups.filter((one) => one !== group)
      if (of.groups.length === 0) this.groupsByFilter.delete(filter)
    }
    this.changed(filter)
    this.onGroup(group, false)
  }

  private changed(filter: string): void {
    if (isWildcard(filter)) return this.forgetAll()
    this.forget(filter)
  }

  private forget(topic: string): void {
    const answer = this.answers.get(topic)
    if (answer === undefined) return
    answer.table = undefined
    this.answers.delete(topic)
  }

  private forgetAll(): void {
    if (this.answers.size === 0) return
    for (const answer of this.answers.values()) answer.table = undefined
    this.answers.clear()
    this.oldest = undefined
  }

  /** A Map keeps the order of insertion: the iterator goes on from where it stood. */
  private forgetOldest(): void {
    let next = (this.oldest ??= this.answers.keys()).next()
    if (next.done === true) next = (this.oldest = this.answers.keys()).next()
    if (next.done !== true) this.forget(next.value)
  }

  private answer(topic: string): RemoteAnswer {
    const nodes: Array<number> = []
    const levels: Array<RouteLevel> = []
    const take = (row: number, level: number): void => {
      const node = row & ~formerly
      const position = nodes.indexOf(node)
      if (position < 0) {
        nodes.push(node)
        levels.push(level as RouteLevel)
      } else if ((levels[position] ?? 0) < level) levels[position] = level as RouteLevel
    }
    this.hash.of(topic)
    this.exact.each(this.hash, take)
    const { foundGroups, foundWildcards } = this
    foundWildcards.length = 0
    this.wildcards.match(topic, foundWildcards)
    for (const first of foundWildcards) {
      for (let route: WildcardRoute | undefined = first; route !== undefined; route = route.next) {
        take(route.node, route.level)
      }
    }
    foundWildcards.length = 0
    let groups = noGroups
    if (this.groupsByKey.size > 0) {
      foundGroups.length = 0
      this.groupsByFilter.match(topic, foundGroups)
      for (const of of foundGroups) groups = groups.length === 0 ? of.groups : [...groups, ...of.groups]
      foundGroups.length = 0
    }
    return nodes.length === 0
      ? new RemoteAnswer(this, noNumbers, noLevels, groups)
      : new RemoteAnswer(this, this.interned(nodes), levels, groups)
  }

  /** The same array for the same nodes: messages of different topics that go to the same ones can travel together. */
  private interned(nodes: ReadonlyArray<number>): ReadonlyArray<number> {
    const key = nodes.join()
    const known = this.sets.get(key)
    if (known !== undefined) return known
    if (this.sets.size >= mostSets) this.sets.clear()
    this.sets.set(key, nodes)
    return nodes
  }
}
