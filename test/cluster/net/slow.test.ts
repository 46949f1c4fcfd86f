// Wires that are slow, lossy and narrow, nodes that stand still for a moment, under load: it takes longer, and nothing else.
import { afterEach, assert, describe, it } from "@effect/vitest"
import { healed, isWhole, rounds, seed, told } from "../chaosChecks.ts"
import { networkMissing, type WireQuality } from "./Network.ts"
import { NetRun } from "./NetRun.ts"

if (networkMissing !== undefined) console.log(`skipped: ${networkMissing}`)

let run: NetRun | undefined
afterEach(async (context) => {
  if (context.task.result?.state === "fail") await told(run)
  run?.close()
})

const describeWhole = networkMissing === undefined && isWhole ? describe : describe.skip

describeWhole(`wires under load, seed ${seed}`, { timeout: 60_000 + rounds * 60_000 }, () => {
  const qualities: ReadonlyArray<readonly [string, WireQuality]> = [
    ["200 ms", { delay: 200, jitter: 20 }],
    ["5 % loss", { loss: 5 }],
    ["200 ms, 5 % loss, packets that overtake others", { delay: 200, jitter: 50, loss: 5, reorder: 5 }],
    ["50,000 bytes a second", { delay: 5, rate: 50_000 }]
  ]
  it.each(qualities)("three nodes, clients on the move: %s", async (what, quality) => {
    run = new NetRun(seed)
    await run.begin(3)
    await run.wire(quality)
    run.run()
    for (let round = 0; round < 3 * rounds; round++) {
      await run.progress(100)
      for (let hops = 0; hops < 4; hops++) await run.hop()
    }
    await run.progress(100)
    await run.heal()
    await healed(run, what)
  })
})

describeWhole(`a node that stands still, seed ${seed}`, { timeout: 60_000 + rounds * 60_000 }, () => {
  it("until it is suspected: it objects, nobody is buried and no link breaks", async () => {
    run = new NetRun(seed)
    await run.begin(3)
    run.run()
    for (let round = 0; round < 3 * rounds; round++) {
      await run.progress(100)
      await run.stop(run.pick(), "suspect")
      await run.heal()
      for (let hops = 0; hops < 4; hops++) await run.hop()
    }
    await run.progress(100)
    await healed(run, "a node stands still for a moment")
    for (const { process } of run.nodes) assert.notMatch(process.stderr, /member is dead|link down/)
  })
})
