import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { decodeSettings, formatFault } from "../../src/config/decodeSettings.ts"
import { type Environment, environmentSource } from "../../src/config/environment.ts"
import { parseSettings } from "../../src/config/parseSettings.ts"
import { defaultSettings, defaultWebSocketListener, type Settings } from "../../src/config/Settings.ts"
import { type Assignment, assignmentSource } from "../../src/config/SettingsSource.ts"

interface Layers {
  readonly toml?: string
  readonly yaml?: string
  readonly environment?: Environment
  readonly flags?: ReadonlyArray<Assignment>
}

/** The settings, or the faults as they would be told. */
const decode = ({ environment = {}, flags = [], toml, yaml }: Layers): Settings | ReadonlyArray<string> => {
  const file = yaml === undefined ? parseSettings("emqttd.toml", toml ?? "") : parseSettings("emqttd.yaml", yaml)
  if (Result.isFailure(file)) return [formatFault(file.failure)]
  const decoded = decodeSettings([file.success, environmentSource(environment), assignmentSource(flags)])
  return Result.isFailure(decoded) ? decoded.failure.map(formatFault) : decoded.success
}

const settings = (layers: Layers): Settings => {
  const decoded = decode(layers)
  if ("node" in decoded) return decoded
  throw new Error(decoded.join("\n"))
}

const faults = (layers: Layers): ReadonlyArray<string> => {
  const decoded = decode(layers)
  if ("node" in decoded) throw new Error("no fault")
  return decoded
}

const portFlag = (value: string): Assignment => ({ path: ["listeners", "tcp", "port"], value, origin: "--port" })

describe("what is good", () => {
  it("nothing at all gives the defaults", () => {
    assert.deepStrictEqual(settings({}), defaultSettings)
    assert.deepStrictEqual(settings({ yaml: "" }), defaultSettings)
    assert.deepStrictEqual(settings({ yaml: "# nothing\nnode:\nlisteners:\n  tcp:\n" }), defaultSettings)
    assert.deepStrictEqual(settings({ toml: "[node]\n[listeners.tcp]\n[retain]\n" }), defaultSettings)
  })

  it("WebSocket on 8083 is there as long as nothing is said about listeners", () => {
    const placed = (layers: Layers) =>
      settings(layers).listeners.map(({ address, name, path, port, type }) =>
        `${name} ${type} ${address}:${port}${path}`
      )
    const both = ["tcp tcp 0.0.0.0:1883/mqtt", "ws ws 0.0.0.0:8083/mqtt"]
    assert.deepStrictEqual(placed({}), both)
    assert.deepStrictEqual(placed({ toml: "[listeners.ws]\n[node]\nname = 'a@b'" }), both)
    assert.strictEqual(settings({}).listeners[1], defaultWebSocketListener)
    assert.deepStrictEqual(placed({ flags: [portFlag("1884")] }), ["tcp tcp 0.0.0.0:1884/mqtt"])
    assert.deepStrictEqual(placed({ toml: "[listeners.ws]\npath = '/m'" }), [
      "tcp tcp 0.0.0.0:1883/mqtt",
      "ws ws 0.0.0.0:8083/m"
    ])
    // Who names it has asked for it.
    assert.notStrictEqual(settings({ toml: "[listeners.ws]\nport = 8083" }).listeners[1], defaultWebSocketListener)
  })

  it("values in every writing", () => {
    const { access, connection, listeners, log, node, retain, session } = settings({
      toml: `
[node]
name = "n@h"
memory_high_watermark = 0
shutdown_timeout = 1500
[log]
level = "debug"
[listeners.tcp]
enabled = false
[listeners.inside-1]
address = "::1"
port = "1_884"
[access]
refused_subscriptions = ["a/#", "b,c"]
[connection]
max_packet_size = 2048
write_high_watermark = "64KiB"
maximum_qos = "1"
[session]
max_expiry = "never"
persistent_expiry = "1d"
[retain]
max_total = "1GB"
`
    })
    assert.strictEqual(node.name, "n@h")
    assert.strictEqual(node.memoryHighWatermark, 0)
    assert.strictEqual(node.shutdownTimeoutMillis, 1500)
    assert.strictEqual(log.level, "debug")
    assert.deepStrictEqual(listeners.map(({ address, enabled, name, port }) => ({ name, address, port, enabled })), [
      { name: "tcp", address: "0.0.0.0", port: 1883, enabled: false },
      { name: "inside-1", address: "::1", port: 1884, enabled: true }
    ])
    assert.deepStrictEqual(access.refusedSubscriptions, ["a/#", "b,c"])
    assert.strictEqual(connection.maxPacketSize, 2048)
    assert.strictEqual(connection.writeHighWatermarkBytes, 65_536)
    assert.strictEqual(connection.maximumQoS, 1)
    assert.strictEqual(session.maxExpiryMillis, Infinity)
    assert.strictEqual(session.persistentExpiryMillis, 86_400_000)
    assert.strictEqual(retain.maxTotalBytes, 1e9)
  })

  it("YAML and TOML mean the same", () => {
    const toml =
      `[listeners.tcp]\nport = 1884\n[session]\nmax_inflight = 7\n[access]\nrefused_subscriptions = ["a", "b"]\n`
    const yaml =
      `listeners: { tcp: { port: 1884 } }\nsession:\n  max_inflight: 7\naccess:\n  refused_subscriptions:\n  - a\n  - b\n`
    assert.deepStrictEqual(settings({ yaml }), settings({ toml }))
    assert.strictEqual(settings({ toml }).session.maxInflight, 7)
  })
})

