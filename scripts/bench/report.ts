// Turns the collected results into the table of docs/benchmarks.md. Pure: text in, text out.
import type { Result } from "./loadGenerator.ts"
import { type Bar, faultKeys, type Figure, type Scenario } from "./scenarios.ts"

/** One measurement. `broker` is a broker's id. */
export interface Row {
  readonly scenario: string
  readonly broker: string
  readonly run: number
  readonly result: Result
}

export interface Frame {
  readonly brokers: ReadonlyArray<{ readonly id: string; readonly title: string }>
  readonly scenarios: ReadonlyArray<Scenario>
  readonly rows: ReadonlyArray<Row>
  readonly facts: ReadonlyArray<readonly [name: string, value: string]>
  /** Markdown: what the figures do not say by themselves; scripts/bench/notes.md. */
  readonly notes: string
}

export const median = (values: ReadonlyArray<number>): number | undefined => {
  const sorted = values.filter(Number.isFinite).toSorted((a, b) => a - b)
  if (sorted.length === 0) return undefined
  const upper = sorted[sorted.length >> 1]!
  return sorted.length % 2 ? upper : (sorted[(sorted.length >> 1) - 1]! + upper) / 2
}

export const figureOf = (
  frame: Frame,
  scenario: Scenario,
  broker: string,
  figure: Figure
): number | undefined =>
  median(
    frame.rows.filter((row) => row.scenario === scenario.id && row.broker === broker)
      .map((row) => Number(row.result[figure.key] ?? NaN))
  )

const grouped = (value: number): string => {
  const digits = Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0
  return value.toFixed(digits).replace(/\B(?=(\d{3})+(?!\d))/g, ",")
}

const shown = (value: number | undefined, figure: Figure): string =>
  value === undefined ? "–" : `${grouped(value)}${figure.unit === "" ? "" : ` ${figure.unit}`}`

const ratioOf = (ours: number | undefined, theirs: number | undefined): number | undefined =>
  ours === undefined || theirs === undefined || theirs === 0 ? undefined : ours / theirs

/** Of pairs of runs in turn: the median of their ratios. */
const besideRatio = (frame: Frame, scenario: Scenario, { key }: Figure): number | undefined =>
  median(
    frame.rows.filter((row) => row.scenario === scenario.id).map(({ result, run }) => {
      const beside = frame.rows.find((row) =>
        row.scenario === scenario.beside && row.run === run && row.broker === "emqttd"
      )
      return ratioOf(Number(result[key] ?? NaN), Number(beside?.result[key] ?? NaN)) ?? NaN
    })
  )

const barText = (bar: Bar | undefined, figure: Figure): string => {
  switch (bar?.kind) {
    case undefined:
      return ""
    case "times":
      return `≥ ${bar.least} ×`
    case "at least":
      return `≥ ${shown(bar.least, { ...figure })}`
    case "at most":
      return `≤ ${shown(bar.most, figure)}`
    case "no worse":
      return "no worse"
    case "own": {
      const times = bar.times === 1 ? "" : `${bar.times} × `
      return `${figure.better === "higher" ? "≥" : "≤"} ${times}\`${bar.scenario}\`${
        bar.plus === 0 ? "" : ` + ${shown(bar.plus, figure)}`
      }`
    }
  }
}

/** Whether the bar is met; undefined where there is no bar, or a figure is missing. */
export const isMet = (
  bar: Bar | undefined,
  figure: Figure,
  ours: number | undefined,
  theirs: number | undefined,
  /** Our own figure in the scenario that the bar names. */
  own?: number
): boolean | undefined => {
  if (bar === undefined || ours === undefined) return undefined
  if (bar.kind === "own") {
    if (own === undefined) return undefined
    const limit = own * bar.times + bar.plus
    return figure.better === "higher" ? ours >= limit : ours <= limit
  }
  if (bar.kind === "at least") return ours >= bar.least
  if (bar.kind === "at most") return ours <= bar.most
  const ratio = ratioOf(ours, theirs)
  if (ratio === undefined) return undefined
  if (bar.kind === "times") return ratio >= bar.least
  return figure.better === "higher" ? ratio >= 1 : ratio <= 1
}

const verdict = (met: boolean | undefined): string => met === undefined ? "" : met ? "yes" : "**no**"

