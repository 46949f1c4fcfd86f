// A session follows its client between real nodes over real links.
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { TestClient } from "../support/TestClient.ts"
import { type ClusterNode, NodeFarm } from "./ClusterNode.ts"

let farm: NodeFarm
beforeEach(() => {
  farm = new NodeFarm()
})
afterEach(() => farm.close())

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

  it("a node that leaves sends its clients to another one and gives its sessions away; who knocks later is sent away too", async () => {
    const a = await farm.start("a@test", "--set", "connection.server_reference=other.example:1883")
    const b = await farm.start("b@test", "--cluster", a.address)
    await b.logged("cluster: link up", "node=a@test")
    await a.logged("cluster: link up", "node=b@test")
    const away = await connect(a, "away")
    await away.subscribe("q", 1)
    await away.disconnect()
    const here = await connect(a, "here")
    await here.subscribe("q", 1)
    const publisher = await connect(a, "p")
    for (let i = 0; i < 5; i++) await publisher.publish("q", `${i}`, { qos: 1 })
    for (const packet of await here.receivePublishes(5)) here.send({ cmd: "puback", messageId: packet.messageId ?? 0 })
    await here.ping()
    const leaving = a.ctl("cluster", "leave")
    await here.receive("disconnect", { reasonCode: 0x9d, properties: { serverReference: "other.example:1883" } })
    here.drop()
    publisher.drop()
    assert.strictEqual((await leaving).code, 0)
    await a.logged("cluster: sessions handed over", "stayed=0")
    await b.logged("cluster: member has left", "node=a@test")
    const late = await TestClient.open(a.port, 5)
    late.sendConnect({ clientId: "late" })
    await late.expectConnectRefused(0x9d)
    for (const clientId of ["away", "here"]) {
      const client = await connect(b, clientId)
      assert.isTrue(client.connack.sessionPresent, clientId)
      if (clientId === "away") {
        const packets = await client.receivePublishes(5)
        assert.deepStrictEqual(packets.map(({ payload }) => String(payload)), [..."01234"])
      }
      client.drop()
    }
  })

  it("a node that is stopped stays until the sessions of its clients have followed them", async () => {
    const [a, b] = await three()
    const clients = await Promise.all([..."xyz"].map((clientId) => connect(a, clientId)))
    for (const client of clients) await client.subscribe("q", 1)
    const publisher = await connect(b, "p")
    await publisher.publish("q", "before", { qos: 1 })
    // Not acknowledged: it goes with the session.
    for (const client of clients) await client.receive("publish", { payload: "before" })
    a.process.signal("SIGTERM")
    for (const client of clients) await client.receive("disconnect", { reasonCode: 0x8b })
    for (const client of clients) client.drop()
    for (const clientId of "xyz") {
      const again = await connect(b, clientId)
      assert.isTrue(again.connack.sessionPresent, clientId)
      await again.receive("publish", { payload: "before", dup: true })
      again.drop()
    }
    const { code } = await a.process.ended
    assert.strictEqual(code, 0)
    assert.match(a.process.stderr, /"cluster: sessions have followed their clients" moved=3 of=3/)
    publisher.drop()
  })
})
