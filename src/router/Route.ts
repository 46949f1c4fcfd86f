// Who gets a message, and how: one subscriber with the options of one subscription, or of all its subscriptions that match a topic,
// merged. Made by the RouteTable, read by everybody. Invariant: immutable while it is in the table, so it can be kept in queues; one
// that has left the table delivers to nobody.
import type { Message } from "../mqtt/Message.ts"
import type { QoS } from "../mqtt/Packet.ts"
import type { Subscription } from "./Subscription.ts"

/** What a session looks like from below: the router delivers to it and knows nothing else of it. The session (floor 3) implements it. */
export interface Subscriber {
  readonly clientId: string
  /** Has a connection now; read at each pick of a shared group, so it must be a plain field. */
  readonly connected: boolean
  /** Not null: what it is owed with QoS 1 and 2 goes to the store before it is acknowledged. */
  readonly durable?: object | null
  /** One push, never blocks, never throws. `route` says with which QoS and identifiers; it may be kept. */
  deliver(message: Message, route: Route): void
}

/** The shared group of a route, as a session sees it: where it gives back what it could not deliver. `SharedGroup` is the one there is. */
export interface Share {
  readonly name: string
  readonly filter: string
  /** True: another connected member has the message now. */
  redispatch(message: Message, from: Subscriber): boolean
}

/** Stands in for a subscriber that has gone, so that a stale answer keeps no session in memory. */
const nobody: Subscriber = { clientId: "", connected: false, deliver: () => {} }

export class Route {
  subscriber: Subscriber
  /**
   * The granted QoS; the highest of the merged ones [MQTT-3.3.5-1] [MQTT5-3.3.4-2]. In a shared group that of the
   * member [MQTT5-4.8.2-3].
   */
  readonly qos: QoS
  /** Any of the merged subscriptions asked for it. */
  readonly retainAsPublished: boolean
  /**
   * One for each matching subscription that has an identifier, in no particular order [MQTT5-3.3.4-3] [MQTT5-3.3.4-4];
   * the same number twice when two
   * subscriptions have it. undefined when there is none.
   */
  readonly subscriptionIdentifiers: ReadonlyArray<number> | undefined
  readonly group: Share | undefined
  /** As the client wrote it; of merged ones, the one with the highest QoS. */
  readonly topicFilter: string
  /** The route of messages that the subscriber published itself: No Local subscriptions left out; undefined = it gets none. */
  readonly forOwn: Route | undefined

  private constructor(
    subscriber: Subscriber,
    qos: QoS,
    retainAsPublished: boolean,
    subscriptionIdentifiers: ReadonlyArray<number> | undefined,
    group: Share | undefined,
    topicFilter: string,
    forOwn: Route | undefined | "self"
  ) {
    this.subscriber = subscriber
    this.qos = qos
    this.retainAsPublished = retainAsPublished
    this.subscriptionIdentifiers = subscriptionIdentifiers
    this.group = group
    this.topicFilter = topicFilter
    this.forOwn = forOwn === "self" ? this : forOwn
  }

  /** `group` is given for a shared subscription: No Local means nothing there (asking for it is refused earlier [MQTT5-3.8.3-4]). */
  static of(subscriber: Subscriber, subscription: Subscription, group: Share | undefined): Route {
    const { noLocal, qos, retainAsPublished, subscriptionIdentifier, topicFilter } = subscription
    return new Route(
      subscriber,
      qos,
      retainAsPublished,
      subscriptionIdentifier === 0 ? undefined : identifierList(subscriptionIdentifier),
      group,
      topicFilter,
      noLocal && group === undefined ? undefined : "self"
    )
  }

  /** As a delivery was recorded before a restart; `group`: the shared one that it came from, where that is there. */
  static stored(
    subscriber: Subscriber,
    row: {
      readonly qos: QoS
      readonly retain: boolean
      readonly topicFilter: string
      readonly subscriptionIdentifiers: ReadonlyArray<number>
    },
    group?: Share
  ): Route {
    const { qos, retain, subscriptionIdentifiers, topicFilter } = row
    const identifiers = subscriptionIdentifiers.length === 0 ? undefined : subscriptionIdentifiers
    return new Route(subscriber, qos, retain, identifiers, group, topicFilter, "self")
  }

  /** The one route of a subscriber whose filters overlap. */
  static merge(a: Route, b: Route): Route {
    const ownA = a.forOwn
    const ownB = b.forOwn
    const forOwn = ownA === a && ownB === b
      ? "self"
      : ownA === undefined || ownB === undefined
      ? ownA ?? ownB
      : Route.merge(ownA, ownB)
    const best = b.qos > a.qos ? b : a
    const idsA = a.subscriptionIdentifiers
    const idsB = b.subscriptionIdentifiers
    return new Route(
      a.subscriber,
      best.qos,
      a.retainAsPublished || b.retainAsPublished,
      idsA === undefined ? idsB : idsB === undefined ? idsA : [...idsA, ...idsB],
      undefined,
      best.topicFilter,
      forOwn
    )
  }

  get noLocal(): boolean {
    return this.forOwn === undefined
  }

  /** Delivers the same way to the same subscriber; for routes that are not merged. */
  equals(other: Route): boolean {
    return this.subscriber === other.subscriber && this.qos === other.qos && this.noLocal === other.noLocal &&
      this.retainAsPublished === other.retainAsPublished &&
      this.subscriptionIdentifiers?.[0] === other.subscriptionIdentifiers?.[0] && this.topicFilter === other.topicFilter
  }

  /** For the table alone: this route has left it. */
  release(): void {
    this.subscriber = nobody
  }
}

// A client uses one identifier for many filters, and all clients use the small ones: a list of one number is shared among its routes.
const keptLists = 1024
const identifierLists = new Map<number, ReadonlyArray<number>>()

const identifierList = (identifier: number): ReadonlyArray<number> => {
  const known = identifierLists.get(identifier)
  if (known !== undefined) return known
  const list = [identifier]
  if (identifierLists.size < keptLists) identifierLists.set(identifier, list)
  return list
}
