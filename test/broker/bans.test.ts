// Bans as clients meet them: refused at CONNECT, closed at the door, sent away, for as long as they hold, over a restart; and flapping.
import { afterEach, assert, describe, it } from "@effect/vitest"
import type { Ban } from "../../src/access/bans/Ban.ts"
import type { BansSettings } from "../../src/config/Settings.ts"
import { DurableBroker } from "../support/durableBroker.ts"
import { type InnerBroker, startInnerBroker } from "../support/innerBroker.ts"
import type { ConnectOptions, Version } from "../support/TestClient.ts"

let inner: InnerBroker | undefined
let durable: DurableBroker | undefined
afterEach(async () => {
  await inner?.stop()
  await durable?.stop()
  inner = durable = undefined
})

const start = async (bans: Partial<BansSettings> = {}): Promise<InnerBroker> =>
  inner = await startInnerBroker((settings) => ({
    ...settings,
    log: { ...settings.log, level: "info" },
    bans: { ...settings.bans, ...bans }
  }))

const ban = (kind: Ban["kind"], value: string, until = Infinity): Ban => ({
  kind,
  value,
  reason: "the operator's own words",
  by: "ctl",
  since: 0,
  until
})

const refused = async (broker: InnerBroker, version: Version, options: ConnectOptions) => {
  const client = await broker.open(version)
  client.sendConnect(options)
  await client.expectConnectRefused(0x8a, 5)
}

