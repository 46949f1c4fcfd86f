import { Buffer } from "node:buffer"
import { generate } from "mqtt-packet"
import type { IConnackPacket, Packet } from "mqtt-packet"
import { headerLength } from "./FrameReader.ts"
import type { ProtocolVersion, QoS, UserProperties } from "./Packet.ts"
import { Property } from "./Properties.ts"
import { writeString } from "./publishProperties.ts"
import { connackReturnCode, ReasonCode } from "./ReasonCode.ts"
import { variableByteIntegerSize, writeVariableByteInteger } from "./variableByteInteger.ts"

/**
 * The packets that a server sends beside PUBLISH and its acknowledgements, written by mqtt-packet; user properties are put in here,
 * because mqtt-packet loses their order. Who calls sees to the client's maximum packet size and Request Problem Information.
 */

/** Absent = not sent. For 3.1 and 3.1.1 all but sessionPresent and the reason is left out, and the reason becomes a return code. */
export interface Connack {
  readonly version: ProtocolVersion
  readonly sessionPresent: boolean
  readonly reasonCode: number
  readonly sessionExpiryInterval?: number | undefined
  readonly receiveMaximum?: number | undefined
  /** 2 is not sent: it is what absence means, and the only way to say it. */
  readonly maximumQoS?: QoS | undefined
  readonly retainAvailable?: boolean | undefined
  readonly maximumPacketSize?: number | undefined
  readonly assignedClientIdentifier?: string | undefined
  readonly topicAliasMaximum?: number | undefined
  readonly reasonString?: string | undefined
  readonly userProperties?: UserProperties | undefined
  readonly wildcardSubscriptionAvailable?: boolean | undefined
  readonly subscriptionIdentifiersAvailable?: boolean | undefined
  readonly sharedSubscriptionAvailable?: boolean | undefined
  /** Seconds. */
  readonly serverKeepAlive?: number | undefined
  readonly responseInformation?: string | undefined
  readonly serverReference?: string | undefined
  readonly authenticationMethod?: string | undefined
  readonly authenticationData?: Uint8Array | undefined
}

export interface ReasonProperties {
  readonly reasonString?: string | undefined
  readonly userProperties?: UserProperties | undefined
}

export interface DisconnectProperties extends ReasonProperties {
  readonly serverReference?: string | undefined
  readonly sessionExpiryInterval?: number | undefined
}

export interface AuthProperties extends ReasonProperties {
  readonly authenticationMethod?: string | undefined
  readonly authenticationData?: Uint8Array | undefined
}

export const encodeConnack = (connack: Connack): Uint8Array => {
  const { version, reasonCode } = connack
  // [MQTT-3.2.2-4] [MQTT5-3.2.2-6] no session is present for a client that is refused
  const sessionPresent = connack.sessionPresent && reasonCode === ReasonCode.Success
  // [MQTT31-3] MQTT 3.1 has no such flag, the bit is reserved there
  if (version === 3) return Uint8Array.of(0x20, 2, 0, connackReturnCode(reasonCode))
  // [MQTT5-3.2.2-1] bits 7 to 1 of the flags are 0
  if (version === 4) return Uint8Array.of(0x20, 2, sessionPresent ? 1 : 0, connackReturnCode(reasonCode))
  const properties = defined<NonNullable<IConnackPacket["properties"]>>({
    sessionExpiryInterval: connack.sessionExpiryInterval,
    receiveMaximum: connack.receiveMaximum,
    maximumQoS: connack.maximumQoS === 2 ? undefined : connack.maximumQoS,
    retainAvailable: connack.retainAvailable,
    maximumPacketSize: connack.maximumPacketSize,
    assignedClientIdentifier: connack.assignedClientIdentifier,
    topicAliasMaximum: connack.topicAliasMaximum,
    reasonString: connack.reasonString,
    wildcardSubscriptionAvailable: connack.wildcardSubscriptionAvailable,
    subscriptionIdentifiersAvailable: connack.subscriptionIdentifiersAvailable,
    sharedSubscriptionAvailable: connack.sharedSubscriptionAvailable,
    serverKeepAlive: connack.serverKeepAlive,
    responseInformation: connack.responseInformation,
    serverReference: connack.serverReference,
    authenticationMethod: connack.authenticationMethod,
    authenticationData: bufferOf(connack.authenticationData)
  })
  return encode({ cmd: "connack", sessionPresent, reasonCode, properties }, 2, connack.userProperties)
}

/** Reason codes of MQTT 5; for 3.1.1 every failure becomes 0x80 [MQTT-3.9.3-2]. */
export const encodeSuback = (
  packetIdentifier: number,
  reasonCodes: ReadonlyArray<number>,
  version: ProtocolVersion,
  properties?: ReasonProperties
): Uint8Array => {
  if (version !== 5) {
    return Buffer.concat([
      // [MQTT-3.8.4-2] [MQTT-2.3.1-7] its SUBSCRIBE's identifier; [MQTT-3.9.3-1] [MQTT-3.9.3-2] in the order of the
      // filters, every failure 0x80
      request(0x90, packetIdentifier, reasonCodes.length),
      Buffer.from(reasonCodes.map((code) => Math.min(code, 0x80)))
    ])
  }
  const packet: Packet = {
    // [MQTT5-2.2.1-6] [MQTT5-3.9.3-2] and without texts [MQTT5-3.9.2-1] [MQTT5-3.9.2-2] unless the caller has some
    cmd: "suback",
    messageId: packetIdentifier,
    granted: [...reasonCodes],
    properties: defined<{ reasonString?: string }>({ reasonString: properties?.reasonString })
  }
  return encode(packet, 2, properties?.userProperties)
}

