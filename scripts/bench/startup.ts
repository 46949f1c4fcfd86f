// `make bench-startup`: from the start of dist/emqttd to its listening, and its memory then, in an empty folder with an empty environment.
// Writes the section between the marks in scripts/bench/notes.md and docs/benchmarks.md; RUNS=15. Linux: memory is read from /proc.
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { median } from "./report.ts"

const root = path.resolve(import.meta.dirname, "../..")
const runs = Number(process.env["RUNS"] ?? 15)
const begin = "<!-- start-up: written by make bench-startup -->"
const end = "<!-- end of start-up -->"
/** How long it idles before its memory is read. */
const idleMillis = 1000

interface Run {
  readonly readyMillis: number
  /** CPU time of all its threads until then, to a hundredth of a second: a busy machine changes it little. */
  readonly cpuMillis: number
  readonly residentMB: number
  readonly anonymousMB: number
}

const memoryOf = (pid: number, name: string): number => {
  const line = new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(fs.readFileSync(`/proc/${pid}/status`, "latin1"))
  return Number(line?.[1] ?? NaN) * 1024 / 1e6
}

const once = async (binary: string): Promise<Run> => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-startup-"))
  const started = performance.now()
  const child = spawn(binary, ["--host", "127.0.0.1", "--port", "0"], {
    cwd: folder,
    env: {},
    stdio: ["ignore", "ignore", "pipe"]
  })
  let text = ""
  const readyMillis = await new Promise<number>((resolve, reject) => {
    child.once("close", () => reject(new Error(`${binary} ended:\n${text}`)))
    child.stderr.on("data", (chunk: Buffer) => {
      text += chunk.toString()
      if (text.includes("is ready")) resolve(performance.now() - started)
    })
  })
  const pid = child.pid ?? 0
  const fields = fs.readFileSync(`/proc/${pid}/stat`, "latin1").replace(/^.*\) /, "").split(" ")
  const cpuMillis = (Number(fields[11]) + Number(fields[12])) * 10
  await new Promise((resolve) => setTimeout(resolve, idleMillis))
  const result = { readyMillis, cpuMillis, residentMB: memoryOf(pid, "VmRSS"), anonymousMB: memoryOf(pid, "RssAnon") }
  const closed = new Promise((resolve) => child.once("close", resolve))
  child.kill("SIGTERM")
  await closed
  fs.rmSync(folder, { recursive: true, force: true })
  return result
}

const binary = path.join(root, "dist/emqttd")
await once(binary) // the file's pages into memory
const load = os.loadavg()[0] ?? 0
const priority = os.getPriority()
const all: Array<Run> = []
for (let run = 0; run < runs; run++) all.push(await once(binary))

const figure = (pick: (run: Run) => number): string => {
  const values = all.map(pick)
  const shown = (value: number | undefined) => (value ?? NaN).toFixed(0)
  return `${shown(median(values))} (${shown(Math.min(...values))} to ${shown(Math.max(...values))})`
}
const section = [
  begin,
  `**One file.** \`dist/emqttd\` (${
    (fs.statSync(binary).size / 1e6).toFixed(0)
  } MB) in an empty folder with an empty environment,` +
  ` median (least to most) of ${runs} starts, ${new Date().toISOString().slice(0, 10)}, ${
    os.cpus()[0]?.model ?? "?"
  }, ${os.cpus().length} cores,` +
  ` load average ${load.toFixed(1)} before them${priority === 0 ? "" : `, at priority ${priority}`}:`,
  "",
  "| | | bar |",
  "| --- | ---: | ---: |",
  `| from its start to "is ready", which is after listening | ${
    figure(({ readyMillis }) => readyMillis)
  } ms | ≤ 150 ms |`,
  `| CPU time until then | ${figure(({ cpuMillis }) => cpuMillis)} ms | |`,
  `| resident memory ${idleMillis / 1000} s later | ${figure(({ residentMB }) => residentMB)} MB | ≤ 100 MB |`,
  `| of that not backed by the file | ${figure(({ anonymousMB }) => anonymousMB)} MB | |`,
  end
].join("\n")
console.log(section)

for (const file of ["scripts/bench/notes.md", "docs/benchmarks.md"]) {
  const text = fs.readFileSync(path.join(root, file), "utf8")
  const from = text.indexOf(begin)
  const to = text.indexOf(end)
  if (from < 0 || to < 0) throw new Error(`${file} has no place for it: ${begin}`)
  fs.writeFileSync(path.join(root, file), text.slice(0, from) + section + text.slice(to + end.length))
}
