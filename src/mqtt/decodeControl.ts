import { Buffer } from "node:buffer"
import { ByteReader } from "./ByteReader.ts"
import { decodeConnect } from "./decodeConnect.ts"
import type { FrameReader } from "./FrameReader.ts"
import {
  type Auth,
  type ControlPacket,
  type Disconnect,
  PacketType,
  type Pingreq,
  type ProtocolVersion,
  type Subscribe,
  type SubscriptionRequest,
  type Unsubscribe
} from "./Packet.ts"
import { copied, parsePacket } from "./PacketParser.ts"
import { type FoundProperties, noUserProperties, PacketKind, Property, readProperties } from "./Properties.ts"
import { ProtocolError } from "./ProtocolError.ts"
import { ReasonCode } from "./ReasonCode.ts"
import { parseSharedFilter } from "./Topic.ts"

/**
 * The packets that a client sends beside PUBLISH and its acknowledgements: first a walk over the bytes that makes every check of the
 * specifications, then mqtt-packet for the values. User properties come from the walk: mqtt-packet loses their order.
 */

/** `version` is ignored for CONNECT, which brings its own. Throws ProtocolError, also for a type that no client sends. */
export const decodeControl = (reader: FrameReader, version: ProtocolVersion): ControlPacket => {
  const type = reader.header >> 4
  const flags = reader.header & 0x0f
  switch (type) {
    case PacketType.Connect:
      expectFlags(flags, 0, "MQTT-2.2.2-2")
      return decodeConnect(reader)
    case PacketType.Subscribe:
      // [MQTT-3.8.1-1]
      expectRequestFlags(flags, version, "MQTT-3.8.1-1")
      return decodeSubscribe(reader, version)
    case PacketType.Unsubscribe:
      // [MQTT-3.10.1-1]
      expectRequestFlags(flags, version, "MQTT-3.10.1-1")
      return decodeUnsubscribe(reader, version)
    case PacketType.Pingreq:
      expectFlags(flags, 0, "MQTT-2.2.2-2")
      if (reader.end !== reader.bodyStart) throw malformed("MQTT5-3.12.1", "a PINGREQ with a body")
      return pingreq
    case PacketType.Disconnect:
      // [MQTT-3.14.1-1]
      expectFlags(flags, 0, "MQTT-3.14.1-1")
      return decodeDisconnect(reader, version)
    case PacketType.Auth:
      if (version !== 5) throw malformed("MQTT-4.8.0-1", "packet type 15 before MQTT 5")
      // [MQTT-3.15.1-1]
      expectFlags(flags, 0, "MQTT-3.15.1-1")
      return decodeAuth(reader)
    default:
      throw type === 0
        ? malformed("MQTT5-2.1.2", "packet type 0")
        : protocolError("MQTT5-2.1.2", `packet type ${type}, which a client does not send`)
  }
}

const pingreq: Pingreq = { _tag: "Pingreq" }

const decodeSubscribe = (reader: FrameReader, version: ProtocolVersion): Subscribe => {
  const bytes = new ByteReader(reader.buffer, reader.bodyStart, reader.end)
  checkIdentifier(bytes)
  const found = version === 5 ? readProperties(bytes, PacketKind.Subscribe) : nothing
  // [MQTT-3.8.3-3] [MQTT5-3.8.3-2]
  if (bytes.left === 0) {
    throw empty(version === 5 ? "MQTT5-3.8.3-2" : "MQTT-3.8.3-3", version, "a SUBSCRIBE without a filter")
  }
  while (bytes.left > 0) {
    const filter = checkFilter(bytes)
    checkOptions(bytes.byte(), version, bytes, filter)
  }
  const packet = parsePacket(version, "subscribe", frameOf(reader, 0x82))
  return {
    _tag: "Subscribe",
    packetIdentifier: packet.messageId ?? 0,
    subscriptions: packet.subscriptions.map(({ topic, qos, nl, rap, rh }): SubscriptionRequest => ({
      topicFilter: topic,
      qos,
      noLocal: nl === true,
      retainAsPublished: rap === true,
      retainHandling: rh === 1 || rh === 2 ? rh : 0
    })),
    subscriptionIdentifier: packet.properties?.subscriptionIdentifier ?? 0,
    userProperties: found.userProperties
  }
}

const decodeUnsubscribe = (reader: FrameReader, version: ProtocolVersion): Unsubscribe => {
  const bytes = new ByteReader(reader.buffer, reader.bodyStart, reader.end)
  checkIdentifier(bytes)
  const found = version === 5 ? readProperties(bytes, PacketKind.Unsubscribe) : nothing
  // [MQTT-3.10.3-2]
  if (bytes.left === 0) throw empty("MQTT-3.10.3-2", version, "an UNSUBSCRIBE without a filter")
  // [MQTT-3.10.3-1]
  while (bytes.left > 0) checkFilter(bytes)
  const packet = parsePacket(version, "unsubscribe", frameOf(reader, 0xa2))
  return {
    _tag: "Unsubscribe",
    packetIdentifier: packet.messageId ?? 0,
    topicFilters: packet.unsubscriptions,
    userProperties: found.userProperties
  }
}

const decodeDisconnect = (reader: FrameReader, version: ProtocolVersion): Disconnect => {
  const bytes = new ByteReader(reader.buffer, reader.bodyStart, reader.end)
  if (version !== 5) bytes.expectEnd()
  const reasonCode = bytes.left === 0 ? ReasonCode.NormalDisconnection : bytes.byte()
  // [MQTT-3.14.2-1]
  if (!disconnectReasons.includes(reasonCode)) {
    throw protocolError("MQTT-3.14.2-1", `reason code ${reasonCode} in a DISCONNECT from a client`)
  }
  const found = bytes.left === 0 ? nothing : readProperties(bytes, PacketKind.Disconnect)
  bytes.expectEnd()
  const { properties } = parsePacket(version, "disconnect", frameOf(reader, 0xe0))
  return {
    _tag: "Disconnect",
    reasonCode,
    sessionExpiryInterval: properties?.sessionExpiryInterval,
    reasonString: properties?.reasonString,
    serverReference: properties?.serverReference,
    userProperties: found.userProperties
  }
}

