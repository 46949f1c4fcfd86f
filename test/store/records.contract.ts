// Records, as every engine keeps them: in tests that each of them passes, like Engine.contract.ts.
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import type { Changes, Engine, RecordRow } from "../../src/store/Engine.ts"
import type { EngineHarness } from "./Engine.contract.ts"
import { bytes, changes } from "./rows.ts"

const record = (kind: string, key: string, value = bytes(`value of ${key}`)): RecordRow => ({ kind, key, value })

const all = Effect.fnUntraced(function* (engine: Engine, kind: string, limit: number) {
  const rows: Array<RecordRow> = []
  while (true) {
    const page = yield* engine.readRecords(kind, rows.at(-1)?.key ?? "", limit)
    if (page.length === 0) return rows
    assert.isAtMost(page.length, limit)
    rows.push(...page)
  }
})

export const recordsContract = (
  name: string,
  harness: Effect.Effect<EngineHarness, never, Scope.Scope>,
  skipped?: string
): void => {
  /** Commits, then looks at the same store, and at it opened anew where it survives that. */
  const reopening = (
    title: string,
    groups: ReadonlyArray<Partial<Changes>>,
    look: (engine: Engine) => Effect.Effect<void, unknown>
  ) =>
    it.live(title, (context) => {
      context.skip(skipped !== undefined, skipped)
      return Effect.gen(function* () {
        const made = yield* harness
        yield* Effect.scoped(Effect.gen(function* () {
          const engine = yield* made.open
          for (const group of groups) yield* engine.commit(changes(group), 1)
          yield* look(engine)
        }))
        if (made.survives) yield* Effect.scoped(Effect.flatMap(made.open, look))
      }).pipe(Effect.scoped)
    })

  describe(`records of engine ${name}`, () => {
    const everyByte = Uint8Array.from({ length: 100_000 }, (_, index) => index & 255)
    const odd = [
      record("odd", "'; DROP TABLE record; --"),
      record("odd", "a".repeat(65_535)),
      record("odd", `${"a".repeat(65_534)}b`),
      record("odd", "binary", everyByte),
      record("odd", "empty", new Uint8Array(0))
    ]
    reopening(
      "keys and values of any kind and size come back",
      [{ records: odd }],
      (engine) =>
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* engine.readRecords("odd", "", 10), odd)
        })
    )

    reopening(
      "a record is replaced, deleted, and there again; of a group the last word counts",
      [
        { records: ["a", "b", "c", "d"].map((key) => record("k", key)) },
        {
          records: [
            record("k", "a", bytes("first")),
            record("k", "a", bytes("second")),
            { kind: "k", key: "b", value: null },
            { kind: "k", key: "c", value: null },
            record("k", "c", bytes("again")),
            record("k", "d"),
            { kind: "k", key: "d", value: null },
            { kind: "k", key: "never there", value: null },
            { kind: "other", key: "a", value: null }
          ]
        }
      ],
      (engine) =>
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* engine.readRecords("k", "", 10), [
            record("k", "a", bytes("second")),
            record("k", "c", bytes("again"))
          ])
          assert.strictEqual((yield* engine.stats).records, 2)
        })
    )

    // U+FF5E is a greater unit of UTF-16 than those of U+1F600, and a smaller run of UTF-8.
    const ordered = ["!", "A", "Z", "a", "a ", "aa", "b", "ä", "\u{ff5e}", "\u{1F600}", "\u{1F600}!", "\u{1F601}"]
    reopening(
      "pages follow one another, ascending by the bytes of the key in UTF-8, and only of this kind",
      [
        { records: ordered.toReversed().map((key) => record("k", key)) },
        { records: [record("j", "x"), record("l", "x"), record("k ", "x")] }
      ],
      (engine) =>
        Effect.gen(function* () {
          assert.deepStrictEqual(
            [...ordered].sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other))),
            ordered
          )
          for (const limit of [1, 5, 100]) {
            assert.deepStrictEqual((yield* all(engine, "k", limit)).map(({ key }) => key), ordered)
          }
          assert.isEmpty(yield* engine.readRecords("nothing", "", 10))
          assert.isEmpty(yield* engine.readRecords("k", "\u{1F601}", 10))
          assert.deepStrictEqual(yield* engine.recordKinds, ["j", "k", "k ", "l"])
        })
    )

    const many = Array.from({ length: 10_000 }, (_, index) => record("many", `key-${String(index).padStart(6, "0")}`))
    reopening(
      "ten thousand in a group, and all but one of them gone again",
      [{ records: many }, {
        records: many.slice(1).map(({ key, kind }) => ({ kind, key, value: null }))
      }],
      (engine) =>
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* engine.readRecords("many", "", 10), many.slice(0, 1))
          assert.deepStrictEqual(yield* engine.recordKinds, ["many"])
        })
    )
  })
}
