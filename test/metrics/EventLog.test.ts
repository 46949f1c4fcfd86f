// The log of the plain code: what is written, what is only counted, and that what is not written costs nothing.
import { assert, describe, it } from "@effect/vitest"
import { EventLog, type LogFields, type LogLevel, longestField } from "../../src/metrics/EventLog.ts"

const written = (level?: LogLevel | "trace") => {
  const lines: Array<readonly [LogLevel, string, LogFields]> = []
  const clock = { now: 0 }
  const log = new EventLog((...line) => lines.push(line), () => clock.now, 1_000, level)
  return { clock, lines, log }
}

describe("EventLog", () => {
  it("ten lines of a kind in a window; then they are counted, and the next window's first line says how many", () => {
    const { clock, lines, log } = written()
    for (let line = 0; line < 15; line++) log.warning("refused", { line })
    log.info("another kind", {})
    assert.strictEqual(lines.length, 11)
    clock.now = 1_000
    log.warning("refused", { line: 15 })
    assert.deepStrictEqual(lines.at(-1), ["warning", "refused", { line: 15, suppressed_before: 5 }])
  })

  it("a field has a bound, at every level: a client chooses its names", () => {
    const { lines, log } = written("debug")
    const fields = { client_id: "c".repeat(65_535), user_name: "u".repeat(longestField), size: 1, none: undefined }
    const cut = { ...fields, client_id: `${"c".repeat(longestField)}… (65535 characters)` }
    log.debug("told", () => fields)
    log.info("told", fields)
    log.warning("refused", fields)
    log.error("defect", fields)
    assert.deepStrictEqual(lines.map(([, , written]) => written), [cut, cut, cut, cut])
  })

  it("an error is always written", () => {
    const { lines, log } = written("error")
    for (let line = 0; line < 15; line++) log.error("defect", { line })
    assert.strictEqual(lines.length, 15)
  })

  it("fields that cost something are made for lines that are written alone", () => {
    const { lines, log } = written("info")
    let made = 0
    const fields = () => ({ made: ++made })
    log.debug("below the level", fields)
    assert.deepStrictEqual([made, lines.length], [0, 0])
    for (let line = 0; line < 15; line++) log.info("refused", fields)
    assert.deepStrictEqual([made, lines.length], [10, 10])
    const all = written("debug")
    all.log.debug("at the level", { a: 1 })
    assert.deepStrictEqual(all.lines, [["debug", "at the level", { a: 1 }]])
    const few = written("error")
    few.log.warning("below the level", fields)
    assert.deepStrictEqual([made, few.lines.length], [10, 0])
  })
})
