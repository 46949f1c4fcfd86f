// The rates of [limits] as clients meet them: slower, refused, sent away; by client and by address.
import { afterEach, assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { LimitsSettings } from "../../src/config/Settings.ts"
import { type InnerBroker, startInnerBroker } from "../support/innerBroker.ts"
import type { TestClient } from "../support/TestClient.ts"

let broker: InnerBroker
afterEach(() => broker.stop())

const start = async (limits: Partial<LimitsSettings>) => {
  broker = await startInnerBroker((settings) => ({
    ...settings,
    limits: { ...settings.limits, ...limits },
    log: { ...settings.log, level: "warning" }
  }))
  return broker.broker.counters
}

const publish = (topic: string, qos: 0 | 1 | 2, messageId: number, payload: string | Buffer = "x") =>
  ({ cmd: "publish", topic, payload, qos, messageId, dup: false, retain: false }) as const

const now = () => performance.now()

const send = (client: TestClient, count: number, qos: 0 | 1, payload?: Buffer) =>
  client.send(...Array.from({ length: count }, (_, index) => publish("t", qos, index + 1, payload ?? `${index}`)))

const acknowledged = async (client: TestClient, count: number) => {
  for (let messageId = 1; messageId <= count; messageId++) await client.receive("puback", { messageId })
}

describe('limits.when_exceeded = "slow"', () => {
  it.each([4, 5] as const)(
    "MQTT level %i: nothing is lost, in order, no faster than the rate; others are not slowed",
    async (version) => {
      const counters = await start({ messageRate: 40, messageBurst: 8 })
      const watcher = await broker.connect(version)
      await watcher.subscribe("t", 0)
      const fast = await broker.connect(version, { clientId: "fast" })
      const other = await broker.connect(version)
      const began = now()
      send(fast, 48, 1)
      await other.publish("o", "x", { qos: 1 })
      await acknowledged(fast, 48)
      // 8 at once, 40 in the second after.
      assert.isAtLeast(now() - began, 950)
      for (let n = 0; n < 48; n++) await watcher.receive("publish", { payload: `${n}` })
      assert.isAtLeast(counters.publishers_rate_exceeded_total, 1)
      assert.strictEqual(counters.messages_rate_refused_total, 0)
      assert.include(
        broker.lines.join("\n"),
        'client publishes faster than its limit {"client_id":"fast","limit":"limits.message_rate","action":"slow"}'
      )
    }
  )

  it("bytes count too, whole packets", async () => {
    await start({ byteRate: 20_000, byteBurst: 4_000 })
    const client = await broker.connect(5)
    const began = now()
    send(client, 6, 1, Buffer.alloc(4_000))
    await acknowledged(client, 6)
    assert.isAtLeast(now() - began, 750)
    assert.include(broker.lines.join("\n"), "limits.byte_rate")
  })

  it("who is not read is not silent: its keep alive does not end it, and it can go while it waits", async () => {
    const counters = await start({ messageRate: 1, byteRate: 2_000, byteBurst: 1 })
    const client = await broker.connect(5, { keepalive: 1 })
    const gone = await broker.connect(5, { keepalive: 1, clientId: "gone" })
    gone.send(publish("t", 0, 0, Buffer.alloc(100_000)), publish("t", 0, 0))
    client.send(publish("t", 1, 1, Buffer.alloc(6_000)), publish("t", 1, 2))
    await client.receive("puback", { messageId: 1 })
    await client.receive("puback", { messageId: 2 })
    assert.strictEqual(counters.connections_timed_out_total, 0)
    gone.drop()
  })
})

describe('limits.when_exceeded = "refuse"', () => {
  it("MQTT 5: PUBACK and PUBREC 0x97, QoS 0 is dropped; nobody gets it; a QoS 2 duplicate is acknowledged as before", async () => {
    const counters = await start({ messageRate: 1, messageBurst: 2, whenExceeded: "refuse" })
    const watcher = await broker.connect(5)
    await watcher.subscribe("t", 2)
    const client = await broker.connect(5)
    client.send(
      publish("t", 2, 1),
      publish("t", 1, 2),
      publish("t", 1, 3),
      publish("t", 2, 4),
      publish("t", 0, 0, "zero")
    )
    await client.receive("pubrec", { messageId: 1, reasonCode: 0 })
    await client.receive("puback", { messageId: 2, reasonCode: 0 })
    await client.receiveBytes("40 03 00 03 97")
    await client.receiveBytes("50 03 00 04 97")
    client.send({ ...publish("t", 2, 1), dup: true })
    await client.receive("pubrec", { messageId: 1, reasonCode: 0 })
    for (const _ of [1, 2]) await watcher.receive("publish", { topic: "t", payload: "x" })
    await watcher.expectNothing()
    assert.isAtLeast(counters.messages_rate_refused_total, 3)
    assert.strictEqual(counters.publishers_rate_exceeded_total, 1)
  })

  it.each([3, 4] as const)("MQTT level %i: QoS 0 is dropped, QoS 1 ends the connection", async (version) => {
    await start({ messageRate: 1, whenExceeded: "refuse" })
    const client = await broker.connect(version)
    client.send(publish("t", 0, 0), publish("t", 0, 0))
    await client.ping()
    client.send(publish("t", 1, 1), publish("t", 1, 2))
    await client.expectRefused(0x97)
  })
})

describe('limits.when_exceeded = "disconnect"', () => {
  it.each([4, 5] as const)("MQTT level %i: the connection ends, MQTT 5 is told 0x97", async (version) => {
    await start({ messageRate: 2, whenExceeded: "disconnect" })
    const client = await broker.connect(version)
    client.send(publish("t", 0, 0), publish("t", 0, 0), publish("t", 0, 0))
    await client.expectRefused(0x97)
  })
})

describe("limits", () => {
  it("a reload changes them for who is connected, published or not", async () => {
    await start({})
    const [early, late] = [await broker.connect(5), await broker.connect(5)]
    await early.publish("t", "x", { qos: 1 })
    const { settings } = broker.broker.services
    const reload = (limits: Partial<LimitsSettings>) =>
      Effect.runPromise(broker.broker.reload({ ...settings, limits: { ...settings.limits, ...limits } }))
    await reload({ messageRate: 1, whenExceeded: "refuse" })
    for (const client of [early, late]) {
      client.send(publish("t", 1, 1), publish("t", 1, 2))
      await client.receive("puback", { messageId: 1, reasonCode: 0x10 })
      await client.receive("puback", { messageId: 2, reasonCode: 0x97 })
    }
    await reload({ messageRate: 1, byteRate: 1, whenExceeded: "slow" })
    early.send(publish("t", 1, 3), publish("t", 1, 4))
    await early.receive("puback", { messageId: 3 })
    // What it was slowed by is gone, and so is its waiting.
    await reload({})
    await early.receive("puback", { messageId: 4 })
    assert.notInclude(broker.lines.join("\n"), "needs a restart")
  })

  it("a zone has its own", async () => {
    broker = await startInnerBroker((settings) => ({
      ...settings,
      listeners: settings.listeners.map((one) => ({ ...one, zone: "field" })),
      zones: [{ name: "field", limits: { messageRate: 1 }, connection: {}, session: {}, queue: {} }],
      limits: { ...settings.limits, whenExceeded: "refuse" }
    }))
    const client = await broker.connect(5)
    client.send(publish("t", 1, 1), publish("t", 1, 2))
    await client.receive("puback", { messageId: 1, reasonCode: 0x10 })
    await client.receive("puback", { messageId: 2, reasonCode: 0x97 })
  })

  it("connections by address: the one above the rate is told 0x9F, and the rate is no overload of its own making", async () => {
    const counters = await start({ connectionRatePerAddress: 2 })
    await broker.connect(5)
    await broker.connect(4)
    for (const version of [5, 4] as const) {
      const client = await broker.open(version)
      client.sendConnect({ clientId: "c" })
      await client.expectConnectRefused(0x9f, 3)
    }
    assert.strictEqual(counters.connections_rate_exceeded_total, 2)
    assert.include(broker.lines.join("\n"), "limits.connection_rate_per_address")
  })
})
