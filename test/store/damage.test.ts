// A damaged file: what fits its checksum is kept, what does not is set aside and named, and never is there silent emptiness.
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import { DatabaseSync } from "node:sqlite"
import type { Engine } from "../../src/store/Engine.ts"
import { bytes, changes, delivery, message, session, subscription } from "./rows.ts"
import { type SqliteFolder, sqliteFolder } from "./sqliteFolder.ts"

const fill = (engine: Engine, sessions: number, each: number) =>
  Effect.gen(function* () {
    const numbers = Array.from({ length: sessions }, (_, index) => index + 1)
    yield* engine.commit(
      changes({
        sessions: numbers.map((number) => session(number)),
        subscriptions: numbers.map((number) => subscription(number, `filter/of/${number}`)),
        retained: numbers.map((number) => ({
          topic: `topic/${number}`,
          message: { ...message(0, { packet: bytes(`retained-${number}-`) }) }
        })),
        records: numbers.map((number) => ({ kind: "user", key: `key-${number}`, value: bytes(`value-${number}-`) }))
      }),
      1
    )
    const keys = numbers.flatMap((number) => Array.from({ length: each }, (_, index) => [number, index + 1] as const))
    yield* engine.commit(
      changes({
        messages: keys.map(([number, sequence]) =>
          message(number * 1_000 + sequence, { packet: bytes(`packet-${number}-${sequence}-`.padEnd(100, "x")) })
        ),
        deliveries: keys.map(([number, sequence]) => delivery(number, sequence, number * 1_000 + sequence))
      }),
      1
    )
  })

const filled = Effect.fnUntraced(function* (sessions: number, each: number) {
  const folder = yield* sqliteFolder
  yield* Effect.scoped(Effect.flatMap(folder.open(), (engine) => fill(engine, sessions, each)))
  return folder
})

const sequences = (engine: Engine, number: number) =>
  Effect.map(engine.readDeliveries(number, 0, 10_000), (rows) => rows.map(({ sequence }) => sequence))

const pageSize = 4096

/** The leaf pages of the file on which a text stands (0x0a: of an index, which tables without rowid are). */
const pagesWith = ({ file }: SqliteFolder, text: string): ReadonlyArray<number> => {
  const all = fs.readFileSync(file)
  const found = new Set<number>()
  for (let at = all.indexOf(text); at >= 0; at = all.indexOf(text, at + 1)) found.add(Math.floor(at / pageSize))
  return [...found].filter((page) => all[page * pageSize] === 0x0a)
}

describe("a damaged row", () => {
  it.live("of a delivery is set aside and named; the others are read", () =>
    Effect.gen(function* () {
      const folder = yield* filled(3, 10)
      assert.isAbove(folder.spoil("packet-2-4-"), 0)
      const engine = yield* folder.open()
      assert.deepStrictEqual(yield* sequences(engine, 2), [1, 2, 3, 5, 6, 7, 8, 9, 10])
      assert.deepStrictEqual(folder.log.map(([, fields]) => fields), [{ table: "delivery", key: "2 4" }])
      assert.deepStrictEqual(yield* sequences(engine, 2), [1, 2, 3, 5, 6, 7, 8, 9, 10])
      assert.lengthOf(folder.log, 1)
      assert.strictEqual((yield* engine.stats).deliveries, 29)
    }).pipe(Effect.scoped))

  it.live("of a session, a subscription and a retained message, too", () =>
    Effect.gen(function* () {
      const folder = yield* filled(3, 1)
      assert.strictEqual(folder.spoil("client-2"), 1)
      // The filter and the topic stand in the key and in the body.
      assert.isAbove(folder.spoil("filter/of/3"), 0)
      assert.isAbove(folder.spoil("retained-1-"), 0)
      assert.isAbove(folder.spoil("value-2-"), 0)
      const engine = yield* folder.open()
      const sessions = yield* engine.readSessions(0, 10)
      assert.deepStrictEqual(sessions.map(({ row }) => row.clientId), ["client-1", "client-3"])
      assert.deepStrictEqual(sessions.map(({ subscriptions }) => subscriptions.length), [1, 0])
      const retained = yield* engine.readRetained("", 10)
      assert.deepStrictEqual(retained.map(({ topic }) => topic), ["topic/2", "topic/3"])
      const records = yield* engine.readRecords("user", "", 10)
      assert.deepStrictEqual(records.map(({ key }) => key), ["key-1", "key-3"])
      assert.deepStrictEqual(
        folder.log.map(([, { key, table }]) => `${table} ${key}`).sort(),
        ["record user key-2", "retained topic/1", "session 2", "subscription 3 !!!!!!!!!!!"]
      )
      assert.strictEqual((yield* engine.stats).deliveries, 2)
    }).pipe(Effect.scoped))

  it.live("of a message for many takes only the deliveries of that message", () =>
    Effect.gen(function* () {
      const folder = yield* sqliteFolder
      yield* Effect.scoped(Effect.gen(function* () {
        const engine = yield* folder.open()
        yield* engine.commit(
          changes({
            sessions: [session(1), session(2)],
            messages: [message(1, { packet: bytes("first-of-two") }), message(2, { packet: bytes("second-of-two") })],
            deliveries: [1, 2].flatMap((number) => [delivery(number, 1, 1), delivery(number, 2, 2)])
          }),
          1
        )
      }))
      assert.strictEqual(folder.spoil("first-of-two"), 1)
      const engine = yield* folder.open()
      assert.deepStrictEqual(yield* sequences(engine, 1), [2])
      assert.deepStrictEqual(yield* sequences(engine, 2), [2])
      assert.strictEqual((yield* engine.stats).messages, 1)
    }).pipe(Effect.scoped))
})

