// Chapters 1 and 2: strings, variable byte integers, flags, packet identifiers, and packets that nobody may send.

import { describe, expect, it } from "vitest"
import { both, useBroker } from "../support/broker.ts"
import { bytes, frame, text } from "../support/bytes.ts"
import {
  connectBytes,
  props,
  publishBytes,
  subscribeBytes,
  unsubscribeBytes,
  userProperty
} from "../support/packets.ts"

const broker = useBroker()

const illFormed = [
  ["an overlong encoding", "c0 80"],
  ["a surrogate", "ed a0 80"],
  ["a lone continuation byte", "61 80 62"],
  ["a sequence cut short", "61 e2 82"],
  ["a code point above U+10FFFF", "f4 90 80 80"],
  ["a byte that is never used", "ff"]
] as const

describe.each(both)("strings, MQTT level %i", (version) => {
  it.each(illFormed)(
    "[MQTT-1.5.3-1] [MQTT5-1.5.4-1] [MQTT-3.3.2-1] an ill-formed topic name closes the connection: %s",
    async (_, content) => {
      const client = await broker.connect(version)
      client.send(publishBytes(version, 0x30, bytes(content)))
      await client.expectRefused(0x81)
    }
  )

  it.each(illFormed)(
    "[MQTT-1.5.3-1] [MQTT5-1.5.4-1] [MQTT-3.8.3-1] an ill-formed topic filter in SUBSCRIBE closes the connection: %s",
    async (_, content) => {
      const client = await broker.connect(version)
      client.send(subscribeBytes(version, bytes(content)))
      await client.expectRefused(0x81)
    }
  )

  it("[MQTT-1.5.3-1] [MQTT5-1.5.4-1] [MQTT-3.10.3-1] an ill-formed topic filter in UNSUBSCRIBE closes the connection", async () => {
    const client = await broker.connect(version)
    client.send(unsubscribeBytes(version, bytes("61 ff")))
    await client.expectRefused(0x81)
  })

  it("[MQTT-1.5.3-2] [MQTT5-1.5.4-2] [MQTT-4.7.3-2] U+0000 in a topic name closes the connection", async () => {
    const client = await broker.connect(version)
    client.send(publishBytes(version, 0x30, bytes("61 00 62")))
    await client.expectRefused(0x81, 0x90)
  })

  it("[MQTT-1.5.3-2] [MQTT5-1.5.4-2] [MQTT-4.7.3-2] U+0000 in a topic filter closes the connection", async () => {
    for (const packet of [subscribeBytes(version, bytes("61 00 62")), unsubscribeBytes(version, bytes("61 00 62"))]) {
      const client = await broker.connect(version)
      client.send(packet)
      await client.expectRefused(0x81, 0x8f)
    }
  })

  it("[MQTT-1.5.3-3] [MQTT5-1.5.4-3] a byte order mark is a character like any other", async () => {
    const client = await broker.connect(version)
    const topic = broker.topic()
    const marked = bytes("ef bb bf", Buffer.from(topic))
    client.send(subscribeBytes(version, marked, { messageId: 1 }), subscribeBytes(version, topic, { messageId: 2 }))
    await client.receive("suback", { messageId: 1 })
    await client.receive("suback", { messageId: 2 })
    client.send(publishBytes(version, 0x30, marked, { payload: "x" }))
    await client.receiveBytes(publishBytes(version, 0x30, marked, { payload: "x" }))
    await client.expectNothing()
  })
})

describe("variable byte integers", () => {
  it.each(both)(
    "[MQTT5-1.5.5-1] a remaining length of more than four bytes closes the connection · v%i",
    async (version) => {
      const client = await broker.connect(version)
      client.send("30 ff ff ff ff 7f")
      await client.expectRefused(0x81)
    }
  )

  it("[MQTT5-1.5.5-1] a remaining length with more bytes than it needs closes the connection", async () => {
    const client = await broker.connect(5)
    client.send("c0 80 00")
    await client.expectRefused(0x81)
  })

  it("[MQTT5-1.5.5-1] a property length with more bytes than it needs closes the connection", async () => {
    for (
      const packet of [
        frame(0x30, text("a"), "80 00", "78"),
        frame(0x82, "00 01", "80 00", text("a"), "00"),
        frame(0xe0, "00 80 00")
      ]
    ) {
      const client = await broker.connect(5)
      client.send(packet)
      await client.expectRefused(0x81)
    }
  })

  it("[MQTT5-1.5.5-1] a subscription identifier with more bytes than it needs closes the connection", async () => {
    const client = await broker.connect(5)
    client.send(subscribeBytes(5, "a", { properties: ["0b 81 00"] }))
    await client.expectRefused(0x81)
  })
})

