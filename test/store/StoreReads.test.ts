// What sessions want to read back, while a page fails: others go on, it is tried again, and a row that cannot be read is passed over.
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { type StoredDelivery, type StoreFailure, storeFailure } from "../../src/store/Engine.ts"
import { openMemory } from "../../src/store/MemoryEngine.ts"
import { reading, StoreReads } from "../../src/store/StoreReads.ts"
import { engineWith } from "../support/engineWith.ts"
import { delivery, message } from "./rows.ts"

/** `sequence` 0: whatever is asked. */
type Fails = (session: number, after: number, sequence: number) => StoreFailure | "defect" | undefined

const stored = (session: number, sequence: number): StoredDelivery => ({
  ...delivery(session, sequence, sequence),
  stored: message(sequence)
})

/** A reader of deliveries `sequences` of every session, which fails where it is told to. */
const setup = (sequences: ReadonlyArray<number>, fails: Fails) =>
  Effect.gen(function* () {
    const memory = yield* openMemory
    const engine = engineWith(memory, {
      nextDelivery: (session, after) =>
        Effect.suspend(() =>
          fails(session, after, 0) === undefined
            ? Effect.succeed(sequences.find((sequence) => sequence > after) ?? 0)
            : memory.nextDelivery(session, after)
        ),
      readDeliveries: (session, after, limit) =>
        Effect.suspend(() => {
          const whole = fails(session, after, 0)
          if (whole !== undefined && whole !== "defect") return Effect.fail(whole)
          const rows = sequences.filter((sequence) => sequence > after).slice(0, limit)
          for (const [at, sequence] of rows.entries()) {
            const failure = fails(session, rows[at - 1] ?? after, sequence)
            if (failure === "defect") throw new Error("a defect of the reader")
            if (failure !== undefined) return Effect.fail(failure)
          }
          return Effect.succeed(rows.map((sequence) => stored(session, sequence)))
        })
    })
    const reads = new StoreReads()
    const setAside: Array<string> = []
    const failures: Array<string> = []
    yield* Effect.forkScoped(reading(reads, engine, {
      retryMillis: 1_000,
      onFailure: (failure) => failures.push(failure.message),
      onSetAside: (session, sequence) => setAside.push(`${session}:${sequence}`)
    }))
    const pages = new Map<number, ReadonlyArray<number>>()
    const want = (session: number, after = 0, limit = 8) =>
      reads.request({
        session,
        after,
        limit,
        reply: (rows) => pages.set(session, rows.map(({ sequence }) => sequence))
      })
    return { failures, pages, setAside, want }
  })

const all = Array.from({ length: 10 }, (_, at) => at + 1)
const settled = Effect.replicateEffect(TestClock.adjust(1), 20, { discard: true })
/** Second by second, so that what is begun on the way has its turn. */
const pass = (seconds: number) => Effect.replicateEffect(TestClock.adjust(1_000), seconds, { discard: true })

describe("the store's reader", () => {
  it.effect("a page that fails holds nobody up, and is read once it can be", () =>
    Effect.gen(function* () {
      let away = true
      const reader = yield* setup(all, (session) =>
        away && session <= 6 ? storeFailure("unreachable", "away") : undefined)
      for (let session = 1; session <= 8; session++) {
        reader.want(session)
      }
      yield* settled
      assert.deepStrictEqual([...reader.pages.keys()].toSorted(), [7, 8])
      yield* pass(60)
      assert.strictEqual(reader.pages.size, 2)
      away = false
      yield* pass(31)
      assert.deepStrictEqual([...reader.pages.keys()].toSorted(), [1, 2, 3, 4, 5, 6, 7, 8])
      assert.deepStrictEqual(reader.pages.get(1), [1, 2, 3, 4, 5, 6, 7, 8])
      assert.deepStrictEqual(reader.setAside, [])
    }))

  it.effect("a defect loses no page: it is asked for again", () =>
    Effect.gen(function* () {
      let defects = 2
      const reader = yield* setup(all, (session, _, sequence) =>
        session === 1 && sequence === 1 && defects-- > 0 ? "defect" : undefined)
      reader.want(1)
      reader.want(2)
      yield* settled
      assert.deepStrictEqual([...reader.pages.keys()], [2])
      yield* pass(10)
      assert.deepStrictEqual(reader.pages.get(1), [1, 2, 3, 4, 5, 6, 7, 8])
      assert.deepStrictEqual(reader.failures.length, 2)
    }))

  it.effect("rows that cannot be read are set aside and named, and the page is whole without them", () =>
    Effect.gen(function* () {
      const far = [1, 2, 3, 4, 1_000_000, 1_000_001, 1_000_002, 1_000_003, 1_000_004, 1_000_005, 1_000_006]
      const bad = new Set([1, 4, 1_000_000, 1_000_003])
      const reader = yield* setup(
        far,
        (_, __, sequence) =>
          !bad.has(sequence) ? undefined : sequence === 4 ? "defect" : storeFailure("other", "missing chunk")
      )
      reader.want(1, 0, 4)
      yield* pass(10)
      assert.deepStrictEqual(reader.setAside, ["1:1", "1:4", "1:1000000"])
      assert.deepStrictEqual(reader.pages.get(1), [2, 3, 1_000_001, 1_000_002])
      reader.want(1, 1_000_002, 8)
      yield* pass(10)
      assert.deepStrictEqual(reader.setAside.at(-1), "1:1000003")
      // Shorter than what was asked for: the end.
      assert.deepStrictEqual(reader.pages.get(1), [1_000_004, 1_000_005, 1_000_006])
    }))

  it.effect("a store that can read nothing sets nothing aside, and is asked again twice a minute", () =>
    Effect.gen(function* () {
      let broken = true
      const reader = yield* setup(all, () => broken ? storeFailure("other", "permission denied") : undefined)
      reader.want(1)
      yield* pass(120)
      assert.deepStrictEqual(reader.setAside, [])
      assert.isBelow(reader.failures.length, 12)
      broken = false
      yield* pass(31)
      assert.deepStrictEqual(reader.pages.get(1), [1, 2, 3, 4, 5, 6, 7, 8])
    }))
})
