// `[authorization]`: what clients may do.
import type { Fields } from "../table.ts"
import { choice, codec, duration, integer, type SettingCodec, truth } from "../settingCodecs.ts"
import { isTree } from "../SettingsSource.ts"

const sourceTypes = [
  "default",
  "acl_config",
  "mosquitto",
  "toml",
  "built_in",
  "jwt",
  "http",
  "postgres",
  "mysql",
  "redis"
] as const
/** Those that have no path. */
const withoutPath: ReadonlySet<string> = new Set(["default", "built_in", "jwt", "http", "postgres", "mysql", "redis"])

/**
 * "default" is the original's default file, "built_in" what `emqttd ctl acl` keeps in the store, "jwt" what a client
 * has brought along, "http" the service of `[auth_http]`, and so on.
 */
export type RuleSourceType = typeof sourceTypes[number]

export interface RuleSource {
  readonly type: RuleSourceType
  /** "" for those that are no file. */
  readonly path: string
}

export interface AuthorizationSettings {
  /** Asked in this order; the first with a rule that matches decides. */
  readonly sources: ReadonlyArray<RuleSource>
  /** What holds when no rule matches. */
  readonly noMatch: "allow" | "deny"
  /** What a denied PUBLISH of an MQTT 3.x client comes to. */
  readonly denyAction: "ignore" | "disconnect"
  /** What a client comes to whose subscription the rules of a reload deny: it loses the subscription, or its connection. */
  readonly whenRevoked: "unsubscribe" | "disconnect"
  /** Whether a denied topic denies every SUBSCRIBE that could bring its messages, not only those that the original denies. */
  readonly denyCovers: boolean
  /** 0 to 1,000,000: rules that `emqttd ctl acl add` takes. */
  readonly maxBuiltInRules: number
  /** 0 to 65,536: topics a connection remembers the answer for. */
  readonly cacheSize: number
  /** 0 to 1 d: for so long a connection keeps what a source like "http" has answered. */
  readonly cacheTtlMillis: number
}

export const authorizationDefaults: AuthorizationSettings = {
  sources: [{ type: "default", path: "" }],
  noMatch: "allow",
  denyAction: "ignore",
  whenRevoked: "unsubscribe",
  denyCovers: true,
  maxBuiltInRules: 10_000,
  cacheSize: 32,
  cacheTtlMillis: 60_000
}

const isSources = (value: unknown): value is ReadonlyArray<RuleSource> => Array.isArray(value)

const sourceOf = (type: unknown, path: unknown): RuleSource | undefined => {
  const known = sourceTypes.find((one) => one === type)
  if (known === undefined || typeof path !== "string" || withoutPath.has(known) !== (path === "")) return undefined
  return { type: known, path }
}

/** A list of tables; from the environment and from flags: "acl_config:etc/acl.config, default". */
const readSources = (input: unknown): ReadonlyArray<RuleSource> | undefined => {
  const list = typeof input === "string" ? input.split(",").map((one) => one.trim()).filter((one) => one !== "") : input
  if (!Array.isArray(list)) return undefined
  const sources: Array<RuleSource> = []
  for (const one of list) {
    const [, type, path] = typeof one === "string" ? /^([^:]*):?(.*)$/s.exec(one) ?? [] : []
    const source = typeof one === "string"
      ? sourceOf(type, path)
      : isTree(one) && Object.keys(one).every((key) => key === "type" || key === "path")
      ? sourceOf(one["type"], one["path"] ?? "")
      : undefined
    if (source === undefined) return undefined
    sources.push(source)
  }
  return sources
}

const ruleSources: SettingCodec<ReadonlyArray<RuleSource>> = codec(
  `a list of { type = "default" }, { type = "built_in", "jwt", "http", "postgres", "mysql" or "redis" } and { type = "acl_config", "mosquitto" or "toml", path = "FILE" }`,
  isSources,
  readSources,
  (sources) => sources.map(({ path, type }) => path === "" ? { type } : { type, path })
)

export const authorization: Fields<AuthorizationSettings> = {
  sources: ["sources", ruleSources],
  noMatch: ["no_match", choice(["allow", "deny"])],
  denyAction: ["deny_action", choice(["ignore", "disconnect"])],
  whenRevoked: ["when_revoked", choice(["unsubscribe", "disconnect"])],
  denyCovers: ["deny_covers", truth],
  maxBuiltInRules: ["max_built_in_rules", integer(0, 1_000_000)],
  cacheSize: ["cache_size", integer(0, 65_536)],
  cacheTtlMillis: ["cache_ttl", duration({ minimum: "0s", maximum: "1d" })]
}
