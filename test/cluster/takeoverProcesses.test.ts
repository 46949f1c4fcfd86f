// A session follows its client between real nodes over real links.
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { TestClient } from "../support/TestClient.ts"
import { type ClusterNode, NodeFarm } from "./ClusterNode.ts"

let farm = new NodeFarm()
beforeEach(() => {
  farm = new NodeFarm()
})
afterEach(() => {
  for (const n of farm.nodes) console.log(n.name + "\n" + n.process.stderr)
  farm.close()
})

const connect = async (node: ClusterNode, clientId: string): Promise<TestClient> => {
  const client = await TestClient.open(node.port, 5)
  return client.connect({ clientId, clean: false, properties: { sessionExpiryInterval: 1000 } })
}

const three = async () => {
  const a = await farm.start("a@test")
  const b = await farm.start("b@test", "--cluster", a.address)
  const c = await farm.start("c@test", "--cluster", a.address)
  for (const node of [a, b, c]) {
    for (const other of [a, b, c]) if (other !== node) await node.logged("cluster: link up", `node=${other.name}`)
  }
  return [a, b, c] as const
}

describe("take-over between nodes", { timeout: 60_000 }, () => {
  it("the client finds its session wherever it connects, with what it is owed, and the former connection is told", async () => {
    const [a, b, c] = await three()
    const first = await connect(a, "s")
    await first.subscribe("q", 2)
    const publisher = await connect(a, "p")
    first.drop()
    for (let i = 0; i < 10; i++) await publisher.publish("q", `${i}`, { qos: 1 })
    const second = await connect(b, "s")
    assert.isTrue(second.connack.sessionPresent)
    const packets = await second.receivePublishes(10)
    assert.deepStrictEqual(packets.map(({ payload }) => String(payload)), [..."0123456789"])
    const third = await connect(c, "s")
    assert.isTrue(third.connack.sessionPresent)
    await second.expectRefused(0x8e)
    const again = await third.receivePublishes(10)
    assert.deepStrictEqual(again.map(({ dup }) => dup), Array.from({ length: 10 }, () => true))
    for (const packet of again) third.send({ cmd: "puback", messageId: packet.messageId ?? 0 })
    await third.ping()
    third.drop()
    const fourth = await connect(a, "s")
    assert.isTrue(fourth.connack.sessionPresent)
    await fourth.expectNothing()
    for (const client of [publisher, fourth]) client.drop()
  })

  it("after kill -9 of the node that took it, and its return, the session is there, once", async () => {
    const [a, b, c] = await three()
    const first = await connect(a, "s")
    await first.subscribe("q", 2)
    const publisher = await connect(a, "p")
    for (let i = 0; i < 5; i++) await publisher.publish("q", `${i}`, { qos: 2 })
    first.drop()
    const second = await connect(b, "s")
    assert.isTrue(second.connack.sessionPresent)
    await b.kill()
    const back = await farm.start("b@test", "--cluster-listen", b.address, "--cluster", a.address)
    for (const node of [a, c]) {
      await back.logged("cluster: link up", `node=${node.name}`)
      await node.logged("cluster: link up", "node=b@test", 2)
    }
    const third = await connect(a, "s")
    assert.isTrue(third.connack.sessionPresent)
    const packets = await third.receivePublishes(5)
    assert.deepStrictEqual(packets.map(({ payload }) => String(payload)), [..."01234"])
    await third.expectNothing()
    for (const client of [publisher, third]) client.drop()
  })
})
