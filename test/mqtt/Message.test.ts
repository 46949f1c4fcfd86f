import { assert, describe, it } from "@effect/vitest"
import { FrameReader } from "../../src/mqtt/FrameReader.ts"
import { type Frame, Message } from "../../src/mqtt/Message.ts"
import type { ProtocolVersion, PublishProperties, QoS } from "../../src/mqtt/Packet.ts"
import { TopicTable } from "../../src/mqtt/TopicTable.ts"
import { frame, properties } from "../support/bytes.ts"
import { decodePublish, publishDecoder, refuses } from "./codec.ts"

const hexOf = ({ buffer, start, end }: Frame): string => buffer.toString("hex", start, end)

const expectFrame = (message: Message, version: ProtocolVersion, expected: Buffer): void =>
  assert.strictEqual(hexOf(message.frame(version)), expected.toString("hex"))

const make = (options: {
  readonly topic?: string
  readonly payload?: string
  readonly qos?: QoS
  readonly retain?: boolean
  readonly properties?: PublishProperties | null
  readonly now?: number
} = {}): Message =>
  Message.make({
    topic: options.topic ?? "a/b",
    payload: Buffer.from(options.payload ?? "hello"),
    qos: options.qos ?? 0,
    retain: options.retain ?? false,
    publisher: "maker",
    properties: options.properties ?? null,
    now: options.now ?? 1_000
  })

const all: PublishProperties = {
  payloadFormatIndicator: 1,
  messageExpiryInterval: 60,
  responseTopic: "re/ply",
  correlationData: Uint8Array.of(1, 0, 255),
  contentType: "text/plain",
  userProperties: [["b", "1"], ["a", "ä"], ["b", "2"]]
}

describe("Message.frame", () => {
  const plain4 = frame(0x30, '"a"', "'x'")
  const plain5 = frame(0x30, '"a"', "00 'x'")

  it("is the message itself when it came in as exactly these bytes", () => {
    const message = decodePublish(plain4, 4)
    assert.strictEqual(message.frame(4), message)
    assert.strictEqual(message.frame(3), message)
    expectFrame(message, 4, plain4)
    const message5 = decodePublish(plain5, 5)
    assert.strictEqual(message5.frame(5), message5)
    expectFrame(message5, 5, plain5)
    const withProperties = decodePublish(frame(0x30, '"a"', properties(`26 "k" "v"`), "'x'"), 5)
    assert.strictEqual(withProperties.frame(5), withProperties)
  })

  it("is made once for MQTT 5 and once for the older versions", () => {
    const message = decodePublish(frame(0x32, '"a"', "00 07 'x'"), 4)
    assert.strictEqual(message.frame(5), message.frame(5))
    assert.strictEqual(message.frame(4), message.frame(4))
    assert.strictEqual(message.frame(4), message.frame(3))
    expectFrame(message, 4, plain4)
    expectFrame(message, 5, plain5)
  })

  for (const header of [0x31, 0x32, 0x33, 0x34, 0x35, 0x3a, 0x3d]) {
    it(`from 0x${header.toString(16)}: RETAIN, DUP, QoS and the packet identifier are gone`, () => {
      const identifier = (header & 6) === 0 ? "" : "ab cd"
      for (const version of [3, 4, 5] as const) {
        const data = frame(header, '"a"', identifier, version === 5 ? "00" : "", "'x'")
        expectFrame(decodePublish(data, version), 4, plain4)
        expectFrame(decodePublish(data, version), 3, plain4)
        expectFrame(decodePublish(data, version), 5, plain5)
      }
    })
  }

  it("the older versions get no properties", () => {
    expectFrame(decodePublish(frame(0x30, '"a"', properties(`03 "c" 26 "k" "v"`), "'x'"), 5), 4, plain4)
  })

  it("[MQTT-3.3.2-7] the publisher's topic alias is gone, and the topic name is there", () => {
    const reader = new FrameReader(1_000)
    reader.push(Buffer.concat([
      frame(0x30, '"a"', properties(`23 00 03 26 "k" "v"`), "'x'"),
      frame(0x30, "00 00", properties(`26 "k" "v" 23 00 03`), "'y'")
    ]))
    const decoder = publishDecoder()
    for (const payload of ["'x'", "'y'"]) {
      assert.isTrue(reader.next())
      const message = decoder.decode(reader, 5, "p", 0)
      expectFrame(message, 5, frame(0x30, '"a"', properties(`26 "k" "v"`), payload))
      expectFrame(message, 4, frame(0x30, '"a"', payload))
    }
  })

  it("has no message expiry", () => {
    const message = decodePublish(frame(0x30, '"a"', properties(`03 "c" 02 00 00 00 05 26 "k" "v"`), "'x'"), 5)
    expectFrame(message, 5, frame(0x30, '"a"', properties(`03 "c" 26 "k" "v"`), "'x'"))
  })

  it("fixed headers of every length, growing and shrinking", () => {
    for (const size of [124, 125, 126, 127, 128, 16_379, 16_380, 16_381, 2_097_148, 2_097_149]) {
      const payload = Buffer.alloc(size, 0x61)
      expectFrame(decodePublish(frame(0x30, '"a"', payload), 4), 5, frame(0x30, '"a"', "00", payload))
      expectFrame(decodePublish(frame(0x32, '"a"', "00 01 00", payload), 5), 4, frame(0x30, '"a"', payload))
    }
  })
})

