// Who does not belong to a cluster knocks on under load: nobody of it is disturbed.
import { afterEach, assert, describe, it } from "@effect/vitest"
import { randomBytes } from "node:crypto"
import { connect } from "node:net"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { identityBody } from "../../src/cluster/links/handshake.ts"
import { ChaosRun } from "./ChaosRun.ts"
import { healed, rounds, seed, told } from "./chaosChecks.ts"
import type { ClusterNode } from "./ClusterNode.ts"

let run: ChaosRun | undefined
afterEach(async (context) => {
  if (context.task.result?.state === "fail") await told(run)
  run?.close()
})

/** What a node answers to a Hello of other versions of the protocol: a text of its Refused frame. */
const hello = (node: ClusterNode, lowest: number, highest: number): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const [host = "", port] = node.address.split(":")
    const body = identityBody({
      versions: { lowest, highest },
      cluster: "emqttd",
      name: "later@test",
      epoch: 1,
      instance: randomBytes(16),
      nonce: randomBytes(32),
      window: 4_194_304,
      program: "a later one"
    })
    const header = Buffer.alloc(5)
    header.writeUInt32BE(body.length + 1, 0)
    const answer: Array<Buffer> = []
    const socket = connect({ host, port: Number(port) }, () => socket.write(Buffer.concat([header, body])))
    socket.on("data", (chunk) => answer.push(Buffer.from(chunk)))
    socket.on("error", reject)
    socket.on("close", () => resolve(Buffer.concat(answer)))
  })

describe(`strangers under load, seed ${seed}`, { timeout: 240_000 + rounds * 30_000 }, () => {
  it("another secret, another cluster, another version, a name that is taken: refused, and nothing changes", async () => {
    const chaos = run = new ChaosRun(seed)
    await chaos.begin(3)
    const [a, b] = [chaos.node(0), chaos.node(1)]
    chaos.run()
    await chaos.progress(50)
    const secret = join(chaos.farm.directory, "secret")
    writeFileSync(secret, "none of theirs\n")
    const knocks = ["--cluster", a.address, "--cluster", b.address]
    const strangers = await Promise.all([
      chaos.farm.start("secret@test", ...knocks, "--cluster-secret-file", secret),
      chaos.farm.start("cluster@test", ...knocks, "--set", "cluster.name=other"),
      chaos.farm.start("double-1", "--node-name", a.name, ...knocks),
      chaos.farm.start("double-2", "--node-name", b.name, ...knocks)
    ])
    const lines: ReadonlyArray<readonly [string, string]> = [
      ["cluster: node refused", "another cluster secret"],
      ["cluster: refused by a node", "another cluster.name"],
      ["cluster: refused by a node", "a node with this node.name is in the cluster already"],
      ["cluster: refused by a node", "a node with this node.name is in the cluster already"]
    ]
    for (const [index, stranger] of strangers.entries()) {
      const [line, reason] = lines[index] ?? ["", ""]
      await stranger.logged(line, `reason="${reason}"`)
    }
    assert.include([...(await hello(a, 900, 901))].slice(4), 4, "a frame of kind Refused")
    await a.logged("cluster: node refused", `reason="no common version of the protocol`)
    for (let round = 0; round < rounds; round++) {
      await chaos.progress(100)
      for (let hops = 0; hops < 4; hops++) await chaos.hop()
    }
    for (const node of chaos.nodes) assert.notMatch(node.process.stderr, /link down|is suspect|is dead/)
    for (const stranger of strangers) assert.notMatch(stranger.process.stderr, /link up/)
    await healed(chaos, "strangers at the door")
  })
})
