// What a node may be told: plain data, decoded and checked (SettingsSchema.ts); read by every folder above, changed by
// nobody after start. Units: durations are milliseconds and end in Millis, MQTT's own seconds end in Seconds, sizes
// are bytes. `Infinity` is "never". Invariant: every key of the file (snake_case of the names here) has its default in
// `defaultSettings`, and nowhere else.

export const logLevels = ["trace", "debug", "info", "warning", "error"] as const
export const logFormats = ["auto", "pretty", "logfmt", "json"] as const
export type LogLevel = typeof logLevels[number]
export type LogFormat = typeof logFormats[number]
export type AnonymousAccess = "loopback" | "anywhere" | "nowhere"
export type WhenQueueFull = "drop_oldest_qos0_first" | "drop_oldest" | "drop_newest"
export type SharedStrategy = "random" | "round_robin" | "sticky" | "hash_clientid" | "hash_topic" | "local"

export interface NodeSettings {
  /** `name@host`; unique in a cluster. 3 to 255 characters. */
  readonly name: string
  /** Directory of everything the node keeps; made if missing. Not writable: exit 74. */
  readonly dataDir: string
  /** 0 s to 10 min. On SIGTERM: how long clients and flushes are waited for before the process ends all the same. */
  readonly shutdownTimeoutMillis: number
  /**
   * Share (0 to 1) of the memory the process may have (the container's limit, else the machine's); 0 is off. Above it new
   * connections are refused with 0x89 Server busy (3.x: 3) until memory is below it again.
   */
  readonly memoryHighWatermark: number
}

export interface LogSettings {
  readonly level: LogLevel
  /** `auto`: pretty on a terminal, logfmt otherwise. Always to stderr. */
  readonly format: LogFormat
  /**
   * 0 s to 1 h. The line that tells of a limit reached is written at most once in this time, with the count of those
   * left out.
   */
  readonly repeatIntervalMillis: number
}

export interface ListenerSettings {
  /** The key in the file: `[listeners.<name>]`. Letters, digits, `_` and `-`. */
  readonly name: string
  readonly type: "tcp"
  /** An IP address or host name; `0.0.0.0` is every IPv4 interface, `::` every IPv6 (and IPv4) one. */
  readonly address: string
  /** 0 to 65535; 0 lets the system choose. In use or not permitted: exit 69. */
  readonly port: number
  /** 1 to 10,000,000. The next one is refused: CONNACK 0x97 Quota exceeded (3.x: 3). */
  readonly maxConnections: number
  /**
   * New connections a second, 0 to 1,000,000; 0 is no limit. Above it: CONNACK 0x9F Connection rate exceeded (3.x: 3).
   */
  readonly maxConnectionRate: number
  /** 1 to 65535; connections the kernel keeps until they are accepted (the system's own maximum applies too). */
  readonly backlog: number
  readonly enabled: boolean
}

export interface AccessSettings {
  /**
   * Who may come in without a name. Refused: CONNACK 0x87 Not authorized (3.x: 5), and a log line that names this
   * setting.
   */
  readonly anonymous: AnonymousAccess
  /**
   * Topic filters (as clients write them, compared as text) that nobody may subscribe to: SUBACK 0x80 in every
   * version.
   */
  readonly refusedSubscriptions: ReadonlyArray<string>
}

