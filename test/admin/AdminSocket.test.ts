// The management API over the socket file of a real broker: what it answers, who may open it, and how two brokers are kept apart.
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { Effect, Exit, Logger, Scope } from "effect"
import * as fs from "node:fs"
import { createServer } from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { Broker } from "../../src/app/Broker.ts"
import { defaultSettings } from "../../src/config/Settings.ts"
import { HttpSocketFailed, requestHttpSocket } from "../../src/platform/HttpSocket.ts"
import { type InnerBroker, startInnerBroker } from "../support/innerBroker.ts"

const socketOf = ({ broker }: InnerBroker): string => path.join(broker.services.settings.node.dataDir, "emqttd.sock")

const call = async (socket: string, method: string, url: string) => {
  const response = await Effect.runPromise(
    requestHttpSocket(socket, new URL(url, "http://localhost"), { method, headers: {} })
  )
  const text = await response.text()
  return { status: response.status, body: text === "" ? undefined : JSON.parse(text) }
}

describe("the management API", () => {
  let inner: InnerBroker
  beforeEach(async () => {
    inner = await startInnerBroker()
  })
  afterEach(() => inner.stop())

  it("status: what there is, counted", async () => {
    const client = await inner.connect(5)
    await client.subscribe("a/#")
    await client.subscribe("b")
    await client.publish("c", "12345", { retain: true, qos: 1 })
    const { body, status } = await call(socketOf(inner), "GET", "/api/v1/status")
    assert.strictEqual(status, 200)
    assert.deepNestedInclude(body, {
      "connections": 1,
      "sessions": 1,
      "subscriptions": 2,
      "retained.messages": 1,
      "retained.bytes": 5,
      "health.ok": true,
      "node": "emqttd@127.0.0.1",
      "listeners[0].name": "tcp",
      "listeners[0].state": "running",
      "listeners[0].connections": 1,
      "listeners[0].port": inner.broker.addresses[0]?.port
    })
  })

  it("status: not well while it shuts down", async () => {
    const client = await inner.connect(5)
    const shutdown = Effect.runPromise(inner.broker.shutdown)
    await client.receive("disconnect", { reasonCode: 0x8b })
    const { body } = await call(socketOf(inner), "GET", "/api/v1/status")
    assert.deepStrictEqual(body.health, { ok: false, reasons: ["the node is shutting down"] })
    client.drop()
    await shutdown
  })

  it("tree: all parts; of many children the first ones and how many more", async () => {
    for (let clients = 0; clients < 3; clients++) await inner.connect(4)
    const { body } = await call(socketOf(inner), "GET", "/api/v1/tree?limit=2")
    assert.deepStrictEqual(
      body.children.map(({ children, name, omitted }: typeof body) => [name, children.length, omitted]),
      [
        ["store", 0, undefined],
        ["store reader", 0, undefined],
        ["store clock", 0, undefined],
        ["store upkeep", 0, undefined],
        ["clock", 0, undefined],
        ["router", 0, undefined],
        ["retainer", 0, undefined],
        ["registry", 0, undefined],
        ["sessions", 2, 1],
        ["sys", 0, undefined],
        ["listener tcp", 2, 1],
        ["rejudging", 0, undefined],
        ["admin", 0, undefined]
      ]
    )
  })

  it("clients: who is connected, within the limit; counters", async () => {
    const first = await inner.connect(5, { clientId: "first", username: "ann" })
    await first.subscribe("x")
    await inner.connect(4, { clientId: "second" })
    const page = await call(socketOf(inner), "GET", "/api/v1/clients/?limit=1")
    assert.strictEqual(page.body.total, 2)
    assert.deepInclude(page.body.clients, {
      client_id: "first",
      user_name: "ann",
      peer: page.body.clients[0]?.peer,
      listener: "tcp",
      protocol: 5,
      subscriptions: 1,
      owed: 0
    })
    assert.match(page.body.clients[0]?.peer, /^127\.0\.0\.1:\d+$/)
    const counters = await call(socketOf(inner), "GET", "/api/v1/counters")
    assert.strictEqual(counters.body.connections_opened_total, 2)
  })

  it("kick: that client alone, with the reason; whoever is not there is not found", async () => {
    const victim = await inner.connect(5, { clientId: "a/b c" })
    const other = await inner.connect(5)
    assert.strictEqual((await call(socketOf(inner), "DELETE", "/api/v1/clients/a%2Fb%20c")).status, 204)
    await victim.receive("disconnect", { reasonCode: 0x98 })
    await victim.expectClosed()
    await other.ping()
    const gone = await call(socketOf(inner), "DELETE", "/api/v1/clients/nobody")
    assert.strictEqual(gone.status, 404)
    assert.strictEqual(gone.body.message, "no client nobody is connected")
  })

  it("a listener is stopped and started by its name; its clients are told; what is so already is refused", async () => {
    const client = await inner.connect(5)
    const stopping = call(socketOf(inner), "POST", "/api/v1/listeners/tcp/stop")
    await client.receive("disconnect", { reasonCode: 0x98 })
    await client.expectClosed()
    assert.strictEqual((await stopping).status, 204)
    const again = await call(socketOf(inner), "POST", "/api/v1/listeners/tcp/stop")
    assert.deepStrictEqual([again.status, again.body.message], [409, "listener tcp is not running"])
    assert.strictEqual((await call(socketOf(inner), "GET", "/api/v1/listeners/")).body[0].state, "stopped")
    assert.strictEqual((await call(socketOf(inner), "POST", "/api/v1/listeners/tcp/start")).status, 204)
    const { body } = await call(socketOf(inner), "POST", "/api/v1/listeners/tcp/start")
    assert.strictEqual(body.message, "listener tcp is running already")
    assert.strictEqual((await call(socketOf(inner), "GET", "/api/v1/listeners/")).body[0].state, "running")
    const none = await call(socketOf(inner), "POST", "/api/v1/listeners/none/start")
    assert.deepStrictEqual([none.status, none.body.message], [404, "there is no listener none"])
  })

  it("what is not there, a bad limit, a body that is too large", async () => {
    assert.strictEqual((await call(socketOf(inner), "GET", "/api/v1/nothing")).status, 404)
    assert.strictEqual((await call(socketOf(inner), "GET", "/api/v1/tree?limit=many")).status, 400)
    const body = new Uint8Array(1024 * 1024 + 1)
    const response = await Effect.runPromise(
      requestHttpSocket(socketOf(inner), new URL("http://localhost/"), { method: "POST", headers: {}, body })
    )
    assert.strictEqual(response.status, 413)
  })

  it("the file is its owner's alone, and gone when the broker is", async () => {
    const socket = socketOf(inner)
    assert.strictEqual(fs.statSync(socket).mode & 0o777, 0o600)
    await inner.stop()
    assert.isFalse(fs.existsSync(socket))
    const refused = await Effect.runPromise(
      Effect.flip(requestHttpSocket(socket, new URL("http://localhost/"), { method: "GET", headers: {} }))
    )
    assert.strictEqual(refused.code, "ENOENT")
    inner = await startInnerBroker()
  })
})

