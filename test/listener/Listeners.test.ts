// Listeners that come, go and change while the broker runs: what each change does to its own clients, and that it does nothing to others.
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { defaultListener, type ListenerSettings, type Settings } from "../../src/config/Settings.ts"
import type { ListenerFailed } from "../../src/listener/transport.ts"
import { RawClient } from "../platform/RawClient.ts"
import { type InnerBroker, startInnerBroker } from "../support/innerBroker.ts"
import { TestClient } from "../support/TestClient.ts"

const listener = (name: string, settings: Partial<ListenerSettings> = {}): ListenerSettings => ({
  ...defaultListener,
  name,
  address: "127.0.0.1",
  port: 0,
  ...settings
})

let inner: InnerBroker
let settings: Settings
let folder: string
let clients: Array<TestClient> = []

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "emqttd-listeners-"))
  inner = await startInnerBroker((all) => settings = { ...all, listeners: [listener("a"), listener("b")] })
})
afterEach(async () => {
  for (const client of clients) client.drop()
  clients = []
  await inner.stop()
  rmSync(folder, { recursive: true, force: true })
})

const status = (name: string) => inner.broker.doors.list().find((one) => one.name === name)
const portOf = (name: string): number => status(name)?.port ?? 0

const client = async (name: string, clientId: string): Promise<TestClient> => {
  const opened = await TestClient.open(portOf(name), 5, "tcp")
  clients.push(opened)
  return opened.connect({ clientId })
}

const accepts = async (port: number): Promise<boolean> => {
  const raw = await RawClient.connect(port)
  raw.socket.destroy()
  return raw.connected
}

const reload = (listeners: ReadonlyArray<ListenerSettings>, more: Partial<Settings> = {}): Promise<unknown> =>
  Effect.runPromise(inner.broker.reload(settings = { ...settings, listeners, ...more }))

const failureOf = (effect: Effect.Effect<unknown, ListenerFailed>): Promise<string> =>
  Effect.runPromise(Effect.match(effect, { onFailure: ({ message }) => message, onSuccess: () => "no failure" }))

describe("by name", () => {
  it("stop sends its clients away, and touches nobody else; start opens it again", async () => {
    const [here, there] = [await client("a", "here"), await client("b", "there")]
    const port = portOf("a")
    const stopped = Effect.runPromise(inner.broker.doors.stop("a"))
    await here.expectRefused(0x98)
    assert.isTrue(await stopped)
    assert.isFalse(await accepts(port))
    assert.include(status("a"), { status: "stopped", connections: 0 })
    await there.ping()
    assert.isFalse(await Effect.runPromise(inner.broker.doors.stop("a")))
    assert.isTrue(await Effect.runPromise(inner.broker.doors.start("a")))
    assert.isFalse(await Effect.runPromise(inner.broker.doors.start("a")))
    await (await client("a", "again")).ping()
    assert.include(status("a"), { status: "running", connections: 1 })
    assert.deepStrictEqual(
      inner.broker.tree().children.filter(({ name }) => name.startsWith("listener")).map(({ name }) => name).toSorted(),
      ["listener a", "listener b"]
    )
  })

  it("one that is not in the settings cannot be started or stopped", async () => {
    const { start, stop } = inner.broker.doors
    for (const act of [start, stop]) {
      assert.match(await failureOf(act.call(inner.broker.doors, "c")), /^listener c: there is no table/)
    }
  })

  it("many at once are done one after the other", async () => {
    const { doors } = inner.broker
    const wishes = Array.from({ length: 20 }, (_, i) => i % 2 === 0 ? doors.stop("a") : doors.start("a"))
    const done = await Effect.runPromise(Effect.all(wishes, { concurrency: "unbounded" }))
    assert.isTrue(done.every((one) => one))
    assert.strictEqual(status("a")?.status, "running")
  })
})

