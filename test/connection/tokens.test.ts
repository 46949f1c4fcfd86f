// Tokens, an HTTP service and client certificates at the door of a real broker: who comes in, as whom, and when it has to go.
import { Effect, Exit, Redacted, Scope } from "effect"
import { connect as connectTls } from "node:tls"
import { afterEach, assert, describe, it } from "vitest"
import { defaultListener, defaultSettings, type ListenerSettings, type Settings } from "../../src/config/Settings.ts"
import { secret, sign } from "../access/authentication/tokens.ts"
import { TestServer } from "../access/http/TestServer.ts"
import { certificates, opensslMissing } from "../support/certificates.ts"
import { type InnerBroker, startInnerBroker } from "../support/innerBroker.ts"
import { TestClient } from "../support/TestClient.ts"
import { socketWire } from "../support/Wire.ts"

if (opensslMissing !== undefined) console.log(`skipped: ${opensslMissing}`)

let inner: InnerBroker | undefined
let scope = Scope.makeUnsafe()
afterEach(async () => {
  await inner?.stop()
  inner = undefined
  await Effect.runPromise(Scope.close(scope, Exit.void))
  scope = Scope.makeUnsafe()
})

const startWith = async (change: Partial<Settings>): Promise<InnerBroker> =>
  inner = await startInnerBroker((settings) => ({ ...settings, ...change }))
const startServer = (): Promise<TestServer> =>
  Effect.runPromise(Effect.provideService(TestServer.start(), Scope.Scope, scope))

const chain = (settings: Partial<Settings>, ...links: Settings["authentication"]["links"]): Partial<Settings> => ({
  ...settings,
  authentication: { ...defaultSettings.authentication, links }
})

const jwt = { algorithm: "HS256", privateKey: secret }

describe("a client with a token", () => {
  const settings = async (): Promise<Partial<Settings>> => {
    return chain(
      { auth_jwt: { ...defaultSettings.auth_jwt, secret: Redacted.make(secret.toString()), claimClientId: "device" } },
      "jwt"
    )
  }

  it("comes in under the names of the token and may do what its claims say", async () => {
    const broker = await startWith(await settings())
    const acl = { publish: ["plant/%u/+"], subscribe: ["plant/%c/#", "eq #"] }
    const exp = Math.floor(Date.now() / 1000) + 3_600
    const password = Buffer.from(await sign(jwt, { sub: "bob", device: "d1", exp, acl }))
    const client = await broker.open(5)
    client.sendConnect({ clientId: "", username: "root", password })
    const connack = await client.receive("connack", { reasonCode: 0 })
    assert.strictEqual(connack.properties?.assignedClientIdentifier, "d1")
    assert.strictEqual(broker.connection("d1").subject.userName, "bob")
    const granted: Array<number> = []
    for (const filter of ["plant/d1/#", "plant/d1/a", "plant/#", "#", "other"]) {
      granted.push(await client.subscribe(filter))
    }
    assert.deepStrictEqual(granted, [0, 0, 0x87, 0, 0x87])
    const published = async (topic: string, messageId: number) => {
      client.send({ cmd: "publish", topic, payload: "x", qos: 1, messageId, dup: false, retain: false })
      return (await client.receive("puback", { messageId })).reasonCode
    }
    assert.strictEqual(await published("plant/bob/a", 1), 0)
    await client.receive("publish", { topic: "plant/bob/a" })
    assert.strictEqual(await published("plant/root/a", 2), 0x87)
    assert.strictEqual(await published("plant/d1/a", 3), 0x87)
  })

  it("has its will judged by its claims", async () => {
    const broker = await startWith(await settings())
    const exp = Math.floor(Date.now() / 1000) + 3_600
    const acl = { publish: ["will/%u"], subscribe: ["#"] }
    const password = Buffer.from(await sign(jwt, { sub: "bob", device: "d1", exp, acl }))
    const watcher = await broker.connect(5, {
      clientId: "w",
      username: "x",
      password: Buffer.from(await sign(jwt, { sub: "w", device: "w", exp }))
    })
    await watcher.subscribe("will/#")
    for (const topic of ["will/root", "will/bob"]) {
      const will = { topic, payload: Buffer.from("x"), qos: 0, retain: false } as const
      const client = await broker.connect(5, { clientId: "d1", username: "x", password, will })
      client.drop()
    }
    await watcher.receive("publish", { topic: "will/bob" })
    await watcher.expectNothing()
    assert.strictEqual(broker.broker.counters.wills_denied_total, 1)
  })

  it("goes when the token ends, and a wrong one stays out; no log has a token", async () => {
    const broker = await startWith(await settings())
    let short = ""
    // A slow machine gets a longer one.
    for (const seconds of [1, 4, 16]) {
      const exp = Math.floor(Date.now() / 1000) + seconds
      short = await sign(jwt, { sub: "bob", device: "d1", exp })
      const client = await broker.open(5)
      client.sendConnect({ clientId: "d1", username: "x", password: Buffer.from(short) })
      if ((await client.receive("connack")).reasonCode !== 0) continue
      assert.strictEqual((await client.receive("disconnect")).reasonCode, 0xa0)
      await client.expectClosed()
      assert.isAtLeast(Date.now(), exp * 1000)
      break
    }
    const now = Math.floor(Date.now() / 1000)
    const wrong = await sign({ ...jwt, privateKey: Buffer.alloc(32, "x") }, { sub: "bob", device: "d1", exp: now + 60 })
    for (const [version, username] of [[5, "x"], [4, wrong]] as const) {
      const other = await broker.open(version)
      other.sendConnect({ clientId: "d1", username, password: Buffer.from(wrong) })
      if (version === 5) assert.strictEqual((await other.receive("connack")).reasonCode, 0x86)
      else assert.strictEqual((await other.receive("connack")).returnCode, 4)
    }
    assert.isTrue(broker.lines.some((line) => line.includes("jwt: the signature is not by our key")))
    for (const line of broker.lines) {
      assert.notInclude(line, wrong.slice(-20))
      assert.notInclude(line, short.slice(-20))
    }
  })
})

