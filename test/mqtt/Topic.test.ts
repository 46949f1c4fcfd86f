import { assert, describe, it } from "@effect/vitest"
import {
  hasWildcard,
  levelsOf,
  matches,
  parseSharedFilter,
  splitLevels,
  validateTopicFilter,
  validateTopicName
} from "../../src/mqtt/Topic.ts"

describe("topic names", () => {
  const valid = [
    "a",
    "/",
    "a/b",
    "/a",
    "a/",
    "//",
    " ",
    "$SYS/x",
    "Accounts payable",
    "ä/ö",
    "\u{1F600}",
    "a".repeat(65_535)
  ]
  for (const name of valid) it(`valid: ${name.slice(0, 20)}`, () => assert.isTrue(validateTopicName(name)))

  const invalid: ReadonlyArray<[string, string]> = [
    ["[MQTT-4.7.3-1] nothing", ""],
    ["[MQTT-4.7.1-1] [MQTT-3.3.2-2] '#'", "a/#"],
    ["[MQTT-4.7.1-1] [MQTT-3.3.2-2] '+'", "+"],
    ["a '+' within a level", "a+b"],
    ["[MQTT-4.7.3-2] U+0000", "a\0"],
    ["[MQTT-4.7.3-3] 65,536 bytes", "a".repeat(65_536)],
    ["[MQTT-4.7.3-3] 40,000 characters of two bytes", "ä".repeat(40_000)],
    ["a lone surrogate", "a\ud800"]
  ]
  for (const [name, text] of invalid) it(`invalid: ${name}`, () => assert.isFalse(validateTopicName(text)))
})

describe("topic filters", () => {
  const valid = [
    "#",
    "+",
    "a/#",
    "+/+",
    "/#",
    "/+",
    "+/",
    "a/+/b",
    "+/a/#",
    "$SYS/#",
    "a//+",
    "sport/tennis/player1/#",
    "a b"
  ]
  for (const filter of valid) it(`valid: ${filter}`, () => assert.isTrue(validateTopicFilter(filter)))

  const invalid: ReadonlyArray<[string, string]> = [
    ["[MQTT-4.7.3-1]", ""],
    ["[MQTT-4.7.1-2]", "sport/tennis#"],
    ["[MQTT-4.7.1-2]", "sport/tennis/#/ranking"],
    ["[MQTT-4.7.1-2]", "##"],
    ["[MQTT-4.7.1-2]", "#/"],
    ["[MQTT-4.7.1-2]", "+#"],
    ["[MQTT-4.7.1-3]", "sport+"],
    ["[MQTT-4.7.1-3]", "+a"],
    ["[MQTT-4.7.1-3]", "++"],
    ["[MQTT-4.7.1-3]", "a/+b/c"],
    ["[MQTT-4.7.3-2]", "a\0/#"],
    ["[MQTT-4.7.3-3]", "a".repeat(65_536)]
  ]
  for (const [clause, filter] of invalid) {
    it(`${clause} invalid: ${JSON.stringify(filter.slice(0, 30))}`, () => assert.isFalse(validateTopicFilter(filter)))
  }
})

describe("levels", () => {
  for (const [text, levels] of [["a", 1], ["/", 2], ["a/b", 2], ["/a", 2], ["a/", 2], ["a//b", 3]] as const) {
    it(`${text} has ${levels}`, () => {
      assert.strictEqual(levelsOf(text), levels)
      assert.strictEqual(splitLevels(text).length, levels)
    })
  }
  it("hasWildcard", () => {
    assert.isTrue(hasWildcard("a/+"))
    assert.isTrue(hasWildcard("#"))
    assert.isFalse(hasWildcard("a/b"))
  })
})

describe("matches: the examples of section 4.7", () => {
  const cases: ReadonlyArray<[string, string, boolean]> = [
    ["sport/tennis/player1/#", "sport/tennis/player1", true],
    ["sport/tennis/player1/#", "sport/tennis/player1/ranking", true],
    ["sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true],
    ["sport/#", "sport", true],
    ["sport/#", "sports", false],
    ["#", "a", true],
    ["#", "/a", true],
    ["sport/tennis/+", "sport/tennis/player1", true],
    ["sport/tennis/+", "sport/tennis/player1/ranking", false],
    ["sport/+", "sport", false],
    ["sport/+", "sport/", true],
    ["+/+", "/finance", true],
    ["/+", "/finance", true],
    ["+", "/finance", false],
    ["+/tennis/#", "sport/tennis", true],
    ["[MQTT-4.7.2-1] #", "$SYS/x", false],
    ["[MQTT-4.7.2-1] +/monitor/Clients", "$SYS/monitor/Clients", false],
    ["$SYS/#", "$SYS/monitor", true],
    ["$SYS/#", "$SYS", true],
    ["$SYS/monitor/+", "$SYS/monitor/Clients", true],
    ["[MQTT-4.7.3-4] ACCOUNTS", "Accounts", false],
    ["a/b", "a/b", true],
    ["a/b", "a", false],
    ["a", "a/b", false],
    ["a/", "a", false],
    ["a//b", "a//b", true],
    ["a/+/b", "a//b", true]
  ]
  for (const [filter, name, expected] of cases) {
    it(`${filter} ${expected ? "matches" : "does not match"} ${name}`, () => {
      assert.strictEqual(matches(filter.replace(/^\[.*\] /, ""), name), expected)
    })
  }
})

describe("parseSharedFilter", () => {
  const cases: ReadonlyArray<[string, string | undefined, boolean, string]> = [
    ["a/b", undefined, false, "a/b"],
    ["$SYS/#", undefined, false, "$SYS/#"],
    ["$share/g/a/+", "g", false, "a/+"],
    ["$share/g//", "g", false, "/"],
    ["$share/$g/#", "$g", false, "#"],
    ["$queue/a/#", "$queue", false, "a/#"],
    ["$local/a", undefined, true, "a"],
    ["$local/$share/g/f", "g", true, "f"],
    ["$local/$queue/f", "$queue", true, "f"],
    ["$share", undefined, false, "$share"],
    ["$shared/g/f", undefined, false, "$shared/g/f"],
    ["$queue", undefined, false, "$queue"]
  ]
  for (const [text, group, local, filter] of cases) {
    it(text, () => assert.deepStrictEqual(parseSharedFilter(text), { group, local, filter }))
  }
  const malformed: ReadonlyArray<[string, string]> = [
    ["[MQTT-4.8.2-1]", "$share//f"],
    ["[MQTT-4.8.2-1]", "$share/+/f"],
    ["[MQTT-4.8.2-1]", "$share/a#/f"],
    ["[MQTT-4.8.2-2]", "$share/"],
    ["[MQTT-4.8.2-2]", "$share/g"],
    ["[MQTT-4.8.2-2]", "$share/g/"],
    ["[MQTT-4.8.2-2]", "$local/$share/g/"],
    ["an empty rest", "$queue/"],
    ["an empty rest", "$local/"]
  ]
  for (const [clause, text] of malformed) {
    it(`${clause} malformed: ${text}`, () => assert.isUndefined(parseSharedFilter(text)))
  }
})
