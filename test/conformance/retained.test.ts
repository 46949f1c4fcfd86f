// Retained messages: 3.3.1.3 RETAIN, Retain Handling, Retain As Published.

import { describe, expect, it } from "vitest"
import { both, isExternal, useBroker } from "../support/broker.ts"
import { publishBytes } from "../support/packets.ts"

const broker = useBroker()

describe.each(both)("retained messages, MQTT level %i", (version) => {
  it.each([0, 1, 2] as const)(
    "[MQTT-3.3.1-5] [MQTT-3.3.1-6] [MQTT-3.3.1-8] a message with RETAIN is kept with its QoS and sent to later subscribers with RETAIN 1: QoS %i",
    async (qos) => {
      const topic = broker.topic()
      const publisher = await broker.connect(version)
      await publisher.publish(topic, "kept", { qos, retain: true })
      const client = await broker.connect(version)
      await client.subscribe(topic, 2)
      const found = await client.receive("publish", { topic, payload: "kept", retain: true, qos, dup: false })
      await client.acknowledge(found)
      await client.expectNothing()
    }
  )

  it("[MQTT-3.3.1-6] a wildcard subscription gets the last retained message of each topic that matches", async () => {
    const topic = broker.topic()
    const publisher = await broker.connect(version)
    for (const level of ["a", "b", "a/b", "c"]) await publisher.publish(`${topic}/${level}`, level, { retain: true })
    await publisher.publish(`${topic}/a`, "newer", { retain: true })
    const client = await broker.connect(version)
    await client.subscribe(`${topic}/#`)
    const found = await client.receivePublishes(4)
    await client.expectNothing()
    expect(found.map((packet) => `${packet.topic}=${packet.payload}`).sort()).toEqual(
      [`${topic}/a/b=a/b`, `${topic}/a=newer`, `${topic}/b=b`, `${topic}/c=c`].sort()
    )
    const plus = await broker.connect(version)
    await plus.subscribe(`${topic}/+`)
    expect((await plus.receivePublishes(3)).map((packet) => packet.topic).sort()).toEqual(
      [`${topic}/a`, `${topic}/b`, `${topic}/c`]
    )
    await plus.expectNothing()
  })

  it("[MQTT-3.3.1-7] [MQTT-3.3.1-5] a QoS 0 message replaces what was retained", async () => {
    const topic = broker.topic()
    const publisher = await broker.connect(version)
    await publisher.publish(topic, "old", { qos: 2, retain: true })
    await publisher.publish(topic, "new", { qos: 0, retain: true })
    const client = await broker.connect(version)
    await client.subscribe(topic, 2)
    await client.receive("publish", { payload: "new", qos: 0, retain: true })
    await client.expectNothing()
  })

  it("[MQTT-3.3.1-9] [MQTT5-3.3.1-12] an established subscription gets it with RETAIN 0", async () => {
    const topic = broker.topic()
    const client = await broker.connect(version)
    await client.subscribe(topic)
    const publisher = await broker.connect(version)
    await publisher.publish(topic, "x", { retain: true })
    await client.receiveBytes(publishBytes(version, 0x30, topic, { payload: "x" }))
  })

  it("[MQTT-3.3.1-10] [MQTT-3.3.1-11] [MQTT5-3.3.1-6] [MQTT5-3.3.1-7] a payload of zero bytes is delivered, removes the retained message and is not kept itself", async () => {
    const topic = broker.topic()
    const publisher = await broker.connect(version)
    await publisher.publish(topic, "kept", { retain: true })
    const watcher = await broker.connect(version)
    await watcher.subscribe(topic)
    await watcher.receive("publish", { payload: "kept" })
    await publisher.publish(topic, "", { retain: true })
    await watcher.receive("publish", { payload: "", retain: false })
    const late = await broker.connect(version)
    await late.subscribe(topic)
    await late.expectNothing()
  })

  it("[MQTT-3.3.1-12] [MQTT5-3.3.1-8] without RETAIN nothing is stored, removed or replaced", async () => {
    const topic = broker.topic()
    const publisher = await broker.connect(version)
    await publisher.publish(`${topic}/a`, "not kept")
    await publisher.publish(`${topic}/b`, "kept", { retain: true })
    await publisher.publish(`${topic}/b`, "other")
    await publisher.publish(`${topic}/b`, "")
    const client = await broker.connect(version)
    await client.subscribe(`${topic}/+`)
    await client.receive("publish", { topic: `${topic}/b`, payload: "kept", retain: true })
    await client.expectNothing()
  })

  it("[MQTT-3.1.2-7] they outlive the session that published them", async () => {
    const topic = broker.topic()
    const publisher = await broker.connect(version)
    await publisher.publish(topic, "kept", { retain: true, qos: 1 })
    await publisher.disconnect()
    await (await broker.connect(version, { clientId: publisher.clientId })).disconnect()
    const client = await broker.connect(version)
    await client.subscribe(topic)
    await client.receive("publish", { payload: "kept", retain: true })
  })

  it("a subscription made in a SUBSCRIBE with others gets its retained messages once", async () => {
    const topic = broker.topic()
    const client = await broker.connect(version)
    await client.publish(`${topic}/a`, "kept", { retain: true })
    client.send({
      cmd: "subscribe",
      messageId: 1,
      subscriptions: [{ topic: `${topic}/none`, qos: 0 }, { topic: `${topic}/a`, qos: 0 }]
    })
    await client.receive("suback", { messageId: 1 })
    await client.receive("publish", { topic: `${topic}/a`, payload: "kept", retain: true })
    await client.expectNothing()
  })

  it("topics that begin with $ are retained, but not for a leading wildcard", async () => {
    const topic = `$${broker.id()}/a`
    const client = await broker.connect(version)
    await client.publish(topic, "kept", { retain: true, qos: 1 })
    await client.subscribe("+/a")
    await client.subscribe(topic)
    await client.receive("publish", { topic, payload: "kept" })
    await client.expectNothing()
  })

  it("more retained messages than the inflight window and the queue hold all arrive", async () => {
    const topic = broker.topic()
    const publisher = await broker.connect(version)
    const count = 1500
    for (let i = 1; i <= count; i++) publisher.send(publishBytes(version, 0x31, `${topic}/${i}`, { payload: `${i}` }))
    await publisher.ping()
    await publisher.publish(`${topic}/last`, "last", { qos: 1, retain: true })
    const client = await broker.connect(version)
    await client.subscribe(`${topic}/#`, 1)
    const seen = new Set<string>()
    while (seen.size < count + 1) {
      const packet = await client.receive("publish", { retain: true })
      seen.add(packet.payload.toString())
      await client.acknowledge(packet)
    }
    await client.expectNothing()
  })

  it("[MQTT-3.3.1-6] [MQTT-4.5.0-1] what a new subscription is owed and has not got yet is not lost when the connection is", async () => {
    const topic = broker.topic()
    const publisher = await broker.connect(version)
    const count = 100
    for (let i = 0; i < count; i++) await publisher.publish(`${topic}/${i}`, "kept", { qos: 1, retain: true })
    const keep = {
      clean: false,
      ...version === 5 ? { properties: { sessionExpiryInterval: 100, receiveMaximum: 10 } } : {}
    }
    const client = await broker.connect(version, keep)
    await client.subscribe(`${topic}/+`, 1)
    const seen = new Set([(await client.receive("publish", { retain: true })).topic])
    client.drop()
    const again = await broker.connect(version, { clientId: client.clientId, ...keep })
    while (seen.size < count) {
      const packet = await again.receive("publish", { retain: true, qos: 1 })
      seen.add(packet.topic)
      await again.acknowledge(packet)
    }
  })
})

