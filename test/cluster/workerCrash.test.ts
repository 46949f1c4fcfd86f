// Workers of one node that are killed under load: their clients go on at the others or come back, and the history checker has to find nothing.
import { afterEach, assert, describe, it } from "@effect/vitest"
import process from "node:process"
import { WorkerNode } from "../cli/WorkerNode.ts"
import { seeded } from "../otp/turns.ts"
import { rounds, seed } from "./chaosChecks.ts"
import { nothing } from "./History.ts"
import { WorkerLoad } from "./WorkerLoad.ts"

let node: WorkerNode | undefined
let load = new WorkerLoad()
afterEach((context) => {
  if (context.task.result?.state === "fail") console.error(node?.process.stderr.slice(-6_000))
  load.close()
  load = new WorkerLoad()
  node?.close()
})

const enough = ["--set", "queue.capacity=1000000"]

const tell = (what: string): void => {
  process.stdout.write(
    `${what}, seed ${seed}: ${load.acknowledged} messages acknowledged, ${load.moved} clients moved\n`
  )
}

describe(`kill -9 under load, seed ${seed}`, { timeout: 60_000 + rounds * 60_000 }, () => {
  it("of one worker: clients go on at the other; nothing acknowledged is lost, order is kept, and it comes back", async () => {
    const started = node = await WorkerNode.start(...enough)
    const random = seeded(seed)
    await load.begin(started)
    const killed: Array<number> = []
    for (let round = 0; round < rounds + 1; round++) {
      await load.progress(50 + random(200))
      const worker = random(2) + 1
      const victim = (await started.status()).workers.find((one) => one.worker === worker)
      killed.push(worker)
      process.kill(victim?.process ?? 0, "SIGKILL")
      await started.process.told(new RegExp(`(?:worker ended, it is started again"[^]*){${round + 1}}`))
      await load.progress(50)
      const starts = killed.filter((one) => one === worker).length + 1
      await started.process.told(new RegExp(`(?:is ready" worker=${worker}[^]*){${starts}}`))
    }
    assert.deepStrictEqual(await load.findings(), nothing)
    for (const { name, refused } of load.publishers) assert.deepStrictEqual([name, refused], [name, []])
    tell(`workers ${killed.join()} killed`)
  })

  it("of all of them at once, and a new start: nothing acknowledged is lost, order is kept", async () => {
    let started = node = await WorkerNode.start(...enough)
    const random = seeded(seed)
    await load.begin(started)
    for (let round = 0; round < rounds; round++) {
      await load.progress(50 + random(200))
      const pids = (await started.status()).workers.map((one) => one.process)
      for (const pid of pids) process.kill(pid, "SIGKILL")
      started.process.signal("SIGKILL")
      await started.process.ended
      started = node = await started.again()
      await load.progress(50)
    }
    assert.deepStrictEqual(await load.findings(), nothing)
    tell(`all workers killed ${rounds} times`)
  })
})
