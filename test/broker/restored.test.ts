// What a session that was read from the store keeps of its listener and its client: the limits of its zone, and whose its will is.
import { Effect } from "effect"
import { mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, expect, it } from "vitest"
import { storeFailure } from "../../src/store/Engine.ts"
import { openMemory } from "../../src/store/MemoryEngine.ts"
import { changes, session } from "../store/rows.ts"
import { DurableBroker } from "../support/durableBroker.ts"
import { engineWith } from "../support/engineWith.ts"

let broker: DurableBroker
afterEach(() => broker.stop())

it("the limits of its listener's zone hold after a restart, and those of the node once the zone is gone", async () => {
  let zones = [{ name: "small", limits: {}, connection: {}, session: {}, queue: { capacity: 2 } }]
  broker = new DurableBroker((settings) => ({
    ...settings,
    zones,
    listeners: settings.listeners.map((listener) => ({ ...listener, zone: "small" }))
  }))
  await broker.start()
  const subscriber = await broker.durable(5, "s")
  await subscriber.subscribe("q", 1)
  await subscriber.disconnect()
  const publishThree = async (first: number) => {
    const publisher = await broker.connect(5, { clientId: "p" })
    for (const at of [0, 1, 2]) await publisher.publish("q", `${first + at}`, { qos: 1, messageId: 1 + at })
    await publisher.disconnect()
  }
  await broker.restart()
  await publishThree(1)
  expect(broker.broker.sessions.get("s")?.owed).toBe(2)
  zones = []
  await broker.restart()
  await publishThree(4)
  expect(broker.broker.sessions.get("s")?.owed).toBe(5)
})

it("a will is judged after a crash as the will of who it is, under its mount point", async () => {
  const folder = mkdtempSync(join(tmpdir(), "emqttd-rules-"))
  const file = join(folder, "acl.conf")
  writeFileSync(file, '{allow, {user, "bob"}, publish, ["w"]}.\n{deny, all, publish, ["w"]}.\n{allow, all}.\n')
  broker = new DurableBroker((settings) => ({
    ...settings,
    authorization: { ...settings.authorization, sources: [{ type: "acl_config", path: file }] },
    listeners: settings.listeners.map((listener) => ({ ...listener, mountpoint: "m/" }))
  }))
  await broker.start()
  const watch = await broker.durable(5, "watch")
  await watch.subscribe("w", 1)
  const properties = { sessionExpiryInterval: 1000 }
  for (const username of ["bob", "eve"]) {
    const will = { topic: "w", payload: Buffer.from(username), qos: 1, retain: false } as const
    await broker.durable(5, username, { username, will, properties })
  }
  await broker.crash()
  const again = await broker.durable(5, "watch")
  await again.acknowledge(await again.receive("publish", { topic: "w", payload: "bob" }))
  await again.expectNothing()
  expect(broker.broker.counters.wills_denied_total).toBe(1)
  rmSync(folder, { recursive: true })
})

it("killed after its store had failed for hours: who was connected until then counts as cut off then", async () => {
  const hour = 3_600_000
  const now = Date.now()
  const memory = Effect.runSync(Effect.scoped(openMemory))
  const row = (number: number, expiryMillis: number) => session(number, { clientId: `c${number}`, expiryMillis })
  await Effect.runPromise(memory.commit(changes({ sessions: [row(1, hour / 2), row(2, 5 * hour)] }), 1))
  let full = false
  const engine = engineWith(memory, {
    highest: { session: 2, message: 0, committedAt: now - 3 * hour },
    commit: (some, at) =>
      Effect.suspend(() => full ? Effect.fail(storeFailure("full", "no space")) : memory.commit(some, at))
  })
  let folder = ""
  broker = new DurableBroker((settings) => {
    folder = settings.node.dataDir
    return { ...settings, store: { ...settings.store, retryIntervalMillis: 100 } }
  }, Effect.succeed(engine))
  await broker.start()
  // Nothing says that it lived longer than its last commit.
  const client = await broker.connect(5, { clientId: "p" })
  while (broker.broker.sessions.get("c1") !== undefined) await client.ping()
  expect(broker.broker.sessions.get("c2")).toBeDefined()
  const file = join(folder, "store.alive")
  expect(statSync(file).mtimeMs).toBe(0)
  full = true
  await client.publish("r", "x", { retain: true })
  while (statSync(file).mtimeMs < now - 1000) await client.ping()
  full = false
  while (broker.broker.services.journal.failing !== null) await client.ping()
  await Effect.runPromise(memory.commit(changes({ sessions: [row(3, hour / 2)] }), 1))
  utimesSync(file, (now - hour / 4) / 1000, (now - hour / 4) / 1000)
  await broker.restart()
  expect(broker.broker.sessions.get("c3")).toBeDefined()
})