/** The reason codes go to MQTT 5 clients alone. */
export const encodeUnsuback = (
  packetIdentifier: number,
  reasonCodes: ReadonlyArray<number>,
  version: ProtocolVersion,
  properties?: ReasonProperties
): Uint8Array => {
  // [MQTT-2.3.1-7] [MQTT-3.10.4-4] its UNSUBSCRIBE's identifier
  if (version !== 5) return Uint8Array.of(0xb0, 2, packetIdentifier >>> 8, packetIdentifier & 0xff)
  const packet: Packet = {
    // [MQTT5-2.2.1-6] [MQTT5-3.11.3-1] [MQTT5-3.11.3-2] and without texts [MQTT5-3.11.2-1] [MQTT5-3.11.2-2] unless the
    // caller has some
    cmd: "unsuback",
    messageId: packetIdentifier,
    granted: [...reasonCodes],
    properties: defined<{ reasonString?: string }>({ reasonString: properties?.reasonString })
  }
  return encode(packet, 2, properties?.userProperties)
}

/** MQTT 5 alone: no older server sends a DISCONNECT. */
export const encodeDisconnect = (reasonCode: number, properties: DisconnectProperties = {}): Uint8Array => {
  const packet: Packet = {
    cmd: "disconnect",
    reasonCode,
    properties: defined<{ reasonString?: string; serverReference?: string; sessionExpiryInterval?: number }>({
      reasonString: properties.reasonString,
      serverReference: properties.serverReference,
      sessionExpiryInterval: properties.sessionExpiryInterval
    })
  }
  return encode(packet, 1, properties.userProperties)
}

/** MQTT 5 alone. */
export const encodeAuth = (reasonCode: number, properties: AuthProperties = {}): Uint8Array => {
  const packet: Packet = {
    cmd: "auth",
    reasonCode,
    properties: defined<{ reasonString?: string; authenticationMethod?: string; authenticationData?: Buffer }>({
      reasonString: properties.reasonString,
      authenticationMethod: properties.authenticationMethod,
      authenticationData: bufferOf(properties.authenticationData)
    })
  }
  return encode(packet, 1, properties.userProperties)
}

export const pingresp: Uint8Array = Uint8Array.of(0xd0, 0)

/** `propertiesAt`: how many bytes of the body stand before the property length. */
const encode = (packet: Packet, propertiesAt: number, userProperties: UserProperties | undefined): Buffer => {
  const bytes = generate(packet, { protocolVersion: 5 })
  return userProperties === undefined || userProperties.length === 0
    ? bytes
    : withUserProperties(bytes, propertiesAt, userProperties)
}

/** The packet with user properties after its other properties, in their order. */
const withUserProperties = (bytes: Buffer, propertiesAt: number, userProperties: UserProperties): Buffer => {
  const body = headerLength(bytes.length)
  let at = body + propertiesAt
  let length = 0
  for (let shift = 0, more = true; more; shift += 7) {
    const byte = bytes[at++] as number
    length |= (byte & 0x7f) << shift
    more = byte >= 0x80
  }
  const added = Buffer.concat(userProperties.flatMap(([name, value]) => [pair, stringBytes(name), stringBytes(value)]))
  const newLength = length + added.length
  const parts = [
    bytes.subarray(body, body + propertiesAt),
    variableByteInteger(newLength),
    bytes.subarray(at, at + length),
    added,
    bytes.subarray(at + length)
  ]
  const remaining = parts.reduce((sum, part) => sum + part.length, 0)
  return Buffer.concat([bytes.subarray(0, 1), variableByteInteger(remaining), ...parts])
}

const pair = Buffer.of(Property.UserProperty)

const stringBytes = (text: string): Buffer => {
  const bytes = Buffer.alloc(2 + Buffer.byteLength(text))
  writeString(bytes, 0, text)
  return bytes
}

const variableByteInteger = (value: number): Buffer => {
  const bytes = Buffer.alloc(variableByteIntegerSize(value))
  writeVariableByteInteger(bytes, 0, value)
  return bytes
}

/** Fixed header and packet identifier of a packet with `more` bytes after them. */
const request = (header: number, packetIdentifier: number, more: number): Buffer =>
  Buffer.concat([
    Buffer.of(header),
    variableByteInteger(2 + more),
    Buffer.of(packetIdentifier >>> 8, packetIdentifier & 0xff)
  ])

const bufferOf = (bytes: Uint8Array | undefined): Buffer | undefined =>
  bytes === undefined ? undefined : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** mqtt-packet wants a property absent, not undefined. */
const defined = <T extends object>(properties: { readonly [K in keyof T]: T[K] | undefined }): T =>
  Object.fromEntries(Object.entries(properties).filter(([, value]) => value !== undefined)) as T
