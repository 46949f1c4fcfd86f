// The answers to a client; the last words cut to what it takes: CONNACK and DISCONNECT within its Maximum Packet Size. Plain functions.
import type { Settings } from "../config/Settings.ts"
import { connectVersion } from "../mqtt/decodeConnect.ts"
import { type Connack, encodeConnack, encodeDisconnect, encodeSuback, encodeUnsuback } from "../mqtt/encodeControl.ts"
import type { FrameReader } from "../mqtt/FrameReader.ts"
import { PacketType, type ProtocolVersion } from "../mqtt/Packet.ts"
import type { ProtocolError } from "../mqtt/ProtocolError.ts"
import { ReasonCode } from "../mqtt/ReasonCode.ts"
import type { LinkEvent } from "../session/ClientLink.ts"
import type { Refusal } from "./handshake.ts"

export const refusalConnack = (
  version: ProtocolVersion,
  { reason, reasonCode, told }: Refusal,
  /** For a server to go to instead. */
  settings?: Settings
): Connack => ({
  version,
  sessionPresent: false, // [MQTT-3.2.2-4] [MQTT5-3.2.2-6]
  // [MQTT5-3.2.2-8] one of section 3.2.2.2
  reasonCode,
  reasonString: told ?? reason,
  serverReference: settings === undefined ? undefined : serverReferenceOf(settings, reasonCode)
})

/** SUBACK or UNSUBACK. */
export const requestAnswer = (
  { _tag, packetIdentifier, reasonCodes }: Extract<LinkEvent, { _tag: "Subscribed" | "Unsubscribed" }>,
  version: ProtocolVersion
): Uint8Array =>
  _tag === "Subscribed"
    ? encodeSuback(packetIdentifier, reasonCodes, version)
    : encodeUnsuback(packetIdentifier, reasonCodes, version)

/** Without its texts where they make it too large [MQTT5-3.2.2-19] [MQTT5-3.2.2-20]; undefined: even so [MQTT5-3.1.2-24]. */
export const fittingConnack = (connack: Connack, maximumPacketSize: number): Uint8Array | undefined => {
  const full = encodeConnack(connack)
  if (full.length <= maximumPacketSize) return full
  const bare = encodeConnack({ ...connack, reasonString: undefined })
  return bare.length <= maximumPacketSize ? bare : undefined
}

/** Without its texts where they make it too large [MQTT5-3.14.2-3] [MQTT5-3.14.2-4]; undefined: even so. */
export const fittingDisconnect = (
  settings: Settings,
  { reason, reasonCode }: Refusal,
  maximumPacketSize: number
): Uint8Array | undefined => {
  const full = encodeDisconnect(reasonCode, {
    reasonString: reason === "" ? undefined : reason,
    serverReference: serverReferenceOf(settings, reasonCode)
  })
  if (full.length <= maximumPacketSize) return full
  const bare = encodeDisconnect(reasonCode)
  return bare.length <= maximumPacketSize ? bare : undefined
}

/** Where a client that is sent away for want of room or time may go instead; undefined: nowhere in particular. */
export const serverReferenceOf = ({ connection }: Settings, reasonCode: number): string | undefined =>
  sentElsewhere.has(reasonCode) && connection.serverReference !== "" ? connection.serverReference : undefined

const sentElsewhere: ReadonlySet<number> = new Set([
  ReasonCode.ServerUnavailable,
  ReasonCode.ServerBusy,
  ReasonCode.UseAnotherServer,
  ReasonCode.ServerMoved,
  ReasonCode.ServerShuttingDown
])

/**
 * The version in which a CONNECT that cannot be accepted is answered; undefined: not at all. 3.1.1 knows no answer for a
 * malformed one, but one for a level that is not supported [MQTT-3.1.2-2]; whoever names another protocol gets none in any.
 */
export const answerableVersion = (reader: FrameReader, error: ProtocolError): ProtocolVersion | undefined => {
  if (reader.header >> 4 !== PacketType.Connect || error.clause === "MQTT-3.1.2-1") return undefined
  if (connectVersion(reader) === 5) return 5
  return error.reasonCode === ReasonCode.UnsupportedProtocolVersion ? 4 : undefined
}
