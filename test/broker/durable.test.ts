// What outlives the process: a broker is killed, or stopped in order, and started again on the same store.
import { Effect } from "effect"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { noChanges } from "../../src/store/Engine.ts"
import { openMemory } from "../../src/store/MemoryEngine.ts"
import { session } from "../store/rows.ts"
import { publishBytes } from "../support/packets.ts"
import { DurableBroker } from "../support/durableBroker.ts"

let broker: DurableBroker
beforeEach(async () => {
  broker = await new DurableBroker().start()
})
afterEach(() => broker.stop())

const ways = ["crash", "restart"] as const

describe.each(ways)("after a %s", (way) => {
  it.each([4, 5] as const)("the session is there with its subscriptions, version %i", async (version) => {
    const first = await broker.durable(version, "s")
    await first.subscribe("a/+", 1)
    await first.subscribe("b", 2)
    await first.subscribe("gone", 1)
    first.send({ cmd: "unsubscribe", messageId: 99, unsubscriptions: ["gone"] })
    await first.receive("unsuback")
    await broker[way]()
    const again = await broker.durable(version, "s")
    expect(again.connack.sessionPresent).toBe(true)
    const publisher = await broker.connect(version, { clientId: "p" })
    await publisher.publish("gone", "0", { qos: 1 })
    await publisher.publish("a/x", "1", { qos: 1 })
    await publisher.publish("b", "2", { qos: 2 })
    await again.acknowledge(await again.receive("publish", { topic: "a/x", qos: 1 }))
    await again.acknowledge(await again.receive("publish", { topic: "b", qos: 2 }))
    await again.expectNothing()
  })

  it("subscription options are kept: No Local, Retain As Published, identifiers", async () => {
    const first = await broker.durable(5, "s")
    await first.subscribe("a/+", 1, { nl: true, rap: true, identifier: 7 })
    await broker[way]()
    const again = await broker.durable(5, "s")
    await again.publish("a/own", "0", { qos: 1 })
    const publisher = await broker.connect(5, { clientId: "p" })
    await publisher.publish("a/x", "1", { qos: 1, retain: true })
    await again.receive("publish", { topic: "a/x", retain: true, properties: { subscriptionIdentifier: 7 } })
  })

  it("what was queued is delivered in order, and once it is acknowledged never again", async () => {
    const first = await broker.durable(4, "s")
    await first.subscribe("q/#", 1)
    await first.disconnect()
    const publisher = await broker.connect(4, { clientId: "p" })
    for (let i = 0; i < 20; i++) await publisher.publish("q/1", `${i}`, { qos: 1 })
    await broker[way]()
    const again = await broker.durable(4, "s")
    for (let i = 0; i < 20; i++) await again.acknowledge(await again.receive("publish", { payload: `${i}` }))
    await again.ping()
    await again.disconnect()
    await broker.restart()
    const last = await broker.durable(4, "s")
    await last.expectNothing()
  })

  it("more than a page is queued, and new messages stand behind it", async () => {
    const first = await broker.durable(4, "s")
    await first.subscribe("q/#", 1)
    await first.disconnect()
    const publisher = await broker.connect(4, { clientId: "p" })
    for (let i = 0; i < 700; i++) publisher.send(publishBytes(4, 0x32, "q/1", { messageId: i + 1, payload: `${i}` }))
    for (let i = 0; i < 700; i++) await publisher.receive("puback")
    await broker[way]()
    const next = await broker.connect(4, { clientId: "p" })
    for (let i = 700; i < 720; i++) await next.publish("q/1", `${i}`, { qos: 1 })
    const again = await broker.durable(4, "s")
    for (let i = 0; i < 720; i++) {
      await again.acknowledge(await again.receive("publish", { payload: `${i}` }))
      if (i === 300) await next.publish("q/1", "720", { qos: 1 })
    }
    await again.acknowledge(await again.receive("publish", { payload: "720" }))
    await again.expectNothing()
  })

  it("the queue's bound counts what is on disk: the oldest goes", async () => {
    const first = await broker.durable(4, "s")
    await first.subscribe("q/#", 1)
    await first.disconnect()
    const publisher = await broker.connect(4, { clientId: "p" })
    for (let i = 0; i < 1_000; i++) publisher.send(publishBytes(4, 0x32, "q/1", { messageId: i + 1, payload: `${i}` }))
    for (let i = 0; i < 1_000; i++) await publisher.receive("puback")
    await broker[way]()
    const next = await broker.connect(4, { clientId: "p" })
    for (let i = 1_000; i < 1_010; i++) await next.publish("q/1", `${i}`, { qos: 1 })
    expect(broker.broker.counters.deliveries_dropped_queue_full_total).toBe(10)
    const again = await broker.durable(4, "s")
    for (let i = 10; i < 1_010; i++) await again.acknowledge(await again.receive("publish", { payload: `${i}` }))
    await again.expectNothing()
  })

  it("[MQTT-4.4.0-1] an unacknowledged QoS 1 message is sent again, under its identifier and with DUP", async () => {
    const first = await broker.durable(4, "s")
    await first.subscribe("q", 1)
    const publisher = await broker.connect(4, { clientId: "p" })
    await publisher.publish("q", "first", { qos: 1 })
    await publisher.publish("q", "second", { qos: 1 })
    const { messageId } = await first.receive("publish", { payload: "first" })
    const second = await first.receive("publish", { payload: "second" })
    await broker[way]()
    const again = await broker.durable(4, "s")
    await again.receive("publish", { payload: "first", dup: true, messageId })
    await again.receive("publish", { payload: "second", dup: true, messageId: second.messageId })
    await again.expectNothing()
  })

  it("[MQTT-4.3.3-1] QoS 2 goes on where it was: before PUBREC the PUBLISH comes again, after it the PUBREL", async () => {
    const first = await broker.durable(4, "s")
    await first.subscribe("q", 2)
    const publisher = await broker.connect(4, { clientId: "p" })
    await publisher.publish("q", "one", { qos: 2 })
    await publisher.publish("q", "two", { qos: 2 })
    const one = { messageId: (await first.receive("publish", { payload: "one", qos: 2 })).messageId ?? 0 }
    const two = { messageId: (await first.receive("publish", { payload: "two", qos: 2 })).messageId ?? 0 }
    first.send({ cmd: "pubrec", messageId: one.messageId })
    await first.receive("pubrel", { messageId: one.messageId })
    await broker[way]()
    const again = await broker.durable(4, "s")
    await again.receive("pubrel", { messageId: one.messageId })
    await again.receive("publish", { payload: "two", dup: true, messageId: two.messageId })
    again.send({ cmd: "pubcomp", messageId: one.messageId }, { cmd: "pubrec", messageId: two.messageId })
    await again.receive("pubrel", { messageId: two.messageId })
    again.send({ cmd: "pubcomp", messageId: two.messageId })
    await again.expectNothing()
    // Both identifiers are free again.
    await again.disconnect()
    await broker.restart()
    await (await broker.durable(4, "s")).expectNothing()
  })

  it("[MQTT-4.3.3-2] a QoS 2 PUBLISH that was acknowledged is a duplicate until its PUBREL, and new after it", async () => {
    const subscriber = await broker.durable(4, "s")
    await subscriber.subscribe("q", 1)
    const publisher = await broker.durable(4, "p")
    publisher.send(publishBytes(4, 0x34, "q", { messageId: 5, payload: "once" }))
    await publisher.receiveBytes("50 02 00 05")
    await publisher.publish("q", "free", { qos: 2, messageId: 6 })
    await broker[way]()
    const again = await broker.durable(4, "p")
    again.send(publishBytes(4, 0x3c, "q", { messageId: 5, payload: "once" }))
    await again.receiveBytes("50 02 00 05")
    again.send("62 02 00 05")
    await again.receiveBytes("70 02 00 05")
    await again.publish("q", "new", { qos: 2, messageId: 6 })
    const reader = await broker.durable(4, "s")
    for (const payload of ["once", "free", "new"]) {
      await reader.acknowledge(await reader.receive("publish", { payload }))
    }
    await reader.expectNothing()
  })

  it("retained messages are there as they were: replaced, deleted, with their properties", async () => {
    const publisher = await broker.connect(5, { clientId: "p" })
    await publisher.publish("r/kept", "old", { qos: 1, retain: true })
    await publisher.publish("r/kept", "new", {
      qos: 1,
      retain: true,
      properties: { contentType: "text", messageExpiryInterval: 1000 }
    })
    await publisher.publish("r/gone", "x", { qos: 1, retain: true })
    await publisher.publish("r/gone", "", { qos: 1, retain: true })
    await publisher.publish("r/zero", "0", { qos: 0, retain: true })
    // Groups are in order: what was QoS 0 is committed with what comes after it.
    await publisher.publish("r/last", "", { qos: 1, retain: true })
    await broker[way]()
    const reader = await broker.connect(5, { clientId: "r" })
    await reader.subscribe("r/#", 1)
    const found = await reader.receivePublishes(2)
    expect(found.map(({ topic }) => topic).toSorted()).toEqual(["r/kept", "r/zero"])
    const kept = found.find(({ topic }) => topic === "r/kept")
    expect(kept?.payload.toString()).toBe("new")
    expect(kept?.properties?.contentType).toBe("text")
    expect(kept?.properties?.messageExpiryInterval).toBeLessThanOrEqual(1000)
    reader.send(
      ...found.flatMap(({ messageId, qos }) =>
        qos === 1 && messageId !== undefined ? [{ cmd: "puback", messageId } as const] : []
      )
    )
    await reader.expectNothing()
  })

  it("a topic alias does not outlive its connection: the message has its topic", async () => {
    const first = await broker.durable(5, "s")
    await first.subscribe("q", 1)
    await first.disconnect()
    const publisher = await broker.connect(5, { clientId: "p" })
    await publisher.publish("q", "1", { qos: 1, properties: { topicAlias: 1 } })
    await publisher.publish("", "2", { qos: 1, properties: { topicAlias: 1 } })
    await broker[way]()
    const again = await broker.durable(5, "s")
    await again.acknowledge(await again.receive("publish", { topic: "q", payload: "1" }))
    await again.acknowledge(await again.receive("publish", { topic: "q", payload: "2" }))
  })

  it("a clean start leaves nothing of the session", async () => {
    const first = await broker.durable(5, "s")
    await first.subscribe("q", 1)
    await first.disconnect()
    const publisher = await broker.connect(5, { clientId: "p" })
    await publisher.publish("q", "1", { qos: 1 })
    const clean = await broker.connect(5, { clientId: "s", clean: true })
    await clean.ping()
    await broker[way]()
    const again = await broker.durable(5, "s")
    expect(again.connack.sessionPresent).toBe(false)
    await again.expectNothing()
  })

  it("the expiry that DISCONNECT has set holds: 0 ends the session", async () => {
    const first = await broker.durable(5, "s")
    await first.subscribe("q", 1)
    await first.disconnect({ properties: { sessionExpiryInterval: 0 } })
    // DISCONNECT has no answer; one that waits for a later group tells that it is committed.
    await broker.durable(5, "other")
    await broker[way]()
    const again = await broker.durable(5, "s")
    expect(again.connack.sessionPresent).toBe(false)
  })

  it("a will whose delay runs is published when it is due, and a durable subscriber has it", async () => {
    const subscriber = await broker.durable(5, "s")
    await subscriber.subscribe("will", 1)
    const client = await broker.durable(5, "w", {
      will: { topic: "will", payload: Buffer.from("gone"), qos: 1, retain: false, properties: { willDelayInterval: 1 } }
    })
    await client.ping()
    await broker[way]()
    const again = await broker.durable(5, "s")
    await again.acknowledge(await again.receive("publish", { topic: "will", payload: "gone" }))
    await again.expectNothing()
  })
})

