// What a door asks of those who knock: network, PROXY header, time, zone and mount point, and what each answer tells client and operator.
import { afterEach, assert, describe, it } from "@effect/vitest"
import { connect } from "node:net"
import { join } from "node:path"
import { defaultListener, type ListenerSettings, type Settings } from "../../src/config/Settings.ts"
import { RawClient } from "../platform/RawClient.ts"
import { type InnerBroker, startInnerBroker } from "../support/innerBroker.ts"
import { connectBytes } from "../support/packets.ts"
import { type ConnectOptions, TestClient, type Version } from "../support/TestClient.ts"
import { socketWire } from "../support/Wire.ts"

let inner: InnerBroker | undefined
const clients: Array<{ drop(): void }> = []

afterEach(async () => {
  for (const client of clients.splice(0)) client.drop()
  await inner?.stop()
  inner = undefined
})

const listener = (name: string, settings: Partial<ListenerSettings>): ListenerSettings => ({
  ...defaultListener,
  name,
  address: "127.0.0.1",
  port: 0,
  ...settings
})

const startWith = async (
  listeners: ReadonlyArray<ListenerSettings>,
  change: (settings: Settings) => Settings = (same) => same
): Promise<InnerBroker> => inner = await startInnerBroker((settings) => change({ ...settings, listeners }))

const portOf = ({ broker }: InnerBroker, name: string): number =>
  broker.addresses.find((one) => one.name === name)?.port ?? 0

let serial = 0
const client = async (port: number, version: Version, options: ConnectOptions = {}): Promise<TestClient> => {
  const opened = await TestClient.open(port, version, "tcp")
  clients.push(opened)
  return opened.connect({ clientId: `c${++serial}`, ...options })
}

/** Everything that comes, when the broker has closed. */
const untilClosed = async (port: number, ...bytes: ReadonlyArray<string | Buffer>): Promise<string> => {
  const raw = await RawClient.connect(port)
  for (const part of bytes) raw.socket.write(part)
  await raw.until(() => raw.ended || raw.closed)
  raw.socket.destroy()
  return raw.bytes.toString("hex")
}

describe("allow and deny", () => {
  it("an address that is not let in is closed unanswered, and the operator reads which", async () => {
    const broker = await startWith([
      listener("elsewhere", { allow: ["10.0.0.0/8", "fd00::/8"] }),
      listener("not-here", { allow: ["127.0.0.0/8"], deny: ["127.0.0.1"] }),
      listener("here", { allow: ["127.0.0.0/8"], deny: ["127.0.0.2/32"] })
    ])
    const connectPacket = connectBytes(4, { clientId: "x" })
    assert.strictEqual(await untilClosed(portOf(broker, "elsewhere"), connectPacket), "")
    assert.strictEqual(await untilClosed(portOf(broker, "not-here"), connectPacket), "")
    await (await client(portOf(broker, "here"), 5)).ping()
    assert.strictEqual(broker.broker.counters.connections_denied_total, 2)
    assert.include(
      broker.lines,
      `connection closed unanswered: its address is not let in {"listener":"elsewhere","peer":"127.0.0.1"}`
    )
  })
})

