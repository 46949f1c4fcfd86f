import { assert, describe, it } from "@effect/vitest"
import type { ProtocolVersion } from "../../src/mqtt/Packet.ts"
import { bytes, frame, properties } from "../support/bytes.ts"
import { decodePacket, refuses, versions } from "./codec.ts"

type Part = string | number | Uint8Array

const none = (version: ProtocolVersion): string => version === 5 ? "00" : ""

/** Every flags value but the right ones is refused. */
const onlyFlags = (version: ProtocolVersion, data: Buffer, right: ReadonlyArray<number>, clause: string): void => {
  for (let flags = 0; flags < 16; flags++) {
    const copy = Buffer.from(data)
    copy[0] = ((data[0] ?? 0) & 0xf0) | flags
    if (right.includes(flags)) decodePacket(copy, version)
    else refuses(() => decodePacket(copy, version), 0x81, clause)
  }
}

/** Every property identifier but the allowed ones is refused. */
const onlyProperties = (
  version: ProtocolVersion,
  make: (props: Buffer) => Buffer,
  allowed: ReadonlyArray<number>
): void => {
  for (let identifier = 0; identifier < 256; identifier++) {
    if (allowed.includes(identifier)) continue
    const props = Buffer.concat([Buffer.of(identifier), Buffer.alloc(8)])
    refuses(() => decodePacket(make(props), version), 0x81, "MQTT5-2.2.2.2")
  }
}

