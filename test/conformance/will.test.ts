// 3.1.2.5 to 3.1.2.7 and 3.1.3.2: wills. The tests that wait for a delay run side by side.

import { describe, expect, it } from "vitest"
import { both, useBroker } from "../support/broker.ts"
import { bytes, frame, text } from "../support/bytes.ts"
import { connectBytes, props, publishBytes, subscribeBytes, userProperty } from "../support/packets.ts"
import type { ConnectOptions, TestClient, Version } from "../support/TestClient.ts"

const broker = useBroker()

const will = (topic: string, options: Partial<NonNullable<ConnectOptions["will"]>> = {}) => ({
  will: { topic, payload: "gone", qos: 0 as const, retain: false, ...options }
})

const watch = async (version: Version, topic: string): Promise<TestClient> => {
  const watcher = await broker.connect(version)
  await watcher.subscribe(topic, 2)
  return watcher
}

describe.each(both)("wills, MQTT level %i", (version) => {
  it("[MQTT-3.1.2-8] [MQTT5-3.1.2-7] [MQTT5-3.1.2-8] the will is published when the network fails", async () => {
    const topic = broker.topic()
    const watcher = await watch(version, topic)
    const client = await broker.connect(version, will(topic))
    client.drop()
    await watcher.receive("publish", { topic, payload: "gone", qos: 0 })
  })

  it.each([0, 1, 2] as const)("[MQTT-3.1.2-9] [MQTT-3.1.2-14] [MQTT5-3.1.2-12] with its QoS: %i", async (qos) => {
    const topic = broker.topic()
    const watcher = await watch(version, topic)
    const client = await broker.connect(version, will(topic, { qos }))
    client.drop()
    await watcher.acknowledge(await watcher.receive("publish", { topic, payload: "gone", qos }))
  })

  it("[MQTT-3.1.2-8] [MQTT5-3.1.2-8] after a protocol error too", async () => {
    const topic = broker.topic()
    const watcher = await watch(version, topic)
    const client = await broker.connect(version, will(topic))
    client.send("00 00")
    await watcher.receive("publish", { topic, payload: "gone" })
  })

  it("[MQTT-3.1.2-8] [MQTT5-3.1.2-8] after a take-over too", async () => {
    const topic = broker.topic()
    const watcher = await watch(version, topic)
    const client = await broker.connect(version, will(topic))
    await broker.connect(version, { clientId: client.clientId })
    await watcher.receive("publish", { topic, payload: "gone" })
  })

  it("[MQTT-3.1.2-10] [MQTT-3.14.4-3] DISCONNECT removes it: it is not published", async () => {
    const topic = broker.topic()
    const watcher = await watch(version, topic)
    const client = await broker.connect(version, will(topic))
    await client.disconnect()
    await watcher.expectNothing()
  })

  it("[MQTT-3.1.2-10] it is published once: the next connection of the client has no will", async () => {
    const topic = broker.topic()
    const watcher = await watch(version, topic)
    const client = await broker.connect(version, {
      ...will(topic),
      clean: false,
      ...version === 5 ? { properties: { sessionExpiryInterval: 100 } } : {}
    })
    client.drop()
    await watcher.receive("publish", { payload: "gone" })
    const again = await broker.connect(version, { clientId: client.clientId, clean: false })
    again.send("00 00")
    await again.nextOrClosed()
    await watcher.expectNothing()
  })

  it("[MQTT-3.1.2-12] without a will nothing is published", async () => {
    const topic = broker.topic()
    const watcher = await watch(version, "#")
    const client = await broker.connect(version)
    client.send("00 00")
    await client.nextOrClosed()
    const other = await broker.connect(version, will(topic))
    other.drop()
    // Other tests' messages come by "#" too; one with the client's identifier would be its own.
    for (
      let packet = await watcher.receive("publish");
      packet.topic !== topic;
      packet = await watcher.receive("publish")
    ) {
      expect(packet.topic).not.toContain(client.clientId)
    }
  })

  it("[MQTT-3.1.2-16] [MQTT5-3.1.2-14] with will retain 0 it is not retained", async () => {
    const topic = broker.topic()
    const watcher = await watch(version, topic)
    const client = await broker.connect(version, will(topic, { retain: false }))
    client.drop()
    await watcher.receive("publish", { payload: "gone", retain: false })
    const late = await watch(version, topic)
    await late.expectNothing()
  })

  it("[MQTT-3.1.2-17] [MQTT5-3.1.2-15] with will retain 1 it is retained", async () => {
    const topic = broker.topic()
    const watcher = await watch(version, topic)
    const client = await broker.connect(version, will(topic, { retain: true, qos: 1 }))
    client.drop()
    await watcher.receive("publish", { payload: "gone", retain: false })
    const late = await watch(version, topic)
    await late.receive("publish", { payload: "gone", retain: true, qos: 1 })
  })

  it("a will is stored for a session with subscriptions that match it, too", async () => {
    const topic = broker.topic()
    const keep = { clean: false, ...version === 5 ? { properties: { sessionExpiryInterval: 100 } } : {} }
    const watcher = await watch(version, topic)
    const client = await broker.connect(version, { ...keep, ...will(topic, { qos: 1 }) })
    await client.subscribe(topic, 1)
    client.drop()
    await watcher.receive("publish", { payload: "gone" })
    const again = await broker.connect(version, { clientId: client.clientId, ...keep })
    await again.receive("publish", { payload: "gone", qos: 1 })
  })

  it.each(["a/#", "+", ""])("a will topic that is no topic name is refused: %s", async (topic) => {
    const client = await broker.open(version)
    client.send(
      connectBytes(version, { flags: 0x06, clientId: broker.id(), rest: [props(version), text(topic), text("x")] })
    )
    await client.expectConnectRefused([0x81, 0x82, 0x90])
  })

  it("a will payload may be any bytes, and empty", async () => {
    for (const payload of [Buffer.from([0, 255, 128]), Buffer.alloc(0)]) {
      const topic = broker.topic()
      const watcher = await watch(version, topic)
      const client = await broker.open(version)
      client.send(
        connectBytes(version, {
          flags: 0x06,
          clientId: broker.id(),
          rest: [props(version), text(topic), text(payload)]
        })
      )
      await client.receive("connack")
      client.drop()
      await watcher.receiveBytes(publishBytes(version, 0x30, topic, { payload }))
    }
  })

  it("[MQTT-3.1.2-8] [MQTT5-3.1.2-8] a take-over publishes the will of the old connection, not that of the new one", async () => {
    const topic = broker.topic()
    const watcher = await watch(version, `${topic}/#`)
    const client = await broker.connect(version, will(`${topic}/old`))
    const next = await broker.connect(version, { clientId: client.clientId, ...will(`${topic}/new`) })
    await watcher.receive("publish", { topic: `${topic}/old` })
    await watcher.expectNothing()
    next.drop()
    await watcher.receive("publish", { topic: `${topic}/new` })
  })
})

