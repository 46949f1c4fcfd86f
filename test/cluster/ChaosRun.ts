// A cluster under load whose nodes are killed, stopped and started again, while clients go elsewhere and come back; and what must be true once it has
// healed. Invariant: a client has at most one connection under way; the seed decides everything that this side decides.
import { type Publisher, RetainedUpdater, type Subscriber } from "../crash/clients.ts"
import { MiniClient } from "../crash/MiniClient.ts"
import type { ClusterNode } from "./ClusterNode.ts"
import { ClusterRun, enough } from "./ClusterRun.ts"

type Roamer = Publisher | Subscriber

const attempts = 20

/** As far as it is looked at here. */
interface Status {
  readonly members: ReadonlyArray<
    { readonly name: string; readonly routes: number; readonly routes_digest: string; readonly owed_messages: number }
  >
  readonly sessions: { readonly held: number; readonly known: number; readonly moving: number }
  readonly retained_digest: string
}

interface Counts {
  readonly sessions: number
  readonly connections: number
}

export class ChaosRun extends ClusterRun {
  /** Nodes that are not there at present. */
  protected readonly away = new Set<string>()
  readonly updater = new RetainedUpdater(true)
  /** Where each client is. */
  protected readonly places = new Map<string, string>()
  /** Clients whose node went away under them, or out of whose reach they went. */
  protected orphaned = 0
  /** What was done, and how far each publisher was by then. */
  private readonly told: Array<string> = []

  override async begin(count: number): Promise<void> {
    await super.begin(count)
    for (const [index, { name }] of this.publishers.entries()) this.places.set(name, this.node(index).name)
    for (const [index, { name }] of this.subscribers.entries()) this.places.set(name, this.node(index).name)
  }

  protected get clients(): ReadonlyArray<Roamer> {
    return [...this.publishers, ...this.subscribers]
  }

  get living(): ReadonlyArray<ClusterNode> {
    return this.nodes.filter(({ name }) => !this.away.has(name))
  }

  get acknowledged(): number {
    return this.publishers.reduce((sum, one) => sum + one.acknowledged.size, 0)
  }

  /** So many more messages have been acknowledged; retained ones are changed meanwhile, if they are to. */
  async progress(messages: number, changesRetained = true): Promise<void> {
    const before = this.acknowledged
    this.updater.running = changesRetained
    this.updater.client?.drop()
    await this.updater.connect(this.pick().door)
    while (this.acknowledged < before + messages) await new Promise((resolve) => setTimeout(resolve, 5)) // until they are
    this.updater.running = false
  }

  protected tell(what: string): void {
    this.told.push(
      `${(performance.now() / 1000).toFixed(2)} ${what}: ${
        this.publishers.map(({ name, serial }) => `${name} ${serial}`).join(", ")
      }`
    )
  }

  async kill(node: ClusterNode): Promise<void> {
    this.away.add(node.name)
    this.tell(`kill ${node.name}`)
    await node.kill()
    await this.evacuate(node)
  }

  /** Its clients have seen that it is gone, and go elsewhere. */
  async evacuate(node: ClusterNode): Promise<void> {
    for (const client of this.clients) {
      if (this.places.get(client.name) !== node.name) continue
      this.orphaned++
      await client.client?.ended
      await this.move(client)
    }
  }

  async start(node: ClusterNode): Promise<ClusterNode> {
    const { address, name } = node
    const others = this.living.flatMap((other) => ["--cluster", other.address])
    const back = await this.farm.start(name, "--cluster-listen", address, ...enough, ...others)
    this.tell(`${name} is back`)
    this.nodes[this.nodes.indexOf(node)] = back
    this.away.delete(name)
    for (const other of this.living) if (other !== back) await back.logged("cluster: link up", `node=${other.name}`)
    return back
  }

  override async hop(): Promise<void> {
    const client = this.clients[this.random(this.clients.length)]
    if (client === undefined) return
    await this.beforeHop(client)
    if (this.random(2) === 0) client.client?.drop()
    await this.move(client)
  }

  protected beforeHop(_client: Roamer): Promise<void> {
    return Promise.resolve()
  }

  pick(): ClusterNode {
    const node = this.living[this.random(this.living.length)]
    if (node === undefined) throw new Error("no node is there")
    return node
  }

