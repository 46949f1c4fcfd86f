// 3.3.4, 4.6, 4.9: the inflight window both ways, ordering; 3.1.2.11.4: the client's Maximum Packet Size.

import { describe, expect, it } from "vitest"
import { both, isExternal, useBroker } from "../support/broker.ts"
import { bytes } from "../support/bytes.ts"
import { connectBytes, publishBytes, subscribeBytes } from "../support/packets.ts"
import type { ConnectOptions, Version } from "../support/TestClient.ts"

const broker = useBroker()

const keeping = (version: Version): ConnectOptions => ({
  clean: false,
  ...version === 5 ? { properties: { sessionExpiryInterval: 100 } } : {}
})

describe("the client's Receive Maximum", () => {
  it("[MQTT5-3.3.4-9] [MQTT5-4.9.0-1] [MQTT5-4.9.0-2] no more than that many are unacknowledged; each acknowledgement lets one more come", async () => {
    const topic = broker.topic()
    const client = await broker.connect(5, { properties: { receiveMaximum: 3 } })
    await client.subscribe(topic, 2)
    const publisher = await broker.connect(5)
    for (let i = 0; i < 8; i++) await publisher.publish(topic, `${i}`, { qos: i % 2 === 0 ? 1 : 2 })
    const first = await client.receivePublishes(3)
    expect(first.map((packet) => packet.payload.toString())).toEqual(["0", "1", "2"])
    await client.expectNothing()
    const [zero, one, two] = first
    client.send({ cmd: "puback", messageId: zero?.messageId ?? 0 })
    const three = await client.receive("publish", { payload: "3" })
    await client.expectNothing()
    // QoS 2 holds its place until PUBCOMP, PUBREC is not enough.
    client.send({ cmd: "pubrec", messageId: one?.messageId ?? 0 })
    await client.receive("pubrel", { messageId: one?.messageId })
    await client.expectNothing()
    client.send({ cmd: "pubcomp", messageId: one?.messageId ?? 0 })
    await client.receive("publish", { payload: "4" })
    // A PUBREC of 0x80 or more ends it at once.
    client.send({ cmd: "pubrec", messageId: three.messageId ?? 0, reasonCode: 0x83 })
    await client.receive("publish", { payload: "5" })
    client.send({ cmd: "puback", messageId: two?.messageId ?? 0 })
    await client.receive("publish", { payload: "6" })
    await client.expectNothing()
  })

  it("[MQTT5-3.3.4-10] [MQTT5-4.9.0-3] at zero quota QoS 0 and all other packets go on", async () => {
    const topic = broker.topic()
    const client = await broker.connect(5, { properties: { receiveMaximum: 1 } })
    await client.subscribe(topic, 1)
    const publisher = await broker.connect(5)
    await publisher.publish(topic, "1", { qos: 1 })
    await publisher.publish(topic, "2", { qos: 1 })
    await client.receive("publish", { payload: "1" })
    await client.ping()
    await client.subscribe(`${topic}/other`, 1)
    await client.publish(broker.topic(), "mine", { qos: 2 })
    await client.publish(broker.topic(), "mine", { qos: 1 })
    await client.expectNothing()
  })

  it("[MQTT5-3.3.4-9] after a reconnect the new Receive Maximum counts, for what is sent again too", async () => {
    const topic = broker.topic()
    const client = await broker.connect(5, {
      clean: false,
      properties: { sessionExpiryInterval: 100, receiveMaximum: 10 }
    })
    await client.subscribe(topic, 1)
    const publisher = await broker.connect(5)
    for (let i = 0; i < 5; i++) await publisher.publish(topic, `${i}`, { qos: 1 })
    await client.receivePublishes(5)
    client.drop()
    const again = await broker.connect(5, {
      clientId: client.clientId,
      clean: false,
      properties: { sessionExpiryInterval: 100, receiveMaximum: 2 }
    })
    const first = await again.receivePublishes(2)
    expect(first.map((packet) => [packet.payload.toString(), packet.dup])).toEqual([["0", true], ["1", true]])
    await again.expectNothing()
    again.send({ cmd: "puback", messageId: first[0]?.messageId ?? 0 })
    await again.receive("publish", { payload: "2", dup: true })
  })

  it("[MQTT5-3.3.4-10] after a reconnect a PUBREL does not wait behind PUBLISHes that the new Receive Maximum holds back", async () => {
    const topic = broker.topic()
    const keep = { clean: false, properties: { sessionExpiryInterval: 100 } }
    const client = await broker.connect(5, keep)
    await client.subscribe(topic, 2)
    const publisher = await broker.connect(5)
    for (let i = 0; i < 3; i++) await publisher.publish(topic, `${i}`, { qos: 2 })
    const [first, , third] = await client.receivePublishes(3)
    client.send({ cmd: "pubrec", messageId: third?.messageId ?? 0 })
    await client.receive("pubrel", { messageId: third?.messageId })
    client.drop()
    const again = await broker.connect(5, {
      clientId: client.clientId,
      clean: false,
      properties: { sessionExpiryInterval: 100, receiveMaximum: 1 }
    })
    const came = [await again.next(), await again.next()]
    expect(came.map(({ cmd, messageId }) => `${cmd} ${messageId}`).toSorted()).toEqual(
      [`publish ${first?.messageId}`, `pubrel ${third?.messageId}`]
    )
    await again.expectNothing()
  })
})