describe("SUBSCRIBE", () => {
  const subscribe = (version: ProtocolVersion, ...payload: ReadonlyArray<Part>): Buffer =>
    frame(0x82, "00 07", none(version), ...payload)
  const withProperties = (props: Part): Buffer => frame(0x82, "00 07", properties(props), '"a" 00')

  for (const version of versions) {
    describe(`version ${version}`, () => {
      it("several filters, in their order", () => {
        const packet = decodePacket(subscribe(version, '"a/b" 00', '"c/#" 01', '"+" 02', '"a/b" 02'), version)
        const off = { noLocal: false, retainAsPublished: false, retainHandling: 0 } as const
        assert.deepStrictEqual(packet, {
          _tag: "Subscribe",
          packetIdentifier: 7,
          subscriptions: [
            { topicFilter: "a/b", qos: 0, ...off },
            { topicFilter: "c/#", qos: 1, ...off },
            { topicFilter: "+", qos: 2, ...off },
            { topicFilter: "a/b", qos: 2, ...off }
          ],
          subscriptionIdentifier: 0,
          userProperties: []
        })
      })

      it("a filter that is no topic filter is for the session to refuse, alone", () => {
        const packet = decodePacket(subscribe(version, '"a#" 00', '"$share/g" 01', '"ok" 00'), version)
        assert.deepStrictEqual(
          packet._tag === "Subscribe" && packet.subscriptions.map(({ topicFilter }) => topicFilter),
          ["a#", "$share/g", "ok"]
        )
      })

      it("500 filters", () => {
        const filters = Array.from({ length: 500 }, (_, i) => `"filter/${i}" 01`).join(" ")
        const packet = decodePacket(subscribe(version, filters), version)
        assert.strictEqual(packet._tag === "Subscribe" && packet.subscriptions.length, 500)
      })

      it("[MQTT-3.8.1-1] fixed header flags 0010, with DUP in MQTT 3.1 alone", () => {
        onlyFlags(version, subscribe(version, '"a" 00'), version === 3 ? [2, 10] : [2], "MQTT-3.8.1-1")
      })

      const refused: ReadonlyArray<[string, Buffer, number, string]> = [
        [
          "[MQTT-2.3.1-1] [MQTT-2.2.1-3] packet identifier 0",
          frame(0x82, "00 00", none(version), '"a" 00'),
          0x82,
          "MQTT-2.3.1-1"
        ],
        [
          "[MQTT-3.8.3-3] [MQTT5-3.8.3-2] no filter",
          subscribe(version),
          version === 5 ? 0x82 : 0x81,
          version === 5 ? "MQTT5-3.8.3-2" : "MQTT-3.8.3-3"
        ],
        ["no body", frame(0x82), 0x81, "MQTT5-4.13.1"],
        ["half an identifier", frame(0x82, "01"), 0x81, "MQTT5-4.13.1"],
        ["[MQTT-4.7.3-1] an empty filter", subscribe(version, "00 00 00"), 0x82, "MQTT-4.7.3-1"],
        ["an empty filter behind a good one", subscribe(version, '"a" 00', "00 00 00"), 0x82, "MQTT-4.7.3-1"],
        ["[MQTT-3.8.3-1] a filter that is not UTF-8", subscribe(version, "00 01 ff 00"), 0x81, "MQTT-1.5.4-1"],
        ["[MQTT-4.7.3-2] [MQTT-1.5.4-2] a filter with U+0000", subscribe(version, "00 01 00 00"), 0x81, "MQTT-1.5.4-2"],
        ["a filter without options", subscribe(version, '"a"'), 0x81, "MQTT5-4.13.1"],
        ["a filter that is cut short", subscribe(version, "00 05 61"), 0x81, "MQTT5-4.13.1"],
        ["half a filter length", subscribe(version, '"a" 00', "00"), 0x81, "MQTT5-4.13.1"]
      ]
      for (const [name, data, reason, clause] of refused) {
        it(`refuses ${name}`, () => refuses(() => decodePacket(data, version), reason, clause))
      }
    })
  }

  for (const version of [3, 4] as const) {
    it(`[MQTT-3.8.3-4] version ${version}: the QoS byte is 0, 1 or 2`, () => {
      for (let options = 0; options < 256; options++) {
        const run = () => decodePacket(subscribe(version, '"a"', options), version)
        if (options <= 2) run()
        else refuses(run, 0x81, "MQTT-3.8.3-4")
      }
    })
  }

  it("[MQTT5-3.8.3-5] version 5: every options byte means what it says or is refused", () => {
    for (let options = 0; options < 256; options++) {
      const run = () => decodePacket(subscribe(5, '"a"', options), 5)
      const qos = options & 3
      const retainHandling = (options >> 4) & 3
      if ((options & 0xc0) !== 0) refuses(run, 0x81, "MQTT5-3.8.3-5")
      else if (qos === 3 || retainHandling === 3) refuses(run, 0x82, "MQTT5-3.8.3.1")
      else {
        const packet = run()
        const subscriptions: unknown = packet._tag === "Subscribe" && packet.subscriptions
        assert.deepStrictEqual(subscriptions, [{
          topicFilter: "a",
          qos,
          noLocal: (options & 4) !== 0,
          retainAsPublished: (options & 8) !== 0,
          retainHandling
        }])
      }
    }
  })

  it("[MQTT5-3.8.3-4] No Local on a shared subscription is refused, whatever it is called", () => {
    for (const filter of ["$share/g/a", "$queue/a", "$local/$share/g/a", "$local/$queue/a"]) {
      refuses(() => decodePacket(subscribe(5, `"${filter}" 04`), 5), 0x82, "MQTT5-3.8.3-4")
      refuses(() => decodePacket(subscribe(5, '"a" 00', `"${filter}" 05`), 5), 0x82, "MQTT5-3.8.3-4")
      assert.strictEqual(decodePacket(subscribe(5, `"${filter}" 01`), 5)._tag, "Subscribe")
    }
    for (const filter of ["$local/a", "$SYS/#", "a", "$share/g"]) {
      assert.strictEqual(decodePacket(subscribe(5, `"${filter}" 04`), 5)._tag, "Subscribe")
    }
  })

  describe("properties", () => {
    for (const [hex, value] of [["01", 1], ["7f", 127], ["80 01", 128], ["ff ff ff 7f", 268_435_455]] as const) {
      it(`subscription identifier ${value}`, () => {
        const packet = decodePacket(withProperties(`0b ${hex}`), 5)
        assert.strictEqual(packet._tag === "Subscribe" && packet.subscriptionIdentifier, value)
      })
    }
    it("user properties keep order and duplicates", () => {
      const packet = decodePacket(withProperties('26 "b" "1" 26 "a" "2" 26 "b" "1"'), 5)
      assert.deepStrictEqual(packet._tag === "Subscribe" && packet.userProperties, [["b", "1"], ["a", "2"], ["b", "1"]])
    })
    const refused: ReadonlyArray<[string, string, number, string]> = [
      ["subscription identifier 0", "0b 00", 0x82, "MQTT5-3.8.2.1.2"],
      ["two subscription identifiers", "0b 01 0b 02", 0x82, "MQTT5-2.2.2.2"],
      ["[MQTT-1.5.5-1] an overlong subscription identifier", "0b 81 00", 0x81, "MQTT-1.5.5-1"],
      ["a subscription identifier of five bytes", "0b ff ff ff ff 01", 0x81, "MQTT5-1.5.5"],
      ["a subscription identifier that is cut short", "0b 80", 0x81, "MQTT5-4.13.1"]
    ]
    for (const [name, props, reason, clause] of refused) {
      it(`refuses ${name}`, () => refuses(() => decodePacket(withProperties(props), 5), reason, clause))
    }
    it("refuses every other", () => onlyProperties(5, withProperties, [0x0b, 0x26]))
  })
})

