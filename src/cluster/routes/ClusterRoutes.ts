// The router's view of the other nodes: finds the peers of each message that is published here and hands it to the forwarder, and gives what
// peers hand over to the sessions of this node. Plain code, called in the publisher's turn; what arrives comes in the cluster's turn.
// Invariants: a message of a peer goes to this node's sessions, and only where a shared group has no member for it to one more node; a
// message of a shared group goes to one member of all nodes.
import type { SharedStrategy } from "../../config/Settings.ts"
import type { Message } from "../../mqtt/Message.ts"
import type { TopicName } from "../../mqtt/TopicTable.ts"
import { Forward } from "../../router/Forward.ts"
import type { GroupElsewhere } from "../../router/GroupElsewhere.ts"
import { type Place, type RemoteRoutes, RouteLevel } from "../../router/RemoteRoutes.ts"
import type { Random, SharedGroup } from "../../router/SharedGroup.ts"
import type { BusPart, Members } from "../Bus.ts"
import { isGapKey, mostHops, type Target, toRoutes } from "../forward/Entry.ts"
import { GapFiller } from "../forward/GapFiller.ts"
import type { PeerStream } from "../forward/PeerStream.ts"
import { type ForwardCounts, Forwarder, type ForwarderOptions } from "../forward/Forwarder.ts"
import { SessionGaps } from "../forward/SessionGaps.ts"
import type { RemoteGroup } from "./RemoteGroup.ts"
import { RemoteTable } from "./RemoteTable.ts"
import { groupKey, groupState, isGroupKey } from "./routeKey.ts"
import { type OwnFilters, Routes } from "./Routes.ts"
import { here, type Nodes, SharedPick } from "./SharedPick.ts"

/** Of this node: the Router. */
export interface LocalRouter {
  /** To its sessions, shared groups left out; returns how many. */
  publishHere(message: Message): number
  /** To these sessions alone, where they have subscriptions that match. */
  publishTo(message: Message, clientIds: ReadonlySet<string>): void
  levelOf(filter: string): number
  filters(): Iterable<string>
  sharedGroups(): Iterable<SharedGroup>
}

export interface ClusterRoutesOptions
  extends Omit<ForwarderOptions, "deliver" | "giveBack" | "wake" | "names" | "mayOpen" | "isBusy"> {
  readonly counts: ForwardCounts & { cluster_gaps_dropped_total: number; forward_filled_total: number }
  readonly members: Pick<Members, "status" | "present">
  readonly strategy: SharedStrategy
  readonly topicCache?: number
  readonly random?: Random
  /** Runs it in a turn of the cluster. */
  readonly post: (task: () => void) => void
  /** How long one is waited for that was a member before the start and has not been heard of since. */
  readonly forgetAfterMillis: number
}

const noRouter: LocalRouter = {
  publishHere: () => 0,
  publishTo: () => {},
  levelOf: () => 0,
  filters: () => [],
  sharedGroups: () => []
}

/** Records of the peers whose sessions may be owed messages: what a start has to know before it hears of them. */
export const peerKind = "cluster_peer"
/** A member from before the start that has not been heard of for so long counts as dead. */
const silentMillis = 10_000
/**
 * So long a new link waits with what has a place, ms, until this node knows the routes and the gaps of all: at most; for members that count as dead, of
 * which the peer may know better; and at least where it owes the peer something from before: a session that it has just lost may be on its way.
 */
const closedAtMost = 3_000
const closedForDead = 500
const closedAtLeast = 200

/** Members of shared groups that are looked at in one tick for clients that came or went. */
const membersATick = 4_096
/** Exact enough for the counts that are announced. */
const countedAtMost = 4_096

