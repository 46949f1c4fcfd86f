// What a CONNECT is answered: a refusal with its reason, or the terms of the connection. Plain functions of the packet,
// the settings and the peer; the connection does what they say.
import type { Settings } from "../config/Settings.ts"
import type { Connack } from "../mqtt/encodeControl.ts"
import { type Connect, PacketType } from "../mqtt/Packet.ts"
import { ProtocolError } from "../mqtt/ProtocolError.ts"
import { ReasonCode } from "../mqtt/ReasonCode.ts"
import { levelsOf } from "../mqtt/Topic.ts"

/** What holds for one connection, as the client asked and the settings allow. */
export interface Terms {
  readonly clientId: string
  /** The server chose the client id, and MQTT 5 clients are told [MQTT5-3.2.2-16]. */
  readonly assigned: boolean
  readonly expiryMillis: number
  readonly keepAliveSeconds: number
  /** The connection ends then, ms since 1970; Infinity: not of itself. */
  readonly endsAt: number
}

/** How the client has proved who it is. */
interface Enhanced {
  readonly method: string
  readonly lastData: Uint8Array | undefined
}

export interface Refusal {
  readonly reasonCode: number
  /** For the log; and for an MQTT 5 client, where nothing else is to be said. */
  readonly reason: string
  readonly told?: string
}

export const registryOverloaded: Refusal = {
  reasonCode: ReasonCode.ServerBusy,
  reason: "the registry of sessions is overloaded"
}

const neverExpires = 0xffff_ffff

/** What does not begin as a CONNECT is not waited for: an HTTP request, a TLS handshake, a scanner [MQTT-3.1.0-1] [MQTT5-3.1.0-1]. */
export const judgeFirstByte = (chunk: Buffer): void => {
  // A TLS record begins with the type of a CONNECT and flags that no CONNECT has.
  const first = chunk[0]
  if (first === connectHeader || first === undefined) return
  const spoken = otherProtocol(chunk)
  // The flags of a CONNECT are judged where those of every packet are [MQTT-2.2.2-2].
  if (first >> 4 === PacketType.Connect && spoken === undefined) return
  const what = spoken === undefined
    ? "the first packet is not a CONNECT"
    : `the first packet is not a CONNECT: ${spoken}`
  throw new ProtocolError(ReasonCode.ProtocolError, "MQTT-3.1.0-1", what)
}

const connectHeader = PacketType.Connect << 4
const httpRequest = /^(?:GET|POST|HEAD|PUT|OPTIONS) /

/** A hint for the operator's log: what most often comes to the wrong port. */
const otherProtocol = (chunk: Buffer): string | undefined => {
  if (chunk[0] === 0x16 && (chunk[1] === undefined || chunk[1] === 3)) {
    return "a TLS handshake; this listener speaks without TLS, one of type tls or wss is meant"
  }
  if (httpRequest.test(chunk.toString("latin1", 0, 8))) {
    return "an HTTP request; for WebSocket a listener of type ws or wss is meant"
  }
  return undefined
}

/** What can be said before anybody is asked who it is; undefined: nothing against it. */
export const judgeConnect = ({ connection }: Settings, connect: Connect): Refusal | undefined => {
  const { clientId, will } = connect
  // [MQTT-3.1.3-5] [MQTT5-3.1.3-5] 23 bytes at least, of any characters; [MQTT-3.1.3-9] [MQTT5-3.1.3-8] longer is
  // refused
  if (Buffer.byteLength(clientId) > connection.maxClientIdLength) {
    return refuse(ReasonCode.ClientIdentifierNotValid, "client id longer than connection.max_client_id_length")
  }
  if (clientId === "" && (connect.protocolVersion === 3 || (connect.protocolVersion === 4 && !connect.cleanStart))) {
    // [MQTT-3.1.3-7] [MQTT-3.1.3-8] [MQTT-3.1.3-9] [MQTT31-4] no name to keep a session under
    return refuse(ReasonCode.ClientIdentifierNotValid, "empty client id")
  }
  if (will !== undefined) {
    // [MQTT5-3.2.2-12] [MQTT5-3.2.2-13]
    if (will.qos > connection.maximumQoS) {
      return refuse(ReasonCode.QoSNotSupported, "QoS of the will above connection.maximum_qos")
    }
    if (will.retain && !connection.retainAvailable) return refuse(ReasonCode.RetainNotSupported, "retained will")
    if (levelsOf(will.topic) > connection.maxTopicLevels || Buffer.byteLength(will.topic) > connection.maxTopicLength) {
      return refuse(ReasonCode.TopicNameInvalid, "will topic too long or too deep")
    }
  }
  return undefined
}