/** Messages lost, connections refused …: what must be 0, per broker, in all runs of a scenario. */
const faultsOf = (frame: Frame): ReadonlyArray<string> =>
  frame.scenarios.flatMap((scenario) =>
    frame.brokers.flatMap((broker) => {
      const rows = frame.rows.filter((row) => row.scenario === scenario.id && row.broker === broker.id)
      const counted = faultKeys.flatMap((key) => {
        const sum = rows.reduce((total, row) => total + Number(row.result[key] ?? 0), 0)
        return sum > 0 ? [`${key} ${grouped(sum)}`] : []
      })
      const failures = rows.filter((row) => typeof row.result["error"] === "string")
      const failed = failures.map((row) => `run ${row.run}: ${String(row.result["error"]).split("\n")[0]}`)
      const all = [...counted, ...failed]
      return all.length > 0 ? [`- ${scenario.id}, ${broker.title}: ${all.join(", ")}`] : []
    })
  )

const tableOf = (header: ReadonlyArray<string>, lines: ReadonlyArray<ReadonlyArray<string>>): string =>
  [header, header.map((_, index) => index === 0 ? "---" : "---:"), ...lines]
    .map((cells) => `| ${cells.join(" | ")} |`).join("\n")

export const markdownOf = (frame: Frame): string => {
  const reference = frame.brokers.find((broker) => broker.id === "mosquitto")
  const lines = frame.scenarios.flatMap((scenario) =>
    scenario.figures.map((figure) => {
      const value = (broker: string) => figureOf(frame, scenario, broker, figure)
      const ours = value("emqttd")
      const theirs = reference === undefined ? undefined : value(reference.id)
      const ratio = scenario.beside === undefined ? ratioOf(ours, theirs) : besideRatio(frame, scenario, figure)
      const ownScenario = frame.scenarios.find(({ id }) => figure.bar?.kind === "own" && figure.bar.scenario === id)
      const own = ownScenario === undefined ? undefined : figureOf(frame, ownScenario, "emqttd", figure)
      return [
        `\`${scenario.id}\` ${figure.title}`,
        ...frame.brokers.map((broker) => shown(value(broker.id), figure)),
        ratio === undefined
          ? "–"
          : `${ratio.toFixed(2)} ×${scenario.beside === undefined ? "" : ` \`${scenario.beside}\``}`,
        barText(figure.bar, figure),
        verdict(isMet(figure.bar, figure, ours, theirs, own)),
        figure.flashmq === undefined ? "" : shown(figure.flashmq, figure)
      ]
    })
  )
  const header = ["", ...frame.brokers.map((broker) => broker.title), "ratio", "bar", "met", "the mark"]
  const faults = faultsOf(frame)
  return [
    "# Benchmarks",
    "",
    'Written by `make bench`; do not edit. Medians. "ratio" is emqttd against Mosquitto in this run, or against itself in the',
    'scenario named there; "the mark" is FlashMQ 1.26.2, the fastest broker we know, as measured once with the same load',
    "generator on a machine like this one, not in this run.",
    "",
    ...frame.facts.map(([name, value]) => `- ${name}: ${value}`),
    "",
    tableOf(header, lines),
    "",
    frame.notes,
    "The scenarios, as arguments of the load generator (`scripts/bench/loadgen`, its README explains each figure):",
    "",
    ...frame.scenarios.map((scenario) =>
      `- \`${scenario.id}\`: ${scenario.title}${
        typeof scenario.load === "string" ? "" : `: \`${scenario.load.join(" ")}\``
      }`
    ),
    "",
    ...(faults.length > 0
      ? ["What must be 0 and was not (sum of all runs):", "", ...faults]
      : ["No run lost, doubled or reordered a message, and none had a connection refused or dropped."]),
    ""
  ].join("\n")
}

/** The same table for a terminal: columns aligned, no emphasis. */
export const plainTable = (markdown: string): string => {
  const rows = markdown.split("\n").filter((line) => line.startsWith("| ") && !line.startsWith("| ---"))
    .map((line) => line.replace(/[*`]/g, "").split("|").slice(1, -1).map((cell) => cell.trim()))
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) =>
    row.map((cell, column) => column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)).join(
      "  "
    )
  ).join("\n")
}
