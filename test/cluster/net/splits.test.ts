// Networks that fall apart and come together again, between real processes in network namespaces, under load.
import { afterEach, describe, it } from "@effect/vitest"
import { agreed, healed, isWhole, rounds, seed, told } from "../chaosChecks.ts"
import { networkMissing } from "./Network.ts"
import { NetRun } from "./NetRun.ts"

if (networkMissing !== undefined) console.log(`skipped: ${networkMissing}`)

let run: NetRun | undefined
afterEach(async (context) => {
  if (context.task.result?.state === "fail") await told(run)
  run?.close()
})

interface Trouble {
  readonly what: string
  readonly nodes: number
  /** In `make test-cluster`; `CLUSTER_ROUNDS` times that many. */
  readonly times: number
  readonly begin: (run: NetRun) => Promise<void>
}

const splitAlone = async (run: NetRun) => {
  const alone = run.pick()
  await run.split([alone], run.others(alone))
}

const troubles: ReadonlyArray<Trouble> = [
  { what: "two nodes apart", nodes: 2, times: 10, begin: splitAlone },
  { what: "one node of three apart from the two others", nodes: 3, times: 10, begin: splitAlone },
  {
    what: "three nodes, each alone",
    nodes: 3,
    times: 10,
    begin: (run) => run.split(...run.nodes.map((node) => [node]))
  },
  {
    what: "two of five apart",
    nodes: 5,
    times: 3,
    begin: (run) => {
      const some = run.nodes.slice(run.random(4)).slice(0, 2)
      return run.split(some, run.others(...some))
    }
  },
  {
    what: "one node of three does not hear the others",
    nodes: 3,
    times: 3,
    begin: (run) => {
      const deaf = run.pick()
      return run.deafen(run.others(deaf), [deaf])
    }
  },
  {
    what: "one node of three is not heard by the others",
    nodes: 3,
    times: 3,
    begin: (run) => {
      const mute = run.pick()
      return run.deafen([mute], run.others(mute))
    }
  },
  {
    what: "one of two nodes does not hear the other",
    nodes: 2,
    times: 3,
    begin: (run) => {
      const deaf = run.pick()
      return run.deafen(run.others(deaf), [deaf])
    }
  },
  {
    what: "one node of three does not hear one other",
    nodes: 3,
    times: 3,
    begin: async (run) => {
      const deaf = run.pick()
      const [mute] = run.others(deaf)
      if (mute !== undefined) await run.deafenOne(mute, deaf)
    }
  },
  {
    what: "one node of three stands still until it is dead",
    nodes: 3,
    times: 3,
    begin: (run) => run.stop(run.pick(), "dead")
  }
]

/** Under load; clients go from side to side meanwhile if they are to. */
const tried = async ({ begin, nodes, what }: Trouble, times: number, hops: number): Promise<void> => {
  run = new NetRun(seed)
  await run.begin(nodes)
  for (let time = 0; time < times; time++) {
    run.run()
    await run.progress(100)
    await begin(run)
    await run.progress(100)
    for (let hop = 0; hop < hops; hop++) await run.hopAcross()
    await run.progress(100)
    await run.heal()
    for (let hop = 0; hop < hops; hop++) await run.hop()
    await run.progress(100)
    if (time < times - 1) await agreed(run)
  }
  await healed(run, `${what}, ${times} times`)
}

const describeNet = networkMissing === undefined ? describe : describe.skip
/** In `make test`, once, while clients stay where they are. */
const selected = ["one node of three apart from the two others"]

describeNet(`trouble under load, seed ${seed}`, { timeout: 240_000 }, () => {
  it.each(troubles.filter(({ what }) => selected.includes(what)))(
    "$what, and healed",
    (trouble) => tried(trouble, 1, 0)
  )
})

if (isWhole) {
  describeNet(`trouble while clients are on the move, seed ${seed}`, { timeout: 60_000 + rounds * 200_000 }, () => {
    it.each(troubles)("$what, $times times", (trouble) => tried(trouble, trouble.times * rounds, 4))
  })
}