describe("Message.make", () => {
  for (const qos of [0, 1, 2] as const) {
    it(`is as if it had come in, QoS ${qos}`, () => {
      const message = make({ qos, retain: true, properties: all })
      assert.strictEqual(message.topic, "a/b")
      assert.strictEqual(message.topicName.levels, 2)
      assert.strictEqual(message.qos, qos)
      assert.isTrue(message.retain)
      assert.strictEqual(message.publisher, "maker")
      assert.strictEqual(message.payload.toString(), "hello")
      assert.strictEqual(message.payloadLength, 5)
      assert.deepStrictEqual(message.properties, all)
      assert.strictEqual(message.expiresAt, 61_000)
      assert.strictEqual(message.receivedAt, 1_000)
      // Its bytes are a PUBLISH that the decoder takes.
      const again = decodePublish(message.buffer.subarray(message.start, message.end), 5)
      assert.deepStrictEqual([again.topic, again.qos, again.retain, again.properties], ["a/b", qos, true, all])
      expectFrame(message, 4, frame(0x30, '"a/b"', "'hello'"))
    })
  }

  it("with nothing but a topic", () => {
    const message = make({ payload: "" })
    assert.isNull(message.properties)
    assert.strictEqual(message.expiresAt, 0)
    expectFrame(message, 5, frame(0x30, '"a/b"', "00"))
    expectFrame(message, 4, frame(0x30, '"a/b"'))
    assert.isNull(make({ properties: {} }).properties)
  })

  it("takes a topic beyond ASCII, and a TopicName as it is", () => {
    const name = new TopicTable({ slots: 2 }).of("ä/ö")
    const message = Message.make({
      topic: name,
      payload: Buffer.alloc(0),
      qos: 0,
      retain: false,
      publisher: "",
      properties: null,
      now: 0
    })
    assert.strictEqual(message.topicName, name)
    expectFrame(message, 4, frame(0x30, '"ä/ö"'))
    expectFrame(make({ topic: "ä/ö" }), 4, frame(0x30, '"ä/ö"', "'hello'"))
  })

  it("copies the payload", () => {
    const payload = Buffer.from("abc")
    const message = Message.make({
      topic: "t",
      payload,
      qos: 0,
      retain: false,
      publisher: "",
      properties: null,
      now: 0
    })
    payload.fill(0)
    assert.strictEqual(message.payload.toString(), "abc")
  })

  it("[MQTT-3.3.2-2] refuses what is no topic name", () => {
    for (const topic of ["", "a/#", "+", "a\0", "\ud800", "a".repeat(65_536)]) {
      refuses(() => make({ topic }), 0x90, "MQTT-3.3.2-2")
    }
  })

  it("an expiry of 0 at time 0 is an expiry", () => {
    const message = make({ properties: { messageExpiryInterval: 0 }, now: 0 })
    assert.notStrictEqual(message.expiresAt, 0)
    assert.isTrue(message.isExpired(1))
  })
})

describe("Message.detach", () => {
  const inChunk = (chunkSize: number, payloadSize: number): Message => {
    const reader = new FrameReader(1_000_000)
    const packet = frame(0x32, '"a"', "00 07", Buffer.alloc(payloadSize, 0x78))
    reader.push(Buffer.concat([packet, Buffer.alloc(chunkSize - packet.length)]))
    reader.next()
    return publishDecoder().decode(reader, 4, "p", 0)
  }

  it("leaves a large chunk, and the message stays what it was", () => {
    const message = inChunk(65_536, 64)
    const frameBefore = hexOf(message.frame(5))
    const bytesBefore = hexOf(message)
    const payload = message.payload
    message.detach()
    assert.strictEqual(message.buffer.length, message.end - message.start)
    assert.strictEqual(message.buffer.buffer.byteLength, message.buffer.length)
    assert.strictEqual(hexOf(message), bytesBefore)
    assert.strictEqual(hexOf(message.frame(5)), frameBefore)
    assert.isTrue(message.payload.equals(payload))
    const { buffer } = message
    message.detach()
    assert.strictEqual(message.buffer, buffer)
  })

  it("stays where the chunk is small, or is mostly the message", () => {
    for (const message of [inChunk(4_096, 64), inChunk(65_536, 40_000)]) {
      const { buffer } = message
      message.detach()
      assert.strictEqual(message.buffer, buffer)
    }
  })

  it("a frame that is the message itself stays right", () => {
    const reader = new FrameReader(100_000)
    const packet = frame(0x30, '"a"', "'x'")
    reader.push(Buffer.concat([packet, Buffer.alloc(50_000)]))
    reader.next()
    const message = publishDecoder().decode(reader, 4, "p", 0)
    const itself = message.frame(4)
    message.detach()
    assert.strictEqual(hexOf(itself), packet.toString("hex"))
  })
})
