// The contract against a real PostgreSQL, and what is its own: a server that goes away and comes back, the lock, a newer schema.
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { openPostgres } from "../../src/store/postgres/PostgresEngine.ts"
import { missingPostgres, PostgresServer } from "../support/PostgresServer.ts"
import { engineContract } from "./Engine.contract.ts"
import { recordsContract } from "./records.contract.ts"
import { bytes, changes, delivery, message, session } from "./rows.ts"

let server: PostgresServer | undefined
beforeAll(() => {
  if (missingPostgres === undefined) server = PostgresServer.start()
})
afterAll(() => server?.stop())

let stores = 0
const url = () => server?.url(`store_${++stores}`) ?? ""

const harness = Effect.sync(() => ({ open: openPostgres({ url: url(), durability: "fsync" }), survives: true }))
engineContract("postgres", harness, missingPostgres)
recordsContract("postgres", harness, missingPostgres)

describe("postgres", () => {
  const test = (title: string, run: (url: string, server: PostgresServer) => Effect.Effect<void, unknown>) =>
    it.live(title, (context) => {
      context.skip(missingPostgres !== undefined, missingPostgres)
      return server === undefined ? Effect.void : run(url(), server)
    })

  test(
    "a server that went away is unreachable, and taken up again when it is back",
    (url, server) =>
      Effect.gen(function* () {
        const engine = yield* openPostgres({ url, durability: "fsync" })
        const group = (number: number) =>
          changes({
            sessions: [session(1)],
            messages: [message(number)],
            deliveries: [delivery(1, number, number)]
          })
        yield* engine.commit(group(1), 1)
        assert.lengthOf(yield* engine.readDeliveries(1, 0, 10), 1)
        server.pause()
        for (let attempt = 0; attempt < 2; attempt++) {
          assert.strictEqual((yield* Effect.flip(engine.commit(group(2), 2))).kind, "unreachable")
          assert.strictEqual((yield* Effect.flip(engine.readDeliveries(1, 0, 10))).kind, "unreachable")
        }
        server.resume()
        yield* engine.commit(group(2), 3)
        yield* engine.commit(group(2), 4) // the same once more: an answer may have been lost
        assert.deepStrictEqual((yield* engine.readDeliveries(1, 0, 10)).map(({ sequence }) => sequence), [1, 2])
      }).pipe(Effect.scoped)
  )

  test("one broker a schema: another is refused, and let in when the first is gone", (url) =>
    Effect.gen(function* () {
      yield* Effect.scoped(Effect.gen(function* () {
        yield* openPostgres({ url, durability: "fsync" })
        const failure = yield* Effect.flip(openPostgres({ url, durability: "fsync" }))
        assert.strictEqual(failure.kind, "locked")
        assert.match(failure.message, /another emqttd uses it/)
        assert.notMatch(failure.message, /emqttd@/)
      }))
      yield* openPostgres({ url, durability: "fsync" })
    }).pipe(Effect.scoped))

  test("a schema of a newer version is refused", (url, server) =>
    Effect.gen(function* () {
      yield* Effect.scoped(openPostgres({ url, durability: "fsync" }))
      server.query(`UPDATE store_${stores}.highest SET version = 99`)
      const failure = yield* Effect.flip(openPostgres({ url, durability: "fsync" }))
      assert.strictEqual(failure.kind, "newer_version")
    }).pipe(Effect.scoped))

  test("topics and filters of any length are kept", (url) =>
    Effect.gen(function* () {
      const engine = yield* openPostgres({ url, durability: "process" })
      const { message: _, ...retained } = message(1, { packet: bytes("x") })
      const topics = ["a".repeat(65_535), `${"a".repeat(65_534)}b`, "ä".repeat(32_767)]
      yield* engine.commit(changes({ retained: topics.map((topic) => ({ topic, message: retained })) }), 1)
      const first = yield* engine.readRetained("", 1)
      const others = yield* engine.readRetained(first[0]?.topic ?? "", 10)
      assert.deepStrictEqual([...first, ...others].map(({ topic }) => topic), topics)
      yield* engine.commit(changes({ retained: topics.map((topic) => ({ topic, message: null })) }), 1)
      assert.isEmpty(yield* engine.readRetained("", 10))
    }).pipe(Effect.scoped))

  it.live("an address that is none, and a server that is not there", () =>
    Effect.gen(function* () {
      const open = (url: string) => Effect.flip(openPostgres({ url, durability: "fsync" }))
      for (const bad of ["", "localhost", "http://localhost/x", "postgres://localhost/x?schema=a;b"]) {
        assert.match((yield* open(bad)).message, /store.url: expected postgres:/)
      }
      const failure = yield* open("postgres://user:secret@127.0.0.1:1/nowhere")
      assert.strictEqual(failure.kind, "unreachable")
      assert.match(failure.message, /^store postgres:\/\/127.0.0.1:1\/nowhere\?schema=emqttd: .*ECONNREFUSED/)
      assert.notMatch(failure.message, /secret/)
    }).pipe(Effect.scoped))
})
