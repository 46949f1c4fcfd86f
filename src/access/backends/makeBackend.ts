// From the settings of a table to a back end with its sessions; used by the link and by the rule source of that name. The client of a
// database is loaded with the first session: a broker that asks none pays nothing for it. Invariant: a back end is made whole or
// not at all, and every fault in its settings is told, each in one line.
import { Effect, type FileSystem, Redacted, type Scope } from "effect"
import type { AuthRedisSettings, AuthSqlSettings, BackendSettings } from "../../config/Settings.ts"
import { readSecret, SecretUnreadable } from "../../config/Secret.ts"
import type { Backend, BackendFailure } from "./Backend.ts"
import { parseCommandTemplate } from "./commandTemplate.ts"
import type { Placeholder } from "./placeholders.ts"
import { RedisBackend } from "./RedisBackend.ts"
import { type BackendHost, SessionPool } from "./SessionPool.ts"
import { SqlBackend, type SqlSession } from "./SqlBackend.ts"
import { parseSqlTemplate, type SqlDialect } from "./sqlTemplate.ts"
import type { ReachSettings } from "./transport.ts"

/** One line a fault. */
export type MakeBackend = Effect.Effect<Backend, ReadonlyArray<string>, Scope.Scope | FileSystem.FileSystem>

/** `table`: names the settings in faults. The password is read, an address has to be there. */
export const reachable = Effect.fnUntraced(function* (
  table: string,
  settings: BackendSettings
): Effect.fn.Return<ReachSettings, ReadonlyArray<string>, FileSystem.FileSystem> {
  if (settings.url === "") return yield* Effect.fail([`${table}.url: needed`])
  const password = yield* Effect.mapError(
    readSecret(`${table}.password`, settings.password),
    ({ message }: SecretUnreadable) => [message]
  )
  return { ...settings, password: Redacted.value(password) }
})

/** The templates, or what is wrong with them. "" is none. */
const templatesOf = <T extends { readonly uses: ReadonlySet<Placeholder> }, Key extends string>(
  table: string,
  texts: { readonly [K in Key]: string },
  parse: (text: string) => T | string
): { readonly templates: Partial<Record<Key, T>>; readonly faults: ReadonlyArray<string> } => {
  const templates: Partial<Record<Key, T>> = {}
  const faults: Array<string> = []
  for (const key of Object.keys(texts) as Array<Key>) {
    const text = texts[key]
    const parsed = text === "" ? undefined : parse(text)
    // When rules are fetched these are gone, or nobody has kept them.
    const unknown = typeof parsed !== "object" || !key.startsWith("acl_")
      ? undefined
      : ["%P" as const, "%d" as const].find((placeholder) => parsed.uses.has(placeholder))
    if (typeof parsed === "string") faults.push(`${table}.${key}: ${parsed}`)
    else if (unknown !== undefined) faults.push(`${table}.${key}: ${unknown} is not known when rules are fetched`)
    else if (parsed !== undefined) templates[key] = parsed
  }
  return { templates, faults }
}

/** As the original's manual has it, in an order. */
const originalAclQuery = "select allow, ipaddr, username, clientid, access, topic from mqtt_acl " +
  "where ipaddr = '%a' or username = '%u' or username = '$all' or clientid = '%c' order by id"

const sqlBackend = (
  dialect: SqlDialect,
  settings: AuthSqlSettings,
  host: BackendHost,
  open: (reach: ReachSettings) => Effect.Effect<SqlSession, BackendFailure, Scope.Scope>
): MakeBackend =>
  Effect.gen(function* () {
    const table = `auth_${dialect}`
    const { aclQuery, authQuery: auth_query, superQuery: super_query } = settings
    const acl_query = aclQuery === "" ? originalAclQuery : aclQuery
    const { faults, templates } = templatesOf(
      table,
      { auth_query, super_query, acl_query },
      (text) => parseSqlTemplate(text, dialect)
    )
    if (faults.length > 0) return yield* Effect.fail(faults)
    const reach = yield* reachable(table, settings)
    const pool = new SessionPool({ name: dialect, settings, open: open(reach), host })
    yield* Effect.addFinalizer(() => pool.close)
    return new SqlBackend(dialect, pool, templates, settings.maxRules)
  })

export const makePostgres = (settings: AuthSqlSettings, host: BackendHost): MakeBackend =>
  sqlBackend("postgres", settings, host, (reach) =>
    Effect.flatMap(
      Effect.promise(() => import("./postgresSession.ts")),
      ({ openPostgres }) => openPostgres("postgres", reach)
    ))

export const makeMysql = (settings: AuthSqlSettings, host: BackendHost): MakeBackend =>
  sqlBackend("mysql", settings, host, (reach) =>
    Effect.flatMap(
      Effect.promise(() => import("./mysqlSession.ts")),
      ({ openMysql }) => openMysql("mysql", reach)
    ))

export const makeRedis = (settings: AuthRedisSettings, host: BackendHost): MakeBackend =>
  Effect.gen(function* () {
    const { aclCmd: acl_cmd, authCmd: auth_cmd, superCmd: super_cmd } = settings
    const { faults, templates } = templatesOf("auth_redis", { auth_cmd, super_cmd, acl_cmd }, parseCommandTemplate)
    if (faults.length > 0) return yield* Effect.fail(faults)
    const reach = yield* reachable("auth_redis", settings)
    const open = Effect.flatMap(
      Effect.promise(() => import("./redisSession.ts")),
      ({ openRedis }) => openRedis("redis", reach)
    )
    const pool = new SessionPool({ name: "redis", settings, open, host })
    yield* Effect.addFinalizer(() => pool.close)
    return new RedisBackend("redis", pool, templates, settings.maxRules)
  })
