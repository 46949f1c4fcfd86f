// `[auth_users]` and `[auth_scram]`: the users that the node keeps itself, and how they may prove who they are without their password.
import { type ScramMechanism, scramMechanisms } from "./scramMechanisms.ts"
import type { Fields } from "../table.ts"
import { choice, codec, integer, type SettingCodec } from "../settingCodecs.ts"

export interface AuthUsersSettings {
  /** What of a client is looked up. */
  readonly key: "user_name" | "client_id"
  /** 0 to 10,000,000: users that `emqttd ctl users add` takes. */
  readonly maxUsers: number
}

export interface AuthScramSettings {
  /** Offered to clients of MQTT 5; none: no enhanced authentication. */
  readonly mechanisms: ReadonlyArray<ScramMechanism>
  /** 4,096 to 1,000,000: for passwords that are set from now on. */
  readonly iterations: number
}

export const authUsersDefaults: AuthUsersSettings = { key: "user_name", maxUsers: 100_000 }

export const authScramDefaults: AuthScramSettings = { mechanisms: [], iterations: 15_000 }

const isMechanisms = (value: unknown): value is ReadonlyArray<ScramMechanism> => Array.isArray(value)

const readMechanisms = (input: unknown): ReadonlyArray<ScramMechanism> | undefined => {
  const list = typeof input === "string" ? input.split(",").map((one) => one.trim()).filter((one) => one !== "") : input
  if (!Array.isArray(list) || new Set(list).size < list.length) return undefined
  const known = list.flatMap((one) => scramMechanisms.find((mechanism) => mechanism === one) ?? [])
  return known.length === list.length ? known : undefined
}

const mechanisms: SettingCodec<ReadonlyArray<ScramMechanism>> = codec(
  `a list of ${scramMechanisms.map((one) => `"${one}"`).join(", ").replace(/, ([^,]*)$/, " and $1")}, each once`,
  isMechanisms,
  readMechanisms,
  (value) => value
)

export const authUsers: Fields<AuthUsersSettings> = {
  key: ["key", choice(["user_name", "client_id"])],
  maxUsers: ["max_users", integer(0, 10_000_000)]
}

export const authScram: Fields<AuthScramSettings> = {
  mechanisms: ["mechanisms", mechanisms],
  // RFC 7677, section 4: 4,096 at the least
  iterations: ["iterations", integer(4_096, 1_000_000)]
}
