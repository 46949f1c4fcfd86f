// etc/emqttd.toml is the manual: this holds it to the truth.
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { Toml } from "effect/encoding"
import * as fs from "node:fs"
import * as path from "node:path"
import { decodeSettings, formatFault } from "../../src/config/decodeSettings.ts"
import { parseSettings } from "../../src/config/parseSettings.ts"
import { renderJson, renderToml, settingsTree } from "../../src/config/renderSettings.ts"
import { defaultSettings, type Settings } from "../../src/config/Settings.ts"
import { knownKeys } from "../../src/config/SettingsSchema.ts"

const root = path.resolve(import.meta.dirname, "../..")
const read = (file: string): string => fs.readFileSync(path.join(root, file), "utf8")
const manual = read("etc/emqttd.toml")
const isSetting = /^#([a-z][a-z0-9_]* = )/
const uncommented = manual.split("\n").map((line) => line.replace(isSetting, "$1")).join("\n")

const settingsOf = (text: string): Settings => {
  const decoded = Result.flatMap(
    Result.mapError(parseSettings("x.toml", text), (fault) => [fault]),
    (source) => decodeSettings([source])
  )
  if (Result.isFailure(decoded)) throw new Error(decoded.failure.map(formatFault).join("\n"))
  return decoded.success
}

const isTable = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** `under` with what `over` says. */
const overlaid = (under: unknown, over: unknown): unknown =>
  isTable(under) && isTable(over)
    ? { ...under, ...Object.fromEntries(Object.entries(over).map(([key, one]) => [key, overlaid(under[key], one)])) }
    : over

describe("etc/emqttd.toml", () => {
  it("as it is, it changes nothing", () => assert.deepStrictEqual(settingsOf(manual), defaultSettings))

  it("with every line uncommented it says the defaults, each setting once, in the schema's own writing", () => {
    const parsed = Toml.parse(uncommented)
    assert.isTrue(Result.isSuccess(parsed))
    const tree: unknown = JSON.parse(JSON.stringify(Result.getOrThrow(parsed)))
    // Listeners share their keys: each stands once, in the table of one that it concerns.
    const inAll = settingsTree(defaultSettings)
    assert.deepStrictEqual(overlaid(inAll, tree), inAll)
    assert.deepStrictEqual(settingsOf(uncommented), defaultSettings)
  })

  it("leaves no setting out, and explains each", () => {
    const documented: Array<string> = []
    let table = ""
    const lines = manual.split("\n")
    for (const [index, line] of lines.entries()) {
      table = /^\[([a-z_.]+)\]$/.exec(line)?.[1]?.replace(/^listeners\.(?:tcp|ws)$/, "listeners.*") ?? table
      if (!isSetting.test(line)) continue
      documented.push(`${table}.${/^#([a-z0-9_]+)/.exec(line)?.[1]}`)
      assert.match(lines[index - 1] ?? "", /^# \S/, `line ${index + 1} has no explanation above it`)
    }
    assert.deepStrictEqual(
      [...new Set(documented)].toSorted(),
      [...knownKeys].flatMap(([table, keys]) => keys.map((key) => `${table}.${key}`)).toSorted()
    )
  })

  it("fits a terminal", () => {
    for (const [index, line] of manual.split("\n").entries()) assert.isAtMost(line.length, 100, `line ${index + 1}`)
  })
})

describe("etc/paho.toml", () => {
  it("has what the suite asks for", () => {
    const { access, connection, listeners, session } = settingsOf(read("etc/paho.toml"))
    assert.deepStrictEqual(access.refusedSubscriptions, ["test/nosubscribe"]) // test_subscribe_failure
    assert.notStrictEqual(access.anonymous, "nowhere")
    assert.strictEqual(connection.maxKeepAliveSeconds, 60) // test_server_keep_alive
    assert.isAtLeast(connection.receiveMaximum, 2) // test_flow_control2
    assert.isAtLeast(connection.topicAliasMaximum, 2) // test_client_topic_alias
    assert.isAtLeast(connection.outgoingTopicAliasMaximum, 1) // test_server_topic_alias
    assert.isTrue(connection.retainAvailable && connection.wildcardAvailable && connection.sharedAvailable)
    assert.strictEqual(connection.maximumQoS, 2)
    assert.isAtLeast(session.maxExpiryMillis, 999_999_999_000) // test_publication_expiry
    assert.deepStrictEqual(listeners.map(({ port }) => port), [1883])
  })
})

describe("renderSettings", () => {
  const changed: Settings = {
    ...defaultSettings,
    node: { ...defaultSettings.node, dataDir: `C:\\a "b"\u007f\n`, memoryHighWatermark: 0.25 },
    listeners: [
      { ...defaultSettings.listeners[0]!, port: 1 },
      { ...defaultSettings.listeners[0]!, name: "second-one", address: "::", port: 2, enabled: false }
    ],
    access: { anonymous: "nowhere", refusedSubscriptions: ["a,b", "+/é"] },
    authorization: {
      ...defaultSettings.authorization,
      sources: [{ type: "toml", path: `a "b",c` }, { type: "default", path: "" }, { type: "mosquitto", path: "/x" }],
      noMatch: "deny",
      denyCovers: false
    },
    connection: { ...defaultSettings.connection, maxPacketSize: 1_000_001, connectTimeoutMillis: 1_500, maximumQoS: 0 },
    session: { ...defaultSettings.session, maxExpiryMillis: 3_600_000, persistentExpiryMillis: Infinity }
  }

  it("TOML gives the same settings again", () => {
    assert.deepStrictEqual(settingsOf(renderToml(defaultSettings)), defaultSettings)
    assert.deepStrictEqual(settingsOf(renderToml(changed)), changed)
  })

  it("JSON gives the same settings again: it is YAML", () => {
    for (const settings of [defaultSettings, changed]) {
      const source = parseSettings("x.yaml", renderJson(settings))
      assert.deepStrictEqual(Result.getOrThrow(decodeSettings([Result.getOrThrow(source)])), settings)
    }
  })
})
