// `[log]`: what is logged, and how.
import type { Fields } from "../table.ts"
import { choice, duration } from "../settingCodecs.ts"

export const logLevels = ["trace", "debug", "info", "warning", "error"] as const
export const logFormats = ["auto", "pretty", "logfmt", "json"] as const
export type LogLevel = typeof logLevels[number]
export type LogFormat = typeof logFormats[number]

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

const SECOND = 1_000

export const logDefaults: LogSettings = { level: "info", format: "auto", repeatIntervalMillis: 10 * SECOND }

export const log: Fields<LogSettings> = {
  level: ["level", choice(logLevels)],
  format: ["format", choice(logFormats)],
  repeatIntervalMillis: ["repeat_interval", duration({ minimum: "0s", maximum: "1h" })]
}