describe("the PROXY header", () => {
  const settings = { proxyProtocol: true, allow: ["192.0.2.7"], proxyProtocolTimeoutMillis: 100 }

  it("names the client, whose packets may come in the same bytes", async () => {
    const broker = await startWith([listener("proxied", settings)], (all) => ({
      ...all,
      access: { ...all.access, anonymous: "anywhere" }
    }))
    const raw = await RawClient.connect(portOf(broker, "proxied"))
    const header = Buffer.from("PROXY TCP4 192.0.2.7 192.0.2.1 4711 1883\r\n")
    raw.socket.write(header.subarray(0, 9))
    raw.socket.write(Buffer.concat([header.subarray(9), connectBytes(4, { clientId: "behind" })]))
    await raw.until(() => raw.receivedBytes === 4)
    assert.strictEqual(raw.bytes.toString("hex"), "20020000")
    assert.strictEqual(broker.connection("behind").peer, "192.0.2.7:4711")
    raw.socket.destroy()
  })

  it("is waited for by so many at a time, and the next one is closed", async () => {
    const broker = await startWith([
      listener("proxied", { ...settings, proxyProtocolTimeoutMillis: 60_000, maxHandshakes: 2 })
    ])
    const port = portOf(broker, "proxied")
    const waiting = [await RawClient.connect(port), await RawClient.connect(port)]
    assert.strictEqual(await untilClosed(port), "")
    assert.isTrue(broker.lines.some((line) => line.includes("too many connections wait for theirs")))
    assert.isTrue(waiting.every((one) => !one.ended && !one.closed))
    for (const one of waiting) one.socket.destroy()
    // Their places are free again.
    while (broker.broker.counters.proxy_headers_failed_total < 3) await new Promise((resolve) => setImmediate(resolve))
    assert.strictEqual(await untilClosed(port, "PROXY nonsense\r\n"), "")
    assert.isTrue(broker.lines.some((line) => line.includes("neither TCP4")))
  })

  it("missing, broken or late: closed, and the operator reads why", async () => {
    const broker = await startWith([listener("proxied", settings)])
    const port = portOf(broker, "proxied")
    assert.strictEqual(await untilClosed(port, connectBytes(4, { clientId: "x" })), "")
    assert.strictEqual(await untilClosed(port, "PROXY TCP4 nonsense\r\n"), "")
    assert.strictEqual(await untilClosed(port, "PROXY TC"), "")
    for (
      const reason of [
        "it does not begin with a PROXY header",
        "version 1: addresses or ports are wrong",
        "it did not come in time"
      ]
    ) {
      const fields = { listener: "proxied", peer: "127.0.0.1", reason }
      assert.include(broker.lines, `connection closed: no good PROXY header ${JSON.stringify(fields)}`)
    }
    assert.strictEqual(broker.broker.counters.proxy_headers_failed_total, 3)
    assert.strictEqual(broker.broker.counters.connections_opened_total, 0)
  })
})

describe("the time for CONNECT", () => {
  it("is the listener's own, where it has one", async () => {
    const broker = await startWith([listener("hasty", { connectTimeoutMillis: 100 })])
    assert.strictEqual(await untilClosed(portOf(broker, "hasty"), "\x10"), "")
    assert.isTrue(broker.lines.some((line) => /^no CONNECT in time .*"seconds":0.1/.test(line)))
  })
})

describe("a zone", () => {
  it("has limits of its own for the clients of its listeners", async () => {
    const broker = await startWith(
      [listener("field", { zone: "field" }), listener("office", {})],
      (all) => ({
        ...all,
        zones: [{
          name: "field",
          connection: { maxPacketSize: 128, topicAliasMaximum: 3 },
          session: { maxSubscriptions: 1 },
          queue: {},
          limits: {}
        }]
      })
    )
    const field = await client(portOf(broker, "field"), 5)
    assert.include(field.connack.properties, { maximumPacketSize: 128, topicAliasMaximum: 3 })
    assert.strictEqual(await field.subscribe("a"), 0)
    assert.strictEqual(await field.subscribe("b"), 0x97)
    field.send({ cmd: "publish", topic: "t", payload: Buffer.alloc(200), qos: 0, dup: false, retain: false })
    await field.expectRefused(0x95)
    const office = await client(portOf(broker, "office"), 5)
    assert.include(office.connack.properties, { maximumPacketSize: 1024 * 1024 })
    assert.strictEqual(await office.subscribe("a"), 0)
    assert.strictEqual(await office.subscribe("b"), 0)
  })
})

