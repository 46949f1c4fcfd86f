// The other packets: what was written is what is read, and mqtt-packet reads what we write.
import { assert, describe, it } from "@effect/vitest"
import { type Packet, parser } from "mqtt-packet"
import { type Connack, encodeConnack, encodeSuback, encodeUnsuback } from "../../src/mqtt/encodeControl.ts"
import { decodePacket, versions } from "../mqtt/codec.ts"
import { bytesOfControl, Random, someControl, someText } from "../mqtt/generators.ts"

const runs = 3_000

const parsed = (data: Uint8Array, version: number): Packet => {
  const packets: Array<Packet> = []
  const one = parser({ protocolVersion: version })
  one.on("packet", (packet) => packets.push(packet)).on("error", (error: unknown) => {
    throw error
  })
  one.parse(Buffer.from(data))
  assert.strictEqual(packets.length, 1)
  return packets[0] as Packet
}

describe("decodeControl", () => {
  for (const version of versions) {
    it(`version ${version}: reads every packet as it was written, whatever its order of properties (${runs} runs)`, () => {
      const seen = new Set<string>()
      for (let seed = 0; seed < runs; seed++) {
        const r = new Random(seed)
        const packet = someControl(r, version)
        seen.add(packet._tag)
        assert.deepStrictEqual(decodePacket(bytesOfControl(r, version, packet), version), packet, `seed ${seed}`)
      }
      assert.strictEqual(seen.size, version === 5 ? 6 : 5)
    })

    it(`version ${version}: refuses every packet that is cut short or goes on (${runs} runs)`, () => {
      for (let seed = 0; seed < runs; seed++) {
        const r = new Random(seed)
        const packet = someControl(r, version)
        const whole = bytesOfControl(r, version, packet)
        const headerLength = whole.length <= 129 ? 2 : 3
        const body = whole.subarray(headerLength)
        const resized = r.chance(2)
          ? body.subarray(0, r.below(body.length))
          : Buffer.concat([body, r.bytes(1 + r.below(3))])
        if (resized.length === body.length) continue
        const length = resized.length < 128 ? [resized.length] : [(resized.length & 127) | 128, resized.length >> 7]
        const data = Buffer.concat([whole.subarray(0, 1), Buffer.from(length), resized])
        // Reason code and property length of a DISCONNECT without properties may be there or not.
        if (packet._tag === "Disconnect" && Math.max(body.length, resized.length) <= 2) continue
        // A list that ends at another entry, or a body left out, is another packet; anything else must be refused.
        let read: unknown
        try {
          read = decodePacket(data, version)
        } catch (error) {
          assert.strictEqual((error as Error).name, "ProtocolError", `seed ${seed}`)
          continue
        }
        assert.notDeepEqual(read, packet, `seed ${seed}: bytes that count for nothing`)
      }
    })
  }
})

describe("encodeControl", () => {
  it(`CONNACK of MQTT 5 (${runs} runs)`, () => {
    for (let seed = 0; seed < runs; seed++) {
      const r = new Random(seed)
      const properties = Object.fromEntries(
        Object.entries({
          sessionExpiryInterval: r.maybe(() => r.below(2 ** 32)),
          receiveMaximum: r.maybe(() => 1 + r.below(65_535)),
          maximumQoS: r.maybe(() => r.one([0, 1] as const)),
          retainAvailable: r.maybe(() => r.chance(2)),
          maximumPacketSize: r.maybe(() => 1 + r.below(2 ** 32 - 1)),
          assignedClientIdentifier: r.maybe(() => someText(r)),
          topicAliasMaximum: r.maybe(() => r.below(65_536)),
          reasonString: r.maybe(() => someText(r)),
          wildcardSubscriptionAvailable: r.maybe(() => r.chance(2)),
          subscriptionIdentifiersAvailable: r.maybe(() => r.chance(2)),
          sharedSubscriptionAvailable: r.maybe(() => r.chance(2)),
          serverKeepAlive: r.maybe(() => r.below(65_536)),
          responseInformation: r.maybe(() => someText(r)),
          serverReference: r.maybe(() => someText(r)),
          authenticationMethod: r.maybe(() => someText(r)),
          authenticationData: r.maybe(() => r.bytes(r.below(9)))
        }).filter(([, value]) => value !== undefined)
      )
      const userProperties = r.maybe(() => [["k", someText(r) || "v"], ["ä", someText(r) || "v"]] as const)
      const connack: Connack = {
        version: 5,
        reasonCode: r.one([0, 0x87]),
        sessionPresent: false,
        ...properties,
        userProperties
      }
      const expected = userProperties === undefined ? properties : {
        ...properties,
        userProperties: Object.assign(Object.create(null), Object.fromEntries(userProperties))
      }
      const packet = parsed(encodeConnack(connack), 5)
      assert.strictEqual(packet.cmd === "connack" && packet.reasonCode, connack.reasonCode, `seed ${seed}`)
      const read: unknown = packet.cmd === "connack" ? packet.properties ?? {} : undefined
      assert.deepStrictEqual(read, expected, `seed ${seed}`)
    }
  })

  it(`SUBACK and UNSUBACK in all versions (${runs} runs)`, () => {
    for (let seed = 0; seed < runs; seed++) {
      const r = new Random(seed)
      const identifier = 1 + r.below(65_535)
      const codes = Array.from({ length: 1 + r.below(200) }, () => r.one([0, 1, 2, 0x80, 0x87, 0x8f]))
      const properties = r.chance(2)
        ? { userProperties: [["k", "v"], ["k", "w"]] as const, reasonString: someText(r) }
        : {}
      for (const version of versions) {
        const suback = parsed(encodeSuback(identifier, codes, version, properties), version)
        assert.strictEqual(suback.messageId, identifier)
        const granted: unknown = suback.cmd === "suback" && suback.granted
        assert.deepStrictEqual(
          granted,
          version === 5 ? codes : codes.map((code) => Math.min(code, 0x80)),
          `seed ${seed}`
        )
        const answers = codes.map((code) => code < 3 ? 0 : 0x11)
        const unsuback = parsed(encodeUnsuback(identifier, answers, version, properties), version)
        assert.strictEqual(unsuback.messageId, identifier)
        if (version === 5) {
          assert.deepStrictEqual(unsuback.cmd === "unsuback" && unsuback.granted, answers, `seed ${seed}`)
        }
      }
    }
  })
})
