// What mqtt-packet 9.0.2 lets through or throws at, and what more was found of that kind: all of it is caught here. The first list is
// the probe that showed it, case by case; `mqttPacket` is what mqtt-packet says to the same bytes, so that an upgrade shows.
import { assert, describe, it } from "@effect/vitest"
import { parser } from "mqtt-packet"
import { FrameReader } from "../../src/mqtt/FrameReader.ts"
import { ProtocolError } from "../../src/mqtt/ProtocolError.ts"
import { bytes } from "../support/bytes.ts"
import { decodeAny, publishDecoder } from "./codec.ts"

type Answer = "accepted" | "refused"

const ours = (data: Buffer): string => {
  const reader = new FrameReader(1_048_576)
  try {
    reader.push(data)
    if (!reader.next()) return "incomplete"
    decodeAny(reader, publishDecoder(), 5)
    return "accepted"
  } catch (error) {
    if (error instanceof ProtocolError) return `0x${error.reasonCode.toString(16)} ${error.clause}`
    throw error
  }
}

const theirs = (data: Buffer): string => {
  let answer = "incomplete"
  const one = parser({ protocolVersion: 5 })
  one.on("packet", () => answer = "accepted").on("error", () => answer = "refused")
  try {
    one.parse(data)
  } catch {
    answer = "throws"
  }
  return answer
}

const cases: ReadonlyArray<
  [name: string, hex: string, expected: string, mqttPacket: Answer | "incomplete" | "throws"]
