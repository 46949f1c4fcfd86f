// Whatever comes in is a packet or a ProtocolError: no other exception, no endless loop; and what is accepted can be sent on.
import { assert, describe, it } from "@effect/vitest"
import { parser } from "mqtt-packet"
import { writePublish } from "../../src/mqtt/encodePublish.ts"
import { FrameReader } from "../../src/mqtt/FrameReader.ts"
import { Message } from "../../src/mqtt/Message.ts"
import { Output } from "../../src/mqtt/Output.ts"
import type { ProtocolVersion } from "../../src/mqtt/Packet.ts"
import { ProtocolError } from "../../src/mqtt/ProtocolError.ts"
import { decodeAny, decodePublish, publishDecoder, versions } from "../mqtt/codec.ts"
import { Random, somePacket } from "../mqtt/generators.ts"

interface Tally {
  accepted: number
  refused: number
}

const out = new Output(1 << 16)

/** What a session would do with a message that was accepted: all of it must go, and be right for the next broker. */
const sendOn = (message: Message, seed: number): void => {
  for (const version of versions) {
    for (const qos of [0, 1] as const) {
      out.clear()
      writePublish(out, message, version, qos, false, message.retain, qos, undefined, 1_000, 0, false)
      const again = decodePublish(Buffer.from(out.buffer.subarray(0, out.position)), version)
      assert.strictEqual(again.topic, message.topic, `seed ${seed}`)
      assert.isTrue(again.payload.equals(message.payload), `seed ${seed}`)
      if (version === 5) assert.deepStrictEqual(again.properties, message.properties, `seed ${seed}`)
    }
    const { buffer, start, end } = message.frame(version)
    assert.strictEqual(decodePublish(buffer.subarray(start, end), version).topic, message.topic, `seed ${seed}`)
  }
}

const feed = (data: Buffer, version: ProtocolVersion, tally: Tally, seed: number): void => {
  const reader = new FrameReader(100_000)
  const decoder = publishDecoder()
  reader.push(data)
  // No packet is shorter than two bytes: more rounds than that is a loop.
  for (let rounds = 0;; rounds++) {
    assert.isTrue(rounds <= data.length / 2, `seed ${seed}: an endless loop`)
    try {
      if (!reader.next()) return
      const packet = decodeAny(reader, decoder, version)
      tally.accepted++
      if (packet instanceof Message) sendOn(packet, seed)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw new Error(`seed ${seed}: ${data.toString("hex")}`, { cause: error })
      assert.isTrue(
        error.reasonCode >= 0x80 && error.reasonCode <= 0xa2 && error.clause.startsWith("MQTT"),
        error.message
      )
      tally.refused++
      return
    }
  }
}

const mutated = (r: Random, packet: Buffer): Buffer => {
  let data = Buffer.from(packet)
  for (let i = 1 + r.below(3); i > 0; i--) {
    const at = r.below(data.length)
    switch (r.below(6)) {
      case 0:
        data[at] = r.below(256)
        break
      case 1:
        data[at] = (data[at] ?? 0) ^ (1 << r.below(8))
        break
      case 2:
        data = Buffer.concat([data.subarray(0, at), r.bytes(1 + r.below(3)), data.subarray(at)])
        break
      case 3:
        data = Buffer.concat([data.subarray(0, at), data.subarray(at + 1 + r.below(3))])
        break
      case 4:
        data[at] = r.one([0x00, 0x7f, 0x80, 0xff, 0xc0, 0xed])
        break
      default: {
        // A part of the packet once more: properties given twice and the like.
        const part = data.subarray(at, at + r.below(12))
        data = Buffer.concat([data.subarray(0, at), part, data.subarray(at)])
      }
    }
    if (data.length === 0) return Buffer.of(0)
  }
  // Mostly with a remaining length that fits, so that the body is looked at.
  if (data.length >= 2 && data.length <= 129 && !r.chance(5)) data[1] = data.length - 2
  return data
}

describe("any bytes", () => {
  for (const version of versions) {
    it(`version ${version}: 20,000 random chunks`, () => {
      const tally: Tally = { accepted: 0, refused: 0 }
      for (let seed = 0; seed < 20_000; seed++) {
        const r = new Random(seed)
        const data = r.bytes(1 + r.below(60))
        // Half of them look like a packet from outside.
        if (r.chance(2) && data.length >= 2) data[1] = data.length - 2
        feed(data, version, tally, seed)
      }
      assert.isTrue(tally.refused > 5_000, JSON.stringify(tally))
    })

    it(`version ${version}: 40,000 packets, each with a few bytes changed`, () => {
      const tally: Tally = { accepted: 0, refused: 0 }
      for (let seed = 0; seed < 40_000; seed++) {
        const r = new Random(seed)
        feed(mutated(r, somePacket(r, version)), version, tally, seed)
      }
      assert.isTrue(tally.refused > 10_000 && tally.accepted > 2_000, JSON.stringify(tally))
    })
  }

  it("a PUBLISH that we accept, mqtt-packet accepts too, with the same topic and payload (20,000 mutated packets)", () => {
    let accepted = 0
    for (let seed = 0; seed < 20_000; seed++) {
      const r = new Random(seed)
      const version = r.one(versions)
      const data = mutated(r, somePacket(r, version))
      const reader = new FrameReader(100_000)
      reader.push(data)
      let message: Message
      try {
        if (!reader.next() || reader.header >> 4 !== 3) continue
        message = publishDecoder().decode(reader, version, "me", 0)
      } catch {
        continue
      }
      accepted++
      const theirs: Array<unknown> = []
      parser({ protocolVersion: version })
        .on("packet", (packet) => {
          if (packet.cmd === "publish") theirs.push(packet.topic, Buffer.from(packet.payload).toString("hex"))
        })
        .on("error", (error: unknown) => theirs.push(error))
        .parse(Buffer.from(data.subarray(0, reader.end)))
      assert.deepStrictEqual(
        theirs,
        [message.topic, message.payload.toString("hex")],
        `seed ${seed}: ${data.toString("hex")}`
      )
    }
    assert.isTrue(accepted > 1_000, `${accepted}`)
  })

  it("every packet of up to three bytes, in every version", () => {
    const tally: Tally = { accepted: 0, refused: 0 }
    for (const version of versions) {
      for (let header = 0; header < 256; header++) {
        for (let second = 0; second < 256; second++) {
          feed(Buffer.of(header, second), version, tally, header)
          if (second === 1) {
            for (let body = 0; body < 256; body++) feed(Buffer.of(header, 1, body), version, tally, header)
          }
        }
      }
    }
    // PINGREQ and DISCONNECT in each version; in MQTT 5 a DISCONNECT with one of its 14 reasons.
    assert.strictEqual(tally.accepted, 3 * 2 + 14)
  })
})
