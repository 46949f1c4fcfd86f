import { assert, describe, it } from "@effect/vitest"
import {
  type Connack,
  encodeAuth,
  encodeConnack,
  encodeDisconnect,
  encodeSuback,
  encodeUnsuback,
  pingresp
} from "../../src/mqtt/encodeControl.ts"
import { ReasonCode } from "../../src/mqtt/ReasonCode.ts"
import { bytes, frame, properties } from "../support/bytes.ts"

const expectBytes = (actual: Uint8Array, expected: Uint8Array): void =>
  assert.strictEqual(Buffer.from(actual).toString("hex"), Buffer.from(expected).toString("hex"))

const connack = (more: Partial<Connack>): Uint8Array =>
  encodeConnack({ version: 5, sessionPresent: false, reasonCode: 0, ...more })

describe("encodeConnack", () => {
  it("[MQTT-3.2.2-1] [MQTT-3.2.2-2] session present in 3.1.1 and 5; 3.1 has no such flag", () => {
    expectBytes(connack({ version: 3, sessionPresent: true }), bytes("20 02 00 00"))
    expectBytes(connack({ version: 4, sessionPresent: true }), bytes("20 02 01 00"))
    expectBytes(connack({ version: 4 }), bytes("20 02 00 00"))
    expectBytes(connack({ sessionPresent: true }), bytes("20 03 01 00 00"))
    expectBytes(connack({}), bytes("20 03 00 00 00"))
  })

  it("[MQTT-3.2.2-4] [MQTT5-3.2.2-6] no session is present for who is refused", () => {
    expectBytes(connack({ version: 4, sessionPresent: true, reasonCode: 0x87 }), bytes("20 02 00 05"))
    expectBytes(connack({ sessionPresent: true, reasonCode: 0x87 }), bytes("20 03 00 87 00"))
  })

  it("[MQTT-3.1.2-2] [MQTT-3.1.3-8] reasons become return codes before MQTT 5, which sends them as they are", () => {
    for (const [reason, returned] of [[0x84, 1], [0x85, 2], [0x88, 3], [0x86, 4], [0x87, 5]] as const) {
      expectBytes(connack({ version: 3, reasonCode: reason }), Uint8Array.of(0x20, 2, 0, returned))
      expectBytes(connack({ version: 4, reasonCode: reason }), Uint8Array.of(0x20, 2, 0, returned))
      expectBytes(connack({ reasonCode: reason }), Uint8Array.of(0x20, 3, 0, reason, 0))
    }
  })

  it("each property", () => {
    const cases: ReadonlyArray<[Partial<Connack>, string]> = [
      [{ sessionExpiryInterval: 0 }, "11 00 00 00 00"],
      [{ sessionExpiryInterval: 0xffff_ffff }, "11 ff ff ff ff"],
      [{ receiveMaximum: 1000 }, "21 03 e8"],
      [{ maximumQoS: 0 }, "24 00"],
      [{ maximumQoS: 1 }, "24 01"],
      [{ maximumQoS: 2 }, ""],
      [{ retainAvailable: false }, "25 00"],
      [{ retainAvailable: true }, "25 01"],
      [{ maximumPacketSize: 1_048_576 }, "27 00 10 00 00"],
      [{ assignedClientIdentifier: "auto-1" }, '12 "auto-1"'],
      [{ topicAliasMaximum: 64 }, "22 00 40"],
      [{ reasonString: "bad ä" }, '1f "bad ä"'],
      [{ wildcardSubscriptionAvailable: false }, "28 00"],
      [{ subscriptionIdentifiersAvailable: true }, "29 01"],
      [{ sharedSubscriptionAvailable: false }, "2a 00"],
      [{ serverKeepAlive: 300 }, "13 01 2c"],
      [{ responseInformation: "reply/" }, '1a "reply/"'],
      [{ serverReference: "b:1883" }, '1c "b:1883"'],
      [{ authenticationMethod: "m" }, '15 "m"'],
      [{ authenticationData: Uint8Array.of(0, 255) }, "16 00 02 00 ff"],
      [{ userProperties: [] }, ""]
    ]
    for (const [more, props] of cases) {
      expectBytes(connack(more), frame(0x20, "00 00", properties(props)))
      expectBytes(connack({ ...more, version: 4 }), bytes("20 02 00 00"))
    }
  })

  it("user properties after the others, in their order, with duplicates and names like numbers", () => {
    const userProperties = [["b", "1"], ["10", "x"], ["2", "y"], ["b", "2"], ["__proto__", ""], ["b", "1"]] as const
    const props = properties(
      '21 00 14 1f "why" 26 "b" "1" 26 "10" "x" 26 "2" "y" 26 "b" "2" 26 "__proto__" 00 00 26 "b" "1"'
    )
    expectBytes(
      connack({ reasonCode: 0x87, receiveMaximum: 20, reasonString: "why", userProperties }),
      frame(0x20, "00 87", props)
    )
  })

  it("properties of more than 127 and 16,383 bytes", () => {
    for (const size of [60, 122, 123, 124, 125, 126, 127, 200, 8_000, 16_370, 16_380, 40_000]) {
      const value = "v".repeat(size)
      const props = properties(`1f "${value}" 26 "k" "${value}"`)
      expectBytes(connack({ reasonString: value, userProperties: [["k", value]] }), frame(0x20, "00 00", props))
    }
  })
})