export interface ConnectionSettings {
  /** 100 ms to 10 min. From the accepted socket to its whole CONNECT; later: closed. */
  readonly connectTimeoutMillis: number
  /**
   * Bytes, 128 to 268,435,460. Announced to MQTT 5; a larger packet: DISCONNECT 0x95 Packet too large, before its body
   * is kept.
   */
  readonly maxPacketSize: number
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

export interface SessionSettings {
  /**
   * Life of a session of MQTT 3.x with clean session 0 after its connection has gone, at most maxExpiry; Infinity is
   * for ever.
   */
  readonly persistentExpiryMillis: number
  /** The longest Session Expiry Interval granted (told in CONNACK); Infinity is any. */
  readonly maxExpiryMillis: number
  /** 1 to 65535: unacknowledged QoS 1/2 towards a client (its Receive Maximum if smaller). More wait in the queue. */
  readonly maxInflight: number
  /**
   * 1 to 65535: QoS 2 from a client between PUBREC and PUBREL. Above it: closed (MQTT 5 is held to receiveMaximum:
   * 0x93).
   */
  readonly maxAwaitingPubrel: number
  /** 1 s to 24 h. Older ones make room when the bound is reached, counted; their PUBREL then gets PUBCOMP 0x92. */
  readonly awaitPubrelTimeoutMillis: number
  /** 0 or 1 s to 1 h. Resend on a live connection to MQTT 3.x clients; 0 is never (MQTT 5 forbids it). */
  readonly retryIntervalMillis: number
  /** 1 to 1,000,000 per session. Above it: SUBACK 0x97 Quota exceeded (3.1.1: 0x80). */
  readonly maxSubscriptions: number
  /** 1 to 100,000,000 in the node. Above it a new one is refused: CONNACK 0x97 Quota exceeded (3.x: 3). */
  readonly maxSessions: number
  /**
   * 512 to 1,048,576 deliveries not looked at yet. Full: the session runs next; at twice as many the newest is dropped,
   * counted.
   */
  readonly mailboxCapacity: number
}

export interface QueueSettings {
  /** 1 to 10,000,000 messages per session, beside those in flight. Full: `whenFull`, counted. */
  readonly capacity: number
  readonly whenFull: WhenQueueFull
  /** Whether QoS 0 is kept for a session whose client is away. */
  readonly storeQoS0: boolean
}

export interface SharedSettings {
  readonly strategy: SharedStrategy
}

export interface RouterSettings {
  /** 256 to 16,777,216 hot topics remembered with their subscribers (rounded up to a power of two). */
  readonly topicCache: number
  /**
   * 16 to 1,048,576 SUBSCRIBE and UNSUBSCRIBE waiting. Full: SUBACK, UNSUBACK 0x83 Implementation specific error
   * (3.1.1: 0x80).
   */
  readonly mailboxCapacity: number
}

export interface RetainSettings {
  /**
   * 0 to 100,000,000. Full: a message for a new topic is refused whole with PUBACK, PUBREC 0x97; QoS 0 and 3.x: delivered, not
   * retained, counted.
   */
  readonly maxMessages: number
  /** Bytes of one payload, 0 to 256 MiB. Larger: as maxMessages. */
  readonly maxPayloadBytes: number
  /** Bytes of all payloads, 0 to 1 TiB. Full: as maxMessages. */
  readonly maxTotalBytes: number
  /** Life of a retained message without Message Expiry Interval; Infinity is for ever. */
  readonly expiryMillis: number
  /** 16 to 1,048,576 retained messages waiting to be stored. Full: as maxMessages. */
  readonly mailboxCapacity: number
}

export interface WillSettings {
  /** The longest Will Delay Interval; a longer one is cut to it. Infinity is any. */
  readonly maxDelayMillis: number
}

export interface Settings {
  readonly node: NodeSettings
  readonly log: LogSettings
  readonly listeners: ReadonlyArray<ListenerSettings>
  readonly access: AccessSettings
  readonly connection: ConnectionSettings
  readonly session: SessionSettings
  readonly queue: QueueSettings
  readonly shared: SharedSettings
  readonly router: RouterSettings
  readonly retain: RetainSettings
  readonly will: WillSettings
}

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const MIB = 1024 * 1024

export const defaultListener: ListenerSettings = {
  name: "tcp",
  type: "tcp",
  address: "0.0.0.0",
  port: 1883,
  maxConnections: 1_000_000,
  maxConnectionRate: 50_000,
  backlog: 4096,
  enabled: true
}

export const defaultSettings: Settings = {
  node: {
    name: "emqttd@127.0.0.1",
    dataDir: "./data",
    shutdownTimeoutMillis: 10 * SECOND,
    memoryHighWatermark: 0.8
  },
  log: { level: "info", format: "auto", repeatIntervalMillis: 10 * SECOND },
  listeners: [defaultListener],
  access: { anonymous: "loopback", refusedSubscriptions: [] },
  connection: {
    connectTimeoutMillis: 10 * SECOND,
    maxPacketSize: MIB,
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
  },
  session: {
    persistentExpiryMillis: 2 * HOUR,
    maxExpiryMillis: Infinity,
    maxInflight: 32,
    maxAwaitingPubrel: 100,
    awaitPubrelTimeoutMillis: 5 * MINUTE,
    retryIntervalMillis: 0,
    maxSubscriptions: 1000,
    maxSessions: 1_000_000,
    mailboxCapacity: 4096
  },
  queue: { capacity: 1000, whenFull: "drop_oldest_qos0_first", storeQoS0: true },
  shared: { strategy: "round_robin" },
  router: { topicCache: 65_536, mailboxCapacity: 65_536 },
  retain: {
    maxMessages: 1_000_000,
    maxPayloadBytes: MIB,
    maxTotalBytes: 1024 * MIB,
    expiryMillis: Infinity,
    mailboxCapacity: 65_536
  },
  will: { maxDelayMillis: Infinity }
}
