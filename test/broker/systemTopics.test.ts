// `$SYS` of a real broker, as its clients see it.
import { afterEach, assert, describe, it } from "@effect/vitest"
import type { Settings } from "../../src/config/Settings.ts"
import { type InnerBroker, startInnerBroker } from "../support/innerBroker.ts"
import type { TestClient } from "../support/TestClient.ts"

const node = "emqttd@127.0.0.1"
const prefix = `$SYS/brokers/${node}/`

let inner: InnerBroker | undefined
afterEach(() => inner?.stop())

const startWith = async (sys: Partial<Settings["sys"]>): Promise<InnerBroker> =>
  inner = await startInnerBroker((settings) => ({ ...settings, sys: { ...settings.sys, ...sys } }))

interface Published {
  readonly topic: string
  readonly payload: string
  readonly retain: boolean
}

const published = async (client: TestClient): Promise<Published> => {
  const packet = await client.receive("publish")
  if (packet.qos === 1) client.send({ cmd: "puback", messageId: packet.messageId ?? 0 })
  return { topic: packet.topic, payload: packet.payload.toString(), retain: packet.retain }
}

/** What is retained, by topic; a heartbeat may come in between. */
const replayed = async (client: TestClient, count: number): Promise<Map<string, string>> => {
  const found = new Map<string, string>()
  while (found.size < count) {
    const { payload, retain, topic } = await published(client)
    if (retain) found.set(topic, payload)
  }
  return found
}

/** Up to the one with this topic. */
const upTo = async (client: TestClient, topic: string): Promise<Map<string, string>> => {
  const found = new Map<string, string>()
  while (!found.has(topic)) {
    const one = await published(client)
    found.set(one.topic, one.payload)
  }
  return found
}

