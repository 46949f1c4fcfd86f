// MQTT.js over WebSocket, from this runtime and from a page in a real browser, against the broker as a process.
import { afterAll, afterEach, assert, beforeAll, beforeEach, describe, it } from "@effect/vitest"
import { certificates, opensslMissing } from "../support/certificates.ts"
import { BrokerProcess } from "./support/BrokerProcess.ts"
import { freePort } from "../support/freePort.ts"
import { Browser, missing } from "./support/Browser.ts"
import { MqttClient, qualities, uniqueName, type Version, versions } from "./support/MqttClient.ts"

let broker: BrokerProcess
let port = 0
let strictPort = 0
let securePort = 0
beforeAll(async () => {
  port = await freePort()
  strictPort = await freePort()
  securePort = await freePort()
  const secure = opensslMissing === undefined
    ? `
[listeners.wss]
address = "127.0.0.1"
port = ${securePort}
certificate = "${certificates().file("server.crt")}"
key = "${certificates().file("server.key")}"
`
    : ""
  broker = await BrokerProcess.start(`
[listeners.ws]
address = "127.0.0.1"
port = ${port}
[listeners.strict]
type = "ws"
address = "127.0.0.1"
port = ${strictPort}
ws_allowed_origins = ["https://example.com"]
${secure}`)
})
afterEach(() => MqttClient.closeAll())
afterAll(() => broker?.stop())

const connect = (version: Version, options = {}) =>
  MqttClient.connect(port, version, { protocol: "ws", path: "/mqtt", ...options })

describe.each(versions)("MQTT.js over WebSocket with MQTT $name", (version) => {
  it.each(qualities)("publish and subscribe with QoS %i, to and from TCP", async (qos) => {
    const topic = uniqueName("topic")
    const subscriber = await connect(version)
    await subscriber.client.subscribeAsync(topic, { qos })
    const overTcp = await MqttClient.connect(broker.port, version)
    await overTcp.client.subscribeAsync(topic, { qos })
    await subscriber.client.publishAsync(topic, "héllo", { qos })
    await overTcp.client.publishAsync(topic, "from tcp", { qos })
    for (const { arrived } of [subscriber, overTcp]) {
      const both = await arrived.take(2)
      assert.sameMembers(both.map(({ payload }) => payload), ["héllo", "from tcp"])
    }
  })

  it("1,000 messages in order, and a payload of 500,000 bytes whole", async () => {
    const topic = uniqueName("topic")
    const client = await connect(version)
    await client.client.subscribeAsync(topic, { qos: 1 })
    const sent = Array.from({ length: 1000 }, (_, index) => `${index}`)
    for (let first = 0; first < sent.length; first += 20) {
      await Promise.all(sent.slice(first, first + 20).map((one) => client.client.publishAsync(topic, one, { qos: 1 })))
    }
    assert.deepStrictEqual((await client.arrived.take(1000)).map(({ payload }) => payload), sent)
    const large = "0123456789".repeat(50_000)
    await client.client.publishAsync(topic, large, { qos: 1 })
    assert.isTrue((await client.arrived.next()).payload === large)
  })
})

it("MQTT.js over WebSocket and TLS", async (context) => {
  context.skip(opensslMissing !== undefined, opensslMissing)
  const topic = uniqueName("topic")
  const [version] = versions.slice(-1)
  if (version === undefined) return
  const options = { protocol: "wss", host: "localhost", path: "/mqtt", rejectUnauthorized: false } as const
  const client = await MqttClient.connect(securePort, version, options)
  await client.client.subscribeAsync(topic, { qos: 2 })
  await client.client.publishAsync(topic, "over tls", { qos: 2 })
  assert.strictEqual((await client.arrived.next()).payload, "over tls")
})

it("the log says where it is", () =>
  broker.logged(new RegExp(`listening: ws://127.0.0.1:${port}/mqtt \\(listeners.ws\\)`)))

it("a path that is not there is refused, and the log says which one is", async () => {
  const [version] = versions
  if (version === undefined) return
  const outcome = await connect(version, { path: "/elsewhere" }).then(() => "connected", () => "refused")
  assert.strictEqual(outcome, "refused")
  await broker.logged(/websocket refused.*status=404.*path \/elsewhere/)
})

describe("a page in Chromium", () => {
  let browser: Browser | undefined
  beforeAll(async () => {
    if (missing === undefined) browser = await Browser.start()
  })
  beforeEach((context) => context.skip(missing !== undefined, missing))
  afterAll(() => browser?.stop())

  /** Connects, subscribes, publishes with each QoS, and gives back what arrived. */
  const script = (url: string): string => `
    const client = await mqtt.connectAsync("${url}", { protocolVersion: 5, reconnectPeriod: 0, connectTimeout: 10000 })
    const arrived = []
    const all = new Promise((resolve) => client.on("message", (topic, payload, packet) => {
      arrived.push([topic, payload.toString(), packet.qos])
      if (arrived.length === 4) resolve()
    }))
    await client.subscribeAsync("page/#", { qos: 2 })
    for (const qos of [0, 1, 2]) await client.publishAsync("page/" + qos, "héllo", { qos })
    await client.publishAsync("page/large", "x".repeat(200000), { qos: 1 })
    await all
    await client.endAsync()
    return arrived.map(([topic, payload, qos]) => [topic, payload.length > 10 ? payload.length : payload, qos])
  `
  const expected = [["page/0", "héllo", 0], ["page/1", "héllo", 1], ["page/2", "héllo", 2], ["page/large", 200_000, 1]]

  it("publishes and subscribes over ws", async () => {
    assert.deepStrictEqual(await browser?.run(script(`ws://127.0.0.1:${port}/mqtt`)), expected)
  })

  it("publishes and subscribes over wss", async (context) => {
    context.skip(opensslMissing !== undefined, opensslMissing)
    assert.deepStrictEqual(await browser?.run(script(`wss://127.0.0.1:${securePort}/mqtt`)), expected)
  })

  it("of an origin that is not allowed is refused", async () => {
    const outcome = browser?.run(`
      return await new Promise((resolve) => {
        const socket = new WebSocket("ws://127.0.0.1:${strictPort}/mqtt", "mqtt")
        socket.onopen = () => resolve("open")
        socket.onerror = () => resolve("refused")
      })`)
    assert.strictEqual(await outcome, "refused")
    await broker.logged(new RegExp(`websocket refused.*origin ${browser?.origin}`))
  })
})