describe("Retain Handling", () => {
  it("[MQTT5-3.3.1-9] [MQTT5-3.8.4-4] 0: on each SUBSCRIBE", async () => {
    const topic = broker.topic()
    const client = await broker.connect(5)
    await client.publish(topic, "kept", { retain: true })
    for (let i = 0; i < 2; i++) {
      await client.subscribe(topic, 0, { rh: 0 })
      await client.receive("publish", { payload: "kept", retain: true })
    }
    await client.expectNothing()
  })

  it("[MQTT5-3.3.1-10] 1: only if the subscription is new", async () => {
    const topic = broker.topic()
    const client = await broker.connect(5)
    await client.publish(topic, "kept", { retain: true })
    await client.subscribe(topic, 0, { rh: 1 })
    await client.receive("publish", { payload: "kept", retain: true })
    await client.subscribe(topic, 1, { rh: 1 })
    await client.expectNothing()
    client.send({ cmd: "unsubscribe", messageId: 99, unsubscriptions: [topic] })
    await client.receive("unsuback")
    await client.subscribe(topic, 0, { rh: 1 })
    await client.receive("publish", { payload: "kept", retain: true })
  })

  it("[MQTT5-3.3.1-11] 2: never", async () => {
    const topic = broker.topic()
    const client = await broker.connect(5)
    await client.publish(topic, "kept", { retain: true })
    await client.subscribe(topic, 0, { rh: 2 })
    await client.expectNothing()
  })
})