export class ClusterRoutes implements RemoteRoutes, OwnFilters, Nodes, BusPart {
  readonly kinds = []
  readonly routes: Routes
  readonly forwarder: Forwarder
  readonly filler: GapFiller
  readonly gaps: SessionGaps
  awaited: Forward | null = null
  publisherIsDurable = false
  private readonly options: ClusterRoutesOptions
  private readonly shared: SharedPick
  private router = noRouter
  private readonly streams: Array<PeerStream | undefined> = []
  /** Of this node, by key. */
  private readonly groups = new Map<string, SharedGroup>()
  private walk: IterableIterator<[string, SharedGroup]> | undefined
  /** Groups of the message under way that go to other nodes. */
  /** Members from before the start. */
  private readonly expected = new Set<string>()
  private readonly silent = new Set<string>()
  private readonly startedAt: number
  /** A peer's message is given to all that match. */
  private spreading = false
  private pickedFor: Message | undefined
  private readonly pickedNodes: Array<number> = []
  private readonly pickedKeys: Array<string> = []
  constructor(options: ClusterRoutesOptions) {
    this.options = options
    const { bus, post, random, strategy, topicCache } = options
    this.shared = new SharedPick(strategy, random ?? Math.random, this)
    const table = new RemoteTable(topicCache === undefined ? {} : { topicCache })
    table.onGroup = (group, there) => this.remoteGroup(group, there)
    this.startedAt = options.now()
    this.routes = new Routes({
      bus,
      own: this,
      table,
      onOwed: (name, owed) => this.remember(name, owed),
      onCurrent: () => this.forwarder.wake(),
      keepsRemoved: () => this.forwarder.isClosed
    })
    const flush = () => {
      this.forwarder.flush()
      this.filler.work()
    }
    this.forwarder = new Forwarder({
      ...options,
      deliver: (message, target) => this.deliver(message, target),
      giveBack: (message, groups, from) => this.giveBack(message, groups, from),
      wake: () => post(flush),
      names: this.routes,
      mayOpen: (peer, upMillis) => this.mayOpen(peer, upMillis),
      isBusy: () => this.filler.isBusy,
      onOpen: () => this.routes.release()
    })
    const { counts, journal, now, topics } = options
    const { forwarder, routes } = this
    this.filler = new GapFiller({
      bus,
      journal,
      topics,
      now,
      forwarder,
      names: routes,
      isCurrent: (peer) => routes.isCurrent(peer),
      matches: (peer, { topicName }) => table.match(topicName.text).nodes.includes(routes.numberOf(peer)),
      deliverTo: (message, clientIds) => this.router.publishTo(message, clientIds),
      counts
    })
    this.gaps = new SessionGaps({
      bus,
      journal,
      now,
      reached: (peer) => forwarder.reached(peer),
      others: () => this.others(),
      fill: (gap) => this.filler.fill(bus.self.name, [gap]),
      counts
    })
  }

  /** All nodes that may keep something for this one. */
  private others(): ReadonlySet<string> {
    const names = new Set(this.routes.peerNames())
    for (const name of this.options.members.present) names.add(name)
    names.delete(this.options.bus.self.name)
    return names
  }

  private mayOpen(peer: string, upMillis: number): boolean {
    if (upMillis >= closedAtMost) return true
    if (upMillis < closedAtLeast && (this.forwarder.known(peer)?.size ?? 0) > 0) return false
    const { bus, members } = this.options
    for (const name of this.others()) {
      if (bus.peers.has(name)) {
        if (!this.routes.isCurrent(name) || !this.filler.isDone(name)) return false
        continue
      }
      const status = members.status(name)
      if (status === "alive" || status === "suspect" || upMillis < closedForDead) return false
    }
    return true
  }

  /** A record of the store says so: before the first message. */
  expect(name: string): void {
    this.expected.add(name)
    this.routes.expect(name)
  }

  /** Members from before the start have not been heard of yet. */
  get expectsPeers(): boolean {
    return this.expected.size > 0
  }

  private remember(name: string, owed: boolean): void {
    const { journal } = this.options
    if (owed) journal.putRecordLazily(peerKind, name, new Uint8Array(1))
    else journal.deleteRecordLazily(peerKind, name)
  }

  /** Who was there before the start and is not heard of is dead, and forgotten in the end, as if membership had known it. */
  private tickExpected(now: number): void {
    for (const name of this.expected) {
      if (this.routes.knows(name) || this.options.members.status(name) !== undefined) {
        this.expected.delete(name)
      } else if (now - this.startedAt > this.options.forgetAfterMillis) {
        this.expected.delete(name)
        this.routes.memberChanged(name, "forgotten")
        this.forwarder.memberChanged(name, "forgotten")
      } else if (now - this.startedAt > silentMillis && !this.silent.has(name)) {
        this.silent.add(name)
        this.forwarder.memberChanged(name, "dead")
      }
    }
  }

  /** Before the first message. */
  use(router: LocalRouter): void {
    this.router = router
    this.replaced()
  }

  // --- what this node has ------------------------------------------------------------------------------------------

  stateOf(key: string): number {
    if (!isGroupKey(key)) return this.router.levelOf(key)
    const group = this.groups.get(key)
    if (group === undefined || group.size === 0) return 0
    return groupState(group.connectedCount(countedAtMost), group.size)
  }

  *keys(): IterableIterator<string> {
    for (const filter of this.router.filters()) yield filter
    yield* this.groups.keys()
  }

  changed(filter: string): void {
    this.touch(filter)
  }

