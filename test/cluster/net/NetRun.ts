// A cluster under load whose network is split, slow, lossy and healed, while clients go from one side to the other. They reach every node all the
// time: it is the nodes that do not reach each other. What must be true then is what ChaosRun and History say.
import { ChaosRun } from "../ChaosRun.ts"
import type { ClusterNode } from "../ClusterNode.ts"
import { Publisher } from "../../crash/clients.ts"
import { NetFarm } from "./NetFarm.ts"

export class NetRun extends ChaosRun {
  declare readonly farm: NetFarm
  /** By name; nodes of one side reach each other. */
  private readonly sides = new Map<string, number>()

  constructor(seed: number) {
    super(seed, new NetFarm())
  }

  override async begin(count: number): Promise<void> {
    await super.begin(count)
    await this.farm.network.seed(this.random(1_000_000))
  }

  /** Parts that do not hear of each other; it is so once all of them have buried all others. */
  async split(...sides: ReadonlyArray<ReadonlyArray<ClusterNode>>): Promise<void> {
    this.tell(`split ${sides.map((side) => side.map(({ name }) => name).join()).join(" | ")}`)
    const buried: Array<Promise<void>> = []
    for (const [index, side] of sides.entries()) {
      const others = sides.filter((other) => other !== side).flat()
      for (const node of side) {
        this.sides.set(node.name, index)
        for (const { name } of others) buried.push(node.next("cluster: member is dead", `node=${name}`))
      }
      await this.farm.wires(side, others, { cut: 1 })
    }
    await Promise.all(buried)
    this.tell("all others are dead")
  }

  /** All wires are good again; it is so once all have links to all others. */
  async heal(): Promise<void> {
    this.tell("heal")
    const linked = this.nodes.flatMap((node) =>
      this.nodes.filter(({ name }) => this.sides.get(name) !== this.sides.get(node.name)).map(({ name }) =>
        node.next("cluster: link up", `node=${name}`)
      )
    )
    await this.farm.network.wire("*", "*")
    await Promise.all(linked)
    this.sides.clear()
    this.tell("all links are up")
  }

  protected override async move(client: Parameters<ChaosRun["move"]>[0]): Promise<void> {
    const before = this.sides.get(this.places.get(client.name) ?? "")
    await super.move(client)
    // What a publisher has sent on the side that it left comes later than what it sends on this one.
    if (client instanceof Publisher && this.sides.get(this.places.get(client.name) ?? "") !== before) this.orphaned++
  }
}
