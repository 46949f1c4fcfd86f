// `emqttd store …` as a user runs it: on a folder, with and without a broker that writes it.
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { bytes, changes, delivery, message, session, subscription } from "../store/rows.ts"
import { type SqliteFolder, sqliteFolder } from "../store/sqliteFolder.ts"
import { run } from "./EmqttdProcess.ts"

const filled = Effect.gen(function* () {
  const folder = yield* sqliteFolder
  yield* Effect.scoped(Effect.gen(function* () {
    const engine = yield* folder.open()
    yield* engine.commit(
      changes({
        sessions: [session(1), session(2)],
        subscriptions: [subscription(1, "a")],
        messages: [message(1, { packet: bytes("spoil-me") }), message(2)],
        deliveries: [delivery(1, 1, 1), delivery(2, 1, 2)]
      }),
      1_700_000_000_000
    )
  }))
  return folder
})

const store = ({ directory }: SqliteFolder, ...args: ReadonlyArray<string>) =>
  Effect.promise(() => run(["store", ...args, "--data", directory]))

describe("emqttd store", () => {
  it.live("check and stats, also while the store is in use", () =>
    Effect.gen(function* () {
      const folder = yield* filled
      yield* folder.open()
      const checked = yield* store(folder, "check")
      assert.deepStrictEqual([checked.code, checked.stderr], [0, ""])
      assert.match(checked.stdout, /^ok: sqlite .*store\.sqlite: 5 rows read\n$/)
      const counted = yield* store(folder, "stats", "--json")
      const { bytes: size, store: name, ...counts } = JSON.parse(counted.stdout)
      assert.isAbove(size, 0)
      assert.match(name, /^sqlite /)
      assert.deepStrictEqual(counts, {
        sessions: 2,
        subscriptions: 1,
        messages: 2,
        deliveries: 2,
        retained: 0,
        records: 0,
        last_commit: "2023-11-14T22:13:20.000Z"
      })
      assert.match((yield* store(folder, "stats")).stdout, /^sessions +2$/m)
    }).pipe(Effect.scoped))

  it.live("check names a damaged row, exit 74", () =>
    Effect.gen(function* () {
      const folder = yield* filled
      assert.isAbove(folder.spoil("spoil-me"), 0)
      const { code, stderr } = yield* store(folder, "check")
      assert.strictEqual(code, 74)
      assert.match(stderr, /^emqttd: sqlite .*: damaged row: delivery 1 1\n$/)
    }).pipe(Effect.scoped))

  it.live("backup while in use, restore when not; what was there is kept", () =>
    Effect.gen(function* () {
      const folder = yield* filled
      const copy = path.join(folder.directory, "copy.sqlite")
      yield* Effect.scoped(Effect.gen(function* () {
        const engine = yield* folder.open()
        assert.strictEqual((yield* store(folder, "backup", copy)).code, 0)
        const again = yield* store(folder, "backup", copy)
        assert.deepStrictEqual([again.code, again.stderr], [74, `emqttd: ${copy}: it is there already\n`])
        yield* engine.commit(changes({ sessionsEnded: [1, 2] }), 2)
        const refused = yield* store(folder, "restore", copy)
        assert.strictEqual(refused.code, 74)
        assert.match(refused.stderr, /another emqttd uses it/)
      }))
      const restored = yield* store(folder, "restore", copy)
      assert.deepStrictEqual([restored.code, restored.stderr], [0, ""])
      assert.match(restored.stdout, /store\.sqlite\.replaced-/)
      const engine = yield* folder.open()
      assert.strictEqual((yield* engine.stats).deliveries, 2)
      assert.lengthOf(folder.names().filter((name) => name.startsWith("store.sqlite.replaced-")), 1)
    }).pipe(Effect.scoped))

  it.live("a backup that is none is refused and nothing is touched", () =>
    Effect.gen(function* () {
      const folder = yield* filled
      const copy = path.join(folder.directory, "copy.sqlite")
      fs.writeFileSync(copy, "not a database at all, but long enough to be looked at".repeat(100))
      const { code, stderr } = yield* store(folder, "restore", copy)
      assert.strictEqual(code, 74)
      assert.match(stderr, /the file is damaged/)
      assert.strictEqual((yield* (yield* folder.open()).stats).deliveries, 2)
    }).pipe(Effect.scoped))

  it.live("export and import", () =>
    Effect.gen(function* () {
      const from = yield* filled
      const to = yield* sqliteFolder
      const file = path.join(to.directory, "store.ndjson")
      const written = yield* store(from, "export", file)
      const twice = yield* store(from, "export", file)
      assert.deepStrictEqual([twice.code, twice.stderr], [74, `emqttd: ${file}: it is there already\n`])
      assert.deepStrictEqual([written.code, written.stdout, written.stderr], [0, "", ""])
      assert.lengthOf(fs.readFileSync(file, "utf8").split("\n"), 1 + 5 + 1)
      const read = yield* store(to, "import", file)
      assert.deepStrictEqual([read.code, read.stderr], [0, ""])
      assert.strictEqual(
        (yield* store(to, "export")).stdout,
        fs.readFileSync(file, "utf8").replace(
          /"committed_at":\d+/,
          /"committed_at":\d+/.exec((yield* store(to, "export")).stdout)?.[0] ?? ""
        )
      )
      assert.strictEqual((yield* store(to, "import", file)).code, 74)
    }).pipe(Effect.scoped))

  it.live("where there is nothing, and where nothing is kept", () =>
    Effect.gen(function* () {
      const folder = yield* sqliteFolder
      for (const job of ["check", "stats", "export"]) {
        const { code, stderr } = yield* store(folder, job)
        assert.strictEqual(code, 74)
        assert.match(stderr, /^emqttd: .*store\.sqlite: there is no store\n$/)
      }
      const memory = yield* store(folder, "check", "--set", "store.engine=memory")
      assert.strictEqual(memory.code, 2)
      assert.match(memory.stderr, /these settings keep nothing/)
      const postgres = yield* store(folder, "backup", "x", "--set", "store.engine=postgres")
      assert.strictEqual(postgres.code, 2)
      assert.match(postgres.stderr, /pg_dump/)
    }).pipe(Effect.scoped))
})
