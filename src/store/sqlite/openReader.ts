// The database as a command sees it: one connection that only reads, on the caller's thread, in one transaction.
import { Effect } from "effect"
import * as fs from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { type StoreFailure, storeFailure } from "../Engine.ts"
import type { OpenReader, StoreReader } from "../StoreReader.ts"
import { countRows, hasRecords } from "./countRows.ts"
import { decodeDeliveries, decodeRecords, decodeRetained, decodeSessions } from "./decodePages.ts"
import { troubleOf } from "./failures.ts"
import {
  type DamagedRow,
  readDeliveryPage,
  readRecordKinds,
  readRecordPage,
  readRetainedPage,
  readSessionPage
} from "./readRows.ts"
import { requireStore } from "./schema.ts"
import { Statements } from "./Statements.ts"

/** Problems that `integrity_check` names at most. */
const faultsAtMost = 20

export const attempt = <A>(name: string, work: () => A): Effect.Effect<A, StoreFailure> =>
  Effect.try({
    try: work,
    catch: (error) => {
      const { kind, message } = troubleOf(name, error)
      return storeFailure(kind, message)
    }
  })

export const openDatabase = (file: string, readOnly: boolean) =>
  Effect.acquireRelease(
    Effect.andThen(
      Effect.suspend(() =>
        fs.existsSync(file) ? Effect.void : Effect.fail(storeFailure("other", `${file}: there is no store`))
      ),
      attempt(file, () => new DatabaseSync(file, { readOnly }))
    ),
    (database) => Effect.ignore(attempt(file, () => database.close()))
  ).pipe(
    Effect.tap((database) =>
      attempt(file, () => {
        requireStore(database, file)
        database.exec("PRAGMA busy_timeout = 5000")
      })
    )
  )

export const openSqliteReader = (file: string): OpenReader =>
  Effect.gen(function* () {
    const database = yield* openDatabase(file, true)
    const statements = new Statements(database)
    const highest = yield* attempt(file, () => {
      database.exec("BEGIN")
      return statements.get("SELECT session, message, committed_at FROM highest").get()
    })
    const damaged = new Set<string>()
    const damage = ({ key, table }: DamagedRow) => damaged.add(`${table} ${key.join(" ")}`)
    const reader: StoreReader = {
      description: `sqlite ${file}`,
      highest: {
        session: Number(highest?.["session"] ?? 0),
        message: Number(highest?.["message"] ?? 0),
        committedAt: Number(highest?.["committed_at"] ?? 0)
      },
      get damaged() {
        return [...damaged]
      },
      readSessions: (after, limit) =>
        attempt(file, () => decodeSessions(readSessionPage(statements, after, limit, damage))),
      readDeliveries: (session, after, limit) =>
        attempt(file, () => decodeDeliveries(readDeliveryPage(statements, session, after, limit, damage), session)),
      readRetained: (after, limit) =>
        attempt(file, () => decodeRetained(readRetainedPage(statements, after, limit, damage))),
      readRecords: (kind, after, limit) =>
        attempt(file, () =>
          hasRecords(statements) ? decodeRecords(readRecordPage(statements, kind, after, limit, damage)) : []),
      recordKinds: attempt(file, () =>
        hasRecords(statements) ? readRecordKinds(statements) : []),
      stats: attempt(file, () => countRows(statements)),
      faults: attempt(file, () =>
        statements.all(`PRAGMA integrity_check(${faultsAtMost})`)
          .map((row) => String(Object.values(row)[0]))
          .filter((line) => line !== "ok"))
    }
    return reader
  })