describe("the overlay", () => {
  const toml = `[listeners.tcp]\nport = 1\naddress = "10.0.0.1"\n[session]\nmax_inflight = 1\n`

  it("defaults < file < environment < flags, key by key", () => {
    const environment = { EMQTTD_LISTENERS__TCP__PORT: "2", EMQTTD_SESSION__MAX_INFLIGHT: "2" }
    const decoded = settings({ toml, environment, flags: [portFlag("3")] })
    assert.strictEqual(decoded.listeners[0]?.port, 3)
    assert.strictEqual(decoded.listeners[0]?.address, "10.0.0.1")
    assert.strictEqual(decoded.session.maxInflight, 2)
    assert.strictEqual(decoded.session.maxSubscriptions, 1000)
  })

  it("the environment speaks every kind of value", () => {
    const decoded = settings({
      environment: {
        EMQTTD_CONNECTION__CONNECT_TIMEOUT: "5s",
        EMQTTD_CONNECTION__MAX_PACKET_SIZE: "2KiB",
        EMQTTD_CONNECTION__RETAIN_AVAILABLE: "false",
        EMQTTD_CONNECTION__KEEP_ALIVE_MULTIPLIER: "2.5",
        EMQTTD_ACCESS__REFUSED_SUBSCRIPTIONS: "a/#, b",
        EMQTTD_Access__Anonymous: "anywhere",
        EMQTTD_LISTENERS__SECOND__PORT: "1884",
        EMQTTD_CONFIG: "/no/setting",
        EMQTTD_CTL_URL: "no setting",
        OTHER__NODE__NAME: "no setting"
      }
    })
    assert.strictEqual(decoded.connection.connectTimeoutMillis, 5000)
    assert.strictEqual(decoded.connection.maxPacketSize, 2048)
    assert.strictEqual(decoded.connection.retainAvailable, false)
    assert.strictEqual(decoded.connection.keepAliveMultiplier, 2.5)
    assert.deepStrictEqual(decoded.access.refusedSubscriptions, ["a/#", "b"])
    assert.strictEqual(decoded.access.anonymous, "anywhere")
    assert.deepStrictEqual(decoded.listeners.map(({ name, port }) => [name, port]), [["tcp", 1883], ["second", 1884]])
  })

  it("a fault names who said it last", () => {
    const environment = { EMQTTD_LISTENERS__TCP__PORT: "x" }
    const expected = "listeners.tcp.port: expected a whole number from 0 to 65,535, got"
    assert.deepStrictEqual(faults({ toml: `[listeners.tcp]\nport = "y"` }), [`emqttd.toml:2: ${expected} "y"`])
    assert.deepStrictEqual(faults({ toml, environment }), [`EMQTTD_LISTENERS__TCP__PORT: ${expected} "x"`])
    assert.deepStrictEqual(faults({ toml, environment, flags: [portFlag("z")] }), [`--port: ${expected} "z"`])
    assert.strictEqual(settings({ toml: `[listeners.tcp]\nport = "y"`, flags: [portFlag("5")] }).listeners[0]?.port, 5)
  })

  it("an unknown variable is a fault", () => {
    assert.deepStrictEqual(
      faults({
        environment: { EMQTTD_SESION__MAX_INFLIGHT: "1", EMQTTD_SESSION__MAX_INFLIHGT: "1", EMQTTD__NODE: "1" }
      }),
      [
        "EMQTTD_SESION__MAX_INFLIGHT: sesion: unknown key; did you mean session?",
        "EMQTTD__NODE: _node: unknown key; did you mean node?",
        "EMQTTD_SESSION__MAX_INFLIHGT: session.max_inflihgt: unknown key; did you mean session.max_inflight?"
      ]
    )
  })

  it("a variable that makes a table of a value, or a value of a table, is told", () => {
    assert.deepStrictEqual(faults({ toml, environment: { EMQTTD_SESSION__MAX_INFLIGHT__X: "1" } }), [
      "EMQTTD_SESSION__MAX_INFLIGHT__X: session.max_inflight: expected a whole number from 1 to 65,535, got a table"
    ])
    assert.deepStrictEqual(faults({ toml, environment: { EMQTTD_LISTENERS__TCP: "1883" } }), [
      `EMQTTD_LISTENERS__TCP: listeners.tcp: expected a table, got "1883"`
    ])
  })
})

