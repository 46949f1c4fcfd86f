import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { formatDuration, formatSize, parseDuration, parseSize } from "../../src/config/Quantity.ts"

describe("durations", () => {
  it("are read in every writing", () => {
    const cases: ReadonlyArray<readonly [string, number | undefined]> = [
      ["10s", 10_000],
      ["1m30s", 90_000],
      ["1h 30m", 5_400_000],
      ["1.5h", 5_400_000],
      ["500ms", 500],
      ["2 hours", 7_200_000],
      ["1 Day", 86_400_000],
      ["1w", 604_800_000],
      ["0s", 0],
      ["250", 250],
      ["never", Infinity],
      [" 5s ", 5_000],
      ["", undefined],
      ["s", undefined],
      ["10 x", undefined],
      ["10s5", undefined],
      ["-1s", undefined],
      ["1e3", undefined],
      ["never10s", undefined]
    ]
    for (const [text, millis] of cases) assert.strictEqual(parseDuration(text), millis, text)
  })

  it("are written as shortly as they are exact", () => {
    assert.deepStrictEqual(
      [0, 1, 999, 1_000, 90_000, 7_200_000, 86_400_000 * 3650, 3_600_001, Infinity].map(formatDuration),
      ["0s", "1ms", "999ms", "1s", "1m30s", "2h", "3650d", "1h1ms", "never"]
    )
  })

  it.prop(
    "what is written is read back",
    [Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 48 }))],
    ([millis]) => {
      assert.strictEqual(parseDuration(formatDuration(millis)), millis)
    },
    { arbitrary: { runs: 1000 } }
  )
})

describe("sizes", () => {
  it("are read in every writing", () => {
    const cases: ReadonlyArray<readonly [string, number | undefined]> = [
      ["1MiB", 1_048_576],
      ["64 KiB", 65_536],
      ["1MB", 1_000_000],
      ["1kb", 1_000],
      ["1.5KiB", 1_536],
      ["1GiB", 2 ** 30],
      ["1TiB", 2 ** 40],
      ["12B", 12],
      ["12", 12],
      ["0B", 0],
      ["0.3KiB", undefined],
      ["1M", undefined],
      ["1 MiB extra", undefined],
      ["-1", undefined],
      ["MiB", undefined],
      ["", undefined],
      ["99999999TiB", undefined]
    ]
    for (const [text, bytes] of cases) assert.strictEqual(parseSize(text), bytes, text)
  })

  it("are written with the largest unit that is exact", () => {
    assert.deepStrictEqual([0, 1, 1_000, 1_024, 1_536, 2 ** 20, 2 ** 30, 3 * 2 ** 40].map(formatSize), [
      "0B",
      "1B",
      "1000B",
      "1KiB",
      "1536B",
      "1MiB",
      "1GiB",
      "3TiB"
    ])
  })

  it.prop(
    "what is written is read back",
    [Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 42 }))],
    ([bytes]) => {
      assert.strictEqual(parseSize(formatSize(bytes)), bytes)
      assert.strictEqual(parseSize(formatSize(bytes * 1024)), bytes * 1024)
    },
    { arbitrary: { runs: 1000 } }
  )
})
