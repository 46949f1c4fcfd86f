// A store that takes no changes for a while (a full disk): who is refused, what goes on, and that it recovers by itself.
import { Effect } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { adminNode } from "../../src/app/adminNode.ts"
import { storeFailure } from "../../src/store/Engine.ts"
import { openMemory } from "../../src/store/MemoryEngine.ts"
import { publishBytes } from "../support/packets.ts"
import { DurableBroker } from "../support/durableBroker.ts"
import { engineWith } from "../support/engineWith.ts"

let full = false
let broker: DurableBroker

const openFillable = Effect.map(openMemory, (engine) =>
  engineWith(engine, {
    commit: (changes, now) =>
      Effect.suspend(() => full ? Effect.fail(storeFailure("full", "no space left")) : engine.commit(changes, now))
  }))

beforeEach(async () => {
  full = false
  broker = new DurableBroker(
    (settings) => ({ ...settings, store: { ...settings.store, retryIntervalMillis: 100 } }),
    openFillable
  )
  await broker.start()
})
afterEach(() => broker.stop())

describe("while the store is full", () => {
  it("MQTT 5: PUBACK and PUBREC say 0x97, at first after the attempt, then at once; its subscriber goes on", async () => {
    const subscriber = await broker.durable(5, "s")
    await subscriber.subscribe("q", 1)
    const publisher = await broker.connect(5, { clientId: "p" })
    full = true
    publisher.send(publishBytes(5, 0x32, "q", { messageId: 1, payload: "attempt" }))
    await publisher.receive("puback", { messageId: 1, reasonCode: 0x97 })
    publisher.send(publishBytes(5, 0x34, "q", { messageId: 2, payload: "refused" }))
    await publisher.receive("pubrec", { messageId: 2, reasonCode: 0x97 })
    publisher.send(publishBytes(5, 0x33, "r", { messageId: 3, payload: "refused" }))
    await publisher.receive("puback", { messageId: 3, reasonCode: 0x97 })
    await publisher.publish("q", "zero")
    await subscriber.receive("publish", { payload: "attempt" })
    await subscriber.receive("publish", { payload: "zero" })
    await subscriber.expectNothing()
  })

  it("QoS 2 out waits for the store, and goes when there is room", async () => {
    const subscriber = await broker.durable(5, "s")
    await subscriber.subscribe("q", 2)
    const publisher = await broker.connect(4, { clientId: "p" })
    full = true
    // 3.1.1 knows no refusal: it is cut off, and its message stays.
    publisher.send(publishBytes(4, 0x34, "q", { messageId: 2, payload: "two" }))
    await publisher.expectClosed()
    await subscriber.expectNothing()
    full = false
    await subscriber.acknowledge(await subscriber.receive("publish", { payload: "two", qos: 2, dup: false }))
  })

  it("what was refused is withdrawn: who had not got it by then never does, and sent again it comes once", async () => {
    const subscriber = await broker.durable(5, "s")
    await subscriber.subscribe("q", 2)
    const absent = await broker.durable(5, "a")
    await absent.subscribe("q", 1)
    await absent.disconnect()
    const publisher = await broker.connect(5, { clientId: "p" })
    while (broker.broker.sessions.get("a")?.connected !== false) await publisher.ping()
    full = true
    publisher.send(publishBytes(5, 0x34, "q", { messageId: 2, payload: "two" }))
    await publisher.receive("pubrec", { messageId: 2, reasonCode: 0x97 })
    await subscriber.expectNothing()
    full = false
    const { counters, services, sessions } = broker.broker
    while (services.journal.failing !== null) await publisher.ping()
    // [MQTT5-4.3.3-9] the identifier of the refused one is free.
    await publisher.publish("q", "again", { qos: 2, messageId: 2 })
    await subscriber.acknowledge(await subscriber.receive("publish", { payload: "again", qos: 2, dup: false }))
    await subscriber.expectNothing()
    const back = await broker.durable(5, "a")
    await back.acknowledge(await back.receive("publish", { payload: "again", qos: 1, dup: false }))
    await back.expectNothing()
    expect(counters.deliveries_withdrawn_total).toBe(2)
    expect([sessions.get("a")?.owed, sessions.get("s")?.owed]).toEqual([0, 0])
  })

  it("a PUBCOMP that waits for the store holds no refusal up", async () => {
    const subscriber = await broker.durable(5, "s")
    await subscriber.subscribe("q", 1)
    const publisher = await broker.durable(5, "p")
    publisher.send(publishBytes(5, 0x34, "q", { messageId: 1, payload: "1" }))
    await publisher.receive("pubrec", { messageId: 1, reasonCode: 0 })
    full = true
    publisher.send({ cmd: "pubrel", messageId: 1 })
    for (const messageId of [2, 3]) publisher.send(publishBytes(5, 0x32, "q", { messageId, payload: "x" }))
    await publisher.receive("puback", { messageId: 2, reasonCode: 0x97 })
    await publisher.receive("puback", { messageId: 3, reasonCode: 0x97 })
    full = false
    await publisher.receive("pubcomp", { messageId: 1 })
  })

  it("3.1.1: no PUBACK, the connection is closed", async () => {
    const subscriber = await broker.durable(4, "s")
    await subscriber.subscribe("q", 1)
    const waiting = await broker.connect(4, { clientId: "p1" })
    const late = await broker.connect(4, { clientId: "p2" })
    full = true
    waiting.send(publishBytes(4, 0x32, "q", { messageId: 1, payload: "1" }))
    await waiting.expectClosed()
    late.send(publishBytes(4, 0x34, "q", { messageId: 1, payload: "2" }))
    await late.expectClosed()
  })

  it("what needs no store goes on: clean sessions, QoS 1 and 2 between them", async () => {
    const subscriber = await broker.connect(5, { clientId: "s" })
    await subscriber.subscribe("q", 2)
    const durable = await broker.durable(5, "d")
    await durable.subscribe("other", 1)
    const publisher = await broker.connect(5, { clientId: "p" })
    full = true
    publisher.send(publishBytes(5, 0x32, "other", { messageId: 1, payload: "1" }))
    await publisher.receive("puback", { reasonCode: 0x97 })
    await publisher.publish("q", "1", { qos: 1 })
    await publisher.publish("q", "2", { qos: 2 })
    await subscriber.acknowledge(await subscriber.receive("publish", { payload: "1" }))
    await subscriber.acknowledge(await subscriber.receive("publish", { payload: "2" }))
    const fresh = await broker.connect(5, { clientId: "fresh" })
    expect(await fresh.subscribe("x", 1)).toBe(1)
  })

  it("no session can be kept: CONNACK 0x97; a SUBSCRIBE of a durable session ends with 0x97", async () => {
    const durable = await broker.durable(5, "d")
    full = true
    durable.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "q", qos: 1 }] })
    await durable.expectRefused(0x97)
    const another = await broker.open(5)
    another.sendConnect({ clientId: "n", clean: false, properties: { sessionExpiryInterval: 100 } })
    await another.expectConnectRefused(0x97)
    const older = await broker.open(4)
    older.sendConnect({ clientId: "o", clean: false })
    await older.expectConnectRefused(0x97, 3)
  })

  it("it recovers by itself: what was accepted is committed, and new messages are acknowledged", async () => {
    const subscriber = await broker.durable(5, "s")
    await subscriber.subscribe("q", 1)
    await subscriber.disconnect()
    const publisher = await broker.connect(5, { clientId: "p" })
    full = true
    publisher.send(publishBytes(5, 0x32, "q", { messageId: 1, payload: "attempt" }))
    await publisher.receive("puback", { reasonCode: 0x97 })
    // An alarm, and no reason to be restarted.
    const status = adminNode(broker.broker).status()
    expect([status.health.ok, status.store.failure]).toEqual([true, "no space left"])
    full = false
    // The CONNACK of a durable session waits for the group that had failed.
    const { journal } = broker.broker.services
    while (journal.failing !== null) await publisher.ping()
    expect(adminNode(broker.broker).status().store.failure).toBe("")
    await publisher.publish("q", "after", { qos: 1 })
    const again = await broker.durable(5, "s")
    await again.acknowledge(await again.receive("publish", { payload: "after" }))
    expect(broker.broker.counters.store_failures_total).toBeGreaterThan(0)
  })

  it("who was refused in the CONNACK has no session, and one that was there goes on without it", async () => {
    const { services, sessions } = broker.broker
    const first = await broker.durable(5, "there")
    await first.subscribe("q", 1)
    await first.disconnect()
    const publisher = await broker.connect(5, { clientId: "p" })
    while (sessions.get("there")?.connected !== false) await publisher.ping()
    await new Promise<void>((resolve) => services.journal.whenIdle(resolve))
    full = true
    // The attempt: its group fails, and then it is refused.
    const attempts = [await broker.open(5), await broker.open(5)]
    attempts[0]?.sendConnect({ clientId: "new", clean: false, properties: { sessionExpiryInterval: 100 } })
    attempts[1]?.sendConnect({ clientId: "there", clean: false, properties: { sessionExpiryInterval: 100 } })
    for (const attempt of attempts) await attempt.expectConnectRefused(0x97)
    full = false
    while (services.journal.failing !== null) await publisher.ping()
    expect(sessions.get("new")).toBeUndefined()
    expect(sessions.get("there")?.connected).toBe(false)
    await publisher.publish("q", "kept", { qos: 1 })
    const again = await broker.durable(5, "there")
    expect(again.connack.sessionPresent).toBe(true)
    await again.acknowledge(await again.receive("publish", { payload: "kept" }))
  })

  it("3.1.1: a message that the access rules deny is acknowledged as ever, and ends no connection", async () => {
    await broker.stop()
    const folder = mkdtempSync(join(tmpdir(), "emqttd-rules-"))
    const file = join(folder, "acl.conf")
    writeFileSync(file, '{deny, all, publish, ["denied"]}.\n{allow, all}.\n')
    broker = new DurableBroker((settings) => ({
      ...settings,
      authorization: { ...settings.authorization, sources: [{ type: "acl_config", path: file }] }
    }), openFillable)
    await broker.start()
    rmSync(folder, { recursive: true })
    const subscriber = await broker.durable(5, "s")
    await subscriber.subscribe("q", 1)
    const first = await broker.connect(4, { clientId: "p1" })
    const client = await broker.connect(4, { clientId: "p2" })
    full = true
    first.send(publishBytes(4, 0x32, "q", { messageId: 1, payload: "1" }))
    await first.expectClosed()
    client.send(publishBytes(4, 0x32, "denied", { messageId: 1, payload: "1" }))
    await client.receive("puback", { messageId: 1 })
    await client.ping()
  })
})
