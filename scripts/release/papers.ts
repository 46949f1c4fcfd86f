// What accompanies the executable in archives and packages: licences, the settings with their manual, manual pages, completions.
// As a program: writes them into dist/papers.
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import packageJson from "../../package.json" with { type: "json" }
import { sourceDate } from "./archive.ts"
import { bundledPackages } from "./bundled.ts"
import { root } from "./compile.ts"
import { helpDocs } from "./helpDocs.ts"
import { licencesOf } from "./licences.ts"
import { manCommand } from "./manCommand.ts"
import { manSettings } from "./manSettings.ts"

/** Path inside an archive, and the text. */
export type Paper = readonly [name: string, content: string]

const read = (file: string): string => fs.readFileSync(path.join(root, file), "utf8")

const completionsFor = (shell: string): string => {
  const { status, stderr, stdout } = spawnSync(process.execPath, ["src/main.ts", "--completions", shell], {
    cwd: root,
    encoding: "utf8"
  })
  if (status !== 0) throw new Error(`--completions ${shell}: status ${status}\n${stderr}`)
  return stdout
}

export const papers = async (): Promise<ReadonlyArray<Paper>> => {
  const of = { version: packageJson.version, date: new Date(sourceDate() * 1000).toISOString().slice(0, 10) }
  return [
    ["LICENSE", read("LICENSE")],
    ["THIRD-PARTY-LICENSES", licencesOf(packageJson.devDependencies.bun, bundledPackages())],
    ["emqttd.toml", read("etc/emqttd.toml")],
    ["acl.config", read("etc/acl.config")],
    ["man/emqttd.8", manCommand(await Effect.runPromise(helpDocs), of)],
    ["man/emqttd.toml.5", manSettings(read("etc/emqttd.toml"), of)],
    ["completions/emqttd.bash", completionsFor("bash")],
    ["completions/_emqttd", completionsFor("zsh")],
    ["completions/emqttd.fish", completionsFor("fish")]
  ]
}

/** Into dist/papers, where packaging/Dockerfile looks for them. */
export const writePapers = (all: ReadonlyArray<Paper>): void => {
  for (const [name, content] of all) {
    const file = path.join(root, "dist/papers", name)
    fs.mkdirSync(path.dirname(file), { recursive: true })
    fs.writeFileSync(file, content)
  }
}

if (import.meta.main) writePapers(await papers())
