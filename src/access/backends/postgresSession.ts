// One session with a PostgreSQL, for queries alone. Loaded only where a PostgreSQL is asked. Invariant: what the server says no to leaves
// the session usable; what breaks it is "away".
import * as PgConnection from "@effect/sql-pg/PgConnection"
import * as PgTypes from "@effect/sql-pg/PgTypes"
import { Effect, Redacted, type Scope } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import { type BackendFailure, backendFailure } from "./Backend.ts"
import type { SqlSession } from "./SqlBackend.ts"
import { type ReachSettings, reasonOf, tlsOptions } from "./transport.ts"

/** Bytes of one answer's row. */
const maxMessageSize = 16 * 1024 * 1024

/** postgres://user@host:5432/database, for a socket file ?host=/run/postgresql */
export const openPostgres = (
  name: string,
  settings: ReachSettings
): Effect.Effect<SqlSession, BackendFailure, Scope.Scope> =>
  Effect.gen(function* () {
    const { password, timeoutMillis, url } = settings
    const host = hostOf(url)
    const ssl = settings.tls ? yield* tlsOptions(name, settings, host) : undefined
    const connection = yield* Effect.mapError(
      PgConnection.make({
        url: Redacted.make(url),
        ...(password === "" ? {} : { password: Redacted.make(password) }),
        ...(ssl === undefined ? {} : { ssl }),
        applicationName: "emqttd",
        connectTimeout: timeoutMillis,
        keepAlive: "10 seconds",
        maxMessageSize
      }),
      (error) => backendFailure("away", `${name}: ${messageOf(error)}`)
    )
    return {
      // A session that has ended fails at its next query, which is asked again on a new one.
      isOpen: () => true,
      query: (sql, parameters) =>
        connection.query(sql, parameters.map(PgTypes.text)).pipe(
          Effect.map(({ rows }) => rows),
          Effect.mapError((error) => backendFailure(kindOf(error), `${name}: ${messageOf(error)}`))
        )
    }
  })

const hostOf = (url: string): string | undefined => {
  const { hostname, searchParams } = new URL(url)
  const named = searchParams.get("host") ?? hostname
  return named.startsWith("/") || named === "" ? undefined : named
}

const messageOf = ({ reason }: SqlError): string => reasonOf(reason.cause ?? new Error(reason.message))

const kindOf = (error: SqlError): BackendFailure["kind"] => {
  const { _tag } = error.reason
  if (_tag === "ConnectionError" || _tag === "AuthenticationError") return "away"
  return /terminating connection|shutting down|starting up|recovery mode|too many clients|connection .*(closed|ended)/i
      .test(messageOf(error))
    ? "away"
    : "refused"
}