describe("a damaged file", () => {
  it.live("is saved row by row into a new one and kept beside it", () =>
    Effect.gen(function* () {
      const folder = yield* filled(100, 20)
      const pages = pagesWith(folder, "packet-50-10-")
      assert.isNotEmpty(pages)
      for (const page of pages) folder.overwrite(page * pageSize, new Uint8Array(pageSize).fill(0xee))
      const engine = yield* folder.open()
      let read = 0
      for (let number = 1; number <= 100; number++) read += (yield* sequences(engine, number)).length
      assert.isAtLeast(read, 2_000 - 30 * pages.length) // a page holds fewer than 30
      assert.isBelow(read, 2_000)
      assert.lengthOf(yield* engine.readSessions(0, 1_000), 100)
      assert.lengthOf(yield* engine.readRetained("", 1_000), 100)
      assert.lengthOf(yield* engine.readRecords("user", "", 1_000), 100)
      assert.strictEqual(engine.highest.session, 100)
      assert.lengthOf(folder.log, 1)
      assert.match(folder.log[0]?.[0] ?? "", /the file was damaged/)
      assert.strictEqual(folder.log[0]?.[1]["unreadable_places"], 1)
      const kept = folder.names().filter((name) => /^store\.sqlite\.damaged-[^-]+-[^-]+-[^.]+\.\d+Z$/.test(name))
      assert.lengthOf(kept, 1)
      // And it goes on from there.
      yield* engine.commit(changes({ sessions: [session(101)] }), 1)
      assert.lengthOf(yield* engine.readSessions(100, 1_000), 1)
    }).pipe(Effect.scoped))

  it.live("with a spoilt header is read all the same", () =>
    Effect.gen(function* () {
      const folder = yield* filled(10, 10)
      folder.overwrite(0, new Uint8Array(24).fill(0))
      const engine = yield* folder.open()
      assert.strictEqual((yield* engine.stats).deliveries, 100)
      assert.lengthOf(yield* engine.readSessions(0, 100), 10)
      assert.lengthOf(folder.log, 1)
    }).pipe(Effect.scoped))

  it.live("of which nothing can be read is refused and left as it is", () =>
    Effect.gen(function* () {
      const folder = yield* filled(10, 10)
      const size = fs.statSync(folder.file).size
      fs.writeFileSync(folder.file, new Uint8Array(size).fill(0xee))
      for (let attempt = 0; attempt < 2; attempt++) {
        const failure = yield* Effect.flip(folder.open())
        assert.strictEqual(failure.kind, "damaged")
        assert.match(failure.message, /nothing could be saved from it.*emqttd store restore/)
      }
      assert.deepStrictEqual(new Uint8Array(fs.readFileSync(folder.file)), new Uint8Array(size).fill(0xee))
    }).pipe(Effect.scoped))

  it.live("whose log ends in the middle of a group has the groups before it", () =>
    Effect.gen(function* () {
      const folder = yield* sqliteFolder
      const copy = yield* sqliteFolder
      const engine = yield* folder.open()
      for (let number = 1; number <= 5; number++) yield* engine.commit(changes({ sessions: [session(number)] }), number)
      // As a crash leaves it: the log is there, and its last pages are not.
      fs.copyFileSync(folder.file, copy.file)
      fs.copyFileSync(`${folder.file}-wal`, `${copy.file}-wal`)
      fs.truncateSync(`${copy.file}-wal`, fs.statSync(`${copy.file}-wal`).size - 1_000)
      const again = yield* copy.open()
      assert.deepStrictEqual((yield* again.readSessions(0, 10)).map(({ row }) => row.session), [1, 2, 3, 4])
      assert.strictEqual(again.highest.committedAt, 4)
    }).pipe(Effect.scoped))
})

describe("a file that is not for this broker", () => {
  it.live("of a newer version is refused and not touched", () =>
    Effect.gen(function* () {
      const folder = yield* filled(1, 1)
      const database = new DatabaseSync(folder.file)
      database.exec("PRAGMA user_version = 99")
      database.close()
      const before = fs.readFileSync(folder.file)
      const failure = yield* Effect.flip(folder.open())
      assert.strictEqual(failure.kind, "newer_version")
      assert.match(failure.message, /store version 99, this one knows 2/)
      assert.isTrue(before.equals(fs.readFileSync(folder.file)))
    }).pipe(Effect.scoped))

  it.live("of another program is refused and not touched", () =>
    Effect.gen(function* () {
      const folder = yield* sqliteFolder
      const database = new DatabaseSync(folder.file)
      database.exec("CREATE TABLE theirs(x)")
      database.close()
      const failure = yield* Effect.flip(folder.open())
      assert.match(failure.message, /not a store of emqttd/)
    }).pipe(Effect.scoped))

  it.live("in use by another is refused, and free again when that one ends", () =>
    Effect.gen(function* () {
      const folder = yield* sqliteFolder
      yield* Effect.scoped(Effect.gen(function* () {
        yield* folder.open()
        const failure = yield* Effect.flip(folder.open())
        assert.strictEqual(failure.kind, "locked")
        assert.match(failure.message, /another emqttd uses it/)
      }))
      yield* folder.open()
    }).pipe(Effect.scoped))
})

describe("the files", () => {
  it.live("are for the broker's user only", () =>
    Effect.gen(function* () {
      const folder = yield* sqliteFolder
      const engine = yield* folder.open()
      yield* engine.commit(changes({ sessions: [session(1)] }), 1)
      for (const name of ["store.sqlite", "store.sqlite-wal"]) {
        assert.strictEqual(fs.statSync(`${folder.directory}/${name}`).mode & 0o777, 0o600, name)
      }
    }).pipe(Effect.scoped))
})
