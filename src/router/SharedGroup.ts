// The members of one share name on one filter, and whose turn it is. Owned by the RouteTable; sessions keep a reference (in a route)
// to give back what they could not deliver. Invariant: a message goes to one member, each session is a member once.
import type { SharedStrategy } from "../config/Settings.ts"
import type { Message } from "../mqtt/Message.ts"
import type { GroupElsewhere } from "./GroupElsewhere.ts"
import { Route, type Share, type Subscriber } from "./Route.ts"
import type { Subscription } from "./Subscription.ts"
import { fnv1a } from "./textHash.ts"

/** A random number in [0, 1). */
export type Random = () => number

/** So many draws before a random pick that meets disconnected members takes the next connected one in the list. */
const randomDraws = 8

export class SharedGroup implements Share {
  /** The share name; "$queue" for "$queue/…". */
  readonly name: string
  readonly filter: string
  readonly strategy: SharedStrategy
  private readonly random: Random
  private readonly members: Array<Route> = []
  private readonly positions = new Map<Subscriber, number>()
  private turn = 0
  private favourite: Subscriber | undefined
  /** The cluster's, where other nodes have members too. */
  elsewhere: GroupElsewhere | undefined

  constructor(name: string, filter: string, strategy: SharedStrategy, random: Random) {
    this.name = name
    this.filter = filter
    this.strategy = strategy
    this.random = random
  }

  get size(): number {
    return this.members.length
  }

  /** In no particular order; do not change it. */
  get routes(): ReadonlyArray<Route> {
    return this.members
  }

  has(subscriber: Subscriber): boolean {
    return this.positions.has(subscriber)
  }

  /** True: it was a member, its options are replaced and its place is kept [MQTT-3.8.4-3]. */
  join(subscriber: Subscriber, subscription: Subscription): boolean {
    const route = Route.of(subscriber, subscription, this)
    const position = this.positions.get(subscriber)
    if (position !== undefined) {
      this.members[position] = route
      return true
    }
    this.positions.set(subscriber, this.members.length)
    this.members.push(route)
    return false
  }

  /** False: it was no member. O(1): the last member takes the place that becomes free. */
  leave(subscriber: Subscriber): boolean {
    const position = this.positions.get(subscriber)
    if (position === undefined) return false
    this.positions.delete(subscriber)
    const gone = this.members[position]
    const last = this.members.pop()
    if (last !== undefined && last !== gone) {
      this.members[position] = last
      this.positions.set(last.subscriber, position)
    }
    gone?.release()
    if (this.favourite === subscriber) this.favourite = undefined
    return true
  }

  /**
   * Who gets the message: a connected member, else one with a session, which queues it; undefined: nobody is left, or it goes to another
   * node.
   */
  pick(message: Message, except?: Subscriber): Route | undefined {
    return this.elsewhere === undefined ? this.pickHere(message, except) : this.elsewhere.pick(message)
  }

  /** Among the members of this node. */
  pickHere(message: Message, except?: Subscriber): Route | undefined {
    return this.pickConnected(message, except) ?? this.pickAny(message, except)
  }

  /** Members with a client that is there, exact up to `enough`. O(members that are away). */
  connectedCount(enough = Infinity): number {
    let count = 0
    for (const { subscriber } of this.members) if (subscriber.connected && ++count >= enough) break
    return count
  }

  /**
   * Gives a message that `from` has not acknowledged to another connected member; false: there is none, `from` keeps it. Not for QoS 2
   * that has been sent once: it stays with its session [MQTT-4.8.2-5].
   */
  redispatch(message: Message, from: Subscriber): boolean {
    const route = this.pickConnected(message, from)
    if (route === undefined) return this.elsewhere?.redispatch(message) === true
    route.subscriber.deliver(message, route)
    return true
  }

  pickConnected(message: Message, except: Subscriber | undefined): Route | undefined {
    const count = this.members.length
    if (count === 0) return undefined
    switch (this.strategy) {
      case "round_robin":
      case "local": { // between nodes it means this one, here it means nothing
        const position = this.nextConnected(this.turn, except)
        if (position < 0) return undefined
        this.turn = position + 1
        return this.members[position]
      }
      case "random":
        return this.members[this.randomConnected(except)]
      case "hash_clientid":
        return this.members[this.nextConnected(hash(message.publisher) % count, except)]
      case "hash_topic":
        return this.members[this.nextConnected(hash(message.topic) % count, except)]
      case "sticky": {
        const favourite = this.favourite
        if (favourite !== undefined && favourite.connected && favourite !== except) {
          const position = this.positions.get(favourite)
          if (position !== undefined) return this.members[position]
        }
        const route = this.members[this.randomConnected(except)]
        if (route !== undefined) this.favourite = route.subscriber
        return route
      }
    }
  }

  /** Nobody is connected: the same order, whoever it is. */
  private pickAny(message: Message, except: Subscriber | undefined): Route | undefined {
    const count = this.members.length
    if (count === 0) return undefined
    let start: number
    switch (this.strategy) {
      case "hash_clientid":
        start = hash(message.publisher) % count
        break
      case "hash_topic":
        start = hash(message.topic) % count
        break
      case "random":
        start = Math.floor(this.random() * count)
        break
      case "sticky":
        start = (this.favourite === undefined ? undefined : this.positions.get(this.favourite)) ?? 0
        break
      case "round_robin":
      case "local":
        start = this.turn % count
    }
    let route = this.members[start]
    if (route?.subscriber === except) {
      if (count === 1) return undefined
      start = (start + 1) % count
      route = this.members[start]
    }
    this.turn = start + 1
    return route
  }

  /** The position of the first connected member from `start` on, around the end; -1 when there is none. O(members that are away). */
  private nextConnected(start: number, except: Subscriber | undefined): number {
    const members = this.members
    const count = members.length
    for (let step = 0, position = start >= count ? start % count : start; step < count; step++) {
      const subscriber = members[position]?.subscriber
      if (subscriber !== undefined && subscriber.connected && subscriber !== except) return position
      if (++position === count) position = 0
    }
    return -1
  }

  private randomConnected(except: Subscriber | undefined): number {
    const count = this.members.length
    for (let draw = 0; draw < randomDraws; draw++) {
      const position = Math.floor(this.random() * count)
      const subscriber = this.members[position]?.subscriber
      if (subscriber !== undefined && subscriber.connected && subscriber !== except) return position
    }
    return this.nextConnected(Math.floor(this.random() * count), except)
  }
}

/** FNV-1a over UTF-16 units, with the high bits mixed into the low ones that the remainder looks at; never negative. */
const hash = (text: string): number => {
  let h = fnv1a(text)
  h = Math.imul(h ^ (h >>> 15), 0x85ebca6b)
  return (h ^ (h >>> 13)) >>> 0
}
