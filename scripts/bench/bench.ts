// The benchmark: starts each broker alone on loopback, drives all with the same scenarios in turn, writes docs/benchmarks.md.
// Environment: RUNS=3 SECS=3 WARMUP=1.5, QUICK=1 (one short run), ONLY=qos0,fanout, BROKERS=mosquitto,emqttd, MOSQUITTO=path, FLASHMQ=path,
// EMQTTD="command", STORE_URL=postgres://… for `durable` and `offline`. A partial or quick run prints its table and leaves docs/benchmarks.md alone.
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { type Broker, chosenBrokers, projectRoot, startEmqttd } from "./brokers.ts"
import { buildLoadGenerator, type Result, runLoadGenerator } from "./loadGenerator.ts"
import { type Frame, markdownOf, plainTable, type Row } from "./report.ts"
import { type Scenario, scenarioNamed, scenarios } from "./scenarios.ts"
import { runClusterProbe } from "./clusterProbe.ts"
import { runRecoveryProbe } from "./recoveryProbe.ts"
import { runSubscribeProbe } from "./subscribeProbe.ts"

const numberFrom = (name: string, otherwise: number): number => {
  const given = process.env[name]
  if (given === undefined || given === "") return otherwise
  const value = Number(given)
  if (!(value > 0)) throw new Error(`${name}=${given}: a number above 0 is needed`)
  return value
}

const quick = (process.env["QUICK"] ?? "") !== ""
const runs = numberFrom("RUNS", quick ? 1 : 3)
const seconds = numberFrom("SECS", quick ? 1 : 3)
const warmup = numberFrom("WARMUP", 1.5) // a just-in-time compiler needs it; the others get it too

const argumentsOf = (scenario: Scenario): ReadonlyArray<string> => [
  ...(typeof scenario.load === "string" ? [] : scenario.load),
  ...(scenario.timed ? ["--secs", String(seconds)] : []),
  ...(scenario.load[0] === "pubsub" ? ["--warmup", String(warmup)] : [])
]

const measure = async (scenario: Scenario, broker: Broker): Promise<Result> => {
  try {
    if (scenario.load === "recovery") return await runRecoveryProbe()
    if (scenario.nodes === 2) return await runClusterProbe(argumentsOf(scenario))
    const { door = "tcp", keeping = "default", users = "none", workers } = scenario
    const running = workers === undefined
      ? await broker.start(door, keeping, seconds, users)
      : await startEmqttd({ door, workers })
    let loop: Result = {}
    try {
      if (scenario.load[0] === "churn") {
        await runLoadGenerator([...scenario.load, "--secs", String(Math.ceil(warmup))], running)
      }
      const result = scenario.load === "subscribe"
        ? await runSubscribeProbe(running.port)
        : await runLoadGenerator(argumentsOf(scenario), running)
      loop = await running.stop()
      return { ...result, ...loop }
    } finally {
      await running.stop()
    }
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) }
  }
}

const commandOutput = (command: string, args: ReadonlyArray<string>): string =>
  (spawnSync(command, [...args], { encoding: "utf8", cwd: projectRoot }).stdout ?? "").trim()

const environmentGiven = (): string =>
  ["RUNS", "SECS", "WARMUP", "QUICK", "ONLY", "BROKERS", "EMQTTD", "STORE_URL"]
    .flatMap((name) => process.env[name] === undefined ? [] : [`${name}=${JSON.stringify(process.env[name])} `]).join(
      ""
    )

