// 3.3.2.3.4 Topic Alias, from the client and to it.

import { describe, expect, it } from "vitest"
import { useBroker } from "../support/broker.ts"
import { bytes } from "../support/bytes.ts"
import { publishBytes } from "../support/packets.ts"

const broker = useBroker()

const alias = (value: number): Buffer => bytes(0x23, value >> 8, value & 0xff)

describe("aliases that the client sets", () => {
  it("[MQTT5-3.3.2-12] all from 1 to the broker's Topic Alias Maximum work, set anew as often as one likes", async () => {
    const topic = broker.topic()
    const watcher = await broker.connect(5)
    await watcher.subscribe(`${topic}/#`)
    const client = await broker.connect(5)
    const maximum = client.connack.properties?.topicAliasMaximum ?? 0
    expect(maximum).toBeGreaterThan(0)
    for (const value of [1, maximum]) {
      for (const name of ["a", "b"]) {
        client.send(publishBytes(5, 0x30, `${topic}/${name}`, { properties: [alias(value)], payload: "1" }))
        client.send(publishBytes(5, 0x30, "", { properties: [alias(value)], payload: "2" }))
        await watcher.receiveBytes(
          publishBytes(5, 0x30, `${topic}/${name}`, { payload: "1" }),
          publishBytes(5, 0x30, `${topic}/${name}`, { payload: "2" })
        )
      }
    }
  })

  it("an alias works with QoS 1 and 2 and with RETAIN", async () => {
    const topic = broker.topic()
    const client = await broker.connect(5)
    client.send(
      publishBytes(5, 0x33, topic, { messageId: 1, properties: [alias(1)], payload: "1" }),
      publishBytes(5, 0x35, "", { messageId: 2, properties: [alias(1)], payload: "2" })
    )
    await client.receive("puback", { messageId: 1 })
    await client.receive("pubrec", { messageId: 2 })
    client.send("62 02 00 02")
    await client.receive("pubcomp")
    const late = await broker.connect(5)
    await late.subscribe(topic)
    await late.receiveBytes(publishBytes(5, 0x31, topic, { payload: "2" }))
  })

  it("[MQTT5-3.3.2-8] alias 0 closes the connection", async () => {
    const client = await broker.connect(5)
    client.send(publishBytes(5, 0x30, "a", { properties: [alias(0)] }))
    await client.expectRefused(0x94)
  })

  it("[MQTT5-3.3.2-9] [MQTT5-3.2.2-17] an alias above the broker's maximum closes the connection", async () => {
    const client = await broker.connect(5)
    const maximum = client.connack.properties?.topicAliasMaximum ?? 0
    client.send(publishBytes(5, 0x30, "a", { properties: [alias(maximum + 1)] }))
    await client.expectRefused(0x94)
  })

  it("an empty topic with an alias that was never set, or without one, closes the connection", async () => {
    for (const properties of [[alias(1)], []]) {
      const client = await broker.connect(5)
      client.send(publishBytes(5, 0x30, "", { properties }))
      await client.expectRefused(0x82, 0x90)
    }
  })

  it("[MQTT5-3.3.2-7] aliases do not outlive the connection, though the session does", async () => {
    const keep = { clean: false, properties: { sessionExpiryInterval: 100 } }
    const client = await broker.connect(5, keep)
    client.send(publishBytes(5, 0x30, broker.topic(), { properties: [alias(1)] }))
    await client.ping()
    client.drop()
    const again = await broker.connect(5, { clientId: client.clientId, ...keep })
    expect(again.connack.sessionPresent).toBe(true)
    again.send(publishBytes(5, 0x30, "", { properties: [alias(1)] }))
    await again.expectRefused(0x82)
  })

  it("[MQTT5-3.3.2-7] aliases of two connections are two", async () => {
    const client = await broker.connect(5)
    client.send(publishBytes(5, 0x30, broker.topic(), { properties: [alias(1)] }))
    await client.ping()
    const other = await broker.connect(5)
    other.send(publishBytes(5, 0x30, "", { properties: [alias(1)] }))
    await other.expectRefused(0x82)
  })
})

describe("aliases that the broker sets", () => {
  it("[MQTT5-3.1.2-27] none for a client that did not ask", async () => {
    const topic = broker.topic()
    const client = await broker.connect(5)
    await client.subscribe(topic)
    const publisher = await broker.connect(5)
    for (let i = 0; i < 3; i++) {
      publisher.send(publishBytes(5, 0x30, topic, { payload: "x" }))
      await client.receiveBytes(publishBytes(5, 0x30, topic, { payload: "x" }))
    }
  })

  it("[MQTT5-3.1.2-26] [MQTT5-3.3.2-11] [MQTT5-3.3.2-8] none above the client's Topic Alias Maximum, and each names the topic that set it", async () => {
    const topic = broker.topic()
    const client = await broker.connect(5, { properties: { topicAliasMaximum: 2 } })
    await client.subscribe(`${topic}/#`)
    const publisher = await broker.connect(5)
    const aliases = new Map<number, string>()
    for (let i = 0; i < 12; i++) {
      await publisher.publish(`${topic}/${i % 4}`, `${i}`)
      const packet = await client.receive("publish", { payload: `${i}` })
      const value = packet.properties?.topicAlias
      if (value !== undefined) {
        expect(value).toBeGreaterThanOrEqual(1)
        expect(value).toBeLessThanOrEqual(2)
        if (packet.topic !== "") aliases.set(value, packet.topic)
      }
      expect(packet.topic === "" ? aliases.get(value ?? 0) : packet.topic).toBe(`${topic}/${i % 4}`)
    }
  })

  it("[MQTT5-3.3.2-7] what is sent again on a new connection names its topic", async () => {
    const topic = broker.topic()
    const options = { clean: false, properties: { sessionExpiryInterval: 100, topicAliasMaximum: 5 } }
    const client = await broker.connect(5, options)
    await client.subscribe(topic, 1)
    const publisher = await broker.connect(5)
    for (let i = 0; i < 2; i++) await publisher.publish(topic, `${i}`, { qos: 1 })
    await client.receivePublishes(2)
    client.drop()
    const again = await broker.connect(5, {
      clientId: client.clientId,
      clean: false,
      properties: { sessionExpiryInterval: 100 }
    })
    for (let i = 0; i < 2; i++) await again.receive("publish", { topic, payload: `${i}`, dup: true })
  })

  it("[MQTT5-3.3.2-7] on a new connection the topic is named again", async () => {
    const topic = broker.topic()
    const options = { clean: false, properties: { sessionExpiryInterval: 100, topicAliasMaximum: 5 } }
    const client = await broker.connect(5, options)
    await client.subscribe(topic)
    const publisher = await broker.connect(5)
    for (let i = 0; i < 3; i++) {
      await publisher.publish(topic, "x")
      await client.receive("publish")
    }
    client.drop()
    const again = await broker.connect(5, { clientId: client.clientId, ...options })
    await publisher.publish(topic, "y", { qos: 1 })
    await again.receive("publish", { topic, payload: "y" })
  })
})