describe("UNSUBSCRIBE", () => {
  const unsubscribe = (version: ProtocolVersion, ...payload: ReadonlyArray<Part>): Buffer =>
    frame(0xa2, "00 07", none(version), ...payload)

  for (const version of versions) {
    describe(`version ${version}`, () => {
      it("several filters, valid or not, in their order", () => {
        assert.deepStrictEqual(decodePacket(unsubscribe(version, '"b" "a/#" "b" "x#"'), version), {
          _tag: "Unsubscribe",
          packetIdentifier: 7,
          topicFilters: ["b", "a/#", "b", "x#"],
          userProperties: []
        })
      })

      it("[MQTT-3.10.1-1] fixed header flags 0010, with DUP in MQTT 3.1 alone", () => {
        onlyFlags(version, unsubscribe(version, '"a"'), version === 3 ? [2, 10] : [2], "MQTT-3.10.1-1")
      })

      const refused: ReadonlyArray<[string, Buffer, number, string]> = [
        ["[MQTT-2.3.1-1] packet identifier 0", frame(0xa2, "00 00", none(version), '"a"'), 0x82, "MQTT-2.3.1-1"],
        ["[MQTT-3.10.3-2] no filter", unsubscribe(version), version === 5 ? 0x82 : 0x81, "MQTT-3.10.3-2"],
        ["[MQTT-4.7.3-1] an empty filter", unsubscribe(version, "00 00"), 0x82, "MQTT-4.7.3-1"],
        ["[MQTT-3.10.3-1] a filter that is not UTF-8", unsubscribe(version, "00 01 ff"), 0x81, "MQTT-1.5.4-1"],
        ["[MQTT-1.5.4-2] a filter with U+0000", unsubscribe(version, "00 01 00"), 0x81, "MQTT-1.5.4-2"],
        ["a filter that is cut short", unsubscribe(version, "00 05 61"), 0x81, "MQTT5-4.13.1"],
        ["half a length", unsubscribe(version, '"a" 00'), 0x81, "MQTT5-4.13.1"],
        ["no body", frame(0xa2), 0x81, "MQTT5-4.13.1"]
      ]
      for (const [name, data, reason, clause] of refused) {
        it(`refuses ${name}`, () => refuses(() => decodePacket(data, version), reason, clause))
      }
    })
  }

  it("user properties in their order, and no other property", () => {
    const packet = decodePacket(frame(0xa2, "00 07", properties('26 "b" "1" 26 "a" "2"'), '"a"'), 5)
    assert.deepStrictEqual(packet._tag === "Unsubscribe" && packet.userProperties, [["b", "1"], ["a", "2"]])
    onlyProperties(5, (props) => frame(0xa2, "00 07", properties(props), '"a"'), [0x26])
  })
})