describe("a mount point", () => {
  it.each([4, 5] as const)("keeps groups of clients apart, MQTT level %s", async (version) => {
    const broker = await startWith([
      listener("red", { mountpoint: "red/" }),
      listener("blue", { mountpoint: "blue/" }),
      listener("all", {})
    ])
    const [red, blue, all] = await Promise.all(
      ["red", "blue", "all"].map((name) => client(portOf(broker, name), version))
    )
    if (red === undefined || blue === undefined || all === undefined) throw new Error("no clients")
    for (const one of [red, blue]) assert.strictEqual(await one.subscribe("#", 1), 1)
    await all.subscribe("red/#", 1)
    const publisher = await client(portOf(broker, "red"), version)
    await publisher.publish("a/b", "q0")
    await publisher.publish("a/b", "q1", { qos: 1, retain: true })
    await red.receive("publish", { topic: "a/b", payload: "q0", qos: 0 })
    await red.receive("publish", { topic: "a/b", payload: "q1", qos: 1, retain: false })
    await all.receive("publish", { topic: "red/a/b", payload: "q0" })
    await all.receive("publish", { topic: "red/a/b", payload: "q1", qos: 1 })
    await blue.expectNothing()
    // Who comes later gets what is retained, under the name that holds for it.
    const later = await client(portOf(broker, "red"), version)
    await later.subscribe("+/b", 1)
    await later.receive("publish", { topic: "a/b", payload: "q1", retain: true })
    await all.publish("blue/x", "to blue")
    await blue.receive("publish", { topic: "x", payload: "to blue" })
  })

  it("holds for wills, shared subscriptions, UNSUBSCRIBE and the names in it", async () => {
    const broker = await startWith([listener("own", { mountpoint: "u/%u/c/%c/" }), listener("all", {})])
    const watcher = await client(portOf(broker, "all"), 5)
    await watcher.subscribe("u/#")
    const own = await client(portOf(broker, "own"), 5, {
      clientId: "pump",
      username: "ada",
      will: { topic: "gone", payload: Buffer.from("bye"), qos: 0, retain: false }
    })
    await own.subscribe("$share/g/in")
    const publisher = await client(portOf(broker, "all"), 5)
    await publisher.publish("u/ada/c/pump/in", "1")
    await watcher.receive("publish", { topic: "u/ada/c/pump/in" })
    await own.receive("publish", { topic: "in", payload: "1" })
    own.send({ cmd: "unsubscribe", messageId: 77, unsubscriptions: ["$share/g/in"] })
    await own.receive("unsuback", { messageId: 77, granted: [0] })
    own.drop()
    await watcher.receive("publish", { topic: "u/ada/c/pump/gone", payload: "bye" })
  })

  it("lets nobody in whose name would reach others' topics", async () => {
    const broker = await startWith([listener("own", { mountpoint: "%c/" })])
    for (const clientId of ["+", "a/b", "#", "$SYS", "$share"]) {
      const bad = await TestClient.open(portOf(broker, "own"), 5, "tcp")
      bad.sendConnect({ clientId })
      await bad.expectConnectRefused(0x85)
    }
    const line = broker.lines.find((one) => one.startsWith("connection refused"))
    assert.include(line, "no name for listeners.own.mountpoint: empty, with /, + or #, or with $ in front")
  })
})

describe("a Unix socket", () => {
  it("is a listener like any other, and its clients count as loopback", async () => {
    const folder = process.env["TMPDIR"] ?? "/tmp"
    const path = join(folder, `emqttd-${process.pid}-${++serial}.sock`)
    const broker = await startWith([listener("local", { address: `unix:${path}`, unixMode: "0600" })])
    assert.deepStrictEqual(broker.broker.addresses.map(({ address, port }) => [address, port]), [[`unix:${path}`, 0]])
    const local = await TestClient.over((events) => socketWire(connect({ path }), events), 5)
    clients.push(local)
    await local.connect({ clientId: "local" })
    await local.ping()
  })
})
