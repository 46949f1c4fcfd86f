// From the table of a database to the rule source of its name. Invariant: rows with a fault are no rules, not even those without.
import { Effect, type FileSystem, type Scope } from "effect"
import type { Settings } from "../../config/Settings.ts"
import { makeMysql, makePostgres, makeRedis } from "../backends/makeBackend.ts"
import type { Backend } from "../backends/Backend.ts"
import { rulesOfRows } from "../backends/rowRules.ts"
import { FetchedSource, type KnownRules } from "./FetchedRules.ts"
import type { SourceParts } from "./HttpRules.ts"
import type { RuleFile, Subject } from "./Rule.ts"

export type FetchedType = "postgres" | "mysql" | "redis"
export type FetchedSettings = Pick<Settings, `auth_${FetchedType}`>

const backendOf = (type: FetchedType, settings: FetchedSettings, parts: SourceParts) => {
  switch (type) {
    case "postgres":
      return makePostgres(settings.auth_postgres, parts)
    case "mysql":
      return makeMysql(settings.auth_mysql, parts)
    case "redis":
      return makeRedis(settings.auth_redis, parts)
    default:
      return type satisfies never
  }
}

export const makeFetchedRules = (
  type: FetchedType,
  settings: FetchedSettings,
  known: KnownRules,
  parts: SourceParts
): Effect.Effect<FetchedSource, ReadonlyArray<string>, Scope.Scope | FileSystem.FileSystem> =>
  Effect.map(backendOf(type, settings, parts), (backend) => {
    const { aclOnFailure: onFailure, aclRefreshMillis: refreshMillis, poolSize: fetches } = settings[`auth_${type}`]
    const find = (subject: Subject) => rulesOf(backend, subject)
    return new FetchedSource({ name: type, find, onFailure, refreshMillis, fetches, known, parts })
  })

const rulesOf = (
  backend: Backend,
  { address, certificateName, clientId, userName }: Subject
): Effect.Effect<RuleFile, { readonly message: string }> => {
  const names = { address, certificateName, clientId, userName, certificateSubject: undefined, password: undefined }
  return Effect.flatMap(backend.findRules(names), (rows) => {
    const rules = rulesOfRows(backend.name, rows)
    return typeof rules === "string" ? Effect.fail({ message: `${backend.name}: ${rules}` }) : Effect.succeed(rules)
  })
}
