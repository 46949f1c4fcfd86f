// What a feature costs on the packet path, as a ratio: the same broker with and without it in its settings, in turn, driven by the same load.
// Other work on the machine only ever makes a run slower, so the best run of each is compared; the ratios of the pairs say how much there was.
// Environment: RUNS=9 SECS=1 WARMUP=1.5.
// Writes its table into docs/benchmarks.md and scripts/bench/notes.md; ONLY=rules prints it alone.
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { projectRoot, startEmqttd } from "./brokers.ts"
import { buildLoadGenerator, runLoadGenerator } from "./loadGenerator.ts"
import { median } from "./report.ts"

const begin = "<!-- costs: written by make bench-costs -->"
const end = "<!-- end of costs -->"

const numberFrom = (name: string, otherwise: number): number => Number(process.env[name] || otherwise)
const runs = numberFrom("RUNS", 9)
const seconds = numberFrom("SECS", 1)
const warmup = numberFrom("WARMUP", 1.5)

/** 1,000 rules, of which the last allows: about users, clients, addresses and topics that none of these clients has. */
const thousandRules = (): string => {
  const rules = Array.from({ length: 999 }, (_, index) => {
    const topic = `["site/${index}/+/set", "plant/%u/${index}/#"]`
    switch (index % 5) {
      case 0:
        return `{allow, {user, "user${index}"}, pubsub, ${topic}}.`
      case 1:
        return `{deny, {client, "client${index}"}, publish, ${topic}}.`
      case 2:
        return `{deny, {ipaddr, "10.${index % 256}.0.0/16"}, subscribe, ${topic}}.`
      default:
        return `{deny, all, publish, ${topic}}.`
    }
  })
  return [...rules, "{allow, all}."].join("\n")
}

const loads: ReadonlyArray<readonly [name: string, args: string]> = [
  ["100 pairs, QoS 0", "--pubs 100 --subs 100 --qos 0 --outstanding 20"],
  ["100 pairs, QoS 1", "--pubs 100 --subs 100 --qos 1 --window 20 --outstanding 20"],
  ["1,000 subscribers with wildcards, QoS 0", "--layout wild --pubs 10 --subs 1000 --outstanding 200"]
]

interface Variant {
  readonly id: string
  readonly title: string
  readonly without: ReadonlyArray<string>
  readonly with: ReadonlyArray<string>
  readonly bar: string
}

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-costs-"))
const rulesFile = path.join(folder, "acl.config")
fs.writeFileSync(rulesFile, thousandRules())

const variants: ReadonlyArray<Variant> = [
  {
    id: "rules",
    title: "1,000 access rules against none",
    without: ["[authorization]", "sources = []"],
    with: ["[authorization]", `sources = [{ type = "acl_config", path = ${JSON.stringify(rulesFile)} }]`],
    bar: "≥ 0.95"
  },
  {
    id: "rates",
    title: "rates of messages and bytes that nobody reaches against none",
    without: [],
    with: ["[limits]", "message_rate = 10000000", 'byte_rate = "1GiB"'],
    bar: ""
  }
]

const once = async (more: ReadonlyArray<string>, load: string): Promise<number> => {
  const broker = await startEmqttd({ more, keeping: "nothing", seconds })
  try {
    const args = ["pubsub", ...load.split(" "), "--secs", String(seconds), "--warmup", String(warmup)]
    return Number((await runLoadGenerator(args, broker))["msgs_per_broker_cpu_s"])
  } finally {
    await broker.stop()
  }
}

const grouped = (value: number): string => Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, ",")

const main = async (): Promise<void> => {
  buildLoadGenerator()
  const only = process.env["ONLY"] ?? ""
  const lines: Array<string> = []
  for (const variant of variants.filter(({ id }) => only === "" || only === id)) {
    for (const [name, load] of loads) {
      const pairs: Array<{ readonly without: number; readonly with: number }> = []
      for (let run = 0; run < runs; run++) {
        // Who is first changes, so that a machine that gets slower or faster favours neither.
        const first = run % 2 === 0 ? await once(variant.without, load) : undefined
        const second = await once(variant.with, load)
        pairs.push({ without: first ?? await once(variant.without, load), with: second })
      }
      const ratios = pairs.map((pair) => pair.with / pair.without)
      const without = Math.max(...pairs.map((pair) => pair.without))
      const best = Math.max(...pairs.map((pair) => pair.with))
      const spread = `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`
      lines.push(
        `| ${variant.title} | ${name} | ${grouped(without)} | ${grouped(best)} | ${(best / without).toFixed(3)} | ` +
          `${(median(ratios) ?? NaN).toFixed(2)} (${spread}) | ${variant.bar} |`
      )
      console.log(lines.at(-1))
    }
  }
  if (only !== "") return
  const commit = spawnSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8", cwd: projectRoot }).stdout
    .trim()
  const section = [
    begin,
    `**What a feature costs on the packet path.** Messages per broker-CPU-second with it and without it, ${runs} pairs of runs of ${seconds} s in turn: ` +
    `the best of each and their ratio, as other work on the machine only makes a run slower; beside it the median of the pairs' ratios, with the least and the most. ${
      new Date().toISOString().slice(0, 10)
    }, commit ${commit}, ` +
    `${os.cpus()[0]?.model ?? "?"}, ${os.cpus().length} cores, load average ${(os.loadavg()[1] ?? 0).toFixed(1)}.`,
    "",
    "| | load | without | with | ratio | pairs | bar |",
    "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ...lines,
    end
  ].join("\n")
  for (const file of ["scripts/bench/notes.md", "docs/benchmarks.md"]) {
    const text = fs.readFileSync(path.join(projectRoot, file), "utf8")
    const from = text.indexOf(begin)
    const to = text.indexOf(end)
    if (from < 0 || to < 0) throw new Error(`${file} has no place for it: ${begin}`)
    fs.writeFileSync(path.join(projectRoot, file), text.slice(0, from) + section + text.slice(to + end.length))
  }
}

try {
  await main()
} finally {
  fs.rmSync(folder, { recursive: true, force: true })
}