describe("PINGREQ", () => {
  for (const version of versions) {
    it(`version ${version}: two bytes`, () =>
      assert.deepStrictEqual(decodePacket(bytes("c0 00"), version), { _tag: "Pingreq" }))
    it(`version ${version}: refuses a body`, () => {
      refuses(() => decodePacket(bytes("c0 01 00"), version), 0x81, "MQTT5-3.12.1")
    })
    it(`[MQTT-2.2.2-2] [MQTT-2.1.3-1] version ${version}: no flags`, () => {
      onlyFlags(version, bytes("c0 00"), [0], "MQTT-2.2.2-2")
    })
  }
})

describe("DISCONNECT", () => {
  const normal = {
    _tag: "Disconnect",
    reasonCode: 0,
    sessionExpiryInterval: undefined,
    reasonString: undefined,
    serverReference: undefined,
    userProperties: []
  } as const

  for (const version of versions) {
    it(`version ${version}: without a body`, () =>
      assert.deepStrictEqual(decodePacket(bytes("e0 00"), version), normal))
    it(`[MQTT-3.14.1-1] version ${version}: no flags`, () => onlyFlags(version, bytes("e0 00"), [0], "MQTT-3.14.1-1"))
  }
  for (const version of [3, 4] as const) {
    it(`version ${version}: refuses a body`, () => {
      refuses(() => decodePacket(bytes("e0 01 00"), version), 0x81, "MQTT-4.8.0-1")
    })
  }

  it("[MQTT-3.14.2-1] version 5: the reason codes of a client and no other, with and without properties", () => {
    const allowed = [0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99]
    for (let code = 0; code < 256; code++) {
      for (const data of [frame(0xe0, code), frame(0xe0, code, "00")]) {
        const run = () => decodePacket(data, 5)
        if (allowed.includes(code)) assert.deepStrictEqual(run(), { ...normal, reasonCode: code })
        else refuses(run, 0x82, "MQTT-3.14.2-1")
      }
    }
  })

  it("version 5: each property", () => {
    const props = properties('11 00 00 00 0a 1f "why" 1c "there" 26 "b" "1" 26 "a" "2"')
    assert.deepStrictEqual(decodePacket(frame(0xe0, 0x04, props), 5), {
      _tag: "Disconnect",
      reasonCode: 4,
      sessionExpiryInterval: 10,
      reasonString: "why",
      serverReference: "there",
      userProperties: [["b", "1"], ["a", "2"]]
    })
  })

  it("version 5: a session expiry interval of 0 is not absence", () => {
    const packet = decodePacket(frame(0xe0, 0, properties("11 00 00 00 00")), 5)
    assert.strictEqual(packet._tag === "Disconnect" && packet.sessionExpiryInterval, 0)
  })

  const refused: ReadonlyArray<[string, Buffer, number, string]> = [
    [
      "a session expiry interval twice",
      frame(0xe0, 0, properties("11 00 00 00 01 11 00 00 00 01")),
      0x82,
      "MQTT5-2.2.2.2"
    ],
    ["bytes after the properties", frame(0xe0, "00 00 00"), 0x81, "MQTT-4.8.0-1"],
    ["a property section beyond the packet", frame(0xe0, "00 05 11"), 0x81, "MQTT5-2.2.2.1"],
    ["a reason string that is not UTF-8", frame(0xe0, 0, properties("1f 00 01 ff")), 0x81, "MQTT-1.5.4-1"]
  ]
  for (const [name, data, reason, clause] of refused) {
    it(`version 5: refuses ${name}`, () => refuses(() => decodePacket(data, 5), reason, clause))
  }
  it("version 5: refuses every other property", () => {
    onlyProperties(5, (props) => frame(0xe0, 0, properties(props)), [0x11, 0x1c, 0x1f, 0x26])
  })
})

