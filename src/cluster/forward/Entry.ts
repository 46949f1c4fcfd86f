// One message with QoS 1 or 2 that one peer is owed, in that peer's stream; and what is said about a message beside its bytes. Plain data.
import type { Message } from "../../mqtt/Message.ts"
import type { Forward } from "../../router/Forward.ts"
import { RouteLevel } from "../../router/RemoteRoutes.ts"

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

/** Place in the stream from one node to another: `epoch` of the sender's start, then `sequence` from 1 on. */
export interface Position {
  readonly epoch: number
  readonly sequence: number
}

export const nowhere: Position = { epoch: 0, sequence: 0 }

export const isAfter = (one: Position, other: Position): boolean =>
  one.epoch > other.epoch || (one.epoch === other.epoch && one.sequence > other.sequence)

export class Entry implements Position {
  epoch: number
  sequence: number
  readonly message: Message
  readonly target: Target
  /** Owed: kept for the peer while it is down. */
  readonly level: RouteLevel
  /** When it was queued, ms. */
  readonly at: number
  readonly bytes: number
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
    forward: Forward | null
  ) {
    this.epoch = position.epoch
    this.sequence = position.sequence
    this.message = message
    this.target = target
    this.level = level
    this.at = at
    this.forward = forward
    this.bytes = message.end - message.start + 200
  }

  get isOwed(): boolean {
    return this.level === RouteLevel.Owed
  }

  get isStored(): boolean {
    return this.storedIn !== 0
  }
}