describe.skipIf(isExternal)("the broker's Receive Maximum", () => {
  const small = useBroker({ connection: { receiveMaximum: 2 }, session: { maxAwaitingPubrel: 2 } })

  it("[MQTT5-3.3.4-7] a client that sends more QoS 2 than that without PUBREL is refused with 0x93", async () => {
    const client = await small.connect(5)
    expect(client.connack.properties?.receiveMaximum).toBe(2)
    const topic = small.topic()
    for (const messageId of [1, 2]) {
      client.send(publishBytes(5, 0x34, topic, { messageId }))
      await client.receive("pubrec", { messageId })
    }
    client.send(publishBytes(5, 0x34, topic, { messageId: 3 }))
    await client.expectRefused(0x93)
  })

  it("PUBCOMP makes room again", async () => {
    const client = await small.connect(5)
    const topic = small.topic()
    for (let round = 0; round < 5; round++) await client.publish(topic, "x", { qos: 2 })
    await client.ping()
  })
})

describe.each(both)("ordering, MQTT level %i", (version) => {
  it.each([0, 1, 2] as const)(
    "[MQTT-4.6.0-5] [MQTT-4.6.0-6] [MQTT5-4.6.0-5] [MQTT5-4.6.0-6] messages of one topic and QoS arrive in the order of their publication: QoS %i",
    async (qos) => {
      const topic = broker.topic()
      const client = await broker.connect(version)
      await client.subscribe(topic, qos)
      const publisher = await broker.connect(version)
      const count = 20
      for (let i = 1; i <= count; i++) {
        const identifier = qos > 0 ? { messageId: i } : {}
        publisher.send(publishBytes(version, 0x30 | (qos << 1), topic, { ...identifier, payload: `${i}` }))
      }
      if (qos === 2) { for (let i = 1; i <= count; i++) publisher.send({ cmd: "pubrel", messageId: i }) }
      const payloads: Array<string> = []
      while (payloads.length < count) {
        const packet = await client.next("publish")
        if (packet.cmd === "pubrel") client.send({ cmd: "pubcomp", messageId: packet.messageId ?? 0 })
        if (packet.cmd !== "publish") continue
        payloads.push(packet.payload.toString())
        if (qos > 0) client.send({ cmd: qos === 1 ? "puback" : "pubrec", messageId: packet.messageId ?? 0 })
      }
      expect(payloads).toEqual(Array.from({ length: count }, (_, i) => `${i + 1}`))
    }
  )

  it("[MQTT-4.6.0-2] PUBACKs are sent in the order of the PUBLISHes", async () => {
    const client = await broker.connect(version)
    const topic = broker.topic()
    const order = [5, 3, 9, 1, 7]
    await (await broker.connect(version)).subscribe(topic)
    client.send(...order.map((messageId) => publishBytes(version, 0x32, topic, { messageId })))
    await client.receiveBytes(...order.map((messageId) => Buffer.of(0x40, 2, 0, messageId)))
  })

  it("[MQTT-4.6.0-3] PUBRECs are sent in the order of the PUBLISHes", async () => {
    const client = await broker.connect(version)
    const topic = broker.topic()
    const order = [5, 3, 9, 1, 7]
    await (await broker.connect(version)).subscribe(topic)
    client.send(...order.map((messageId) => publishBytes(version, 0x34, topic, { messageId })))
    await client.receiveBytes(...order.map((messageId) => Buffer.of(0x50, 2, 0, messageId)))
  })

  it("[MQTT-4.6.0-4] PUBRELs are sent in the order of the PUBRECs", async () => {
    const topic = broker.topic()
    const client = await broker.connect(version)
    await client.subscribe(topic, 2)
    const publisher = await broker.connect(version)
    for (let i = 0; i < 5; i++) await publisher.publish(topic, `${i}`, { qos: 2 })
    const identifiers = (await client.receivePublishes(5)).map((packet) => packet.messageId ?? 0)
    const order = [identifiers[3], identifiers[0], identifiers[4], identifiers[2], identifiers[1]].map((id) => id ?? 0)
    client.send(...order.map((id) => bytes("50 02", id >> 8, id & 0xff)))
    await client.receiveBytes(...order.map((id) => bytes("62 02", id >> 8, id & 0xff)))
  })

  it("[MQTT-4.6.0-1] PUBLISHes are sent again in the order in which they were first sent, and new ones after them", async () => {
    const topic = broker.topic()
    const client = await broker.connect(version, keeping(version))
    await client.subscribe(topic, 2)
    const publisher = await broker.connect(version)
    for (let i = 0; i < 6; i++) await publisher.publish(topic, `${i}`, { qos: i % 2 === 0 ? 1 : 2 })
    const first = await client.receivePublishes(6)
    await client.acknowledge(first[2] ?? { cmd: "publish", qos: 0, topic, payload: "", dup: false, retain: false })
    client.drop()
    await publisher.publish(topic, "6", { qos: 1 })
    const again = await broker.connect(version, { clientId: client.clientId, ...keeping(version) })
    const found = await again.receivePublishes(6)
    // The PUBACK of "2" and the end of the connection may cross: "2" may come again.
    if (found.some((packet) => packet.payload.toString() === "2")) found.push(...await again.receivePublishes(1))
    expect(found.map((packet) => packet.payload.toString()).filter((payload) => payload !== "2")).toEqual([
      "0",
      "1",
      "3",
      "4",
      "5",
      "6"
    ])
    // "6" may have been written to the dying connection, and is then a duplicate too.
    const sentBefore = found.filter((packet) => packet.payload.toString() !== "6")
    expect(sentBefore.map((packet) => packet.dup)).toEqual(sentBefore.map(() => true))
  })

  it("[MQTT-4.4.0-1] [MQTT-4.6.0-1] a window that was full is sent again whole, and what waits behind it follows", async () => {
    const topic = broker.topic()
    const client = await broker.connect(version, keeping(version))
    await client.subscribe(topic, 1)
    const publisher = await broker.connect(version)
    const count = 80
    for (let i = 0; i < count; i++) await publisher.publish(topic, `${i}`, { qos: 1 })
    client.drop()
    const again = await broker.connect(version, { clientId: client.clientId, ...keeping(version) })
    for (let i = 0; i < count; i++) await again.acknowledge(await again.receive("publish", { payload: `${i}`, qos: 1 }))
    await again.expectNothing()
  })

  it("[MQTT5-2.2.1-4] [MQTT-2.3.1-4] the window moves over many messages without an identifier used twice", async () => {
    const topic = broker.topic()
    const client = await broker.connect(version)
    await client.subscribe(topic, 1)
    const publisher = await broker.connect(version)
    for (let i = 1; i <= 200; i++) publisher.send(publishBytes(version, 0x32, topic, { messageId: i, payload: `${i}` }))
    const held = await client.receivePublishes(20)
    const inflight = new Set(held.map((packet) => packet.messageId))
    expect(inflight.size).toBe(20)
    for (let received = 20; received < 200; received++) {
      const oldest = held.shift()
      if (oldest !== undefined) {
        inflight.delete(oldest.messageId)
        await client.acknowledge(oldest)
      }
      const packet = await client.receive("publish", { payload: `${received + 1}` })
      expect(inflight.has(packet.messageId)).toBe(false)
      inflight.add(packet.messageId)
      held.push(packet)
    }
  })
})