describe("$SYS", () => {
  it("a new subscriber gets what is retained at once, then uptime and datetime, then statistics and counters", async () => {
    const { broker, connect } = await startWith({ intervalMillis: 2_000 })
    const client = await connect(4)
    const changes = broker.services.journal.changes
    await client.subscribe("$SYS/brokers/#")
    const retained = await replayed(client, 3)
    assert.strictEqual(retained.get("$SYS/brokers"), node)
    assert.match(retained.get(`${prefix}version`) ?? "", /^\d+\.\d+\.\d+/)
    assert.match(retained.get(`${prefix}sysdescr`) ?? "", /^emqttd/)
    const reports = await upTo(client, `${prefix}metrics/messages/acked`)
    assert.match(reports.get(`${prefix}uptime`) ?? "", /^\d seconds$/)
    assert.match(reports.get(`${prefix}datetime`) ?? "", /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/)
    const stats = (name: string) => reports.get(`${prefix}stats/${name}`)
    assert.deepStrictEqual(
      [stats("clients/count"), stats("sessions/max"), stats("subscriptions/count"), stats("retained/count")],
      ["1", "1", "1", "0"]
    )
    const metrics = (name: string) => reports.get(`${prefix}metrics/${name}`)
    assert.strictEqual(metrics("packets/connect"), "1")
    assert.strictEqual(metrics("packets/connack"), "1")
    assert.strictEqual(metrics("packets/subscribe"), "1")
    assert.strictEqual(metrics("packets/suback"), "1")
    // What is sent of `$SYS` itself is not counted.
    assert.strictEqual(metrics("messages/sent"), "0")
    assert.strictEqual(metrics("packets/publish/sent"), "0")
    assert.strictEqual(broker.services.retainer.count, 0)
    // Nothing of it is stored.
    assert.strictEqual(broker.services.journal.changes, changes)
  })

  it("wildcards at the first level do not find it [MQTT-4.7.2-1]", async () => {
    const { connect } = await startWith({ intervalMillis: 1_000 })
    const everything = await connect(5)
    await everything.subscribe("#")
    await everything.subscribe("+/brokers/#")
    const own = await connect(5)
    await own.subscribe("$SYS/brokers/+/metrics/messages/acked")
    await published(own)
    await everything.expectNothing()
  })

  it("nobody publishes there, whatever the rules say; nor by a will", async () => {
    const { broker, connect, lines } = await startWith({ intervalMillis: 3_600_000, heartbeatMillis: 3_600_000 })
    const watcher = await connect(5)
    await watcher.subscribe("$SYS/forged/#")
    const forger = await connect(5, {
      clientId: "forger",
      will: { topic: "$SYS/forged/will", payload: Buffer.from("x"), qos: 1, retain: true }
    })
    for (const [messageId, topic] of [[1, `${prefix}version`], [2, "$SYS/forged/a"], [3, "$SYS"]] as const) {
      forger.send({ cmd: "publish", topic, payload: "x", qos: 1, messageId, dup: false, retain: true })
      await forger.receive("puback", { messageId, reasonCode: 0x87 })
    }
    forger.send({ cmd: "publish", topic: "$SYSTEM/a", payload: "x", qos: 1, messageId: 4, dup: false, retain: false })
    await forger.receive("puback", { messageId: 4, reasonCode: 0x10 })
    forger.send("00 00")
    await forger.receive("disconnect")
    await forger.expectClosed()
    await watcher.expectNothing()
    await watcher.subscribe(`${prefix}version`)
    assert.notStrictEqual((await published(watcher)).payload, "x")
    assert.strictEqual(broker.counters.messages_denied_total, 3)
    assert.strictEqual(broker.counters.wills_denied_total, 1)
    assert.include(lines.join("\n"), "only the broker publishes there")
  })

  it("clients that come and go, and why they went", async () => {
    const { broker, connect, open } = await startWith({ intervalMillis: 0 })
    const watcher = await connect(5, { clientId: "watcher" })
    await watcher.subscribe(`${prefix}clients/#`, 1)
    const event = async (clientId: string, name: "connected" | "disconnected"): Promise<Record<string, unknown>> => {
      const { payload, retain, topic } = await published(watcher)
      assert.strictEqual(topic, `${prefix}clients/${clientId}/${name}`)
      assert.isFalse(retain)
      return JSON.parse(payload)
    }
    const polite = await connect(4, { clientId: "polite", username: "joe", clean: false, keepalive: 30 })
    const { connected_at, ts, ...came } = await event("polite", "connected")
    assert.strictEqual(ts, Math.floor(Number(connected_at) / 1000))
    assert.deepStrictEqual(came, {
      clientid: "polite",
      username: "joe",
      ipaddress: "127.0.0.1",
      session: true,
      protocol: 4,
      connack: 0,
      clean_start: false,
      keepalive: 30,
      expiry_interval: 7200,
      proto_name: "MQTT",
      proto_ver: 4
    })
    polite.send({ cmd: "disconnect" })
    const { reason, username } = await event("polite", "disconnected")
    assert.deepStrictEqual({ reason, username }, { reason: "normal", username: "joe" })

    const reasonOf = async (clientId: string): Promise<unknown> => (await event(clientId, "disconnected"))["reason"]
    const rude = await connect(5, { clientId: "rude" })
    await event("rude", "connected")
    rude.drop()
    assert.strictEqual(await reasonOf("rude"), "closed")

    await connect(5, { clientId: "twice" })
    await event("twice", "connected")
    const second = await connect(5, { clientId: "twice" })
    const seen = [await published(watcher), await published(watcher)].map(({ payload, topic }) =>
      `${topic.slice(topic.lastIndexOf("/") + 1)} ${JSON.parse(payload).reason ?? ""}`
    )
    assert.deepStrictEqual(seen.toSorted(), ["connected ", "disconnected conflict"])

    second.send("00 00")
    assert.strictEqual(await reasonOf("twice"), "malformed_packet")

    const kicked = await connect(4, { clientId: "a+b" })
    await event("a%2Bb", "connected")
    for (const listener of broker.listeners) {
      for (const connection of listener.connections) {
        if (connection.clientId === "a+b") connection.post({ _tag: "Close", reasonCode: 0x98, reason: "" })
      }
    }
    assert.strictEqual(await reasonOf("a%2Bb"), "kick")
    await kicked.expectClosed()

    // Who was never let in has not come and cannot go.
    const refused = await open(3)
    refused.sendConnect({ clientId: "x".repeat(2_000) })
    await refused.expectConnectRefused(0x85, 2)
    await watcher.expectNothing()
    assert.strictEqual(broker.counters.clients_connected_total - broker.counters.clients_disconnected_total, 1)
  })

  it("presence = false and interval = 0: nothing at all", async () => {
    const { broker, connect } = await startWith({ intervalMillis: 0, presence: false, mosquitto: true })
    const watcher = await connect(5)
    await watcher.subscribe("$SYS/#")
    await connect(5)
    await watcher.expectNothing()
    assert.notInclude(JSON.stringify(broker.tree()), '"sys"')
  })

  it("mosquitto = true: its topics too, retained", async () => {
    const { connect } = await startWith({ intervalMillis: 3_600_000, heartbeatMillis: 3_600_000, mosquitto: true })
    const client = await connect(3)
    await client.subscribe("$SYS/broker/clients/#")
    assert.deepStrictEqual([...(await replayed(client, 6)).keys()].toSorted(), [
      "$SYS/broker/clients/active",
      "$SYS/broker/clients/connected",
      "$SYS/broker/clients/disconnected",
      "$SYS/broker/clients/inactive",
      "$SYS/broker/clients/maximum",
      "$SYS/broker/clients/total"
    ])
  })

  it("acknowledgements of nothing are counted as missed", async () => {
    const { broker, connect } = await startWith({})
    const client = await connect(5)
    client.send({ cmd: "puback", messageId: 7, reasonCode: 0 })
    client.send({ cmd: "pubcomp", messageId: 8, reasonCode: 0 })
    client.send({ cmd: "pubrel", messageId: 9, reasonCode: 0 })
    await client.receive("pubcomp", { messageId: 9 })
    client.send({ cmd: "pingreq" })
    await client.receive("pingresp")
    const counters = broker.counters.snapshot()
    for (
      const [name, value] of [
        ["packets_received_puback_total", 1],
        ["packets_missed_puback_total", 1],
        ["packets_missed_pubcomp_total", 1],
        ["packets_missed_pubrel_total", 1],
        ["packets_sent_pubcomp_total", 1],
        ["packets_received_pingreq_total", 1],
        ["packets_sent_pingresp_total", 1],
        ["packets_sent_connack_total", 1],
        ["packets_received_total", 5],
        ["packets_sent_total", 3]
      ] as const
    ) assert.strictEqual(counters[name], value, name)
  })
})
