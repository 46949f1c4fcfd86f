// The actor that owns the RouteTable. Sessions ask it to subscribe and unsubscribe by message and are answered by a plain callback;
// publishing reads the table at once, in the caller's tick, and sends nothing to the mailbox. Invariants: what a session records before
// it asks is in the table when it is answered, also when the router crashed in between; a crash loses neither a message that waits in the
// mailbox nor a reader, who goes on with the old table until the new one is made of the sessions' subscriptions.
import type { SharedStrategy } from "../config/Settings.ts"
import type { Message } from "../mqtt/Message.ts"
import type { TopicName } from "../mqtt/TopicTable.ts"
import { MailboxActor } from "../otp/MailboxActor.ts"
import type { Scheduler } from "../otp/Scheduler.ts"
import type { Matches } from "./Matches.ts"
import { noRemoteRoutes, type RemoteRoutes, type RouteLevel } from "./RemoteRoutes.ts"
import type { Share, Subscriber } from "./Route.ts"
import { RouteTable, type RouteTableOptions } from "./RouteTable.ts"
import type { Random, SharedGroup } from "./SharedGroup.ts"
import type { Subscription } from "./Subscription.ts"

/** For each filter, in order, whether the session had it before; undefined: the router failed on it twice, nothing is subscribed. */
export type RouterReply = (existed: ReadonlyArray<boolean> | undefined) => void

interface Subscribe {
  readonly _tag: "Subscribe"
  readonly subscriber: Subscriber
  readonly subscriptions: ReadonlyArray<Subscription>
  readonly reply: RouterReply
}

interface Unsubscribe {
  readonly _tag: "Unsubscribe"
  readonly subscriber: Subscriber
  readonly topicFilters: ReadonlyArray<string>
  readonly reply: RouterReply
}

interface Remove {
  readonly _tag: "Remove"
  readonly subscriber: Subscriber
  readonly topicFilters: Iterable<string>
}

type Request = Subscribe | Unsubscribe | Remove

export interface RouterOptions {
  readonly scheduler: Scheduler
  /** What the sessions have recorded: the source of a table after a crash. */
  readonly subscriptionsOfSessions: () => Iterable<readonly [Subscriber, Iterable<Subscription>]>
  readonly strategy?: SharedStrategy
  /** `router.topic_cache` */
  readonly topicCache?: number
  /** `router.mailbox_capacity` */
  readonly mailboxCapacity?: number
  readonly remote?: RemoteRoutes
  readonly random?: Random
  /**
   * A table was made anew; `failed` subscriptions could not be taken into it. `defect`: why, where no supervisor has heard of it (the
   * old table threw at a reader), or else what the first that failed was thrown.
   */
  readonly onRebuild?: (
    report: { readonly subscriptions: number; readonly failed: number; readonly defect: unknown }
  ) => void
  /** For tests: a table that throws. */
  readonly makeTable?: (options: RouteTableOptions) => RouteTable
}

const repairPauseMillis = 10_000

export class Router extends MailboxActor<Request> {
  private table: RouteTable
  private readonly options: RouterOptions
  /** Of the other nodes. */
  readonly remote: RemoteRoutes
  /**
   * Requests to take something away that met a full mailbox, oldest first: refused, they would leave routes behind for ever. Bounded by
   * the subscriptions there are.
   */
  private readonly overflow: Array<Unsubscribe | Remove> = []
  /** What was being handled when this life crashed. */
  private handling: Request | undefined
  private noRepairBefore = 0
  /** Tables made anew so far. */
  rebuilds = 0

  constructor(options: RouterOptions) {
    super("router", options.scheduler, options.mailboxCapacity ?? 65_536)
    this.options = options
    this.remote = options.remote ?? noRemoteRoutes
    this.table = this.makeTable(this.remote)
  }

  /** Subscriptions of this node, shared ones included. */
  get subscriptionCount(): number {
    return this.table.size
  }

  get sharedSubscriptionCount(): number {
    return this.table.sharedSize
  }

  /** Different filters. */
  get filterCount(): number {
    return this.table.filterCount
  }

  /** Whether anybody here or on another node may have subscribed to something under `$SYS`. */
  get wantsSystem(): boolean {
    return this.table.wantsSystem || this.remote.wantsSystem
  }

  /** Whether a message on this topic would find anybody, here or on another node. */
  concerns(topicName: TopicName): boolean {
    const { groups, routes } = this.match(topicName)
    return routes.length > 0 || groups.length > 0 || this.remote.concerns(topicName)
  }

  /**
   * Who gets a message on this topic, now. A table that throws is made anew on the spot; throws only when the new one does too, or when
   * that was tried a short while ago: a topic that no table can answer must cost its own publisher and nobody else.
   */
  match(topicName: TopicName): Matches {
    try {
      return this.table.match(topicName)
    } catch (defect) {
      const now = this.scheduler.now
      if (now < this.noRepairBefore) throw defect
      this.noRepairBefore = now + repairPauseMillis
      this.rebuild(defect)
      return this.table.match(topicName)
    }
  }

  /**
   * Delivers to all who are owed it [MQTT-4.5.0-1] [MQTT5-4.5.0-1] [MQTT-3.3.2-3] [MQTT5-3.3.2-3]: each session once,
   * one member of each shared group, each peer once. Returns how many got it.
   */
  publish(message: Message): number {
    const { groups, routes } = this.match(message.topicName)
    let receivers = 0
    for (let route of routes) {
      // [MQTT5-3.8.3-3] compared only where a No Local subscription is among those that match
      if (route.forOwn !== route && route.subscriber.clientId === message.publisher) {
        if (route.forOwn === undefined) continue
        route = route.forOwn
      }
      route.subscriber.deliver(message, route)
      receivers++
    }
    for (const group of groups) {
      const route = group.pick(message)
      if (route === undefined) continue
      route.subscriber.deliver(message, route)
      receivers++
    }
    return receivers + this.remote.publish(message)
  }

