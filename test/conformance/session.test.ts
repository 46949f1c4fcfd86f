// Sessions: 3.1.2.4 Clean Session and Clean Start, 3.1.2.11.2 Session Expiry Interval, 4.1 session state, 4.5.

import { describe, expect, it } from "vitest"
import { both, isExternal, useBroker } from "../support/broker.ts"
import { connectBytes, publishBytes } from "../support/packets.ts"
import type { ConnectOptions, Version } from "../support/TestClient.ts"

const broker = useBroker()

const keeping = (version: Version): ConnectOptions => ({
  clean: false,
  ...version === 5 ? { properties: { sessionExpiryInterval: 100 } } : {}
})

describe.each(both)("session state, MQTT level %i", (version) => {
  it("[MQTT-3.1.2-4] [MQTT5-3.1.2-5] [MQTT5-3.1.2-23] [MQTT-4.1.0-1] a kept session has its subscriptions on the next connection", async () => {
    const topic = broker.topic()
    const client = await broker.connect(version, keeping(version))
    await client.subscribe(topic, 1)
    await client.disconnect()
    const again = await broker.connect(version, { clientId: client.clientId, ...keeping(version) })
    expect(again.connack.sessionPresent).toBe(true)
    const publisher = await broker.connect(version)
    await publisher.publish(topic, "x", { qos: 1 })
    await again.receive("publish", { payload: "x" })
  })

  it("[MQTT-3.1.2-4] [MQTT5-3.1.2-6] without a session one is created", async () => {
    const client = await broker.connect(version, keeping(version))
    expect(client.connack.sessionPresent).toBe(false)
    await client.disconnect()
    const again = await broker.connect(version, { clientId: client.clientId, ...keeping(version) })
    expect(again.connack.sessionPresent).toBe(true)
  })

  it("[MQTT-3.1.2-5] [MQTT-4.5.0-1] QoS 1 and 2 messages are kept while the client is away, in order", async () => {
    const topic = broker.topic()
    const client = await broker.connect(version, keeping(version))
    await client.subscribe(topic, 2)
    client.drop()
    const publisher = await broker.connect(version)
    for (let i = 0; i < 10; i++) await publisher.publish(topic, `${i}`, { qos: i % 2 === 0 ? 1 : 2 })
    const again = await broker.connect(version, { clientId: client.clientId, ...keeping(version) })
    const found = await again.receivePublishes(10)
    expect(found.map((packet) => `${packet.payload}`)).toEqual(Array.from({ length: 10 }, (_, i) => `${i}`))
    expect(found.every((packet) => !packet.dup)).toBe(true)
  })

  it("[MQTT-3.1.2-6] [MQTT5-3.1.2-4] a clean start discards subscriptions, queued and unacknowledged messages", async () => {
    const topic = broker.topic()
    const client = await broker.connect(version, keeping(version))
    await client.subscribe(topic, 1)
    const publisher = await broker.connect(version)
    await publisher.publish(topic, "1", { qos: 1 })
    await client.receive("publish", { payload: "1" })
    client.drop()
    await publisher.publish(topic, "2", { qos: 1 })
    const again = await broker.connect(version, { clientId: client.clientId, clean: true })
    expect(again.connack.sessionPresent).toBe(false)
    await publisher.publish(topic, "3", { qos: 1 })
    await again.expectNothing()
  })

  it("[MQTT-3.1.2-6] [MQTT5-4.1.0-2] a clean session without expiry ends with its connection", async () => {
    const topic = broker.topic()
    const client = await broker.connect(version, { clean: true })
    await client.subscribe(topic, 1)
    await client.disconnect()
    const again = await broker.connect(version, { clientId: client.clientId, ...keeping(version) })
    expect(again.connack.sessionPresent).toBe(false)
    const publisher = await broker.connect(version)
    await publisher.publish(topic, "x", { qos: 1 })
    await again.expectNothing()
  })

  it("[MQTT-3.1.2-6] an incomplete QoS 2 of a clean session is not carried into the next one", async () => {
    const topic = broker.topic()
    const subscriber = await broker.connect(version)
    await subscriber.subscribe(topic, 0)
    const client = await broker.connect(version)
    client.send(publishBytes(version, 0x34, topic, { messageId: 3, payload: "1" }))
    await client.receiveBytes("50 02 00 03")
    client.drop()
    const again = await broker.connect(version, { clientId: client.clientId })
    await again.publish(topic, "2", { qos: 2, messageId: 3 })
    // A broker may deliver "1" on PUBLISH or on PUBREL, so it may be missing; "2" must not be taken for its duplicate.
    const first = await subscriber.receive("publish")
    if (first.payload.toString() === "1") await subscriber.receive("publish", { payload: "2" })
    else expect(first.payload.toString()).toBe("2")
  })

  it("[MQTT-4.1.0-2] [MQTT5-4.1.0-1] a session lasts as long as its connection, whatever its expiry", async () => {
    const topic = broker.topic()
    const client = await broker.connect(version, version === 5 ? { properties: { sessionExpiryInterval: 1 } } : {})
    await client.subscribe(topic, 1)
    await broker.passed(2)
    const publisher = await broker.connect(version)
    await publisher.publish(topic, "x", { qos: 1 })
    await client.receive("publish", { payload: "x" })
  })

  it("[MQTT-3.1.2-6] [MQTT5-4.1.0-2] a session that ends with its connection is not resumed by a connection that takes its place", async () => {
    const topic = broker.topic()
    const client = await broker.connect(version, { clean: true })
    await client.subscribe(topic, 1)
    const next = await broker.connect(version, { clientId: client.clientId, ...keeping(version) })
    expect(next.connack.sessionPresent).toBe(false)
    await client.expectRefused(0x8e)
    const publisher = await broker.connect(version)
    await publisher.publish(topic, "x", { qos: 1 })
    await next.expectNothing()
  })

  it("QoS 0 messages are kept for a client that is away when the setting says so", async ({ skip }) => {
    if (isExternal) skip()
    const topic = broker.topic()
    const client = await broker.connect(version, keeping(version))
    await client.subscribe(topic, 0)
    await client.disconnect()
    const publisher = await broker.connect(version)
    await publisher.publish(topic, "x")
    const again = await broker.connect(version, { clientId: client.clientId, ...keeping(version) })
    await again.receive("publish", { payload: "x", qos: 0 })
  })
})

