// `[session]`: state that outlives a connection.
import type { Fields } from "../table.ts"
import { duration, integer } from "../settingCodecs.ts"

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

const MINUTE = 60_000
const HOUR = 3_600_000

export const sessionDefaults: SessionSettings = {
  persistentExpiryMillis: 2 * HOUR,
  maxExpiryMillis: Infinity,
  maxInflight: 32,
  maxAwaitingPubrel: 100,
  awaitPubrelTimeoutMillis: 5 * MINUTE,
  retryIntervalMillis: 0,
  maxSubscriptions: 1000,
  maxSessions: 1_000_000,
  mailboxCapacity: 4096
}

export const session: Fields<SessionSettings> = {
  persistentExpiryMillis: ["persistent_expiry", duration({ minimum: "1s", maximum: "3650d", never: true })],
  maxExpiryMillis: ["max_expiry", duration({ minimum: "0s", maximum: "3650d", never: true })],
  maxInflight: ["max_inflight", integer(1, 65_535)],
  maxAwaitingPubrel: ["max_awaiting_pubrel", integer(1, 65_535)],
  awaitPubrelTimeoutMillis: ["await_pubrel_timeout", duration({ minimum: "1s", maximum: "24h" })],
  retryIntervalMillis: ["retry_interval", duration({ minimum: "1s", maximum: "1h", zero: true })],
  maxSubscriptions: ["max_subscriptions", integer(1, 1_000_000)],
  maxSessions: ["max_sessions", integer(1, 100_000_000)],
  mailboxCapacity: ["mailbox_capacity", integer(512, 1_048_576)]
}
