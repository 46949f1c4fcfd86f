// The payloads and names of `$SYS`, as the original writes them.
import { assert, describe, it } from "@effect/vitest"
import { Counters } from "../../src/metrics/Counters.ts"
import { connectedJson, disconnectedJson, presenceTopic } from "../../src/sys/clientPresence.ts"
import { MosquittoTree } from "../../src/sys/mosquittoTree.ts"
import { datetimeText, type Gauges, metricsOf, Peaks, uptimeText } from "../../src/sys/Report.ts"

const second = 1_000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

const none: Gauges = { clients: 0, sessions: 0, subscriptions: 0, sharedSubscriptions: 0, routes: 0, retained: 0 }

describe("uptime", () => {
  it.each([
    [0, "0 seconds"],
    [999, "0 seconds"],
    [59 * second, "59 seconds"],
    [minute, "1 minutes, 0 seconds"],
    [hour, "1 hours, 0 minutes, 0 seconds"],
    [hour + 2 * minute + 3 * second, "1 hours, 2 minutes, 3 seconds"],
    [day, "1 days,0 hours, 0 minutes, 0 seconds"],
    [400 * day + 23 * hour + 59 * minute + 59 * second, "400 days,23 hours, 59 minutes, 59 seconds"],
    [-5, "0 seconds"]
  ])("%i ms", (millis, text) => assert.strictEqual(uptimeText(millis), text))
})

describe("datetime", () => {
  it("is local time, every part with two digits", () => {
    const at = new Date(2026, 0, 2, 3, 4, 5).getTime()
    assert.strictEqual(datetimeText(at), "2026-01-02 03:04:05")
  })
})

describe("stats", () => {
  it("count and max of the original's, which stays at the highest that was seen", () => {
    const peaks = new Peaks()
    peaks.look({ ...none, clients: 7, retained: 2 })
    peaks.look({ ...none, clients: 3 })
    const stats = new Map(peaks.stats({ ...none, clients: 5, sessions: 9, routes: 4, subscriptions: 6 }))
    for (
      const [name, value] of [
        ["clients/count", 5],
        ["clients/max", 7],
        ["sessions/count", 9],
        ["sessions/max", 9],
        ["topics/count", 4],
        ["topics/max", 4],
        ["subscribers/count", 6],
        ["subscribers/max", 6],
        ["subscriptions/count", 6],
        ["subscriptions/max", 6],
        ["subscriptions/shared/count", 0],
        ["routes/count", 4],
        ["routes/max", 4],
        ["retained/count", 0],
        ["retained/max", 2]
      ] as const
    ) assert.strictEqual(stats.get(name), value, name)
  })
})

/** Those of 2.3.11. */
const original = [
  ...["bytes/received", "bytes/sent", "packets/received", "packets/sent", "packets/connect", "packets/connack"],
  ...["packets/publish/received", "packets/publish/sent", "packets/subscribe", "packets/suback"],
  ...["packets/unsubscribe", "packets/unsuback", "packets/pingreq", "packets/pingresp", "packets/disconnect"],
  ...["puback", "pubrec", "pubrel", "pubcomp"].flatMap((name) =>
    ["received", "sent", "missed"].map((way) => `packets/${name}/${way}`)
  ),
  ...["messages/received", "messages/sent", "messages/qos2/dropped", "messages/retained", "messages/dropped"],
  ...[0, 1, 2].flatMap((qos) => [`messages/qos${qos}/received`, `messages/qos${qos}/sent`])
]

