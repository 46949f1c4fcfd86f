// MQTT 3.1 (MQIsdp): what sets it apart from 3.1.1, and that it works like it otherwise.

import { describe, expect, it } from "vitest"
import { useBroker } from "../support/broker.ts"
import { bytes, text } from "../support/bytes.ts"
import { connectBytes, publishBytes, subscribeBytes, unsubscribeBytes } from "../support/packets.ts"

const broker = useBroker()

describe("MQTT 3.1", () => {
  it('[MQTT31-1] "MQIsdp" with version 3 is accepted', async () => {
    const client = await broker.open(3)
    client.send(connectBytes(3, { clientId: broker.id() }))
    await client.receiveBytes("20 02 00 00")
    await client.ping()
  })

  it.each([["MQIsdp", 4], ["MQTT", 3], ["MQIsdp", 5]])(
    "[MQTT31-2] [MQTT-3.1.2-1] other pairs of name and version are not processed: %s %i",
    async (name, level) => {
      const client = await broker.open(3)
      client.send(connectBytes(3, { name, level, clientId: broker.id() }))
      const answer = await client.nextOrClosed()
      if (answer !== undefined) {
        expect(answer[0]).toBe(0x20)
        expect(answer[3]).not.toBe(0)
      }
      await client.expectClosed()
    }
  )

  it("[MQTT31-3] CONNACK has no session present flag, even for a session that was kept", async () => {
    const client = await broker.connect(3, { clean: false })
    await client.disconnect()
    const again = await broker.open(3)
    again.send(connectBytes(3, { flags: 0x00, clientId: client.clientId }))
    await again.receiveBytes("20 02 00 00")
  })

  it.each([0x00, 0x02])(
    "[MQTT31-4] a client identifier of zero bytes is answered by 0x02, then closed: flags %i",
    async (flags) => {
      const client = await broker.open(3)
      client.send(connectBytes(3, { flags, clientId: "" }))
      await client.receiveBytes("20 02 00 02")
      await client.expectClosed()
    }
  )

  it.each([0x82, 0xc2])(
    "[MQTT31-5] a CONNECT that ends before the user name or password is valid: flags %i",
    async (flags) => {
      const client = await broker.open(3)
      client.send(connectBytes(3, { flags, clientId: broker.id(), ...flags === 0xc2 ? { rest: [text("user")] } : {} }))
      await client.receiveBytes("20 02 00 00")
    }
  )

  it("[MQTT31-6] SUBSCRIBE, UNSUBSCRIBE and PUBREL with DUP are taken", async () => {
    const client = await broker.connect(3)
    const topic = broker.topic()
    client.send(subscribeBytes(3, topic, { header: 0x8a, messageId: 2, option: 1 }))
    await client.receiveBytes("90 03 00 02 01")
    client.send(unsubscribeBytes(3, topic, { header: 0xaa, messageId: 3 }))
    await client.receiveBytes("b0 02 00 03")
    client.send(publishBytes(3, 0x34, topic, { messageId: 4 }))
    await client.receiveBytes("50 02 00 04")
    client.send("6a 02 00 04")
    await client.receiveBytes("70 02 00 04")
  })

  it.each([0, 1, 2] as const)("[MQTT31-7] messages of QoS %i go between 3.1, 3.1.1 and 5", async (qos) => {
    const topic = broker.topic()
    const clients = await Promise.all(([3, 4, 5] as const).map((version) => broker.connect(version)))
    for (const client of clients) await client.subscribe(topic, qos)
    for (const version of [3, 4, 5] as const) {
      const publisher = await broker.connect(version)
      await publisher.publish(topic, `from ${version}`, { qos })
      for (const client of clients) {
        await client.acknowledge(await client.receive("publish", { payload: `from ${version}`, qos }))
      }
    }
  })

  it("[MQTT31-8] clean session 0 keeps subscriptions and messages", async () => {
    const topic = broker.topic()
    const client = await broker.connect(3, { clean: false })
    await client.subscribe(topic, 2)
    await client.disconnect()
    const publisher = await broker.connect(3)
    await publisher.publish(topic, "1", { qos: 1 })
    await publisher.publish(topic, "2", { qos: 2 })
    const again = await broker.connect(3, { clientId: client.clientId, clean: false })
    await again.acknowledge(await again.receive("publish", { payload: "1", qos: 1, dup: false }))
    await again.acknowledge(await again.receive("publish", { payload: "2", qos: 2, dup: false }))
    await again.expectNothing()
  })

  it("a will works as in 3.1.1", async () => {
    const topic = broker.topic()
    const watcher = await broker.connect(3)
    await watcher.subscribe(topic)
    const client = await broker.connect(3, { will: { topic, payload: "gone", qos: 1, retain: true } })
    client.drop()
    await watcher.receive("publish", { topic, payload: "gone", qos: 0 })
  })

  it("a second CONNECT, a wildcard in a topic name and a packet identifier of 0 close the connection", async () => {
    for (
      const packet of [
        connectBytes(3, { clientId: "x" }),
        publishBytes(3, 0x30, "a/#"),
        publishBytes(3, 0x32, "a", { messageId: 0 }),
        bytes("f0 00")
      ]
    ) {
      const client = await broker.connect(3)
      client.send(packet)
      await client.expectClosed()
    }
  })

  it("a bridge's protocol level, with bit 7 set, is taken", async () => {
    for (const version of [3, 4] as const) {
      const client = await broker.open(version)
      client.send(connectBytes(version, { level: 0x80 | version, clientId: broker.id() }))
      await client.receiveBytes("20 02 00 00")
    }
  })
})
