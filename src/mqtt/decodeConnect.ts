import { Buffer } from "node:buffer"
import type { IConnectPacket } from "mqtt-packet"
import { ByteReader } from "./ByteReader.ts"
import type { FrameReader } from "./FrameReader.ts"
import {
  type Connect,
  noMaximumPacketSize,
  type ProtocolVersion,
  type PublishProperties,
  type QoS,
  type UserProperties,
  type Will
} from "./Packet.ts"
import { copied, parsePacket } from "./PacketParser.ts"
import { type FoundProperties, noUserProperties, PacketKind, readProperties } from "./Properties.ts"
import { ProtocolError } from "./ProtocolError.ts"
import { ReasonCode } from "./ReasonCode.ts"
import { sawWildcard } from "./scanUtf8.ts"

/**
 * CONNECT of all versions: a walk over the bytes that makes every check of section 3.1, then mqtt-packet for the values.
 * What CONNECT says about the client (an empty client id, a wrong password, a version nobody offers) is the connection's
 * business; here is only whether the packet is one.
 */

const Flag = {
  Reserved: 1,
  CleanStart: 2,
  Will: 4,
  WillQoS: 0x18,
  WillRetain: 0x20,
  Password: 0x40,
  Username: 0x80
} as const

export const decodeConnect = (reader: FrameReader): Connect => {
  const found = check(new ByteReader(reader.buffer, reader.bodyStart, reader.end))
  const packet = parsePacket(1, "connect", frameFor(reader, found))
  const { version } = found
  const properties = packet.properties
  return {
    _tag: "Connect",
    protocolVersion: version,
    cleanStart: packet.clean === true,
    keepAliveSeconds: packet.keepalive ?? 0,
    clientId: packet.clientId,
    username: packet.username,
    password: copied(packet.password),
    will: packet.will === undefined ? undefined : willOf(packet.will, found.willUserProperties),
    sessionExpiryInterval: properties?.sessionExpiryInterval,
    receiveMaximum: properties?.receiveMaximum ?? 65_535,
    maximumPacketSize: properties?.maximumPacketSize ?? noMaximumPacketSize,
    topicAliasMaximum: properties?.topicAliasMaximum ?? 0,
    requestResponseInformation: properties?.requestResponseInformation ?? false,
    requestProblemInformation: properties?.requestProblemInformation ?? true,
    userProperties: found.userProperties,
    authenticationMethod: properties?.authenticationMethod,
    authenticationData: copied(properties?.authenticationData),
    bridge: found.bridge
  }
}

/**
 * The version that a CONNECT asks for, as far as its bytes tell, whether or not the rest of it is sound: so that a refusal is
 * written in words which the client understands. Undefined when it is no CONNECT or of a version that we do not know.
 */
export const connectVersion = (reader: FrameReader): ProtocolVersion | undefined => {
  if (reader.header >> 4 !== 1) return undefined
  const { buffer, bodyStart, end } = reader
  if (bodyStart + 2 > end) return undefined
  const nameEnd = bodyStart + 2 + buffer.readUInt16BE(bodyStart)
  if (nameEnd >= end) return undefined
  const level = (buffer[nameEnd] as number) & 0x7f
  return level === 3 || level === 4 || level === 5 ? level : undefined
}

interface Found {
  readonly version: ProtocolVersion
  readonly bridge: boolean
  readonly userProperties: UserProperties
  readonly willUserProperties: UserProperties
  /** Position of the flags, and what they should be: see `checkCredentials`. */
  readonly flagsAt: number
  readonly flags: number
}

// [MQTT-3.1.4-1] [MQTT5-3.1.4-1] a CONNECT that does not conform goes no further than this
const check = (bytes: ByteReader): Found => {
  const protocolName = bytes.string()
  // [MQTT-3.1.2-1]
  if (protocolName !== "MQTT" && protocolName !== "MQIsdp") {
    throw new ProtocolError(ReasonCode.UnsupportedProtocolVersion, "MQTT-3.1.2-1", "a CONNECT of another protocol")
  }
  const level = bytes.byte()
  const version = versionOf(protocolName, level & 0x7f)
  const flagsAt = bytes.position
  const flags = bytes.byte()
  checkFlags(flags, version)
  bytes.uint16()
  const found = version === 5 ? readProperties(bytes, PacketKind.Connect) : nothing
  // [MQTT-3.1.3-3] [MQTT-3.1.3-4]
  bytes.skipString()
  const willUserProperties = (flags & Flag.Will) === 0 ? noUserProperties : checkWill(bytes, version)
  const corrected = checkCredentials(bytes, version, flags)
  // [MQTT-3.1.3-1] [MQTT-3.1.2-18] [MQTT-3.1.2-20] [MQTT5-3.1.2-16] [MQTT5-3.1.2-18] in this order, and nothing that
  // no flag announces
  bytes.expectEnd()
  const { userProperties } = found
  return { version, bridge: level > 0x7f, userProperties, willUserProperties, flagsAt, flags: corrected }
}

const nothing: FoundProperties = { userProperties: noUserProperties, present: new Set() }