const facts = (startedAt: Date, chosen: ReadonlyArray<Broker>): Frame["facts"] => {
  const distribution = fs.existsSync("/etc/os-release")
    ? /^PRETTY_NAME="?([^"\n]+)/m.exec(fs.readFileSync("/etc/os-release", "utf8"))?.[1]
    : undefined
  const commit = commandOutput("git", ["rev-parse", "--short", "HEAD"])
  const isDirty = commandOutput("git", ["status", "--porcelain", "--", "src", "package-lock.json"]) !== ""
  return [
    ["date", startedAt.toISOString().slice(0, 16).replace("T", " ") + " UTC"],
    [
      "machine",
      `${os.cpus()[0]?.model ?? os.arch()}, ${os.cpus().length} cores shared by broker and load generator, ${
        Math.round(os.totalmem() / 2 ** 30)
      } GiB, Linux ${os.release()}${distribution === undefined ? "" : `, ${distribution}`}`
    ],
    [
      "versions",
      `${chosen.map((broker) => broker.title).join(", ")}${
        commit === "" ? "" : ` (commit ${commit}${isDirty ? ", with uncommitted changes" : ""})`
      }, Bun ${process.versions["bun"] ?? "-"}`
    ],
    ["command", `\`${environmentGiven()}make bench\``],
    [
      "method",
      `${runs} run${
        runs === 1 ? "" : "s"
      } of ${seconds} s after ${warmup} s of warm-up, brokers in turn, a fresh process each time; 64-byte payloads, ` +
      "MQTT 3.1.1, nothing written to disk by either but in `durable` and `offline`: emqttd syncs what it acknowledges, Mosquitto writes its whole state every second; no TLS"
    ]
  ]
}

const progress = (scenario: Scenario, result: Result): string =>
  typeof result["error"] === "string"
    ? `FAILED: ${result["error"]}`
    : scenario.figures.map((figure) => `${figure.key} ${Math.round(Number(result[figure.key]) * 100) / 100}`).join("  ")

const main = async (): Promise<number> => {
  const only = (process.env["ONLY"] ?? "").split(",").filter((id) => id !== "")
  const selected = only.length > 0 ? only.map(scenarioNamed) : scenarios
  const chosen = chosenBrokers()
  buildLoadGenerator()
  const startedAt = new Date()
  const load = os.loadavg()[0] ?? 0
  if (load > 0.5) console.log(`this machine is busy (load ${load.toFixed(1)}): the figures will be too low`)

  const folder = path.join(projectRoot, "dist/bench")
  fs.mkdirSync(folder, { recursive: true })
  const rawFile = path.join(folder, `results-${startedAt.toISOString().replace(/[:.]/g, "-")}.jsonl`)
  const rows: Array<Row> = []
  for (let run = 1; run <= runs; run++) {
    for (const scenario of selected) {
      for (const broker of run % 2 ? chosen : chosen.toReversed()) {
        if (broker.lacks.includes(scenario.door ?? "tcp")) continue
        const isOurs = scenario.load === "recovery" || scenario.nodes === 2 || scenario.workers !== undefined
        if (isOurs && broker.id !== "emqttd") continue
        const result = await measure(scenario, broker)
        const row: Row = { scenario: scenario.id, broker: broker.id, run, result }
        rows.push(row)
        fs.appendFileSync(rawFile, JSON.stringify({ ...row, at: new Date().toISOString() }) + "\n")
        console.log(`${run}/${runs} ${scenario.id.padEnd(11)} ${broker.id.padEnd(9)} ${progress(scenario, result)}`)
      }
    }
  }

  const notes = fs.readFileSync(path.join(import.meta.dirname, "notes.md"), "utf8")
  const markdown = markdownOf({ brokers: chosen, scenarios: selected, rows, facts: facts(startedAt, chosen), notes })
  const isWhole = !quick && only.length === 0 && process.env["BROKERS"] === undefined
  const target = isWhole ? path.join(projectRoot, "docs/benchmarks.md") : path.join(folder, "benchmarks.md")
  fs.writeFileSync(target, markdown)
  console.log(`\n${plainTable(markdown)}\n`)
  console.log(`written: ${path.relative(projectRoot, target)}; raw results: ${path.relative(projectRoot, rawFile)}`)
  return rows.some((row) => typeof row.result["error"] === "string") ? 1 : 0
}

try {
  process.exit(await main())
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`)
  process.exit(1)
}