describe("a client that an HTTP service is asked about", () => {
  it("waits for the answer, comes in as superuser or stays out; away is 0x88", async () => {
    const server = await startServer()
    const broker = await startWith(chain({
      auth_http: { ...defaultSettings.auth_http, authReq: server.url, authReqMethod: "json", breakerFailures: 1 },
      authorization: { ...defaultSettings.authorization, noMatch: "deny", sources: [] }
    }, "http"))
    server.reply = ({ body }) => ({
      type: "application/json",
      body: JSON.stringify({ result: body.includes(`"password":"good"`) ? "allow" : "deny", is_superuser: true })
    })
    const client = await broker.connect(5, { clientId: "h1", username: "bob", password: Buffer.from("good") })
    assert.strictEqual(await client.subscribe("#"), 0)
    assert.deepStrictEqual(JSON.parse(server.asked[0]?.body ?? ""), {
      clientid: "h1",
      username: "bob",
      password: "good"
    })
    const code = async (password: string) => {
      const other = await broker.open(5)
      other.sendConnect({ clientId: "h2", username: "bob", password: Buffer.from(password) })
      return (await other.receive("connack")).reasonCode
    }
    assert.strictEqual(await code("bad"), 0x86)
    server.reply = () => ({ status: 500 })
    assert.strictEqual(await code("good"), 0x88)
    assert.strictEqual(await code("good"), 0x88)
    assert.strictEqual(server.asked.length, 3)
  })
})

describe.skipIf(opensslMissing !== undefined)("a client with a certificate", () => {
  it("comes in by it, under its name; without one it is nobody", async () => {
    const files = certificates()
    const listener: ListenerSettings = {
      ...defaultListener,
      name: "tls",
      type: "tls",
      address: "127.0.0.1",
      port: 0,
      certificate: files.file("server.crt"),
      key: files.file("server.key"),
      ca: files.file("ca.crt"),
      clientCertificate: "optional"
    }
    const { broker, connection } = await startWith(chain({ listeners: [listener] }, "certificate"))
    const open = async (own: object) => {
      const port = broker.addresses[0]?.port ?? 0
      const socket = connectTls({ host: "127.0.0.1", port, ca: files.text("ca.crt"), servername: "localhost", ...own })
      await new Promise<void>((resolve) => socket.once("secureConnect", () => resolve()))
      return TestClient.over((events) => socketWire(socket, events), 5)
    }
    const { certificate, key } = files.pair("client")
    const client = await (await open({ cert: certificate, key })).connect({
      clientId: "p",
      username: "root",
      password: Buffer.from("x")
    })
    assert.strictEqual(connection("p").subject.userName, "client-1")
    const nobody = await open({})
    nobody.sendConnect({ clientId: "q", username: "client-1", password: Buffer.from("x") })
    assert.strictEqual((await nobody.receive("connack")).reasonCode, 0x86)
    client.drop()
  })
})