describe("Retain As Published", () => {
  it("[MQTT5-3.3.1-13] 1: RETAIN as it was published", async () => {
    const topic = broker.topic()
    const client = await broker.connect(5)
    await client.subscribe(topic, 0, { rap: true })
    const publisher = await broker.connect(5)
    await publisher.publish(topic, "1", { retain: true })
    await publisher.publish(topic, "2", { retain: false })
    await client.receiveBytes(
      publishBytes(5, 0x31, topic, { payload: "1" }),
      publishBytes(5, 0x30, topic, { payload: "2" })
    )
  })

  it("[MQTT5-3.3.1-12] 0: RETAIN 0 when it is forwarded", async () => {
    const topic = broker.topic()
    const client = await broker.connect(5)
    await client.subscribe(topic, 1, { rap: false })
    const publisher = await broker.connect(5)
    await publisher.publish(topic, "1", { retain: true, qos: 1 })
    await client.receive("publish", { payload: "1", retain: false, qos: 1 })
  })
})

describe.skipIf(isExternal)("limits", () => {
  const small = useBroker({ retain: { maxMessages: 2, maxPayloadBytes: 10 } })

  it("a message beyond the count or the size is refused whole where 5 can be told (0x97); QoS 0 is delivered, but not retained", async () => {
    const topic = small.topic()
    const client = await small.connect(5)
    const watcher = await small.connect(5)
    await watcher.subscribe(`${topic}/#`)
    await client.publish(`${topic}/1`, "1", { retain: true, qos: 1 })
    await client.publish(`${topic}/2`, "2", { retain: true, qos: 1 })
    client.send(publishBytes(5, 0x33, `${topic}/3`, { messageId: 100, payload: "3" }))
    await client.receive("puback", { messageId: 100, reasonCode: 0x97 })
    client.send(publishBytes(5, 0x33, `${topic}/2`, { messageId: 101, payload: "longer than ten" }))
    await client.receive("puback", { messageId: 101, reasonCode: 0x97 })
    await client.publish(`${topic}/4`, "4", { retain: true, qos: 0 })
    await client.publish(`${topic}/2`, "newer", { retain: true, qos: 1 })
    expect((await watcher.receivePublishes(4)).map((packet) => packet.payload.toString())).toEqual([
      "1",
      "2",
      "4",
      "newer"
    ])
    const late = await small.connect(5)
    await late.subscribe(`${topic}/#`)
    const kept = (await late.receivePublishes(2)).map((packet) => packet.payload.toString()).sort()
    expect(kept).toEqual(["1", "newer"])
    await late.expectNothing()
  })

  it("[MQTT5-4.3.3-9] after a PUBREC of 0x80 or more the same packet identifier is a new message", async () => {
    const topic = small.topic()
    const client = await small.connect(5)
    const watcher = await small.connect(5)
    await watcher.subscribe(topic)
    client.send(publishBytes(5, 0x35, topic, { messageId: 100, payload: "longer than ten" }))
    await client.receive("pubrec", { messageId: 100, reasonCode: 0x97 })
    client.send(publishBytes(5, 0x34, topic, { messageId: 100, payload: "new" }))
    await client.receive("pubrec", { messageId: 100, reasonCode: 0 })
    client.send({ cmd: "pubrel", messageId: 100 })
    await client.receive("pubcomp", { messageId: 100, reasonCode: 0 })
    await watcher.receive("publish", { payload: "new" })
    await watcher.expectNothing()
  })

  it("[MQTT-3.3.5-2] 3.1.1 is acknowledged as usual: the message is delivered and not retained", async () => {
    const topic = small.topic()
    const watcher = await small.connect(4)
    await watcher.subscribe(topic)
    const client = await small.connect(4)
    await client.publish(topic, "longer than ten", { retain: true, qos: 1 })
    await watcher.receive("publish", { payload: "longer than ten" })
    const late = await small.connect(4)
    await late.subscribe(topic)
    await late.expectNothing()
  })
})
