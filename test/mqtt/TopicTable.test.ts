import { assert, describe, it } from "@effect/vitest"
import { TopicTable } from "../../src/mqtt/TopicTable.ts"
import { bytes } from "../support/bytes.ts"
import { refuses } from "./codec.ts"

const at = (table: TopicTable, text: string, before = "") => {
  const data = Buffer.from(`${before}${text}tail`)
  const start = Buffer.byteLength(before)
  return table.lookup(data, start, start + Buffer.byteLength(text))
}

describe("TopicTable", () => {
  it("gives the same object for the same bytes, wherever they lie", () => {
    const table = new TopicTable({ slots: 16 })
    const first = at(table, "sensors/1/temperature")
    assert.strictEqual(first.text, "sensors/1/temperature")
    assert.strictEqual(first.levels, 3)
    assert.strictEqual(at(table, "sensors/1/temperature", "x"), first)
    assert.strictEqual(table.of("sensors/1/temperature"), first)
  })

  it("does not live on the caller's buffer", () => {
    const table = new TopicTable({ slots: 16 })
    const data = Buffer.from("abcdefg")
    const name = table.lookup(data, 0, 7)
    data.fill(0x7a)
    assert.strictEqual(name.text, "abcdefg")
    assert.strictEqual(table.of("abcdefg"), name)
    assert.strictEqual(table.lookup(data, 0, 7).text, "zzzzzzz")
  })

  it("names that share a slot never answer for each other", () => {
    const table = new TopicTable({ slots: 2 })
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 200; i++) assert.strictEqual(at(table, `t/${i}`).text, `t/${i}`)
    }
  })

  it("every length from 1 byte on, told apart by any one byte", () => {
    const table = new TopicTable({ slots: 2 })
    for (let length = 1; length <= 40; length++) {
      const text = "abcdefghij".repeat(4).slice(0, length)
      for (let i = 0; i < length; i++) {
        const other = `${text.slice(0, i)}X${text.slice(i + 1)}`
        at(table, text)
        assert.strictEqual(at(table, other).text, other)
        assert.strictEqual(at(table, text).text, text)
      }
    }
  })

  it("[MQTT-1.5.3-3] [MQTT-1.5.4-3] characters beyond ASCII, and U+FEFF at the front, stay", () => {
    const table = new TopicTable({ slots: 16 })
    for (const text of ["ä/ö", "\ufeffa", "\u{1F600}/x", "日本語"]) {
      assert.strictEqual(at(table, text).text, text)
      assert.strictEqual(table.of(text), at(table, text))
    }
  })

  it("a name longer than maximumBytes is checked but not kept", () => {
    const table = new TopicTable({ slots: 16, maximumBytes: 8 })
    const long = table.of("123456789")
    assert.strictEqual(long.text, "123456789")
    assert.notStrictEqual(table.of("123456789"), long)
    assert.strictEqual(table.of("12345678"), table.of("12345678"))
    refuses(() => table.of("1234567#9"), 0x90, "MQTT-3.3.2-2")
  })

  const refused: ReadonlyArray<[string, string, number, string]> = [
    ["[MQTT-4.7.3-1] nothing", "", 0x90, "MQTT-4.7.3-1"],
    ["[MQTT-3.3.2-2] '#'", "'a/#'", 0x90, "MQTT-3.3.2-2"],
    ["[MQTT-3.3.2-2] '+'", "'+'", 0x90, "MQTT-3.3.2-2"],
    ["[MQTT-4.7.3-2] [MQTT-1.5.4-2] U+0000", "61 00", 0x81, "MQTT-4.7.3-2"],
    ["[MQTT-3.3.2-1] [MQTT-1.5.4-1] bytes that are not UTF-8", "ff fe", 0x81, "MQTT-1.5.4-1"],
    ["[MQTT-1.5.4-1] a surrogate", "ed a0 80", 0x81, "MQTT-1.5.4-1"]
  ]
  for (const [name, hex, reason, clause] of refused) {
    it(`refuses ${name}, and again the second time`, () => {
      const table = new TopicTable({ slots: 16 })
      const data = bytes(hex)
      for (let i = 0; i < 2; i++) refuses(() => table.lookup(data, 0, data.length), reason, clause)
    })
  }

  it("of: refuses a lone surrogate and more than 65,535 bytes", () => {
    const table = new TopicTable({ slots: 16 })
    refuses(() => table.of("a\ud800"), 0x81, "MQTT-1.5.4-1")
    refuses(() => table.of("ä".repeat(32_768)), 0x90, "MQTT-4.7.3-3")
    assert.strictEqual(table.of("a".repeat(65_535)).text.length, 65_535)
  })
})
