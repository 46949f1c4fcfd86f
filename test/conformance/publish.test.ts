// 3.3 PUBLISH: flags, topic names, overlapping subscriptions, the properties that go along.

import { describe, expect, it } from "vitest"
import { both, isExternal, useBroker } from "../support/broker.ts"
import { bytes, text } from "../support/bytes.ts"
import { publishBytes, subscribeBytes, userProperty } from "../support/packets.ts"

const broker = useBroker()

describe.each(both)("flags and topic, MQTT level %i", (version) => {
  it("[MQTT-3.3.1-4] a PUBLISH with QoS 3 closes the connection", async () => {
    const client = await broker.connect(version)
    client.send(publishBytes(version, 0x36, "a", { messageId: 1 }))
    await client.expectRefused(0x81)
  })

  it("[MQTT-3.3.1-2] a QoS 0 PUBLISH with DUP closes the connection", async () => {
    const client = await broker.connect(version)
    client.send(publishBytes(version, 0x38, "a"))
    await client.expectRefused(0x81, 0x82)
  })

  it("[MQTT-3.3.1-3] DUP of the publisher is not propagated", async () => {
    const topic = broker.topic()
    const client = await broker.connect(version)
    await client.subscribe(topic, 2)
    const publisher = await broker.connect(version)
    await publisher.publish(topic, "1", { qos: 1, dup: true })
    await client.receive("publish", { payload: "1", dup: false, qos: 1 })
    await publisher.publish(topic, "2", { qos: 2, dup: true })
    await client.receive("publish", { payload: "2", dup: false, qos: 2 })
  })

  it.each(["a/+", "#", "+", "a/#", "a+b"])(
    "[MQTT-3.3.2-2] [MQTT-4.7.1-1] [MQTT5-4.7.0-1] a topic name with a wildcard closes the connection: %s",
    async (topic) => {
      const client = await broker.connect(version)
      client.send(publishBytes(version, 0x30, topic))
      await client.expectRefused(0x81, 0x90)
    }
  )

  it("[MQTT-4.7.3-1] [MQTT-3.3.2-1] an empty topic name closes the connection", async () => {
    const client = await broker.connect(version)
    client.send(publishBytes(version, 0x30, ""))
    await client.expectRefused(0x81, 0x82, 0x90)
  })

  it("[MQTT-3.3.2-3] the topic name arrives as it was published, and matches the filter", async () => {
    const topic = broker.topic()
    const client = await broker.connect(version)
    await client.subscribe(`${topic}/+/c`)
    await client.publish(`${topic}/b/d`, "no")
    const publisher = await broker.connect(version)
    await publisher.publish(`${topic}/b/c`, "yes")
    await client.receive("publish", { topic: `${topic}/b/c`, payload: "yes" })
  })

  it("[MQTT-3.3.4-1] QoS 0 is answered by nothing, QoS 1 by PUBACK, QoS 2 by PUBREC", async () => {
    const topic = broker.topic()
    await (await broker.connect(version)).subscribe(topic)
    const client = await broker.connect(version)
    client.send(publishBytes(version, 0x30, topic))
    await client.expectNothing()
    client.send(publishBytes(version, 0x32, topic, { messageId: 1 }))
    await client.receiveBytes("40 02 00 01")
    client.send(publishBytes(version, 0x34, topic, { messageId: 2 }))
    await client.receiveBytes("50 02 00 02")
  })

  it("[MQTT-3.3.5-1] [MQTT5-3.3.4-2] overlapping subscriptions: one copy, with the highest QoS of those that match", async () => {
    const topic = broker.topic()
    const client = await broker.connect(version)
    await client.subscribe(`${topic}/#`, 0)
    await client.subscribe(`${topic}/a`, 2)
    await client.subscribe(`${topic}/+`, 1)
    const publisher = await broker.connect(version)
    await publisher.publish(`${topic}/a`, "x", { qos: 2 })
    const found = await client.receive("publish", { payload: "x", qos: 2 })
    await client.acknowledge(found)
    await client.expectNothing()
  })

  it("a payload of zero bytes arrives as one", async () => {
    const topic = broker.topic()
    const client = await broker.connect(version)
    await client.subscribe(topic)
    client.send(publishBytes(version, 0x30, topic))
    await client.receiveBytes(publishBytes(version, 0x30, topic))
  })

  it("a payload of 100,000 bytes arrives whole", async () => {
    const topic = broker.topic()
    const client = await broker.connect(version)
    await client.subscribe(topic, 1)
    const payload = Buffer.alloc(100_000, "emqttd ")
    const publisher = await broker.connect(version)
    await publisher.publish(topic, payload, { qos: 1 })
    const found = await client.receive("publish")
    expect(Buffer.compare(Buffer.from(found.payload), payload)).toBe(0)
  })
})

