// Frames of a client, one rule of RFC 6455 a test.
import { assert, describe, it } from "@effect/vitest"
import { FrameDecoder } from "../../../src/listener/websocket/FrameDecoder.ts"
import { clientFrame } from "../../support/wsPackage.ts"

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex")

const decoded = (decoder: FrameDecoder, ...chunks: ReadonlyArray<Buffer>): string =>
  chunks.map((chunk) => {
    const own = Buffer.from(chunk)
    return own.toString("latin1", 0, decoder.decode(own))
  }).join("|")

const endOf = (
  ...chunks: ReadonlyArray<Buffer>
): readonly [payload: string, code: number | undefined, fault: boolean] => {
  const decoder = new FrameDecoder(1000)
  const payload = decoded(decoder, ...chunks)
  return [payload, decoder.end?.code, decoder.end?.fault !== undefined]
}

describe("FrameDecoder", () => {
  it("[MQTT-6.0.0-2] [MQTT5-6.0.0-2] the payloads of a chunk become one range at its beginning", () => {
    const decoder = new FrameDecoder(1000)
    const chunk = Buffer.concat([
      clientFrame(2, "one"),
      clientFrame(2, ""),
      clientFrame(2, "a longer one, of two dozen")
    ])
    const own = Buffer.from(chunk)
    assert.strictEqual(decoder.decode(own), 29)
    assert.strictEqual(own.toString("latin1", 0, 29), "onea longer one, of two dozen")
  })

  it("the example of section 5.7, masked", () => {
    assert.deepStrictEqual(endOf(hex("82 85 37 fa 21 3d 7f 9f 4d 51 58")), ["Hello", undefined, false])
  })

  it("lengths of 16 and of 64 bits", () => {
    const decoder = new FrameDecoder(200_000)
    for (const size of [125, 126, 65_535, 65_536, 100_003]) {
      const payload = Buffer.alloc(size, "abcdefg")
      assert.strictEqual(decoded(decoder, clientFrame(2, payload)), payload.toString())
    }
  })

  it("control frames between fragments: the last Ping is there to be answered", () => {
    const decoder = new FrameDecoder(1000)
    const stream = [
      clientFrame(2, "ab", false),
      clientFrame(9, "first"),
      clientFrame(0, "cd", false),
      clientFrame(10, "unasked"),
      clientFrame(9, "second"),
      clientFrame(0, "ef")
    ]
    assert.strictEqual(decoded(decoder, Buffer.concat(stream)), "abcdef")
    assert.strictEqual(decoder.ping?.toString(), "second")
    assert.isUndefined(decoder.end)
  })

  it("a Ping cut into single bytes, and one of 125", () => {
    const payload = Buffer.alloc(125, "0123456789")
    for (const ping of [Buffer.alloc(0), payload]) {
      const decoder = new FrameDecoder(1000)
      for (const byte of clientFrame(9, ping)) assert.strictEqual(decoder.decode(Buffer.of(byte)), 0)
      assert.strictEqual(decoder.ping?.toString(), ping.toString())
    }
  })

  it.each<readonly [string, number]>([["", 1000], ["03e8", 1000], ["03e9 676f6e65", 1001], ["0fa0", 4000]])(
    "a Close frame with %j is answered with %i; what comes after it is not looked at",
    (payload, code) => {
      const stream = Buffer.concat([clientFrame(2, "last"), clientFrame(8, hex(payload)), clientFrame(2, "late")])
      assert.deepStrictEqual(endOf(stream), ["last", code, false])
    }
  )

  it.each<readonly [string, Buffer, number]>([
    ["[MQTT-6.0.0-1] [MQTT5-6.0.0-1] a text frame", clientFrame(1, "text"), 1003],
    ["a frame without a mask, known by its second byte", hex("82 05"), 1002],
    ["a reserved bit", hex("c2 85"), 1002],
    ["opcode 3", hex("83 80"), 1002],
    ["opcode 11", hex("8b 80"), 1002],
    ["a continuation of nothing", clientFrame(0, "x"), 1002],
    ["a new message inside a fragmented one", Buffer.concat([clientFrame(2, "", false), clientFrame(2, "y")]), 1002],
    ["a control frame in fragments", clientFrame(9, "x", false), 1002],
    ["a control frame of 126 bytes", clientFrame(9, Buffer.alloc(126)), 1002],
    ["a Close frame of one byte", clientFrame(8, "x"), 1002],
    ["a Close frame with code 1005", clientFrame(8, hex("03ed")), 1002],
    ["a Close frame with code 999", clientFrame(8, hex("03e7")), 1002],
    ["a Close frame whose text is not UTF-8", clientFrame(8, hex("03e8 ff")), 1007],
    ["a frame above the limit, by its header", clientFrame(2, Buffer.alloc(1001)).subarray(0, 8), 1009],
    ["a length of 2^63", hex("82 ff 8000000000000000 00000000"), 1009],
    [
      "fragments that together are above the limit",
      Buffer.concat([clientFrame(2, "", false), clientFrame(0, Buffer.alloc(1001)).subarray(0, 8)]),
      1009
    ]
  ])("%s is the end, and what came before it counts", (_, wrong, code) => {
    const before = clientFrame(2, "before")
    assert.deepStrictEqual(endOf(Buffer.concat([before, wrong])), ["before", code, true])
    const single = [...before, ...wrong].map((byte) => Buffer.of(byte))
    assert.deepStrictEqual(endOf(...single).slice(1), [code, true])
  })

  it("the limit holds for one message, not for all of them", () => {
    const decoder = new FrameDecoder(10)
    for (let i = 0; i < 5; i++) {
      decoded(decoder, clientFrame(2, "12345", false), clientFrame(0, "12345"))
      assert.isUndefined(decoder.end)
    }
    decoded(decoder, clientFrame(2, "12345", false), clientFrame(0, "123456"))
    assert.strictEqual(decoder.end?.code, 1009)
  })
})
