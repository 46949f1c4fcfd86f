// The manual pages say what the command line and the settings say, and roff has nothing to complain of.
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { helpDocs } from "../../scripts/release/helpDocs.ts"
import { manCommand } from "../../scripts/release/manCommand.ts"
import { manSettings } from "../../scripts/release/manSettings.ts"
import { escaped } from "../../scripts/release/roff.ts"
import { knownKeys } from "../../src/config/SettingsSchema.ts"
import { projectRoot } from "../support/brokerCommand.ts"

const of = { version: "1.2.3", date: "2026-01-02" }
const settings = manSettings(fs.readFileSync(path.join(projectRoot, "etc/emqttd.toml"), "utf8"), of)
let command = ""
beforeAll(async () => {
  command = manCommand(await Effect.runPromise(helpDocs), of)
})

describe("emqttd(8)", () => {
  it("has every flag and every subcommand", async () => {
    for (const doc of await Effect.runPromise(helpDocs)) {
      for (const { name } of doc.flags) assert.include(command, `\\fB${escaped(`--${name}`)}\\fR`)
      if ((doc.subcommands ?? []).length === 0) assert.include(command, `.SS "${escaped(doc.usage)}"`)
      for (const example of doc.examples ?? []) assert.include(command, escaped(example.command))
    }
    assert.match(command, /^\.TH "EMQTTD" "8" "2026-01-02" "emqttd 1\.2\.3"/)
    assert.notInclude(command, "wizard") // the library's, which is off
  })
})

describe("emqttd.toml(5)", () => {
  it("has every table and every setting of the schema, with its default", () => {
    for (const [table, keys] of knownKeys) {
      assert.include(settings, `.SS "[${table.replace("listeners.*", "listeners.tcp")}`)
      for (const key of keys) assert.match(settings, new RegExp(`^\\\\fB${key}\\\\fR = .`, "m"), `${table}.${key}`)
    }
    assert.include(settings, "\n.TP\n\\fBport\\fR = 1883\n")
  })
})

describe("roff", () => {
  it("text is never a request or an escape", () => {
    assert.strictEqual(escaped(".so /etc/passwd\n'x\na\\b --c"), "\\&.so /etc/passwd\n\\&'x\na\\eb \\-\\-c")
  })

  it("man has no complaint", (context) => {
    context.skip(spawnSync("man", ["--version"]).status !== 0, "man not found")
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-man-"))
    for (const [name, text] of [["emqttd.8", command], ["emqttd.toml.5", settings]] as const) {
      const file = path.join(folder, name)
      fs.writeFileSync(file, text)
      const { status, stderr, stdout } = spawnSync("man", ["--warnings", "-l", file], {
        encoding: "utf8",
        env: { ...process.env, LC_ALL: "C.UTF-8", MANPAGER: "cat" }
      })
      assert.deepStrictEqual([status, stderr], [0, ""])
      assert.match(stdout, /NAME\n +emqttd/)
    }
    fs.rmSync(folder, { recursive: true, force: true })
  })
})
