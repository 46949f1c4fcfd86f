// What a session is owed and cannot be sent yet: a bounded first-in, first-out queue with a named policy when full.
// Owned by one session. Invariant: it never holds more than `capacity` messages, and every message it gives up is
// handed to the caller, who counts it.
import type { Message } from "../mqtt/Message.ts"
import type { Route } from "../router/Route.ts"
import type { DurableDelivery } from "../store/DurableDelivery.ts"

/**
 * What goes when a message meets a full queue:
 * - `drop_oldest_qos0_first`: the oldest QoS 0 message, else the oldest;
 * - `drop_oldest`: the oldest; - `drop_newest`: the one that came.
 */
export type WhenFull = "drop_oldest_qos0_first" | "drop_oldest" | "drop_newest"

/** A message on its way to one client: the route says with which QoS and identifiers. */
export interface Delivery {
  readonly message: Message
  readonly route: Route
  /** What the store has of it; null: nothing. */
  readonly record: DurableDelivery | null
}

/** Never written to: what a queue that was never used stands on. */
const noItems: Array<Delivery | undefined> = []

export class OutgoingQueue {
  readonly capacity: number
  readonly whenFull: WhenFull
  private items: Array<Delivery | undefined> = noItems
  private head = 0
  private qos0 = 0
  private live = 0

  constructor(capacity: number, whenFull: WhenFull) {
    this.capacity = capacity
    this.whenFull = whenFull
  }

  get size(): number {
    return this.live
  }

  /** How many of them go out with QoS 0. */
  get qos0Size(): number {
    return this.qos0
  }

  /** Appends; returns the message that had to go for it (which may be the same one), or undefined. */
  push(message: Message, route: Route, record: DurableDelivery | null = null): Delivery | undefined {
    const delivery = { message, route, record }
    let dropped: Delivery | undefined
    if (this.live >= this.capacity) {
      if (this.whenFull === "drop_newest" || this.capacity === 0) return delivery
      dropped = this.whenFull === "drop_oldest_qos0_first" && this.qos0 > 0 ? this.takeOldestQos0() : this.shift()
    }
    if (this.items === noItems) this.items = [delivery]
    else this.items.push(delivery)
    this.live++
    if (effectiveQos(delivery) === 0) this.qos0++
    return dropped
  }

  shift(): Delivery | undefined {
    while (this.head < this.items.length) {
      const delivery = this.items[this.head]
      this.items[this.head++] = undefined
      if (delivery === undefined) continue
      this.live--
      if (effectiveQos(delivery) === 0) this.qos0--
      this.compact()
      return delivery
    }
    return undefined
  }

  peek(): Delivery | undefined {
    while (this.head < this.items.length) {
      const delivery = this.items[this.head]
      if (delivery !== undefined) return delivery
      this.head++
    }
    return undefined
  }

  /** Oldest first. */
  toArray(): Array<Delivery> {
    return this.items.slice(this.head).filter((delivery) => delivery !== undefined)
  }

  /** The youngest. */
  get last(): Delivery | undefined {
    return this.items[this.items.length - 1]
  }

  /** Takes out every message that `gone` says is not wanted any more; returns them, oldest first. */
  removeWhere(gone: (delivery: Delivery) => boolean): Array<Delivery> {
    const removed: Array<Delivery> = []
    const kept: Array<Delivery> = []
    for (let i = this.head; i < this.items.length; i++) {
      const delivery = this.items[i]
      if (delivery !== undefined) (gone(delivery) ? removed : kept).push(delivery)
    }
    this.items = kept
    this.head = 0
    this.live = kept.length
    this.qos0 = kept.reduce((count, delivery) => count + (effectiveQos(delivery) === 0 ? 1 : 0), 0)
    return removed
  }

  private takeOldestQos0(): Delivery | undefined {
    for (let i = this.head; i < this.items.length; i++) {
      const delivery = this.items[i]
      if (delivery === undefined || effectiveQos(delivery) !== 0) continue
      this.items[i] = undefined
      this.live--
      this.qos0--
      this.compact()
      return delivery
    }
    return undefined
  }

  /** Holes and a far head are closed in one go, so that a queue that is always half full does not grow. */
  private compact(): void {
    if (this.items.length < 64 || this.live * 2 > this.items.length) return
    const kept: Array<Delivery | undefined> = []
    for (let i = this.head; i < this.items.length; i++) if (this.items[i] !== undefined) kept.push(this.items[i])
    this.items = kept
    this.head = 0
  }
}

const effectiveQos = (delivery: Delivery): number => Math.min(delivery.message.qos, delivery.route.qos)