describe("a ban", () => {
  it.each([3, 4, 5] as const)(
    "MQTT level %i: by client id and by user name, CONNACK 0x8A (3.x: 5); others come in",
    async (version) => {
      const broker = await start()
      const { bans, counters } = broker.broker.services
      bans.add(ban("client_id", "bad/+"))
      bans.add(ban("user_name", "eve"))
      await refused(broker, version, { clientId: "bad/+" })
      await refused(broker, version, { clientId: "good", username: "eve" })
      await broker.connect(version, { clientId: "bad/x" })
      await broker.connect(version, { clientId: "eve", username: "bob" })
      assert.strictEqual(counters.connections_banned_total, 2)
      assert.isTrue(bans.remove("client_id", "bad/+", "ctl"))
      assert.isFalse(bans.remove("client_id", "bad/+", "ctl"))
      await broker.connect(version, { clientId: "bad/+" })
      // The operator's words are for the operator.
      assert.include(broker.lines.join("\n"), "the operator's own words")
      assert.include(broker.lines.join("\n"), '"reason":"banned: user_name eve"')
      assert.match(broker.lines.join("\n"), /connection refused \{"client_id":"good","user_name":"eve",/)
    }
  )

  it("by address: closed unanswered at the door, one line; a ban that has ended holds for nobody", async () => {
    const broker = await start()
    const { bans, counters, scheduler } = broker.broker.services
    bans.add(ban("address", "127.0.0.0/8"))
    const client = await broker.open(5)
    client.sendConnect({ clientId: "c" })
    await client.expectClosed()
    assert.strictEqual(counters.connections_banned_total, 1)
    assert.strictEqual(counters.connections_opened_total, 0)
    assert.include(broker.lines.join("\n"), "connection closed unanswered: its address is banned")
    bans.add(ban("address", "127.0.0.0/8", scheduler.refresh()))
    await broker.connect(5)
    bans.tick(scheduler.now + 100_000)
    assert.strictEqual(bans.list.size, 0)
  })

  it("sends away whom it concerns, and nobody else; drop_connected = false leaves them until their next CONNECT", async () => {
    const broker = await start()
    const { bans } = broker.broker.services
    const [byId, byName, other] = [
      await broker.connect(5, { clientId: "a" }),
      await broker.connect(4, { clientId: "b", username: "eve" }),
      await broker.connect(5, { clientId: "c", username: "bob" })
    ]
    bans.add(ban("client_id", "a"))
    bans.add(ban("user_name", "eve"))
    await byId.expectRefused(0x98)
    await byName.expectClosed()
    await other.ping()
    bans.change({ ...broker.broker.services.settings.bans, dropConnected: false })
    bans.add(ban("client_id", "c"))
    bans.add(ban("address", "127.0.0.1"))
    await other.ping()
  })

  it("bounded: the one too many is refused, one that has ended makes room", async () => {
    const broker = await start({ maxBans: 2 })
    const { bans } = broker.broker.services
    assert.isTrue(bans.add(ban("client_id", "a", 1)))
    assert.isTrue(bans.add(ban("client_id", "b")))
    assert.isTrue(bans.add(ban("client_id", "c")))
    assert.isFalse(bans.add(ban("client_id", "d")))
    assert.isTrue(bans.add(ban("client_id", "b", Infinity)))
    assert.deepStrictEqual([...bans.list.values()].map(({ value }) => value), ["b", "c"])
  })

  it("outlives a crash of the broker, and so does its removal", async () => {
    const broker = durable = await new DurableBroker().start()
    const { bans } = broker.broker.services
    const until = broker.broker.services.scheduler.refresh() + 3_600_000
    for (const one of [ban("client_id", "a:b"), ban("user_name", "eve", until), ban("address", "fd00::/8")]) {
      bans.add(one)
    }
    bans.add(ban("client_id", "gone"))
    bans.remove("client_id", "gone", "ctl")
    // Acknowledged, so what was told before it is committed.
    const client = await broker.durable(5, "x")
    await client.subscribe("t", 1)
    await broker.crash()
    const { list } = broker.broker.services.bans
    assert.sameDeepMembers([...list.values()], [
      ban("client_id", "a:b"),
      ban("user_name", "eve", until),
      ban("address", "fd00::/8")
    ])
    const again = await broker.open(5)
    again.sendConnect({ clientId: "a:b" })
    await again.expectConnectRefused(0x8a)
  })
})

describe("flapping", () => {
  const flapping = { flappingDisconnects: 3, flappingWindowMillis: 60_000, flappingBanMillis: 60_000 }

  it("who goes three times within the window is banned; others, and who was only refused, are not", async () => {
    const broker = await start(flapping)
    const { bans, counters } = broker.broker.services
    const comeAndGo = async (clientId: string) => {
      const client = await broker.connect(5, { clientId })
      client.drop()
      while (broker.broker.connections > 1) await watcher.ping()
    }
    const watcher = await broker.connect(5, { clientId: "watcher" })
    for (let n = 0; n < 3; n++) await comeAndGo("flap")
    await comeAndGo("calm")
    await refused(broker, 5, { clientId: "flap" })
    await comeAndGo("calm")
    assert.strictEqual(counters.flapping_detected_total, 1)
    assert.strictEqual(bans.list.get("client_id", "flap")?.by, "flapping")
    assert.include(broker.lines.join("\n"), '"reason":"3 disconnects within 60 s"')
    assert.isUndefined(bans.list.get("client_id", "calm"))
  })

  it("a take-over war between two clients counts; what the operator said for longer stays; full, it is only logged", async () => {
    const broker = await start({ ...flapping, maxBans: 1, dropConnected: false })
    const { bans } = broker.broker.services
    bans.add(ban("client_id", "war"))
    for (let n = 0; n < 6; n++) bans.disconnected(n % 2 === 0 ? "war" : "peace")
    assert.strictEqual(bans.list.get("client_id", "war")?.by, "ctl")
    assert.strictEqual(bans.list.size, 1)
    assert.include(broker.lines.join("\n"), "flapping client not banned: bans.max_bans is reached")
    bans.remove("client_id", "war", "ctl")
    let last = await broker.connect(5, { clientId: "war" })
    for (let n = 0; n < 3; n++) {
      const next = await broker.connect(5, { clientId: "war" })
      await last.expectRefused(0x8e)
      last = next
    }
    await refused(broker, 5, { clientId: "war" })
  })
})
