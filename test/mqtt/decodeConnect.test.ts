import { assert, describe, it } from "@effect/vitest"
import { connectVersion } from "../../src/mqtt/decodeConnect.ts"
import { type Connect, noMaximumPacketSize, type ProtocolVersion } from "../../src/mqtt/Packet.ts"
import { bytes, frame, properties } from "../support/bytes.ts"
import { decodePacket, readerOf, refuses, versions } from "./codec.ts"

type Part = string | number | Uint8Array

const names = { 3: '"MQIsdp" 03', 4: '"MQTT" 04', 5: '"MQTT" 05' } as const

/** A CONNECT with these flags and this after its keep alive and its properties. */
const connect = (version: ProtocolVersion, flags: number, ...payload: ReadonlyArray<Part>): Buffer =>
  connectWith(version, flags, "", ...payload)

const connectWith = (version: ProtocolVersion, flags: number, props: Part, ...payload: ReadonlyArray<Part>): Buffer =>
  frame(0x10, names[version], flags, "00 3c", version === 5 ? properties(props) : "", ...payload)

const decode = (data: Uint8Array): Connect => {
  const packet = decodePacket(data, 4)
  assert.strictEqual(packet._tag, "Connect")
  return packet as Connect
}

const plain = (version: ProtocolVersion): Connect => ({
  _tag: "Connect",
  protocolVersion: version,
  cleanStart: true,
  keepAliveSeconds: 60,
  clientId: "me",
  username: undefined,
  password: undefined,
  will: undefined,
  sessionExpiryInterval: undefined,
  receiveMaximum: 65_535,
  maximumPacketSize: noMaximumPacketSize,
  topicAliasMaximum: 0,
  requestResponseInformation: false,
  requestProblemInformation: true,
  userProperties: [],
  authenticationMethod: undefined,
  authenticationData: undefined,
  bridge: false
})

