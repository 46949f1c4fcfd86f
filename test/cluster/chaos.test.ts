// Nodes are killed under load and come back, clients go elsewhere meanwhile: the history checker over all of it.
import process from "node:process"
import { afterEach, assert, describe, it } from "@effect/vitest"
import { ChaosRun } from "./ChaosRun.ts"
import { type Findings, nothing } from "./History.ts"

let run: ChaosRun | undefined
afterEach(async (context) => {
  if (context.task.result?.state === "fail") {
    console.error(await run?.portrait())
    for (const node of run?.farm.nodes ?? []) console.error(`${node.name}\n${node.process.stderr.slice(-4000)}`)
  }
  run?.close()
})

/** The first few of each tell enough. */
const shown = (findings: Findings): object =>
  Object.fromEntries(
    Object.entries(findings).map((
      [kind, all]
    ) => [kind, all.length > 3 ? [...all.slice(0, 3), all.length, all[all.length - 1]] : all])
  )

/** `make test-cluster` has more of everything. */
const rounds = Number(process.env["CLUSTER_ROUNDS"] ?? 1)
const seed = Number(process.env["CLUSTER_SEED"] ?? 1)
const sizes = rounds === 1 ? [3] : [2, 3, 5]

describe(`kill -9 under load, seed ${seed}`, { timeout: 60_000 + rounds * 60_000 }, () => {
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
    assert.deepStrictEqual(shown(await run.findings()), nothing)
    process.stdout.write(`${count} nodes, seed ${seed}: ${rounds} kills, ${run.acknowledged} messages acknowledged\n`)
  })
})
