import { assert, describe, it } from "@effect/vitest"
import { writeAcknowledgement } from "../../src/mqtt/acknowledgement.ts"
import { Output } from "../../src/mqtt/Output.ts"
import type { AcknowledgementType, ProtocolVersion } from "../../src/mqtt/Packet.ts"
import { bytes } from "../support/bytes.ts"
import { decodeAck, refuses, versions } from "./codec.ts"

const kinds: ReadonlyArray<[string, AcknowledgementType, string]> = [
  ["PUBACK", 4, "40"],
  ["PUBREC", 5, "50"],
  ["PUBREL", 6, "62"],
  ["PUBCOMP", 7, "70"]
]
const receipts = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]
const releases = [0x00, 0x92]

describe("decodeAcknowledgement", () => {
  for (const [name, type, header] of kinds) {
    for (const version of versions) {
      it(`${name}, version ${version}: two bytes are the packet identifier`, () => {
        assert.strictEqual(decodeAck(bytes(`${header} 02 12 34`), version), 0x1234)
        assert.strictEqual(decodeAck(bytes(`${header} 02 ff ff`), version), 0xffff)
      })

      it(`[MQTT-2.3.1-1] [MQTT-2.2.1-3] ${name}, version ${version}: identifier 0 is refused`, () => {
        refuses(() => decodeAck(bytes(`${header} 02 00 00`), version), 0x82, "MQTT-2.3.1-1")
      })

      it(`${name}, version ${version}: a packet that is too short is refused`, () => {
        refuses(() => decodeAck(bytes(`${header} 00`), version), 0x81, "MQTT5-3.4.2")
        refuses(() => decodeAck(bytes(`${header} 01 00`), version), 0x81, "MQTT5-3.4.2")
      })

      it(`[MQTT-2.2.2-2] [MQTT-2.1.3-1] [MQTT-3.6.1-1] ${name}, version ${version}: only its own flags`, () => {
        for (let flags = 0; flags < 16; flags++) {
          const right = flags === (type === 6 ? 2 : 0) || (version === 3 && type === 6 && flags === 10)
          const run = () => decodeAck(bytes((type << 4) | flags, "02 00 01"), version)
          if (right) assert.strictEqual(run(), 1)
          else refuses(run, 0x81, type === 6 ? "MQTT-3.6.1-1" : "MQTT-2.2.2-2")
        }
      })
    }

    for (const version of [3, 4] as const) {
      it(`${name}, version ${version}: nothing may follow the identifier`, () => {
        refuses(() => decodeAck(bytes(`${header} 03 00 01 00`), version), 0x81, "MQTT-4.8.0-1")
      })
    }

    it(`[MQTT-3.${type}.2-1] ${name}, version 5: the reason codes it knows and no other, with and without properties`, () => {
      const allowed = type <= 5 ? receipts : releases
      for (let code = 0; code < 256; code++) {
        const hex = code.toString(16).padStart(2, "0")
        for (const packet of [`${header} 03 00 07 ${hex}`, `${header} 04 00 07 ${hex} 00`]) {
          const run = () => decodeAck(bytes(packet), 5)
          if (allowed.includes(code)) assert.strictEqual(run(), 7 | (code << 16))
          else refuses(run, 0x82, `MQTT-3.${type}.2-1`)
        }
      }
    })
  }

  const long = (properties: string): Buffer => {
    const content = bytes(properties)
    return bytes("40", 4 + content.length, "00 01 00", content.length, content)
  }

  it("a reason string and user properties, again and again, are taken", () => {
    assert.strictEqual(decodeAck(long(`1f "why" 26 "a" "b" 26 "a" "b"`), 5), 1)
  })

  const refused: ReadonlyArray<[string, Buffer, number, string]> = [
    ["two reason strings", long(`1f "a" 1f "b"`), 0x82, "MQTT5-2.2.2.2"],
    ["a property of another packet", long("11 00 00 00 01"), 0x81, "MQTT5-2.2.2.2"],
    ["a property that does not exist", long("7f 00"), 0x81, "MQTT5-2.2.2.2"],
    ["[MQTT-1.5.4-1] a reason string that is not UTF-8", long("1f 00 01 ff"), 0x81, "MQTT-1.5.4-1"],
    ["[MQTT-1.5.4-2] a reason string with U+0000", long("1f 00 01 00"), 0x81, "MQTT-1.5.4-2"],
    ["a string that goes beyond its section", long("1f 00 09 61"), 0x81, "MQTT5-4.13.1"],
    ["a property section that goes beyond the packet", bytes("40 05 00 01 00 05 00"), 0x81, "MQTT5-2.2.2.1"],
    ["bytes after the properties", bytes("40 05 00 01 00 00 ff"), 0x81, "MQTT-4.8.0-1"],
    ["[MQTT-1.5.5-1] an overlong property length", bytes("40 05 00 01 00 80 00"), 0x81, "MQTT-1.5.5-1"]
  ]
  for (const [name, data, reason, clause] of refused) {
    it(`refuses ${name}`, () => refuses(() => decodeAck(data, 5), reason, clause))
  }
})

describe("writeAcknowledgement", () => {
  const written = (type: AcknowledgementType, identifier: number, reason: number, version: ProtocolVersion): string => {
    const out = new Output(64)
    writeAcknowledgement(out, type, identifier, reason, version)
    return out.buffer.toString("hex", 0, out.position)
  }

  for (const [name, type, header] of kinds) {
    it(`[MQTT-3.6.1-1] ${name}: four bytes for success in every version, and for any reason before MQTT 5`, () => {
      for (const version of versions) assert.strictEqual(written(type, 0xabcd, 0, version), `${header}02abcd`)
      assert.strictEqual(written(type, 0xabcd, 0x92, 3), `${header}02abcd`)
      assert.strictEqual(written(type, 0xabcd, 0x92, 4), `${header}02abcd`)
    })

    it(`${name}: a reason code goes to MQTT 5`, () =>
      assert.strictEqual(written(type, 0x0102, 0x92, 5), `${header}03010292`))
  }

  it("takes a new buffer where the old one is full, and leaves that one as it was", () => {
    const out = new Output(6)
    writeAcknowledgement(out, 4, 1, 0, 4)
    const before = out.buffer
    writeAcknowledgement(out, 4, 2, 0, 4)
    assert.notStrictEqual(out.buffer, before)
    assert.strictEqual(before.toString("hex", 0, 4), "40020001")
    assert.strictEqual(out.buffer.toString("hex", 0, out.position), "40020002")
  })
})