describe("metrics", () => {
  it("has all of 2.3.11, each name once", () => {
    const names = metricsOf(new Counters(), none).map(([name]) => name)
    assert.deepStrictEqual(original.filter((name) => !names.includes(name)), [])
    assert.strictEqual(new Set(names).size, names.length)
  })

  it("each is its own count", () => {
    const counters = new Counters()
    for (let type = 1; type < 16; type++) {
      for (let n = 0; n < type; n++) counters.packetReceived(type)
      for (let n = 0; n < 100 + type; n++) counters.packetSent(type)
      for (let n = 0; n < 10 + type; n++) counters.acknowledgementMissed(type)
    }
    counters.sent[3] = 0
    counters.messages_sent_qos0_total = 1
    counters.messages_sent_qos1_total = 2
    counters.messages_sent_qos2_total = 4
    counters.deliveries_dropped_queue_full_total = 3
    counters.messages_no_subscribers_total = 5
    const metrics = new Map(metricsOf(counters, { ...none, retained: 6 }))
    const shown = (names: ReadonlyArray<string>) => names.map((name) => `${name} ${metrics.get(name)}`)
    assert.deepStrictEqual(
      shown(["packets/connect", "packets/connack", "packets/pingreq", "packets/pingresp", "packets/disconnect"]),
      [
        "packets/connect 1",
        "packets/connack 102",
        "packets/pingreq 12",
        "packets/pingresp 113",
        "packets/disconnect 14"
      ]
    )
    assert.deepStrictEqual(shown(["packets/pubrel/received", "packets/pubrel/sent", "packets/pubrel/missed"]), [
      "packets/pubrel/received 6",
      "packets/pubrel/sent 106",
      "packets/pubrel/missed 16"
    ])
    assert.deepStrictEqual(shown(["packets/publish/received", "packets/publish/sent", "packets/received"]), [
      "packets/publish/received 3",
      "packets/publish/sent 7",
      "packets/received 120"
    ])
    assert.deepStrictEqual(shown(["messages/dropped", "messages/retained"]), [
      "messages/dropped 8",
      "messages/retained 6"
    ])
  })
})

describe("messages about clients", () => {
  const client = { clientId: "c/1", userName: "joe", peer: "::1:4711", version: 4 } as const

  it("connected: the original's fields, and EMQX's", () => {
    const terms = { cleanStart: false, keepAliveSeconds: 60, expiryMillis: Infinity }
    assert.deepStrictEqual(JSON.parse(connectedJson(client, terms, 1_700_000_000_900)), {
      clientid: "c/1",
      username: "joe",
      ipaddress: "::1",
      session: true,
      protocol: 4,
      connack: 0,
      ts: 1_700_000_000,
      clean_start: false,
      keepalive: 60,
      expiry_interval: 4_294_967_295,
      proto_name: "MQTT",
      proto_ver: 4,
      connected_at: 1_700_000_000_900
    })
  })

  it("disconnected", () => {
    const nobody = { ...client, userName: undefined, version: 3 } as const
    assert.deepStrictEqual(JSON.parse(disconnectedJson(nobody, "closed", 2_500)), {
      clientid: "c/1",
      username: null,
      ipaddress: "::1",
      reason: "closed",
      ts: 2,
      proto_ver: 3,
      disconnected_at: 2_500
    })
  })

  it.each([
    ["a/b", "$SYS/brokers/n@h/clients/a/b/connected"],
    ["+#a+", "$SYS/brokers/n@h/clients/%2B%23a%2B/connected"],
    ["x".repeat(65_535), undefined]
  ])("a topic that is one, whatever the client id: %s", (clientId, topic) => {
    assert.strictEqual(presenceTopic("$SYS/brokers/n@h/", clientId, "connected"), topic)
  })
})

describe("Mosquitto's tree", () => {
  const figures = { ...none, clients: 2, sessions: 5, maximum: 3, heapBytes: 1, uptimeMillis: 61_500, version: "1.2.3" }

  it("has its texts and figures", () => {
    const topics = new Map(new MosquittoTree().topics(new Counters(), figures, 60))
    assert.strictEqual(topics.get("version"), "emqttd version 1.2.3")
    assert.strictEqual(topics.get("uptime"), "61 seconds")
    assert.strictEqual(topics.get("clients/connected"), "2")
    assert.strictEqual(topics.get("clients/disconnected"), "3")
    assert.strictEqual(topics.get("clients/maximum"), "3")
    assert.strictEqual(topics.get("retained messages/count"), "0")
  })

  it("a load comes near a steady rate and falls when it ends", () => {
    const counters = new Counters()
    const tree = new MosquittoTree()
    const load = () => Number(new Map(tree.topics(counters, figures, 60)).get("load/bytes/received/1min"))
    assert.strictEqual(load(), 0)
    counters.bytes_received_total += 600
    // The first minute of it: 1 - 1/e of the rate.
    assert.closeTo(load(), 600 * (1 - Math.exp(-1)), 0.01)
    for (let n = 0; n < 20; n++) {
      counters.bytes_received_total += 600
      load()
    }
    counters.bytes_received_total += 600
    assert.closeTo(load(), 600, 0.01)
    assert.closeTo(load(), 600 * Math.exp(-1), 0.01)
  })
})