/** Those of section 3.14.2.1 that a client may send; the others are the server's. */
const disconnectReasons: ReadonlyArray<number> = [
  ReasonCode.NormalDisconnection,
  ReasonCode.DisconnectWithWillMessage,
  ReasonCode.UnspecifiedError,
  ReasonCode.MalformedPacket,
  ReasonCode.ProtocolError,
  ReasonCode.ImplementationSpecificError,
  ReasonCode.TopicNameInvalid,
  ReasonCode.ReceiveMaximumExceeded,
  ReasonCode.TopicAliasInvalid,
  ReasonCode.PacketTooLarge,
  ReasonCode.MessageRateTooHigh,
  ReasonCode.QuotaExceeded,
  ReasonCode.AdministrativeAction,
  ReasonCode.PayloadFormatInvalid
]

const decodeAuth = (reader: FrameReader): Auth => {
  const bytes = new ByteReader(reader.buffer, reader.bodyStart, reader.end)
  const reasonCode = bytes.left === 0 ? ReasonCode.Success : bytes.byte()
  // [MQTT-3.15.2-1] success is the server's to say
  if (reasonCode !== ReasonCode.ContinueAuthentication && reasonCode !== ReasonCode.ReAuthenticate) {
    throw protocolError("MQTT-3.15.2-1", `reason code ${reasonCode} in an AUTH from a client`)
  }
  const found = bytes.left === 0 ? nothing : readProperties(bytes, PacketKind.Auth)
  bytes.expectEnd()
  if (!found.present.has(Property.AuthenticationMethod)) {
    throw protocolError("MQTT5-3.15.2.2.2", "an AUTH without an authentication method")
  }
  const { properties } = parsePacket(5, "auth", frameOf(reader, 0xf0))
  return {
    _tag: "Auth",
    reasonCode,
    authenticationMethod: properties?.authenticationMethod,
    authenticationData: copied(properties?.authenticationData),
    reasonString: properties?.reasonString,
    userProperties: found.userProperties
  }
}

const nothing: FoundProperties = { userProperties: noUserProperties, present: new Set() }

const checkIdentifier = (bytes: ByteReader): void => {
  // [MQTT-2.3.1-1] [MQTT-2.2.1-3]
  if (bytes.uint16() === 0) throw protocolError("MQTT-2.3.1-1", "packet identifier 0")
}

/** Moves past a topic filter and returns where its text begins. Wildcards are for the session to judge, filter by filter. */
const checkFilter = (bytes: ByteReader): number => {
  const start = bytes.position + 2
  // [MQTT-3.8.3-1] [MQTT-4.7.3-2]
  bytes.skipString()
  // [MQTT-4.7.3-1]
  if (bytes.position === start) throw protocolError("MQTT-4.7.3-1", "a topic filter without a character")
  return start
}

const checkOptions = (options: number, version: ProtocolVersion, bytes: ByteReader, filterStart: number): void => {
  if (version !== 5) {
    // [MQTT-3.8.3-4] printed in the standard as MQTT-3.8.3-4
    if (options > 2) throw malformed("MQTT-3.8.3-4", `requested QoS byte ${options}`)
    return
  }
  // [MQTT5-3.8.3-5]
  if ((options & 0xc0) !== 0) throw malformed("MQTT5-3.8.3-5", "subscription options with reserved bits")
  if ((options & 0x03) === 3) throw protocolError("MQTT5-3.8.3.1", "a subscription with QoS 3")
  if ((options & 0x30) === 0x30) throw protocolError("MQTT5-3.8.3.1", "a subscription with Retain Handling 3")
  // [MQTT5-3.8.3-4]
  if ((options & 0x04) !== 0 && bytes.buffer[filterStart] === dollar) {
    const filter = bytes.buffer.toString("utf8", filterStart, bytes.position - 1)
    if (parseSharedFilter(filter)?.group !== undefined) {
      throw protocolError("MQTT5-3.8.3-4", "No Local on a shared subscription")
    }
  }
}

const dollar = 0x24

/** The packet as mqtt-packet wants it: with the flags of later versions. */
const frameOf = (reader: FrameReader, header: number): Buffer => {
  const frame = reader.buffer.subarray(reader.start, reader.end)
  if (reader.header === header) return frame
  const copy = Buffer.from(frame)
  copy[0] = header
  return copy
}

const expectFlags = (flags: number, expected: number, clause: string): void => {
  // [MQTT-2.2.2-1] [MQTT-2.2.2-2] [MQTT-2.1.3-1]
  if (flags !== expected) throw malformed(clause, `fixed header flags ${flags} where they must be ${expected}`)
}

/** MQTT 3.1 marks a SUBSCRIBE or UNSUBSCRIBE that is sent again with DUP [MQTT31-6]. */
const expectRequestFlags = (flags: number, version: ProtocolVersion, clause: string): void =>
  expectFlags(version === 3 ? flags & ~8 : flags, 2, clause)

const empty = (clause: string, version: ProtocolVersion, message: string): ProtocolError =>
  version === 5 ? protocolError(clause, message) : malformed(clause, message)

const malformed = (clause: string, message: string): ProtocolError =>
  new ProtocolError(ReasonCode.MalformedPacket, clause, message)

const protocolError = (clause: string, message: string): ProtocolError =>
  new ProtocolError(ReasonCode.ProtocolError, clause, message)
