// Ways around the access rules that a client may try: wide and prefixed filters, retained messages, wills, somebody else's client id.
import { afterEach, assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import { connect as connectTo } from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { defaultListener, type Settings } from "../../src/config/Settings.ts"
import { applicantOf } from "../../src/connection/admission.ts"
import type { Connect } from "../../src/mqtt/Packet.ts"
import { type InnerBroker, startInnerBroker } from "../support/innerBroker.ts"
import { connectBytes, publishBytes } from "../support/packets.ts"
import { type ConnectOptions, TestClient, type Version } from "../support/TestClient.ts"

let broker: InnerBroker
const clients: Array<TestClient> = []
const folders: Array<string> = []
afterEach(async () => {
  for (const client of clients.splice(0)) client.drop()
  await broker.stop()
  for (const folder of folders.splice(0)) fs.rmSync(folder, { recursive: true, force: true })
})

type Change = (settings: Settings) => Settings
const withRules = (rules: string): Change => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-attack-"))
  folders.push(folder)
  fs.writeFileSync(path.join(folder, "acl.config"), rules)
  const sources = [{ type: "acl_config", path: path.join(folder, "acl.config") }] as const
  return (settings) => ({ ...settings, authorization: { ...settings.authorization, sources } })
}
const start = async (change: Change) => {
  broker = await startInnerBroker((settings) => change({ ...settings, log: { ...settings.log, level: "warning" } }))
}

const rules = `{allow, {user, "owner"}, pubsub, ["#"]}.
{deny, all, pubsub, ["secret/#"]}.
{allow, all}.
`
const owner = { username: "owner" }

describe("the default rules, for a client from another machine", () => {
  /** Behind a PROXY header, so that its address is not this machine's. */
  const stranger = async (version: Version): Promise<TestClient> => {
    const port = broker.broker.addresses.find(({ name }) => name === "proxied")?.port ?? 0
    const client = await TestClient.open(port, version, "tcp")
    clients.push(client)
    client.send(Buffer.from("PROXY TCP4 203.0.113.9 127.0.0.1 4711 1883\r\n"))
    return client.connect({ clientId: "stranger", username: "eve" })
  }

  it.each([3, 4, 5] as const)("MQTT level %i: no filter brings $SYS or everything", async (version) => {
    await start((settings) => ({
      ...settings,
      access: { ...settings.access, anonymous: "anywhere" },
      listeners: [
        { ...defaultListener, address: "127.0.0.1", port: 0 },
        { ...defaultListener, name: "proxied", address: "127.0.0.1", port: 0, proxyProtocol: true }
      ]
    }))
    const client = await stranger(version)
    const hidden = ["$SYS/#", "$SYS/+/x", "$SYS/a", "#", "+/#"]
    const prefixes = ["", "$share/g/", "$queue/", "$local/", "$local/$share/g/", "$local/$queue/"]
    const port = broker.broker.addresses.find(({ name }) => name === "tcp")?.port ?? 0
    const admin = await TestClient.open(port, 5, "tcp")
    clients.push(admin)
    await admin.connect({ clientId: "admin" })
    await admin.publish("$SYS/a", "before", { qos: 1, retain: true })
    for (const prefix of prefixes) {
      for (const filter of hidden) {
        assert.isAtLeast(await client.subscribe(prefix + filter), 0x80, prefix + filter)
      }
    }
    assert.strictEqual(await client.subscribe("a/#"), 0)
    await admin.publish("$SYS/a", "after", { qos: 1 })
    await client.expectNothing()
    assert.deepStrictEqual(broker.session("stranger").subscriptions?.topicFilters(), ["a/#"])
  })
})

describe("retained messages", () => {
  it.each([4, 5] as const)(
    "MQTT level %i: what is denied is neither kept for others nor fetched by a new subscription, a second one, or a resumed session",
    async (version) => {
      await start(withRules(rules))
      const boss = await broker.connect(5, owner)
      await boss.publish("secret/a", "kept", { qos: 1, retain: true })
      await boss.publish("open/a", "kept", { qos: 1, retain: true })
      const kept = version === 5 ? { properties: { sessionExpiryInterval: 60 } } : {}
      const client = await broker.connect(version, { clientId: "c", clean: false, ...kept })
      // Nor may it be overwritten or deleted.
      await client.publish("secret/a", "forged", { qos: 1, retain: true })
      await client.publish("secret/a", "", { qos: 2, retain: true })
      for (const filter of ["+/a", "secret/a", "#", "$share/g/secret/a", "+/a", "secret/#"]) {
        assert.isAtLeast(await client.subscribe(filter), 0x80, filter)
      }
      assert.strictEqual(await client.subscribe("open/+"), 0)
      await client.receive("publish", { topic: "open/a", retain: true })
      await client.expectNothing()
      await client.disconnect()
      const again = await broker.connect(version, { clientId: "c", clean: false, ...kept })
      await again.expectNothing()
      await boss.subscribe("secret/a")
      await boss.receive("publish", { topic: "secret/a", payload: "kept", retain: true })
    }
  )
})