  groupChanged(group: SharedGroup): void {
    const key = groupKey(group.name, group.filter)
    if (group.size === 0) this.groups.delete(key)
    else if (this.groups.get(key) !== group) this.groups.set(key, group)
    else return this.touch(key)
    this.link(key)
    this.touch(key)
  }

  replaced(): void {
    this.groups.clear()
    for (const group of this.router.sharedGroups()) {
      const key = groupKey(group.name, group.filter)
      this.groups.set(key, group)
      this.link(key)
    }
    this.routes.touchAll()
    this.options.post(() => this.routes.flush())
  }

  private touch(key: string): void {
    if (!this.routes.hasChanges) this.options.post(() => this.routes.flush())
    this.routes.touch(key)
  }

  linkUp(): void {}
  linkDown(): void {}
  receive(): void {}

  /** Clients of members come and go, and nobody tells: the counts are compared now and then. */
  tick(now: number): void {
    this.filler.work()
    if (this.expected.size > 0) this.tickExpected(now)
    if (this.groups.size === 0) return
    let looked = 0
    for (let steps = this.groups.size; steps > 0 && looked < membersATick; steps--) {
      let next = (this.walk ??= this.groups.entries()).next()
      if (next.done === true) next = (this.walk = this.groups.entries()).next()
      if (next.done === true) return
      const [key, group] = next.value
      looked += group.size
      if (this.stateOf(key) !== this.routes.ownState(key)) this.touch(key)
    }
  }

  // --- shared groups -----------------------------------------------------------------------------------------------

  nameOf(number: number): string {
    return number === here ? this.options.bus.self.name : this.routes.nameOf(number)
  }

  isUp(number: number): boolean {
    const { bus, members } = this.options
    const name = this.routes.nameOf(number)
    return bus.peers.has(name) && members.status(name) !== "dead"
  }

  private remoteGroup(group: RemoteGroup, there: boolean): void {
    const own = this.groups.get(group.key)
    if (there) this.link(group.key)
    else if (own !== undefined) own.elsewhere = undefined
  }

  /** A group of this node and the peers' members of the same one know each other. */
  private link(key: string): void {
    const own = this.groups.get(key)
    const remote = this.routes.table.group(key)
    if (remote !== undefined) remote.local = own
    if (own !== undefined) own.elsewhere = remote === undefined ? undefined : this.elsewhere(remote, own)
  }

  private elsewhere(remote: RemoteGroup, own: SharedGroup): GroupElsewhere {
    return {
      pick: (message) => {
        const node = this.shared.node(remote, this.routes.ownState(remote.key), message)
        if (node === here || node === undefined) return own.pickHere(message)
        this.picked(message, node, remote.key)
        return undefined
      },
      redispatch: (message) => {
        const state = this.routes.ownState(remote.key)
        const node = this.shared.node(remote, state, message, { notHere: true, onlyConnected: true })
        if (node === undefined) return false
        this.hand(node, message, { routes: false, groups: [remote.key], hops: 0 }, RouteLevel.Owed)
        return true
      }
    }
  }

  private picked(message: Message, node: number, key: string): void {
    if (this.pickedFor !== message) this.forgetPicked()
    this.pickedFor = message
    this.pickedNodes.push(node)
    this.pickedKeys.push(key)
  }

  private forgetPicked(): void {
    this.pickedFor = undefined
    this.pickedNodes.length = 0
    this.pickedKeys.length = 0
  }

  // --- messages out ------------------------------------------------------------------------------------------------

  publish(message: Message): number {
    const answer = this.routes.table.matchName(message.topicName)
    const { groups, levels, nodes } = answer
    this.awaited = null
    const place = message.qos === 0 ? 0 : this.forwarder.nextSequence()
    // By far the most common: what came in behind the message before it, for the one node that has subscribers.
    if (answer.only >= 0 && this.pickedFor === undefined) {
      if (message.qos === 0 && this.streams[answer.only]?.follow(message) === true) return 1
      return this.handCounted(answer.only, message, toRoutes, levels[0] ?? RouteLevel.QoS0, place, nodes) ? 1 : 0
    }
    for (const group of groups) {
      // Those with members here were asked before.
      if (group.local !== undefined) continue
      const node = this.shared.node(group, 0, message, { notHere: true })
      if (node !== undefined) this.picked(message, node, group.key)
    }
    let receivers = 0
    for (let index = 0; index < nodes.length; index++) {
      const node = nodes[index]
      const level = levels[index]
      if (node !== undefined && level !== undefined && this.handCounted(node, message, toRoutes, level, place, nodes)) {
        receivers++
      }
    }
    if (this.pickedFor === message) receivers += this.handGroups(message, 0)
    return receivers
  }

