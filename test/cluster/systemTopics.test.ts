// `$SYS` of several whole brokers: a client of any node sees what all of them say, each word once.
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { TestClient } from "../support/TestClient.ts"
import { BrokerCluster, type ClusteredBroker, until } from "./BrokerCluster.ts"

let cluster: BrokerCluster
beforeEach(() => {
  cluster = new BrokerCluster((settings) => ({ ...settings, sys: { ...settings.sys, intervalMillis: 1_000 } }))
})
afterEach(() => cluster.stop())

const published = async (client: TestClient): Promise<readonly [topic: string, payload: string]> => {
  const { payload, topic } = await client.receive("publish")
  return [topic, payload.toString()]
}

/** What is retained on a node under `$SYS`. */
const retained = ({ broker }: ClusteredBroker, filter: string): ReadonlyArray<string> => {
  const topics: Array<string> = []
  const cursor = broker.services.retainer.cursor(filter)
  for (let message = cursor.next(); message !== undefined; message = cursor.next()) {
    topics.push(`${message.topic} ${message.payload}`)
  }
  return topics.toSorted()
}

describe("$SYS in a cluster", () => {
  it("every node knows all names, versions and descriptions, and what goes with a member", async () => {
    const [a, b, c] = await cluster.start("a", "b", "c")
    if (a === undefined || b === undefined || c === undefined) throw new Error("no node")
    for (const node of [a, b, c]) {
      await until("the names", () => retained(node, "$SYS/brokers")[0] === "$SYS/brokers a,b,c")
      await until("the versions", () => retained(node, "$SYS/brokers/+/version").length === 3)
      assert.lengthOf(retained(node, "$SYS/brokers/+/sysdescr"), 3)
      // It is nothing that nodes tell each other as retained messages, or keep.
      assert.strictEqual(node.broker.services.retainer.count, 0)
    }
    await cluster.kill("c")
    await until("the death of c", () => retained(a, "$SYS/brokers")[0] === "$SYS/brokers a,b")
    // It may come back.
    assert.lengthOf(retained(a, "$SYS/brokers/+/version"), 3)
    await Effect.runPromise(a.broker.cluster?.remove("c") ?? Effect.void)
    for (const node of [a, b]) {
      await until("c is gone", () => retained(node, "$SYS/brokers/c/#").length === 0)
      assert.lengthOf(retained(node, "$SYS/brokers/+/version"), 2)
    }
  })

  it("a node that leaves takes what it said with it, and is alone", async () => {
    const [a, b] = await cluster.start("a", "b")
    if (a === undefined || b === undefined) throw new Error("no node")
    for (const node of [a, b]) await until("the versions", () => retained(node, "$SYS/brokers/+/version").length === 2)
    await Effect.runPromise(b.broker.cluster?.leave([]) ?? Effect.void)
    await until("a is alone", () => retained(a, "$SYS/brokers/#").length === 3)
    assert.strictEqual(retained(a, "$SYS/brokers")[0], "$SYS/brokers a")
    await until("b is alone", () => retained(b, "$SYS/brokers")[0] === "$SYS/brokers b")
  })

  it("statistics of all nodes come to a subscriber of one; `$SYS/brokers` comes once from its own", async () => {
    const [a] = await cluster.start("a", "b")
    if (a === undefined) throw new Error("no node")
    const client = await a.connect(5)
    await client.subscribe("$SYS/brokers/+/stats/clients/count")
    const counts = new Map<string, string>()
    while (counts.size < 2) {
      const [topic, payload] = await published(client)
      counts.set(topic, payload)
    }
    assert.deepStrictEqual([...counts].toSorted(), [
      ["$SYS/brokers/a/stats/clients/count", "1"],
      ["$SYS/brokers/b/stats/clients/count", "0"]
    ])
    const names = await a.connect(5)
    names.send({
      cmd: "subscribe",
      messageId: 1,
      subscriptions: ["$SYS/brokers", "$SYS/brokers/+/metrics/bytes/received"].map((topic) => ({
        topic,
        qos: 0,
        rh: 2
      }))
    })
    await names.receive("suback", { messageId: 1 })
    // Between two of its own reports there is one of each.
    const seen: Array<string> = []
    while (seen.filter((topic) => topic === "$SYS/brokers/a/metrics/bytes/received").length < 3) {
      seen.push((await published(names))[0])
    }
    assert.strictEqual(seen.filter((topic) => topic === "$SYS/brokers").length, 3)
    assert.isAtLeast(seen.filter((topic) => topic === "$SYS/brokers/b/metrics/bytes/received").length, 1)
  })

  it("clients that come to another node and follow to this one", async () => {
    const [a, b] = await cluster.start("a", "b")
    if (a === undefined || b === undefined) throw new Error("no node")
    assert.isFalse(b.broker.services.presence?.isWanted)
    const watcher = await a.connect(5, { clientId: "watcher" })
    await watcher.subscribe("$SYS/brokers/+/clients/+/+", 0)
    await cluster.settled()
    assert.isTrue(b.broker.services.presence?.isWanted)
    await b.connect(5, { clientId: "mover" })
    assert.strictEqual((await published(watcher))[0], "$SYS/brokers/b/clients/mover/connected")
    await a.connect(5, { clientId: "mover" })
    const both = [await published(watcher), await published(watcher)].toSorted()
    assert.strictEqual(both[0]?.[0], "$SYS/brokers/a/clients/mover/connected")
    assert.strictEqual(both[1]?.[0], "$SYS/brokers/b/clients/mover/disconnected")
    assert.strictEqual(JSON.parse(both[1]?.[1] ?? "").reason, "conflict")
    watcher.send({ cmd: "unsubscribe", messageId: 9, unsubscriptions: ["$SYS/brokers/+/clients/+/+"] })
    await watcher.receive("unsuback", { messageId: 9 })
    await cluster.settled()
    assert.isFalse(b.broker.services.presence?.isWanted)
  })

  it("routes and topics are counted over all nodes", async () => {
    const [a, b] = await cluster.start("a", "b")
    if (a === undefined || b === undefined) throw new Error("no node")
    for (const node of [a, b]) await (await node.connect(5)).subscribe("x/y")
    const watcher = await a.connect(5)
    await watcher.subscribe("$SYS/brokers/a/stats/routes/count")
    await cluster.settled()
    for (;;) {
      const [, payload] = await published(watcher)
      if (payload === "3") break
    }
  })
})
