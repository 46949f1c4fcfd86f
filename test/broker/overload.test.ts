// Above a mark new clients are refused with the protocol's reason, and those who are in notice nothing.
import { afterEach, assert, describe, it } from "@effect/vitest"
import type { Settings } from "../../src/config/Settings.ts"
import { connect as connectTls } from "node:tls"
import { RawClient } from "../platform/RawClient.ts"
import { certificates, opensslMissing } from "../support/certificates.ts"
import { type InnerBroker, startInnerBroker } from "../support/innerBroker.ts"
import { connectBytes } from "../support/packets.ts"

let inner: InnerBroker | undefined
afterEach(() => inner?.stop())

type Change = { readonly [Section in "overload" | "connection" | "listener"]?: object }

const start = async ({ connection = {}, listener = {}, overload = {} }: Change): Promise<InnerBroker> =>
  inner = await startInnerBroker((settings): Settings => ({
    ...settings,
    overload: { ...settings.overload, ...overload },
    connection: { ...settings.connection, ...connection },
    listeners: settings.listeners.map((one) => ({ ...one, ...listener }))
  }))

/** Waits for the broker to have seen something; the client's pings are the clock. */
const until = async (broker: InnerBroker, condition: () => boolean): Promise<void> => {
  const watcher = await broker.connect(4)
  while (!condition()) await watcher.ping()
  await watcher.disconnect()
}