describe("between the versions", () => {
  it("[MQTT31-7] a message with properties reaches 3.1 and 3.1.1 without them, and 5 with them", async () => {
    const topic = broker.topic()
    const properties = [bytes("01 01"), userProperty("a", "1")]
    const clients = await Promise.all(([3, 4, 5] as const).map((version) => broker.connect(version)))
    for (const client of clients) await client.subscribe(topic)
    const publisher = await broker.connect(5)
    publisher.send(publishBytes(5, 0x30, topic, { properties, payload: "x" }))
    for (const client of clients) {
      await client.receiveBytes(publishBytes(client.version, 0x30, topic, { properties, payload: "x" }))
    }
  })

  it("[MQTT31-7] a message of 3.1 or 3.1.1 reaches 5 with a property length of zero", async () => {
    const topic = broker.topic()
    const client = await broker.connect(5)
    await client.subscribe(topic)
    for (const version of [3, 4] as const) {
      const publisher = await broker.connect(version)
      await publisher.publish(topic, "x")
      await client.receiveBytes(publishBytes(5, 0x30, topic, { payload: "x" }))
    }
  })
})

describe("properties that the broker sends on", () => {
  /** QoS 0, live and retained, and QoS 1: the subscriber gets the very bytes that the publisher sent. */
  const arriveUnaltered = async (...properties: ReadonlyArray<Buffer>): Promise<void> => {
    const topic = broker.topic()
    const subscriber = await broker.connect(5)
    await subscriber.subscribe(topic, 1)
    const publisher = await broker.connect(5)
    const packet = publishBytes(5, 0x31, topic, { properties, payload: "x" })
    publisher.send(packet)
    await subscriber.receiveBytes(publishBytes(5, 0x30, topic, { properties, payload: "x" }))
    const late = await broker.connect(5)
    await late.subscribe(topic)
    await late.receiveBytes(packet)
    publisher.send(publishBytes(5, 0x32, topic, { messageId: 9, properties, payload: "y" }))
    const frame = await subscriber.nextFrame()
    expect(frame.includes(bytes(...properties))).toBe(true)
  }

  it("[MQTT5-3.3.2-4] the Payload Format Indicator is unaltered", async () => {
    await arriveUnaltered(bytes("01 01"))
    await arriveUnaltered(bytes("01 00"))
  })

  it("[MQTT5-3.3.2-15] the Response Topic is unaltered", () => arriveUnaltered(bytes("08", text("réponse/☃"))))

  it("[MQTT5-3.3.2-16] the Correlation Data is unaltered", () => arriveUnaltered(bytes("09", text(bytes("00 ff 80")))))

  it("[MQTT5-3.3.2-20] the Content Type is unaltered", () =>
    arriveUnaltered(bytes("03", text("text/plain;charset=utf-8"))))

  it("[MQTT5-3.3.2-17] [MQTT5-3.3.2-18] all User Properties are unaltered, in their order", () =>
    arriveUnaltered(
      userProperty("b", "1"),
      userProperty("a", "2"),
      userProperty("b", "3"),
      userProperty("b", "3"),
      userProperty("", "")
    ))

  it("all of them together are unaltered", async () => {
    const topic = broker.topic()
    const properties = {
      payloadFormatIndicator: true,
      responseTopic: "r/t",
      correlationData: Buffer.from("cd"),
      contentType: "ct",
      userProperties: { a: ["1", "2"], b: "3" }
    }
    const subscriber = await broker.connect(5)
    await subscriber.subscribe(topic, 2)
    const publisher = await broker.connect(5)
    await publisher.publish(topic, "x", { qos: 2, properties })
    await subscriber.receive("publish", { payload: "x", qos: 2, properties })
  })
})