const versionOf = (protocolName: string, level: number): ProtocolVersion => {
  // [MQTT31-1] [MQTT31-2] each name with its own levels
  if (protocolName === "MQIsdp" ? level === 3 : level === 4 || level === 5) return level as ProtocolVersion
  // [MQTT-3.1.2-2]
  throw new ProtocolError(
    ReasonCode.UnsupportedProtocolVersion,
    "MQTT-3.1.2-2",
    `protocol level ${level} of ${protocolName}`
  )
}

const checkFlags = (flags: number, version: ProtocolVersion): void => {
  const v5 = version === 5
  // [MQTT-3.1.2-3]
  if ((flags & Flag.Reserved) !== 0) throw malformed("MQTT-3.1.2-3", "a CONNECT with the reserved flag")
  if ((flags & Flag.Will) === 0) {
    // [MQTT-3.1.2-11] [MQTT-3.1.2-13] [MQTT5-3.1.2-11]
    if ((flags & Flag.WillQoS) !== 0) {
      throw malformed(v5 ? "MQTT5-3.1.2-11" : "MQTT-3.1.2-13", "a will QoS without a will")
    }
    // [MQTT-3.1.2-15] [MQTT5-3.1.2-13]
    if ((flags & Flag.WillRetain) !== 0) {
      throw malformed(v5 ? "MQTT5-3.1.2-13" : "MQTT-3.1.2-15", "a will retain flag without a will")
    }
  }
  // [MQTT-3.1.2-14] [MQTT5-3.1.2-12]
  if ((flags & Flag.WillQoS) === Flag.WillQoS) {
    throw malformed(v5 ? "MQTT5-3.1.2-12" : "MQTT-3.1.2-14", "a will with QoS 3")
  }
  // [MQTT-3.1.2-22]; MQTT 5 allows a password alone
  if (!v5 && (flags & (Flag.Username | Flag.Password)) === Flag.Password) {
    throw malformed("MQTT-3.1.2-22", "a password without a user name")
  }
}

const checkWill = (bytes: ByteReader, version: ProtocolVersion): UserProperties => {
  // [MQTT-3.1.2-9]
  const found = version === 5 ? readProperties(bytes, PacketKind.Will) : nothing
  const start = bytes.position
  // [MQTT-3.1.3-10] [MQTT5-3.1.3-11]
  const seen = bytes.skipString()
  // [MQTT-3.3.2-2] [MQTT-4.7.3-1]
  if ((seen & sawWildcard) !== 0 || bytes.position === start + 2) {
    throw new ProtocolError(ReasonCode.TopicNameInvalid, "MQTT-3.3.2-2", "a will topic that is no topic name")
  }
  bytes.skipBinary()
  return found.userProperties
}

/**
 * User name and password are there exactly when their flags say so, save that MQTT 3.1 lets the end of the packet take precedence
 * over the flags: there the flags are returned without those that nothing follows.
 */
const checkCredentials = (bytes: ByteReader, version: ProtocolVersion, flags: number): number => {
  let corrected = flags
  for (const flag of [Flag.Username, Flag.Password]) {
    if ((flags & flag) === 0) continue
    // [MQTT31-5]
    if (version === 3 && bytes.left === 0) corrected &= ~flag
    // [MQTT-3.1.2-19] [MQTT-3.1.3-11] [MQTT5-3.1.2-17] [MQTT5-3.1.3-12]
    else if (flag === Flag.Username) bytes.skipString()
    // [MQTT-3.1.2-21] [MQTT5-3.1.2-19]
    else bytes.skipBinary()
  }
  return corrected
}

const frameFor = (reader: FrameReader, found: Found): Buffer => {
  const frame = reader.buffer.subarray(reader.start, reader.end)
  if (reader.buffer[found.flagsAt] === found.flags) return frame
  const corrected = Buffer.from(frame)
  corrected[found.flagsAt - reader.start] = found.flags
  return corrected
}

const willOf = (will: NonNullable<IConnectPacket["will"]>, userProperties: UserProperties): Will => ({
  topic: will.topic,
  payload: copied(will.payload) ?? new Uint8Array(0),
  qos: (will.qos ?? 0) as QoS,
  retain: will.retain === true,
  delayIntervalSeconds: will.properties?.willDelayInterval ?? 0,
  properties: willPropertiesOf(will.properties, userProperties)
})

const willPropertiesOf = (
  from: NonNullable<IConnectPacket["will"]>["properties"],
  userProperties: UserProperties
): PublishProperties | null => {
  if (from === undefined) return null
  const to: { -readonly [K in keyof PublishProperties]: PublishProperties[K] } = {}
  if (from.payloadFormatIndicator !== undefined) to.payloadFormatIndicator = from.payloadFormatIndicator ? 1 : 0
  if (from.messageExpiryInterval !== undefined) to.messageExpiryInterval = from.messageExpiryInterval
  if (from.contentType !== undefined) to.contentType = from.contentType
  if (from.responseTopic !== undefined) to.responseTopic = from.responseTopic
  if (from.correlationData !== undefined) to.correlationData = copied(from.correlationData)
  // [MQTT5-3.1.3-10] their order is kept
  if (userProperties.length > 0) to.userProperties = userProperties
  return Object.keys(to).length === 0 ? null : to
}

const malformed = (clause: string, message: string): ProtocolError =>
  new ProtocolError(ReasonCode.MalformedPacket, clause, message)
