// What operators change on a cluster that runs: its secret, its certificates, its version. Real nodes over real links; nothing is restarted but for the version.
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { connect as connectTls } from "node:tls"
import { FrameKind } from "../../src/cluster/Bus.ts"
import { type CertificateName, certificates, opensslMissing } from "../support/certificates.ts"
import { TestClient } from "../support/TestClient.ts"
import { type ClusterNode, NodeFarm } from "./ClusterNode.ts"
import { LinkedNode, until } from "./LinkedNode.ts"

let farm = new NodeFarm()
let young: LinkedNode | undefined
beforeEach(() => {
  farm = new NodeFarm()
})
afterEach(async () => {
  await young?.close()
  young = undefined
  farm.close()
})

const before = "the secret of the first year"
const after = "the secret of the second year"

const secretFile = (name: string): string => join(farm.directory, `${name}.secret`)

const withSecret = (name: string, ...lines: ReadonlyArray<string>): ReadonlyArray<string> => {
  writeFileSync(secretFile(name), lines.join("\n"))
  return ["--cluster-secret-file", secretFile(name)]
}

describe("what is changed while the cluster runs", { timeout: 90_000 }, () => {
  it("the secret, node by node: messages go on, nothing acknowledged is lost, and the old secret opens nothing any more", async () => {
    const names = ["a@test", "b@test", "c@test"] as const
    const a = await farm.start("a@test", ...withSecret("a@test", before))
    const b = await farm.start("b@test", ...withSecret("b@test", before), "--cluster", a.address)
    const c = await farm.start("c@test", ...withSecret("c@test", before), "--cluster", a.address)
    const nodes = [a, b, c]
    for (const node of nodes) {
      for (const name of names) if (name !== node.name) await node.logged("cluster: link up", `node=${name}`)
    }
    const durable = { clientId: "s", clean: false, properties: { sessionExpiryInterval: 1_000 } }
    const subscriber = await (await TestClient.open(c.port, 5)).connect(durable)
    await subscriber.subscribe("t", 1)
    const publisher = await (await TestClient.open(a.port, 5)).connect({ clientId: "p" })
    let sent = 0
    let received = 0
    // Until the subscription is known there.
    for (let reached = false; !reached;) {
      publisher.send({ cmd: "publish", topic: "t", payload: "0", qos: 1, messageId: 1, dup: false, retain: false })
      reached = (await publisher.receive("puback")).reasonCode === 0
    }
    subscriber.send({ cmd: "puback", messageId: (await subscriber.receive("publish")).messageId ?? 0 })
    const someMessages = async () => {
      for (let left = 20; left > 0; left--) await publisher.publish("t", `${++sent}`, { qos: 1 })
      while (received < sent) {
        const packet = await subscriber.receive("publish")
        // One that was under way when a link was made anew may come twice.
        if (Number(packet.payload) > received) assert.strictEqual(Number(packet.payload), ++received)
        subscriber.send({ cmd: "puback", messageId: packet.messageId ?? 0 })
      }
    }
    const change = async (node: ClusterNode, times: number, ...lines: ReadonlyArray<string>) => {
      withSecret(node.name, ...lines)
      node.process.signal("SIGHUP")
      await node.logged("cluster: secret changed", `secrets=${lines.length}`, times)
      await someMessages()
    }
    for (const node of nodes) await change(node, 1, after, before)
    assert.notMatch(a.process.stderr + b.process.stderr + c.process.stderr, /link down/)
    for (const node of nodes) await change(node, 1, after)
    assert.notMatch(a.process.stderr + b.process.stderr + c.process.stderr, /another cluster secret/)
    const late = await farm.start("late@test", ...withSecret("late", before), "--cluster", a.address)
    await late.logged("cluster: node refused", `reason="another cluster secret"`)
    const fresh = await farm.start("fresh@test", ...withSecret("fresh", after), "--cluster", a.address)
    await fresh.logged("cluster: link up", "node=c@test")

    withSecret("a@test", after, "QUJD")
    const refused = await a.ctl("reload")
    assert.strictEqual(refused.code, 1)
    assert.match(refused.stderr, /^emqttd: cluster secret and certificates not changed: .* no secret of 16 characters/)
    await someMessages()
    publisher.drop()
    subscriber.drop()
  })

  it.skipIf(opensslMissing !== undefined)("certificates: links from then on show and accept the new ones", async () => {
    const files = certificates()
    const put = (name: string, pair: CertificateName): ReadonlyArray<string> => {
      const folder = join(farm.directory, `tls-${name}`)
      mkdirSync(folder, { recursive: true })
      for (const kind of ["crt", "key"]) copyFileSync(files.file(`${pair}.${kind}`), join(folder, `node.${kind}`))
      copyFileSync(files.file("ca.crt"), join(folder, "ca.crt"))
      const one = (key: string, file: string) => ["--set", `cluster.${key}=${join(folder, file)}`]
      return [
        ...["--set", "cluster.tls=true"],
        ...[...one("certificate", "node.crt"), ...one("key", "node.key"), ...one("ca", "ca.crt")]
      ]
    }
    const a = await farm.start("a@test", ...put("a", "server"))
    const b = await farm.start("b@test", ...put("b", "stranger"), "--cluster", a.address)
    await a.logged("cluster: TLS handshake failed", "reason=")
    put("b", "other")
    b.process.signal("SIGHUP")
    await b.logged("cluster: certificates changed, for links from now on", "")
    await a.logged("cluster: link up", "node=b@test")
    const shown = await new Promise<string>((resolve, reject) => {
      const client = files.pair("client")
      const socket = connectTls({
        ...{ host: "127.0.0.1", port: Number(b.address.split(":")[1]), rejectUnauthorized: false },
        ...{ cert: client.certificate, key: client.key }
      })
      socket.once("error", reject).once("secureConnect", () => {
        resolve(socket.getPeerX509Certificate()?.toString() ?? "")
        socket.destroy()
      })
    })
    assert.strictEqual(shown.trim(), files.pair("other").certificate.trim())
    // A key that is not of the certificate: as it was.
    copyFileSync(files.file("server.key"), join(farm.directory, "tls-b", "node.key"))
    b.process.signal("SIGHUP")
    await b.logged("cluster secret and certificates not changed", "cluster.tls")
    assert.strictEqual((await a.ctl("cluster", "status")).stdout.match(/ up /g)?.length, 1)
  })

  it("a reload that changes nothing asks for no restart, not for the name that a node without one has of its address", async () => {
    const a = await farm.start("a", "--node-name", "emqttd@127.0.0.1", "--set", "cluster.advertise=203.0.113.1")
    a.process.signal("SIGHUP")
    await a.logged("settings read again", "")
    assert.match(a.process.stderr, /is ready" node=emqttd@203\.0\.113\.1 /)
    assert.notMatch(a.process.stderr, /needs a restart|secret changed|certificates changed/)
  })

  it("the version: a node that speaks a later one too joins; what this one does not know is passed over", async () => {
    const a = await farm.start("a@test", "--set", "cluster.secret=s3cret")
    const [host = "", port = ""] = a.address.split(":")
    young = new LinkedNode("young@test", {
      versions: { lowest: 1, highest: 2 },
      settings: { heartbeatIntervalMillis: 60_000 }
    })
    young.live().links.dialer.add([{ host, port: Number(port) }], young.now)
    await a.logged("cluster: link up", "node=young@test")
    const { links } = young
    await until(() => links.peers.has("a@test"))
    // More than a link takes before the other side has said that it has handled it.
    for (const kind of [0x0f, 0x1f, 0x7f, 0x80, 0x90, 0xa0, 0xff]) {
      const size = kind < FrameKind.RoutesDelta ? 1_000 : 1024 * 1024
      assert.isTrue(links.send("a@test", kind as FrameKind, Buffer.alloc(size)))
    }
    await until(() => links.links.get("a@test")?.queue.bytes === 0)
    const { members } = JSON.parse((await a.ctl("cluster", "status", "--json")).stdout)
    const member = members.find(({ name }: { name: string }) => name === "young@test")
    assert.deepInclude(member, { link: "up", protocol: 1, program: "" })
    assert.notMatch(a.process.stderr, /not understood|link down/)
    const tooYoung = new LinkedNode("later@test", { versions: { lowest: 2, highest: 3 } })
    tooYoung.live().links.dialer.add([{ host, port: Number(port) }], tooYoung.now)
    await a.logged("cluster: node refused", "a@test speaks 1, the other one 2 to 3")
    await tooYoung.close()
  })
})
