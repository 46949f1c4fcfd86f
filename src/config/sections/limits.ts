// `[limits]`: how fast clients may connect and publish.
import { choice, integer, size } from "../settingCodecs.ts"
import type { Fields } from "../table.ts"

const GIB = 1024 * 1024 * 1024

export interface LimitsSettings {
  /** PUBLISH packets a second of one connection, 0 to 10,000,000; 0 is no limit. */
  readonly messageRate: number
  /** 0 to 10,000,000: after a rest so many may come at once; 0: those of one second. */
  readonly messageBurst: number
  /** Bytes of PUBLISH packets a second of one connection, 0 to 1 GiB; 0 is no limit. */
  readonly byteRate: number
  /** 0 to 1 GiB; 0: those of one second. */
  readonly byteBurst: number
  /** What a client above them comes to: it is read slower, its messages are refused (0x97), it is sent away (0x97). */
  readonly whenExceeded: "slow" | "refuse" | "disconnect"
  /** New connections a second from one address (IPv6: one /64), 0 to 1,000,000; 0 is no limit. Above: CONNACK 0x9F (3.x: 3). */
  readonly connectionRatePerAddress: number
  /** 0 to 1,000,000; 0: those of one second. */
  readonly connectionBurstPerAddress: number
  /** 16 to 10,000,000: addresses whose rate is known; full: the one that has been quiet the longest is forgotten. */
  readonly trackedAddresses: number
}

export const limitsDefaults: LimitsSettings = {
  messageRate: 0,
  messageBurst: 0,
  byteRate: 0,
  byteBurst: 0,
  whenExceeded: "slow",
  connectionRatePerAddress: 0,
  connectionBurstPerAddress: 0,
  trackedAddresses: 65_536
}

/** Of one client; a zone may have its own. */
export const clientLimits: Fields<
  Pick<LimitsSettings, "messageRate" | "messageBurst" | "byteRate" | "byteBurst" | "whenExceeded">
> = {
  messageRate: ["message_rate", integer(0, 10_000_000)],
  messageBurst: ["message_burst", integer(0, 10_000_000)],
  byteRate: ["byte_rate", size(0, GIB)],
  byteBurst: ["byte_burst", size(0, GIB)],
  whenExceeded: ["when_exceeded", choice(["slow", "refuse", "disconnect"])]
}

export const limits: Fields<LimitsSettings> = {
  ...clientLimits,
  connectionRatePerAddress: ["connection_rate_per_address", integer(0, 1_000_000)],
  connectionBurstPerAddress: ["connection_burst_per_address", integer(0, 1_000_000)],
  trackedAddresses: ["tracked_addresses", integer(16, 10_000_000)]
}
