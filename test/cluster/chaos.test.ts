// Nodes are killed under load and come back, clients go elsewhere meanwhile: the history checker over all of it.
import { afterEach, assert, describe, it } from "@effect/vitest"
import { MiniClient } from "../crash/MiniClient.ts"
import { ChaosRun } from "./ChaosRun.ts"
import { healed, isWhole, rounds, seed, told } from "./chaosChecks.ts"

let run: ChaosRun | undefined
afterEach(async (context) => {
  if (context.task.result?.state === "fail") await told(run)
  run?.close()
})

const races = rounds === 1 ? 100 : 1_000
const sizes = rounds === 1 ? [3] : [2, 3, 5]

/**
 * `make test-cluster` has all of it; `make test` the take-overs alone: what docs/cluster.md says does not hold yet shows in some of the other
 * runs, whatever the seed.
 */
const describeWhole = isWhole ? describe : () => {}

describeWhole(`kill -9 under load, seed ${seed}`, { timeout: 60_000 + rounds * 60_000 }, () => {
  it.each(sizes)("of any of %i nodes, and its return", async (count) => {
    run = new ChaosRun(seed)
    await run.begin(count)
    run.run()
    for (let round = 0; round < rounds; round++) {
      await run.progress(50 + run.random(200))
      const node = run.pick()
      await run.kill(node)
      await run.progress(50)
      for (let hops = 0; hops < 5; hops++) await run.hop()
      await run.start(node)
      for (let hops = 0; hops < 5; hops++) await run.hop()
    }
    await healed(run, `${count} nodes, ${rounds} kills`)
  })
})

describeWhole(`a rolling restart under load, seed ${seed}`, { timeout: 180_000 }, () => {
  it.each([false, true])("each node in turn (it leaves first: %s)", async (leaves) => {
    run = new ChaosRun(seed)
    await run.begin(3)
    run.run()
    for (const node of [...run.nodes]) {
      await run.progress(100)
      await run.restart(node, leaves)
      for (let hops = 0; hops < 3; hops++) await run.hop()
    }
    await healed(run, `3 nodes, each restarted${leaves ? " after it has left" : ""}`)
    if (leaves) { for (const { name, sessionLost } of run.subscribers) assert.isFalse(sessionLost, name) }
  })
})

describe("take-overs", { timeout: 180_000 }, () => {
  it(`${races} of one client id racing on all nodes: one connection and one session are left`, async () => {
    run = new ChaosRun(seed)
    await run.begin(3)
    const { nodes } = run
    const subscribers = run.subscribers.length
    let next = 0
    const clients: Array<MiniClient> = []
    const race = async () => {
      while (next < races) {
        const node = nodes[next++ % nodes.length]
        // Most are sent away, some before they are let in.
        const client = node && await MiniClient.connect(node.door, {
          clientId: "one",
          expiry: 1000,
          onPacket: (packet, from) => packet.cmd === "disconnect" && from.drop()
        }).catch(() => undefined)
        if (client !== undefined) clients.push(client)
      }
    }
    await Promise.all(Array.from({ length: 20 }, race))
    // The publishers are there too; one of them has a session.
    const connections = subscribers + run.publishers.length + 1
    assert.deepStrictEqual(await run.disagreements({ sessions: connections, connections }), {})
    for (const client of clients) client.drop()
  })
})
