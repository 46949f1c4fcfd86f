// A store of an earlier version: read as it is by who only reads, made one of this version by the first broker that opens it.
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { DatabaseSync } from "node:sqlite"
import type { OpenEngine } from "../../src/store/Engine.ts"
import { openPostgres, openPostgresReader } from "../../src/store/postgres/PostgresEngine.ts"
import { openSqliteReader } from "../../src/store/sqlite/openReader.ts"
import type { OpenReader } from "../../src/store/StoreReader.ts"
import { missingPostgres, PostgresServer } from "../support/PostgresServer.ts"
import { bytes, changes, delivery, message, session, subscription } from "./rows.ts"
import { sqliteFolder } from "./sqliteFolder.ts"

let server: PostgresServer | undefined
beforeAll(() => {
  if (missingPostgres === undefined) server = PostgresServer.start()
})
afterAll(() => server?.stop())

interface OldStore {
  readonly open: OpenEngine
  readonly read: OpenReader
  /** Takes away what version 2 has added. */
  readonly age: () => void
  readonly version: () => number
}

const sqlite = Effect.map(sqliteFolder, (folder): OldStore => {
  const within = <A>(work: (database: DatabaseSync) => A): A => {
    const database = new DatabaseSync(folder.file)
    try {
      return work(database)
    } finally {
      database.close()
    }
  }
  return {
    open: folder.open(),
    read: openSqliteReader(folder.file),
    age: () => within((database) => database.exec("DROP TABLE record; PRAGMA user_version = 1")),
    version: () => within((database) => Number(database.prepare("PRAGMA user_version").get()?.["user_version"]))
  }
})

const postgres = Effect.sync((): OldStore => {
  const url = server?.url("aged") ?? ""
  return {
    open: openPostgres({ url, durability: "fsync" }),
    read: openPostgresReader(url),
    age: () => {
      server?.query("DROP TABLE aged.record")
      server?.query("UPDATE aged.highest SET version = 1")
    },
    version: () => Number(server?.query("SELECT version FROM aged.highest"))
  }
})

const content = changes({
  sessions: [session(3)],
  subscriptions: [subscription(3, "a/#")],
  messages: [message(9)],
  deliveries: [delivery(3, 1, 9)]
})
const user = { kind: "user", key: "alice", value: bytes("x") }

describe("a store of version 1", () => {
  for (const [name, store] of [["sqlite", sqlite], ["postgres", postgres]] as const) {
    it.live(`${name}: keeps what it has and takes records`, (context) => {
      context.skip(name === "postgres" && missingPostgres !== undefined, missingPostgres)
      return Effect.gen(function* () {
        const { age, open, read, version } = yield* store
        yield* Effect.scoped(Effect.flatMap(open, (engine) => engine.commit(content, 5)))
        assert.strictEqual(version(), 2)
        age()
        yield* Effect.scoped(Effect.gen(function* () {
          const reader = yield* read
          assert.strictEqual((yield* reader.stats).records, 0)
          assert.strictEqual((yield* reader.stats).deliveries, 1)
          assert.isEmpty(yield* reader.recordKinds)
          assert.isEmpty(yield* reader.readRecords("user", "", 10))
        }))
        assert.strictEqual(version(), 1)
        for (const opened of [1, 2]) {
          yield* Effect.scoped(Effect.gen(function* () {
            const engine = yield* open
            if (opened === 1) yield* engine.commit(changes({ records: [user] }), 6)
            assert.deepStrictEqual(yield* engine.readRecords("user", "", 10), [user])
            assert.deepStrictEqual(yield* engine.readDeliveries(3, 0, 10), [
              { ...delivery(3, 1, 9), stored: message(9) }
            ])
          }))
        }
        assert.strictEqual(version(), 2)
      }).pipe(Effect.scoped)
    })
  }

  it.live("sqlite: that is damaged is saved without the table that it does not have", () =>
    Effect.gen(function* () {
      const folder = yield* sqliteFolder
      yield* Effect.scoped(Effect.flatMap(folder.open(), (engine) => engine.commit(content, 5)))
      const database = new DatabaseSync(folder.file)
      database.exec("DROP TABLE record; PRAGMA user_version = 1")
      database.close()
      folder.overwrite(0, new Uint8Array(24).fill(0))
      const engine = yield* folder.open()
      assert.strictEqual((yield* engine.stats).deliveries, 1)
      assert.strictEqual(folder.log[0]?.[1]["unreadable_places"], 0)
      yield* engine.commit(changes({ records: [user] }), 6)
      assert.deepStrictEqual(yield* engine.readRecords("user", "", 10), [user])
    }).pipe(Effect.scoped))
})