describe("faults", () => {
  it("all at once, each with its line, also those across tables", () => {
    const toml = `# a comment
[node]
name = ""
port = 1884

[listener.tcp]
port = 1883
[listeners.tcp]
port = 70000
type = "quic"
[listeners.second]
address = "1.2.3.4"
[listeners.third]
port = 1885
[listeners.fourth]
port = 1885
[connection]
connect_timeout = 10
max_packet_size = "1XB"
receive_maximum = 200
max_inflight = 3
maximum_qos = 3
retain_available = "maybe"
keep_alive_multiplier = 0.5
[access]
refused_subscriptions = [1]
[log]
level = "loud"
`
    assert.deepStrictEqual(faults({ toml }), [
      `emqttd.toml:3: node.name: expected a name like "emqttd@10.0.0.1", at most 255 characters, got ""`,
      "emqttd.toml:4: node.port: unknown key; did you mean listeners.tcp.port?",
      "emqttd.toml:6: listener: unknown key; did you mean listeners?",
      "emqttd.toml:9: listeners.tcp.port: expected a whole number from 0 to 65,535, got 70000",
      `emqttd.toml:10: listeners.tcp.type: expected "tcp", "tls", "ws" or "wss", got "quic"`,
      "emqttd.toml:16: listeners.fourth.port: 0.0.0.0:1885 is taken by listeners.third; give one of them another port, or set listeners.third.enabled = false",
      `emqttd.toml:18: connection.connect_timeout: expected a duration from "100ms" to "10m" (a bare number is milliseconds), got 10`,
      `emqttd.toml:19: connection.max_packet_size: expected a size from 128 bytes to 268,435,460 bytes (a bare number is bytes), got "1XB"`,
      "emqttd.toml:20: connection.receive_maximum: 200 is more than session.max_awaiting_pubrel (100): a client within the one could break the other",
      "emqttd.toml:21: connection.max_inflight: unknown key; did you mean session.max_inflight?",
      "emqttd.toml:22: connection.maximum_qos: expected 0, 1 or 2, got 3",
      `emqttd.toml:23: connection.retain_available: expected true or false, got "maybe"`,
      "emqttd.toml:24: connection.keep_alive_multiplier: expected a number from 1 to 10, got 0.5",
      "emqttd.toml:26: access.refused_subscriptions: expected a list of topic filters, got [1]",
      `emqttd.toml:28: log.level: expected "trace", "debug", "info", "warning" or "error", got "loud"`
    ])
  })

  it("in YAML as in TOML", () => {
    const yaml = `
node: { name: "" }
connection:
  max_packet_size: -1
  unheard_of: 1
listeners:
  tcp: { type: udp,
    port: 70000 }
  second: 3
log: 3
session:
  max_inflight:
`
    assert.deepStrictEqual(faults({ yaml }), [
      `emqttd.yaml:2: node.name: expected a name like "emqttd@10.0.0.1", at most 255 characters, got ""`,
      "emqttd.yaml:4: connection.max_packet_size: expected a size from 128 bytes to 268,435,460 bytes (a bare number is bytes), got -1",
      "emqttd.yaml:5: connection.unheard_of: unknown key",
      `emqttd.yaml:7: listeners.tcp.type: expected "tcp", "tls", "ws" or "wss", got "udp"`,
      "emqttd.yaml:8: listeners.tcp.port: expected a whole number from 0 to 65,535, got 70000",
      "emqttd.yaml:9: listeners.second: expected a table, got 3",
      "emqttd.yaml:10: log: expected a table, got 3",
      "emqttd.yaml:12: session.max_inflight: expected a whole number from 1 to 65,535, got nothing"
    ])
  })

  it("a default that a setting clashes with blames the setting", () => {
    assert.deepStrictEqual(faults({ toml: "[session]\nmax_awaiting_pubrel = 50" }), [
      "emqttd.toml:2: connection.receive_maximum: 100 is more than session.max_awaiting_pubrel (50): a client within the one could break the other"
    ])
    assert.deepStrictEqual(faults({ toml: "[listeners.mine]\nport = 1883" }), [
      "emqttd.toml:2: listeners.mine.port: 0.0.0.0:1883 is taken by listeners.tcp; give one of them another port, or set listeners.tcp.enabled = false"
    ])
    const apart = "[listeners.mine]\nport = 1883\n[listeners.tcp]\nenabled = false"
    assert.strictEqual(settings({ toml: apart }).listeners.length, 2)
    const free = "[listeners.one]\nport = 0\n[listeners.two]\nport = 0"
    assert.strictEqual(settings({ toml: free }).listeners.length, 3)
  })

  it("names of listeners that the environment could not say", () => {
    for (const name of ["Mine", "a__b", "_a", "-a", "a".repeat(65)]) {
      assert.match(
        faults({ toml: `[listeners.${name}]\nport = 1` })[0] ?? "",
        /^emqttd\.toml:1: listeners\..*: a listener's name/
      )
    }
  })

  it("ranges hold at both ends", () => {
    const cases: ReadonlyArray<readonly [string, string, ReadonlyArray<unknown>, ReadonlyArray<unknown>]> = [
      ["listeners.tcp", "port", [0, 65_535], [-1, 65_536, 1.5, "1.5", "", true]],
      ["connection", "max_packet_size", [128, 268_435_460], [127, 268_435_461]],
      ["connection", "max_connect_size", [128, 268_435_460], [127, 268_435_461]],
      ["connection", "connect_timeout", ["100ms", "10m"], ["99ms", "10m1ms", "never"]],
      ["session", "retry_interval", ["0s", "1s", "1h"], ["500ms", "1h1s"]],
      ["session", "persistent_expiry", ["1s", "3650d", "never"], ["0s", "3651d"]],
      ["session", "max_expiry", ["0s", "never"], ["-1s"]],
      ["node", "memory_high_watermark", [0, 1, 0.5], [1.1, -0.1]],
      ["connection", "server_reference", ["", "a:1"], ["x".repeat(65_536), "é".repeat(32_768), "a\\u0000b"]]
    ]
    const toml = (table: string, key: string, value: unknown) =>
      `[${table}]\n${key} = ${typeof value === "string" ? `"${value}"` : String(value)}`
    for (const [table, key, good, bad] of cases) {
      for (const value of good) settings({ toml: toml(table, key, value) })
      for (const value of bad) {
        const [fault = "", ...more] = faults({ toml: toml(table, key, value) })
        assert.isTrue(fault.startsWith(`emqttd.toml:2: ${table}.${key}: expected `), fault)
        assert.deepStrictEqual(more, [])
        assert.isBelow(fault.length, 250, "a value is never told at length")
      }
    }
  })

  it("syntax errors have their line", () => {
    assert.deepStrictEqual(faults({ toml: "[node\nname = 1" }), ["emqttd.toml:1: syntax: expected ']' (column 6)"])
    assert.deepStrictEqual(faults({ toml: "\n\nport 1883" }), ["emqttd.toml:3: syntax: expected '=' (column 6)"])
    assert.deepStrictEqual(faults({ toml: "[node]\n[log]\n[node]" }), [
      "emqttd.toml:3: syntax: cannot redefine table 'node' (column 7)"
    ])
    assert.deepStrictEqual(faults({ yaml: "node:\n    name: a\n   x: 2" }), [
      "emqttd.yaml:3: syntax: unexpected indentation of 3 spaces"
    ])
    assert.deepStrictEqual(faults({ yaml: "log:\n  level: info\nnode: {\n  name: a\nsession:" }), [
      "emqttd.yaml:3: syntax: expected ','"
    ])
    assert.deepStrictEqual(faults({ yaml: 'log:\n  level: info\nnode:\n  name: "abc' }), [
      "emqttd.yaml:4: syntax: unterminated quoted YAML scalar"
    ])
    // What was meant to be a text may be a secret.
    assert.deepStrictEqual(
      ["hunter2", "1979-13-45", "99999999999999999999999"].map((value) =>
        faults({ toml: `[auth_jwt]\nsecret = ${value}` })[0]?.replace(/ \(column.*/, "")
      ),
      [
        "emqttd.toml:2: syntax: invalid value; a text stands in quotes",
        "emqttd.toml:2: syntax: invalid date-time",
        "emqttd.toml:2: syntax: integer out of range"
      ]
    )
    assert.deepStrictEqual(faults({ yaml: "auth_jwt:\n  secret: *hunter2" }), [
      "emqttd.yaml:2: syntax: unknown alias; a text that begins with * stands in quotes"
    ])
    assert.deepStrictEqual(faults({ yaml: "- a\n- b" }), ['emqttd.yaml:1: expected tables of settings, got ["a","b"]'])
  })

  it("keys that mean something to JavaScript are unknown keys", () => {
    assert.deepStrictEqual(faults({ toml: "[__proto__]\na = 1\n[node]\nconstructor = 1\n__proto__ = 2" }), [
      "emqttd.toml:1: __proto__: unknown key",
      "emqttd.toml:4: node.constructor: unknown key",
      "emqttd.toml:5: node.__proto__: unknown key"
    ])
  })
})