describe.concurrent("session expiry", () => {
  const expiring = (sessionExpiryInterval: number): ConnectOptions => ({
    clean: false,
    properties: { sessionExpiryInterval }
  })

  it("[MQTT5-4.1.0-2] the session is discarded once the interval has passed", async () => {
    const client = await broker.connect(5, expiring(1))
    await client.disconnect()
    const soon = await broker.connect(5, { clientId: client.clientId, ...expiring(1) })
    expect(soon.connack.sessionPresent).toBe(true)
    await soon.disconnect()
    await broker.passed(2)
    const late = await broker.connect(5, { clientId: client.clientId, ...expiring(1) })
    expect(late.connack.sessionPresent).toBe(false)
  })

  it("[MQTT5-3.1.2-23] DISCONNECT can make it longer", async () => {
    const client = await broker.connect(5, expiring(1))
    await client.disconnect({ properties: { sessionExpiryInterval: 100 } })
    await broker.passed(2)
    const again = await broker.connect(5, { clientId: client.clientId, ...expiring(0) })
    expect(again.connack.sessionPresent).toBe(true)
  })

  it("[MQTT5-4.1.0-2] DISCONNECT can end it at once", async () => {
    const client = await broker.connect(5, expiring(100))
    await client.disconnect({ properties: { sessionExpiryInterval: 0 } })
    const again = await broker.connect(5, { clientId: client.clientId, ...expiring(0) })
    expect(again.connack.sessionPresent).toBe(false)
  })

  it("[MQTT5-4.13.1-1] DISCONNECT cannot set an interval when CONNECT had none", async () => {
    const client = await broker.connect(5)
    client.send({ cmd: "disconnect", reasonCode: 0, properties: { sessionExpiryInterval: 100 } })
    await client.expectRefused(0x82)
  })

  it("[MQTT5-3.1.2-23] the interval 0xFFFFFFFF is for ever", async () => {
    const client = await broker.open(5)
    const clientId = broker.id()
    client.send(connectBytes(5, { flags: 0x00, clientId, properties: ["11 ffffffff"] }))
    await client.receive("connack", { reasonCode: 0 })
    await client.disconnect()
    const again = await broker.connect(5, { clientId, ...expiring(0) })
    expect(again.connack.sessionPresent).toBe(true)
  })

  it("[MQTT5-4.1.0-2] the interval of the newest connection counts", async () => {
    const client = await broker.connect(5, expiring(100))
    await client.disconnect()
    const second = await broker.connect(5, { clientId: client.clientId, ...expiring(0) })
    expect(second.connack.sessionPresent).toBe(true)
    await second.disconnect()
    const third = await broker.connect(5, { clientId: client.clientId, ...expiring(0) })
    expect(third.connack.sessionPresent).toBe(false)
  })

  it("a session that an MQTT 3.1.1 client left is taken up by MQTT 5, and back", async () => {
    const topic = broker.topic()
    const older = await broker.connect(4, { clean: false })
    await older.subscribe(topic, 1)
    await older.disconnect()
    const newer = await broker.connect(5, { clientId: older.clientId, ...expiring(100) })
    expect(newer.connack.sessionPresent).toBe(true)
    await newer.disconnect()
    const publisher = await broker.connect(5)
    await publisher.publish(topic, "x", { qos: 1, properties: { contentType: "ct" } })
    const again = await broker.connect(4, { clientId: older.clientId, clean: false })
    expect(again.connack.sessionPresent).toBe(true)
    await again.receive("publish", { payload: "x", qos: 1 })
  })
})

describe.skipIf(isExternal)("the bound of the queue", () => {
  const small = useBroker({ queue: { capacity: 3 }, session: { maxInflight: 2 } })

  it.each(both)("a full queue drops QoS 0 first, then the oldest · v%i", async (version) => {
    const topic = small.topic()
    const client = await small.connect(version, keeping(version))
    await client.subscribe(topic, 1)
    await client.disconnect()
    const publisher = await small.connect(version)
    for (const [payload, qos] of [["1", 1], ["2", 0], ["3", 1], ["4", 1], ["5", 1]] as const) {
      await publisher.publish(topic, payload, { qos })
    }
    const again = await small.connect(version, { clientId: client.clientId, ...keeping(version) })
    const seen = []
    for (let i = 0; i < 3; i++) {
      const packet = await again.receive("publish")
      seen.push(packet.payload.toString())
      await again.acknowledge(packet)
    }
    await again.expectNothing()
    expect(seen).toEqual(["3", "4", "5"])
  })
})
