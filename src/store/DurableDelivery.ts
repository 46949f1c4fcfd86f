// One message that one durable session is owed, as its session and the Journal know it: kept in the session's queue or inflight
// window for as long as it is owed. Invariant: once its group has gone to the writer only the journal's later groups change it on disk.
import type { Recorded } from "../mqtt/Message.ts"
import { type DeliveryRow, DeliveryState } from "./Engine.ts"

export class DurableDelivery {
  readonly session: number
  readonly sequence: number
  readonly recorded: Recorded
  readonly qos: 1 | 2
  readonly retain: boolean
  readonly topicFilter: string
  readonly subscriptionIdentifiers: ReadonlyArray<number> | undefined
  state: DeliveryState = DeliveryState.Queued
  packetIdentifier = 0
  done = false
  /** The group that it is recorded in; 0: it was read from the store. */
  readonly group: number
  /** The group whose states name it. */
  notedIn = 0

  constructor(
    session: number,
    sequence: number,
    recorded: Recorded,
    qos: 1 | 2,
    retain: boolean,
    topicFilter: string,
    subscriptionIdentifiers: ReadonlyArray<number> | undefined,
    group: number
  ) {
    this.session = session
    this.sequence = sequence
    this.recorded = recorded
    this.qos = qos
    this.retain = retain
    this.topicFilter = topicFilter
    this.subscriptionIdentifiers = subscriptionIdentifiers
    this.group = group
  }

  /** One that was read back. */
  static stored(row: DeliveryRow): DurableDelivery {
    const delivery = new DurableDelivery(
      row.session,
      row.sequence,
      { group: 0, number: row.message, users: 1, withdrawn: false },
      row.qos,
      row.retain,
      row.topicFilter,
      row.subscriptionIdentifiers,
      0
    )
    delivery.state = row.state
    delivery.packetIdentifier = row.packetIdentifier
    return delivery
  }
}