  protected async move(client: Roamer): Promise<void> {
    // One that is busy refuses, one that dies meanwhile closes: a client tries the next.
    for (let attempt = 1;; attempt++) {
      const node = this.pick()
      this.places.set(client.name, node.name)
      this.tell(`${client.name} to ${node.name}`)
      try {
        await client.connect(node.door)
        break
      } catch (error) {
        this.tell(String(error))
        if (attempt === attempts) throw error
      }
    }
    const node = this.places.get(client.name)
    this.tell(`${client.name} at ${node}, session present ${client.client?.sessionPresent}`)
    if ("subscribeAnew" in client && client.client?.sessionPresent === false) await client.subscribeAnew()
  }

  /** In order; `leaves`: it hands its sessions over first. */
  async restart(node: ClusterNode, leaves: boolean): Promise<void> {
    this.away.add(node.name)
    this.tell(`${leaves ? "leave" : "stop"} ${node.name}`)
    if (leaves) {
      const left = node.ctl("cluster", "leave")
      await this.evacuate(node)
      const { code, stderr } = await left
      if (code !== 0) throw new Error(stderr)
    }
    node.process.signal("SIGTERM")
    if (!leaves) await this.evacuate(node)
    await node.process.ended
    await this.start(node)
  }

  /** What the nodes do not agree on, or have not finished; asked until there is nothing or nothing has changed for long. */
  async disagreements(wanted: { readonly sessions: number; readonly connections: number }): Promise<object> {
    let found: object = {}
    for (let round = 0; round < 40; round++) {
      found = await this.disagreement(wanted)
      if (Object.keys(found).length === 0) break
    }
    return found
  }

  protected async disagreement(wanted: { readonly sessions: number; readonly connections: number }): Promise<object> {
    const asked = await Promise.all(
      this.nodes.map(async (node) => JSON.parse((await node.ctl("cluster", "status", "--json")).stdout) as Status)
    )
    const counts = await Promise.all(
      this.nodes.map(async (node) => JSON.parse((await node.ctl("status", "--json")).stdout) as Counts)
    )
    const found: Record<string, unknown> = {}
    for (const { name } of this.nodes) {
      const digests = asked.map(({ members }) => members.find((one) => one.name === name)?.routes_digest)
      if (new Set(digests).size > 1) found[`routes of ${name}`] = digests
    }
    const retained = asked.map(({ retained_digest }) => retained_digest)
    if (new Set(retained).size > 1) found["retained"] = retained
    const sum = (of: (status: Status) => number) => asked.reduce((all, one) => all + of(one), 0)
    const routes = sum(({ members }) => members.reduce((all, one) => all + one.routes, 0))
    if (wanted.sessions === 0 && routes > 0) found["routes"] = asked
    const moving = sum(({ sessions }) => sessions.moving)
    if (moving > 0) found["moving"] = moving
    const owed = sum(({ members }) => members.reduce((all, one) => all + one.owed_messages, 0))
    if (owed > 0) found["owed"] = owed
    const held = asked.map(({ sessions }) => sessions.held)
    if (sum(({ sessions }) => sessions.held) !== wanted.sessions) found["held"] = held
    if (sum(({ sessions }) => sessions.known) !== wanted.sessions) found["known"] = asked.map((one) => one.sessions)
    const sessions = counts.map((one) => one.sessions)
    if (sessions.reduce((all, one) => all + one) !== wanted.sessions) found["sessions"] = sessions
    const connections = counts.map((one) => one.connections)
    if (connections.reduce((all, one) => all + one) !== wanted.connections) found["connections"] = connections
    return found
  }

  /** All clients end their sessions and go. */
  async empty(): Promise<void> {
    this.updater.client?.drop()
    for (const { client, name } of this.clients) {
      client?.drop()
      const last = await MiniClient.connect(this.pick().door, { clientId: name, expiry: 0, onPacket: () => {} })
      last.send({ cmd: "disconnect", reasonCode: 0 })
      await last.ended
    }
  }

  private shown(client: Roamer): string {
    const open = "open" in client ? `, ${client.open} exchanges open` : ""
    return `${client.name} at ${this.places.get(client.name)}${open}${client.client?.closed === true ? ", closed" : ""}`
  }

  /** For whoever has to find out what went wrong. */
  async portrait(): Promise<string> {
    const lines = [...this.told, ...this.clients.map((one) => this.shown(one))]
    for (const node of this.nodes) {
      const counters: object = JSON.parse((await node.ctl("counters", "--json")).stdout || "{}")
      lines.push(
        `${node.name} ${node.process.stderr.length} bytes of log`,
        (await node.ctl("clients", "list")).stdout,
        JSON.stringify(Object.fromEntries(Object.entries(counters).filter(([, value]) => value !== 0)))
      )
    }
    return lines.join("\n")
  }

  protected override streams(losses: number): number {
    return 1 + losses + this.orphaned
  }
}
