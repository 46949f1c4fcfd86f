// What a listener is by its name, what no single setting of it shows, and what a reload can take.
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { changedForRestart, withLiveTables } from "../../src/config/changedSettings.ts"
import { decodeSettings, formatFault } from "../../src/config/decodeSettings.ts"
import { isWithin, networkOf, networksOf } from "../../src/config/network.ts"
import { parseSettings } from "../../src/config/parseSettings.ts"
import { defaultSettings, type Settings } from "../../src/config/Settings.ts"
import { zonedSettings } from "../../src/config/zonedSettings.ts"

const decoded = (text: string): Settings | ReadonlyArray<string> =>
  Result.match(decodeSettings([Result.getOrThrow(parseSettings("e.toml", text))]), {
    onFailure: (faults) => faults.map(formatFault),
    onSuccess: (settings) => settings
  })

const settingsOf = (text: string): Settings => {
  const settings = decoded(text)
  if (!("listeners" in settings)) throw new Error(settings.join("\n"))
  return settings
}

const pair = `certificate = "a"\nkey = "b"\n`

describe("a listener by its name", () => {
  it("has the type and the port of the original", () => {
    const settings = settingsOf(`[listeners.tls]\n${pair}[listeners.ws]\n[listeners.wss]\n${pair}`)
    assert.deepStrictEqual(
      settings.listeners.map(({ name, port, type }) => [name, type, port]).toSorted(),
      [["tcp", "tcp", 1883], ["tls", "tls", 8883], ["ws", "ws", 8083], ["wss", "wss", 8084]]
    )
  })

  it("or those of its type, unless it has a port", () => {
    const text = `[listeners.secure]\ntype = "tls"\n${pair}[listeners.other]\ntype = "tls"\nport = 1\n${pair}`
    assert.deepStrictEqual(
      settingsOf(text).listeners.filter(({ type }) => type === "tls").map(({ name, port }) => [name, port]),
      [["secure", 8883], ["other", 1]]
    )
  })
})

describe("faults", () => {
  it.each([
    ["[listeners.tls]\n", [
      "e.toml:1: listeners.tls.certificate: missing: a listener of type tls needs one",
      "e.toml:1: listeners.tls.key: missing: a listener of type tls needs one"
    ]],
    [`[listeners.tls]\n${pair}client_certificate = "optional"`, [
      `e.toml:1: listeners.tls.ca: missing: client_certificate = "optional" needs authorities to judge by`
    ]],
    [`[listeners.tcp]\ncertificate_as = "user_name_cn"`, [
      `e.toml:2: listeners.tcp.certificate_as: needs client_certificate = "optional" or "required"`
    ]],
    [`[listeners.tcp]\nzone = "moon"`, ["e.toml:2: listeners.tcp.zone: there is no table [zones.moon]"]],
    [`[listeners.tcp]\nallow = ["10.0.0.0/33"]`, [
      `e.toml:2: listeners.tcp.allow: expected a list of networks, as in 10.0.0.0/8, fd00::/8 or one address, got ["10.0.0.0/33"]`
    ]],
    [`[listeners.tcp]\nmountpoint = "a/#"`, [
      `e.toml:2: listeners.tcp.mountpoint: expected a topic of at most 1,024 bytes without + and #, not beginning with $, got "a/#"`
    ]],
    [`[listeners.tcp]\naddress = "unix:relative"`, [
      `e.toml:2: listeners.tcp.address: expected an IP address or a host name, without port, or unix: and a path, got "unix:relative"`
    ]],
    ["[zones.a.connection]\nreceive_maximum = 200", [
      "e.toml:2: zones.a.connection.receive_maximum: 200 is more than session.max_awaiting_pubrel (100): a client within the one could break the other"
    ]],
    ["[zones.a.session]\nmax_sessions = 3", [
      "e.toml:2: zones.a.session.max_sessions: unknown key; did you mean zones.a.session.max_expiry?"
    ]]
  ])("%s", (text, faults) => {
    const found = decoded(text)
    if ("listeners" in found) throw new Error("no fault")
    assert.deepStrictEqual(
      found.map((one) => one.replace(/; did you mean .*/, "")),
      faults.map((one) => one.replace(/; did you mean .*/, ""))
    )
  })

  it("two on one Unix socket", () => {
    const same = `address = "unix:/tmp/x.sock"`
    const found = decoded(`[listeners.tcp]\n${same}\n[listeners.second]\n${same}\nport = 7`)
    assert.match(String(found), /unix:\/tmp\/x\.sock is taken by listeners\.tcp/)
  })
})

describe("a zone", () => {
  it("has its own values, and the node's for the rest", () => {
    const settings = settingsOf(`[connection]\nmax_packet_size = 1000\n[zones.a.connection]\nreceive_maximum = 7`)
    const zoned = zonedSettings(settings, "a")
    assert.include(zoned.connection, { receiveMaximum: 7, maxPacketSize: 1000 })
    assert.strictEqual(zonedSettings(settings, ""), settings)
  })
})

describe("a reload", () => {
  const { router, session } = defaultSettings
  const next: Settings = {
    ...defaultSettings,
    listeners: [],
    router: { ...router, topicCache: router.topicCache * 2 },
    session: { ...session, maxSessions: 5, maxInflight: 6 }
  }

  it("takes what holds for the next client, and names the rest", () => {
    const live = withLiveTables(defaultSettings, next)
    assert.deepStrictEqual(live.listeners, [])
    assert.strictEqual(live.router, router)
    assert.include(live.session, { maxSessions: session.maxSessions, maxInflight: 6 })
    assert.deepStrictEqual([...changedForRestart(defaultSettings, next)].toSorted(), [
      "router.topic_cache",
      "session.max_sessions"
    ])
  })
})

describe("networks", () => {
  it("are IPv4, IPv6, or one address; what is none is undefined", () => {
    for (const text of ["10.0.0.0/8", "1.2.3.4", "fd00::/8", "::1", "0.0.0.0/0"]) {
      assert.isDefined(networkOf(text), text)
    }
    for (const text of ["", "10.0.0.0/33", "example.org", "10.0.0.0/", "1.2.3"]) {
      assert.isUndefined(networkOf(text), text)
    }
  })

  it("contain an address, however a socket writes it", () => {
    const networks = networksOf(["10.0.0.0/8", "fe80::/10"])
    for (const address of ["10.255.0.1", "::ffff:10.1.1.1", "fe80::1%eth0"]) {
      assert.isTrue(isWithin(networks, address), address)
    }
    for (const address of ["11.0.0.1", "::ffff:11.1.1.1", "::1", ""]) {
      assert.isFalse(isWithin(networks, address), address)
    }
    assert.isFalse(isWithin([], "10.0.0.1"))
  })
})
