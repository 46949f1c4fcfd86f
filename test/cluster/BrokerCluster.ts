// Several whole brokers in this process that are one cluster, over sockets in the file system. `kill` leaves what a kill -9 leaves: the files as
// they are at that moment; `start` with the same name goes on from them. Waits on what nodes see, never on time.
import { Effect, Exit, Logger, Scope } from "effect"
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Refusal } from "../../src/cluster/links/handshake.ts"
import { Broker } from "../../src/app/Broker.ts"
import { ClusterRoutes } from "../../src/cluster/routes/ClusterRoutes.ts"
import { defaultSettings, type Settings } from "../../src/config/Settings.ts"
import { type ConnectOptions, TestClient, type Version } from "../support/TestClient.ts"

const files = ["store.sqlite", "store.sqlite-wal"]
const patienceMillis = 20_000

export class ClusteredBroker {
  readonly name: string
  readonly broker: Broker
  readonly folder: string
  readonly scope: Scope.Closeable
  readonly clients: Array<TestClient> = []

  constructor(name: string, broker: Broker, folder: string, scope: Scope.Closeable) {
    this.name = name
    this.broker = broker
    this.folder = folder
    this.scope = scope
  }

  get remote(): ClusterRoutes {
    const { remote } = this.broker.services.router
    if (!(remote instanceof ClusterRoutes)) throw new Error("no cluster")
    return remote
  }

  async connect(version: Version, options: ConnectOptions = {}): Promise<TestClient> {
    const client = await TestClient.open(this.broker.addresses[0]?.port ?? 0, version)
    this.clients.push(client)
    return client.connect(options)
  }

  durable(clientId: string, options: ConnectOptions = {}): Promise<TestClient> {
    return this.connect(5, { clientId, clean: false, ...options, properties: { sessionExpiryInterval: 1000 } })
  }

  end(): Promise<void> {
    for (const client of this.clients) client.drop()
    return Effect.runPromise(Scope.close(this.scope, Exit.void))
  }
}

export class BrokerCluster {
  readonly nodes = new Map<string, ClusteredBroker>()
  private readonly directory = mkdtempSync(join(tmpdir(), "emqttd-nodes-"))
  private readonly folders = new Map<string, string>()
  private readonly change: (settings: Settings) => Settings
  private serial = 0

  constructor(change: (settings: Settings) => Settings = (same) => same) {
    this.change = change
  }

  /** `names`: all that there will be. Linked with those that are there, and knowing their routes, when it returns. */
  async start(...names: ReadonlyArray<string>): Promise<ReadonlyArray<ClusteredBroker>> {
    const started = await Promise.all(names.map((name) => this.startOne(name)))
    await this.settled()
    return started
  }

  async startOne(name: string): Promise<ClusteredBroker> {
    const folder = this.folders.get(name) ?? this.newFolder()
    this.folders.set(name, folder)
    const scope = Scope.makeUnsafe()
    const settings = this.change({
      ...defaultSettings,
      log: { ...defaultSettings.log, level: "error" },
      node: { ...defaultSettings.node, dataDir: folder, name },
      admin: { ...defaultSettings.admin, socket: "" },
      listeners: defaultSettings.listeners.map((listener) => ({ ...listener, address: "127.0.0.1", port: 0 })),
      cluster: {
        ...defaultSettings.cluster,
        listen: this.addressOf(name),
        peers: ["a", "b", "c"].map((peer) => this.addressOf(peer)),
        maxBackoffMillis: 200,
        suspicionTimeoutMillis: 500,
        probeIntervalMillis: 200,
        probeTimeoutMillis: 100,
        forwardTimeoutMillis: 1_000
      }
    })
    const broker = await Effect.runPromise(
      Broker.start(settings).pipe(Effect.provideService(Scope.Scope, scope), Effect.provide(Logger.layer([])))
    )
    const node = new ClusteredBroker(name, broker, folder, scope)
    this.nodes.set(name, node)
    return node
  }

  /** The files of its store as they are now are what it begins with when it is started again. */
  async kill(name: string): Promise<void> {
    const node = this.nodes.get(name)
    if (node === undefined) throw new Error(`no node ${name}`)
    const copy = this.newFolder()
    for (const file of files) {
      if (existsSync(join(node.folder, file))) copyFileSync(join(node.folder, file), join(copy, file))
    }
    this.folders.set(name, copy)
    this.nodes.delete(name)
    await node.end()
  }

  /** All nodes that are there have an equal copy of each one's routes. */
  async settled(): Promise<void> {
    const nodes = [...this.nodes.values()]
    await until("equal routes", () =>
      nodes.every((of) => {
        of.remote.routes.flush()
        const truth = JSON.stringify(of.remote.routes.digestOf(of.name))
        return nodes.every((node) =>
          node.broker.services.router !== undefined && JSON.stringify(node.remote.routes.digestOf(of.name)) === truth &&
          (node === of || node.remote.isUp(node.remote.routes.numberOf(of.name)))
        )
      }))
  }

  /** The two do not see each other, whoever else sees them. Returns what ends that. */
  async part(one: string, other: string): Promise<() => Promise<void>> {
    const ends = [[one, other], [other, one]].map(([name = "", peer = ""]) => {
      const links = this.nodes.get(name)?.broker.clustering?.links
      if (links === undefined) throw new Error(`no node ${name}`)
      const { admits } = links
      links.admits = (stranger, version) => stranger === peer ? Refusal.Full : admits(stranger, version)
      return { links, peer, admits }
    })
    for (const { links, peer } of ends) links.drop(peer, "parted")
    const linked = () => ends.some(({ links, peer }) => links.peers.has(peer))
    await until(`${one} and ${other} have no link`, () => !linked())
    return async () => {
      for (const { admits, links } of ends) links.admits = admits
      await until(`${one} and ${other} have a link`, linked)
    }
  }

  /** Until this node counts that one as dead, or not. */
  async sees(name: string, other: string, up: boolean): Promise<void> {
    const remote = this.nodes.get(name)?.remote
    await until(`${name} sees ${other}`, () => remote?.isUp(remote.routes.numberOf(other)) === up)
  }

  async stop(): Promise<void> {
    await Promise.all([...this.nodes.values()].map((node) => node.end()))
    rmSync(this.directory, { recursive: true, force: true })
  }

  private addressOf(name: string): string {
    return `unix:${join(this.directory, `${name}.sock`)}`
  }

  private newFolder(): string {
    const folder = join(this.directory, String(++this.serial))
    mkdirSync(folder)
    return folder
  }
}

export const until = async (what: string, holds: () => boolean): Promise<void> => {
  const began = performance.now()
  while (!holds()) {
    if (performance.now() - began > patienceMillis) throw new Error(`waited in vain: ${what}`)
    await new Promise((resume) => setImmediate(resume))
  }
}
