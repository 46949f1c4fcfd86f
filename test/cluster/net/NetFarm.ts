// Nodes of a cluster that are each in a network namespace of their own: clients and ctl reach them by socket files, which no cut wire harms.
// Invariant: a node that comes back under its name is where it was.
import { existsSync, readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { type ClusterNode, NodeFarm, type Place } from "../ClusterNode.ts"
import { Network, type WireQuality } from "./Network.ts"

/** Deadlines that a split would make a test wait for, each time. */
const soon = [
  "--set",
  "cluster.heartbeat_interval=500ms",
  "--set",
  "cluster.connect_timeout=1s",
  "--set",
  "cluster.forward_timeout=1s",
  "--set",
  "cluster.claim_timeout=1s",
  "--set",
  "cluster.takeover_timeout=2s"
]

/** libfaketime; undefined: it is not here. */
export const faketime: string | undefined = (() => {
  const lib = "/usr/lib"
  const found = existsSync(lib) ? readdirSync(lib).map((name) => join(lib, name, "faketime", "libfaketime.so.1")) : []
  return found.find((file) => existsSync(file))
})()

export class NetFarm extends NodeFarm {
  readonly network = new Network()
  /** Seconds by which a node's clock is ahead, by its name; asked when it starts. */
  readonly clocks = new Map<string, number>()
  private readonly places = new Map<string, Place>()

  protected override async place(name: string): Promise<Place> {
    let place = this.places.get(name)
    if (place === undefined) {
      const address = `10.99.0.${this.places.size + 1}`
      const secret = join(this.directory, "secret")
      writeFileSync(secret, "one secret for all\n")
      place = {
        within: await this.network.node(address),
        environment: this.clockOf(name),
        listen: `${address}:4370`,
        args: [...soon, "--cluster-secret-file", secret]
      }
      this.places.set(name, place)
    }
    return place
  }

  /** Each of `from` to each of `to`, one way. */
  async wires(
    from: ReadonlyArray<ClusterNode>,
    to: ReadonlyArray<ClusterNode>,
    quality: WireQuality = {}
  ): Promise<void> {
    await Promise.all(
      from.flatMap((one) => to.map((other) => this.network.wire(this.addressOf(one), this.addressOf(other), quality)))
    )
  }

  override close(): void {
    super.close()
    this.network.close()
  }

  private addressOf({ name }: ClusterNode): string {
    const place = this.places.get(name)
    if (place === undefined) throw new Error(`${name} is nowhere`)
    return place.listen.split(":")[0] ?? ""
  }

  private clockOf(name: string): Place["environment"] {
    const seconds = this.clocks.get(name) ?? 0
    if (seconds === 0 || faketime === undefined) return {}
    return {
      LD_PRELOAD: faketime,
      FAKETIME: `${seconds > 0 ? "+" : ""}${seconds}s`,
      FAKETIME_DONT_FAKE_MONOTONIC: "1"
    }
  }
}
