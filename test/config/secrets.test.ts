// Secrets of the settings are seen nowhere: not in a dump, not in a fault, not in the settings as a log would print them.
import { assert, describe, it } from "@effect/vitest"
import { Redacted, Result } from "effect"
import { inspect } from "node:util"
import { decodeSettings, formatFault } from "../../src/config/decodeSettings.ts"
import { parseSettings } from "../../src/config/parseSettings.ts"
import { renderJson, renderToml, settingsTree } from "../../src/config/renderSettings.ts"
import { shownSecret, withoutPassword } from "../../src/config/Secret.ts"
import { defaultSettings, type Settings } from "../../src/config/Settings.ts"

const decoded = (text: string) =>
  Result.flatMap(
    Result.mapError(parseSettings("x.toml", text), (fault) => [fault]),
    (source) => decodeSettings([source])
  )
const settingsOf = (text: string): Settings =>
  Result.getOrThrowWith(decoded(text), (faults) => new Error(faults.map(formatFault).join("\n")))

/** Each setting of the manual that is a secret, or may have one in it. */
const holders: ReadonlyArray<readonly [table: string, key: string, value: (secret: string) => string]> = [
  ...Object.entries(defaultSettings).flatMap(([table, keys]) =>
    Object.entries(keys as object).filter(([, value]) => Redacted.isRedacted(value)).map(([key]) =>
      [table, key, (secret: string) => JSON.stringify(secret)] as const
    )
  ),
  ["cluster", "secret", (secret) => JSON.stringify(secret)],
  ["auth_http", "headers", (secret) => `["Authorization: ${secret}"]`],
  ["auth_http", "auth_req", (secret) => `"http://u:${secret}@h/"`],
  ["auth_jwt", "jwks_url", (secret) => `"https://u:${secret}@h/"`],
  ["store", "url", (secret) => `"postgres://u:${secret}@h/db"`]
]

describe("a secret in the settings", () => {
  it("there are some", () => assert.isAbove(holders.length, 8))

  it.each(holders)("%s.%s is in no dump", (table, key, value) => {
    const settings = settingsOf(`[${table}]\n${key} = ${value("sesame-open")}\n`)
    for (const shown of [renderToml(settings), renderJson(settings)]) {
      assert.notInclude(shown, "sesame")
      assert.include(shown, "********")
    }
  })

  it.each(holders.filter(([table, key]) => table !== "store" && key !== "auth_req" && key !== "jwks_url"))(
    "a wrong %s.%s is in no fault",
    (table, key) => {
      for (const wrong of [`["sesame-open", 1]`, `{ sesame-open = 1 }`, `"sesame-open\\u0000"`]) {
        const result = decoded(`[${table}]\n${key} = ${wrong}\n`)
        if (Result.isSuccess(result)) continue
        assert.notInclude(result.failure.map(formatFault).join("\n"), "sesame", wrong)
      }
    }
  )

  it("is not in what a log would make of it", () => {
    for (const [table, key] of holders.filter(([table]) => table.startsWith("auth_"))) {
      if (key !== "secret" && key !== "password") continue
      const settings = settingsOf(`[${table}]\n${key} = "sesame-open"\n`)
      for (
        const text of [inspect(settings, { depth: 9 }), JSON.stringify(settings), String(Reflect.get(settings, table))]
      ) {
        assert.notInclude(text, "sesame")
      }
    }
  })

  it("where it stands is no secret", () => {
    assert.strictEqual(shownSecret(Redacted.make("file:///etc/emqttd/key")), "file:///etc/emqttd/key")
    assert.strictEqual(shownSecret(Redacted.make("")), "")
    assert.strictEqual(shownSecret(Redacted.make("x")), "********")
  })

  it("an address keeps all but its password", () => {
    const rows: ReadonlyArray<readonly [string, string]> = [
      ["postgres://u:p@h:5432/db?x=a:b@c", "postgres://u:********@h:5432/db?x=a:b@c"],
      ["redis://:p@h", "redis://:********@h"],
      ["http://u:p@ss:w@h/x", "http://u:********@h/x"],
      ["http://h:80/x@y", "http://h:80/x@y"],
      ["mqtt://h", "mqtt://h"],
      ["a:b@c", "a:b@c"]
    ]
    for (const [given, shown] of rows) assert.strictEqual(withoutPassword(given), shown)
    assert.notInclude(JSON.stringify(settingsTree(defaultSettings)), "********")
  })
})
