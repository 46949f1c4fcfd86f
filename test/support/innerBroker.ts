// A broker whose inside a test may look at and break: for defects, counters and the tree. Tests of what clients see use broker.ts.
import { Effect, Exit, Logger, References, Scope } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Broker } from "../../src/app/Broker.ts"
import { defaultListener, defaultSettings, type Settings } from "../../src/config/Settings.ts"
import type { Connection } from "../../src/connection/Connection.ts"
import type { Session } from "../../src/session/Session.ts"
import { type ConnectOptions, TestClient, type Version } from "./TestClient.ts"
import { wireSettings } from "./Wire.ts"

export interface InnerBroker {
  readonly broker: Broker
  /** What the operator reads: the message and its fields as JSON. */
  readonly lines: ReadonlyArray<string>
  readonly connect: (version: Version, options?: ConnectOptions) => Promise<TestClient>
  readonly open: (version?: Version) => Promise<TestClient>
  readonly session: (clientId: string) => Session
  readonly connection: (clientId: string) => Connection
  /** Ends the broker and leaves its data directory. */
  readonly end: () => Promise<void>
  readonly stop: () => Promise<void>
}

export const startInnerBroker = async (
  change: (settings: Settings) => Settings = (same) => same
): Promise<InnerBroker> => {
  const dataDir = mkdtempSync(join(tmpdir(), "emqttd-test-"))
  const scope = Scope.makeUnsafe()
  const settings = change({
    ...defaultSettings,
    log: { ...defaultSettings.log, level: "trace" }, // to where the test listens
    node: { ...defaultSettings.node, dataDir },
    listeners: [{ ...defaultListener, ...wireSettings(), address: "127.0.0.1", port: 0 }]
  })
  const lines: Array<string> = []
  const keeping = Logger.make<unknown, void>(({ fiber, message }) => {
    lines.push(`${[message].flat().join(" ")} ${JSON.stringify(fiber.getRef(References.CurrentLogAnnotations))}`)
  })
  const broker = await Effect.runPromise(
    Broker.start(settings).pipe(Effect.provideService(Scope.Scope, scope), Effect.provide(Logger.layer([keeping])))
  )
  const clients: Array<TestClient> = []
  const port = broker.addresses[0]?.port ?? 0
  let serial = 0
  const open = async (version: Version = 4) => {
    const client = await TestClient.open(port, version)
    clients.push(client)
    return client
  }
  const found = <A>(what: A | undefined, name: string): A => {
    if (what === undefined) throw new Error(`no ${name}`)
    return what
  }
  const end = async () => {
    for (const client of clients) client.drop()
    await Effect.runPromise(Scope.close(scope, Exit.void))
  }
  return {
    broker,
    lines,
    open,
    connect: async (version, options = {}) => (await open(version)).connect({ clientId: `c${++serial}`, ...options }),
    session: (clientId) => found(broker.sessions.get(clientId), `session ${clientId}`),
    connection: (clientId) =>
      found(
        broker.listeners.flatMap((listener) => [...listener.connections]).find((one) => one.clientId === clientId),
        `connection ${clientId}`
      ),
    end,
    stop: async () => {
      await end()
      rmSync(dataDir, { recursive: true, force: true })
    }
  }
}