export const termsOf = (
  settings: Settings,
  connect: Connect,
  { clientId, endsAt }: Pick<Terms, "clientId" | "endsAt">
): Terms => {
  const keepAlive = connect.keepAliveSeconds
  const maxKeepAlive = settings.connection.maxKeepAliveSeconds
  return {
    clientId,
    endsAt,
    assigned: connect.clientId === "",
    expiryMillis: sessionExpiryMillis(settings, connect),
    // [MQTT5-3.1.2-21] [MQTT5-3.2.2-22] the client's own, unless it is told another one
    keepAliveSeconds: maxKeepAlive > 0 && (keepAlive === 0 || keepAlive > maxKeepAlive) ? maxKeepAlive : keepAlive
  }
}

/** MQTT 5 says it in seconds, the older versions by clean session alone. */
const sessionExpiryMillis = (settings: Settings, connect: Connect): number => {
  const { maxExpiryMillis, persistentExpiryMillis } = settings.session
  if (connect.protocolVersion !== 5) return connect.cleanStart ? 0 : Math.min(persistentExpiryMillis, maxExpiryMillis)
  return expiryOfInterval(settings, connect.sessionExpiryInterval ?? 0)
}

/** Seconds of MQTT 5 to ms, within the maximum; 0xFFFFFFFF is for ever. */
export const expiryOfInterval = (settings: Settings, seconds: number): number =>
  Math.min(seconds === neverExpires ? Infinity : seconds * 1000, settings.session.maxExpiryMillis)

/**
 * The CONNACK of an accepted connection, with the authentication method of CONNECT, if any [MQTT5-4.12.0-5] [MQTT5-4.12.0-6]; says what differs from
 * what the client asked or would assume.
 */
export const acceptance = (
  settings: Settings,
  connect: Connect,
  terms: Terms,
  sessionPresent: boolean,
  enhanced: Enhanced | null
): Connack => {
  const { connection } = settings
  const asked = expiryAsked(connect)
  return {
    version: connect.protocolVersion,
    sessionPresent,
    reasonCode: ReasonCode.Success,
    sessionExpiryInterval: terms.expiryMillis < asked ? Math.ceil(terms.expiryMillis / 1000) : undefined,
    receiveMaximum: connection.receiveMaximum < 65_535 ? connection.receiveMaximum : undefined,
    // [MQTT5-3.2.2-9]
    maximumQoS: connection.maximumQoS < 2 ? connection.maximumQoS : undefined,
    retainAvailable: connection.retainAvailable ? undefined : false,
    maximumPacketSize: connection.maxPacketSize,
    assignedClientIdentifier: terms.assigned ? terms.clientId : undefined,
    topicAliasMaximum: connection.topicAliasMaximum > 0 ? connection.topicAliasMaximum : undefined,
    wildcardSubscriptionAvailable: connection.wildcardAvailable ? undefined : false,
    sharedSubscriptionAvailable: connection.sharedAvailable ? undefined : false,
    // [MQTT5-3.2.2-21]
    serverKeepAlive: terms.keepAliveSeconds === connect.keepAliveSeconds ? undefined : terms.keepAliveSeconds,
    // [MQTT5-3.1.2-28] only for those who ask
    responseInformation: connect.requestResponseInformation && connection.responseInformation !== ""
      ? connection.responseInformation
      : undefined,
    authenticationMethod: enhanced?.method,
    authenticationData: enhanced?.lastData
  }
}

/** [MQTT-3.1.2-24] [MQTT5-3.1.2-22] one and a half times the Keep Alive, 0 is never */
export const idleMillisOf = ({ connection }: Settings, { keepAliveSeconds }: Terms): number =>
  keepAliveSeconds * 1000 * connection.keepAliveMultiplier || Infinity

const expiryAsked = (connect: Connect): number => {
  if (connect.protocolVersion !== 5 || connect.sessionExpiryInterval === undefined) return 0
  return connect.sessionExpiryInterval === neverExpires ? Infinity : connect.sessionExpiryInterval * 1000
}

const refuse = (reasonCode: number, reason: string): Refusal => ({ reasonCode, reason })
