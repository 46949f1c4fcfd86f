// Publishers and durable subscribers that hop between the nodes of a cluster of real processes, under load, and the books that are kept of it.
// Invariant: the seed decides everything that this side decides.
import { Publisher, Subscriber } from "../crash/clients.ts"
import { seeded } from "../otp/turns.ts"
import { type ClusterNode, NodeFarm } from "./ClusterNode.ts"
import { check, type Findings } from "./History.ts"

const patienceMillis = 20_000
/** What clients are owed is never too much here: it is lost messages that are looked for, not dropped ones. */
export const enough = ["--set", "queue.capacity=1000000"]

export class ClusterRun {
  readonly farm: NodeFarm
  readonly publishers = [new Publisher("one-a", 1), new Publisher("one-b", 1), new Publisher("two", 2)]
  readonly subscribers = [new Subscriber("sub-1"), new Subscriber("sub-2"), new Subscriber("sub-3")]
  readonly nodes: Array<ClusterNode> = []
  readonly random: (below: number) => number
  /** Addresses for nodes that come back. */
  protected readonly addresses = new Map<string, string>()

  constructor(seed: number, farm = new NodeFarm()) {
    this.farm = farm
    this.random = seeded(seed)
  }

  async begin(count: number): Promise<void> {
    for (let index = 0; index < count; index++) {
      const first = this.nodes[0]
      const args = [...enough, ...(first === undefined ? [] : ["--cluster", first.address])]
      const node = await this.farm.start(`n${index}@test`, ...args)
      this.nodes.push(node)
      this.addresses.set(node.name, node.address)
    }
    await this.linked(this.nodes)
    for (const [index, subscriber] of this.subscribers.entries()) {
      await subscriber.connect(this.node(index).door)
      await subscriber.subscribe("load/#", index % 2 === 0 ? 2 : 1)
    }
    for (const [index, publisher] of this.publishers.entries()) await publisher.connect(this.node(index).door)
    // A subscription is known everywhere once messages from every node have come by it.
    await this.mark("begin")
  }

  node(index: number): ClusterNode {
    const node = this.nodes[index % this.nodes.length]
    if (node === undefined) throw new Error("no nodes")
    return node
  }

  run(): void {
    for (const publisher of this.publishers) {
      publisher.running = true
      publisher.fill()
    }
  }

  /** One of the clients goes to another node, with its session. */
  async hop(): Promise<void> {
    const clients = [...this.publishers, ...this.subscribers]
    const client = clients[this.random(clients.length)]
    const node = this.node(this.random(this.nodes.length))
    if (client === undefined) return
    // Half of them leave before they come elsewhere, the others are taken over.
    if (this.random(2) === 0) client.client?.drop()
    await client.connect(node.door)
  }

  /** Publishers finish what they have in flight. */
  async settle(): Promise<void> {
    for (const publisher of this.publishers) publisher.running = false
    for (const publisher of this.publishers) await publisher.idle()
  }

  /** Everybody is connected; all that was acknowledged has come, or nothing more comes. */
  async findings(): Promise<Findings> {
    await this.settle()
    const owed = this.publishers.flatMap(({ acknowledged }) => [...acknowledged])
    await Promise.all(this.subscribers.map((subscriber) => subscriber.seen(owed, patienceMillis)))
    await this.mark("end")
    return check(
      this.publishers,
      this.subscribers.map(({ losses, name, order, unsure }, index) => ({
        name,
        payloads: order,
        grantedQoS: index % 2 === 0 ? 2 : 1,
        unsure,
        losses,
        streams: this.streams(losses)
      }))
    )
  }

  /** From how many places a subscriber may have been sent what it is owed. */
  protected streams(_losses: number): number {
    return 1
  }

  async linked(nodes: ReadonlyArray<ClusterNode>): Promise<void> {
    for (const node of nodes) {
      for (const other of nodes) if (other !== node) await node.logged("cluster: link up", `node=${other.name}`)
    }
  }

  /** A message from each node has come to each subscriber. */
  private async mark(what: string): Promise<void> {
    for (const [index, node] of this.nodes.entries()) {
      for (let seen = false, round = 0; !seen; round++) {
        const publisher = new Publisher(`mark-${what}-${index}-${round}`, 1)
        await publisher.connect(node.door)
        publisher.one()
        await publisher.idle()
        publisher.client?.drop()
        const came = await Promise.all(
          this.subscribers.map((one) => one.seen([...publisher.acknowledged], 1_000))
        )
        seen = came.every((one) => one)
      }
    }
  }

  close(): void {
    for (const { client } of [...this.publishers, ...this.subscribers]) client?.drop()
    this.farm.close()
  }
}
