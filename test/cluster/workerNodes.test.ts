// A node of several workers in a cluster with a node of another machine: what `emqttd ctl cluster` tells it goes for all of its workers.
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { createServer } from "node:net"
import { WorkerNode } from "../cli/WorkerNode.ts"
import { freePort } from "../support/freePort.ts"
import { NodeFarm } from "./ClusterNode.ts"
import { nothing } from "./History.ts"
import { WorkerLoad } from "./WorkerLoad.ts"

let farm = new NodeFarm()
let node: WorkerNode | undefined
let load = new WorkerLoad()
beforeEach(() => {
  farm = new NodeFarm()
})
afterEach(() => {
  load.close()
  load = new WorkerLoad()
  node?.close()
  farm.close()
})

/** The first of two that follow each other. */
const freePorts = async (): Promise<number> => {
  for (;;) {
    const port = await freePort()
    const next = createServer()
    const isFree = await new Promise<boolean>((resolve) =>
      next.once("error", () => resolve(false)).listen(port + 1, "127.0.0.1", () => resolve(true))
    )
    await new Promise<void>((resolve) => isFree ? next.close(() => resolve()) : resolve())
    if (isFree) return port
  }
}

describe("a node of two workers in a cluster", { timeout: 90_000 }, () => {
  it("leaves under load: its clients go on at the other machine, and nothing that was acknowledged is lost", async () => {
    const other = await farm.start("other@test", "--set", "queue.capacity=1000000")
    node = await WorkerNode.start(
      ...["--node-name", "n@test", "--cluster-listen", `127.0.0.1:${await freePorts()}`, "--cluster", other.address],
      ...["--set", "cluster.max_backoff=500ms", "--set", "queue.capacity=1000000"]
    )
    for (const name of ["n-1@test", "n-2@test"]) await other.logged("cluster: link up", `node=${name}`)
    await load.begin(node)
    await load.progress(200)
    load.port = other.port
    assert.deepInclude(await node.ctl("cluster", "leave"), { code: 0, stdout: "left the cluster\n", stderr: "" })
    await load.progress(200)
    assert.deepStrictEqual(await load.findings(), nothing)
    assert.strictEqual((await node.status()).sessions, 0)
  })

  it("leaves whole: every session goes to another machine; joins whole; when it is dead it is removed whole", async () => {
    const other = await farm.start("other@test")
    const listen = `127.0.0.1:${await freePorts()}`
    const started = node = await WorkerNode.start(
      ...["--node-name", "n@test", "--cluster-listen", listen, "--cluster", other.address],
      ...["--set", "cluster.max_backoff=500ms", "--set", "cluster.suspicion_timeout=1s"]
    )
    for (const name of ["n-1@test", "n-2@test"]) await other.logged("cluster: link up", `node=${name}`)
    const clients = await started.spread((id) => started.durable(id))
    for (const client of clients) client.drop()
    const status = await started.ctl("cluster", "status")
    assert.strictEqual(status.code, 0)
    assert.match(status.stdout, /^node +n-1@test at \S+, a member\n +n-2@test at \S+, a member$/m)
    assert.match(status.stdout, /^n-1@test +alive +\S+Z +self /m)
    assert.match(status.stdout, /^other@test +alive +\S+Z +up /m)

    assert.deepInclude(await started.ctl("cluster", "leave"), { code: 0, stdout: "left the cluster\n", stderr: "" })
    for (const name of ["n-1@test", "n-2@test"]) await other.logged("cluster: member has left", `node=${name}`)
    const left = JSON.parse((await other.ctl("cluster", "status", "--json")).stdout)
    assert.deepStrictEqual(left.members.map(({ name }: { name: string }) => name), ["other@test"])
    assert.strictEqual(JSON.parse((await other.ctl("status", "--json")).stdout).sessions, clients.length)
    assert.strictEqual((await started.status()).sessions, 0)
    assert.match(
      (await started.ctl("cluster", "status")).stdout,
      /n-1@test .*not a member any more.*\n.*n-2@test .*not a member any more/
    )

    assert.deepInclude(await started.ctl("cluster", "join", other.address), { code: 0, stdout: "joined: other@test\n" })
    for (const name of ["n-1@test", "n-2@test"]) await other.logged("cluster: member is alive", `node=${name}`, 2)
    assert.match((await started.ctl("cluster", "status")).stdout, /^n-2@test +alive +\S+Z +self /m)

    const early = await other.ctl("cluster", "remove", "n@test")
    assert.deepInclude(early, { code: 1 })
    assert.match(early.stderr, /n-1@test: it is alive/)
    started.process.signal("SIGTERM")
    for (const name of ["n-1@test", "n-2@test"]) await other.logged("cluster: member is dead", `node=${name}`)
    const removed = await other.ctl("cluster", "remove", "n@test")
    assert.deepInclude(removed, { code: 0, stdout: "removed: n-1@test\nremoved: n-2@test\n" })
    assert.notMatch((await other.ctl("cluster", "status")).stdout, /n-\d@test/)
  })
})
