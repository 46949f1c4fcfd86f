// Deliveries of a shared subscription that were queued before a restart: when their session ends they go to another member, as before it.
import { Effect } from "effect"
import { afterEach, beforeEach, expect, it } from "vitest"
import { openMemory } from "../../src/store/MemoryEngine.ts"
import { DurableBroker } from "../support/durableBroker.ts"
import type { TestClient } from "../support/TestClient.ts"
import { changes, session, subscription } from "../store/rows.ts"

let broker: DurableBroker
beforeEach(async () => {
  broker = await new DurableBroker().start()
})
afterEach(() => broker.stop())

/** The one member, "a", is away with `count` messages on "q", every other with QoS 2, and one on "own"; then the broker is started again. */
const queued = async (count: number) => {
  const a = await broker.durable(5, "a")
  await a.subscribe("$share/g/q", 2)
  await a.subscribe("own", 1)
  await a.disconnect()
  const publisher = await broker.connect(5, { clientId: "p" })
  while (broker.broker.sessions.get("a")?.connected !== false) await publisher.ping()
  await publisher.publish("own", "own", { qos: 1 })
  for (let at = 1; at <= count; at++) await publisher.publish("q", `${at}`, { qos: at % 2 === 0 ? 2 : 1 })
  await broker.crash()
}

const receives = async (client: TestClient, first: number, last: number) => {
  const publishes = []
  for (let at = first; at <= last; at++) publishes.push(await client.receive("publish", { payload: `${at}` }))
  for (const publish of publishes) await client.acknowledge(publish)
}

const endOf = async (clientId: string, client: TestClient) => {
  broker.broker.sessions.cast({ _tag: "End", clientId, reasonCode: 0x98, reason: "" })
  while (broker.broker.sessions.get(clientId) !== undefined) await client.ping()
}

it("they go to a member that is connected, in their order, and what is not shared is dropped", async () => {
  await queued(30)
  const b = await broker.durable(5, "b")
  await b.subscribe("$share/g/q", 2)
  broker.broker.sessions.cast({ _tag: "End", clientId: "a", reasonCode: 0x98, reason: "" })
  await receives(b, 1, 30)
  await b.expectNothing()
  const { counters, journal } = broker.broker.services
  expect(counters.shared_redispatched_total).toBe(30)
  expect(counters.deliveries_dropped_session_ended_total).toBe(1)
  await new Promise<void>((resolve) => journal.whenIdle(resolve))
  // Nothing is left of it in the store, and nothing comes twice.
  await broker.crash()
  expect(broker.broker.sessions.get("a")).toBeUndefined()
  const again = await broker.durable(5, "b")
  await again.expectNothing()
})

it("a clean start of their client is an end too", async () => {
  await queued(3)
  const b = await broker.durable(5, "b")
  await b.subscribe("$share/g/q", 2)
  const a = await broker.connect(5, { clientId: "a", clean: true, properties: { sessionExpiryInterval: 1000 } })
  expect(a.connack.sessionPresent).toBe(false)
  await receives(b, 1, 3)
  await a.expectNothing()
  await new Promise<void>((resolve) => broker.broker.services.journal.whenIdle(resolve))
  await broker.crash()
  const again = await broker.durable(5, "a")
  expect(again.connack.sessionPresent).toBe(true)
  await again.expectNothing()
})

it("what its client had read back goes when it disconnects", async () => {
  await queued(4)
  const b = await broker.durable(5, "b")
  await b.subscribe("$share/g/q", 1)
  // With room for one at a time, and none acknowledged.
  const properties = { sessionExpiryInterval: 1000, receiveMaximum: 1 }
  const a = await broker.durable(5, "a", { properties })
  await a.receive("publish", { payload: "own" })
  a.drop()
  await receives(b, 1, 4)
  await endOf("a", b)
  await b.expectNothing()
})

it("nobody else is there: they end with their session", async () => {
  await queued(2)
  const other = await broker.connect(5, { clientId: "other" })
  await endOf("a", other)
  const { counters, journal } = broker.broker.services
  while (counters.deliveries_dropped_session_ended_total < 3) await other.ping()
  await new Promise<void>((resolve) => journal.whenIdle(resolve))
  await broker.crash()
  expect(broker.broker.sessions.get("a")).toBeUndefined()
})

it("killed in between, the store has two sessions of one client: the later one is its session", async () => {
  await broker.stop()
  const memory = Effect.runSync(Effect.scoped(openMemory))
  const rows = [1, 2].map((number) => session(number, { clientId: "a", connected: false, expiresAt: Infinity }))
  await Effect.runPromise(memory.commit(
    changes({ sessions: rows, subscriptions: [subscription(1, "old"), subscription(2, "new")] }),
    1
  ))
  broker = await new DurableBroker((same) => same, Effect.succeed(memory)).start()
  const a = await broker.durable(5, "a")
  expect(a.connack.sessionPresent).toBe(true)
  const publisher = await broker.connect(5, { clientId: "p" })
  await publisher.publish("old", "1", { qos: 1 })
  await publisher.publish("new", "2", { qos: 1 })
  await a.acknowledge(await a.receive("publish", { payload: "2" }))
  await a.expectNothing()
  const left = await Effect.runPromise(memory.readSessions(0, 9))
  expect(left.map(({ row }) => row.session)).toEqual([2])
})
