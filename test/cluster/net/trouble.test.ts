// Networks that fall apart and come together again, that are slow and lossy, nodes that stand still: real processes in network namespaces, under load.
import { afterEach, describe, it } from "@effect/vitest"
import { agreed, healed, isWhole, rounds, seed, told } from "../chaosChecks.ts"
import { networkMissing, type WireQuality } from "./Network.ts"
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
  readonly begin: (run: NetRun) => Promise<void>
  /** Clients move anywhere meanwhile, not to another side alone. */
  readonly hasNoSides?: true
}

const wires = (what: string, quality: WireQuality): Trouble => ({
  what,
  nodes: 3,
  begin: (run) => run.wire(quality),
  hasNoSides: true
})

const splitAlone = async (run: NetRun) => {
  const alone = run.pick()
  await run.split([alone], run.others(alone))
}

const troubles: ReadonlyArray<Trouble> = [
  { what: "two nodes apart", nodes: 2, begin: splitAlone },
  { what: "one node of three apart from the two others", nodes: 3, begin: splitAlone },
  {
    what: "three nodes, each alone",
    nodes: 3,
    begin: (run) => run.split(...run.nodes.map((node) => [node]))
  },
  {
    what: "two of five apart",
    nodes: 5,
    begin: (run) => {
      const some = run.nodes.slice(run.random(4)).slice(0, 2)
      return run.split(some, run.others(...some))
    }
  },
  {
    what: "one node of three does not hear the others",
    nodes: 3,
    begin: (run) => {
      const deaf = run.pick()
      return run.deafen(run.others(deaf), [deaf])
    }
  },
  {
    what: "one node of three is not heard by the others",
    nodes: 3,
    begin: (run) => {
      const mute = run.pick()
      return run.deafen([mute], run.others(mute))
    }
  },
  {
    what: "one of two nodes does not hear the other",
    nodes: 2,
    begin: (run) => {
      const deaf = run.pick()
      return run.deafen(run.others(deaf), [deaf])
    }
  },
  {
    what: "one node of three does not hear one other",
    nodes: 3,
    begin: async (run) => {
      const deaf = run.pick()
      const [mute] = run.others(deaf)
      if (mute !== undefined) await run.deafenOne(mute, deaf)
    }
  },
  {
    what: "one node of three stands still until it is dead",
    nodes: 3,
    begin: (run) => run.stop(run.pick(), "dead")
  },
  {
    what: "one node of three stands still until it is suspected",
    nodes: 3,
    begin: async (run) => {
      await run.stop(run.pick(), "suspect")
      await run.heal()
    },
    hasNoSides: true
  },
  wires("wires of 200 ms", { delay: 200, jitter: 20 }),
  wires("wires that lose 5 %", { loss: 5 }),
  wires("wires of 200 ms that lose 5 % and change the order", { delay: 200, jitter: 50, loss: 5, reorder: 5 }),
  wires("wires of 50,000 bytes a second", { delay: 5, rate: 50_000 })
]

/** Under load; clients go from side to side meanwhile if they are to. */
const tried = async ({ begin, hasNoSides, nodes, what }: Trouble, times: number, hops: number): Promise<void> => {
  run = new NetRun(seed)
  await run.begin(nodes)
  for (let time = 0; time < times; time++) {
    run.run()
    await run.progress(100)
    for (let hop = 0; hop < hops; hop++) await run.hop()
    await run.progress(50)
    await begin(run)
    await run.progress(100)
    for (let hop = 0; hop < hops; hop++) await (hasNoSides ? run.hop() : run.hopAcross())
    await run.progress(100)
    await run.heal()
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
  describeNet(`trouble ${rounds} times while clients are on the move, seed ${seed}`, {
    timeout: 60_000 + rounds * 30_000
  }, () => {
    it.each(troubles.map((one) => [one.what, one] as const))("%s", (_, trouble) => tried(trouble, rounds, 4))
  })
}
