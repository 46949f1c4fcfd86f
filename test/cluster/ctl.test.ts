// `emqttd ctl cluster` against real nodes: status, join, leave, remove; and what a node does that stops, or sees too few of the others.
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import packageJson from "../../package.json" with { type: "json" }
import { TestClient } from "../support/TestClient.ts"
import { NodeFarm } from "./ClusterNode.ts"

let farm: NodeFarm
beforeEach(() => {
  farm = new NodeFarm()
})
afterEach(() => farm.close())

describe("emqttd ctl cluster", { timeout: 60_000 }, () => {
  it("a node without a cluster says how to get one", async () => {
    const alone = await farm.start("a@test", "--set", "cluster.listen=", "--cluster-listen", "")
    const status = await alone.ctl("cluster", "status")
    assert.deepInclude(status, { code: 1, stdout: "" })
    assert.match(status.stderr, /this node is in no cluster: start it with --cluster/)
  })

  it("join, status, leave, and join again", async () => {
    const [a, b] = [await farm.start("a@test"), await farm.start("b@test")]
    const wrong = await b.ctl("cluster", "join", "127.0.0.1:1")
    assert.deepInclude(wrong, { code: 1 })
    assert.match(wrong.stderr, /127\.0\.0\.1:1: .*ECONNREFUSED/)
    assert.match((await b.ctl("cluster", "join", b.address)).stderr, /that is this node itself/)
    const joined = await b.ctl("cluster", "join", a.address)
    assert.deepInclude(joined, { code: 0, stdout: "joined: a@test\n", stderr: "" })
    const status = await a.ctl("cluster", "status")
    assert.strictEqual(status.code, 0)
    assert.match(status.stdout, new RegExp(`^a@test +alive +\\S+Z +self +- +${a.address} +\\S+ +0 +0 bytes$`, "m"))
    assert.match(
      status.stdout,
      new RegExp(`^b@test +alive +\\S+Z +up +\\S+Z +${b.address} +${packageJson.version} `, "m")
    )
    assert.match(status.stdout, /^majority +seen$/m)
    assert.match(status.stdout, /^secret +none: nodes of this machine alone$/m)
    assert.match(status.stdout, /^sessions +0 here, 0 looked after, 0 on their way$/m)
    const json = JSON.parse((await a.ctl("cluster", "status", "--json")).stdout)
    assert.deepInclude(json, { cluster: "emqttd", node: "a@test", state: "member", majority: true, secrets: 0 })
    assert.deepInclude(json, { minority: "serve", program: packageJson.version, protocol: { lowest: 1, highest: 1 } })
    const [, other] = json.members
    assert.deepInclude(other, { name: "b@test", link: "up", link_fault: "", protocol: 1, program: packageJson.version })
    assert.isAtLeast(other.link_since, other.started)

    assert.deepInclude(await b.ctl("cluster", "leave"), { code: 0, stdout: "left the cluster\n" })
    await a.logged("cluster: member has left", "node=b@test")
    await a.logged("cluster: link down", "node=b@test")
    assert.notMatch((await a.ctl("cluster", "status")).stdout, /b@test/)
    assert.match((await b.ctl("cluster", "status")).stdout, /not a member any more/)
    assert.deepInclude(await b.ctl("cluster", "join", a.address), { code: 0 })
    await a.logged("cluster: member is alive", "node=b@test", 2)
  })

  it("a node that is stopped is dead at once, and only a dead one is removed", async () => {
    const a = await farm.start("a@test")
    const b = await farm.start("b@test", "--cluster", a.address, "--set", "cluster.suspicion_timeout=10m")
    const c = await farm.start("c@test", "--cluster", a.address)
    await a.logged("cluster: link up", "node=b@test")
    await a.logged("cluster: link up", "node=c@test")
    const alive = await a.ctl("cluster", "remove", "b@test")
    assert.deepInclude(alive, { code: 1 })
    assert.match(alive.stderr, /b@test: it is alive: only a dead member is removed/)
    b.process.signal("SIGTERM")
    await a.logged("cluster: member is dead", "node=b@test")
    assert.deepInclude(await a.ctl("cluster", "remove", "b@test"), { code: 0, stdout: "removed: b@test\n" })
    await c.logged("cluster: member has left", "node=b@test")
    assert.notMatch(a.process.stderr, /member is suspect/)
  })

  it(`minority = "refuse": who sees no more than half takes no new client until it sees more`, async () => {
    const a = await farm.start("a@test", "--set", "cluster.minority=refuse")
    const b = await farm.start("b@test", "--cluster", a.address)
    await a.logged("cluster: link up", "node=b@test")
    const before = await (await TestClient.open(a.port, 5)).connect({ clientId: "before" })
    await b.kill()
    await a.logged("cluster: member is dead", "node=b@test")
    const alone = await a.ctl("cluster", "status")
    assert.strictEqual(alone.code, 1)
    assert.match(alone.stdout, /^majority +NOT seen: .*, and takes no new client$/m)
    assert.match(alone.stdout, /^no link +b@test: \S.*ECONNREFUSED/m)
    assert.match(alone.stdout, /^b@test +dead +\S+Z +down +\S+Z /m)
    const refused = await TestClient.open(a.port, 5)
    refused.send({ cmd: "connect", clientId: "after", clean: true, keepalive: 60, protocolVersion: 5 })
    await refused.receive("connack", { reasonCode: 0x88 })
    await before.ping()
    await farm.start("b@test", "--cluster-listen", b.address)
    await a.logged("cluster: member is alive", "node=b@test", 2)
    await a.logged("cluster: more than half of the members are seen again", "")
    const after = await (await TestClient.open(a.port, 5)).connect({ clientId: "after" })
    await after.disconnect()
    await before.disconnect()
  })
})