describe("properties", () => {
  it("[MQTT5-1.5.7-1] a user property with an ill-formed name or value closes the connection", async () => {
    for (const property of [userProperty(bytes("ff"), "v"), userProperty("n", bytes("61 00"))]) {
      for (
        const packet of [
          publishBytes(5, 0x30, "a", { properties: [property] }),
          subscribeBytes(5, "a", { properties: [property] }),
          unsubscribeBytes(5, "a", { properties: [property] })
        ]
      ) {
        const client = await broker.connect(5)
        client.send(packet)
        await client.expectRefused(0x81)
      }
    }
  })

  it("[MQTT5-2.2.2-1] packets without properties have a property length of zero, in and out", async () => {
    const client = await broker.connect(5)
    const topic = broker.topic()
    client.send(subscribeBytes(5, topic, { messageId: 7 }))
    await client.receiveBytes("90 04 00 07 00 00")
    client.send(publishBytes(5, 0x30, topic, { payload: "x" }))
    await client.receiveBytes(frame(0x30, text(topic), "00", "'x'"))
    client.send(unsubscribeBytes(5, topic, { messageId: 8 }))
    await client.receiveBytes("b0 04 00 08 00 00")
  })

  it("[MQTT5-2.2.2-1] [MQTT5-4.13.1-1] a PUBLISH without a property length closes the connection", async () => {
    const client = await broker.connect(5)
    client.send(frame(0x30, text("a")))
    await client.expectRefused(0x81)
  })

  it.each([
    ["given twice", ["01 00", "01 00"]],
    ["that does not belong to PUBLISH", ["11 00000001"]],
    ["that does not exist", ["7f 00"]],
    ["cut short", ["02 0000"]]
  ])("[MQTT5-4.13.1-1] a property %s closes the connection", async (_, parts) => {
    const client = await broker.connect(5)
    client.send(publishBytes(5, 0x30, "a", { properties: parts }))
    await client.expectRefused(0x81, 0x82)
  })
})

describe.each(both)("flags, MQTT level %i", (version) => {
  it("[MQTT-2.2.2-1] [MQTT-2.2.2-2] [MQTT5-2.1.3-1] reserved flags that are not as listed close the connection", async () => {
    const withoutProperties = props(version)
    const wrong: ReadonlyArray<Buffer> = [
      bytes("41 02 00 01"),
      bytes("51 02 00 01"),
      bytes("60 02 00 01"),
      bytes("63 02 00 01"),
      bytes("71 02 00 01"),
      subscribeBytes(version, "a", { header: 0x80 }),
      unsubscribeBytes(version, "a", { header: 0xa0 }),
      bytes("c1 00"),
      bytes("e1 00"),
      ...version === 5 ? [frame(0xf1, "18", withoutProperties)] : []
    ]
    for (const packet of wrong) {
      const client = await broker.connect(version)
      client.send(packet)
      await client.expectRefused(0x81)
    }
  })

  it("[MQTT-2.2.2-1] [MQTT-2.2.2-2] [MQTT5-2.1.3-1] a CONNECT with reserved flags is not answered by a success", async () => {
    const client = await broker.open(version)
    client.send(connectBytes(version, { header: 0x11, clientId: broker.id() }))
    await client.expectConnectRefused(0x81)
  })
})