  /** The group of this shared filter, "$share/name/filter", as things are now. */
  share(topicFilter: string): Share | undefined {
    return this.table.share(topicFilter)
  }

  /** A message that another node has handed on: to the sessions of this node alone, shared groups left out. */
  publishHere(message: Message): number {
    let receivers = 0
    for (let route of this.match(message.topicName).routes) {
      if (route.forOwn !== route && route.subscriber.clientId === message.publisher) {
        if (route.forOwn === undefined) continue
        route = route.forOwn
      }
      route.subscriber.deliver(message, route)
      receivers++
    }
    return receivers
  }

  /** The same, to these sessions alone. */
  publishTo(message: Message, clientIds: ReadonlySet<string>): void {
    for (const route of this.match(message.topicName).routes) {
      const { clientId } = route.subscriber
      if (!clientIds.has(clientId)) continue
      const own = clientId === message.publisher ? route.forOwn : route
      own?.subscriber.deliver(message, own)
    }
  }

  // What the cluster tells the peers.

  filters(): IterableIterator<string> {
    return this.table.filters()
  }

  levelOf(filter: string): RouteLevel | 0 {
    return this.table.levelOf(filter)
  }

  sharedGroups(): IterableIterator<SharedGroup> {
    return this.table.sharedGroups()
  }

  /** Record the subscriptions first. False: the mailbox is full, nothing was done and no reply comes. */
  subscribe(subscriber: Subscriber, subscriptions: ReadonlyArray<Subscription>, reply: RouterReply): boolean {
    if (this.overflow.length > 0 || !this.cast({ _tag: "Subscribe", subscriber, subscriptions, reply })) return false
    // A message that another client sends after this must find the subscription.
    this.wakeNext()
    return true
  }

  /** Filters as the client wrote them; strike them from the record first. Never refused: always true. */
  unsubscribe(subscriber: Subscriber, topicFilters: ReadonlyArray<string>, reply: RouterReply): boolean {
    return this.take({ _tag: "Unsubscribe", subscriber, topicFilters, reply })
  }

  /** The session has ended; these are all its filters, as the client wrote them. Never refused; done after all it asked for before. */
  removeSubscriber(subscriber: Subscriber, topicFilters: Iterable<string>): void {
    this.take({ _tag: "Remove", subscriber, topicFilters })
  }

  protected override receive(): void {
    super.receive()
    const overflow = this.overflow
    let taken = 0
    try {
      while (taken < overflow.length && !this.ended) {
        const request = overflow[taken++]
        if (request !== undefined) this.handle(request)
      }
    } finally {
      overflow.splice(0, taken)
    }
  }

  protected override handle(request: Request): void {
    this.handling = request
    const existed = this.apply(request)
    this.handling = undefined
    if (request._tag !== "Remove") request.reply(existed)
  }

  protected override restarted(): void {
    super.restarted()
    this.rebuild(undefined)
    const request = this.handling
    this.handling = undefined
    if (request !== undefined) this.retry(request)
  }

  private take(request: Unsubscribe | Remove): true {
    // What is waiting in the overflow is older.
    if (this.overflow.length > 0 || !this.cast(request)) this.overflow.push(request)
    return true
  }

  private apply(request: Request): ReadonlyArray<boolean> {
    const { subscriber } = request
    switch (request._tag) {
      case "Subscribe":
        return this.table.subscribe(subscriber, request.subscriptions)
      case "Unsubscribe":
        return this.table.unsubscribe(subscriber, request.topicFilters)
      case "Remove":
        return this.table.unsubscribe(subscriber, request.topicFilters)
    }
  }

  /** The request that the last life crashed on: once more, against a sound table. If it is to blame it must not crash this life too. */
  private retry(request: Request): void {
    let existed: ReadonlyArray<boolean> | undefined
    try {
      existed = this.apply(request)
    } catch (defect) {
      this.rebuild(defect)
    }
    if (request._tag !== "Remove") request.reply(existed)
  }

  private rebuild(cause: unknown): void {
    const old = this.table
    const table = this.makeTable(noRemoteRoutes)
    let subscriptions = 0
    let failed = 0
    let firstDefect = cause
    for (const [subscriber, recorded] of this.options.subscriptionsOfSessions()) {
      for (const subscription of recorded) {
        // One that the table cannot take must not keep all others out.
        try {
          table.subscribe(subscriber, [subscription])
          subscriptions++
        } catch (defect) {
          if (failed++ === 0) firstDefect ??= defect
        }
      }
    }
    table.remote = this.remote
    this.table = table
    this.rebuilds++
    old.retire()
    this.remote.replaced()
    this.options.onRebuild?.({ subscriptions, failed, defect: firstDefect })
  }

  private makeTable(remote: RemoteRoutes): RouteTable {
    const { makeTable, random, strategy, topicCache } = this.options
    const options: RouteTableOptions = {
      remote,
      ...(strategy === undefined ? {} : { strategy }),
      ...(topicCache === undefined ? {} : { topicCache }),
      ...(random === undefined ? {} : { random })
    }
    return makeTable === undefined ? new RouteTable(options) : makeTable(options)
  }
}
