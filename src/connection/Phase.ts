// Where a connection stands between accept and close, and how it may end.
import type { Settings } from "../config/Settings.ts"
import type { Disconnect } from "../mqtt/Packet.ts"
import { ProtocolError } from "../mqtt/ProtocolError.ts"
import { ReasonCode, reasonName } from "../mqtt/ReasonCode.ts"
import { expiryOfInterval } from "./handshake.ts"

/** Frames are read in AwaitingConnect, Authenticating and Connected; in Opening and Waiting somebody's answer is awaited. */
export const Phase = { AwaitingConnect: 0, Opening: 1, Connected: 2, Waiting: 3, Closed: 4, Authenticating: 5 } as const
export type Phase = (typeof Phase)[keyof typeof Phase]

/** [MQTT-3.1.0-2] [MQTT5-3.1.0-2] a second CONNECT is a protocol error */
export const secondConnect = (): ProtocolError =>
  new ProtocolError(ReasonCode.ProtocolError, "MQTT-3.1.0-2", "a second CONNECT")

/** How a connection ended, for its log line and its session. */
export interface Ending {
  readonly publishWill: boolean
  /** Changed by DISCONNECT; undefined: as CONNECT said. */
  readonly expiryMillis: number | undefined
  /** One word (session/Presence.ts). */
  readonly because: string
}

/** The socket went. */
export const withoutDisconnect: Ending = { publishWill: true, expiryMillis: undefined, because: "closed" }

/** The server ends it. The original's words where it has one, else the name of the reason code. */
export const endedFor = (reasonCode: number): Ending => {
  const because = words.get(reasonCode) ?? reasonName(reasonCode).toLowerCase().replaceAll(" ", "_")
  return { ...withoutDisconnect, because }
}

const words: ReadonlyMap<number, string> = new Map([
  [ReasonCode.KeepAliveTimeout, "keepalive_timeout"],
  [ReasonCode.SessionTakenOver, "conflict"],
  [ReasonCode.AdministrativeAction, "kick"]
])

/** What DISCONNECT says. `endsWithSession`: the session was to end with this connection. Throws ProtocolError. */
export const endingOf = (settings: Settings, packet: Disconnect, endsWithSession: boolean): Ending => {
  const interval = packet.sessionExpiryInterval
  if (interval !== undefined && interval > 0 && endsWithSession) {
    // Section 3.14.2.2.2: a session that was to end with its connection cannot be kept now
    throw new ProtocolError(ReasonCode.ProtocolError, "MQTT5-3.14.2.2.2", "session expiry above 0 after 0 in CONNECT")
  }
  return {
    publishWill: packet.reasonCode !== ReasonCode.NormalDisconnection, // [MQTT-3.14.4-3] [MQTT5-3.14.4-3]
    expiryMillis: interval === undefined ? undefined : expiryOfInterval(settings, interval),
    because: "normal"
  }
}
