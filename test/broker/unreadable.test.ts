// Stored bytes that make no message, behind a checksum that fits: each is set aside and named, and what is beside it goes on.
import { Effect } from "effect"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, expect, it } from "vitest"
import { hasMore, pageOf } from "../../src/store/Engine.ts"
import { openSqlite } from "../../src/store/sqlite/SqliteEngine.ts"
import { DurableBroker } from "../support/durableBroker.ts"
import { engineWith } from "../support/engineWith.ts"

let spoilt = false
let folder: string
let broker: DurableBroker

const spoil = (packet: Uint8Array): Uint8Array =>
  spoilt && Buffer.from(packet).toString("latin1").includes("bad") ? packet.subarray(0, 3) : packet

/** Bytes of the file itself, so that the checksum of a row does not fit any more. */
let damage = ""
const damageFile = () => {
  const file = join(folder, "store.sqlite")
  if (damage === "") return
  const bytes = readFileSync(file)
  bytes.fill(0x21, bytes.indexOf(damage), bytes.indexOf(damage) + damage.length)
  writeFileSync(file, bytes)
}

const openSpoilt = Effect.suspend(() => {
  damageFile()
  return Effect.map(
    openSqlite({ file: join(folder, "store.sqlite"), durability: "process", log: () => {} }),
    (engine) =>
      engineWith(engine, {
        readSessions: (after, limit) =>
          Effect.map(engine.readSessions(after, limit), (sessions) =>
            sessions.map((one) => {
              const { will } = one.row
              return will === null
                ? one
                : { ...one, row: { ...one.row, will: { ...will, packet: spoil(will.packet) } } }
            })),
        readDeliveries: (session, after, limit) =>
          Effect.map(
            engine.readDeliveries(session, after, limit),
            (page) =>
              pageOf(
                page.map((row) => ({ ...row, stored: { ...row.stored, packet: spoil(row.stored.packet) } })),
                hasMore(page, limit)
              )
          ),
        readRetained: (after, limit) =>
          Effect.map(
            engine.readRetained(after, limit),
            (rows) =>
              rows.map(({ message, topic }) => ({ topic, message: { ...message, packet: spoil(message.packet) } }))
          )
      })
  )
})

beforeEach(async () => {
  spoilt = false
  damage = ""
  folder = mkdtempSync(join(tmpdir(), "emqttd-spoilt-"))
  broker = new DurableBroker((same) => same, openSpoilt)
  await broker.start()
})
afterEach(async () => {
  await broker.stop()
  rmSync(folder, { recursive: true, force: true })
})

it("a page of sessions of which nothing can be made: the start fails in one line", async () => {
  await broker.stop()
  const failing = Effect.map(openSpoilt, (engine) =>
    engineWith(engine, {
      readSessions: () =>
        Effect.sync(() => {
          throw new Error("a defect")
        })
    }))
  broker = new DurableBroker((same) => same, failing)
  await expect(broker.start()).rejects.toThrow("the store's sessions after number 0 cannot be read: Error: a defect")
})

it("a queued message, a retained one and a will that cannot be read cost themselves and nothing else", async () => {
  const will = { topic: "w", payload: Buffer.from("bad"), qos: 0, retain: false } as const
  const subscriber = await broker.durable(5, "s", { will, properties: { sessionExpiryInterval: 1000 } })
  await subscriber.subscribe("q", 1)
  const publisher = await broker.connect(5, { clientId: "p" })
  await publisher.publish("r/1", "bad", { qos: 1, retain: true, messageId: 1 })
  await publisher.publish("r/2", "good", { qos: 1, retain: true, messageId: 2 })
  subscriber.drop()
  while (broker.broker.sessions.get("s")?.connected !== false) await publisher.ping()
  for (const [at, payload] of ["one", "bad", "two"].entries()) {
    await publisher.publish("q", payload, { qos: 1, messageId: at + 3 })
  }
  spoilt = true
  await broker.restart()
  const again = await broker.durable(5, "s")
  expect(again.connack.sessionPresent).toBe(true)
  await again.acknowledge(await again.receive("publish", { payload: "one" }))
  await again.acknowledge(await again.receive("publish", { payload: "two" }))
  expect(broker.broker.counters.store_deliveries_unreadable_total).toBe(1)
  await again.subscribe("r/#", 1)
  await again.acknowledge(await again.receive("publish", { payload: "good" }))
  await again.expectNothing()
})

it("a damaged row early in a long backlog costs itself alone", async () => {
  const subscriber = await broker.durable(5, "s")
  await subscriber.subscribe("q", 1)
  await subscriber.disconnect()
  const publisher = await broker.connect(5, { clientId: "p" })
  while (broker.broker.sessions.get("s")?.connected !== false) await publisher.ping()
  const payloadOf = (at: number) => at === 10 ? "the damaged one" : `number ${at}`
  for (let at = 1; at <= 600; at++) await publisher.publish("q", payloadOf(at), { qos: 1 })
  damage = "the damaged one"
  await broker.restart()
  const again = await broker.durable(5, "s")
  for (let at = 1; at <= 600; at++) {
    if (at !== 10) await again.acknowledge(await again.receive("publish", { payload: payloadOf(at) }))
  }
  await again.expectNothing()
})

it("a page of large messages is cut short, and the next one goes on", async () => {
  const subscriber = await broker.durable(5, "s")
  await subscriber.subscribe("q", 1)
  await subscriber.disconnect()
  const publisher = await broker.connect(5, { clientId: "p" })
  while (broker.broker.sessions.get("s")?.connected !== false) await publisher.ping()
  const large = "x".repeat(200_000)
  for (let at = 1; at <= 40; at++) await publisher.publish("q", `${at} ${large}`, { qos: 1 })
  await broker.restart()
  const again = await broker.durable(5, "s")
  for (let at = 1; at <= 40; at++) {
    const publish = await again.receive("publish")
    expect(parseInt(publish.payload.toString(), 10)).toBe(at)
    await again.acknowledge(publish)
  }
  await again.expectNothing()
})
