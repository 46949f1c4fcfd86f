import { ByteReader } from "./ByteReader.ts"
import type { UserProperties } from "./Packet.ts"
import { ProtocolError } from "./ProtocolError.ts"
import { ReasonCode } from "./ReasonCode.ts"
import { sawWildcard } from "./scanUtf8.ts"

/**
 * The properties of MQTT 5: which there are, of what type, in which packets a client may send them, how often and with what
 * values (section 2.2.2.2 and its table 2-4). Checks only; values are read by those who need them.
 */

export const Property = {
  PayloadFormatIndicator: 0x01,
  MessageExpiryInterval: 0x02,
  ContentType: 0x03,
  ResponseTopic: 0x08,
  CorrelationData: 0x09,
  SubscriptionIdentifier: 0x0b,
  SessionExpiryInterval: 0x11,
  AssignedClientIdentifier: 0x12,
  ServerKeepAlive: 0x13,
  AuthenticationMethod: 0x15,
  AuthenticationData: 0x16,
  RequestProblemInformation: 0x17,
  WillDelayInterval: 0x18,
  RequestResponseInformation: 0x19,
  ResponseInformation: 0x1a,
  ServerReference: 0x1c,
  ReasonString: 0x1f,
  ReceiveMaximum: 0x21,
  TopicAliasMaximum: 0x22,
  TopicAlias: 0x23,
  MaximumQoS: 0x24,
  RetainAvailable: 0x25,
  UserProperty: 0x26,
  MaximumPacketSize: 0x27,
  WildcardSubscriptionAvailable: 0x28,
  SubscriptionIdentifierAvailable: 0x29,
  SharedSubscriptionAvailable: 0x2a
} as const

/** Where properties stand, as bits: the packets of a client, and the will inside CONNECT. PUBLISH has PublishDecoder. */
export const PacketKind = {
  Connect: 1,
  Will: 2,
  Acknowledgement: 4,
  Subscribe: 8,
  Unsubscribe: 16,
  Disconnect: 32,
  Auth: 64
} as const

const { Connect, Will, Acknowledgement, Subscribe, Unsubscribe, Disconnect, Auth } = PacketKind

const allowedIn = new Map<number, number>([
  [Property.PayloadFormatIndicator, Will],
  [Property.MessageExpiryInterval, Will],
  [Property.ContentType, Will],
  [Property.ResponseTopic, Will],
  [Property.CorrelationData, Will],
  [Property.SubscriptionIdentifier, Subscribe],
  [Property.SessionExpiryInterval, Connect | Disconnect],
  [Property.AuthenticationMethod, Connect | Auth],
  [Property.AuthenticationData, Connect | Auth],
  [Property.RequestProblemInformation, Connect],
  [Property.WillDelayInterval, Will],
  [Property.RequestResponseInformation, Connect],
  [Property.ServerReference, Disconnect],
  [Property.ReasonString, Acknowledgement | Disconnect | Auth],
  [Property.ReceiveMaximum, Connect],
  [Property.TopicAliasMaximum, Connect],
  [Property.UserProperty, Connect | Will | Acknowledgement | Subscribe | Unsubscribe | Disconnect | Auth],
  [Property.MaximumPacketSize, Connect]
])

export const noUserProperties: UserProperties = []

/** What a walk over a property section found: the user properties in their order, and which others there are. */
export interface FoundProperties {
  readonly userProperties: UserProperties
  readonly present: ReadonlySet<number>
}

/** Reads the property length and checks the properties that follow. Throws ProtocolError. */
export const readProperties = (bytes: ByteReader, kind: number): FoundProperties => {
  const length = bytes.variableByteInteger()
  if (length === 0) return nothingFound
  if (length > bytes.left) throw malformed("MQTT5-2.2.2.1", "a property length beyond the end of the packet")
  const section = new ByteReader(bytes.buffer, bytes.position, bytes.position + length)
  bytes.position += length
  const present = new Set<number>()
  let userProperties: Array<readonly [string, string]> | undefined
  while (section.left > 0) {
    // An identifier is a variable byte integer, but none that exists has two bytes.
    const identifier = section.byte()
    const allowed = allowedIn.get(identifier)
    if (allowed === undefined || (allowed & kind) === 0) {
      throw malformed("MQTT5-2.2.2.2", `property ${identifier} where it is not allowed`)
    }
    if (identifier === Property.UserProperty) {
      userProperties ??= []
      userProperties.push([section.string(), section.string()])
      continue
    }
    if (present.has(identifier)) throw protocolError("MQTT5-2.2.2.2", `property ${identifier} twice`)
    present.add(identifier)
    checkValue(section, identifier)
  }
  // Section 3.1.2.11.10: data without the method that they are for.
  if (present.has(Property.AuthenticationData) && !present.has(Property.AuthenticationMethod)) {
    throw protocolError("MQTT5-3.1.2.11.10", "authentication data without an authentication method")
  }
  return { userProperties: userProperties ?? noUserProperties, present }
}

const nothingFound: FoundProperties = { userProperties: noUserProperties, present: new Set() }

const checkValue = (section: ByteReader, identifier: number): void => {
  switch (identifier) {
    case Property.PayloadFormatIndicator:
    case Property.RequestProblemInformation:
    case Property.RequestResponseInformation:
      if (section.byte() > 1) throw protocolError("MQTT5-3.1.2.11", `property ${identifier} is neither 0 nor 1`)
      return
    case Property.ReceiveMaximum:
      if (section.uint16() === 0) throw protocolError("MQTT5-3.1.2.11.3", "Receive Maximum 0")
      return
    case Property.TopicAliasMaximum:
      section.uint16()
      return
    case Property.MaximumPacketSize:
      if (section.uint32() === 0) throw protocolError("MQTT5-3.1.2.11.4", "Maximum Packet Size 0")
      return
    case Property.MessageExpiryInterval:
    case Property.SessionExpiryInterval:
    case Property.WillDelayInterval:
      section.uint32()
      return
    case Property.SubscriptionIdentifier:
      if (section.variableByteInteger() === 0) throw protocolError("MQTT5-3.8.2.1.2", "Subscription Identifier 0")
      return
    case Property.CorrelationData:
    case Property.AuthenticationData:
      section.skipBinary()
      return
    case Property.ResponseTopic: {
      const start = section.position
      // [MQTT-3.3.2-14]
      if ((section.skipString() & sawWildcard) !== 0) {
        throw protocolError("MQTT-3.3.2-14", "a response topic with a wildcard")
      }
      if (section.position === start + 2) throw protocolError("MQTT-4.7.3-1", "a response topic without a character")
      return
    }
    default:
      section.skipString()
  }
}

const malformed = (clause: string, message: string): ProtocolError =>
  new ProtocolError(ReasonCode.MalformedPacket, clause, message)

const protocolError = (clause: string, message: string): ProtocolError =>
  new ProtocolError(ReasonCode.ProtocolError, clause, message)
