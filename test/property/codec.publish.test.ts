// Our own PUBLISH and acknowledgements against mqtt-packet, both ways, in all versions: what one writes the other reads.
import { assert, describe, it } from "@effect/vitest"
import { generate, type IPublishPacket, type Packet, parser } from "mqtt-packet"
import { writeAcknowledgement } from "../../src/mqtt/acknowledgement.ts"
import { publishSize, writePublish } from "../../src/mqtt/encodePublish.ts"
import { Message } from "../../src/mqtt/Message.ts"
import { Output } from "../../src/mqtt/Output.ts"
import type { AcknowledgementType, ProtocolVersion, PublishProperties, UserProperties } from "../../src/mqtt/Packet.ts"
import { decodeAck, decodePublish, publishDecoder, readerOf, versions } from "../mqtt/codec.ts"
import {
  bytesOfPublish,
  type Publish,
  Random,
  somePayload,
  somePublish,
  somePublishProperties,
  someTopic
} from "../mqtt/generators.ts"

const runs = 1_000

const parsed = (data: Buffer, version: ProtocolVersion): Packet => {
  const packets: Array<Packet> = []
  const one = parser({ protocolVersion: version })
  one.on("packet", (packet) => packets.push(packet)).on("error", (error: unknown) => {
    throw error
  })
  one.parse(data)
  assert.strictEqual(packets.length, 1)
  return packets[0] as Packet
}

/** Ours in mqtt-packet's shape. */
const theirProperties = (from: PublishProperties | null): NonNullable<IPublishPacket["properties"]> => {
  const to: NonNullable<IPublishPacket["properties"]> = {}
  if (from?.payloadFormatIndicator !== undefined) to.payloadFormatIndicator = from.payloadFormatIndicator === 1
  if (from?.messageExpiryInterval !== undefined) to.messageExpiryInterval = from.messageExpiryInterval
  if (from?.responseTopic !== undefined) to.responseTopic = from.responseTopic
  if (from?.correlationData !== undefined) to.correlationData = Buffer.from(from.correlationData)
  if (from?.contentType !== undefined) to.contentType = from.contentType
  if (from?.userProperties !== undefined) to.userProperties = theirUserProperties(from.userProperties)
  return to
}

const theirUserProperties = (from: UserProperties): Record<string, string> =>
  Object.assign(Object.create(null), Object.fromEntries(from))

const theirPublish = (publish: Publish): IPublishPacket => {
  const properties = theirProperties(publish.properties)
  if (publish.topicAlias !== 0) properties.topicAlias = publish.topicAlias
  const { topic, payload, qos, dup, retain } = publish
  const packet: IPublishPacket = { cmd: "publish", topic, payload, qos, dup, retain }
  if (qos > 0) packet.messageId = publish.packetIdentifier
  if (Object.keys(properties).length > 0) packet.properties = properties
  return packet
}

const comparable = (packet: Packet): unknown => {
  assert.strictEqual(packet.cmd, "publish")
  const { topic, payload, qos, dup, retain, messageId, properties } = packet as IPublishPacket
  return { topic, payload: Buffer.from(payload).toString("hex"), qos, dup, retain, messageId, properties }
}

