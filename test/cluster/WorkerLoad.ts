// Publishers and durable subscribers at the one port of a node with workers, which come back whenever they lose their connection, and the books that are kept of
// what they were told. Invariant: a client has one connection at a time.
import type { WorkerNode } from "../cli/WorkerNode.ts"
import { Publisher, Subscriber } from "../crash/clients.ts"
import { check, type Findings } from "./History.ts"

type Client = Publisher | Subscriber

const patienceMillis = 20_000
const pauseMillis = 20

export class WorkerLoad {
  readonly publishers = [new Publisher("one-a", 1), new Publisher("one-b", 1), new Publisher("two", 2)]
  readonly subscribers = ["sub-1", "sub-2", "sub-3", "sub-4"].map((name) => new Subscriber(name))
  /** How often a client lost its connection and came back. */
  moved = 0
  /** Where they come in. */
  port = 0
  private over = false
  private readonly owedFrom = new Map<string, number>()

  get acknowledged(): number {
    return this.publishers.reduce((sum, one) => sum + one.acknowledged.size, 0)
  }

  private get clients(): ReadonlyArray<Client> {
    return [...this.subscribers, ...this.publishers]
  }

  /** They publish when it returns, and every subscriber is known to every worker. */
  async begin({ port }: WorkerNode): Promise<void> {
    this.port = port
    for (const client of this.clients) await client.connect(port)
    for (const [index, one] of this.subscribers.entries()) await one.subscribe("load/#", index % 2 === 0 ? 2 : 1)
    for (let reached = false; !reached;) {
      for (const publisher of this.publishers) publisher.one()
      for (const publisher of this.publishers) await publisher.idle()
      const last = this.publishers.map(({ name, serial }) => `${name}:${serial}`)
      reached = (await Promise.all(this.subscribers.map((one) => one.seen(last, 500)))).every((all) => all)
    }
    for (const publisher of this.publishers) {
      this.owedFrom.set(publisher.name, publisher.serial)
      publisher.running = true
      publisher.fill()
    }
    for (const client of this.clients) void this.follow(client)
  }

  /** So many more messages have been acknowledged. */
  async progress(messages: number): Promise<void> {
    const before = this.acknowledged
    while (this.acknowledged < before + messages) await new Promise((resolve) => setTimeout(resolve, 5)) // until they are
  }

  /** All that was acknowledged has come, or nothing more comes. */
  async findings(): Promise<Findings> {
    for (const publisher of this.publishers) publisher.running = false
    for (const publisher of this.publishers) await publisher.idle()
    const published = this.publishers.map(({ acknowledged, name, qos }) => ({
      ...{ name, qos },
      acknowledged: new Set([...acknowledged].filter((one) => serialOf(one) >= (this.owedFrom.get(name) ?? 0)))
    }))
    const owed = published.flatMap(({ acknowledged }) => [...acknowledged])
    await Promise.all(this.subscribers.map((one) => one.seen(owed, patienceMillis)))
    return check(
      published,
      this.subscribers.map(({ losses, name, order, unsure }, index) => ({
        ...{ name, payloads: order, grantedQoS: index % 2 === 0 ? 2 : 1, unsure, losses },
        streams: 1 + losses + this.moved
      }))
    )
  }

  close(): void {
    this.over = true
    for (const { client } of this.clients) client?.drop()
  }

  /** As a device does: again and again, until it is let in. */
  private async follow(client: Client): Promise<void> {
    for (;;) {
      await client.client?.ended
      if (this.over) return
      this.moved++
      for (let isThere = false; !isThere && !this.over;) {
        isThere = await client.connect(this.port).then(() => true, () => false)
        if (!isThere) await new Promise((resolve) => setTimeout(resolve, pauseMillis)) // it is tried again
      }
      if (!("subscribeAnew" in client) || client.client?.sessionPresent !== false) continue
      await Promise.race([client.subscribeAnew(), client.client.ended])
    }
  }
}

const serialOf = (payload: string): number => Number(payload.split(":")[1])
