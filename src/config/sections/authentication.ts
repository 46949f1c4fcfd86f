// `[authentication]`: who is asked who a client is, in which order, and what holds when that fails.
import type { Fields } from "../table.ts"
import { choice, codec, duration, integer, type SettingCodec } from "../settingCodecs.ts"

export const linkTypes = [
  "client_id_file",
  "password_file",
  "users",
  "jwt",
  "http",
  "postgres",
  "mysql",
  "redis",
  "ldap",
  "certificate",
  "anonymous"
] as const

export type LinkType = typeof linkTypes[number]

export interface AuthenticationSettings {
  /** Asked in this order until one allows or denies. */
  readonly links: ReadonlyArray<LinkType>
  /** What a link that fails or takes too long comes to. */
  readonly onFailure: "deny" | "ignore"
  /** What becomes of who is connected and would not be let in any more after a reload. */
  readonly whenRevoked: "disconnect" | "keep"
  /** 100ms to 5m: for the answer of one link. */
  readonly timeoutMillis: number
  /** 1 to 1,000,000: clients that wait for an answer at a time. The next one: CONNACK 0x89 Server busy. */
  readonly maxWaiting: number
  /** 1 to 64: passwords that are checked at a time, each on a thread of its own. */
  readonly hashesAtATime: number
  /** 0 to 100,000: those that wait for it. The next one: CONNACK 0x89 Server busy. */
  readonly hashesWaiting: number
  /** 0 to 1,000,000: clients whose good password is remembered. */
  readonly cacheSize: number
  /** 0 or 1s to 1d: for so long. */
  readonly cacheTtlMillis: number
  /** 0 to 10,000 different wrong passwords in the window, from one address, or for one client id; 0 is any number. */
  readonly failuresPerAddress: number
  readonly failuresPerClientId: number
  /** 1s to 1d. */
  readonly failureWindowMillis: number
  /** 1s to 1d: for so long it is not listened to then. */
  readonly failurePauseMillis: number
  /** 100 to 1,000,000 addresses, and as many client ids. */
  readonly failuresRemembered: number
  /** Who may come in with a client id whose session is there. */
  readonly takeover: "anyone" | "same_user"
}

export const authenticationDefaults: AuthenticationSettings = {
  links: ["anonymous"],
  onFailure: "deny",
  whenRevoked: "disconnect",
  timeoutMillis: 5_000,
  maxWaiting: 10_000,
  hashesAtATime: 2,
  hashesWaiting: 128,
  cacheSize: 10_000,
  cacheTtlMillis: 60_000,
  failuresPerAddress: 20,
  failuresPerClientId: 20,
  failureWindowMillis: 60_000,
  failurePauseMillis: 60_000,
  failuresRemembered: 10_000,
  takeover: "anyone"
}

const isLinks = (value: unknown): value is ReadonlyArray<LinkType> => Array.isArray(value)

const readLinks = (input: unknown): ReadonlyArray<LinkType> | undefined => {
  const list = typeof input === "string" ? input.split(",").map((one) => one.trim()).filter((one) => one !== "") : input
  if (!Array.isArray(list) || list.length === 0 || new Set(list).size < list.length) return undefined
  const links = list.flatMap((one) => linkTypes.find((type) => type === one) ?? [])
  return links.length === list.length ? links : undefined
}

const links: SettingCodec<ReadonlyArray<LinkType>> = codec(
  `a list of ${linkTypes.map((type) => `"${type}"`).join(", ").replace(/, ([^,]*)$/, " and $1")}, each once`,
  isLinks,
  readLinks,
  (value) => value
)

export const authentication: Fields<AuthenticationSettings> = {
  links: ["links", links],
  onFailure: ["on_failure", choice(["deny", "ignore"])],
  whenRevoked: ["when_revoked", choice(["disconnect", "keep"])],
  timeoutMillis: ["timeout", duration({ minimum: "100ms", maximum: "5m" })],
  maxWaiting: ["max_waiting", integer(1, 1_000_000)],
  hashesAtATime: ["hashes_at_a_time", integer(1, 64)],
  hashesWaiting: ["hashes_waiting", integer(0, 100_000)],
  cacheSize: ["cache_size", integer(0, 1_000_000)],
  cacheTtlMillis: ["cache_ttl", duration({ minimum: "1s", maximum: "1d", zero: true })],
  failuresPerAddress: ["failures_per_address", integer(0, 10_000)],
  failuresPerClientId: ["failures_per_client_id", integer(0, 10_000)],
  failureWindowMillis: ["failure_window", duration({ minimum: "1s", maximum: "1d" })],
  failurePauseMillis: ["failure_pause", duration({ minimum: "1s", maximum: "1d" })],
  failuresRemembered: ["failures_remembered", integer(100, 1_000_000)],
  takeover: ["takeover", choice(["anyone", "same_user"])]
}
