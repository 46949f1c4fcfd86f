// Real processes find each other, refuse strangers, and come back.
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { type CertificateName, certificates, opensslMissing } from "../support/certificates.ts"
import { NodeFarm } from "./ClusterNode.ts"

if (opensslMissing !== undefined) console.log(`skipped: ${opensslMissing}`)

let farm: NodeFarm
beforeEach(() => {
  farm = new NodeFarm()
})
afterEach(() => farm.close())

const secretFile = (secret: string): string => {
  const file = join(farm.directory, `secret-${secret}`)
  writeFileSync(file, `${secret}\n`)
  return file
}

describe("nodes", { timeout: 60_000 }, () => {
  it("three of which each names one other become one cluster; one that is killed is dead, and is back when it returns", async () => {
    const a = await farm.start("a@test")
    const b = await farm.start("b@test", "--cluster", a.address)
    const c = await farm.start("c@test", "--cluster", b.address)
    for (const [node, others] of [[a, [b, c]], [b, [a, c]], [c, [a, b]]] as const) {
      for (const { name } of others) await node.logged("cluster: link up", `node=${name}`)
    }
    const tree = await c.ctl("tree")
    assert.match(tree.stdout, /cluster +permanent +running/)
    assert.match(
      tree.stdout,
      /link to a@test +temporary +running[^]*link to b@test|link to b@test +temporary +running[^]*link to a@test/
    )
    await b.kill()
    for (const node of [a, c]) {
      await node.logged("cluster: link down", "node=b@test")
      await node.logged("cluster: member is dead", "node=b@test")
    }
    const again = await farm.start("b@test", "--cluster-listen", b.address, "--cluster", c.address)
    for (const node of [a, c]) {
      await node.logged("cluster: member is alive", "node=b@test", 2)
      await node.logged("cluster: link up", "node=b@test", 2)
    }
    for (const name of ["a@test", "c@test"]) await again.logged("cluster: link up", `node=${name}`)
  })

  it("a node with another secret, or none, is refused, and both sides say why", async () => {
    const a = await farm.start("a@test", "--cluster-secret-file", secretFile("one"))
    const b = await farm.start("b@test", "--cluster-secret-file", secretFile("other"), "--cluster", a.address)
    await b.logged("cluster: node refused", `address=${a.address} node=a@test reason="another cluster secret"`)
    await a.logged("cluster: refused by a node", `node=b@test reason="another cluster secret"`)
    const c = await farm.start("c@test", "--cluster", a.address)
    await c.logged("cluster: node refused", `node=a@test reason="another cluster secret"`)
    const d = await farm.start("d@test", "--cluster-secret-file", secretFile("one"), "--cluster", a.address)
    await d.logged("cluster: link up", "node=a@test")
    assert.notMatch(a.process.stderr, /link up.*node=[bc]@test/)
  })

  it("on one machine over Unix sockets, the file of a killed node notwithstanding", async () => {
    const listen = (name: string) => ["--cluster-listen", `unix:${join(farm.directory, `${name}.sock`)}`]
    const a = await farm.start("a@test", ...listen("a"))
    assert.strictEqual(a.address, `unix:${join(farm.directory, "a.sock")}`)
    const b = await farm.start("b@test", ...listen("b"), "--cluster", a.address)
    await a.logged("cluster: link up", "node=b@test")
    await b.kill()
    await a.logged("cluster: link down", "node=b@test")
    const again = await farm.start("b@test", ...listen("b"), "--cluster", a.address)
    await again.logged("cluster: link up", "node=a@test")
  })

  it("a node of another cluster is refused", async () => {
    const a = await farm.start("a@test")
    const b = await farm.start("b@test", "--cluster", a.address, "--set", "cluster.name=other")
    await b.logged("cluster: refused by a node", `reason="another cluster.name"`)
    await a.logged("cluster: node refused", `node=b@test reason="another cluster.name"`)
  })

  it("of two nodes with one name the second is refused, and the first keeps its links", async () => {
    const a = await farm.start("a@test")
    const b = await farm.start("b@test", "--cluster", a.address)
    await b.logged("cluster: link up", "node=a@test")
    const double = await farm.start("other", "--node-name", "b@test", "--cluster", a.address)
    await double.logged("cluster: refused by a node", `reason="a node with this node.name is in the cluster already"`)
    const named = await farm.start("another", "--node-name", "a@test", "--cluster", a.address)
    await named.logged("cluster: refused by a node", `reason="a node with this node.name is in the cluster already"`)
    assert.notMatch(b.process.stderr, /link down/)
    assert.notMatch(a.process.stderr, /link down/)
  })

  it.skipIf(opensslMissing !== undefined)(
    "with TLS: nodes with a certificate of the authority come in, others do not",
    async () => {
      const files = certificates()
      const withTls = (pair: CertificateName) => [
        "--set",
        "cluster.tls=true",
        "--set",
        `cluster.certificate=${files.file(`${pair}.crt`)}`,
        "--set",
        `cluster.key=${files.file(`${pair}.key`)}`,
        "--set",
        `cluster.ca=${files.file("ca.crt")}`
      ]
      const good = withTls("server")
      const a = await farm.start("a@test", ...good)
      const b = await farm.start("b@test", ...good, "--cluster", a.address)
      await a.logged("cluster: link up", "node=b@test")
      await b.logged("cluster: link up", "node=a@test")
      const plain = await farm.start("c@test", "--cluster", a.address)
      await plain.process.told(new RegExp(`cluster: (?:node refused|cannot reach a node).*${a.address}`))
      await a.logged("cluster: TLS handshake failed", "reason=")
      const stranger = await farm.start("d@test", ...withTls("stranger"), "--cluster", a.address)
      await stranger.logged("cluster: cannot reach a node, trying on", `address=${a.address}`)
      const calledByPlain = await farm.start("e@test", ...good, "--cluster", plain.address)
      await calledByPlain.logged("cluster: cannot reach a node, trying on", `address=${plain.address}`)
      assert.notMatch(a.process.stderr, /link up.*node=[cde]@test/)
    }
  )

  it("settings that let strangers in are none: one line and exit 78", async () => {
    const ended = await farm.start("a@test", "--cluster-listen", "0.0.0.0:0").catch((error: unknown) => String(error))
    assert.match(String(ended), /cluster\.listen: 0\.0\.0\.0 can be reached from other machines/)
    const missing = await farm.start("b@test", "--cluster-secret-file", "/nowhere").catch((error: unknown) =>
      String(error)
    )
    assert.match(String(missing), /cluster\.secret_file: \/nowhere: /)
  })
})
