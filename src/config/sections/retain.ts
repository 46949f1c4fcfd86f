// `[retain]`: the bounds of retained messages.
import type { Fields } from "../table.ts"
import { duration, integer, size } from "../settingCodecs.ts"

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

const MIB = 1024 * 1024

export const retainDefaults: RetainSettings = {
  maxMessages: 1_000_000,
  maxPayloadBytes: MIB,
  maxTotalBytes: 1024 * MIB,
  expiryMillis: Infinity,
  mailboxCapacity: 65_536
}

export const retain: Fields<RetainSettings> = {
  maxMessages: ["max_messages", integer(0, 100_000_000)],
  maxPayloadBytes: ["max_payload", size(0, 256 * MIB)],
  maxTotalBytes: ["max_total", size(0, 1024 * 1024 * MIB)],
  expiryMillis: ["expiry", duration({ minimum: "1s", maximum: "3650d", never: true })],
  mailboxCapacity: ["mailbox_capacity", integer(16, 1_048_576)]
}
