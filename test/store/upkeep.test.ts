// Upkeep: messages that nothing names any more go in small steps, and the space of what has gone is given back.
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import { DatabaseSync } from "node:sqlite"
import type { Engine } from "../../src/store/Engine.ts"
import { openPostgres } from "../../src/store/postgres/PostgresEngine.ts"
import { missingPostgres, PostgresServer } from "../support/PostgresServer.ts"
import { bytes, changes, delivery, message, session } from "./rows.ts"
import { sqliteFolder } from "./sqliteFolder.ts"

const large = bytes("x".repeat(4_000))
const sessions = 20
const each = 200
const unnamed = 2_500

/** 20 sessions with 200 messages of 4,000 bytes each, of which the first stays. */
const fill = (engine: Engine) =>
  Effect.forEach(
    Array.from({ length: sessions }, (_, at) => at + 1),
    (number) => {
      const sequences = Array.from({ length: each }, (_, at) => at + 1)
      const nameOf = (sequence: number) => 10_000 + number * each + sequence
      return engine.commit(
        changes({
          sessions: [session(number)],
          messages: sequences.map((sequence) => message(nameOf(sequence), { packet: large })),
          deliveries: sequences.map((sequence) => delivery(number, sequence, nameOf(sequence)))
        }),
        1
      )
    },
    { discard: true }
  )

const endAllButOne = (engine: Engine) =>
  engine.commit(changes({ sessionsEnded: Array.from({ length: sessions - 1 }, (_, at) => at + 2) }), 2)

/** Steps until there is nothing more to do; `look` after each. */
const tidyAll = (engine: Engine, look: () => void) =>
  Effect.gen(function* () {
    let steps = 0
    for (let more = true; more; look()) {
      more = yield* engine.tidy
      assert.isBelow(++steps, 1_000)
    }
    return steps
  })

describe("sqlite", () => {
  it.live("gives the space of ended sessions back in steps of a mebibyte", () =>
    Effect.gen(function* () {
      const folder = yield* sqliteFolder
      const engine = yield* folder.open("process")
      const sizes: Array<number> = []
      const look = () => sizes.push(fs.statSync(folder.file).size)
      yield* fill(engine)
      yield* tidyAll(engine, look)
      const full = sizes.at(-1) ?? 0
      assert.isAbove(full, 16_000_000)
      yield* endAllButOne(engine)
      sizes.length = 0
      const steps = yield* tidyAll(engine, look)
      assert.isAbove(steps, 10)
      let before = full
      for (const size of sizes) {
        // And the page that says where the others were.
        assert.isAtMost(before - size, (256 + 1) * 4096)
        before = size
      }
      assert.isBelow(before, full / 10)
      assert.strictEqual((yield* engine.readDeliveries(1, 0, 1_000)).length, each)
    }).pipe(Effect.scoped))

  it.live("removes messages that nothing names, a thousand looked at in one step", () =>
    Effect.gen(function* () {
      const folder = yield* sqliteFolder
      yield* Effect.scoped(Effect.flatMap(folder.open("process"), fill))
      const database = new DatabaseSync(folder.file)
      const insert = database.prepare("INSERT INTO message VALUES(?, ?)")
      database.exec("BEGIN")
      for (let number = 1; number <= unnamed; number++) insert.run(number, large)
      database.exec("COMMIT")
      database.close()
      const engine = yield* folder.open("process")
      const left = () => engine.stats
      const named = sessions * each
      assert.strictEqual((yield* left()).messages, unnamed + named)
      assert.isTrue(yield* engine.tidy)
      assert.strictEqual((yield* left()).messages, unnamed + named - 1_000)
      yield* tidyAll(engine, () => {})
      assert.strictEqual((yield* left()).messages, named)
    }).pipe(Effect.scoped))
})

describe("postgres", () => {
  let server: PostgresServer | undefined
  beforeAll(() => {
    if (missingPostgres === undefined) server = PostgresServer.start()
  })
  afterAll(() => server?.stop())

  it.live("removes messages that nothing names, a thousand looked at in one step, and their space can be given back", (context) => {
    context.skip(missingPostgres !== undefined, missingPostgres)
    if (server === undefined) return Effect.void
    const { query } = { query: (sql: string) => server?.query(sql) ?? "" }
    return Effect.gen(function* () {
      const engine = yield* openPostgres({ url: server?.url("upkeep") ?? "", durability: "process" })
      yield* fill(engine)
      query(
        `INSERT INTO upkeep.message SELECT n, decode(repeat('78', 4000), 'hex') FROM generate_series(1, ${unnamed}) n`
      )
      const named = sessions * each
      assert.strictEqual((yield* engine.stats).messages, unnamed + named)
      assert.isTrue(yield* engine.tidy)
      assert.strictEqual((yield* engine.stats).messages, unnamed + named - 1_000)
      yield* tidyAll(engine, () => {})
      assert.strictEqual((yield* engine.stats).messages, named)
      yield* endAllButOne(engine)
      assert.strictEqual((yield* engine.stats).messages, each)
      const { bytes: before } = yield* engine.stats
      for (const table of ["message", "delivery"]) query(`VACUUM upkeep.${table}`)
      assert.isBelow((yield* engine.stats).bytes, before)
      assert.strictEqual((yield* engine.readDeliveries(1, 0, 1_000)).length, each)
    }).pipe(Effect.scoped)
  })
})
