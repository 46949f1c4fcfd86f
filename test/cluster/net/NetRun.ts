// A cluster under load whose network is split, slow, lossy and healed, whose nodes stand still, while clients go from one to the other. They reach every
// node all the time: it is the nodes that do not reach each other. What must be true then is what ChaosRun and History say.
import { MiniClient } from "../../crash/MiniClient.ts"
import { Publisher } from "../../crash/clients.ts"
import { ChaosRun } from "../ChaosRun.ts"
import type { ClusterNode } from "../ClusterNode.ts"
import type { Findings } from "../History.ts"
import { NetFarm } from "./NetFarm.ts"
import type { WireQuality } from "./Network.ts"

export class NetRun extends ChaosRun {
  declare readonly farm: NetFarm
  /** By name; nodes of one side reach each other. */
  private readonly sides = new Map<string, string>()
  /** Clients that move go to another side. */
  private crosses = false
  /** The side of the one that moves. */
  private comesFrom: string | undefined
  private readonly movedAt = new Map<string, number>()
  private readonly stopped = new Set<ClusterNode>()

  constructor(seed: number) {
    super(seed, new NetFarm())
  }

  override async begin(count: number): Promise<void> {
    await super.begin(count)
    await this.farm.network.seed(this.random(1_000_000))
  }

  others(...nodes: ReadonlyArray<ClusterNode>): ReadonlyArray<ClusterNode> {
    return this.nodes.filter((node) => !nodes.includes(node))
  }

  /** Parts that do not hear of each other; it is so once all of them have buried all others. */
  async split(...sides: ReadonlyArray<ReadonlyArray<ClusterNode>>): Promise<void> {
    this.tell(`split ${sides.map((side) => side.map(({ name }) => name).join()).join(" | ")}`)
    await this.apart(
      sides,
      () => Promise.all(sides.map((side) => this.farm.wires(side, this.others(...side), { cut: 1 })))
    )
  }

  /** Nothing gets from those to these, but from these to those; it is so once each of both has buried the other. */
  async deafen(from: ReadonlyArray<ClusterNode>, to: ReadonlyArray<ClusterNode>): Promise<void> {
    this.tell(`${from.map(({ name }) => name).join()} cannot be heard by ${to.map(({ name }) => name).join()}`)
    await this.apart([from, to], () => this.farm.wires(from, to, { cut: 1 }))
  }

  /** As `deafen`, between two who live for each other by way of others: only their link is down. */
  async deafenOne(from: ClusterNode, to: ClusterNode): Promise<void> {
    this.tell(`${from.name} cannot be heard by ${to.name}`)
    const down = [
      from.next("cluster: link down", `node=${to.name}`),
      to.next("cluster: link down", `node=${from.name}`)
    ]
    await this.farm.wires([from], [to], { cut: 1 })
    await Promise.all(down)
    this.sides.set(from.name, from.name)
    this.sides.set(to.name, to.name)
  }

  /** It stands still, as a machine does that swaps or is suspended, until the others say so: "suspect" or "dead". */
  async stop(node: ClusterNode, until: "suspect" | "dead"): Promise<void> {
    this.tell(`stop ${node.name} until it is ${until}`)
    const noticed = this.others(node).map((other) => other.next(`cluster: member is ${until}`, `node=${node.name}`))
    node.process.signal("SIGSTOP")
    this.stopped.add(node)
    this.away.add(node.name)
    this.sides.set(node.name, node.name)
    await Promise.all(noticed)
  }

  async wire(quality: WireQuality): Promise<void> {
    this.tell(`all wires: ${JSON.stringify(quality)}`)
    await this.farm.network.wire("*", "*", quality)
  }

  /** All wires are good again, all nodes go on; it is so once all have links to all others. */
  async heal(): Promise<void> {
    this.tell("heal")
    for (const node of this.stopped) node.process.signal("SIGCONT")
    for (const { name } of this.stopped) this.away.delete(name)
    this.stopped.clear()
    await this.farm.network.wire("*", "*")
    for (const node of this.nodes) for (const other of this.others(node)) await node.linkedTo(other.name)
    this.sides.clear()
    this.tell("all links are up")
  }