  get origin(): string | null | undefined {
    const { origin } = this.forwarder
    return origin === null || this.spreading ? origin : undefined
  }

  placesInTrouble(): ReadonlyArray<Place> | null {
    for (const name of this.others()) if (!this.options.bus.peers.has(name)) return this.places()
    return null
  }

  readonly places = (): ReadonlyArray<Place> => this.forwarder.places()
  readonly behind = (places: ReadonlyArray<Place>): ReadonlyArray<Place> => this.forwarder.behind(places)
  readonly wasSeen = (places: ReadonlyArray<Place>): boolean => this.forwarder.wasSeen(places)

  get wantsSystem(): boolean {
    return this.routes.table.wantsSystem
  }

  concerns(topicName: TopicName): boolean {
    const { groups, nodes } = this.routes.table.matchName(topicName)
    return nodes.length > 0 || groups.length > 0
  }

  needsStore(message: Message): boolean {
    if (message.qos !== 2) return false
    const { groups, levels } = this.routes.table.match(message.topicName.text)
    return groups.length > 0 || levels.some((level) => level > RouteLevel.QoS0)
  }

  private handGroups(message: Message, hops: number): number {
    const { pickedKeys, pickedNodes } = this
    let receivers = 0
    for (const node of new Set(pickedNodes)) {
      const groups = pickedKeys.filter((_, index) => pickedNodes[index] === node)
      if (this.handCounted(node, message, { routes: false, groups, hops }, RouteLevel.Owed)) receivers += groups.length
    }
    this.forgetPicked()
    return receivers
  }

  /** The publisher's acknowledgement waits for it. */
  private handCounted(
    node: number,
    message: Message,
    target: Target,
    level: RouteLevel,
    place?: number,
    given?: ReadonlyArray<number>
  ): boolean {
    const { forwarder } = this
    const stream = this.streams[node] ?? this.stream(node)
    if (message.qos === 0 || level === RouteLevel.QoS0) {
      forwarder.loose(stream, message, target)
      return true
    }
    const forward = forwarder.keep(
      stream,
      message,
      target,
      level,
      this.awaited,
      message.qos === 2 && this.publisherIsDurable,
      place,
      given
    )
    if (forward === null) return false
    this.awaited = forward.settled && forward.group === 0 ? null : forward
    return true
  }

  private hand(node: number, message: Message, target: Target, level: RouteLevel): Forward | null {
    if (message.qos > 0) return this.forwarder.keep(this.stream(node), message, target, level, null, message.qos === 2)
    this.forwarder.loose(this.stream(node), message, target)
    return null
  }

  private stream(node: number): PeerStream {
    return this.streams[node] ??= this.forwarder.stream(this.routes.nameOf(node))
  }

  // --- messages in -------------------------------------------------------------------------------------------------

  /** Of a peer; what it returns the peer has to wait for as well. */
  deliver(message: Message, { groups, hops, routes }: Target): Forward | null {
    if (routes) {
      this.spreading = true
      try {
        this.router.publishHere(message)
      } finally {
        this.spreading = false
      }
    }
    if (groups.length === 0) return null
    if (isGapKey(groups[0] ?? "")) {
      this.router.publishTo(message, this.gaps.clientsOf(groups))
      return null
    }
    let forward: Forward | null = null
    for (const key of groups) forward = this.serve(key, message, hops) ?? forward
    return forward
  }

  /** A peer that is down was owed this by way of shared groups and has not had it: others get it. Null: no node has a member. */
  giveBack(message: Message, groups: ReadonlyArray<string>, from: string): Forward | null {
    let forward: Forward | null = null
    const node = this.routes.numberOf(from)
    for (const key of groups) forward = this.serve(key, message, 0, node) ?? forward
    return forward
  }

  private serve(key: string, message: Message, hops: number, except?: number): Forward | null {
    const own = this.groups.get(key)
    const connected = own?.pickConnected(message, undefined)
    if (connected !== undefined) {
      connected.subscriber.deliver(message, connected)
      return null
    }
    const remote = this.routes.table.group(key)
    if (remote !== undefined && hops < mostHops) {
      const others = except === undefined ? {} : { except: [except] }
      const node = this.shared.node(remote, 0, message, { ...others, notHere: true, onlyConnected: own !== undefined })
      if (node !== undefined) {
        return this.hand(node, message, { routes: false, groups: [key], hops: hops + 1 }, RouteLevel.Owed)
      }
    }
    const waiting = own?.pickHere(message)
    if (waiting === undefined) this.options.counts.forward_nobody_total++
    else waiting.subscriber.deliver(message, waiting)
    return null
  }
}