describe.each(both)("packet identifiers, MQTT level %i", (version) => {
  it.each([
    ["SUBSCRIBE", subscribeBytes(version, "a", { messageId: 0 })],
    ["UNSUBSCRIBE", unsubscribeBytes(version, "a", { messageId: 0 })],
    ["PUBLISH with QoS 1", publishBytes(version, 0x32, "a", { messageId: 0 })],
    ["PUBLISH with QoS 2", publishBytes(version, 0x34, "a", { messageId: 0 })]
  ])("[MQTT-2.3.1-1] [MQTT5-2.2.1-3] packet identifier 0 closes the connection: %s", async (_, packet) => {
    const client = await broker.connect(version)
    client.send(packet)
    await client.expectRefused(0x81, 0x82)
  })

  it("[MQTT-2.3.1-5] [MQTT5-2.2.1-2] [MQTT-4.3.1-1] a QoS 0 PUBLISH has no packet identifier and DUP 0, in and out", async () => {
    const client = await broker.connect(version)
    const topic = broker.topic()
    await client.subscribe(topic, 2)
    const packet = publishBytes(version, 0x30, topic, { payload: bytes("00 01 02") })
    client.send(packet)
    await client.receiveBytes(packet)
  })

  it("[MQTT-2.3.1-6] [MQTT5-2.2.1-5] acknowledgements carry the packet identifier of the PUBLISH", async () => {
    const client = await broker.connect(version)
    const topic = broker.topic()
    await (await broker.connect(version)).subscribe(topic)
    client.send(publishBytes(version, 0x32, topic, { messageId: 0x1234 }))
    await client.receiveBytes("40 02 12 34")
    client.send(publishBytes(version, 0x34, topic, { messageId: 0xffff }))
    await client.receiveBytes("50 02 ff ff")
    client.send("62 02 ff ff")
    await client.receiveBytes("70 02 ff ff")
  })

  it("[MQTT-2.3.1-7] [MQTT5-2.2.1-6] [MQTT-3.8.4-2] [MQTT-3.10.4-5] SUBACK and UNSUBACK carry the packet identifier of their request", async () => {
    const client = await broker.connect(version)
    const topic = broker.topic()
    client.send(subscribeBytes(version, topic, { messageId: 0xabcd, option: 1 }))
    await client.receiveBytes(frame(0x90, "ab cd", props(version), "01"))
    client.send(unsubscribeBytes(version, topic, { messageId: 0xfffe }))
    await client.receiveBytes(frame(0xb0, "ff fe", version === 5 ? "00 00" : ""))
  })

  it("[MQTT-2.3.1-4] [MQTT5-2.2.1-4] [MQTT5-4.3.2-1] [MQTT5-4.3.3-1] the broker's packet identifiers are not zero, and no two in flight are the same", async () => {
    const client = await broker.connect(version)
    const topic = broker.topic()
    await client.subscribe(topic, 2)
    const publisher = await broker.connect(version)
    for (let i = 0; i < 10; i++) await publisher.publish(topic, `${i}`, { qos: i % 2 === 0 ? 1 : 2 })
    const found = await client.receivePublishes(10)
    const identifiers = found.map((packet) => packet.messageId ?? 0)
    expect(new Set(identifiers).size).toBe(10)
    expect(identifiers).not.toContain(0)
    // The third is acknowledged; a new message takes none of the nine that are left.
    const third = found[2]
    if (third !== undefined) await client.acknowledge(third)
    await publisher.publish(topic, "next", { qos: 1 })
    const next = await client.receive("publish", { payload: "next" })
    expect(identifiers.filter((identifier) => identifier !== third?.messageId)).not.toContain(next.messageId)
  })
})

describe.each(both)("packets that nobody may send, MQTT level %i", (version) => {
  it.each([
    ["type 0", "00 00"],
    ["CONNACK", version === 5 ? "20 03 00 00 00" : "20 02 00 00"],
    ["SUBACK", version === 5 ? "90 04 00 01 00 00" : "90 03 00 01 00"],
    ["UNSUBACK", version === 5 ? "b0 04 00 01 00 00" : "b0 02 00 01"],
    ["PINGRESP", "d0 00"],
    ["PINGREQ with a body", "c0 01 00"],
    ["PUBACK without a packet identifier", "40 00"],
    ["PUBREL with half a packet identifier", "62 01 00"],
    ["PUBLISH without a topic", "30 00"],
    ["PUBLISH whose topic is longer than the packet", "30 03 00 05 61"],
    ["SUBSCRIBE without anything", "82 00"],
    ["SUBSCRIBE with a filter cut short", "82 06 00 01 00 05 61 62"],
    ...version === 4
      ? [["DISCONNECT with a body", "e0 01 00"], ["type 15", "f0 00"], ["PUBACK that is too long", "40 03 00 01 00"]]
      : []
  ])("[MQTT-4.8.0-1] [MQTT5-4.13.1-1] a protocol violation closes the connection: %s", async (_, packet = "") => {
    const client = await broker.connect(version)
    client.send(packet)
    await client.expectRefused(0x81, 0x82)
  })
})
