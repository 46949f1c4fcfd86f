// What a session sees of the connection that is attached to it. The connection implements it; events are the only way
// in which a session speaks to its connection, beside the bytes that it appends to the outlet.
import type { ProtocolVersion } from "../mqtt/Packet.ts"
import type { OutgoingAliases } from "./OutgoingAliases.ts"
import type { Outlet } from "./Outlet.ts"
import type { Session } from "./Session.ts"

export type LinkEvent =
  | { readonly _tag: "Attached"; readonly session: Session; readonly sessionPresent: boolean }
  | { readonly _tag: "Refused"; readonly reasonCode: number; readonly reason: string }
  | { readonly _tag: "Subscribed"; readonly packetIdentifier: number; readonly reasonCodes: ReadonlyArray<number> }
  | { readonly _tag: "Unsubscribed"; readonly packetIdentifier: number; readonly reasonCodes: ReadonlyArray<number> }
  /** The server ends the connection: taken over, administrative action, a crash of its session, shutdown. */
  | { readonly _tag: "Close"; readonly reasonCode: number; readonly reason: string }

export interface ClientLink {
  readonly version: ProtocolVersion
  readonly outlet: Outlet
  /** False until CONNACK has been written. */
  readonly accepting: boolean
  /** Unacknowledged QoS 1 and 2 that the client takes at a time. */
  readonly receiveMaximum: number
  /** Bytes of a whole packet; a larger one is not sent [MQTT5-3.1.2-24]. */
  readonly maximumPacketSize: number
  /** Undefined: the client takes no aliases. */
  readonly aliases: OutgoingAliases | undefined
  /** One push into the connection's mailbox. */
  post(event: LinkEvent): void
}
