// Nodes whose clocks are ten minutes apart: the later change wins all the same, sessions and messages live as long as they should. libfaketime moves
// what a node takes for the time of day, not how fast it passes.
import { afterEach, assert, describe, it } from "@effect/vitest"
import { connect } from "node:net"
import { TestClient } from "../../support/TestClient.ts"
import type { Wire, WireEvents } from "../../support/Wire.ts"
import { healed, isWhole, rounds, seed, told } from "../chaosChecks.ts"
import type { ClusterNode } from "../ClusterNode.ts"
import { faketime } from "./NetFarm.ts"
import { networkMissing } from "./Network.ts"
import { NetRun } from "./NetRun.ts"

const missing = networkMissing ?? (faketime === undefined ? "libfaketime (apt-get install faketime)" : undefined)
if (missing !== undefined) console.log(`skipped: ${missing}`)

let run: NetRun | undefined
afterEach(async (context) => {
  if (context.task.result?.state === "fail") await told(run)
  run?.close()
})

const overSocket = (path: string, events: WireEvents): Promise<Wire> =>
  new Promise((resolve, reject) => {
    const socket = connect({ path })
    socket.on("data", (chunk) => events.data(Buffer.from(chunk)))
    socket.on("close", events.closed)
    socket.once("connect", () => resolve(socket))
    socket.once("error", reject)
  })

const apart = async (): Promise<NetRun> => {
  const made = run = new NetRun(seed)
  made.farm.clocks.set("n1@test", 600)
  made.farm.clocks.set("n2@test", -600)
  await made.begin(3)
  const minutes = made.nodes.map(({ process }) => {
    const told = /^ts=(\S+)/.exec(process.stderr)?.[1] ?? ""
    return `${Math.round((Date.parse(told) - Date.now()) / 60_000)}`
  })
  assert.deepStrictEqual(minutes, ["0", "10", "-10"])
  return made
}

const describeNet = missing === undefined ? describe : describe.skip

describeNet(`clocks ten minutes apart, seed ${seed}`, { timeout: 240_000 + rounds * 60_000 }, () => {
  it.each([...(isWhole ? [true] : [false])])(
    "under load, clients on the move, a node killed and another cut off (%s)",
    async (isWhole) => {
      const run = await apart()
      run.run()
      for (let round = 0; round < 3 * rounds; round++) {
        await run.progress(100)
        for (let hops = 0; hops < 4; hops++) await run.hop()
        if (!isWhole) continue
        const node = run.pick()
        await run.kill(node)
        await run.progress(50)
        await run.start(node)
        await run.progress(50)
        const alone = run.pick()
        // What two sides of a split make of one topic has no order but that of their clocks.
        await run.progress(50, false)
        await run.split([alone], run.others(alone))
        await run.progress(50, false)
        await run.heal()
      }
      await run.progress(100)
      await healed(run, "clocks ten minutes apart", async () => {
        for (const node of run.nodes) assert.deepStrictEqual(await run.retainedFaults(node), [], node.name)
      })
    }
  )

  it("a session that outlives its client for a minute, and what it is owed for a minute, are there on every other node", async () => {
    const run = await apart()
    const open = async (node: ClusterNode, clientId: string) =>
      (await TestClient.over((events) => overSocket(String(node.door), events), 5)).connect({
        clientId,
        clean: false,
        properties: { sessionExpiryInterval: 60 }
      })
    const publisher = await open(run.node(0), "p")
    const first = await open(run.node(0), "s")
    await first.subscribe("q", 1)
    first.drop()
    for (const at of [1, 2, 0, 2, 1, 0]) {
      await publisher.publish("q", `${at}`, { qos: 1, properties: { messageExpiryInterval: 60 } })
      const client = await open(run.node(at), "s")
      assert.isTrue(client.connack.sessionPresent)
      const packet = await client.receive("publish", { payload: Buffer.from(`${at}`) })
      assert.include([58, 59, 60], packet.properties?.messageExpiryInterval)
      client.send({ cmd: "puback", messageId: packet.messageId ?? 0 })
      await client.ping()
      client.drop()
    }
    publisher.drop()
  })
})
