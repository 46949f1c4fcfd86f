// Builds the load generator (loadgen/, C) into node_modules/.cache when its sources are newer, and runs it against one broker.
import { spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { projectRoot, type RunningBroker } from "./brokers.ts"

export type Result = Readonly<Record<string, number | string>>

const sources = path.join(projectRoot, "scripts/bench/loadgen")
const program = path.join(projectRoot, "node_modules/.cache/loadgen/loadgen")

const modifiedAt = (file: string): number => fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0

export const buildLoadGenerator = (): void => {
  const newest = Math.max(...fs.readdirSync(sources).map((name) => modifiedAt(path.join(sources, name))))
  if (modifiedAt(program) >= newest) return
  fs.mkdirSync(path.dirname(program), { recursive: true })
  const built = spawnSync("make", ["--no-print-directory", "-s", "-C", sources, `OUT=${program}`], {
    encoding: "utf8",
    env: { ...process.env, MAKEFLAGS: "" }
  })
  if (built.status !== 0) {
    throw new Error(
      `the load generator could not be built (a C compiler is needed: apt-get install gcc libc6-dev)\n${built.stderr}`
    )
  }
}

export const runLoadGenerator = async (args: ReadonlyArray<string>, broker: RunningBroker): Promise<Result> => {
  const child = spawn(program, [...args, "--port", String(broker.port), "--pid", String(broker.pid), "--json"], {
    stdio: ["ignore", "pipe", "pipe"]
  })
  let printed = ""
  let complaint = ""
  child.stdout.on("data", (chunk: Buffer) => (printed += chunk.toString()))
  child.stderr.on("data", (chunk: Buffer) => (complaint += chunk.toString()))
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject)
    child.once("close", resolve)
  })
  if (status !== 0) throw new Error(`loadgen ${args.join(" ")}: status ${status}: ${complaint.trim()}`)
  return JSON.parse(printed) as Result
}