describe("encodeSuback", () => {
  it("[MQTT-3.8.4-5] [MQTT-3.8.4-6] one code for each filter, in order; [MQTT-3.9.3-2] before MQTT 5 a failure is 0x80", () => {
    const codes = [0, 1, 2, 0x80, 0x87, 0x8f, 0xa2]
    expectBytes(encodeSuback(0xabcd, codes, 4), bytes("90 09 ab cd 00 01 02 80 80 80 80"))
    expectBytes(encodeSuback(0xabcd, codes, 3), bytes("90 09 ab cd 00 01 02 80 80 80 80"))
    expectBytes(encodeSuback(0xabcd, codes, 5), bytes("90 0a ab cd 00 00 01 02 80 87 8f a2"))
  })
  it("500 codes", () => {
    const codes = Array.from({ length: 500 }, () => 1)
    expectBytes(encodeSuback(1, codes, 4), frame(0x90, "00 01", Buffer.from(codes)))
    expectBytes(encodeSuback(1, codes, 5), frame(0x90, "00 01 00", Buffer.from(codes)))
  })
  it("reason string and user properties, to MQTT 5 alone", () => {
    const more = { reasonString: "why", userProperties: [["a", "1"], ["a", "1"]] } as const
    expectBytes(
      encodeSuback(7, [0x87], 5, more),
      frame(0x90, "00 07", properties('1f "why" 26 "a" "1" 26 "a" "1"'), 0x87)
    )
    expectBytes(encodeSuback(7, [0x87], 4, more), bytes("90 03 00 07 80"))
  })
})

describe("encodeUnsuback", () => {
  it("[MQTT-3.10.4-4] [MQTT-3.11.3-1] codes in MQTT 5, the identifier alone before", () => {
    expectBytes(encodeUnsuback(0xabcd, [0, 0x11], 5), bytes("b0 05 ab cd 00 00 11"))
    expectBytes(encodeUnsuback(0xabcd, [0, 0x11], 4), bytes("b0 02 ab cd"))
    expectBytes(encodeUnsuback(0xabcd, [0, 0x11], 3), bytes("b0 02 ab cd"))
  })
  it("reason string and user properties", () => {
    expectBytes(
      encodeUnsuback(7, [0x11], 5, { reasonString: "why", userProperties: [["a", "1"]] }),
      frame(0xb0, "00 07", properties('1f "why" 26 "a" "1"'), 0x11)
    )
  })
})

describe("encodeDisconnect", () => {
  it("every reason code", () => {
    for (const code of Object.values(ReasonCode)) expectBytes(encodeDisconnect(code), Uint8Array.of(0xe0, 2, code, 0))
  })
  it("each property", () => {
    expectBytes(encodeDisconnect(0x9d, { serverReference: "b" }), frame(0xe0, 0x9d, properties('1c "b"')))
    expectBytes(
      encodeDisconnect(0x82, { reasonString: "why", userProperties: [["b", "1"], ["a", "2"]] }),
      frame(0xe0, 0x82, properties('1f "why" 26 "b" "1" 26 "a" "2"'))
    )
    expectBytes(encodeDisconnect(0, { sessionExpiryInterval: 5 }), frame(0xe0, 0, properties("11 00 00 00 05")))
  })
})

describe("encodeAuth and pingresp", () => {
  it("each property", () => {
    const more = {
      authenticationMethod: "m",
      authenticationData: Uint8Array.of(0, 255),
      reasonString: "why",
      userProperties: [["a", "1"]]
    } as const
    expectBytes(encodeAuth(0x18, more), frame(0xf0, 0x18, properties('1f "why" 15 "m" 16 00 02 00 ff 26 "a" "1"')))
    expectBytes(encodeAuth(0), bytes("f0 02 00 00"))
  })
  it("[MQTT-3.12.4-1] PINGRESP", () => expectBytes(pingresp, bytes("d0 00")))
})
