import type { ProtocolVersion, QoS, UserProperties } from "./Packet.ts"

/** Absent = not sent. For 3.1 and 3.1.1 all but sessionPresent and the reason is left out, and the reason becomes a return code. */
export interface Connack {
  readonly version: ProtocolVersion
  readonly sessionPresent: boolean
  readonly reasonCode: number
  readonly sessionExpiryInterval?: number | undefined
  readonly receiveMaximum?: number | undefined
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

export const encodeConnack = (_connack: Connack): Uint8Array => {
  throw new Error("not yet")
}

/** Reason codes of MQTT 5; for 3.1.1 every failure becomes 0x80. */
export const encodeSuback = (
  _packetIdentifier: number,
  _reasonCodes: ReadonlyArray<number>,
  _version: ProtocolVersion,
  _properties?: ReasonProperties
): Uint8Array => {
  throw new Error("not yet")
}

/** The reason codes go to MQTT 5 clients alone. */
export const encodeUnsuback = (
  _packetIdentifier: number,
  _reasonCodes: ReadonlyArray<number>,
  _version: ProtocolVersion,
  _properties?: ReasonProperties
): Uint8Array => {
  throw new Error("not yet")
}

/** MQTT 5 alone: no older server sends a DISCONNECT. */
export const encodeDisconnect = (_reasonCode: number, _properties?: DisconnectProperties): Uint8Array => {
  throw new Error("not yet")
}

/** MQTT 5 alone. */
export const encodeAuth = (_reasonCode: number, _properties?: AuthProperties): Uint8Array => {
  throw new Error("not yet")
}

export const pingresp: Uint8Array = Uint8Array.of(0xd0, 0)