describe("a will", () => {
  const will = (properties: Record<string, unknown> = {}) => ({
    will: { topic: "secret/a", payload: Buffer.from("forged"), qos: 1 as const, retain: true, properties }
  })
  const ends: ReadonlyArray<readonly [string, Version, ConnectOptions, (client: TestClient) => void]> = [
    ["its connection is lost", 4, will(), (client) => client.drop()],
    ["it breaks the protocol", 5, will(), (client) => client.send("00 00")],
    ["it says so (DISCONNECT 0x04)", 5, will(), (client) => client.send("e0 01 04")],
    [
      "its session ends before the delay",
      5,
      { ...will({ willDelayInterval: 60 }), properties: { sessionExpiryInterval: 1 } },
      (client) => client.drop()
    ]
  ]

  it.each(ends)("is no way to publish what is denied: %s", async (_, version, options, end) => {
    await start(withRules(rules))
    const boss = await broker.connect(5, owner)
    await boss.subscribe("secret/#", 1)
    end(await broker.connect(version, { clientId: "c", ...options }))
    const { counters, sessions } = broker.broker
    for (; counters.wills_denied_total === 0;) await boss.ping()
    while (sessions.size > 1) await boss.ping()
    await boss.expectNothing()
    assert.strictEqual(broker.broker.services.retainer.count, 0)
    assert.strictEqual(counters.wills_published_total, 0)
  })
})

describe("somebody else's client id", () => {
  const kept = { clientId: "pump", clean: false, properties: { sessionExpiryInterval: 60 } }

  it("gives neither its subscriptions nor what it is owed, and the owner's will is still the owner's", async () => {
    await start(withRules(rules))
    const boss = await broker.connect(5, owner)
    await boss.subscribe("secret/last")
    const pump = await broker.connect(5, {
      ...kept,
      ...owner,
      will: { topic: "secret/last", payload: Buffer.from("bye"), qos: 0, retain: false }
    })
    await pump.subscribe("secret/+", 1)
    await boss.publish("secret/a", "1", { qos: 1 })
    await pump.receive("publish", { topic: "secret/a" })
    const thief = await broker.connect(5, { ...kept, username: "eve" })
    await pump.expectRefused(0x8e)
    await boss.receive("publish", { topic: "secret/last", payload: "bye" })
    await thief.expectNothing()
    await boss.publish("secret/b", "2", { qos: 1 })
    await thief.expectNothing()
    assert.deepStrictEqual(broker.session("pump").subscriptions?.topicFilters(), [])
  })

  it('with authentication.takeover = "same_user" gives nothing at all: the owner stays connected', async () => {
    await start((settings) => ({
      ...withRules(rules)(settings),
      authentication: { ...settings.authentication, takeover: "same_user" }
    }))
    const pump = await broker.connect(5, { ...kept, ...owner })
    for (const clean of [false, true]) {
      const thief = await broker.open(5)
      thief.sendConnect({ ...kept, clean, username: "eve" })
      await thief.expectConnectRefused([0x85, 0x87])
    }
    await pump.ping()
  })
})

describe("a client that is gone before anybody looks at it", () => {
  it("gets around no rule about addresses", async () => {
    await start(withRules(`{deny, {ipaddr, "127.0.0.0/8"}, publish, ["x/#"]}.\n{allow, all}.\n`))
    const watcher = await broker.connect(5)
    await watcher.subscribe("x/#")
    const port = broker.broker.addresses[0]?.port ?? 0
    for (let i = 0; i < 50; i++) {
      const bytes = Buffer.concat([connectBytes(4, { clientId: `gone${i}` }), publishBytes(4, 0x30, "x/1")])
      await new Promise<void>((resolve) => {
        const socket = connectTo(port, "127.0.0.1", () => {
          socket.write(bytes, () => i % 2 === 0 ? socket.destroy() : socket.resetAndDestroy())
        })
        socket.on("error", () => {}).on("close", () => resolve())
      })
    }
    // Accepted after all of them.
    const last = await broker.connect(5)
    await last.ping()
    await watcher.expectNothing()
    assert.strictEqual(broker.broker.counters.messages_no_subscribers_total, 0)
  })

  it("is not taken at its word where its address or its certificate would say who it is", async () => {
    await start((same) => same)
    const connect: Connect = {
      _tag: "Connect",
      protocolVersion: 5,
      cleanStart: true,
      keepAliveSeconds: 0,
      clientId: "c",
      username: "admin",
      password: undefined,
      will: undefined,
      sessionExpiryInterval: undefined,
      receiveMaximum: 65_535,
      maximumPacketSize: 1_000,
      topicAliasMaximum: 0,
      requestResponseInformation: false,
      requestProblemInformation: true,
      userProperties: [],
      authenticationMethod: undefined,
      authenticationData: undefined,
      bridge: false
    }
    const { services } = broker.broker
    const socket = { remoteAddress: "127.0.0.1" }
    const byCertificate = { ...defaultListener, clientCertificate: "required", certificateAs: "user_name_cn" } as const
    const reason = (given: ReturnType<typeof applicantOf>) => "reasonCode" in given ? given.reason : "none"
    assert.strictEqual(reason(applicantOf(services, defaultListener, connect, socket)), "none")
    assert.match(reason(applicantOf(services, defaultListener, connect, { remoteAddress: "" })), /address is not known/)
    assert.match(reason(applicantOf(services, byCertificate, connect, socket)), /certificate is not known/)
  })
})
