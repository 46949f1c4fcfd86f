// One subscription of one session, as plain data. The session keeps it; the router makes its routes out of it, and again after a crash.
import type { QoS } from "../mqtt/Packet.ts"

/** Immutable: subscribing again is another object. */
export interface Subscription {
  /** As the client wrote it: "$share/g/a/+" whole. The key of UNSUBSCRIBE. */
  readonly topicFilter: string
  /** The part that is matched: "a/+". */
  readonly filter: string
  /** The share name; "$queue" for "$queue/…"; undefined when the subscription is not shared. */
  readonly group: string | undefined
  /** "$local/…": never announced to other nodes. */
  readonly local: boolean
  readonly qos: QoS
  readonly noLocal: boolean
  readonly retainAsPublished: boolean
  readonly retainHandling: 0 | 1 | 2
  /** 0 = none. */
  readonly subscriptionIdentifier: number
}
