// What every run of a cluster under load is asked at its end, and what is told of one that has failed.
import process from "node:process"
import { assert } from "@effect/vitest"
import type { ChaosRun } from "./ChaosRun.ts"
import { type Findings, nothing } from "./History.ts"

/** `make test-cluster` sets it: everything, and not the short selection of `make test`. */
export const isWhole = process.env["CLUSTER_ROUNDS"] !== undefined
export const rounds = Number(process.env["CLUSTER_ROUNDS"] ?? 1)
export const seed = Number(process.env["CLUSTER_SEED"] ?? 1)

/** Publishers pause: all that was acknowledged has come, and nodes agree. */
export const agreed = async (chaos: ChaosRun): Promise<void> => {
  assert.deepStrictEqual(shown(await chaos.findings()), nothing)
  const clients = chaos.publishers.length + chaos.subscribers.length
  chaos.updater.client?.drop()
  assert.deepStrictEqual(await chaos.disagreements({ sessions: clients, connections: clients }), {})
}

/** All that was acknowledged has come, nodes agree, and nothing is left of clients that are gone; `also`: before those go. */
export const healed = async (
  chaos: ChaosRun,
  what: string,
  also: () => Promise<void> = () => Promise.resolve()
): Promise<void> => {
  await agreed(chaos)
  await also()
  await chaos.empty()
  assert.deepStrictEqual(await chaos.disagreements({ sessions: 0, connections: 0 }), {})
  process.stdout.write(`${what}, seed ${seed}: ${chaos.acknowledged} messages acknowledged\n`)
}

/** The first few of each tell enough. */
const shown = (findings: Findings): object =>
  Object.fromEntries(
    Object.entries(findings).map((
      [kind, all]
    ) => [kind, all.length > 3 ? [...all.slice(0, 3), all.length, all[all.length - 1]] : all])
  )

/** Everything that helps to find out what went wrong. */
export const told = async (chaos: ChaosRun | undefined): Promise<void> => {
  console.error(await chaos?.portrait())
  for (const node of chaos?.farm.nodes ?? []) console.error(`${node.name}\n${node.process.stderr.slice(-4000)}`)
}
