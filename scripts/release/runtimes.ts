// Bun for another platform, from the npm registry that npm is set up for, kept in dist/runtimes.
// Invariant: the version is the one that package.json pins; npm checks the package's integrity.
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import packageJson from "../../package.json" with { type: "json" }
import { root } from "./compile.ts"
import type { Target } from "./targets.ts"

export const bunVersion = packageJson.devDependencies.bun

const run = (command: string, args: ReadonlyArray<string>, cwd: string): string => {
  const { error, status, stderr, stdout } = spawnSync(command, args, { cwd, encoding: "utf8" })
  if (error !== undefined || status !== 0) {
    throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? `status ${status}\n${stderr}`}`)
  }
  return stdout
}

/** The path of its executable; fetched if it is not there yet. */
export const runtimeOf = (target: Target): string => {
  const folder = path.join(root, "dist/runtimes", `${target.name}-${bunVersion}`)
  const executable = path.join(folder, "package/bin", target.kind.format === "PE" ? "bun.exe" : "bun")
  if (fs.existsSync(executable)) return executable
  fs.mkdirSync(folder, { recursive: true })
  const packed = run("npm", ["pack", `${target.runtime}@${bunVersion}`, "--prefer-offline", "--silent"], folder)
  const archive = packed.trim().split("\n").at(-1) ?? ""
  run("tar", ["-xzf", archive], folder)
  fs.rmSync(path.join(folder, archive))
  fs.chmodSync(executable, 0o755)
  return executable
}
