// Retained messages on all nodes, as real processes.
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { TestClient } from "../support/TestClient.ts"
import { type ClusterNode, NodeFarm } from "./ClusterNode.ts"

let farm: NodeFarm
beforeEach(() => {
  farm = new NodeFarm()
})
afterEach(() => farm.close())

const connect = async (node: ClusterNode, clientId: string): Promise<TestClient> =>
  (await TestClient.open(node.port, 5)).connect({ clientId })

/** What a new subscriber finds, once it is what is expected: the nodes tell each other in their own time. */
const retained = async (node: ClusterNode, expected: string): Promise<void> => {
  const client = await connect(node, `reader-${Math.random()}`)
  let found = ""
  while (found !== expected) {
    const messages: Array<string> = []
    client.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "r/#", qos: 0 }] })
    await client.receive("suback")
    client.send({ cmd: "pingreq" })
    for (let packet = await client.next(); packet.cmd !== "pingresp"; packet = await client.next()) {
      if (packet.cmd === "publish") messages.push(`${packet.topic}=${packet.payload}`)
    }
    found = messages.sort().join(" ")
  }
  client.drop()
}

describe("users, rules and bans", { timeout: 60_000 }, () => {
  it("made on one node hold on all, and when it is made to forget one all do", async () => {
    const a = await farm.start("a@test")
    const b = await farm.start("b@test", "--cluster", a.address)
    await b.logged("cluster: link up", "node=a@test")
    const until = async (node: ClusterNode, args: ReadonlyArray<string>, shown: RegExp) => {
      for (;;) if (shown.test((await node.ctl(...args)).stdout)) return
    }
    assert.strictEqual((await a.ctl("bans", "add", "client", "evil", "--reason", "test")).code, 0)
    assert.strictEqual((await a.ctl("acl", "add", "deny", "publish", "secret/#")).code, 0)
    await until(b, ["bans", "list"], /evil/)
    await until(b, ["acl", "list"], /secret/)
    const evil = await TestClient.open(b.port, 5)
    evil.sendConnect({ clientId: "evil" })
    await evil.expectConnectRefused(0x8a)
    assert.strictEqual((await b.ctl("bans", "remove", "client", "evil")).code, 0)
    await until(a, ["bans", "list"], /^(?![^]*evil)/)
    const good = await connect(a, "evil")
    await good.ping()
    good.drop()
  })
})

describe("retained messages between nodes", { timeout: 60_000 }, () => {
  it("are on every node, also on one that joins later or was away while they changed", async () => {
    const a = await farm.start("a@test")
    const b = await farm.start("b@test", "--cluster", a.address)
    await b.logged("cluster: link up", "node=a@test")
    const writer = await connect(a, "writer")
    await writer.publish("r/1", "one", { qos: 1, retain: true })
    await writer.publish("r/2", "two", { qos: 1, retain: true })
    await retained(b, "r/1=one r/2=two")
    const c = await farm.start("c@test", "--cluster", a.address)
    await retained(c, "r/1=one r/2=two")
    await b.kill()
    await writer.publish("r/1", "", { qos: 1, retain: true })
    await writer.publish("r/2", "newer", { qos: 1, retain: true })
    const back = await farm.start("b@test", "--cluster-listen", b.address, "--cluster", a.address)
    for (const node of [a, back, c]) await retained(node, "r/2=newer")
    const other = await connect(back, "other")
    await other.publish("r/2", "newest", { qos: 1, retain: true })
    for (const node of [a, back, c]) await retained(node, "r/2=newest")
    assert.strictEqual(a.process.stderr.includes("level=error"), false)
  })
})