  /** One of the clients goes to another side. */
  async hopAcross(): Promise<void> {
    this.crosses = true
    await this.hop()
    this.crosses = false
  }

  /** What is retained now, as a client of this node gets it, that cannot be so. */
  async retainedFaults(node: ClusterNode): Promise<ReadonlyArray<string>> {
    const found = new Map<string, string>()
    const reader = await new Promise<MiniClient>((resolve, reject) => {
      MiniClient.connect(node.door, {
        clientId: "reader",
        expiry: 0,
        onPacket: (packet, client) => {
          if (packet.cmd === "publish") found.set(packet.topic, packet.payload.toString())
          if (packet.cmd === "suback") client.send({ cmd: "pingreq" })
          if (packet.cmd === "pingresp") resolve(client)
        }
      }).then((client) => {
        client.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "retained/#", qos: 0 }] })
      }, reject)
    })
    reader.drop()
    return this.updater.topics.flatMap(({ topic }) => this.updater.judge(topic, found.get(topic)) ?? [])
  }

  override pick(): ClusterNode {
    const isElsewhere = (node: ClusterNode) => this.sides.get(node.name) !== this.comesFrom
    // Nobody goes to a node that stands still.
    if (!this.crosses || !this.living.some(isElsewhere)) return super.pick()
    for (;;) {
      const node = super.pick()
      if (isElsewhere(node)) return node
    }
  }

  /** Once what two sides had of a client has become one, who was sent away for it comes again. */
  override async findings(): Promise<Findings> {
    this.updater.client?.drop()
    const all = this.clients.length
    for (let round = 0; round < 40; round++) {
      const found = Object.keys(await this.disagreement({ sessions: all, connections: all }))
      if (!found.includes("moving") && !found.includes("held")) break
    }
    for (const client of this.clients) if (client.client?.closed === true) await this.move(client)
    return super.findings()
  }

  override portrait(): Promise<string> {
    for (const node of this.stopped) node.process.signal("SIGCONT")
    return super.portrait()
  }

  override close(): void {
    for (const node of this.stopped) node.process.signal("SIGCONT")
    super.close()
  }

  protected override async move(client: Parameters<ChaosRun["move"]>[0]): Promise<void> {
    const before = this.sides.get(this.places.get(client.name) ?? "")
    this.comesFrom = before
    await super.move(client)
    this.movedAt.set(client.name, performance.now())
    // What a publisher has sent on the side that it left comes later than what it sends on this one.
    if (client instanceof Publisher && this.sides.get(this.places.get(client.name) ?? "") !== before) this.orphaned++
  }

  /** Exchanges that are open with one of two sessions mean nothing to the other; when it comes back to the first it could not know that. */
  protected override async beforeHop(client: Parameters<ChaosRun["move"]>[0]): Promise<void> {
    // Which of two connections is the later one nodes on two sides can tell only by their clocks.
    const before = this.movedAt.get(client.name) ?? 0
    while (performance.now() < before + 20) await new Promise((resolve) => setTimeout(resolve, 5)) // until they are apart
    if (!this.crosses || !(client instanceof Publisher) || client.qos === 1) return
    client.running = false
    await client.idle()
    client.running = true
  }

  /** Each side has buried all others once this is done. */
  private async apart(
    sides: ReadonlyArray<ReadonlyArray<ClusterNode>>,
    cut: () => Promise<unknown>
  ): Promise<void> {
    const buried = sides.flatMap((side, index) =>
      side.flatMap((node) => {
        this.sides.set(node.name, String(index))
        return this.others(...side).map(({ name }) => node.next("cluster: member is dead", `node=${name}`))
      })
    )
    await cut()
    await Promise.all(buried)
    this.tell("all others are dead")
  }
}
