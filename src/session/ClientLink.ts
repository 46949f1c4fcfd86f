// What a connection and its session say to each other, and what each sees of the other. Declared on the session's floor, so that
// the connection above can implement it; beside these messages a session only appends bytes to the connection's outlet.
import type { Permissions } from "../access/rules/Permissions.ts"
import type { Subject } from "../access/rules/Rule.ts"
import type { Connect, ProtocolVersion, Subscribe, Unsubscribe } from "../mqtt/Packet.ts"
import type { Subscription } from "../router/Subscriber.ts"
import type { AwaitingPubrel } from "./AwaitingPubrel.ts"
import type { OutgoingAliases } from "./OutgoingAliases.ts"
import type { Outlet } from "./Outlet.ts"
import type { SessionDeparture } from "./RemoteSessions.ts"
import type { Services } from "./Services.ts"

export type LinkEvent =
  | { readonly _tag: "Attached"; readonly session: SessionHandle; readonly sessionPresent: boolean }
  | { readonly _tag: "Refused"; readonly reasonCode: number; readonly reason: string }
  | { readonly _tag: "Subscribed"; readonly packetIdentifier: number; readonly reasonCodes: ReadonlyArray<number> }
  | { readonly _tag: "Unsubscribed"; readonly packetIdentifier: number; readonly reasonCodes: ReadonlyArray<number> }
  /** The server ends the connection: taken over, administrative action, a crash of its session, shutdown. */
  | { readonly _tag: "Close"; readonly reasonCode: number; readonly reason: string }

export interface ClientLink {
  /** With the limits of its listener's zone: a session that it makes keeps them. */
  readonly services: Services
  /** Who it is to the access rules. */
  readonly subject: Subject
  /** What it may do, where answers of the access rules have to be waited for. */
  readonly asking: { readonly permissions: Permissions }
  readonly version: ProtocolVersion
  /** What is taken away from the topics that the client is sent; "" is nothing. */
  readonly mountpoint: string
  readonly outlet: Outlet
  /** False until CONNACK has been written. */
  readonly accepting: boolean
  /** Unacknowledged QoS 1 and 2 that the client takes at a time. */
  readonly receiveMaximum: number
  /** Bytes of a whole packet; a larger one is not sent [MQTT5-3.1.2-24]. */
  readonly maximumPacketSize: number
  /** Undefined: the client takes no aliases. */
  readonly aliases: OutgoingAliases | undefined
  /** It may read on. */
  wake(): void
  /** One push into the connection's mailbox. */
  post(event: LinkEvent): void
}

export type SessionCommand =
  | {
    readonly _tag: "Attach"
    readonly link: ClientLink
    readonly connect: Connect
    readonly expiryMillis: number
    readonly sessionPresent: boolean
    /** It has sent away the client that was there, and waited for answers about the subscriptions since. */
    readonly takenOver?: boolean
    /** Of the store: what has to be committed before CONNACK; 0: nothing. */
    readonly group: number
  }
  /** The connection has ended. `expiryMillis`: changed by DISCONNECT; undefined keeps what CONNECT said. */
  | {
    readonly _tag: "Detach"
    readonly link: ClientLink
    readonly publishWill: boolean
    readonly expiryMillis: number | undefined
  }
  | { readonly _tag: "Subscribe"; readonly link: ClientLink; readonly packet: Subscribe }
  | { readonly _tag: "Unsubscribe"; readonly link: ClientLink; readonly packet: Unsubscribe }
  /** The router has the subscriptions of this packet: retained messages may follow its SUBACK. */
  | {
    readonly _tag: "Subscribed"
    readonly link: ClientLink
    readonly packetIdentifier: number
    readonly reasonCodes: ReadonlyArray<number>
    readonly granted: ReadonlyArray<Subscription>
    readonly replays: ReadonlyArray<Subscription>
  }
  | {
    readonly _tag: "Unsubscribed"
    readonly link: ClientLink
    readonly packetIdentifier: number
    readonly reasonCodes: ReadonlyArray<number>
  }
  /** Its client has come to another node: it makes itself ready to go there. Null: it ends instead, there is nothing to move. */
  | { readonly _tag: "Depart"; readonly reply: (departure: SessionDeparture | null) => void }
  /** Of a move between nodes, in the session's turn. */
  | { readonly _tag: "Step"; readonly run: () => void }
  /** The session ends now, its connection with this reason. */
  | { readonly _tag: "End"; readonly reasonCode: number; readonly reason: string }

/** A session as the connection that is attached to it sees it. */
export interface SessionHandle {
  /** Lent to the attached connection, which alone reads and writes it. */
  readonly awaitingPubrel: AwaitingPubrel
  /** So many acknowledgements wait until it knows of what: its client is not to be read on, and is woken when it may. */
  readonly isBehind: boolean
  /** A PUBACK, PUBREC or PUBCOMP of the client: packet identifier | reason code << 16 | type << 24. */
  acknowledge(packed: number): void
  command(command: SessionCommand): void
  wake(): void
}
