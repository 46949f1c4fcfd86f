import { assert, describe, it } from "vitest"
import { prepared, saslprep } from "../../../src/access/scram/saslprep.ts"

describe("SASLprep", () => {
  // RFC 4013, section 3
  it("the examples of RFC 4013", () => {
    assert.strictEqual(saslprep("I\u{ad}X"), "IX")
    assert.strictEqual(saslprep("user"), "user")
    assert.strictEqual(saslprep("USER"), "USER")
    assert.strictEqual(saslprep("\u{aa}"), "a")
    assert.strictEqual(saslprep("\u{2168}"), "IX")
    assert.strictEqual(saslprep("\u{7}"), undefined)
    assert.strictEqual(saslprep("\u{627}1"), undefined)
  })

  it("spaces of other kinds, marks that combine, and text from right to left", () => {
    assert.strictEqual(saslprep("a\u{a0}b\u{3000}c"), "a b c")
    assert.strictEqual(saslprep("e\u{301}"), "\u{e9}")
    assert.strictEqual(saslprep("\u{5d0}\u{5d1}"), "\u{5d0}\u{5d1}")
    assert.strictEqual(saslprep("\u{5d0}a\u{5d1}"), undefined)
    assert.strictEqual(saslprep("\u{e000}"), undefined)
    assert.strictEqual(saslprep("\u{202e}"), undefined)
  })

  it("what it prohibits is computed with as it is", () => {
    assert.strictEqual(prepared("\u{7}"), "\u{7}")
    assert.strictEqual(prepared("\u{2168}"), "IX")
  })
})