> = [
  ["PUBLISH ok v5", "30 05 00 01 61 00 78", "accepted", "accepted"],
  ["[MQTT-3.3.1-4] PUBLISH with QoS 3", "36 07 00 01 61 00 01 00 78", "0x81 MQTT-3.3.1-4", "refused"],
  ["[MQTT-2.2.1-3] PUBLISH QoS 1 with identifier 0", "32 07 00 01 61 00 00 00 78", "0x82 MQTT-2.3.1-1", "accepted"],
  ["[MQTT-3.3.1-2] PUBLISH QoS 0 with DUP", "38 05 00 01 61 00 78", "0x81 MQTT-3.3.1-2", "accepted"],
  ["[MQTT-4.7.3-2] PUBLISH topic with U+0000", "30 06 00 02 61 00 00 78", "0x81 MQTT-4.7.3-2", "accepted"],
  ["[MQTT-1.5.4-1] PUBLISH topic not UTF-8", "30 06 00 02 ff fe 00 78", "0x81 MQTT-1.5.4-1", "accepted"],
  ["[MQTT-3.3.2-2] PUBLISH topic with '#'", "30 05 00 01 23 00 78", "0x90 MQTT-3.3.2-2", "accepted"],
  ["PUBLISH empty topic, no alias", "30 04 00 00 00 78", "0x82 MQTT5-3.3.2.1", "accepted"],
  ["[MQTT-3.3.2-8] PUBLISH topic alias 0", "30 08 00 01 61 03 23 00 00 78", "0x94 MQTT-3.3.2-8", "accepted"],
  ["PUBLISH payload format twice", "30 09 00 01 61 04 01 00 01 00 78", "0x82 MQTT5-2.2.2.2", "accepted"],
  ["PUBLISH with session expiry", "30 0a 00 01 61 05 11 00 00 00 01 78", "0x81 MQTT5-2.2.2.2", "accepted"],
  ["PUBLISH unknown property", "30 07 00 01 61 02 7f 00 78", "0x81 MQTT5-2.2.2.2", "refused"],
  ["[MQTT-3.8.1-1] SUBSCRIBE wrong flags", "80 07 00 01 00 00 01 61 00", "0x81 MQTT-3.8.1-1", "refused"],
  ["[MQTT5-3.8.3-2] SUBSCRIBE empty list", "82 03 00 01 00", "0x82 MQTT5-3.8.3-2", "accepted"],
  ["[MQTT-2.2.1-3] SUBSCRIBE identifier 0", "82 07 00 00 00 00 01 61 00", "0x82 MQTT-2.3.1-1", "accepted"],
  ["[MQTT5-3.8.3-5] SUBSCRIBE reserved bits", "82 07 00 01 00 00 01 61 c0", "0x81 MQTT5-3.8.3-5", "refused"],
  ["SUBSCRIBE retain handling 3", "82 07 00 01 00 00 01 61 30", "0x82 MQTT5-3.8.3.1", "refused"],
  ["PINGREQ with a body", "c0 01 00", "0x81 MQTT5-3.12.1", "accepted"],
  ["[MQTT-3.6.1-1] PUBREL wrong flags", "60 02 00 01", "0x81 MQTT-3.6.1-1", "refused"],
  ["remaining length of 5 bytes", "30 ff ff ff ff 7f", "0x81 MQTT5-1.5.5", "refused"],
  ["[MQTT-1.5.5-1] overlong remaining length", "c0 80 00", "0x81 MQTT-1.5.5-1", "accepted"],
  ["[MQTT-3.1.2-2] CONNECT level 9", "10 0d 00 04 4d 51 54 54 09 02 00 00 00 00 00", "0x84 MQTT-3.1.2-2", "refused"],
  [
    "[MQTT-3.1.2-3] CONNECT reserved flag",
    "10 0d 00 04 4d 51 54 54 05 03 00 00 00 00 00",
    "0x81 MQTT-3.1.2-3",
    "refused"
  ],
  ["[MQTT-3.14.2-1] DISCONNECT unknown reason", "e0 02 05 00", "0x82 MQTT-3.14.2-1", "refused"],
  ["256 MB in a header", "30 ff ff ff 7f", "0x95 MQTT5-3.2.2.3.6", "incomplete"],
  // Found beyond the probe.
  ["[MQTT-2.2.1-3] UNSUBSCRIBE identifier 0", "a2 06 00 00 00 00 01 61", "0x82 MQTT-2.3.1-1", "accepted"],
  ["[MQTT-3.10.3-2] UNSUBSCRIBE empty list", "a2 03 00 01 00", "0x82 MQTT-3.10.3-2", "accepted"],
  ["[MQTT-4.7.3-1] SUBSCRIBE empty filter", "82 06 00 01 00 00 00 00", "0x82 MQTT-4.7.3-1", "accepted"],
  ["[MQTT-1.5.4-1] SUBSCRIBE filter not UTF-8", "82 07 00 01 00 00 01 ff 00", "0x81 MQTT-1.5.4-1", "accepted"],
  [
    "[MQTT5-3.8.3-4] No Local on a shared subscription",
    `82 10 00 01 00 "$share/g/a" 04`,
    "0x82 MQTT5-3.8.3-4",
    "accepted"
  ],
  ["subscription identifier 0", "82 09 00 01 02 0b 00 00 01 61 00", "0x82 MQTT5-3.8.2.1.2", "accepted"],
  ["subscription identifier twice", "82 0b 00 01 04 0b 01 0b 02 00 01 61 00", "0x82 MQTT5-2.2.2.2", "accepted"],
  [
    "[MQTT-3.3.4-6] PUBLISH with a subscription identifier",
    "30 07 00 01 61 02 0b 01 78",
    "0x82 MQTT-3.3.4-6",
    "accepted"
  ],
  ["[MQTT-3.3.2-14] response topic with '#'", "30 09 00 01 61 04 08 00 01 23 78", "0x82 MQTT-3.3.2-14", "accepted"],
  ["payload format 2", "30 07 00 01 61 02 01 02 78", "0x82 MQTT5-3.3.2.3.2", "accepted"],
  ["[MQTT-1.5.5-1] overlong property length", "30 06 00 01 61 80 00 78", "0x81 MQTT-1.5.5-1", "accepted"],
  ["property length beyond the packet", "30 05 00 01 61 05 01", "0x81 MQTT5-4.13.1", "refused"],
  ["[MQTT-2.2.1-3] PUBACK identifier 0", "40 02 00 00", "0x82 MQTT-2.3.1-1", "accepted"],
  ["PUBACK of one byte", "40 01 00", "0x81 MQTT5-3.4.2", "accepted"],
  ["bytes after a CONNECT", "10 0e 00 04 4d 51 54 54 05 02 00 00 00 00 00 ff", "0x81 MQTT-4.8.0-1", "accepted"],
  ["bytes after a DISCONNECT", "e0 03 00 00 ff", "0x81 MQTT-4.8.0-1", "accepted"],
  ["[MQTT-3.14.2-1] DISCONNECT with a server's reason", "e0 02 8b 00", "0x82 MQTT-3.14.2-1", "accepted"],
  ["Receive Maximum 0", "10 10 00 04 4d 51 54 54 05 02 00 00 03 21 00 00 00 00", "0x82 MQTT5-3.1.2.11.3", "accepted"],
  ["MQTT with level 3", "10 0c 00 04 4d 51 54 54 03 02 00 00 00 00", "0x84 MQTT-3.1.2-2", "accepted"],
  ["AUTH without a method", "f0 02 18 00", "0x82 MQTT5-3.15.2.2.2", "accepted"],
  ["[MQTT-3.15.2-1] AUTH with success", "f0 06 00 04 15 00 01 6d", "0x82 MQTT-3.15.2-1", "accepted"],
  ["CONNACK from a client", "20 03 00 00 00", "0x82 MQTT5-2.1.2", "accepted"]
]

describe("what mqtt-packet lets through", () => {
  for (const [name, hex, expected, mqttPacket] of cases) {
    it(`${name}: ${expected}`, () => {
      const data = bytes(hex)
      assert.strictEqual(ours(data), expected)
      assert.strictEqual(theirs(data), mqttPacket, "mqtt-packet")
    })
  }
})