describe("the client's Maximum Packet Size", () => {
  it("[MQTT5-3.1.2-24] [MQTT5-3.1.2-25] a message too large is not sent, as if it had been: others follow", async () => {
    const topic = broker.topic()
    const client = await broker.connect(5, { properties: { maximumPacketSize: 100, receiveMaximum: 1 } })
    await client.subscribe(topic, 2)
    const publisher = await broker.connect(5)
    for (const qos of [0, 1, 2] as const) {
      await publisher.publish(topic, Buffer.alloc(200), { qos })
      await publisher.publish(topic, `after ${qos}`, { qos })
      await client.acknowledge(await client.receive("publish", { payload: `after ${qos}`, qos }))
    }
    await client.expectNothing()
  })

  it("[MQTT5-3.1.2-24] a packet of just that size is sent, one byte more is not", async () => {
    const topic = broker.topic()
    const limit = 64
    const client = await broker.connect(5, { properties: { maximumPacketSize: limit } })
    await client.subscribe(topic, 0)
    const fitting = publishBytes(5, 0x30, topic, { payload: "x".repeat(limit - 5 - topic.length) })
    expect(fitting.length).toBe(limit)
    client.send(publishBytes(5, 0x30, topic, { payload: "x".repeat(limit - 4 - topic.length) }), fitting)
    await client.receiveBytes(fitting)
    await client.expectNothing()
  })

  it("a message too large for a retained replay is left out, others are sent", async () => {
    const topic = broker.topic()
    const client = await broker.connect(5, { properties: { maximumPacketSize: 100 } })
    await client.publish(`${topic}/small`, "x", { retain: true, qos: 1 })
    const publisher = await broker.connect(5)
    await publisher.publish(`${topic}/large`, Buffer.alloc(200), { retain: true, qos: 1 })
    client.send(subscribeBytes(5, `${topic}/#`, { messageId: 50, option: 1 }))
    await client.receive("suback", { messageId: 50 })
    await client.receive("publish", { topic: `${topic}/small` })
    await client.expectNothing()
  })

  it("[MQTT5-3.1.2-24] a SUBACK too large is not sent", async () => {
    const client = await broker.connect(5, { properties: { maximumPacketSize: 64 } })
    const filters = Array.from({ length: 80 }, (_, i) => `${i}`)
    client.send({ cmd: "subscribe", messageId: 1, subscriptions: filters.map((topic) => ({ topic, qos: 0 as const })) })
    const answer = await client.nextOrClosed()
    if (answer !== undefined) {
      expect(answer[0]).toBe(0xe0)
      expect(answer.length).toBeLessThanOrEqual(64)
    }
    await client.expectClosed()
  })

  it("[MQTT5-3.1.2-24] an UNSUBACK too large is not sent", async () => {
    const client = await broker.connect(5, { properties: { maximumPacketSize: 64 } })
    client.send({ cmd: "unsubscribe", messageId: 1, unsubscriptions: Array.from({ length: 80 }, (_, i) => `${i}`) })
    const answer = await client.nextOrClosed()
    if (answer !== undefined) {
      expect(answer[0]).toBe(0xe0)
      expect(answer.length).toBeLessThanOrEqual(64)
    }
    await client.expectClosed()
  })

  it("[MQTT5-3.1.2-24] a client that takes not even CONNACK is closed without one", async () => {
    const client = await broker.open(5)
    client.send(connectBytes(5, { clientId: broker.id(), properties: ["27 00000004"] }))
    await client.expectClosed()
  })
})

describe.skipIf(isExternal)("the inflight window of 3.1.1", () => {
  const small = useBroker({ session: { maxInflight: 2 } })

  it("no more than session.max_inflight are unacknowledged", async () => {
    const topic = small.topic()
    const client = await small.connect(4)
    await client.subscribe(topic, 1)
    const publisher = await small.connect(4)
    for (let i = 0; i < 4; i++) await publisher.publish(topic, `${i}`, { qos: 1 })
    const [first] = await client.receivePublishes(2)
    await client.expectNothing()
    if (first !== undefined) await client.acknowledge(first)
    await client.receive("publish", { payload: "2" })
    await client.expectNothing()
  })
})