describe("the socket file", () => {
  let directory = ""
  beforeEach(() => {
    directory = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-admin-"))
  })
  afterEach(() => fs.rmSync(directory, { recursive: true, force: true }))

  const settingsWith = (socket: string) => ({
    ...defaultSettings,
    node: { ...defaultSettings.node, dataDir: directory },
    admin: { socket },
    log: { ...defaultSettings.log, level: "error" as const },
    listeners: defaultSettings.listeners.map((listener) => ({ ...listener, address: "127.0.0.1", port: 0 }))
  })
  const failureOf = (socket = "emqttd.sock") =>
    Effect.runPromise(
      Broker.start(settingsWith(socket)).pipe(Effect.flip, Effect.scoped, Effect.provide(Logger.layer([])))
    )
  const whileOneRuns = async (use: () => Promise<void>, socket = "emqttd.sock") => {
    const scope = Scope.makeUnsafe()
    await Effect.runPromise(
      Broker.start(settingsWith(socket)).pipe(
        Effect.provideService(Scope.Scope, scope),
        Effect.provide(Logger.layer([]))
      )
    )
    await use()
    await Effect.runPromise(Scope.close(scope, Exit.void))
  }

  it("a second broker on the data directory does not start, says why, and leaves the first one alone", () =>
    whileOneRuns(async () => {
      const { exitCode, message } = await failureOf()
      assert.strictEqual(exitCode, 74)
      const socket = path.join(directory, "emqttd.sock")
      assert.strictEqual(
        message,
        `another emqttd runs on the data directory ${directory} (it answers on ${socket}); ` +
          "choose another with --data or node.data_dir"
      )
      assert.strictEqual((await call(socket, "GET", "/api/v1/status")).status, 200)
    }))

  it("what a killed broker has left is replaced", async () => {
    const socket = path.join(directory, "emqttd.sock")
    const left = createServer().listen(path.join(directory, "left"))
    await new Promise((resolve) => left.once("listening", resolve))
    fs.linkSync(path.join(directory, "left"), socket) // survives the close: as a file does whose process was killed
    await new Promise((resolve) => left.close(resolve))
    assert.isTrue(fs.existsSync(socket))
    await whileOneRuns(async () => {
      assert.strictEqual((await call(socket, "GET", "/api/v1/status")).status, 200)
    })
  })

  it("a file that is no socket is somebody's: left as it is, and said", async () => {
    const file = path.join(directory, "precious")
    fs.writeFileSync(file, "keep me")
    const { message } = await failureOf("precious")
    assert.match(message, /^admin socket .*precious: it is not a socket; /)
    assert.strictEqual(fs.readFileSync(file, "utf8"), "keep me")
  })

  it("a path that is too long: one clear line", async () => {
    const { exitCode, message } = await failureOf("x".repeat(120))
    assert.strictEqual(exitCode, 74)
    assert.match(message, /^admin socket .*x: the path is too long for a socket; admin\.socket may name another path/)
  })

  it("a path in no directory: one clear line, and it is no crash of a part", async () => {
    const lines: Array<unknown> = []
    const { exitCode, message } = await Effect.runPromise(
      Broker.start(settingsWith("no/socket")).pipe(
        Effect.flip,
        Effect.scoped,
        Effect.provide(Logger.layer([Logger.make((options) => lines.push(options.message))]))
      )
    )
    assert.strictEqual(exitCode, 74)
    assert.match(message, /^admin socket .*no\/socket: there is no such directory; admin\.socket may name another path/)
    assert.notInclude(lines.flat(), "crashed")
  })

  it(`admin.socket = "" makes none`, () =>
    whileOneRuns(
      async () => assert.deepStrictEqual(fs.readdirSync(directory).filter((name) => !name.startsWith("store.")), []),
      ""
    ))

  it("a failure says the system's word for what it does not know", () =>
    assert.strictEqual(new HttpSocketFailed({ path: "/x", code: "EIO" }).message, "/x: EIO"))
})
