// Workers of one node that are killed under load, and come back by themselves: their clients go on at the others, and the history checker has to find nothing.
import { afterEach, assert, describe, it } from "@effect/vitest"
import process from "node:process"
import { WorkerNode } from "../cli/WorkerNode.ts"
import { Publisher, Subscriber } from "../crash/clients.ts"
import { seeded } from "../otp/turns.ts"
import { rounds, seed } from "./chaosChecks.ts"
import { check, nothing } from "./History.ts"

let node: WorkerNode | undefined
const publishers = [new Publisher("one-a", 1), new Publisher("one-b", 1), new Publisher("two", 2)]
const subscribers = [new Subscriber("sub-1"), new Subscriber("sub-2"), new Subscriber("sub-3"), new Subscriber("sub-4")]
const clients = [...publishers, ...subscribers]

afterEach(() => {
  over = true
  for (const { client } of clients) client?.drop()
  node?.close()
})

const patienceMillis = 20_000

/** As a device does: again and again, until it is let in. */
const connect = async (client: Publisher | Subscriber, port: number): Promise<void> => {
  for (let attempts = 1;; attempts++) {
    try {
      await client.connect(port)
      break
    } catch (error) {
      if (attempts === 50) throw error
    }
  }
  if ("subscribeAnew" in client && client.client?.sessionPresent === false) await client.subscribeAnew()
}

let over = false
/** Clients that lost their connection and came back. */
let orphaned = 0
/** Whenever its worker has gone. */
const follow = async (client: Publisher | Subscriber, port: number): Promise<void> => {
  for (;;) {
    await client.client?.ended
    if (over) return
    orphaned++
    await connect(client, port)
  }
}

const acknowledged = (): number => publishers.reduce((sum, one) => sum + one.acknowledged.size, 0)

const progress = async (messages: number): Promise<void> => {
  const before = acknowledged()
  while (acknowledged() < before + messages) await new Promise((resolve) => setTimeout(resolve, 5)) // until they are
}

describe(`kill -9 of workers under load, seed ${seed}`, { timeout: 60_000 + rounds * 60_000 }, () => {
  it("clients go on at the others; nothing acknowledged is lost, order is kept, and the worker comes back", async () => {
    const { port, process: parent } = node = await WorkerNode.start("--set", "queue.capacity=1000000")
    const random = seeded(seed)
    for (const subscriber of subscribers) await connect(subscriber, port)
    for (const [index, subscriber] of subscribers.entries()) {
      await subscriber.subscribe("load/#", index % 2 === 0 ? 2 : 1)
    }
    for (const publisher of publishers) await connect(publisher, port)
    // A subscription is known on both workers once messages of publishers on both have come by it.
    for (let reached = false; !reached;) {
      for (const publisher of publishers) publisher.one()
      for (const publisher of publishers) await publisher.idle()
      const last = publishers.map(({ name, serial }) => `${name}:${serial}`)
      reached = (await Promise.all(subscribers.map((one) => one.seen(last, 500)))).every((all) => all)
    }
    const owedFrom = new Map(publishers.map(({ name, serial }) => [name, serial]))
    for (const publisher of publishers) {
      publisher.running = true
      publisher.fill()
    }
    for (const client of clients) void follow(client, port)
    const killed: Array<number> = []
    for (let round = 0; round < rounds + 1; round++) {
      await progress(50 + random(200))
      const worker = random(2) + 1
      const victim = (await node.status()).workers.find((one) => one.worker === worker)
      killed.push(worker)
      process.kill(victim?.process ?? 0, "SIGKILL")
      await parent.told(new RegExp(`(?:worker ended, it is started again"[^]*){${round + 1}}`))
      await progress(50)
      await parent.told(
        new RegExp(`(?:is ready" worker=${worker}[^]*){${killed.filter((one) => one === worker).length + 1}}`)
      )
    }
    for (const publisher of publishers) publisher.running = false
    for (const publisher of publishers) await publisher.idle()
    const owed = publishers.flatMap((one) => [...one.acknowledged])
    await Promise.all(subscribers.map((one) => one.seen(owed, patienceMillis)))
    for (const { name, refused } of publishers) assert.deepStrictEqual([name, refused], [name, []])
    const received = subscribers.map(({ losses, name, order, unsure }, index) => ({
      ...{ name, payloads: order, grantedQoS: index % 2 === 0 ? 2 as const : 1 as const, unsure, losses },
      streams: 1 + losses + orphaned
    }))
    const known = publishers.map((one) => ({
      ...{ name: one.name, qos: one.qos },
      acknowledged: new Set(
        [...one.acknowledged].filter((p) => Number(p.split(":")[1]) >= (owedFrom.get(one.name) ?? 0))
      )
    }))
    const findings = check(known, received)
    if (JSON.stringify(findings) !== JSON.stringify(nothing)) console.error(parent.stderr.slice(-6_000), killed)
    assert.deepStrictEqual(findings, nothing)
    process.stdout.write(
      `workers ${killed.join()} killed, seed ${seed}: ${acknowledged()} messages acknowledged, ${orphaned} clients moved\n`
    )
  })
})
