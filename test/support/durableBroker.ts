// A broker that is stopped and started again on what it has stored, in this process. `crash` starts the next one on a copy of the files
// as they are at that moment, which is what a kill -9 leaves; `restart` stops in order first. Clients of the one before are dropped.
import { Effect, Exit, Logger, Scope } from "effect"
import { copyFileSync, existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Broker } from "../../src/app/Broker.ts"
import { defaultSettings, type Settings } from "../../src/config/Settings.ts"
import type { OpenEngine } from "../../src/store/Engine.ts"
import { type ConnectOptions, TestClient, type Version } from "./TestClient.ts"

const files = ["store.sqlite", "store.sqlite-wal"]

export class DurableBroker {
  broker!: Broker
  readonly #openEngine: OpenEngine | undefined
  readonly #change: (settings: Settings) => Settings
  readonly #folders: Array<string> = []
  #clients: Array<TestClient> = []
  #scope: Scope.Closeable | undefined

  constructor(change: (settings: Settings) => Settings = (same) => same, openEngine?: OpenEngine) {
    this.#change = change
    this.#openEngine = openEngine
  }

  async start(): Promise<this> {
    if (this.#folders.length === 0) this.#newFolder()
    const scope = Scope.makeUnsafe()
    this.#scope = scope
    const settings = this.#change({
      ...defaultSettings,
      log: { ...defaultSettings.log, level: "error" },
      node: { ...defaultSettings.node, dataDir: this.#folder },
      admin: { ...defaultSettings.admin, socket: "" },
      listeners: defaultSettings.listeners.map((listener) => ({ ...listener, address: "127.0.0.1", port: 0 }))
    })
    this.broker = await Effect.runPromise(
      Broker.start(settings, this.#openEngine).pipe(
        Effect.provideService(Scope.Scope, scope),
        Effect.provide(Logger.layer([]))
      )
    )
    return this
  }

  /** The store as it is now is what the next broker begins with. */
  async crash(): Promise<void> {
    const old = this.#folder
    const copy = this.#newFolder()
    for (const file of files) if (existsSync(join(old, file))) copyFileSync(join(old, file), join(copy, file))
    await this.#end()
    await this.start()
  }

  async restart(): Promise<void> {
    const shutdown = Effect.runPromise(this.broker.shutdown)
    for (const client of this.#clients) client.drop()
    await shutdown
    await this.#end()
    await this.start()
  }

  async stop(): Promise<void> {
    await this.#end()
    for (const folder of this.#folders) rmSync(folder, { recursive: true, force: true })
  }

  async connect(version: Version, options: ConnectOptions = {}): Promise<TestClient> {
    const client = await this.open(version)
    return client.connect(options)
  }

  /** A session that outlives its connection. */
  durable(version: Version, clientId: string, options: ConnectOptions = {}): Promise<TestClient> {
    const properties = version === 5 ? { properties: { sessionExpiryInterval: 1000, ...options.properties } } : {}
    return this.connect(version, { clientId, clean: false, ...options, ...properties })
  }

  async open(version: Version): Promise<TestClient> {
    const client = await TestClient.open(this.broker.addresses[0]?.port ?? 0, version)
    this.#clients.push(client)
    return client
  }

  get #folder(): string {
    return this.#folders.at(-1) ?? ""
  }

  #newFolder(): string {
    const folder = mkdtempSync(join(tmpdir(), "emqttd-durable-"))
    this.#folders.push(folder)
    return folder
  }

  async #end(): Promise<void> {
    for (const client of this.#clients) client.drop()
    this.#clients = []
    if (this.#scope !== undefined) await Effect.runPromise(Scope.close(this.#scope, Exit.void))
    this.#scope = undefined
  }
}
