// 3.3.2.3.3 Message Expiry Interval. Each test waits a second or two of the broker's time, so they run side by side.

import { describe, expect, it } from "vitest"
import { useBroker } from "../support/broker.ts"

const broker = useBroker()

const keep = { clean: false, properties: { sessionExpiryInterval: 100 } }

describe.concurrent("message expiry", () => {
  it("[MQTT5-3.3.2-6] a message delivered at once has the interval that it was published with", async () => {
    const topic = broker.topic()
    const client = await broker.connect(5)
    await client.subscribe(topic, 1)
    const publisher = await broker.connect(5)
    await publisher.publish(topic, "x", { qos: 1, properties: { messageExpiryInterval: 100 } })
    const found = await client.receive("publish", { payload: "x" })
    expect([99, 100]).toContain(found.properties?.messageExpiryInterval)
  })

  it("[MQTT5-3.3.2-6] a message that has waited has the interval less the time", async () => {
    const topic = broker.topic()
    const client = await broker.connect(5, keep)
    await client.subscribe(topic, 1)
    await client.disconnect()
    const publisher = await broker.connect(5)
    await publisher.publish(topic, "x", { qos: 1, properties: { messageExpiryInterval: 100 } })
    await broker.passed(2)
    const again = await broker.connect(5, { clientId: client.clientId, ...keep })
    const found = await again.receive("publish", { payload: "x" })
    expect(found.properties?.messageExpiryInterval).toBeLessThanOrEqual(98)
    expect(found.properties?.messageExpiryInterval).toBeGreaterThanOrEqual(90)
  })

  it("[MQTT5-3.3.2-5] a message whose time has passed before its delivery began is not delivered", async () => {
    const topic = broker.topic()
    const client = await broker.connect(5, keep)
    await client.subscribe(topic, 2)
    await client.disconnect()
    const publisher = await broker.connect(5)
    await publisher.publish(topic, "short 1", { qos: 1, properties: { messageExpiryInterval: 1 } })
    await publisher.publish(topic, "long", { qos: 1, properties: { messageExpiryInterval: 100 } })
    await publisher.publish(topic, "short 2", { qos: 2, properties: { messageExpiryInterval: 1 } })
    await broker.passed(2)
    const again = await broker.connect(5, { clientId: client.clientId, ...keep })
    await again.acknowledge(await again.receive("publish", { payload: "long" }))
    await again.expectNothing()
  })

  it("[MQTT5-3.3.2-5] one that waits behind a full inflight window expires there too", async () => {
    const topic = broker.topic()
    const client = await broker.connect(5, { properties: { receiveMaximum: 1 } })
    await client.subscribe(topic, 1)
    const publisher = await broker.connect(5)
    await publisher.publish(topic, "first", { qos: 1 })
    await publisher.publish(topic, "short", { qos: 1, properties: { messageExpiryInterval: 1 } })
    await publisher.publish(topic, "last", { qos: 1 })
    const first = await client.receive("publish", { payload: "first" })
    await broker.passed(2)
    await client.acknowledge(first)
    await client.receive("publish", { payload: "last" })
  })

  it("[MQTT5-4.3.3-7] a message that was sent is sent again after its time, and its QoS 2 completed", async () => {
    const topic = broker.topic()
    const client = await broker.connect(5, keep)
    await client.subscribe(topic, 2)
    const publisher = await broker.connect(5)
    await publisher.publish(topic, "x", { qos: 2, properties: { messageExpiryInterval: 1 } })
    const { messageId } = await client.receive("publish", { payload: "x", qos: 2 })
    client.drop()
    await broker.passed(2)
    const again = await broker.connect(5, { clientId: client.clientId, ...keep })
    await again.acknowledge(await again.receive("publish", { payload: "x", messageId, dup: true }))
    await again.expectNothing()
  })

  it("[MQTT5-4.3.3-13] a QoS 2 from a client is completed even if the message has expired meanwhile", async () => {
    const topic = broker.topic()
    const publisher = await broker.connect(5)
    publisher.send({
      cmd: "publish",
      topic,
      payload: "x",
      qos: 2,
      messageId: 7,
      dup: false,
      retain: false,
      properties: { messageExpiryInterval: 1 }
    })
    await publisher.receive("pubrec", { messageId: 7 })
    await broker.passed(2)
    publisher.send("62 02 00 07")
    await publisher.receiveBytes("70 02 00 07")
  })

  it("[MQTT5-3.3.2-5] [MQTT5-3.3.2-6] a retained message expires, and has the time that is left", async () => {
    const topic = broker.topic()
    const publisher = await broker.connect(5)
    await publisher.publish(`${topic}/short`, "x", { qos: 1, retain: true, properties: { messageExpiryInterval: 1 } })
    await publisher.publish(`${topic}/long`, "x", { qos: 1, retain: true, properties: { messageExpiryInterval: 100 } })
    await broker.passed(2)
    const client = await broker.connect(5)
    await client.subscribe(`${topic}/#`)
    const found = await client.receive("publish", { topic: `${topic}/long`, retain: true })
    expect(found.properties?.messageExpiryInterval).toBeLessThanOrEqual(98)
    await client.expectNothing()
  })

  it("a message for 3.1.1 expires too", async () => {
    const topic = broker.topic()
    const client = await broker.connect(4, { clean: false })
    await client.subscribe(topic, 1)
    await client.disconnect()
    const publisher = await broker.connect(5)
    await publisher.publish(topic, "short", { qos: 1, properties: { messageExpiryInterval: 1 } })
    await broker.passed(2)
    const again = await broker.connect(4, { clientId: client.clientId, clean: false })
    await again.expectNothing()
  })
})