describe("a reload", () => {
  it("starts what is new, closes what is gone and leaves the rest alone", async () => {
    const [here, there] = [await client("a", "here"), await client("b", "there")]
    const port = portOf("b")
    const reloaded = reload([listener("b"), listener("c"), listener("d", { enabled: false })])
    await here.expectRefused(0x98)
    await reloaded
    await there.ping()
    assert.strictEqual(portOf("b"), port)
    await (await client("c", "new")).ping()
    assert.deepStrictEqual(inner.broker.doors.list().map(({ name, status }) => [name, status]), [
      ["b", "running"],
      ["c", "running"],
      ["d", "stopped"]
    ])
  })

  it("changes what holds for the next client without another socket", async () => {
    const early = await client("a", "early")
    const port = portOf("a")
    await reload([listener("a", { maxConnections: 1 }), listener("b", { mountpoint: "m/" })], {
      connection: { ...settings.connection, maxPacketSize: 500 }
    })
    assert.strictEqual(portOf("a"), port)
    await early.ping()
    const second = await TestClient.open(port, 5, "tcp")
    second.sendConnect({ clientId: "second" })
    await second.expectConnectRefused(0x97)
    const mounted = await client("b", "mounted")
    assert.include(mounted.connack.properties, { maximumPacketSize: 500 })
    await mounted.subscribe("x")
    assert.deepStrictEqual([...inner.session("mounted").subscriptions?.topicFilters() ?? []], ["m/x"])
  })

  it("moves a listener to another address, and its clients stay", async () => {
    const path = join(folder, "mqtt.sock")
    const early = await client("a", "early")
    const port = portOf("a")
    await reload([listener("a", { address: `unix:${path}`, unixMode: "0600" }), listener("b")])
    assert.isFalse(await accepts(port))
    assert.strictEqual(statSync(path).mode & 0o777, 0o600)
    await early.ping()
    await reload([listener("a"), listener("b")])
    assert.isFalse(existsSync(path))
    await early.ping()
    assert.strictEqual(status("a")?.connections, 1)
  })

  it("an address that cannot be had leaves the listener where it was, and says why", async () => {
    const early = await client("a", "early")
    const port = portOf("a")
    const taken = portOf("b")
    await reload([listener("a", { port: taken }), listener("b")])
    await early.ping()
    assert.isTrue(await accepts(portOf("a")))
    assert.strictEqual(status("a")?.status, "running")
    assert.isAbove(port, 0)
    const reason = `cannot listen on 127.0.0.1:${taken}: the address is in use`
    assert.include(inner.lines, `listener not changed ${JSON.stringify({ listener: "a", reason })}`)
    assert.include(inner.lines, `settings read again {"not_changed":"a"}`)
  })

  it("tries again what failed before; what was stopped by hand stays stopped until it is changed", async () => {
    const other = createServer()
    const path = join(folder, "taken.sock")
    await new Promise<void>((resolve) => other.listen(path, resolve))
    const wanted = [listener("a"), listener("b"), listener("c", { address: `unix:${path}` })]
    await reload(wanted)
    assert.strictEqual(status("c")?.status, "stopped")
    await new Promise((resolve) => other.close(resolve))
    await Effect.runPromise(inner.broker.doors.stop("a"))
    await reload(wanted)
    assert.deepStrictEqual(["a", "c"].map((name) => status(name)?.status), ["stopped", "running"])
    await reload([listener("a", { maxConnections: 5 }), ...wanted.slice(1)])
    assert.strictEqual(status("a")?.status, "running")
  })

  it("names what needs a restart", async () => {
    await reload(settings.listeners, {
      router: { ...settings.router, topicCache: 1024 },
      session: { ...settings.session, maxSessions: 5, maxInflight: 7 }
    })
    const keys = inner.lines.filter((line) => line.startsWith("setting changed: needs a restart"))
    assert.deepStrictEqual(
      keys.toSorted(),
      ["router.topic_cache", "session.max_sessions"].map((key) =>
        `setting changed: needs a restart ${JSON.stringify({ key })}`
      )
    )
  })
})

describe("a Unix socket's file", () => {
  const address = () => `unix:${join(folder, "door.sock")}`
  const startOn = () => {
    settings = { ...settings, listeners: [...settings.listeners, listener("unix", { address: address() })] }
    return reload(settings.listeners)
  }
  const reason = () => inner.lines.find((line) => line.startsWith("listener not changed"))

  it("that nobody listens on any more is replaced", async () => {
    // What a process leaves that was killed: closed without being removed.
    const path = join(folder, "door.sock")
    const { execPath } = process
    const { spawnSync } = await import("node:child_process")
    const script = join(folder, "leave.mjs")
    writeFileSync(
      script,
      `import { createServer } from "node:net"
       createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`
    )
    spawnSync(execPath, process.versions["bun"] === undefined ? ["run", "-A", script] : [script])
    assert.isTrue(existsSync(path))
    await startOn()
    assert.strictEqual(status("unix")?.status, "running")
  })

  it("that somebody listens on is in use", async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(join(folder, "door.sock"), resolve))
    await startOn()
    assert.include(reason(), `cannot listen on ${address()}: the address is in use`)
    await new Promise((resolve) => other.close(resolve))
  })

  it("that is another kind of file stays", async () => {
    writeFileSync(join(folder, "door.sock"), "precious")
    await startOn()
    assert.include(reason(), "a file that is no socket has this name")
    assert.isTrue(statSync(join(folder, "door.sock")).isFile())
  })
})
