import { assert, describe, it } from "@effect/vitest"
import { FrameReader } from "../../src/mqtt/FrameReader.ts"
import type { ProtocolVersion } from "../../src/mqtt/Packet.ts"
import type { PublishDecoder } from "../../src/mqtt/PublishDecoder.ts"
import { bytes, frame, properties } from "../support/bytes.ts"
import { decodePublish, publishDecoder, readerOf, refuses, versions } from "./codec.ts"

type Part = string | number | Uint8Array

/** Properties where the version has them. */
const props = (version: ProtocolVersion, ...parts: ReadonlyArray<Part>): Buffer =>
  version === 5 ? properties(...parts) : Buffer.alloc(0)

const withProperties = (...parts: ReadonlyArray<Part>): Buffer => frame(0x30, '"a"', properties(...parts), "'x'")

const decodeWith = (decoder: PublishDecoder, data: Uint8Array) => decoder.decode(readerOf(data), 5, "p", 0)

describe("PublishDecoder", () => {
  for (const version of versions) {
    describe(`version ${version}`, () => {
      it("QoS 0", () => {
        const decoder = publishDecoder()
        const message = decoder.decode(readerOf(frame(0x30, '"a/b"', props(version), "'hello'")), version, "me", 1_234)
        assert.strictEqual(message.topic, "a/b")
        assert.strictEqual(message.topicName.levels, 2)
        assert.strictEqual(message.qos, 0)
        assert.isFalse(message.retain)
        assert.strictEqual(message.publisher, "me")
        assert.strictEqual(message.payload.toString(), "hello")
        assert.strictEqual(message.payloadLength, 5)
        assert.strictEqual(message.receivedAt, 1_234)
        assert.strictEqual(message.expiresAt, 0)
        assert.isNull(message.properties)
        assert.strictEqual(decoder.packetIdentifier, 0)
        assert.isFalse(decoder.dup)
      })

      for (const qos of [1, 2] as const) {
        for (const dup of [false, true]) {
          for (const retain of [false, true]) {
            it(`[MQTT-3.3.1-1] QoS ${qos}, DUP ${dup}, RETAIN ${retain}`, () => {
              const decoder = publishDecoder()
              const header = 0x30 | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0)
              const reader = readerOf(frame(header, '"t"', "ff fe", props(version), "'x'"))
              const message = decoder.decode(reader, version, "me", 0)
              assert.deepStrictEqual([message.qos, message.retain, decoder.dup, decoder.packetIdentifier], [
                qos,
                retain,
                dup,
                0xfffe
              ])
              assert.strictEqual(message.payload.toString(), "x")
            })
          }
        }
      }

      it("a payload of nothing", () => {
        const message = decodePublish(frame(0x31, '"t"', props(version)), version)
        assert.strictEqual(message.payloadLength, 0)
        assert.strictEqual(message.payload.length, 0)
        assert.isTrue(message.retain)
      })

      it("a payload of a megabyte", () => {
        const payload = Buffer.alloc(1_000_000, 0x61)
        assert.isTrue(decodePublish(frame(0x30, '"t"', props(version), payload), version).payload.equals(payload))
      })

      it("packet identifier and DUP are those of the last packet", () => {
        const decoder = publishDecoder()
        decoder.decode(readerOf(frame(0x3a, '"t"', "00 07", props(version))), version, "me", 0)
        assert.deepStrictEqual([decoder.packetIdentifier, decoder.dup], [7, true])
        decoder.decode(readerOf(frame(0x30, '"t"', props(version))), version, "me", 0)
        assert.deepStrictEqual([decoder.packetIdentifier, decoder.dup], [0, false])
      })

      const rest = props(version)
      const refused: ReadonlyArray<[string, Buffer, number, string]> = [
        ["[MQTT-3.3.1-4] QoS 3", frame(0x36, '"a"', "00 01", rest), 0x81, "MQTT-3.3.1-4"],
        ["[MQTT-3.3.1-4] QoS 3 with DUP", frame(0x3e, '"a"', "00 01", rest), 0x81, "MQTT-3.3.1-4"],
        ["[MQTT-3.3.1-2] QoS 0 with DUP", frame(0x38, '"a"', rest), 0x81, "MQTT-3.3.1-2"],
        ["[MQTT-3.3.1-2] QoS 0 with DUP and RETAIN", frame(0x39, '"a"', rest), 0x81, "MQTT-3.3.1-2"],
        [
          "[MQTT-2.3.1-1] [MQTT-2.2.1-3] QoS 1 with identifier 0",
          frame(0x32, '"a"', "00 00", rest),
          0x82,
          "MQTT-2.3.1-1"
        ],
        [
          "[MQTT-2.3.1-1] [MQTT-2.2.1-3] QoS 2 with identifier 0",
          frame(0x34, '"a"', "00 00", rest),
          0x82,
          "MQTT-2.3.1-1"
        ],
        ["[MQTT-3.3.2-2] '#' in the topic name", frame(0x30, '"a/#"', rest), 0x90, "MQTT-3.3.2-2"],
        ["[MQTT-3.3.2-2] '+' in the topic name", frame(0x30, '"+/a"', rest), 0x90, "MQTT-3.3.2-2"],
        ["[MQTT-4.7.3-2] U+0000 in the topic name", frame(0x30, "00 02 61 00", rest), 0x81, "MQTT-4.7.3-2"],
        ["[MQTT-3.3.2-1] a topic name that is not UTF-8", frame(0x30, "00 02 ff fe", rest), 0x81, "MQTT-1.5.4-1"],
        ["an empty body", frame(0x30), 0x81, "MQTT5-4.13.1"],
        ["half a topic length", frame(0x30, "00"), 0x81, "MQTT5-4.13.1"],
        ["a topic beyond the end", frame(0x30, "00 05 61"), 0x81, "MQTT5-4.13.1"],
        ["QoS 1 without an identifier", frame(0x32, '"a"'), 0x81, "MQTT5-4.13.1"],
        ["QoS 1 with half an identifier", frame(0x32, '"a"', "01"), 0x81, "MQTT5-4.13.1"]
      ]
      for (const [name, data, reason, clause] of refused) {
        it(`refuses ${name}`, () => refuses(() => decodePublish(data, version), reason, clause))
      }

      it("refuses more levels than the limit, and not as many as it", () => {
        const decoder = publishDecoder({ maximumTopicLevels: 3 })
        const decode = (topic: string) => decoder.decode(readerOf(frame(0x30, `"${topic}"`, rest)), version, "me", 0)
        assert.strictEqual(decode("a/b/c").topicName.levels, 3)
        refuses(() => decode("a/b/c/d"), 0x90, "MQTT5-3.3.2.1")
        refuses(() => decode("a/b/c/d"), 0x90, "MQTT5-3.3.2.1")
      })

      it("refuses more bytes of topic than the limit, and not as many as it", () => {
        const decoder = publishDecoder({ maximumTopicLength: 4 })
        const decode = (topic: string) => decoder.decode(readerOf(frame(0x30, `"${topic}"`, rest)), version, "me", 0)
        assert.strictEqual(decode("abcd").topic, "abcd")
        refuses(() => decode("abcde"), 0x90, "MQTT5-3.3.2.1")
      })
    })
  }

  for (const version of [3, 4] as const) {
    it(`[MQTT-4.7.3-1] version ${version}: refuses a topic name without a character`, () => {
      refuses(() => decodePublish(frame(0x30, "00 00 78"), version), 0x90, "MQTT-4.7.3-1")
    })
  }

  describe("properties of MQTT 5", () => {
    it("[MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-20] each of them is what it was", () => {
      const data = withProperties(`01 01 02 00 00 00 0a 03 "text/plain" 08 "reply/to" 09 00 03 00 ff 01 26 "k" "v"`)
      const message = decodePublish(data, 5, 5_000)
      assert.deepStrictEqual(message.properties, {
        payloadFormatIndicator: 1,
        messageExpiryInterval: 10,
        contentType: "text/plain",
        responseTopic: "reply/to",
        correlationData: Uint8Array.of(0, 255, 1),
        userProperties: [["k", "v"]]
      })
      assert.strictEqual(message.expiresAt, 15_000)
      assert.isFalse(message.isExpired(14_999))
      assert.isTrue(message.isExpired(15_000))
      assert.strictEqual(message.payload.toString(), "x")
      assert.strictEqual(message.properties, message.properties)
    })

    it("in any order", () => {
      const message = decodePublish(withProperties(`26 "k" "v" 09 00 00 02 00 00 00 00 01 00`), 5)
      assert.deepStrictEqual(message.properties, {
        payloadFormatIndicator: 0,
        messageExpiryInterval: 0,
        correlationData: new Uint8Array(0),
        userProperties: [["k", "v"]]
      })
    })

    it("[MQTT-3.3.2-18] user properties keep order and duplicates", () => {
      const message = decodePublish(withProperties(`26 "b" "1" 26 "a" "2" 26 "b" "3" 26 "1" "" 26 "" "" 26 "a" "2"`), 5)
      assert.deepStrictEqual(message.properties?.userProperties, [
        ["b", "1"],
        ["a", "2"],
        ["b", "3"],
        ["1", ""],
        ["", ""],
        ["a", "2"]
      ])
    })

    it("a property section of more than 127 bytes", () => {
      const value = "v".repeat(300)
      const message = decodePublish(withProperties(0x26, '"k"', `"${value}"`), 5)
      assert.deepStrictEqual(message.properties?.userProperties, [["k", value]])
      assert.strictEqual(message.payload.toString(), "x")
    })

    it("are read from the bytes even after these were moved", () => {
      const reader = new FrameReader(10_000)
      reader.push(Buffer.concat([withProperties(`08 "r" 09 00 01 07`), Buffer.alloc(8_000)]))
      assert.isTrue(reader.next())
      const message = publishDecoder().decode(reader, 5, "p", 0)
      message.detach()
      assert.deepStrictEqual(message.properties, { responseTopic: "r", correlationData: Uint8Array.of(7) })
    })

    const twice: ReadonlyArray<[string, string]> = [
      ["payload format indicator", "01 00"],
      ["message expiry interval", "02 00 00 00 01"],
      ["content type", `03 "a"`],
      ["response topic", `08 "a"`],
      ["correlation data", "09 00 00"],
      ["topic alias", "23 00 01"]
    ]
    for (const [name, property] of twice) {
      it(`refuses two of ${name}, also with another between them`, () => {
        refuses(() => decodePublish(withProperties(property, property), 5), 0x82, "MQTT5-2.2.2.2")
        refuses(() => decodePublish(withProperties(property, `26 "a" "b"`, property), 5), 0x82, "MQTT5-2.2.2.2")
      })
    }

    it("content type and topic alias together are no duplicates", () => {
      assert.strictEqual(decodePublish(withProperties(`03 "a" 23 00 01`), 5).properties?.contentType, "a")
      assert.strictEqual(decodePublish(withProperties(`23 00 01 03 "a"`), 5).properties?.contentType, "a")
    })

    it("refuses every property that a PUBLISH does not have", () => {
      const allowed = [0x01, 0x02, 0x03, 0x08, 0x09, 0x23, 0x26, 0x0b]
      for (let identifier = 0; identifier < 256; identifier++) {
        if (allowed.includes(identifier)) continue
        refuses(() => decodePublish(withProperties(identifier, Buffer.alloc(8)), 5), 0x81, "MQTT5-2.2.2.2")
      }
    })

    const refused: ReadonlyArray<[string, Buffer, number, string]> = [
      ["[MQTT-3.3.4-6] a subscription identifier", withProperties("0b 01"), 0x82, "MQTT-3.3.4-6"],
      ["a payload format indicator of 2", withProperties("01 02"), 0x82, "MQTT5-3.3.2.3.2"],
      ["[MQTT-3.3.2-14] a response topic with '#'", withProperties(`08 "a/#"`), 0x82, "MQTT-3.3.2-14"],
      ["[MQTT-3.3.2-14] a response topic with '+'", withProperties(`08 "+"`), 0x82, "MQTT-3.3.2-14"],
      ["[MQTT-4.7.3-1] an empty response topic", withProperties("08 00 00"), 0x82, "MQTT-4.7.3-1"],
      ["[MQTT-3.3.2-13] a response topic that is not UTF-8", withProperties("08 00 01 ff"), 0x81, "MQTT-1.5.4-1"],
      ["[MQTT-3.3.2-19] a content type that is not UTF-8", withProperties("03 00 01 c3"), 0x81, "MQTT-1.5.4-1"],
      ["[MQTT-1.5.4-2] a content type with U+0000", withProperties("03 00 01 00"), 0x81, "MQTT-1.5.4-2"],
      [
        "[MQTT-1.5.7-1] a user property's name that is not UTF-8",
        withProperties(`26 00 01 ff "v"`),
        0x81,
        "MQTT-1.5.4-1"
      ],
      [
        "[MQTT-1.5.7-1] a user property's value that is not UTF-8",
        withProperties(`26 "k" 00 01 ff`),
        0x81,
        "MQTT-1.5.4-1"
      ],
      ["[MQTT-1.5.4-2] a user property's value with U+0000", withProperties(`26 "k" 00 01 00`), 0x81, "MQTT-1.5.4-2"],
      ["no property length", frame(0x30, '"a"'), 0x81, "MQTT5-4.13.1"],
      ["a property length that is cut short", frame(0x30, '"a"', "80"), 0x81, "MQTT5-4.13.1"],
      ["[MQTT-1.5.5-1] an overlong property length", frame(0x30, '"a"', "80 00"), 0x81, "MQTT-1.5.5-1"],
      ["a property length of five bytes", frame(0x30, '"a"', "ff ff ff ff 01"), 0x81, "MQTT5-1.5.5"],
      ["a property length beyond the packet", frame(0x30, '"a"', "05 01 01"), 0x81, "MQTT5-4.13.1"],
      ["an identifier without a value", withProperties("01"), 0x81, "MQTT5-4.13.1"],
      ["an expiry of three bytes", withProperties("02 00 00 00"), 0x81, "MQTT5-4.13.1"],
      ["a topic alias of one byte", withProperties("23 00"), 0x81, "MQTT5-4.13.1"],
      ["a string length of one byte", withProperties("03 00"), 0x81, "MQTT5-4.13.1"],
      ["a string beyond its section, into the payload", withProperties("03 00 01"), 0x81, "MQTT5-4.13.1"],
      ["a user property without a value", withProperties(`26 "k"`), 0x81, "MQTT5-4.13.1"],
      ["correlation data beyond the section", withProperties("09 00 05 00"), 0x81, "MQTT5-4.13.1"]
    ]
    for (const [name, data, reason, clause] of refused) {
      it(`refuses ${name}`, () => refuses(() => decodePublish(data, 5), reason, clause))
    }

    it("property bytes in a packet of 3.1.1 are payload", () => {
      const message = decodePublish(withProperties("01 02"), 4)
      assert.strictEqual(message.payload.toString("hex"), "02010278")
    })
  })

  describe("topic aliases", () => {
    const set = (alias: string, topic = '"t/1"') => frame(0x30, topic, properties("23", alias), "'x'")
    const use = (alias: string) => frame(0x30, "00 00", properties("23", alias), "'y'")

    it("[MQTT-3.3.2-12] an alias that was set stands for its topic, as the same TopicName", () => {
      const decoder = publishDecoder()
      const first = decodeWith(decoder, set("00 01"))
      const second = decodeWith(decoder, use("00 01"))
      assert.strictEqual(first.topic, "t/1")
      assert.strictEqual(second.topicName, first.topicName)
      assert.strictEqual(second.payload.toString(), "y")
      assert.isNull(second.properties)
    })

    it("an alias may be set again, and others stay", () => {
      const decoder = publishDecoder()
      decodeWith(decoder, set("00 01", '"a"'))
      decodeWith(decoder, set("00 0a", '"z"'))
      decodeWith(decoder, set("00 01", '"b"'))
      assert.strictEqual(decodeWith(decoder, use("00 01")).topic, "b")
      assert.strictEqual(decodeWith(decoder, use("00 0a")).topic, "z")
    })

    it("[MQTT-3.3.2-7] aliases are of one connection", () => {
      decodeWith(publishDecoder(), set("00 01"))
      refuses(() => decodeWith(publishDecoder(), use("00 01")), 0x82, "MQTT5-3.3.2.3.4")
    })

    it("[MQTT-3.3.2-8] refuses alias 0", () => {
      refuses(() => decodeWith(publishDecoder(), set("00 00")), 0x94, "MQTT-3.3.2-8")
      refuses(() => decodeWith(publishDecoder(), use("00 00")), 0x94, "MQTT-3.3.2-8")
    })

    it("[MQTT-3.3.2-9] [MQTT-3.3.2-10] takes the largest that was announced and refuses more", () => {
      assert.strictEqual(decodeWith(publishDecoder(), set("00 0a")).topic, "t/1")
      refuses(() => decodeWith(publishDecoder(), set("00 0b")), 0x94, "MQTT-3.3.2-9")
      refuses(() => decodeWith(publishDecoder(), set("ff ff")), 0x94, "MQTT-3.3.2-9")
      refuses(() => decodeWith(publishDecoder({ maximumTopicAlias: 0 }), set("00 01")), 0x94, "MQTT-3.3.2-9")
    })

    it("refuses an alias that stands for nothing", () => {
      const decoder = publishDecoder()
      decodeWith(decoder, set("00 01"))
      refuses(() => decodeWith(decoder, use("00 02")), 0x82, "MQTT5-3.3.2.3.4")
    })

    it("refuses neither topic name nor alias", () => {
      refuses(() => decodePublish(frame(0x30, "00 00", properties(), "'x'"), 5), 0x82, "MQTT5-3.3.2.1")
      refuses(() => decodePublish(frame(0x30, "00 00", properties("01 00"), "'x'"), 5), 0x82, "MQTT5-3.3.2.1")
    })

    it("an alias is not set by a topic name that is refused", () => {
      const decoder = publishDecoder({ maximumTopicLevels: 2 })
      refuses(() => decodeWith(decoder, set("00 01", '"a/b/c"')), 0x90, "MQTT5-3.3.2.1")
      refuses(() => decodeWith(decoder, set("00 01", '"#"')), 0x90, "MQTT-3.3.2-2")
      refuses(() => decodeWith(decoder, use("00 01")), 0x82, "MQTT5-3.3.2.3.4")
    })

    it("the alias of one packet is not that of the next", () => {
      const decoder = publishDecoder()
      decodeWith(decoder, set("00 01"))
      assert.strictEqual(decodeWith(decoder, frame(0x30, '"other"', properties(`03 "c"`))).topic, "other")
      assert.strictEqual(decodeWith(decoder, use("00 01")).topic, "t/1")
      assert.strictEqual(decodeWith(decoder, frame(0x30, '"plain"', bytes("00"))).expiresAt, 0)
    })
  })
})
