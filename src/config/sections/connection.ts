// `[connection]`: what one client may send, and what it is told at CONNECT.
import type { Fields } from "../table.ts"
import { choice, decimal, duration, integer, mqttText, size, truth } from "../settingCodecs.ts"

export interface ConnectionSettings {
  /** 100 ms to 10 min. From the accepted socket to its whole CONNECT; later: closed. */
  readonly connectTimeoutMillis: number
  /**
   * Bytes, 128 to 268,435,460. Announced to MQTT 5; a larger packet: DISCONNECT 0x95 Packet too large, before its body
   * is kept.
   */
  readonly maxPacketSize: number
  /**
   * Bytes, 128 to 268,435,460; `maxPacketSize` where that is smaller. Of a CONNECT, and of what follows until it is answered: what one whom nobody
   * knows yet can make the broker hold.
   */
  readonly maxConnectSize: number
  /** Bytes, 23 to 65535. Longer: CONNACK 0x85 Client Identifier not valid (3.x: 2). */
  readonly maxClientIdLength: number
  /** 1 to 10; 1.5 is the specification's. No packet for so many keep alives: DISCONNECT 0x8D Keep Alive timeout. */
  readonly keepAliveMultiplier: number
  /** 0 to 65535; 0 is any. A longer or absent Keep Alive is replaced by this, told to MQTT 5 as Server Keep Alive. */
  readonly maxKeepAliveSeconds: number
  /** 1 to 1024. Deeper: DISCONNECT 0x90 Topic Name invalid (PUBLISH), SUBACK 0x8F Topic Filter invalid. */
  readonly maxTopicLevels: number
  /** Bytes, 1 to 65535. Longer: as maxTopicLevels. */
  readonly maxTopicLength: number
  /**
   * 0 to 65535: topic aliases a client may set here, announced to MQTT 5. Above it: DISCONNECT 0x94 Topic Alias
   * invalid.
   */
  readonly topicAliasMaximum: number
  /** 0 to 65535: topic aliases we set towards a client (at most its own Topic Alias Maximum); 0: none. */
  readonly outgoingTopicAliasMaximum: number
  /**
   * 1 to 65535, at most session.maxAwaitingPubrel; unfinished QoS 1/2 PUBLISH of a client. Above it: DISCONNECT 0x93.
   */
  readonly receiveMaximum: number
  /** Bytes, 4 KiB to 1 GiB. More waiting in a socket: QoS 0 is dropped (counted), QoS 1 and 2 wait in the queue. */
  readonly writeHighWatermarkBytes: number
  /** Bytes read and not yet worked on, 1 KiB to 16 MiB. Full: the socket is not read until all is done; one read brings 512 KiB at most. */
  readonly mailboxBytes: number
  /** Where MQTT 5 clients are sent when the node shuts down or is too busy (Server Reference); "" is nowhere. */
  readonly serverReference: string
  /** The answer to Request Response Information; "" is no answer. */
  readonly responseInformation: string
  /** false: CONNACK says so; a retained PUBLISH or Will is answered with 0x9A Retain not supported. */
  readonly retainAvailable: boolean
  /** false: SUBACK 0xA2 Wildcard Subscriptions not supported. */
  readonly wildcardAvailable: boolean
  /** false: SUBACK 0x9E Shared Subscriptions not supported. */
  readonly sharedAvailable: boolean
  /** A PUBLISH or Will above it: 0x9B QoS not supported. SUBSCRIBE is granted at most this. */
  readonly maximumQoS: 0 | 1 | 2
}

const SECOND = 1_000
const KIB = 1024
const MIB = 1024 * 1024

export const connectionDefaults: ConnectionSettings = {
  connectTimeoutMillis: 10 * SECOND,
  maxPacketSize: MIB,
  maxConnectSize: 128 * KIB,
  maxClientIdLength: 1024,
  keepAliveMultiplier: 1.5,
  maxKeepAliveSeconds: 0,
  maxTopicLevels: 128,
  maxTopicLength: 65_535,
  topicAliasMaximum: 64,
  outgoingTopicAliasMaximum: 64,
  receiveMaximum: 100,
  writeHighWatermarkBytes: MIB,
  mailboxBytes: 64 * 1024,
  serverReference: "",
  responseInformation: "",
  retainAvailable: true,
  wildcardAvailable: true,
  sharedAvailable: true,
  maximumQoS: 2
}

export const connection: Fields<ConnectionSettings> = {
  connectTimeoutMillis: ["connect_timeout", duration({ minimum: "100ms", maximum: "10m" })],
  maxPacketSize: ["max_packet_size", size(128, 268_435_460)],
  maxConnectSize: ["max_connect_size", size(128, 268_435_460)],
  maxClientIdLength: ["max_client_id_length", integer(23, 65_535)],
  keepAliveMultiplier: ["keep_alive_multiplier", decimal(1, 10)],
  maxKeepAliveSeconds: ["max_keep_alive", integer(0, 65_535)],
  maxTopicLevels: ["max_topic_levels", integer(1, 1024)],
  maxTopicLength: ["max_topic_length", integer(1, 65_535)],
  topicAliasMaximum: ["topic_alias_maximum", integer(0, 65_535)],
  outgoingTopicAliasMaximum: ["outgoing_topic_alias_maximum", integer(0, 65_535)],
  receiveMaximum: ["receive_maximum", integer(1, 65_535)],
  writeHighWatermarkBytes: ["write_high_watermark", size(4 * KIB, 1024 * MIB)],
  mailboxBytes: ["mailbox_size", size(KIB, 16 * MIB)],
  serverReference: ["server_reference", mqttText],
  responseInformation: ["response_information", mqttText],
  retainAvailable: ["retain_available", truth],
  wildcardAvailable: ["wildcard_available", truth],
  sharedAvailable: ["shared_available", truth],
  maximumQoS: ["maximum_qos", choice([0, 1, 2])]
}
