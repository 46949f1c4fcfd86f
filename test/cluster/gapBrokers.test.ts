// Whole brokers: durable subscribers move between two nodes while the publishers' node sees neither of them.
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import type { TestClient } from "../support/TestClient.ts"
import { BrokerCluster, until } from "./BrokerCluster.ts"

let cluster = new BrokerCluster()
beforeEach(() => {
  cluster = new BrokerCluster()
})
afterEach(() => cluster.stop())

/** All that comes up to this payload, acknowledged. */
const takeUntil = async (client: TestClient, last: string): Promise<ReadonlyArray<string>> => {
  const payloads: Array<string> = []
  while (payloads[payloads.length - 1] !== last) {
    const packet = await client.next()
    if (packet.cmd !== "publish" && packet.cmd !== "pubrel") throw new Error(`came ${packet.cmd}`)
    const messageId = packet.messageId ?? 0
    if (packet.cmd === "pubrel") client.send({ cmd: "pubcomp", messageId })
    else {
      payloads.push(packet.payload.toString())
      if (packet.qos > 0) client.send({ cmd: packet.qos === 1 ? "puback" : "pubrec", messageId })
    }
  }
  return payloads
}

/** What else is here, but for exchanges that end. */
const rest = async (client: TestClient): Promise<ReadonlyArray<string>> => {
  client.send({ cmd: "pingreq" })
  const payloads: Array<string> = []
  for (let packet = await client.next(); packet.cmd !== "pingresp"; packet = await client.next()) {
    if (packet.cmd === "publish") payloads.push(packet.payload.toString())
  }
  return payloads
}

const all = Array.from({ length: 40 }, (_, index) => `m${index}`)

describe("subscribers that move out of the sight of the publisher's node", { timeout: 60_000 }, () => {
  it.each([
    ["sees the former node first", ["a", "b"], false],
    ["sees the new node first", ["b", "a"], false],
    ["is killed and started again meanwhile", ["a", "b"], true]
  ])("get what it had acknowledged, once and in order, as it %s", async (_, order, isKilled) => {
    const [a, b, c] = await cluster.start("a", "b", "c")
    if (a === undefined || b === undefined || c === undefined) return
    const moves = await a.durable("moves")
    const stays = await a.durable("stays")
    const there = await b.durable("there")
    for (const client of [moves, stays, there]) await client.subscribe("t", 2)
    await moves.disconnect()
    await cluster.settled()
    const meet = new Map([["a", await cluster.part("a", "c")], ["b", await cluster.part("b", "c")]])
    const publisher = await c.durable("p")
    const publish = async (from: number, to: number) => {
      for (const [index, payload] of all.slice(from, to).entries()) {
        await publisher.publish("t", payload, { qos: index % 2 === 0 ? 2 : 1 })
      }
    }
    await publish(0, 20)
    const moved = await b.durable("moves")
    assert.isTrue(moved.connack.sessionPresent)
    await until("it is there", () => a.broker.clustering?.later.takeover?.moving === 0)
    await publish(20, 40)
    let last = publisher
    if (isKilled) {
      await cluster.kill("c")
      last = await (await cluster.startOne("c")).durable("p")
    }
    for (const name of order) await meet.get(name)?.()
    await last.publish("t", "end", { qos: 2 })
    for (const client of [moved, stays, there]) {
      assert.deepStrictEqual(await takeUntil(client, "end"), [...all, "end"])
      assert.deepStrictEqual(await rest(client), [])
    }
    await until("nothing is left", () => a.remote.gaps.size + b.remote.gaps.size === 0)
  })
})
