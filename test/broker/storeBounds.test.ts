// What waits for a store that is slow, or fails: each thing has its bound, and who meets it waits, or is told, and is not cut off.
import { Effect } from "effect"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import type { Settings } from "../../src/config/Settings.ts"
import { type StoreFailure, storeFailure } from "../../src/store/Engine.ts"
import { openMemory } from "../../src/store/MemoryEngine.ts"
import { DurableBroker } from "../support/durableBroker.ts"
import { engineWith } from "../support/engineWith.ts"
import { publishBytes } from "../support/packets.ts"

const MIB = 1024 * 1024

/** Opened and closed by a test; those who come while it is closed wait. */
class Gate {
  #waiting: Array<() => void> | undefined

  close(): void {
    this.#waiting ??= []
  }

  open(): void {
    const waiting = this.#waiting ?? []
    this.#waiting = undefined
    for (const pass of waiting) pass()
  }

  readonly passed: Effect.Effect<void> = Effect.callback((resume) => {
    if (this.#waiting === undefined) resume(Effect.void)
    else this.#waiting.push(() => resume(Effect.void))
  })
}

const commits = new Gate()
const reads = new Gate()
let failure: StoreFailure | undefined
let broker: DurableBroker

/** The same one for every start: what is committed survives. */
const openGated = () => {
  const memory = Effect.runSync(Effect.scoped(openMemory))
  return Effect.succeed(engineWith(memory, {
    commit: (changes, now) =>
      Effect.andThen(
        commits.passed,
        Effect.suspend(() => failure === undefined ? memory.commit(changes, now) : Effect.fail(failure))
      ),
    readDeliveries: (session, after, limit) =>
      Effect.andThen(reads.passed, memory.readDeliveries(session, after, limit))
  }))
}

const begin = async (store: Partial<Settings["store"]>, connection: Partial<Settings["connection"]> = {}) => {
  broker = new DurableBroker((settings) => ({
    ...settings,
    connection: { ...settings.connection, ...connection },
    store: { ...settings.store, retryIntervalMillis: 100, ...store }
  }), openGated())
  await broker.start()
}

beforeEach(() => {
  failure = undefined
})
afterEach(async () => {
  commits.open()
  reads.open()
  await broker.stop()
})

/** A durable session that is away, subscribed to "q". */
const away = async () => {
  const subscriber = await broker.durable(5, "s")
  await subscriber.subscribe("q", 1)
  await subscriber.disconnect()
  const other = await broker.connect(5, { clientId: "other" })
  while (broker.broker.sessions.get("s")?.connected !== false) await other.ping()
  return other
}

describe("while the store is slow", () => {
  it("store.max_held_answers: a publisher with so many answers waiting is not read, and is answered in the end", async () => {
    await begin({ maxHeldAnswers: 4 })
    const other = await away()
    const { counters } = broker.broker
    const publisher = await broker.connect(5, { clientId: "p" })
    commits.close()
    publisher.send(...[1, 2, 3, 4, 5, 6].map((messageId) => publishBytes(5, 0x32, "q", { messageId, payload: "x" })))
    while (counters.connections_held_total === 0) await other.ping()
    await other.ping()
    expect(counters.messages_received_qos1_total).toBe(4)
    commits.open()
    for (const messageId of [1, 2, 3, 4, 5, 6]) await publisher.receive("puback", { messageId, reasonCode: 0 })
    expect(counters.connections_held_total).toBe(1)
  })

  it("store.max_pending: who publishes more than has room is not read until the next commit", async () => {
    await begin({ maxPendingBytes: MIB })
    const other = await away()
    const { counters, services } = broker.broker
    const publisher = await broker.connect(5, { clientId: "p" })
    const retaining = await broker.connect(5, { clientId: "r" })
    commits.close()
    const payload = "x".repeat(300_000)
    // The first is in the group that is being committed.
    publisher.send(publishBytes(5, 0x32, "q", { messageId: 9, payload: "first" }))
    while (services.journal.group === 1 || counters.messages_received_qos1_total === 0) await other.ping()
    for (let messageId = 1; messageId <= 8; messageId++) {
      publisher.send(publishBytes(5, 0x32, "q", { messageId, payload }))
    }
    while (counters.connections_held_total === 0) await other.ping()
    expect(services.journal.pendingBytes).toBeGreaterThan(MIB)
    expect(services.journal.pendingBytes).toBeLessThan(2 * MIB)
    // Nothing is to be answered here: the first goes in, the second waits.
    for (const topic of ["r/1", "r/2"]) retaining.send(publishBytes(5, 0x31, topic, { payload: "kept" }))
    while (counters.connections_held_total === 1) await other.ping()
    await other.ping()
    expect(counters.messages_received_qos0_total).toBe(1)
    commits.open()
    for (const messageId of [9, 1, 2, 3, 4, 5, 6, 7, 8]) {
      await publisher.receive("puback", { messageId, reasonCode: 0 })
    }
    await retaining.ping()
    expect(services.retainer.count).toBe(2)
    expect(counters.retained_rejected_total).toBe(0)
  })

  it("who is not read for it is not timed out for its silence", async () => {
    await begin({ maxHeldAnswers: 1 }, { keepAliveMultiplier: 1 })
    const other = await away()
    const publisher = await broker.connect(5, { clientId: "p", keepalive: 1 })
    const subscriber = await broker.durable(5, "s2", { keepalive: 1 })
    commits.close()
    publisher.send(publishBytes(5, 0x32, "q", { messageId: 1, payload: "x" }))
    subscriber.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "z", qos: 1 }] })
    while (broker.broker.counters.connections_held_total === 0) await other.ping()
    // One that came later and may be timed out has been.
    const silent = await broker.connect(5, { clientId: "silent", keepalive: 1 })
    await silent.expectRefused(0x8d)
    commits.open()
    await publisher.receive("puback", { messageId: 1, reasonCode: 0 })
    await subscriber.receive("suback", { messageId: 1 })
    await publisher.ping()
    await subscriber.ping()
  })

  it("acknowledgements before the session is read from the store: a client with so many is not read on", async () => {
    await begin({ maxHeldAnswers: 4 })
    const publisher = await away()
    for (let messageId = 1; messageId <= 2; messageId++) await publisher.publish("q", "x", { qos: 1, messageId })
    await broker.restart()
    const { counters } = broker.broker
    reads.close()
    const again = await broker.durable(5, "s")
    const other = await broker.connect(5, { clientId: "other" })
    let others = counters.packets_received_total
    for (let messageId = 1; messageId <= 6; messageId++) again.send({ cmd: "puback", messageId })
    again.send({ cmd: "pingreq" })
    for (; counters.connections_held_total === 0; others++) await other.ping()
    await other.ping()
    expect(counters.packets_received_total - others - 1).toBe(4)
    reads.open()
    await again.acknowledge(await again.receive("publish", { payload: "x" }))
    await again.acknowledge(await again.receive("publish", { payload: "x" }))
    await again.receive("pingresp")
  })
})

