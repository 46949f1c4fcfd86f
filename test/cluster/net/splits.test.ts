// Networks that fall apart and come together again, between real processes in network namespaces, under load.
import { afterEach, describe, it } from "@effect/vitest"
import { healed, isWhole, rounds, seed, told } from "../chaosChecks.ts"
import { networkMissing } from "./Network.ts"
import { NetRun } from "./NetRun.ts"

if (networkMissing !== undefined) console.log(`skipped: ${networkMissing}`)

let run: NetRun | undefined
afterEach(async (context) => {
  if (context.task.result?.state === "fail") await told(run)
  run?.close()
})

describe.skipIf(networkMissing !== undefined)(
  `splits under load, seed ${seed}`,
  { timeout: 60_000 + rounds * 60_000 },
  () => {
    it.each([false, ...(isWhole ? [true] : [])])(
      "one node of three apart from the two others, healed (clients go from side to side: %s)",
      async (hop) => {
        run = new NetRun(seed)
        await run.begin(3)
        run.run()
        await run.progress(100)
        const alone = run.pick()
        await run.split([alone], run.nodes.filter((node) => node !== alone))
        await run.progress(100)
        for (let hops = 0; hop && hops < 5; hops++) await run.hop()
        await run.progress(100)
        await run.heal()
        await run.progress(100)
        await healed(run, "3 nodes, 1 split")
      }
    )
  }
)
