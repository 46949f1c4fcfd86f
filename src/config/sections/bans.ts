// `[bans]`: what becomes of who is banned, and who bans itself by coming and going.
import { duration, integer, truth } from "../settingCodecs.ts"
import type { Fields } from "../table.ts"

export interface BansSettings {
  /** 0 to 10,000,000 bans; full: another one is refused, and one for flapping is only logged. */
  readonly maxBans: number
  /** Whether a ban ends the connections of those whom it concerns. */
  readonly dropConnected: boolean
  /** 0 to 100,000: so often within the window a client id may go before it is banned; 0 is off. */
  readonly flappingDisconnects: number
  /** 1 s to 24 h. */
  readonly flappingWindowMillis: number
  /** 1 s to 3650 d: how long it is banned. */
  readonly flappingBanMillis: number
  /** 16 to 10,000,000 client ids that are counted; full: the one that went first is forgotten. */
  readonly flappingTracked: number
}

export const bansDefaults: BansSettings = {
  maxBans: 100_000,
  dropConnected: true,
  flappingDisconnects: 0,
  flappingWindowMillis: 60_000,
  flappingBanMillis: 300_000,
  flappingTracked: 65_536
}

export const bans: Fields<BansSettings> = {
  maxBans: ["max_bans", integer(0, 10_000_000)],
  dropConnected: ["drop_connected", truth],
  flappingDisconnects: ["flapping_disconnects", integer(0, 100_000)],
  flappingWindowMillis: ["flapping_window", duration({ minimum: "1s", maximum: "24h" })],
  flappingBanMillis: ["flapping_ban", duration({ minimum: "1s", maximum: "3650d" })],
  flappingTracked: ["flapping_tracked", integer(16, 10_000_000)]
}