describe("AUTH", () => {
  it("each property", () => {
    const props = properties('15 "SCRAM" 16 00 02 00 ff 1f "why" 26 "b" "1" 26 "a" "2" 26 "b" "1"')
    assert.deepStrictEqual(decodePacket(frame(0xf0, 0x18, props), 5), {
      _tag: "Auth",
      reasonCode: 0x18,
      authenticationMethod: "SCRAM",
      authenticationData: Uint8Array.of(0, 255),
      reasonString: "why",
      userProperties: [["b", "1"], ["a", "2"], ["b", "1"]]
    })
  })

  it("[MQTT-3.15.2-1] a client continues or authenticates anew, and nothing else", () => {
    for (let code = 0; code < 256; code++) {
      const run = () => decodePacket(frame(0xf0, code, properties('15 "m"')), 5)
      if (code === 0x18 || code === 0x19) assert.strictEqual(run()._tag, "Auth")
      else refuses(run, 0x82, "MQTT-3.15.2-1")
    }
    refuses(() => decodePacket(bytes("f0 00"), 5), 0x82, "MQTT-3.15.2-1")
  })

  it("[MQTT-3.15.1-1] no flags", () => onlyFlags(5, frame(0xf0, 0x18, properties('15 "m"')), [0], "MQTT-3.15.1-1"))

  const refused: ReadonlyArray<[string, Buffer, number, string]> = [
    ["no properties", frame(0xf0, 0x18), 0x82, "MQTT5-3.15.2.2.2"],
    ["no method", frame(0xf0, 0x18, properties('1f "why"')), 0x82, "MQTT5-3.15.2.2.2"],
    ["data without a method", frame(0xf0, 0x18, properties('16 "d"')), 0x82, "MQTT5-3.1.2.11.10"],
    ["two methods", frame(0xf0, 0x18, properties('15 "m" 15 "m"')), 0x82, "MQTT5-2.2.2.2"],
    ["bytes after the properties", frame(0xf0, 0x18, properties('15 "m"'), "00"), 0x81, "MQTT-4.8.0-1"]
  ]
  for (const [name, data, reason, clause] of refused) {
    it(`refuses ${name}`, () => refuses(() => decodePacket(data, 5), reason, clause))
  }
  it("refuses every other property", () => {
    onlyProperties(5, (props) => frame(0xf0, 0x18, properties('15 "m"', props)), [0x15, 0x16, 0x1f, 0x26])
  })
  it("is no packet before MQTT 5", () => {
    for (const version of [3, 4] as const) {
      refuses(() => decodePacket(frame(0xf0, 0x18, properties('15 "m"')), version), 0x81, "MQTT-4.8.0-1")
    }
  })
})

describe("what no client sends", () => {
  for (const version of versions) {
    it(`version ${version}: type 0 is malformed`, () => {
      refuses(() => decodePacket(bytes("00 00"), version), 0x81, "MQTT5-2.1.2")
    })
    for (
      const [name, data] of [
        ["CONNACK", "20 02 00 00"],
        ["SUBACK", "90 03 00 01 00"],
        ["UNSUBACK", "b0 02 00 01"],
        ["PINGRESP", "d0 00"]
      ] as const
    ) {
      it(`version ${version}: ${name} is a protocol error`, () => {
        refuses(() => decodePacket(bytes(data), version), 0x82, "MQTT5-2.1.2")
      })
    }
  }
})

describe("the parser behind it", () => {
  it("a packet that was refused leaves nothing to the next, and versions do not mix", () => {
    for (let i = 0; i < 3; i++) {
      refuses(() => decodePacket(frame(0x82, "00 07", '"a"'), 4), 0x81, "MQTT5-4.13.1")
      assert.strictEqual(decodePacket(frame(0x82, "00 07", '"a" 00'), 4)._tag, "Subscribe")
      assert.strictEqual(decodePacket(frame(0x82, "00 07", '00 "a" 00'), 5)._tag, "Subscribe")
      assert.strictEqual(decodePacket(frame(0x10, '"MQTT" 05 02 00 00 00 "me"'), 4)._tag, "Connect")
      assert.strictEqual(decodePacket(frame(0x82, "00 07", '"a" 01'), 3)._tag, "Subscribe")
    }
  })

  it("the packet's bytes are not changed, nor is a shared packet given twice", () => {
    const data = frame(0x8a, "00 07", '"a" 00')
    const before = data.toString("hex")
    decodePacket(data, 3)
    assert.strictEqual(data.toString("hex"), before)
    const first = decodePacket(frame(0x82, "00 07", '"a" 00'), 4)
    decodePacket(frame(0x82, "00 08", '"b" 01'), 4)
    assert.strictEqual(first._tag === "Subscribe" && first.packetIdentifier, 7)
  })
})
