// One compiled file of the broker: the flags, in one place. Runs on Bun; `executable` is another platform's Bun to build upon.
// Invariant: the file reads neither .env nor bunfig.toml where it is started, and its stack traces name lines of src/.
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"

export const root = path.resolve(import.meta.dirname, "../..")

const flags = [
  "--compile",
  "--minify",
  "--sourcemap=inline",
  "--bytecode", // start-up in a third of the time
  "--format=esm", // without it bytecode leaves a file that fails at start
  "--no-compile-autoload-dotenv",
  "--no-compile-autoload-bunfig"
]

/** Modules that run in a thread of their own are further entry points (src/platform/threadUrl.ts). */
const threads = ["src/store/sqlite/writer.ts", "src/access/authentication/passwords/bcryptThread.ts"]

export interface CompileOptions {
  readonly outfile: string
  /** As `bun build --target` names it: bun-linux-arm64. */
  readonly target?: string
  /** The Bun of that platform. */
  readonly executable?: string
}

/** Never strip the result: what is appended to the executable would be lost. */
export const compile = ({ executable, outfile, target }: CompileOptions): void => {
  fs.mkdirSync(path.dirname(outfile), { recursive: true })
  const args = [
    "build",
    ...flags,
    ...(target === undefined ? [] : [`--target=${target}`]),
    ...(executable === undefined ? [] : [`--compile-executable-path=${executable}`]),
    "src/main.ts",
    ...threads,
    "--outfile",
    outfile
  ]
  const { status, stderr, stdout } = spawnSync(process.execPath, args, { cwd: root, encoding: "utf8" })
  if (status !== 0 || !fs.existsSync(outfile)) {
    throw new Error(`bun ${args.join(" ")}: status ${status}\n${stdout}${stderr}`)
  }
  // Copies, one an entry point: the maps are in the file.
  for (const name of fs.readdirSync(path.dirname(outfile))) {
    if (name.endsWith(".map")) fs.rmSync(path.join(path.dirname(outfile), name))
  }
}

if (import.meta.main) {
  const outfile = path.join(root, "dist/emqttd")
  compile({ outfile })
  console.log(`dist/emqttd: ${(fs.statSync(outfile).size / 1e6).toFixed(1)} MB`)
}