describe("DISCONNECT of MQTT 5 and the will", () => {
  it("[MQTT5-3.1.2-8] DISCONNECT 0x04 asks for it", async () => {
    const topic = broker.topic()
    const watcher = await watch(5, topic)
    const client = await broker.connect(5, will(topic))
    await client.disconnect({ reasonCode: 0x04 })
    await watcher.receive("publish", { payload: "gone" })
  })

  it("[MQTT5-3.1.2-8] any other reason code than 0x00 publishes it", async () => {
    const topic = broker.topic()
    const watcher = await watch(5, topic)
    const client = await broker.connect(5, will(topic))
    await client.disconnect({ reasonCode: 0x80 })
    await watcher.receive("publish", { payload: "gone" })
  })

  it("[MQTT5-3.1.2-8] DISCONNECT 0x04 that ends the session publishes a delayed will at once", async () => {
    const topic = broker.topic()
    const watcher = await watch(5, topic)
    const client = await broker.connect(5, {
      properties: { sessionExpiryInterval: 100 },
      ...will(topic, { properties: { willDelayInterval: 60 } })
    })
    await client.disconnect({ reasonCode: 0x04, properties: { sessionExpiryInterval: 0 } })
    await watcher.receive("publish", { payload: "gone" })
  })

  it("[MQTT-3.14.4-3] DISCONNECT 0x00 with properties removes it", async () => {
    const topic = broker.topic()
    const watcher = await watch(5, topic)
    const client = await broker.connect(5, will(topic))
    client.send(frame(0xe0, "00", props(5, userProperty("a", "b"))))
    await client.expectClosed()
    await watcher.expectNothing()
  })
})

