import { assert, describe, it } from "@effect/vitest"
import { publishSize, writePublish } from "../../src/mqtt/encodePublish.ts"
import { FrameReader } from "../../src/mqtt/FrameReader.ts"
import type { Message } from "../../src/mqtt/Message.ts"
import { Output } from "../../src/mqtt/Output.ts"
import type { ProtocolVersion, QoS } from "../../src/mqtt/Packet.ts"
import { frame, properties } from "../support/bytes.ts"
import { decodePublish, publishDecoder } from "./codec.ts"

interface Wanted {
  readonly qos?: QoS
  readonly dup?: boolean
  readonly retain?: boolean
  readonly identifier?: number
  readonly identifiers?: ReadonlyArray<number>
  readonly now?: number
  readonly alias?: number
  readonly omitTopic?: boolean
}

/** Writes into an arena that has bytes already, and checks the size and what stands around. */
const written = (message: Message, version: ProtocolVersion, wanted: Wanted = {}): string => {
  const {
    qos = 0,
    dup = false,
    retain = false,
    identifier = 0,
    identifiers,
    now = 1_000,
    alias = 0,
    omitTopic = false
  } = wanted
  const out = new Output(4_096)
  out.buffer.fill(0xee)
  out.position = 5
  const { buffer } = out
  writePublish(out, message, version, qos, dup, retain, identifier, identifiers, now, alias, omitTopic)
  const start = out.buffer === buffer ? 5 : 0
  const size = publishSize(message, version, qos, identifiers, alias, omitTopic)
  assert.strictEqual(out.position - start, size)
  assert.strictEqual(out.buffer.toString("hex", 0, start), "ee".repeat(start))
  if (start === 5) assert.strictEqual(out.buffer[out.position], 0xee)
  return out.buffer.toString("hex", start, out.position)
}

const expectBytes = (actual: string, expected: Buffer): void => assert.strictEqual(actual, expected.toString("hex"))

const from = (version: ProtocolVersion, qos: QoS, payload: string | Buffer = "'x'", props: string = ""): Message =>
  decodePublish(
    frame(0x30 | (qos << 1), '"a/b"', qos === 0 ? "" : "11 22", version === 5 ? properties(props) : "", payload),
    version
  )

