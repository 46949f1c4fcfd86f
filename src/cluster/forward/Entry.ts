// What goes from one node to another: runs of PUBLISH packets of one publisher that came in back to back, as they came. One that has a place in
// the stream (QoS 1 and 2) is an Entry: it is acknowledged, sent again and taken as one. Plain data, owned by a PeerStream. Invariant: the
// packets of a run lie one behind the other in its buffer, and only the last one of a stream grows, before it is sent.
import { Buffer } from "node:buffer"
import type { Message } from "../../mqtt/Message.ts"
import { Shape } from "../../mqtt/publishLayout.ts"
import type { Forward } from "../../router/Forward.ts"
import { RouteLevel } from "../../router/RemoteRoutes.ts"
import { contentOf } from "../../store/storedMessage.ts"

/** To whom on the peer a message goes. */
export interface Target {
  /** To all normal subscriptions that match. */
  readonly routes: boolean
  /** Keys of the shared groups of which one member there gets it. */
  readonly groups: ReadonlyArray<string>
  /** Nodes that have handed the groups on already: 0 for the publisher's own. */
  readonly hops: number
}

export const noGroupKeys: ReadonlyArray<string> = []
export const toRoutes: Target = { routes: true, groups: noGroupKeys, hops: 0 }
export const mostHops = 3

/** Instead of the key of a group: those sessions alone that have this gap (gapFrames.ts). */
export const isGapKey = (key: string): boolean => key.startsWith("$gap/")

/**
 * Place in the stream from one node to another: `epoch` of the sender's start, then `sequence`, which counts what the sender has published and kept: a
 * message that goes to several nodes has the same place in each stream, and streams have gaps.
 */
export interface Position {
  readonly epoch: number
  readonly sequence: number
}

export const nowhere: Position = { epoch: 0, sequence: 0 }

export const isAfter = (one: Position, other: Position): boolean =>
  one.epoch > other.epoch || (one.epoch === other.epoch && one.sequence > other.sequence)

/** A run does not grow beyond this. */
const mostRunBytes = 32 * 1024
/** An alias ends with its connection, an expiry is written anew by each hop. */
const alone = Shape.TopicAlias | Shape.Expiry

export class Run {
  buffer: Buffer
  start: number
  end: number
  count = 1
  /** Of each packet but for what its first byte says. */
  readonly shape: number
  readonly publisher: string
  readonly receivedAt: number
  readonly expiresAt: number
  readonly target: Target

  constructor(message: Message, target: Target) {
    const { expiresAt, publisher, receivedAt, shape } = message
    this.publisher = publisher
    this.receivedAt = receivedAt
    this.expiresAt = expiresAt
    this.target = target
    this.shape = shape & (Shape.Version5 | Shape.Expiry)
    if ((shape & Shape.TopicAlias) === 0) {
      this.buffer = message.buffer
      this.start = message.start
      this.end = message.end
    } else {
      const { packet } = contentOf(message)
      this.buffer = Buffer.from(packet.buffer, packet.byteOffset, packet.byteLength)
      this.start = 0
      this.end = packet.length
    }
  }

  get size(): number {
    return this.end - this.start
  }

  /** True: the message lies behind the last one and has become part of it. */
  extend(message: Message, target: Target): boolean {
    if (
      message.start !== this.end || message.buffer !== this.buffer || target !== this.target ||
      (message.shape & (alone | Shape.Version5)) !== this.shape || message.receivedAt !== this.receivedAt ||
      message.publisher !== this.publisher || message.end - this.start > mostRunBytes
    ) return false
    this.end = message.end
    this.count++
    return true
  }

  /** Takes its bytes out of a chunk that is much larger: before it is kept for long. */
  detach(): void {
    const { size } = this
    if (this.buffer.length <= 4096 || size * 2 >= this.buffer.length) return
    const own = Buffer.allocUnsafeSlow(size)
    this.buffer.copy(own, 0, this.start, this.end)
    this.buffer = own
    this.start = 0
    this.end = size
  }
}

/** What an entry costs in memory beside its bytes. */
export const entryBytes = 200

export class Entry extends Run implements Position {
  epoch: number
  sequence: number
  /** The first one. */
  readonly message: Message
  /** The nodes that it was given to when it was published, by number; undefined: not known. */
  readonly given: ReadonlyArray<number> | undefined
  readonly level: RouteLevel
  /** When it was queued, ms. */
  readonly at: number
  /** Null: nobody waits for it (any more). */
  forward: Forward | null
  /** The journal's group in which the outbox has it; 0: it is in memory only; -1: the outbox had it at the start. */
  storedIn = 0

  constructor(
    position: Position,
    message: Message,
    target: Target,
    level: RouteLevel,
    at: number,
    forward: Forward | null,
    given: ReadonlyArray<number> | undefined
  ) {
    super(message, target)
    this.epoch = position.epoch
    this.sequence = position.sequence
    this.message = message
    this.level = level
    this.at = at
    this.forward = forward
    this.given = given
  }

  /** As `extend`, where it is also the next one that was kept, and was given to the same nodes. */
  follows(message: Message, target: Target, sequence: number, given: ReadonlyArray<number> | undefined): boolean {
    return sequence === this.sequence + this.count && given === this.given && this.extend(message, target)
  }

  /** Owed: kept for the peer while it is down. */
  get isOwed(): boolean {
    return this.level === RouteLevel.Owed
  }

  get isStored(): boolean {
    return this.storedIn !== 0
  }

  get bytes(): number {
    return this.size + entryBytes
  }
}