describe("will properties", () => {
  it("[MQTT5-3.1.3-10] [MQTT5-3.3.2-18] user properties are sent on, in their order", async () => {
    const topic = broker.topic()
    const watcher = await broker.connect(5)
    await watcher.subscribe(topic, 0)
    const client = await broker.open(5)
    const properties = [userProperty("b", "1"), userProperty("a", "2"), userProperty("b", "3")]
    client.send(
      connectBytes(5, { flags: 0x06, clientId: broker.id(), rest: [props(5, ...properties), text(topic), text("x")] })
    )
    await client.receive("connack", { reasonCode: 0 })
    client.drop()
    await watcher.receiveBytes(publishBytes(5, 0x30, topic, { properties, payload: "x" }))
  })

  it("the other properties are sent on too", async () => {
    const topic = broker.topic()
    const watcher = await watch(5, topic)
    const properties = {
      payloadFormatIndicator: true,
      messageExpiryInterval: 1000,
      contentType: "ct",
      responseTopic: "r",
      correlationData: Buffer.from("cd")
    }
    const client = await broker.connect(5, will(topic, { properties }))
    client.drop()
    const found = await watcher.receive("publish", {
      payload: "gone",
      properties: { payloadFormatIndicator: true, contentType: "ct", responseTopic: "r", correlationData: "cd" }
    })
    expect(found.properties?.messageExpiryInterval).toBeGreaterThan(990)
  })
})

describe.concurrent("will delay", () => {
  const delayed = (topic: string, willDelayInterval: number, sessionExpiryInterval: number): ConnectOptions => ({
    clean: false,
    properties: { sessionExpiryInterval },
    ...will(topic, { properties: { willDelayInterval } })
  })

  it("[MQTT5-3.1.2-8] the will is published once the delay has passed, not before", async () => {
    const topic = broker.topic()
    const watcher = await watch(5, topic)
    const client = await broker.connect(5, delayed(topic, 1, 100))
    const start = Date.now()
    client.drop()
    await watcher.expectNothing()
    await watcher.receive("publish", { payload: "gone" })
    expect(Date.now() - start).toBeGreaterThanOrEqual(950)
  })

  it("[MQTT5-3.1.2-8] [MQTT5-4.1.0-2] it is published when the session ends, if that is sooner", async () => {
    const topic = broker.topic()
    const watcher = await watch(5, topic)
    const client = await broker.connect(5, delayed(topic, 60, 1))
    client.drop()
    await watcher.receive("publish", { payload: "gone" })
    const again = await broker.connect(5, { clientId: client.clientId, clean: false })
    expect(again.connack.sessionPresent).toBe(false)
  })

  it("[MQTT5-3.1.2-8] a session without expiry ends with the connection, and the will is published then", async () => {
    const topic = broker.topic()
    const watcher = await watch(5, topic)
    const client = await broker.connect(5, delayed(topic, 60, 0))
    client.drop()
    await watcher.receive("publish", { payload: "gone" })
  })

  it("[MQTT5-3.1.3-9] [MQTT5-3.1.2-8] a client that comes back before the delay has passed keeps it from being published", async () => {
    const topic = broker.topic()
    const watcher = await watch(5, topic)
    const client = await broker.connect(5, delayed(topic, 1, 100))
    client.drop()
    const again = await broker.connect(5, {
      clientId: client.clientId,
      clean: false,
      properties: { sessionExpiryInterval: 100 }
    })
    expect(again.connack.sessionPresent).toBe(true)
    await broker.passed(2)
    await watcher.expectNothing()
  })

  it("[MQTT5-3.1.2-8] a clean start within the delay ends the session, and the will is published", async () => {
    const topic = broker.topic()
    const watcher = await watch(5, topic)
    const client = await broker.connect(5, delayed(topic, 60, 100))
    client.drop()
    await broker.connect(5, { clientId: client.clientId, clean: true })
    await watcher.receive("publish", { payload: "gone" })
  })

  it("a take-over without a clean start does not publish a delayed will", async () => {
    const topic = broker.topic()
    const watcher = await watch(5, topic)
    const client = await broker.connect(5, delayed(topic, 1, 100))
    const again = await broker.connect(5, {
      clientId: client.clientId,
      clean: false,
      properties: { sessionExpiryInterval: 100 }
    })
    await broker.passed(2)
    await watcher.expectNothing()
    await again.ping()
  })
})

describe("subscriptions beside a will", () => {
  it("a client that subscribes and fails in one piece has both processed", async () => {
    const topic = broker.topic()
    const watcher = await watch(4, topic)
    const client = await broker.open(4)
    client.send(
      connectBytes(4, { flags: 0x06, clientId: broker.id(), rest: [text(topic), text("x")] }),
      subscribeBytes(4, topic),
      bytes("00 00")
    )
    await watcher.receive("publish", { payload: "x" })
  })
})
