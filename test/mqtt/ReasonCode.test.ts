import { assert, describe, it } from "@effect/vitest"
import { ProtocolError } from "../../src/mqtt/ProtocolError.ts"
import { connackReturnCode, ReasonCode, reasonName } from "../../src/mqtt/ReasonCode.ts"

describe("ReasonCode", () => {
  it("has all 43 of section 2.4, each value once but for success", () => {
    const values = Object.values(ReasonCode)
    assert.strictEqual(new Set(values).size, 43)
    assert.strictEqual(values.filter((code) => code === 0).length, 3)
    assert.strictEqual(values.length, 45)
  })

  const names: ReadonlyArray<[number, string]> = [
    [0x00, "Success"],
    [0x01, "Granted QoS 1"],
    [0x02, "Granted QoS 2"],
    [0x18, "Continue Authentication"],
    [0x19, "Re Authenticate"],
    [0x81, "Malformed Packet"],
    [0x86, "Bad User Name Or Password"],
    [0x8b, "Server Shutting Down"],
    [0x95, "Packet Too Large"],
    [0x9b, "QoS Not Supported"],
    [0xa2, "Wildcard Subscriptions Not Supported"],
    [0x05, "Reason 0x05"]
  ]
  for (const [code, name] of names) {
    it(`0x${code.toString(16)} is ${name}`, () => assert.strictEqual(reasonName(code), name))
  }

  it("every failure has a return code that is not acceptance, in every version before 5", () => {
    for (const code of Object.values(ReasonCode)) {
      const returned = connackReturnCode(code)
      assert.isTrue(code === 0 ? returned === 0 : returned >= 1 && returned <= 5, reasonName(code))
    }
  })

  for (
    const [code, expected] of [[0x84, 1], [0x85, 2], [0x88, 3], [0x89, 3], [0x97, 3], [0x9f, 3], [0x86, 4], [0x87, 5], [
      0x8a,
      5
    ], [
      0x8c,
      5
    ]] as const
  ) {
    it(`${reasonName(code)} becomes return code ${expected}`, () =>
      assert.strictEqual(connackReturnCode(code), expected))
  }

  it("a ProtocolError says the fact, the reason and the clause", () => {
    const error = new ProtocolError(0x81, "MQTT-3.3.1-4", "a PUBLISH with QoS 3")
    assert.strictEqual(error.message, "a PUBLISH with QoS 3 (Malformed Packet, MQTT-3.3.1-4)")
    assert.isTrue(error instanceof Error)
    assert.strictEqual(error.name, "ProtocolError")
  })
})
