import { assert, describe, it } from "@effect/vitest"
import { Output } from "../../src/mqtt/Output.ts"

describe("Output", () => {
  it("appends behind what is there", () => {
    const out = new Output(16)
    out.append(Buffer.from("xabcx"), 1, 4)
    out.append(Buffer.from("def"), 0, 3)
    assert.strictEqual(out.buffer.toString("latin1", 0, out.position), "abcdef")
  })

  it("reserve keeps the buffer while there is room, to the last byte", () => {
    const out = new Output(16)
    const { buffer } = out
    out.position = 10
    out.reserve(6)
    assert.strictEqual(out.buffer, buffer)
    out.reserve(7)
    assert.notStrictEqual(out.buffer, buffer)
    assert.strictEqual(out.position, 0)
    assert.isTrue(out.buffer.length >= 7)
  })

  it("gives room for more than it ever had", () => {
    const out = new Output(16)
    out.append(Buffer.alloc(100_000, 7), 0, 100_000)
    assert.strictEqual(out.position, 100_000)
    assert.strictEqual(out.buffer[99_999], 7)
  })

  it("clear starts anew in the same memory, unless one tick made it huge", () => {
    const out = new Output(16)
    out.append(Buffer.from("abc"), 0, 3)
    const { buffer } = out
    out.clear()
    assert.strictEqual(out.position, 0)
    assert.strictEqual(out.buffer, buffer)
    out.reserve(100_000)
    out.clear()
    assert.strictEqual(out.buffer.length, 16)
  })

  it("copies ranges of every length rightly", () => {
    const source = Buffer.from(Array.from({ length: 200 }, (_, i) => i))
    for (let length = 0; length <= 200; length++) {
      const out = new Output(256)
      out.position = 3
      out.append(source, 200 - length, 200)
      assert.strictEqual(out.position, 3 + length)
      assert.isTrue(out.buffer.subarray(3, 3 + length).equals(source.subarray(200 - length)))
    }
  })
})
