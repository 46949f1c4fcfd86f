import { assert, describe, it } from "@effect/vitest"
import { illFormed, isValidUtf8, sawNonAscii, sawNull, sawWildcard, scanUtf8 } from "../../src/mqtt/scanUtf8.ts"
import { bytes } from "../support/bytes.ts"

const scan = (hex: string): number => {
  const data = bytes(hex)
  return scanUtf8(data, 0, data.length)
}

describe("scanUtf8", () => {
  const wellFormed: ReadonlyArray<[string, string, number]> = [
    ["nothing", "", 0],
    ["ASCII", "'a/b'", 0],
    ["the last ASCII character", "7f", 0],
    ["control characters", "01 1f", 0],
    ["[MQTT-1.5.3-2] [MQTT-1.5.4-2] U+0000 is seen", "61 00", sawNull],
    ["'+'", "'a/+'", sawWildcard],
    ["'#'", "'#'", sawWildcard],
    ["U+0080", "c2 80", sawNonAscii],
    ["U+07FF", "df bf", sawNonAscii],
    ["U+0800", "e0 a0 80", sawNonAscii],
    ["U+D7FF, the last before the surrogates", "ed 9f bf", sawNonAscii],
    ["U+E000, the first after the surrogates", "ee 80 80", sawNonAscii],
    ["[MQTT-1.5.3-3] [MQTT-1.5.4-3] U+FEFF is a character like others", "ef bb bf", sawNonAscii],
    ["U+FFFF", "ef bf bf", sawNonAscii],
    ["U+10000", "f0 90 80 80", sawNonAscii],
    ["U+10FFFF", "f4 8f bf bf", sawNonAscii],
    ["a mixture", "00 '+' c3a4", sawNull | sawWildcard | sawNonAscii]
  ]
  for (const [name, hex, expected] of wellFormed) it(name, () => assert.strictEqual(scan(hex), expected))

  const broken: ReadonlyArray<[string, string]> = [
    ["a continuation byte alone", "80"],
    ["U+0000 in two bytes", "c0 80"],
    ["'/' in two bytes", "c0 af"],
    ["U+007F in two bytes", "c1 bf"],
    ["U+07FF in three bytes", "e0 9f bf"],
    ["U+FFFF in four bytes", "f0 8f bf bf"],
    ["U+D800", "ed a0 80"],
    ["U+DFFF", "ed bf bf"],
    ["U+110000", "f4 90 80 80"],
    ["a lead byte that does not exist", "f5 80 80 80"],
    ["0xFF", "ff fe"],
    ["two bytes cut short", "61 c3"],
    ["three bytes cut short", "e2 82"],
    ["four bytes cut short", "f0 9f 98"],
    ["a second byte that is none", "c3 28"],
    ["a third byte that is none", "e2 82 28"],
    ["a fourth byte that is none", "f0 9f 98 28"]
  ]
  for (const [name, hex] of broken) {
    it(`[MQTT-1.5.3-1] [MQTT-1.5.4-1] ill-formed: ${name}`, () => assert.strictEqual(scan(hex), illFormed))
  }

  it("looks at its range alone", () => {
    const data = bytes("ff 'ab' ff")
    assert.strictEqual(scanUtf8(data, 1, 3), 0)
    // The character is whole in the buffer, but not in the range.
    assert.strictEqual(scanUtf8(bytes("c3 a4"), 0, 1), illFormed)
  })

  it("agrees with the platform's decoder on every sequence of two bytes and on the edges of three and four", () => {
    const decoder = new TextDecoder("utf-8", { fatal: true })
    const disagreeing: Array<string> = []
    const compare = (data: Uint8Array): void => {
      let valid = true
      try {
        decoder.decode(data)
      } catch {
        valid = false
      }
      if (isValidUtf8(data, 0, data.length) !== valid) disagreeing.push(Buffer.from(data).toString("hex"))
    }
    for (let a = 0; a < 256; a++) for (let b = 0; b < 256; b++) compare(Uint8Array.of(a, b))
    const edges = [0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0]
    for (const a of [0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff]) {
      for (const b of edges) for (const c of edges) for (const d of edges) compare(Uint8Array.of(a, b, c, d))
    }
    assert.deepStrictEqual(disagreeing, [])
  })

  it("isValidUtf8 lets U+0000 pass: it is for payloads", () => assert.isTrue(isValidUtf8(bytes("61 00"), 0, 2)))
})
