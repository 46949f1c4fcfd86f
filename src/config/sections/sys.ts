// `[sys]`: what the broker publishes about itself under `$SYS`, and how often.
import { choice, duration, truth } from "../settingCodecs.ts"
import type { Fields } from "../table.ts"

export interface SysSettings {
  /** 1 s to 24 h, or 0: nothing but presence. Between two reports of all statistics and counters. */
  readonly intervalMillis: number
  /** 1 s to 1 h: between two of uptime and datetime, and between two looks for the highest values. */
  readonly heartbeatMillis: number
  /** Whether a message says of each client that it has connected, and that it has gone. */
  readonly presence: boolean
  /** Of those messages. */
  readonly presenceQoS: 0 | 1 | 2
  /** Whether the tree of Mosquitto, `$SYS/broker/…`, is there too. */
  readonly mosquitto: boolean
}

export const sysDefaults: SysSettings = {
  intervalMillis: 60_000,
  heartbeatMillis: 1_000,
  presence: true,
  presenceQoS: 1,
  mosquitto: false
}

export const sys: Fields<SysSettings> = {
  intervalMillis: ["interval", duration({ minimum: "1s", maximum: "24h", zero: true })],
  heartbeatMillis: ["heartbeat", duration({ minimum: "1s", maximum: "1h" })],
  presence: ["presence", truth],
  presenceQoS: ["presence_qos", choice([0, 1, 2])],
  mosquitto: ["mosquitto", truth]
}