describe("while the store fails", () => {
  it("retained messages of QoS 0 are kept up to store.max_pending, then delivered and not retained", async () => {
    await begin({ maxPendingBytes: MIB })
    const { counters, services } = broker.broker
    const subscriber = await broker.connect(5, { clientId: "s" })
    await subscriber.subscribe("r/#", 0)
    const publisher = await broker.connect(5, { clientId: "p" })
    failure = storeFailure("full", "no space left")
    await publisher.publish("r/0", "x", { retain: true })
    while (services.journal.failing === null) await publisher.ping()
    const payload = "x".repeat(100_000)
    for (let count = 1; count <= 20; count++) await publisher.publish(`r/${count}`, payload, { retain: true })
    await publisher.publish("r/1", "", { retain: true })
    expect(services.retainer.get("r/1")?.payload.length).toBe(payload.length)
    expect(services.retainer.count).toBeGreaterThan(5)
    expect(services.retainer.count + counters.retained_rejected_total).toBe(22)
    expect(services.journal.pendingBytes).toBeLessThan(2 * MIB)
    // All were delivered.
    await subscriber.receivePublishes(22)
    failure = undefined
    while (services.journal.failing !== null) await publisher.ping()
    await publisher.publish("r/after", "x", { retain: true })
    expect(services.retainer.get("r/after")?.payload.toString()).toBe("x")
  })
})
