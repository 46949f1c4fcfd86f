// From the settings of a table to a back end with its sessions. The client of a database is loaded with the first session: a broker that
// asks none pays nothing for it. Invariant: templates were checked with the settings; here they are only cut.
import { Effect } from "effect"
import type { EventLog } from "../../metrics/EventLog.ts"
import type { Backend } from "./Backend.ts"
import { type CommandTemplate, parseCommandTemplate } from "./commandTemplate.ts"
import type { MysqlSettings } from "./mysqlSession.ts"
import type { PostgresSettings } from "./postgresSession.ts"
import { RedisBackend } from "./RedisBackend.ts"
import type { RedisSettings } from "./redisSession.ts"
import { type PoolSettings, SessionPool } from "./SessionPool.ts"
import { SqlBackend, type SqlQueries, type SqlSession } from "./SqlBackend.ts"
import { parseSqlTemplate, type SqlDialect, type SqlTemplate } from "./sqlTemplate.ts"

/** What a back end needs of the broker. */
export interface BackendHost {
  readonly log: EventLog
  /** ms since 1970. */
  readonly now: () => number
}

export interface QuerySettings {
  /** "" asks nothing. */
  readonly authQuery: string
  readonly superQuery: string
  readonly aclQuery: string
  readonly maxRules: number
}

export interface OpenBackend {
  readonly backend: Backend
  /** Ends its sessions. */
  readonly close: Effect.Effect<void>
}

export const makePostgres = (
  settings: PostgresSettings & PoolSettings & QuerySettings,
  host: BackendHost
): OpenBackend => {
  const name = "postgres"
  const open = Effect.flatMap(
    Effect.promise(() => import("./postgresSession.ts")),
    ({ openPostgres }) => openPostgres(name, settings)
  )
  return sqlBackend(name, "postgres", new SessionPool({ name, settings, open, ...host }), settings)
}

export const makeMysql = (settings: MysqlSettings & PoolSettings & QuerySettings, host: BackendHost): OpenBackend => {
  const name = "mysql"
  const open = Effect.flatMap(
    Effect.promise(() => import("./mysqlSession.ts")),
    ({ openMysql }) => openMysql(name, settings)
  )
  return sqlBackend(name, "mysql", new SessionPool({ name, settings, open, ...host }), settings)
}

const sqlBackend = (
  name: string,
  dialect: SqlDialect,
  pool: SessionPool<SqlSession>,
  { aclQuery, authQuery, maxRules, superQuery }: QuerySettings
): OpenBackend => {
  const queries: SqlQueries = {
    auth: sql(authQuery, dialect),
    super: sql(superQuery, dialect),
    acl: sql(aclQuery, dialect)
  }
  return { backend: new SqlBackend(name, pool, queries, maxRules), close: pool.close }
}

const sql = (template: string, dialect: SqlDialect): SqlTemplate | undefined => {
  const parsed = template === "" ? undefined : parseSqlTemplate(template, dialect)
  return typeof parsed === "string" ? undefined : parsed
}

export interface CommandSettings {
  /** "" asks nothing. */
  readonly authCmd: string
  readonly superCmd: string
  readonly aclCmd: string
  readonly maxRules: number
}

export const makeRedis = (settings: RedisSettings & PoolSettings & CommandSettings, host: BackendHost): OpenBackend => {
  const name = "redis"
  const { aclCmd, authCmd, maxRules, superCmd } = settings
  const open = Effect.flatMap(
    Effect.promise(() => import("./redisSession.ts")),
    ({ openRedis }) => openRedis(name, settings)
  )
  const pool = new SessionPool({ name, settings, open, ...host })
  const commands = { auth: command(authCmd), super: command(superCmd), acl: command(aclCmd) }
  return { backend: new RedisBackend(name, pool, commands, maxRules), close: pool.close }
}

const command = (template: string): CommandTemplate | undefined => {
  const parsed = template === "" ? undefined : parseCommandTemplate(template)
  return typeof parsed === "string" ? undefined : parsed
}
