// A real broker in this process for a test file, on a port that the system chooses; or, with EMQTTD_TEST_PORT, the broker that already
// runs there (to try the tests against another one). One broker a file; client ids and topics are made unique, so tests do not meet.

import { Effect, Exit, Scope } from "effect"
import { randomBytes } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll } from "vitest"
import { defaultListener, defaultSettings, type Settings } from "../../src/config/Settings.ts"
import { type ConnectOptions, TestClient, type Version } from "./TestClient.ts"
import { wireSettings } from "./Wire.ts"

/** Sections of the settings that differ from the defaults. */
export type Overrides = { readonly [K in keyof Settings]?: Partial<Settings[K]> }

const externalPort = process.env["EMQTTD_TEST_PORT"]

/** The suite runs against a broker that is not ours: tests of our own settings are skipped. */
export const isExternal = externalPort !== undefined

/** Two files that run at once against one broker do not meet either. */
const file = randomBytes(4).toString("hex")
let counter = 0

export class TestBroker {
  readonly #clients: Array<TestClient> = []
  #scope: Scope.Closeable | undefined
  #dataDir: string | undefined
  #shutdown: Effect.Effect<void> = Effect.void
  port = 0

  async start(overrides: Overrides): Promise<void> {
    if (externalPort !== undefined) {
      this.port = Number(externalPort)
      return
    }
    const { Broker } = await import("../../src/app/Broker.ts")
    this.#dataDir = mkdtempSync(join(tmpdir(), "emqttd-test-"))
    this.#scope = Scope.makeUnsafe()
    const broker = await Effect.runPromise(
      Broker.start(settingsWith(overrides, this.#dataDir)).pipe(Effect.provideService(Scope.Scope, this.#scope))
    )
    this.port = broker.addresses[0]?.port ?? 0
    this.#shutdown = broker.shutdown
  }

  /** As SIGTERM does: clients are told, then the connections end. */
  shutdown(): Promise<void> {
    return Effect.runPromise(this.#shutdown)
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.drop()
    if (this.#scope !== undefined) await Effect.runPromise(Scope.close(this.#scope, Exit.void))
    if (this.#dataDir !== undefined) rmSync(this.#dataDir, { recursive: true, force: true })
  }

  /** A TCP connection without a CONNECT. */
  async open(version: Version): Promise<TestClient> {
    const client = await TestClient.open(this.port, version)
    this.#clients.push(client)
    return client
  }

  /** A connected client with a client id of its own. */
  async connect(version: Version, options: ConnectOptions = {}): Promise<TestClient> {
    const client = await this.open(version)
    return client.connect({ clientId: this.id(), ...options })
  }

  /** Resolves once so many seconds have passed on the broker's own clock: as a will with that delay, not as a sleep here. */
  async passed(seconds: number): Promise<void> {
    const topic = this.topic("/clock")
    const watcher = await this.connect(5)
    await watcher.subscribe(topic)
    const clock = await this.connect(5, {
      properties: { sessionExpiryInterval: seconds + 60 },
      will: { topic, payload: "now", qos: 0, retain: false, properties: { willDelayInterval: seconds } }
    })
    clock.drop()
    await watcher.receive("publish", { topic })
    await watcher.disconnect()
  }

  /** A client id that no other test has; at most 23 characters of the set that every server must allow. */
  id(): string {
    return `c${file}x${(++counter).toString(36)}`
  }

  /** A topic that no other test has. */
  topic(suffix = ""): string {
    return `t/${this.id()}${suffix}`
  }
}

const settingsWith = (overrides: Overrides, dataDir: string): Settings => {
  const settings: Settings = {
    ...defaultSettings,
    log: { ...defaultSettings.log, level: "error" },
    node: { ...defaultSettings.node, dataDir },
    listeners: [{ ...defaultListener, ...wireSettings(), address: "127.0.0.1", port: 0 }]
  }
  return Object.fromEntries(
    Object.entries(settings).map(([section, values]) => {
      const changed: unknown = Reflect.get(overrides, section)
      return [section, Array.isArray(values) ? changed ?? values : { ...values, ...Object(changed) }]
    })
  ) as unknown as Settings
}

/** The broker of a test file: started before its tests, stopped after them. */
export const useBroker = (overrides: Overrides = {}): TestBroker => {
  const broker = new TestBroker()
  beforeAll(() => broker.start(overrides))
  afterAll(() => broker.stop())
  return broker
}

/** For it.each: the two versions whose standards number their statements. */
export const both = [4, 5] as const
export const every = [3, 4, 5] as const
