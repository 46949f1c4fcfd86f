// What one engine exports another imports: everything, with the numbers that it had.
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { DeliveryState, type OpenEngine } from "../../src/store/Engine.ts"
import { openMemory } from "../../src/store/MemoryEngine.ts"
import { openPostgres, openPostgresReader } from "../../src/store/postgres/PostgresEngine.ts"
import { openSqliteReader } from "../../src/store/sqlite/openReader.ts"
import type { OpenReader } from "../../src/store/StoreReader.ts"
import { exportStore } from "../../src/store/transfer/exportStore.ts"
import { importStore } from "../../src/store/transfer/importStore.ts"
import { missingPostgres, PostgresServer } from "../support/PostgresServer.ts"
import { bytes, changes, delivery, message, session, subscription } from "./rows.ts"
import { sqliteFolder } from "./sqliteFolder.ts"

let server: PostgresServer | undefined
beforeAll(() => {
  if (missingPostgres === undefined) server = PostgresServer.start()
})
afterAll(() => server?.stop())

const { message: _, ...retained } = message(1, { packet: Uint8Array.of(0, 255, 10, 13), expiresAt: 7 })

const everything = changes({
  sessions: [
    session(3, { expiryMillis: Infinity, expiresAt: Infinity, connected: true }),
    session(5, {
      clientId: "\u{1F600}\u2028",
      expiresAt: 1_700_000_000_000,
      connected: false,
      will: { packet: Uint8Array.of(200, 0, 10), delaySeconds: 60, dueAt: Infinity, by: "[1]" },
      zone: "z",
      userName: "u\u00e9",
      token: 1_800_000_000_000 * 1024 + 1
    }),
    session(9, { userName: null })
  ],
  subscriptions: [
    subscription(3, "a/#", { qos: 2, noLocal: true, subscriptionIdentifier: 4 }),
    subscription(5, "+", { retainAsPublished: true, retainHandling: 2 })
  ],
  messages: [message(10, { packet: bytes("for two") }), message(11, { publisher: "\u00e9" }), message(70)],
  deliveries: [
    delivery(3, 1, 10),
    delivery(5, 1, 10, { qos: 2, state: DeliveryState.AwaitingPubcomp, packetIdentifier: 77 }),
    delivery(5, 4, 11, { retain: true, subscriptionIdentifiers: [1, 2] }),
    delivery(9, 1, 70)
  ],
  awaitingPubrel: [{ session: 5, packetIdentifier: 8, since: 1_699_999_999_999 }],
  retained: [{ topic: "t/1", message: retained }, { topic: "t/2", message: retained }],
  records: [
    { kind: "ban", key: "\u{1F600}", value: Uint8Array.of(0, 255, 10) },
    { kind: "user", key: "a b", value: new Uint8Array(0) }
  ]
})

/** A store with all of it, in which the highest numbers belong to nothing any more. */
const fill = (open: OpenEngine) =>
  Effect.scoped(Effect.gen(function* () {
    const engine = yield* open
    yield* engine.commit(everything, 1_700_000_000_000)
    yield* engine.commit(changes({ sessionsEnded: [9] }), 1_700_000_000_001)
  }))

const linesOf = (open: OpenReader) =>
  Effect.scoped(Effect.gen(function* () {
    const reader = yield* open
    const lines: Array<string> = []
    yield* exportStore(reader, (some) => Effect.sync(() => some.forEach((line) => lines.push(JSON.stringify(line)))))
    assert.isEmpty(reader.damaged)
    assert.isEmpty(yield* reader.faults)
    return lines
  }))

describe("export and import", () => {
  const sqlite = Effect.map(sqliteFolder, (folder) => ({ open: folder.open(), read: openSqliteReader(folder.file) }))
  const postgres = (schema: string) => {
    const url = server?.url(schema) ?? ""
    return Effect.succeed({ open: openPostgres({ url, durability: "fsync" }), read: openPostgresReader(url) })
  }
  const kinds = ["sqlite", "postgres"] as const
  const make = (kind: (typeof kinds)[number], schema: string) => kind === "sqlite" ? sqlite : postgres(schema)

  for (const from of kinds) {
    for (const to of kinds) {
      it.live(`${from} to ${to}`, (context) => {
        context.skip(missingPostgres !== undefined && (from === "postgres" || to === "postgres"), missingPostgres)
        return Effect.gen(function* () {
          const source = yield* make(from, `from_${from}_${to}`)
          const target = yield* make(to, `to_${from}_${to}`)
          yield* fill(source.open)
          const lines = yield* linesOf(source.read)
          assert.lengthOf(lines, 1 + 2 + 2 + 1 + 3 + 2 + 2)
          const read = yield* Effect.scoped(
            Effect.flatMap(target.open, (engine) => importStore(engine, lines, 1_700_000_000_001))
          )
          assert.strictEqual(read, lines.length)
          assert.deepStrictEqual(yield* linesOf(target.read), lines)
          // A second time would mix two stores.
          const again = yield* Effect.flip(
            Effect.scoped(Effect.flatMap(target.open, (engine) => importStore(engine, lines, 1)))
          )
          assert.match(again.message, /it is not empty$/)
        }).pipe(Effect.scoped)
      })
    }
  }

  it.effect("what is no export is refused with the number of its line", () =>
    Effect.gen(function* () {
      const engine = yield* openMemory
      const refused = (lines: ReadonlyArray<string>) =>
        Effect.map(Effect.flip(importStore(engine, lines, 1)), (error) => error.message)
      const head = '{"emqttd_store":{"version":1,"session":0,"message":0,"committed_at":0}}'
      assert.strictEqual(yield* refused([]), "it is empty")
      assert.strictEqual(yield* refused(["{}"]), 'line 1: not a line of "emqttd store export"')
      assert.strictEqual(yield* refused(['{"retained":1}']), 'line 1: not a line of "emqttd store export"')
      assert.strictEqual(
        yield* refused([head.replace('"version":1', '"version":3')]),
        "line 1: not an export that this version knows"
      )
      assert.strictEqual(yield* refused([head, "", "broken"]), 'line 3: not a line of "emqttd store export"')
    }))
})