describe("after a crash", () => {
  it("a client that was connected is one that was cut off: its will is published", async () => {
    const subscriber = await broker.durable(4, "s")
    await subscriber.subscribe("will", 1)
    await broker.durable(4, "w", { will: { topic: "will", payload: Buffer.from("cut"), qos: 1, retain: false } })
    await broker.crash()
    const again = await broker.durable(4, "s")
    await again.acknowledge(await again.receive("publish", { topic: "will", payload: "cut" }))
    // Once: the next start does not find it again.
    // What is done goes with the next group, and this one waits for it.
    await again.ping()
    await broker.durable(4, "other")
    await broker.crash()
    await (await broker.durable(4, "s")).expectNothing()
  })

  it("clean sessions have left nothing", async () => {
    const client = await broker.connect(5, { clientId: "c" })
    await client.subscribe("q", 1)
    await client.publish("q", "1", { qos: 1 })
    await client.receive("publish", { payload: "1" })
    await broker.crash()
    expect(broker.broker.sessions.size).toBe(0)
  })

  it("the queue's bound, met while the client is away, gives up no exchange that was under way", async () => {
    await broker.stop()
    broker = new DurableBroker((settings) => ({ ...settings, queue: { ...settings.queue, capacity: 2 } }))
    await broker.start()
    const client = await broker.durable(5, "c")
    await client.subscribe("q", 2)
    let publisher = await broker.connect(5, { clientId: "p" })
    await publisher.publish("q", "1", { qos: 2, messageId: 1 })
    await publisher.publish("q", "2", { qos: 2, messageId: 2 })
    const first = await client.receive("publish", { payload: "1" })
    const second = await client.receive("publish", { payload: "2" })
    await broker.crash()
    publisher = await broker.connect(5, { clientId: "p" })
    await publisher.publish("q", "3", { qos: 1, messageId: 3 })
    await publisher.publish("q", "4", { qos: 1, messageId: 4 })
    const again = await broker.durable(5, "c")
    await again.receive("publish", { payload: "1", dup: true, messageId: first.messageId })
    await again.receive("publish", { payload: "2", dup: true, messageId: second.messageId })
  })

  it("a client that was there, quietly, has not been away since the last group", async () => {
    await broker.stop()
    const row = session(1, { clientId: "quiet", expiryMillis: 5_000 })
    const found = { session: 1, message: 0, committedAt: Date.now() - 8_000 }
    broker = new DurableBroker(
      undefined,
      Effect.flatMap(openMemory, (engine) =>
        Effect.as(
          engine.commit({ ...noChanges, sessions: [row] }, found.committedAt),
          Object.assign(engine, { highest: found })
        ))
    )
    await broker.start()
    expect((await broker.durable(5, "quiet")).connack.sessionPresent).toBe(true)
  })
})
