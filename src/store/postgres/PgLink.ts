// One session of PostgreSQL that comes back: connected when it is needed, dropped when it fails, prepared anew each time.
// Invariant: what fails is one clear line; a session that has failed is never used again.
import * as PgConnection from "@effect/sql-pg/PgConnection"
import { Effect, Exit, Redacted, Scope, Semaphore } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import { type StoreFailure, storeFailure, type StoreFailureKind } from "../Engine.ts"

export interface PgLinkOptions {
  readonly url: string
  /** "postgres://host/database", without the password. */
  readonly name: string
  readonly prepare: (connection: PgConnection.PgConnection) => Effect.Effect<void, SqlError | StoreFailure>
}

/** A statement that takes longer has lost its server. */
const answerWithin = "30 seconds"

export class PgLink {
  private readonly options: PgLinkOptions
  private readonly turn = Semaphore.makeUnsafe(1)
  private held: { readonly connection: PgConnection.PgConnection; readonly scope: Scope.Closeable } | undefined

  constructor(options: PgLinkOptions) {
    this.options = options
  }

  /** One at a time. */
  use<A>(
    work: (connection: PgConnection.PgConnection) => Effect.Effect<A, SqlError | StoreFailure>
  ): Effect.Effect<A, StoreFailure> {
    return this.connected().pipe(
      Effect.flatMap(work),
      Effect.timeoutOrElse({
        duration: answerWithin,
        orElse: () =>
          Effect.fail(storeFailure("unreachable", `store ${this.options.name}: no answer in ${answerWithin}`))
      }),
      // In the middle of a transaction, perhaps: a new session begins without one.
      Effect.onExit((exit) => Exit.isFailure(exit) ? this.drop() : Effect.void),
      Effect.mapError((error) => this.failureOf(error)),
      this.turn.withPermits(1)
    )
  }

  drop(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { held } = this
      this.held = undefined
      return held === undefined ? Effect.void : Scope.close(held.scope, Exit.void)
    })
  }

  private connected(): Effect.Effect<PgConnection.PgConnection, SqlError | StoreFailure> {
    return Effect.suspend(() => {
      if (this.held !== undefined) return Effect.succeed(this.held.connection)
      const scope = Scope.makeUnsafe()
      return PgConnection.make({
        url: Redacted.make(this.options.url),
        applicationName: "emqttd",
        keepAlive: "10 seconds",
        maxMessageSize: 512 * 1024 * 1024
      }).pipe(
        Scope.provide(scope),
        Effect.tap((connection) => this.options.prepare(connection)),
        Effect.tap((connection) => Effect.sync(() => this.held = { connection, scope })),
        Effect.onExit((exit) => Exit.isFailure(exit) ? Scope.close(scope, exit) : Effect.void)
      )
    })
  }

  private failureOf(error: SqlError | StoreFailure): StoreFailure {
    if (error._tag === "StoreFailure") return error
    const { reason } = error
    const detail = causesOf(reason.cause, reason.message)
    return storeFailure(kindOf(reason._tag, detail), `store ${this.options.name}: ${detail}`)
  }
}

const kindOf = (tag: string, detail: string): StoreFailureKind => {
  if (/No space left on device|disk full|could not extend file/i.test(detail)) return "full"
  if (/read-only transaction/.test(detail)) return "read_only"
  if (tag === "ConnectionError" || tag === "AuthenticationError") return "unreachable"
  if (/terminating connection|shutting down|starting up|recovery mode|too many clients/.test(detail)) {
    return "unreachable"
  }
  return "other"
}

/** The innermost message says what it is: "connect ECONNREFUSED …", "password authentication failed …". */
const causesOf = (cause: unknown, outer: string | undefined): string => {
  const texts = outer === undefined || outer === "" ? [] : [outer]
  for (let at = cause; at instanceof Error && texts.length < 4; at = at.cause) {
    if (at.message !== "" && !texts.includes(at.message)) texts.push(at.message)
  }
  return texts.length === 0 ? "failed" : texts.join(": ").replace(/\s+/g, " ")
}
