// The judge at the doors: what is refused with which reason, and when a mark is entered and left.
import { assert, describe, it } from "@effect/vitest"
import { defaultSettings, type OverloadSettings } from "../../src/config/Settings.ts"
import { networkKey } from "../../src/access/Access.ts"
import { Handshakes } from "../../src/listener/Handshakes.ts"
import { Overload } from "../../src/listener/Overload.ts"
import { Counters } from "../../src/metrics/Counters.ts"
import { EventLog } from "../../src/metrics/EventLog.ts"

const judge = (overload: Partial<OverloadSettings> = {}, serverReference = "") => {
  const lines: Array<string> = []
  const counters = new Counters()
  const memory = { high: false }
  const judge = new Overload({
    settings: {
      ...defaultSettings,
      connection: { ...defaultSettings.connection, serverReference },
      overload: { ...defaultSettings.overload, ...overload }
    },
    counters,
    log: new EventLog(
      (_, message, { limit, refused }) => lines.push(`${message}: ${limit} ${refused ?? ""}`),
      () => 0,
      0
    ),
    memoryIsHigh: () => memory.high
  })
  return { judge, counters, lines, memory }
}

describe("Overload", () => {
  it("connections: the one above the mark is refused, not the one at it", () => {
    const { judge: overload } = judge({ maxConnections: 2 })
    overload.connections = 1
    assert.isUndefined(overload.judge(0, "a"))
    overload.connections = 2
    assert.deepStrictEqual(overload.judge(0, "a"), {
      reasonCode: 0x97,
      reason: "overload.max_connections reached"
    })
    overload.connections = 1
    assert.isUndefined(overload.judge(1, "a"))
  })

  it("handshakes under way, in all and from one network; another network is let in", () => {
    const { judge: overload } = judge({ maxHandshakes: 3, maxHandshakesPerAddress: 2 })
    for (const connection of [{}, {}]) overload.handshakes.begin(connection, "a")
    assert.strictEqual(overload.judge(0, "a")?.reason, "overload.max_handshakes_per_address reached")
    assert.isUndefined(overload.judge(0, "b"))
    overload.handshakes.begin({}, "b")
    assert.strictEqual(overload.judge(0, "b")?.reason, "overload.max_handshakes reached")
  })

  it("0 is no limit: neither of connections nor of one address, which is not even asked for", () => {
    const { judge: overload } = judge({ maxConnections: 0, maxHandshakesPerAddress: 0 })
    overload.connections = 10_000_000
    assert.isUndefined(overload.judge(0, ""))
    const peer = {
      get remoteAddress(): string {
        throw new Error("asked")
      }
    }
    assert.strictEqual(overload.networkOf(peer), "")
  })

  it("a mark is entered once, told once, and left ten seconds after it was last reached", () => {
    const { counters, judge: overload, lines } = judge()
    for (const now of [0, 5_000, 9_000]) overload.refuse(now, "listeners.x.max_connections", 0x97)
    overload.tick(18_999, 0)
    assert.deepStrictEqual(overload.marks, [{ setting: "listeners.x.max_connections", since: 0, refused: 3 }])
    overload.tick(19_000, 0)
    assert.deepStrictEqual(overload.marks, [])
    assert.deepStrictEqual(lines, [
      "overload: new clients are refused: listeners.x.max_connections ",
      "overload over: new clients are let in: listeners.x.max_connections 3"
    ])
    assert.deepInclude(counters.snapshot(), { overload_entered_total: 1, overload_refused_total: 3 })
  })

  it("memory: refuses while it is high and a second longer, however many try", () => {
    const { judge: overload, memory } = judge()
    memory.high = true
    overload.tick(0, 0)
    assert.deepStrictEqual(overload.judge(0, "a"), {
      reasonCode: 0x89,
      reason: "node.memory_high_watermark reached"
    })
    memory.high = false
    overload.tick(999, 0)
    assert.isDefined(overload.judge(999, "a"))
    overload.tick(1_000, 0)
    assert.isUndefined(overload.judge(1_000, "a"))
  })

  it("the event loop: late again and again is overload, one pause or a clock that was set is not", () => {
    const { judge: overload } = judge({ maxEventLoopLagMillis: 100 })
    overload.tick(0, 3_600_000)
    assert.isUndefined(overload.judge(0, "a"))
    for (let tick = 1; tick < 10; tick++) overload.tick(tick, 0)
    overload.tick(10, -3_600_000)
    assert.isAtMost(overload.eventLoopLagMillis, 10)
    for (let tick = 11; tick < 14; tick++) overload.tick(tick, 200)
    assert.strictEqual(overload.judge(14, "a")?.reason, "overload.max_event_loop_lag reached")
    const off = judge({ maxEventLoopLagMillis: 0 }).judge
    for (let tick = 0; tick < 100; tick++) off.tick(tick, 60_000)
    assert.isUndefined(off.judge(100, "a"))
  })

  it("with a server reference clients are sent there, but not those who are themselves too many", () => {
    const reasonOf = (redirect: OverloadSettings["redirect"], setting: string, reasonCode: number) =>
      judge({ redirect }, "b:1883").judge.refuse(0, setting, reasonCode).reasonCode
    assert.deepStrictEqual([
      reasonOf("use_another_server", "overload.max_connections", 0x97),
      reasonOf("server_moved", "overload.max_connections", 0x97),
      reasonOf("none", "overload.max_connections", 0x97),
      reasonOf("use_another_server", "listeners.tcp.max_connection_rate", 0x9f),
      reasonOf("use_another_server", "overload.max_handshakes_per_address", 0x97)
    ], [0x9c, 0x9d, 0x97, 0x9f, 0x97])
  })
})

describe("Handshakes", () => {
  it("counts who has begun and not ended, by network; an end counts once", () => {
    const handshakes = new Handshakes()
    const [first, second] = [{}, {}]
    handshakes.begin(first, "a")
    handshakes.begin(second, "a")
    handshakes.end(first)
    handshakes.end(first)
    assert.deepStrictEqual([handshakes.size, handshakes.from("a")], [1, 1])
    handshakes.end(second)
    assert.deepStrictEqual([handshakes.size, handshakes.from("a")], [0, 0])
  })

  it.each([
    ["192.0.2.1", "192.0.2.1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["2001:db8:0:0:1:2:3:4", "2001:db8:0:0::/64"],
    ["2001:DB8:0000:0001::9", "2001:db8:0:1::/64"],
    ["::1", "0:0:0:0::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["1::", "1:0:0:0::/64"],
    ["", ""]
  ])("%s is of %s", (address, network) => assert.strictEqual(networkKey(address), network))
})
