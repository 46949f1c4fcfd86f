// kill -9 at any moment: nothing that was acknowledged is lost, nothing of QoS 2 comes twice. CRASH_ROUNDS (5) rounds with CRASH_SEED,
// which is printed; `make test-crash` has 30.
import { randomInt } from "node:crypto"
import { describe, expect, it } from "vitest"
import { missingPostgres, PostgresServer } from "../support/PostgresServer.ts"
import { CrashRun, type Findings } from "./CrashRun.ts"

const rounds = Number(process.env["CRASH_ROUNDS"] ?? 5)
const seed = Number(process.env["CRASH_SEED"] ?? randomInt(1_000_000))
const timeout = 30_000 + rounds * 20_000

const nothing: Findings = { lost: [], duplicates: [], sessions: [], subscriptions: [], retained: [], refused: [] }
/** The first few of each tell enough. */
const shown = (findings: Findings): object =>
  Object.fromEntries(Object.entries(findings).map(([kind, all]) => [kind, all.slice(0, 5)]))

const crashing = async (run: CrashRun, times: number, use: (findings: Findings, run: CrashRun) => void) => {
  try {
    await run.begin()
    for (let round = 1; round <= times; round++) {
      await run.crash()
      use(await run.check(), run)
    }
    const acknowledged = run.publishers.reduce((sum, publisher) => sum + publisher.acknowledged.size, 0)
    process.stdout.write(`crash test, seed ${seed}: ${run.kills} kills, ${acknowledged} messages acknowledged\n`)
    return acknowledged
  } finally {
    await run.end()
  }
}

describe(`kill -9 under load, seed ${seed}`, () => {
  it(`sqlite: ${rounds} times, and nothing acknowledged is lost`, { timeout }, async () => {
    const acknowledged = await crashing(new CrashRun(seed, ""), rounds, (findings, run) => {
      expect(shown(findings), `seed ${seed}, kill ${run.kills}\n${run.log}`).toEqual(nothing)
    })
    expect(acknowledged).toBeGreaterThan(0)
  })

  it(`postgres: ${rounds} times, and nothing acknowledged is lost`, { timeout }, async (context) => {
    if (missingPostgres !== undefined) return context.skip(missingPostgres)
    const server = PostgresServer.start()
    try {
      const run = new CrashRun(seed, `[store]\nengine = "postgres"\nurl = "${server.url("crash")}"`)
      const acknowledged = await crashing(run, rounds, (findings) => {
        expect(shown(findings), `seed ${seed}, kill ${run.kills}\n${run.log}`).toEqual(nothing)
      })
      expect(acknowledged).toBeGreaterThan(0)
    } finally {
      server.stop()
    }
  })

  it(`durability "memory": this test is able to fail`, { timeout }, async () => {
    const found: Array<string> = []
    const run = new CrashRun(seed, `[store]\ndurability = "memory"`, true)
    await crashing(run, 1, (findings) => {
      for (const [kind, all] of Object.entries(findings)) if (all.length > 0) found.push(kind)
    })
    expect(found).toEqual(expect.arrayContaining(["lost", "sessions", "subscriptions", "retained"]))
  })
})
