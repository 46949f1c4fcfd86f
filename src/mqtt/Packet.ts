/**
 * The packets that a broker receives, as plain data with the specification's names; PUBLISH is not here (it is a `Message`),
 * nor are PUBACK, PUBREC, PUBREL and PUBCOMP (a number, see acknowledgement.ts).
 * Whoever holds one of these holds a packet that passed every check of decodeControl.ts.
 */

/** 3 is MQTT 3.1, 4 is MQTT 3.1.1, 5 is MQTT 5: the protocol level of CONNECT. */
export type ProtocolVersion = 3 | 4 | 5

export type QoS = 0 | 1 | 2

/** Order and duplicates are kept [MQTT-3.3.2-18]. */
export type UserProperties = ReadonlyArray<readonly [name: string, value: string]>

/** The properties that travel with an application message from its publisher to its subscribers; all of them optional. */
export interface PublishProperties {
  readonly payloadFormatIndicator?: 0 | 1 | undefined
  /** Seconds, as received. */
  readonly messageExpiryInterval?: number | undefined
  readonly responseTopic?: string | undefined
  readonly correlationData?: Uint8Array | undefined
  readonly contentType?: string | undefined
  readonly userProperties?: UserProperties | undefined
}

export interface Will {
  readonly topic: string
  readonly payload: Uint8Array
  readonly qos: QoS
  readonly retain: boolean
  readonly delayIntervalSeconds: number
  readonly properties: PublishProperties | null
}

export interface Connect {
  readonly _tag: "Connect"
  readonly protocolVersion: ProtocolVersion
  /** Clean Session of 3.1 and 3.1.1. */
  readonly cleanStart: boolean
  readonly keepAliveSeconds: number
  /** May be empty: whether that is allowed is for the connection to say. */
  readonly clientId: string
  readonly username: string | undefined
  readonly password: Uint8Array | undefined
  readonly will: Will | undefined
  /** Seconds; undefined when absent, which MQTT 5 reads as 0. */
  readonly sessionExpiryInterval: number | undefined
  /** 65,535 when absent. */
  readonly receiveMaximum: number
  /** `noMaximumPacketSize` when absent. */
  readonly maximumPacketSize: number
  /** 0 when absent. */
  readonly topicAliasMaximum: number
  readonly requestResponseInformation: boolean
  readonly requestProblemInformation: boolean
  readonly userProperties: UserProperties
  readonly authenticationMethod: string | undefined
  readonly authenticationData: Uint8Array | undefined
  /** Bit 7 of the protocol level was set, as Mosquitto's bridges do; it is stripped from `protocolVersion`. */
  readonly bridge: boolean
}

/** The largest packet that a fixed header can announce: 5 bytes and 268,435,455. */
export const noMaximumPacketSize = 268_435_460

export interface SubscriptionRequest {
  /** Valid UTF-8, not empty; whether it is a valid topic filter is answered per filter by the session (0x8F). */
  readonly topicFilter: string
  readonly qos: QoS
  readonly noLocal: boolean
  readonly retainAsPublished: boolean
  readonly retainHandling: 0 | 1 | 2
  /** Set by the connection: its access rules deny it, and it is answered so. */
  readonly denied?: true
}

export interface Subscribe {
  readonly _tag: "Subscribe"
  readonly packetIdentifier: number
  /** At least one. */
  readonly subscriptions: ReadonlyArray<SubscriptionRequest>
  /** 0 = none. */
  readonly subscriptionIdentifier: number
  readonly userProperties: UserProperties
}

export interface Unsubscribe {
  readonly _tag: "Unsubscribe"
  readonly packetIdentifier: number
  /** At least one; checked as `SubscriptionRequest.topicFilter` is. */
  readonly topicFilters: ReadonlyArray<string>
  readonly userProperties: UserProperties
}

export interface Disconnect {
  readonly _tag: "Disconnect"
  /** 0x00 for 3.1 and 3.1.1. */
  readonly reasonCode: number
  /** Seconds; undefined when absent: the one of CONNECT stays. */
  readonly sessionExpiryInterval: number | undefined
  readonly reasonString: string | undefined
  readonly serverReference: string | undefined
  readonly userProperties: UserProperties
}

export interface Auth {
  readonly _tag: "Auth"
  readonly reasonCode: number
  readonly authenticationMethod: string | undefined
  readonly authenticationData: Uint8Array | undefined
  readonly reasonString: string | undefined
  readonly userProperties: UserProperties
}

export interface Pingreq {
  readonly _tag: "Pingreq"
}

export type ControlPacket = Connect | Subscribe | Unsubscribe | Disconnect | Auth | Pingreq

/** The control packet types, the high half of a packet's first byte. */
export const PacketType = {
  Connect: 1,
  Connack: 2,
  Publish: 3,
  Puback: 4,
  Pubrec: 5,
  Pubrel: 6,
  Pubcomp: 7,
  Subscribe: 8,
  Suback: 9,
  Unsubscribe: 10,
  Unsuback: 11,
  Pingreq: 12,
  Pingresp: 13,
  Disconnect: 14,
  Auth: 15
} as const

/** The packets that acknowledge a PUBLISH, by their type number. */
export type AcknowledgementType = 4 | 5 | 6 | 7
