// Takes a CPU profile of the broker under one scenario of the benchmark: profile.ts <scenario> [seconds].
// Prints where the time went (self time by function and by file, the load phase only) and says where the profile lies:
// a .cpuprofile opens in Chrome's DevTools, in VS Code and in speedscope.
import * as fs from "node:fs"
import * as path from "node:path"
import { projectRoot, startEmqttd } from "./brokers.ts"
import { buildLoadGenerator, runLoadGenerator } from "./loadGenerator.ts"
import { scenarioNamed, scenarios } from "./scenarios.ts"
import { runSubscribeProbe } from "./subscribeProbe.ts"

interface Profile {
  readonly nodes: ReadonlyArray<{
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
    readonly children?: ReadonlyArray<number>
  }>
  readonly samples: ReadonlyArray<number>
  readonly timeDeltas: ReadonlyArray<number> // µs
}

const placeOf = (url: string): string => {
  const file = url.replace(/^file:\/\//, "")
  const inside = path.relative(projectRoot, file)
  return file.startsWith("/") && !inside.startsWith("..") ? inside.replace(/^node_modules\//, "") : file || "[native]"
}

/** Self time and total time in µs by name, of the samples after the first `skipMicros`. */
const spent = (profile: Profile, skipMicros: number) => {
  const byId = new Map(profile.nodes.map((node) => [node.id, node]))
  const parent = new Map(
    profile.nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node.id] as const))
  )
  const functions = new Map<string, { self: number; total: number }>()
  const files = new Map<string, number>()
  let at = 0
  let all = 0
  for (const [index, sample] of profile.samples.entries()) {
    const micros = profile.timeDeltas[index] ?? 0
    at += micros
    if (at < skipMicros) continue
    all += micros
    const seen = new Set<string>()
    for (let id: number | undefined = sample; id !== undefined; id = parent.get(id)) {
      const frame = byId.get(id)?.callFrame
      if (frame === undefined || frame.functionName === "(root)") continue
      const name = `${frame.functionName || "(anonymous)"}  ${placeOf(frame.url)}`
      const entry = functions.get(name) ?? { self: 0, total: 0 }
      if (id === sample) {
        entry.self += micros
        files.set(placeOf(frame.url), (files.get(placeOf(frame.url)) ?? 0) + micros)
      }
      if (!seen.has(name)) entry.total += micros
      seen.add(name)
      functions.set(name, entry)
    }
  }
  return { all, functions, files }
}

const percent = (part: number, all: number): string => `${(100 * part / all).toFixed(1)} %`.padStart(7)

const main = async (): Promise<void> => {
  const [id, given] = process.argv.slice(2)
  if (id === undefined) {
    throw new Error(`usage: make profile ARGS="SCENARIO [SECONDS]", of ${scenarios.map((one) => one.id).join(", ")}`)
  }
  const scenario = scenarioNamed(id)
  const seconds = Number(given ?? 5)
  if (!(seconds > 0)) throw new Error(`${given}: a number of seconds is needed`)
  buildLoadGenerator()
  const folder = path.join(projectRoot, "dist/profile")
  fs.mkdirSync(folder, { recursive: true })
  const name = `${id}.cpuprofile`
  const file = path.join(folder, name)
  fs.rmSync(file, { force: true })
  const startedAt = performance.now()
  const broker = await startEmqttd({
    runtime: ["--cpu-prof", `--cpu-prof-dir=${folder}`, `--cpu-prof-name=${name}`],
    door: scenario.door ?? "tcp",
    keeping: scenario.keeping ?? "default"
  })
  const ready = performance.now() - startedAt
  try {
    if (scenario.load === "recovery") throw new Error("recovery: a start has no profile here")
    const result = scenario.load === "subscribe"
      ? await runSubscribeProbe(broker.port)
      : await runLoadGenerator([...scenario.load, ...(scenario.timed ? ["--secs", String(seconds)] : [])], broker)
    for (const figure of scenario.figures) {
      console.log(`${figure.title}: ${Math.round(Number(result[figure.key]))} ${figure.unit}`)
    }
  } finally {
    await broker.stop()
  }
  if (!fs.existsSync(file)) throw new Error("the broker wrote no profile: it has to end by itself on SIGTERM")
  const { all, functions, files } = spent(JSON.parse(fs.readFileSync(file, "utf8")) as Profile, ready * 1000)
  console.log("\n   self    total  function")
  for (const [title, { self, total }] of [...functions].toSorted((a, b) => b[1].self - a[1].self).slice(0, 40)) {
    console.log(`${percent(self, all)}  ${percent(total, all)}  ${title}`)
  }
  console.log("\n   self  file")
  for (const [title, self] of [...files].toSorted((a, b) => b[1] - a[1]).slice(0, 20)) {
    console.log(`${percent(self, all)}  ${title}`)
  }
  console.log(`\nprofile: ${path.relative(projectRoot, file)}`)
}

try {
  await main()
} catch (error) {
  console.error(`profile: ${error instanceof Error ? error.message : String(error)}`)
  process.exit(1)
}