for (const version of versions) {
  describe(`version ${version}`, () => {
    it(`what mqtt-packet writes, we read (${runs} runs)`, () => {
      for (let seed = 0; seed < runs; seed++) {
        const publish = somePublish(new Random(seed), version, true)
        const data = generate(theirPublish(publish), { protocolVersion: version })
        const decoder = publishDecoder()
        const message = decoder.decode(readerOf(data), version, "me", 1_000)
        assert.deepStrictEqual({
          topic: message.topic,
          payload: message.payload.toString("hex"),
          qos: message.qos,
          dup: decoder.dup,
          retain: message.retain,
          packetIdentifier: decoder.packetIdentifier,
          properties: message.properties
        }, {
          topic: publish.topic,
          payload: publish.payload.toString("hex"),
          qos: publish.qos,
          dup: publish.dup,
          retain: publish.retain,
          packetIdentifier: publish.packetIdentifier,
          properties: publish.properties
        }, `seed ${seed}`)
      }
    })

    for (const target of versions) {
      it(`[MQTT-3.3.2-17] what came in, mqtt-packet reads as we send it to version ${target}, at every QoS (${runs} runs)`, () => {
        const out = new Output(1 << 16)
        for (let seed = 0; seed < runs; seed++) {
          const r = new Random(seed)
          const publish = somePublish(r, version, true)
          const message = decodePublish(bytesOfPublish(r, version, publish), version)
          const qos = r.one([0, 1, 2] as const)
          const dup = qos > 0 && r.chance(2)
          const retain = r.chance(2)
          const identifier = 1 + r.below(65_535)
          const identifiers = r.chance(3)
            ? Array.from({ length: 1 + r.below(3) }, () => 1 + r.below(268_435_455))
            : undefined
          const alias = r.chance(3) ? 1 + r.below(65_535) : 0
          const omitTopic = alias !== 0 && r.chance(2)
          const { buffer, position } = out
          writePublish(out, message, target, qos, dup, retain, identifier, identifiers, 1_000, alias, omitTopic)
          const start = out.buffer === buffer ? position : 0
          const size = publishSize(message, target, qos, identifiers, alias, omitTopic)
          assert.strictEqual(out.position - start, size, `seed ${seed}`)
          const properties = target === 5 ? theirProperties(publish.properties) : {}
          if (target === 5 && alias !== 0) properties.topicAlias = alias
          if (target === 5 && identifiers !== undefined) {
            properties.subscriptionIdentifier = identifiers.length === 1 ? identifiers[0] as number : identifiers
          }
          const sent = parsed(Buffer.from(out.buffer.subarray(start, out.position)), target)
          assert.deepStrictEqual(comparable(sent), {
            topic: target === 5 && omitTopic ? "" : publish.topic,
            payload: publish.payload.toString("hex"),
            qos,
            dup,
            retain,
            messageId: qos === 0 ? undefined : identifier,
            properties: Object.keys(properties).length === 0 ? undefined : properties
          }, `seed ${seed}`)
          if (out.position > 50_000) out.clear()
        }
      })
    }

    it(`the shared frame, and a message made here, are what writePublish writes (${runs} runs)`, () => {
      const out = new Output(1 << 16)
      for (let seed = 0; seed < runs; seed++) {
        const r = new Random(seed)
        const publish = somePublish(r, version)
        const made = Message.make({
          topic: someTopic(r),
          payload: somePayload(r),
          qos: r.one([0, 1, 2] as const),
          retain: r.chance(2),
          publisher: "",
          properties: somePublishProperties(r),
          now: 1_000
        })
        for (const message of [decodePublish(bytesOfPublish(r, version, publish), version), made]) {
          for (const target of versions) {
            // A frame has no expiry; there the packet is compared by what it says.
            if (message.expiresAt !== 0 && target === 5) {
              const { buffer, start, end } = message.frame(5)
              const again = decodePublish(buffer.subarray(start, end), 5)
              const { messageExpiryInterval: _, ...others } = message.properties ?? {}
              assert.deepStrictEqual(again.properties ?? {}, others, `seed ${seed}`)
              assert.isTrue(again.payload.equals(message.payload))
              continue
            }
            out.clear()
            writePublish(out, message, target, 0, false, false, 0, undefined, 1_000, 0, false)
            const { buffer, start, end } = message.frame(target)
            assert.strictEqual(
              buffer.toString("hex", start, end),
              out.buffer.toString("hex", 0, out.position),
              `seed ${seed}, version ${target}`
            )
          }
        }
      }
    })

    it(`acknowledgements, both ways (${runs} runs)`, () => {
      const names = { 4: "puback", 5: "pubrec", 6: "pubrel", 7: "pubcomp" } as const
      const out = new Output(64)
      for (let seed = 0; seed < runs; seed++) {
        const r = new Random(seed)
        const type = (4 + r.below(4)) as AcknowledgementType
        const identifier = 1 + r.below(65_535)
        const reason = version === 5
          ? r.one(type < 6 ? [0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99] : [0, 0x92])
          : 0
        out.clear()
        writeAcknowledgement(out, type, identifier, reason, version)
        const read = parsed(Buffer.from(out.buffer.subarray(0, out.position)), version)
        const readReason = "reasonCode" in read ? read.reasonCode : undefined
        assert.deepStrictEqual(
          [read.cmd, read.messageId, readReason],
          [names[type], identifier, version === 5 ? reason : undefined],
          `seed ${seed}`
        )
        const packet: Extract<Packet, { cmd: "puback" | "pubrec" | "pubrel" | "pubcomp" }> = {
          cmd: names[type],
          messageId: identifier
        }
        if (version === 5) {
          packet.reasonCode = reason
          if (r.chance(3)) packet.properties = { reasonString: "why", userProperties: { a: ["1", "2"] } }
        }
        const written = generate(packet, { protocolVersion: version })
        assert.strictEqual(decodeAck(written, version), identifier | (reason << 16), `seed ${seed}`)
      }
    })
  })
}

describe("version 5 to version 5", () => {
  it(`[MQTT-3.3.2-18] every property, order and duplicates of user properties, through two hops (${runs} runs)`, () => {
    const out = new Output(1 << 16)
    for (let seed = 0; seed < runs; seed++) {
      const r = new Random(seed)
      const publish = somePublish(r, 5)
      const decoder = publishDecoder()
      if (publish.topicAlias !== 0) {
        const first = bytesOfPublish(r, 5, { ...publish, properties: null })
        decoder.decode(readerOf(first), 5, "me", 0)
      }
      const omitTopic = publish.topicAlias !== 0 && r.chance(2)
      const message = decoder.decode(readerOf(bytesOfPublish(r, 5, publish, omitTopic)), 5, "me", 1_000)
      out.clear()
      writePublish(out, message, 5, publish.qos, false, false, 7, undefined, 1_000, 0, false)
      const again = decodePublish(Buffer.from(out.buffer.subarray(0, out.position)), 5)
      assert.strictEqual(again.topic, publish.topic, `seed ${seed}`)
      assert.deepStrictEqual(again.properties, publish.properties, `seed ${seed}`)
      assert.isTrue(again.payload.equals(publish.payload), `seed ${seed}`)
    }
  })
})