describe("CONNECT", () => {
  for (const version of versions) {
    describe(`version ${version}`, () => {
      const none = version === 5 ? "00" : ""

      it("with nothing but a client id", () => {
        assert.deepStrictEqual(decode(connect(version, 2, '"me"')), plain(version))
      })

      it("[MQTT-3.1.3-6] an empty client id is for the connection to judge", () => {
        assert.deepStrictEqual(decode(connect(version, 2, "00 00")), { ...plain(version), clientId: "" })
      })

      it("[MQTT-3.1.3-4] a client id beyond ASCII", () => {
        assert.strictEqual(decode(connect(version, 2, '"\ufeffä\u{1F600}"')).clientId, "\ufeffä\u{1F600}")
      })

      it("clean session or clean start, and keep alive 0 and 65,535", () => {
        assert.isFalse(decode(connect(version, 0, '"me"')).cleanStart)
        assert.strictEqual(decode(frame(0x10, names[version], "02 00 00", none, '"me"')).keepAliveSeconds, 0)
        assert.strictEqual(decode(frame(0x10, names[version], "02 ff ff", none, '"me"')).keepAliveSeconds, 65_535)
      })

      it("[MQTT-3.1.3-1] everything, in its order", () => {
        const packet = decode(
          connect(version, 0xf6, '"me"', none, '"will/topic"', "00 03 00 ff 01", '"user"', "00 02 ff 00")
        )
        assert.deepStrictEqual(packet, {
          ...plain(version),
          username: "user",
          password: Uint8Array.of(255, 0),
          will: {
            topic: "will/topic",
            payload: Uint8Array.of(0, 255, 1),
            qos: 2,
            retain: true,
            delayIntervalSeconds: 0,
            properties: null
          }
        })
      })

      for (const qos of [0, 1, 2] as const) {
        for (const retain of [false, true]) {
          it(`a will with QoS ${qos}, retain ${retain}, and no payload`, () => {
            const flags = 0x06 | (qos << 3) | (retain ? 0x20 : 0)
            const { will } = decode(connect(version, flags, '"me"', none, '"w"', "00 00"))
            assert.deepStrictEqual(will, {
              topic: "w",
              payload: new Uint8Array(0),
              qos,
              retain,
              delayIntervalSeconds: 0,
              properties: null
            })
          })
        }
      }

      it("a user name without a password, and both empty", () => {
        const { username, password } = decode(connect(version, 0x82, '"me"', '"user"'))
        assert.deepStrictEqual([username, password], ["user", undefined])
        const empty = decode(connect(version, 0xc2, '"me"', "00 00", "00 00"))
        assert.deepStrictEqual([empty.username, empty.password], ["", new Uint8Array(0)])
      })

      it("what it gives does not live on the chunk", () => {
        const data = connect(version, 0xc6, '"me"', none, '"w"', '"pay"', '"user"', '"pass"')
        const packet = decode(data)
        data.fill(0)
        assert.strictEqual(Buffer.from(packet.password ?? []).toString(), "pass")
        assert.strictEqual(Buffer.from(packet.will?.payload ?? []).toString(), "pay")
      })

      it("bit 7 of the level is a bridge's", () => {
        const name = version === 3 ? '"MQIsdp"' : '"MQTT"'
        const packet = decode(frame(0x10, name, 0x80 | version, "02 00 3c", none, '"me"'))
        assert.deepStrictEqual(packet, { ...plain(version), bridge: true })
      })

      const v = (before: string, five: string): string => version === 5 ? five : before
      const refused: ReadonlyArray<[string, Buffer, number, string]> = [
        ["[MQTT-3.1.2-3] the reserved flag", connect(version, 3, '"me"'), 0x81, "MQTT-3.1.2-3"],
        [
          "[MQTT-3.1.2-13] [MQTT5-3.1.2-11] a will QoS without a will",
          connect(version, 0x0a, '"me"'),
          0x81,
          v("MQTT-3.1.2-13", "MQTT5-3.1.2-11")
        ],
        [
          "[MQTT-3.1.2-15] [MQTT5-3.1.2-13] a will retain without a will",
          connect(version, 0x22, '"me"'),
          0x81,
          v("MQTT-3.1.2-15", "MQTT5-3.1.2-13")
        ],
        [
          "[MQTT-3.1.2-14] [MQTT5-3.1.2-12] will QoS 3",
          connect(version, 0x1e, '"me"', none, '"w"', "00 00"),
          0x81,
          v("MQTT-3.1.2-14", "MQTT5-3.1.2-12")
        ],
        ["[MQTT-3.1.3-3] no client id", connect(version, 2), 0x81, "MQTT5-4.13.1"],
        ["[MQTT-3.1.3-4] a client id that is not UTF-8", connect(version, 2, "00 01 ff"), 0x81, "MQTT-1.5.4-1"],
        [
          "[MQTT-1.5.3-2] [MQTT-1.5.4-2] a client id with U+0000",
          connect(version, 2, "00 01 00"),
          0x81,
          "MQTT-1.5.4-2"
        ],
        ["[MQTT-1.5.3-1] a surrogate in the client id", connect(version, 2, "00 03 ed a0 80"), 0x81, "MQTT-1.5.4-1"],
        ["[MQTT-3.1.2-9] a will flag without a will", connect(version, 6, '"me"'), 0x81, "MQTT5-4.13.1"],
        ["a will without a payload", connect(version, 6, '"me"', none, '"w"'), 0x81, "MQTT5-4.13.1"],
        [
          "[MQTT-3.1.3-10] [MQTT5-3.1.3-11] a will topic that is not UTF-8",
          connect(version, 6, '"me"', none, "00 01 ff", "00 00"),
          0x81,
          "MQTT-1.5.4-1"
        ],
        ["a will topic with a wildcard", connect(version, 6, '"me"', none, '"a/#"', "00 00"), 0x90, "MQTT-3.3.2-2"],
        ["an empty will topic", connect(version, 6, '"me"', none, "00 00", "00 00"), 0x90, "MQTT-3.3.2-2"],
        [
          "[MQTT-3.1.3-11] [MQTT5-3.1.3-12] a user name that is not UTF-8",
          connect(version, 0x82, '"me"', "00 02 61 ff"),
          0x81,
          "MQTT-1.5.4-1"
        ],
        ["a user name with U+0000", connect(version, 0x82, '"me"', "00 01 00"), 0x81, "MQTT-1.5.4-2"],
        ["a user name that is cut short", connect(version, 0x82, '"me"', "00 05 61"), 0x81, "MQTT5-4.13.1"],
        [
          "[MQTT-3.1.2-18] [MQTT5-3.1.2-16] a user name that no flag announces",
          connect(version, 2, '"me"', '"user"'),
          0x81,
          "MQTT-4.8.0-1"
        ],
        [
          "[MQTT-3.1.2-20] [MQTT5-3.1.2-18] a password that no flag announces",
          connect(version, 0x82, '"me"', '"user"', '"pass"'),
          0x81,
          "MQTT-4.8.0-1"
        ],
        ["bytes after the end", connect(version, 2, '"me"', "00"), 0x81, "MQTT-4.8.0-1"],
        ["a keep alive that is cut short", frame(0x10, names[version], "02 00"), 0x81, "MQTT5-4.13.1"],
        ["no flags", frame(0x10, names[version]), 0x81, "MQTT5-4.13.1"]
      ]
      for (const [name, data, reason, clause] of refused) {
        it(`refuses ${name}`, () => refuses(() => decodePacket(data, 4), reason, clause))
      }

      if (version !== 3) {
        it("[MQTT-3.1.2-19] [MQTT5-3.1.2-17] refuses a flag for a user name that is not there", () => {
          refuses(() => decodePacket(connect(version, 0x82, '"me"'), 4), 0x81, "MQTT5-4.13.1")
        })
        it("[MQTT-3.1.2-21] [MQTT5-3.1.2-19] refuses a flag for a password that is not there", () => {
          refuses(() => decodePacket(connect(version, 0xc2, '"me"', '"user"'), 4), 0x81, "MQTT5-4.13.1")
        })
      }

      for (let flags = 1; flags < 16; flags++) {
        it(`[MQTT-2.2.2-2] [MQTT-2.1.3-1] refuses fixed header flags ${flags}`, () => {
          const data = connect(version, 2, '"me"')
          data[0] = 0x10 | flags
          refuses(() => decodePacket(data, 4), 0x81, "MQTT-2.2.2-2")
        })
      }
    })
  }

  it("[MQTT-3.1.2-22] a password without a user name is refused before MQTT 5, which allows it", () => {
    for (const version of [3, 4] as const) {
      refuses(() => decodePacket(connect(version, 0x42, '"me"', '"pass"'), 4), 0x81, "MQTT-3.1.2-22")
    }
    const { username, password } = decode(connect(5, 0x42, '"me"', '"pass"'))
    assert.isUndefined(username)
    assert.strictEqual(Buffer.from(password ?? []).toString(), "pass")
  })

  it("MQTT 3.1: the end of the packet takes precedence over the flags of user name and password", () => {
    assert.deepStrictEqual(decode(connect(3, 0xc2, '"me"')), plain(3))
    assert.deepStrictEqual(decode(connect(3, 0xc2, '"me"', '"user"')), { ...plain(3), username: "user" })
    refuses(() => decodePacket(connect(3, 0xc2, '"me"', '"user"', "00"), 3), 0x81, "MQTT5-4.13.1")
  })

  describe("protocol name and level", () => {
    const refused: ReadonlyArray<[string, string, string]> = [
      ["[MQTT-3.1.2-1] another name", '"MQTX" 04', "MQTT-3.1.2-1"],
      ["[MQTT-3.1.2-1] another case", '"mqtt" 04', "MQTT-3.1.2-1"],
      ["[MQTT-3.1.2-1] MQIsdq", '"MQIsdq" 03', "MQTT-3.1.2-1"],
      ["[MQTT-3.1.2-1] no name", "00 00 04", "MQTT-3.1.2-1"],
      ["[MQTT-3.1.2-1] a longer name", '"MQTT5" 05', "MQTT-3.1.2-1"],
      ["[MQTT-3.1.2-2] level 0", '"MQTT" 00', "MQTT-3.1.2-2"],
      ["[MQTT-3.1.2-2] level 3 of MQTT", '"MQTT" 03', "MQTT-3.1.2-2"],
      ["[MQTT-3.1.2-2] level 6", '"MQTT" 06', "MQTT-3.1.2-2"],
      ["[MQTT-3.1.2-2] level 127", '"MQTT" 7f', "MQTT-3.1.2-2"],
      ["[MQTT-3.1.2-2] a bridge's level 6", '"MQTT" 86', "MQTT-3.1.2-2"],
      ["[MQTT-3.1.2-2] level 4 of MQIsdp", '"MQIsdp" 04', "MQTT-3.1.2-2"],
      ["[MQTT-3.1.2-2] level 5 of MQIsdp", '"MQIsdp" 05', "MQTT-3.1.2-2"]
    ]
    for (const [name, start, clause] of refused) {
      it(`refuses ${name}`, () => {
        refuses(() => decodePacket(frame(0x10, start, "02 00 3c 00 00 00"), 4), 0x84, clause)
      })
    }
    it("refuses a name that is cut short, not UTF-8, or not there", () => {
      refuses(() => decodePacket(frame(0x10), 4), 0x81, "MQTT5-4.13.1")
      refuses(() => decodePacket(frame(0x10, "00 04 4d 51"), 4), 0x81, "MQTT5-4.13.1")
      refuses(() => decodePacket(frame(0x10, "00 04 4d 51 54 ff 04"), 4), 0x81, "MQTT-1.5.4-1")
      refuses(() => decodePacket(frame(0x10, '"MQTT"'), 4), 0x81, "MQTT5-4.13.1")
    })
  })

  describe("connectVersion", () => {
    const cases: ReadonlyArray<[string, Buffer, ProtocolVersion | undefined]> = [
      ["3.1", connect(3, 2, '"me"'), 3],
      ["3.1.1, with what is refused after it", connect(4, 0xff, "00 09"), 4],
      ["5", connect(5, 2, '"me"'), 5],
      ["a bridge's", frame(0x10, '"MQTT" 84 02 00 00 00 00'), 4],
      ["an unknown level", frame(0x10, '"MQTT" 09 02 00 00 00 00'), undefined],
      ["no level", frame(0x10, '"MQTT"'), undefined],
      ["no name", frame(0x10), undefined],
      ["another packet", frame(0x82, '"MQTT" 05'), undefined]
    ]
    for (const [name, data, expected] of cases) {
      it(name, () => assert.strictEqual(connectVersion(readerOf(data)), expected))
    }
  })

  describe("properties", () => {
    it("each of them", () => {
      const props = `11 00 00 00 0a 21 00 14 27 00 00 10 00 22 00 05 19 01 17 00 26 "b" "1" 26 "a" "2" 26 "b" "3" ` +
        `15 "SCRAM" 16 00 02 00 ff`
      assert.deepStrictEqual(decode(connectWith(5, 2, props, '"me"')), {
        ...plain(5),
        sessionExpiryInterval: 10,
        receiveMaximum: 20,
        maximumPacketSize: 4_096,
        topicAliasMaximum: 5,
        requestResponseInformation: true,
        requestProblemInformation: false,
        userProperties: [["b", "1"], ["a", "2"], ["b", "3"]],
        authenticationMethod: "SCRAM",
        authenticationData: Uint8Array.of(0, 255)
      })
    })

    it("the extreme values", () => {
      const packet = decode(connectWith(5, 2, "11 ff ff ff ff 21 ff ff 27 ff ff ff ff 22 ff ff 19 00 17 01", '"me"'))
      assert.deepStrictEqual(packet, {
        ...plain(5),
        sessionExpiryInterval: 0xffff_ffff,
        receiveMaximum: 65_535,
        maximumPacketSize: 0xffff_ffff,
        topicAliasMaximum: 65_535
      })
      assert.strictEqual(decode(connectWith(5, 2, "11 00 00 00 00", '"me"')).sessionExpiryInterval, 0)
      assert.strictEqual(decode(connectWith(5, 2, "21 00 01 27 00 00 00 01", '"me"')).maximumPacketSize, 1)
    })

    const values: ReadonlyArray<[number, string]> = [
      [0x11, "00 00 00 01"],
      [0x15, '"m"'],
      [0x17, "01"],
      [0x19, "01"],
      [0x21, "00 01"],
      [0x22, "00 01"],
      [0x27, "00 00 00 01"]
    ]
    for (const [identifier, value] of values) {
      it(`refuses property ${identifier} twice`, () => {
        const data = connectWith(5, 2, Buffer.concat([one(identifier, value), one(identifier, value)]), '"me"')
        refuses(() => decodePacket(data, 5), 0x82, "MQTT5-2.2.2.2")
      })
    }
    it("refuses authentication data twice", () => {
      refuses(() => decodePacket(connectWith(5, 2, '15 "m" 16 "a" 16 "a"', '"me"'), 5), 0x82, "MQTT5-2.2.2.2")
    })

    it("refuses every property that a CONNECT does not have", () => {
      const allowed = [0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27]
      for (let identifier = 0; identifier < 256; identifier++) {
        if (allowed.includes(identifier)) continue
        const data = connectWith(5, 2, Buffer.concat([Buffer.of(identifier), Buffer.alloc(8)]), '"me"')
        refuses(() => decodePacket(data, 5), 0x81, "MQTT5-2.2.2.2")
      }
    })

    const refused: ReadonlyArray<[string, string, number, string]> = [
      ["Receive Maximum 0", "21 00 00", 0x82, "MQTT5-3.1.2.11.3"],
      ["Maximum Packet Size 0", "27 00 00 00 00", 0x82, "MQTT5-3.1.2.11.4"],
      ["Request Problem Information 2", "17 02", 0x82, "MQTT5-3.1.2.11"],
      ["Request Response Information 2", "19 02", 0x82, "MQTT5-3.1.2.11"],
      ["authentication data without a method", '16 "a"', 0x82, "MQTT5-3.1.2.11.10"],
      ["[MQTT-1.5.4-1] an authentication method that is not UTF-8", "15 00 01 ff", 0x81, "MQTT-1.5.4-1"],
      ["[MQTT-1.5.7-1] a user property that is not UTF-8", '26 "k" 00 01 ff', 0x81, "MQTT-1.5.4-1"],
      ["[MQTT-1.5.4-2] a user property with U+0000", '26 00 01 00 "v"', 0x81, "MQTT-1.5.4-2"],
      ["a value that is cut short", "11 00 00", 0x81, "MQTT5-4.13.1"],
      ["a user property without a value", '26 "k"', 0x81, "MQTT5-4.13.1"]
    ]
    for (const [name, props, reason, clause] of refused) {
      it(`refuses ${name}`, () => refuses(() => decodePacket(connectWith(5, 2, props, '"me"'), 5), reason, clause))
    }

    it("refuses a property length beyond the packet, overlong, or of five bytes", () => {
      const start = '"MQTT" 05 02 00 3c'
      refuses(() => decodePacket(frame(0x10, start, "50 11"), 5), 0x81, "MQTT5-2.2.2.1")
      refuses(() => decodePacket(frame(0x10, start, "80 00", '"me"'), 5), 0x81, "MQTT-1.5.5-1")
      refuses(() => decodePacket(frame(0x10, start, "ff ff ff ff 01", '"me"'), 5), 0x81, "MQTT5-1.5.5")
      refuses(() => decodePacket(frame(0x10, start, "80"), 5), 0x81, "MQTT5-4.13.1")
    })
  })

  describe("will properties", () => {
    const withWill = (props: Part): Buffer => connect(5, 6, '"me"', properties(props), '"w"', '"p"')

    it("each of them; [MQTT5-3.1.3-10] user properties keep order and duplicates", () => {
      const { will } = decode(
        withWill(`18 00 00 00 07 01 01 02 00 00 00 09 03 "c" 08 "r" 09 00 01 ff 26 "b" "1" 26 "a" "2" 26 "b" "1"`)
      )
      assert.strictEqual(will?.delayIntervalSeconds, 7)
      assert.deepStrictEqual(will?.properties, {
        payloadFormatIndicator: 1,
        messageExpiryInterval: 9,
        contentType: "c",
        responseTopic: "r",
        correlationData: Uint8Array.of(255),
        userProperties: [["b", "1"], ["a", "2"], ["b", "1"]]
      })
    })

    it("those of the will are not those of the connection", () => {
      const packet = decode(connectWith(5, 6, '26 "c" "1"', '"me"', properties('26 "w" "2"'), '"w"', '"p"'))
      assert.deepStrictEqual(packet.userProperties, [["c", "1"]])
      assert.deepStrictEqual(packet.will?.properties, { userProperties: [["w", "2"]] })
    })

    it("a delay alone leaves no properties to the message", () => {
      const { will } = decode(withWill("18 00 00 00 07"))
      assert.isNull(will?.properties)
      assert.strictEqual(will?.delayIntervalSeconds, 7)
    })

    const twice = ["18 00 00 00 01", "01 00", "02 00 00 00 01", '03 "a"', '08 "a"', "09 00 00"]
    for (const property of twice) {
      it(`refuses ${property} twice`, () => {
        refuses(() => decodePacket(withWill(`${property} ${property}`), 5), 0x82, "MQTT5-2.2.2.2")
      })
    }

    it("refuses every property that a will does not have", () => {
      const allowed = [0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26]
      for (let identifier = 0; identifier < 256; identifier++) {
        if (allowed.includes(identifier)) continue
        const data = withWill(Buffer.concat([Buffer.of(identifier), Buffer.alloc(8)]))
        refuses(() => decodePacket(data, 5), 0x81, "MQTT5-2.2.2.2")
      }
    })

    const refused: ReadonlyArray<[string, string, number, string]> = [
      ["[MQTT-3.3.2-14] a response topic with a wildcard", '08 "a/+"', 0x82, "MQTT-3.3.2-14"],
      ["[MQTT-4.7.3-1] an empty response topic", "08 00 00", 0x82, "MQTT-4.7.3-1"],
      ["a payload format of 2", "01 02", 0x82, "MQTT5-3.1.2.11"],
      ["[MQTT-1.5.4-1] a content type that is not UTF-8", "03 00 01 ff", 0x81, "MQTT-1.5.4-1"]
    ]
    for (const [name, props, reason, clause] of refused) {
      it(`refuses ${name}`, () => refuses(() => decodePacket(withWill(props), 5), reason, clause))
    }
  })
})

const one = (identifier: number, value: string): Buffer => Buffer.concat([Buffer.of(identifier), bytes(value)])