describe("overload", () => {
  it("connections: 0x97 to MQTT 5, 3 to the older ones; who is in keeps its service, and who leaves makes room", async () => {
    const broker = await start({ overload: { maxConnections: 2 } })
    const subscriber = await broker.connect(5)
    await subscriber.subscribe("a")
    const publisher = await broker.connect(4)
    for (const version of [3, 4, 5] as const) {
      const late = await broker.open(version)
      late.sendConnect({ clientId: "late" })
      await late.expectConnectRefused(0x97, 3)
    }
    await publisher.publish("a", "still served", { qos: 1 })
    await subscriber.receive("publish", { payload: "still served" })
    const { counters, overload } = broker.broker
    assert.deepInclude(counters.snapshot(), { overload_entered_total: 1, overload_refused_total: 3 })
    assert.deepInclude(overload.marks[0], { setting: "overload.max_connections", refused: 3 })
    await publisher.disconnect()
    while (overload.connections > 1) await subscriber.ping()
    const next = await broker.connect(5)
    await next.ping()
  })

  it.each([["use_another_server", 0x9c], ["server_moved", 0x9d], ["none", 0x97]])(
    "with a server reference and redirect %s",
    async (redirect, reasonCode) => {
      const broker = await start({
        overload: { redirect },
        connection: { serverReference: "b:1883" },
        listener: { maxConnections: 1 }
      })
      await broker.connect(4)
      const five = await broker.open(5)
      five.sendConnect({ clientId: "five" })
      const { properties } = await five.receive("connack", { reasonCode })
      assert.strictEqual(properties?.serverReference, reasonCode === 0x97 ? undefined : "b:1883")
      await five.expectClosed()
      const four = await broker.open(4)
      four.sendConnect({ clientId: "four" })
      await four.expectConnectRefused([], 3)
    }
  )

  it("a rate is too fast everywhere: 0x9F, whatever the server reference", async () => {
    const broker = await start({ connection: { serverReference: "b:1883" }, listener: { maxConnectionRate: 1 } })
    const clients = await Promise.all([5, 5, 5].map(() => broker.open(5)))
    const refused: Array<number | undefined> = []
    for (const client of clients) {
      client.sendConnect({ clientId: "" })
      const connack = await client.receive("connack")
      if (connack.reasonCode !== 0) refused.push(connack.reasonCode)
    }
    assert.include(refused, 0x9f)
    assert.deepStrictEqual([...new Set(refused)], [0x9f])
  })

  it("handshakes: those whose CONNECT does not come fill the places, the next one is refused; a CONNECT frees its place", async () => {
    const broker = await start({ overload: { maxHandshakes: 2, maxHandshakesPerAddress: 0 } })
    const { handshakes } = broker.broker.overload
    const inside = await broker.connect(5)
    const silent = [await broker.open(5), await broker.open(5)]
    while (handshakes.size < 2) await inside.ping()
    const late = await broker.open(5)
    late.sendConnect({ clientId: "late" })
    await late.expectConnectRefused(0x97)
    await silent[0]?.connect({ clientId: "slow, but here" })
    assert.strictEqual(handshakes.size, 1)
    const next = await broker.connect(5)
    await next.ping()
    silent[1]?.drop()
    await until(broker, () => handshakes.size === 0)
  })

  it("handshakes from one address", async () => {
    const broker = await start({ overload: { maxHandshakesPerAddress: 1 } })
    const inside = await broker.connect(5)
    await broker.open(5)
    while (broker.broker.overload.handshakes.from("127.0.0.1") < 1) await inside.ping()
    const late = await broker.open(5)
    late.sendConnect({ clientId: "late" })
    const { properties } = await late.receive("connack", { reasonCode: 0x97 })
    assert.strictEqual(properties?.reasonString, "overload.max_handshakes_per_address reached")
  })

  it("memory above its mark: 0x89 to MQTT 5, 3 to the older ones", async () => {
    const broker = inner = await startInnerBroker((settings) => ({
      ...settings,
      node: { ...settings.node, memoryHighWatermark: 0.000_01 } // some hundred kilobytes
    }))
    const { overload } = broker.broker
    const { scheduler } = broker.broker.services
    await turnsUntil(() => overload.marks.length > 0)
    assert.deepInclude(overload.marks[0], { setting: "node.memory_high_watermark", refused: 0 })
    const five = await broker.open(5)
    five.sendConnect({ clientId: "five" })
    await five.expectConnectRefused(0x89)
    const four = await broker.open(4)
    four.sendConnect({ clientId: "four" })
    await four.expectConnectRefused([], 3)
    assert.strictEqual(overload.marks[0]?.refused, 2)
    assert.isAtMost(overload.marks[0]?.since ?? Infinity, scheduler.refresh())
  })

  it("an event loop that is held up is seen: late by as much, smoothed", async () => {
    const broker = await start({ overload: { maxEventLoopLagMillis: 10 } })
    const { overload } = broker.broker
    const { scheduler } = broker.broker.services
    // Held up tick after tick until the mark is reached; one hold-up alone would not do.
    await turnsUntil(() => {
      const from = scheduler.refresh()
      while (scheduler.refresh() - from < 250);
      return overload.marks.length > 0
    })
    assert.strictEqual(overload.marks[0]?.setting, "overload.max_event_loop_lag")
    assert.isAbove(overload.eventLoopLagMillis, 10)
  })

  it("a CONNECT that comes byte by byte has its place for connect_timeout and not longer, though it does not read or close", async () => {
    const broker = await start({ connection: { connectTimeoutMillis: 300 } })
    const { overload, services } = broker.broker
    const inside = await broker.connect(5)
    const slow = await broker.open(5)
    const connect = connectBytes(5, { clientId: "slow" })
    let at = 0
    while (overload.handshakes.size < 1) await inside.ping()
    const before = services.scheduler.refresh()
    while (overload.connections > 1) {
      // Never the last byte: it always seems to be about to come.
      if (at < connect.length - 1) slow.send(connect.subarray(at, ++at))
      await inside.ping()
    }
    assert.strictEqual(overload.handshakes.size, 0)
    assert.strictEqual(services.counters.connections_timed_out_total, 1)
    // Not the five seconds more that a client gets to read why it has to go: it was told nothing.
    assert.isBelow(services.scheduler.refresh() - before, 5_000)
  })

  it("TLS handshakes that are begun and not gone on with: counted, bounded by address, and their places come back", async (context) => {
    context.skip(opensslMissing !== undefined, opensslMissing)
    const broker = await start({
      overload: { maxHandshakesPerAddress: 2 },
      listener: {
        type: "tls",
        certificate: certificates().file("server.crt"),
        key: certificates().file("server.key"),
        handshakeTimeoutMillis: 600_000
      }
    })
    const { counters, overload } = broker.broker
    const port = broker.broker.addresses[0]?.port ?? 0
    const [first, second, third] = [
      await RawClient.connect(port),
      await RawClient.connect(port),
      await RawClient.connect(port)
    ]
    await third.until(() => third.closed || third.ended)
    assert.deepInclude(counters.snapshot(), { tls_handshakes_refused_total: 1, overload_entered_total: 1 })
    assert.strictEqual(overload.handshakes.from("127.0.0.1"), 2)
    const secure = connectTls({ port, host: "127.0.0.1", ca: certificates().text("ca.crt"), servername: "localhost" })
    secure.on("error", () => {})
    await new Promise((resolve) => secure.once("close", resolve))
    for (const client of [first, second]) client.socket.destroy()
    await turnsUntil(() => overload.handshakes.size === 0)
    const again = connectTls({ port, host: "127.0.0.1", ca: certificates().text("ca.crt"), servername: "localhost" })
    await new Promise((resolve) => again.once("secureConnect", resolve))
    again.write(connectBytes(4, { clientId: "over TLS" }))
    const connack = await new Promise<Buffer>((resolve) => again.once("data", resolve))
    assert.deepStrictEqual([...connack], [0x20, 2, 0, 0])
    assert.strictEqual(overload.handshakes.size, 0)
    again.destroy()
  })
})

/** Looks again in each turn of the event loop. */
const turnsUntil = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve))
}