describe("properties that are wrong", () => {
  const refused = async (property: Buffer, ...reasonCodes: ReadonlyArray<number>): Promise<void> => {
    const client = await broker.connect(5)
    client.send(publishBytes(5, 0x30, "a", { properties: [property] }))
    await client.expectRefused(...reasonCodes)
  }

  it("[MQTT5-3.3.2-13] a Response Topic that is no UTF-8 closes the connection", () =>
    refused(bytes("08 0001 ff"), 0x81))

  it("[MQTT5-3.3.2-14] a Response Topic with a wildcard closes the connection", () =>
    refused(bytes("08", text("a/+")), 0x82, 0x90))

  it("[MQTT5-3.3.2-19] a Content Type that is no UTF-8 closes the connection", () => refused(bytes("03 0001 ff"), 0x81))

  it("[MQTT5-3.3.4-6] a Subscription Identifier from a client closes the connection", () =>
    refused(bytes("0b 01"), 0x82))

  it("a Payload Format Indicator that is neither 0 nor 1 closes the connection", () =>
    refused(bytes("01 02"), 0x81, 0x82))
})

describe("payload format", () => {
  it("text that is no UTF-8 is refused with 0x99 and delivered to nobody", async ({ skip }) => {
    if (isExternal) skip()
    const topic = broker.topic()
    const watcher = await broker.connect(5)
    await watcher.subscribe(topic)
    const client = await broker.connect(5)
    for (const payload of ["c3 28", "61 ff"]) {
      client.send(publishBytes(5, 0x32, topic, { messageId: 1, properties: ["01 01"], payload: bytes(payload) }))
      await client.receive("puback", { messageId: 1, reasonCode: 0x99 })
      client.send(publishBytes(5, 0x34, topic, { messageId: 2, properties: ["01 01"], payload: bytes(payload) }))
      await client.receive("pubrec", { messageId: 2, reasonCode: 0x99 })
    }
    await watcher.expectNothing()
    client.send(publishBytes(5, 0x30, topic, { properties: ["01 00"], payload: bytes("c3 28") }))
    await watcher.receive("publish", { topic })
  })
})

describe("subscription identifiers", () => {
  it("[MQTT5-3.3.4-3] [MQTT5-3.3.4-4] a message carries the identifiers of all subscriptions that match", async () => {
    const topic = broker.topic()
    const client = await broker.connect(5)
    await client.subscribe(`${topic}/#`, 0, { identifier: 1 })
    await client.subscribe(`${topic}/a`, 1, { identifier: 268_435_455 })
    await client.subscribe(`${topic}/+`, 0)
    await client.subscribe(`${topic}/b`, 0, { identifier: 7 })
    const publisher = await broker.connect(5)
    await publisher.publish(`${topic}/a`, "x", { qos: 1 })
    const found = await client.receive("publish", { payload: "x", qos: 1 })
    const identifiers = [found.properties?.subscriptionIdentifier ?? []].flat()
    expect(identifiers.toSorted((a, b) => a - b)).toEqual([1, 268_435_455])
    await client.acknowledge(found)
    await client.expectNothing()
  })

  it("a message for a subscription without an identifier has none", async () => {
    const topic = broker.topic()
    const client = await broker.connect(5)
    await client.subscribe(topic)
    client.send(publishBytes(5, 0x30, topic, { payload: "x" }))
    await client.receiveBytes(publishBytes(5, 0x30, topic, { payload: "x" }))
  })

  it("[MQTT5-3.8.4-3] a new subscription replaces the identifier of the old one", async () => {
    const topic = broker.topic()
    const client = await broker.connect(5)
    await client.subscribe(topic, 0, { identifier: 1 })
    await client.subscribe(topic, 0, { identifier: 2 })
    client.send(publishBytes(5, 0x30, topic, { payload: "x" }))
    await client.receiveBytes(publishBytes(5, 0x30, topic, { properties: ["0b 02"], payload: "x" }))
  })

  it("a retained message carries the identifier too", async () => {
    const topic = broker.topic()
    const client = await broker.connect(5)
    await client.publish(topic, "x", { retain: true })
    await client.subscribe(topic, 0, { identifier: 200 })
    await client.receiveBytes(publishBytes(5, 0x31, topic, { properties: ["0b c8 01"], payload: "x" }))
  })

  it("subscription identifier 0 closes the connection", async () => {
    const client = await broker.connect(5)
    client.send(subscribeBytes(5, "a", { properties: ["0b 00"] }))
    await client.expectRefused(0x82)
  })
})
