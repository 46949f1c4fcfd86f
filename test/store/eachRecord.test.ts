// All records of a kind are read, also behind a page that damage has made short.
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { eachRecord } from "../../src/store/eachRecord.ts"

describe("eachRecord", () => {
  it.effect("goes on after a short page, and ends at an empty one", () =>
    Effect.gen(function* () {
      const pages = [["a", "b"], ["c"], ["d", "e", "f"], []]
      const asked: Array<string> = []
      const read: Array<string> = []
      const readRecords = (kind: string, after: string) => {
        asked.push(after)
        return Effect.succeed((pages[asked.length - 1] ?? []).map((key) => ({ kind, key, value: new Uint8Array(0) })))
      }
      yield* eachRecord({ readRecords }, "kind", ({ key, kind }) => read.push(`${kind} ${key}`))
      assert.deepStrictEqual(read, [..."abcdef"].map((key) => `kind ${key}`))
      assert.deepStrictEqual(asked, ["", "b", "c", "f"])
    }))
})
