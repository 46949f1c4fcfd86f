// Frames between nodes, byte by byte.
import { assert, describe, it } from "@effect/vitest"
import { BodyReader } from "../../src/cluster/BodyReader.ts"
import { BodyWriter } from "../../src/cluster/BodyWriter.ts"
import { FrameCutter } from "../../src/cluster/links/FrameCutter.ts"

const frame = (kind: number, body: string): Buffer => {
  const bytes = Buffer.alloc(5 + Buffer.byteLength(body))
  bytes.writeUInt32BE(1 + Buffer.byteLength(body))
  bytes.writeUInt8(kind, 4)
  bytes.write(body, 5)
  return bytes
}

const cut = (cutter: FrameCutter): ReadonlyArray<string> => {
  const found: Array<string> = []
  while (cutter.next()) found.push(`${cutter.kind} ${cutter.body}`)
  return found
}

describe("frames", () => {
  it("are cut out of chunks however these fall", () => {
    const all = Buffer.concat([frame(0x30, "one"), frame(0x31, ""), frame(0x20, "three".repeat(50)), frame(1, "é")])
    const expected = ["48 one", "49 ", `32 ${"three".repeat(50)}`, "1 é"]
    for (const size of [1, 2, 3, 5, 7, 64, 1000]) {
      const cutter = new FrameCutter(1000)
      const found: Array<string> = []
      for (let start = 0; start < all.length; start += size) {
        cutter.push(all.subarray(start, start + size))
        found.push(...cut(cutter))
      }
      assert.deepStrictEqual(found, expected, `in chunks of ${size}`)
      assert.strictEqual(cutter.waiting, 0)
    }
  })

  it("one that is too long, or has no kind, is refused on its header", () => {
    const cutter = new FrameCutter(10)
    cutter.push(frame(0x30, "123456789"))
    assert.deepStrictEqual(cut(cutter), ["48 123456789"])
    cutter.push(frame(0x30, "1234567890").subarray(0, 5))
    assert.throws(() => cutter.next(), "a frame of 11 bytes; at most 10 are taken")
    const empty = new FrameCutter(10)
    empty.push(Buffer.alloc(5))
    assert.throws(() => empty.next(), "a frame of 0 bytes")
  })
})

describe("bodies", () => {
  it("are read as they were written, big-endian", () => {
    const writer = new BodyWriter(1)
    writer.uint8(1).uint16(0x0203).uint32(0x04050607).uint64(2 ** 53 - 1).float64(-1.5).text("é\ufeff").data(
      Buffer.from("ab")
    )
    writer.raw(Buffer.from("c"))
    assert.strictEqual(
      Buffer.from(writer.written()).toString("hex"),
      "01020304050607001fffffffffffffbff80000000000000005c3a9efbbbf00000002616263"
    )
    const reader = new BodyReader(Buffer.from(writer.written()))
    assert.deepStrictEqual(
      [reader.uint8(), reader.uint16(), reader.uint32(), reader.uint64(), reader.float64(), reader.text()],
      [1, 0x0203, 0x04050607, 2 ** 53 - 1, -1.5, "é\ufeff"]
    )
    assert.deepStrictEqual([reader.data().toString(), reader.left, reader.take(1).toString(), reader.atEnd], [
      "ab",
      1,
      "c",
      true
    ])
    writer.reset().uint16(0).uint32(0)
    writer.overwriteUint16(0, 7)
    writer.overwriteUint32(2, 8)
    assert.strictEqual(Buffer.from(writer.written()).toString("hex"), "000700000008")
  })

  it("that end too early, or hold no UTF-8, throw", () => {
    assert.throws(() => new BodyReader(Buffer.from([0, 5, 0x61])).text(), RangeError)
    assert.throws(() => new BodyReader(Buffer.from([1, 2, 3])).uint32(), RangeError)
    assert.throws(() => new BodyReader(Buffer.from([0, 1, 0xff])).text(), TypeError)
    assert.throws(() => new BodyReader(Buffer.alloc(8, 0xff)).uint64(), RangeError)
  })
})
