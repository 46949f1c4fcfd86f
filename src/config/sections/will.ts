// `[will]`: the Will Message.
import type { Fields } from "../table.ts"
import { duration } from "../settingCodecs.ts"

export interface WillSettings {
  /** The longest Will Delay Interval; a longer one is cut to it. Infinity is any. */
  readonly maxDelayMillis: number
}

export const willDefaults: WillSettings = { maxDelayMillis: Infinity }

export const will: Fields<WillSettings> = {
  maxDelayMillis: ["max_delay", duration({ minimum: "0s", maximum: "3650d", never: true })]
}
