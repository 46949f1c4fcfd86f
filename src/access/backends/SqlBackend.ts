// Users and rules in a database that speaks SQL, by the original's three queries: auth_query, super_query, acl_query. The sessions are those of
// PostgreSQL or MySQL. Invariant: a query is prepared once from the settings; only its parameters differ from client to client.
import { Effect } from "effect"
import { type Backend, type BackendFailure, backendFailure, type UserRow } from "./Backend.ts"
import type { Names } from "./placeholders.ts"
import type { AclRow } from "./rowRules.ts"
import type { Session, SessionPool } from "./SessionPool.ts"
import { parametersOf, type SqlTemplate } from "./sqlTemplate.ts"

export type SqlRow = { readonly [column: string]: unknown }

export interface SqlSession extends Session {
  readonly query: (sql: string, parameters: ReadonlyArray<string | null>) => Effect.Effect<
    ReadonlyArray<SqlRow>,
    BackendFailure
  >
}

/** One that is not there asks nothing. */
export type SqlQueries = { readonly [Setting in "auth_query" | "super_query" | "acl_query"]?: SqlTemplate }

export class SqlBackend implements Backend {
  readonly name: string
  private readonly pool: SessionPool<SqlSession>
  private readonly queries: SqlQueries
  private readonly maxRules: number

  constructor(name: string, pool: SessionPool<SqlSession>, queries: SqlQueries, maxRules: number) {
    this.name = name
    this.pool = pool
    this.queries = queries
    this.maxRules = maxRules
  }

  findUser(names: Names): Effect.Effect<UserRow | undefined, BackendFailure> {
    return Effect.map(this.ask("auth_query", names), ([row]) => {
      if (row === undefined) return undefined
      return {
        password: "password" in row ? textOrNull(row["password"]) : undefined,
        salt: textOrNull(row["salt"]),
        userName: textOrNull(row["username"]) ?? undefined
      }
    })
  }

  isSuperuser(names: Names): Effect.Effect<boolean, BackendFailure> {
    return Effect.map(this.ask("super_query", names), ([row]) => {
      const [value] = row === undefined ? [] : Object.values(row)
      return isTrue(value)
    })
  }

  findRules(names: Names): Effect.Effect<ReadonlyArray<AclRow>, BackendFailure> {
    return Effect.flatMap(
      this.ask("acl_query", names),
      (rows) =>
        rows.length <= this.maxRules ? Effect.succeed(rows) : Effect.fail(
          backendFailure("refused", `${this.name}: acl_query gives more than max_rules = ${this.maxRules} rows`)
        )
    )
  }

  /** Whether auth_query judges the password itself. */
  get judgesPassword(): boolean {
    return this.queries.auth_query?.uses.has("%P") === true
  }

  private ask(setting: keyof SqlQueries, names: Names): Effect.Effect<ReadonlyArray<SqlRow>, BackendFailure> {
    const template = this.queries[setting]
    if (template === undefined) return Effect.succeed([])
    return Effect.mapError(
      this.pool.use((session) => session.query(template.sql, parametersOf(template, names))),
      (failure) =>
        failure.kind === "refused"
          ? backendFailure("refused", failure.message.replace(/^[^:]*: /, (name) => `${name}${setting}: `))
          : failure
    )
  }
}

const textOrNull = (value: unknown): string | null =>
  value === null || value === undefined
    ? null
    : value instanceof Uint8Array
    ? Buffer.from(value).toString("utf8")
    : String(value)

/** The original's is_superuser: 1. A column of bits or a truth value says it too. */
const isTrue = (value: unknown): boolean =>
  value === true || value === 1 || value === 1n || value === "1" || value === "true" || value === "t" ||
  (value instanceof Uint8Array && value.length === 1 && (value[0] === 1 || value[0] === 0x31))
