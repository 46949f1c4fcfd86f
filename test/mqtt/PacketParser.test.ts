import { assert, describe, it } from "@effect/vitest"
import { generate } from "mqtt-packet"
import { copied, parsePacket } from "../../src/mqtt/PacketParser.ts"
import { bytes, frame } from "../support/bytes.ts"
import { refuses } from "./codec.ts"

describe("parsePacket", () => {
  const subscribe = (version: 3 | 4 | 5): Buffer => frame(0x82, "00 07", version === 5 ? "00" : "", '"a" 01')

  const bad: ReadonlyArray<[string, Buffer]> = [
    ["bytes that mqtt-packet refuses", frame(0x82, "00 07", '00 "a" ff')],
    ["half a packet", bytes("82 20 00 07")],
    ["another packet than was asked for", bytes("c0 00")],
    ["nothing", Buffer.alloc(0)]
  ]
  for (const [name, data] of bad) {
    it(`${name}: a ProtocolError, and nothing of it is left to the next packet`, () => {
      for (const version of [3, 4, 5] as const) {
        refuses(() => parsePacket(version, "subscribe", data), 0x81, "MQTT5-4.13.1")
        const packet = parsePacket(version, "subscribe", subscribe(version))
        assert.deepStrictEqual([packet.messageId, packet.subscriptions[0]?.topic], [7, "a"])
      }
    })
  }

  it("CONNECT of any version leaves the parsers of the versions as they are, also after one that was refused", () => {
    for (const version of [5, 4, 3] as const) {
      refuses(() => parsePacket(1, "connect", frame(0x10, '"MQTT" 05 03')), 0x81, "MQTT5-4.13.1")
      assert.strictEqual(parsePacket(4, "subscribe", subscribe(4)).subscriptions.length, 1)
      assert.strictEqual(parsePacket(5, "subscribe", subscribe(5)).subscriptions.length, 1)
      const connect = frame(
        0x10,
        version === 3 ? '"MQIsdp"' : '"MQTT"',
        version,
        "02 00 00",
        version === 5 ? "00" : "",
        '"c"'
      )
      assert.strictEqual(parsePacket(1, "connect", connect).protocolVersion, version)
    }
  })

  it("mqtt-packet builds no cache of 65,536 buffers when it writes", () => {
    const before = process.memoryUsage().heapUsed
    generate({ cmd: "puback", messageId: 1 })
    assert.isTrue(process.memoryUsage().heapUsed - before < 4_000_000)
  })

  it("copied: memory of its own", () => {
    const source = Buffer.from("abc")
    const copy = copied(source)
    source.fill(0)
    assert.deepStrictEqual(copy, new Uint8Array([0x61, 0x62, 0x63]))
    assert.isUndefined(copied(undefined))
    assert.deepStrictEqual(copied("é"), new Uint8Array([0xc3, 0xa9]))
  })
})
