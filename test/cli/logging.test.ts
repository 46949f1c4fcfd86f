import { assert, describe, it } from "@effect/vitest"
import { formatJson, formatLogfmt, formatPretty } from "../../src/cli/logging.ts"

const record = {
  at: "2026-01-02T03:04:05.678Z",
  level: "warning",
  message: `queue "full"`,
  fields: [["client_id", "a b"], ["dropped", 3], ["filter", "a=b"], ["list", [1, "x"]], ["empty", ""]] as const
}

describe("a log line", () => {
  it("logfmt: quoted where a space, a quote or = would part it", () =>
    assert.strictEqual(
      formatLogfmt(record),
      `ts=2026-01-02T03:04:05.678Z level=warning msg="queue \\"full\\"" client_id="a b" dropped=3 filter="a=b" list="[1,\\"x\\"]" empty=""`
    ))

  it("json: flat", () =>
    assert.deepStrictEqual(JSON.parse(formatJson(record)), {
      ts: record.at,
      level: "warning",
      msg: `queue "full"`,
      client_id: "a b",
      dropped: 3,
      filter: "a=b",
      list: [1, "x"],
      empty: ""
    }))

  it("pretty: the time of day, and colour only where it is wanted", () => {
    assert.strictEqual(
      formatPretty(record, false),
      `03:04:05.678 warning queue "full" client_id="a b" dropped=3 filter="a=b" list="[1,\\"x\\"]" empty=""`
    )
    assert.include(formatPretty(record, true), "\u001b[33mwarning\u001b[0m")
    assert.strictEqual(
      formatPretty({ ...record, fields: [["error", "Error: x\n  at y"]] }, false),
      `03:04:05.678 warning queue "full"\nError: x\n  at y`
    )
  })

  it("what a client put into a field cannot make a second line", () => {
    const evil = {
      ...record,
      message: "a\nlevel=error",
      fields: [["client_id", "x\nts=1 level=error\u001b[2J\u009b"]] as const
    }
    for (const line of [formatLogfmt(evil), formatJson(evil), formatPretty(evil, false)]) {
      assert.notInclude(line, "\n")
      assert.notMatch(line, /\p{Cc}/u)
    }
  })
})
