// One session with a MySQL or a MariaDB, for queries alone, each prepared by the server. Loaded only where one is asked. Invariant: what
// the server says no to leaves the session usable; what breaks it is "away".
import { Effect, type Scope } from "effect"
import { type Connection, createConnection } from "mysql2"
import { type BackendFailure, backendFailure } from "./Backend.ts"
import type { SqlRow, SqlSession } from "./SqlBackend.ts"
import { type ReachSettings, reasonOf, tlsOptions } from "./transport.ts"

/** mysql://user@host:3306/database, for a socket file ?socket=/run/mysqld/mysqld.sock */
export const openMysql = (
  name: string,
  settings: ReachSettings
): Effect.Effect<SqlSession, BackendFailure, Scope.Scope> =>
  Effect.gen(function* () {
    const { password, timeoutMillis } = settings
    const { hostname, pathname, port, searchParams, username } = new URL(settings.url)
    const socketPath = searchParams.get("socket")
    const host = hostname.replace(/^\[(.*)\]$/, "$1")
    const ssl = settings.tls ? yield* tlsOptions(name, settings, socketPath === null ? host : undefined) : undefined
    let open = true
    const connection = yield* Effect.acquireRelease(
      Effect.sync((): Connection => {
        const made = createConnection({
          ...(socketPath === null ? { host, port: Number(port || 3306) } : { socketPath }),
          user: decodeURIComponent(username),
          password,
          database: decodeURIComponent(pathname.slice(1)),
          ...(ssl === undefined ? {} : { ssl }),
          charset: "utf8mb4",
          connectTimeout: timeoutMillis,
          dateStrings: true,
          supportBigNumbers: true
        })
        // Without these an idle session that ends would end the process.
        made.on("error", () => open = false)
        made.on("end", () => open = false)
        return made
      }),
      (made) => Effect.sync(() => made.destroy())
    )
    yield* Effect.callback<void, BackendFailure>((resume) =>
      connection.connect((error) =>
        resume(
          error === null || error === undefined
            ? Effect.void
            : Effect.fail(backendFailure("away", `${name}: ${reasonOf(error)}`))
        )
      )
    )
    return {
      isOpen: () => open,
      query: (sql, parameters) =>
        Effect.callback<ReadonlyArray<SqlRow>, BackendFailure>((resume) => {
          connection.execute(sql, [...parameters], (error, rows) => {
            if (error === null) resume(Effect.succeed(Array.isArray(rows) ? rows.map(plainRow) : []))
            else resume(Effect.fail(backendFailure(isFatal(error) ? "away" : "refused", `${name}: ${reasonOf(error)}`)))
          })
        })
    }
  })

const isFatal = (error: { readonly fatal?: unknown; readonly code?: unknown; readonly errno?: unknown }): boolean =>
  error.fatal === true || (typeof error.code === "string" && /^(?:PROTOCOL_|ECONN|EPIPE|ETIMEDOUT)/.test(error.code)) ||
  // ER_SERVER_SHUTDOWN, ER_CON_COUNT_ERROR, connection killed
  error.errno === 1053 || error.errno === 1040 || error.errno === 1927

const plainRow = (row: unknown): SqlRow =>
  typeof row === "object" && row !== null
    ? Object.fromEntries(
      Object.entries(row).map((
        [column, value]: [string, unknown]
      ) => [column, value instanceof Uint8Array ? Buffer.from(value).toString("utf8") : value])
    )
    : {}