describe("writePublish", () => {
  for (const source of [3, 4, 5] as const) {
    for (const target of [3, 4, 5] as const) {
      for (const published of [0, 1, 2] as const) {
        for (const qos of [0, 1, 2] as const) {
          it(`[MQTT-3.3.1-3] from version ${source} with QoS ${published} to version ${target} with QoS ${qos}`, () => {
            const message = from(source, published)
            const none = target === 5 ? "00" : ""
            for (const dup of qos === 0 ? [false] : [false, true]) {
              for (const retain of [false, true]) {
                const header = 0x30 | (qos << 1) | (dup ? 8 : 0) | (retain ? 1 : 0)
                expectBytes(
                  written(message, target, { qos, dup, retain, identifier: 0xabcd }),
                  frame(header, '"a/b"', qos === 0 ? "" : "ab cd", none, "'x'")
                )
              }
            }
          })
        }
      }
    }
  }

  it("leaves the message as it was", () => {
    const message = from(4, 1)
    const before = message.buffer.toString("hex")
    written(message, 4, { qos: 1, identifier: 9, dup: true, retain: true })
    assert.strictEqual(message.buffer.toString("hex"), before)
  })

  it("a frame in the middle of its chunk", () => {
    const reader = new FrameReader(1_000)
    reader.push(
      Buffer.concat([frame(0x32, '"zz"', "00 01", "'first'"), frame(0x32, '"a/b"', "11 22", "'x'"), frame(0xc0)])
    )
    reader.next()
    reader.next()
    const message = publishDecoder().decode(reader, 4, "p", 0)
    expectBytes(written(message, 4, { qos: 2, identifier: 7 }), frame(0x34, '"a/b"', "00 07 'x'"))
    expectBytes(written(message, 5, { qos: 1, identifier: 7 }), frame(0x32, '"a/b"', "00 07 00 'x'"))
  })

  const sent = `01 01 03 "c" 08 "r" 09 00 02 00 ff 26 "b" "1" 26 "a" "2" 26 "b" "1"`
  it("[MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-20] properties go on unaltered", () => {
    for (const published of [0, 1, 2] as const) {
      const message = from(5, published, "'x'", sent)
      expectBytes(
        written(message, 5, { qos: 1, identifier: 1 }),
        frame(0x32, '"a/b"', "00 01", properties(sent), "'x'")
      )
      expectBytes(written(message, 5), frame(0x30, '"a/b"', properties(sent), "'x'"))
      expectBytes(written(message, 4, { qos: 1, identifier: 1 }), frame(0x32, '"a/b"', "00 01", "'x'"))
    }
  })

  it("[MQTT-3.3.4-3] [MQTT-3.3.4-4] subscription identifiers go first, all of them, and to MQTT 5 alone", () => {
    const message = from(5, 1, "'x'", `26 "k" "v"`)
    const identifiers = [1, 127, 128, 16_384, 268_435_455]
    expectBytes(
      written(message, 5, { qos: 1, identifier: 1, identifiers }),
      frame(0x32, '"a/b"', "00 01", properties(`0b 01 0b 7f 0b 80 01 0b 80 80 01 0b ff ff ff 7f 26 "k" "v"`), "'x'")
    )
    expectBytes(written(message, 4, { qos: 1, identifier: 1, identifiers }), frame(0x32, '"a/b"', "00 01", "'x'"))
    expectBytes(written(from(4, 0), 5, { identifiers: [5] }), frame(0x30, '"a/b"', properties("0b 05"), "'x'"))
  })

  describe("[MQTT-3.3.2-6] what remains of the expiry", () => {
    const sentAt = 1_000
    const cases: ReadonlyArray<[number, string]> = [
      [sentAt, "00 00 00 0a"],
      [sentAt + 1, "00 00 00 0a"],
      [sentAt + 999, "00 00 00 0a"],
      [sentAt + 1_000, "00 00 00 09"],
      [sentAt + 9_500, "00 00 00 01"],
      [sentAt + 10_000, "00 00 00 00"],
      [sentAt + 60_000, "00 00 00 00"]
    ]
    for (const [now, expected] of cases) {
      it(`after ${now - sentAt} ms of 10 s: ${expected}`, () => {
        for (const published of [0, 1] as const) {
          const message = from(5, published, "'x'", `26 "k" "v" 02 00 00 00 0a 03 "c"`)
          const props = (more = "") => properties(more, `26 "k" "v" 02 ${expected} 03 "c"`)
          expectBytes(
            written(message, 5, { qos: 1, identifier: 1, now }),
            frame(0x32, '"a/b"', "00 01", props(), "'x'")
          )
          expectBytes(written(message, 5, { now }), frame(0x30, '"a/b"', props(), "'x'"))
          expectBytes(written(message, 5, { now, identifiers: [3] }), frame(0x30, '"a/b"', props("0b 03"), "'x'"))
          expectBytes(written(message, 4, { now }), frame(0x30, '"a/b"', "'x'"))
        }
      })
    }
    it("the largest interval, on arrival", () => {
      const message = from(5, 0, "'x'", "02 ff ff ff ff")
      expectBytes(written(message, 5), frame(0x30, '"a/b"', properties("02 ff ff ff ff"), "'x'"))
    })
  })

  describe("topic aliases", () => {
    it("[MQTT-3.3.2-11] towards the client: with the topic name, then without", () => {
      for (const [source, props] of [[4, ""], [5, ""], [5, `26 "k" "v"`]] as const) {
        const message = from(source, 1, "'x'", props)
        expectBytes(
          written(message, 5, { qos: 1, identifier: 2, alias: 258 }),
          frame(0x32, '"a/b"', "00 02", properties("23 01 02", props), "'x'")
        )
        expectBytes(
          written(message, 5, { qos: 1, identifier: 2, alias: 258, omitTopic: true }),
          frame(0x32, "00 00", "00 02", properties("23 01 02", props), "'x'")
        )
      }
    })

    it("are nothing to the older versions", () => {
      expectBytes(written(from(5, 0), 4, { alias: 3, omitTopic: true }), frame(0x30, '"a/b"', "'x'"))
    })

    it("[MQTT-3.3.2-7] the publisher's own never goes out, whether or not the packet had a topic name", () => {
      const reader = new FrameReader(1_000)
      reader.push(Buffer.concat([
        frame(0x32, '"ä/b"', "11 22", properties(`26 "k" "v" 23 00 03 02 00 00 00 05`), "'x'"),
        frame(0x32, "00 00", "11 22", properties(`26 "k" "v" 23 00 03 02 00 00 00 05`), "'x'")
      ]))
      const decoder = publishDecoder()
      for (let i = 0; i < 2; i++) {
        assert.isTrue(reader.next())
        const message = decoder.decode(reader, 5, "p", 1_000)
        const rest = `26 "k" "v" 02 00 00 00 05`
        expectBytes(
          written(message, 5, { qos: 1, identifier: 9 }),
          frame(0x32, '"ä/b"', "00 09", properties(rest), "'x'")
        )
        expectBytes(written(message, 4, { qos: 2, identifier: 9 }), frame(0x34, '"ä/b"', "00 09", "'x'"))
        expectBytes(written(message, 5, { alias: 1 }), frame(0x30, '"ä/b"', properties("23 00 01", rest), "'x'"))
        expectBytes(
          written(message, 5, { alias: 1, omitTopic: true }),
          frame(0x30, "00 00", properties("23 00 01", rest), "'x'")
        )
      }
    })
  })

  it("lengths around every border of the remaining length and the property length", () => {
    for (
      const size of [
        0,
        1,
        100,
        118,
        119,
        120,
        121,
        122,
        123,
        124,
        125,
        126,
        127,
        128,
        129,
        16_370,
        16_376,
        16_380,
        16_384
      ]
    ) {
      const payload = Buffer.alloc(size, 0x61)
      for (const valueSize of [0, 117, 118, 119, 120, 121, 122, 123]) {
        const value = "v".repeat(valueSize)
        const props = `26 "k" "${value}"`
        const message = from(5, 1, payload, props)
        expectBytes(
          written(message, 5, { qos: 1, identifier: 1, identifiers: [1], alias: 1 }),
          frame(0x32, '"a/b"', "00 01", properties("23 00 01 0b 01", props), payload)
        )
      }
      expectBytes(written(from(4, 1, payload), 5, { qos: 2, identifier: 1 }), frame(0x34, '"a/b"', "00 01 00", payload))
      expectBytes(written(from(5, 1, payload), 4), frame(0x30, '"a/b"', payload))
    }
  })
})
