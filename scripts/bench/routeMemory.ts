// Memory and traffic of routes between nodes, for docs/cluster.md: bytes that a peer's filter costs in the table, by kind, and bytes of its row on
// the wire. Each figure is taken in a process of its own: bun scripts/bench/routeMemory.ts
import { spawnSync } from "node:child_process"
import { OwnRoutes } from "../../src/cluster/routes/OwnRoutes.ts"
import { RemoteTable } from "../../src/cluster/routes/RemoteTable.ts"
import { RowsWriter } from "../../src/cluster/routes/routeFrames.ts"

const kinds: Readonly<Record<string, (n: number) => string>> = {
  exact: (n) => `devices/${n.toString(16).padStart(8, "0")}/commands`,
  wildcard: (n) => `devices/${n.toString(16).padStart(8, "0")}/#`,
  group: (n) => `$share/workers/devices/${n.toString(16).padStart(8, "0")}/events`
}

const memory = (): number => {
  Reflect.get(globalThis, "Bun")?.gc(true)
  return process.memoryUsage().rss
}

const measure = (what: string, kind: string, count: number): string => {
  const nameOf = kinds[kind] ?? String
  const state = kind === "group" ? 0x8001 : 3
  const writer = new RowsWriter()
  let wire = 0
  const before = memory()
  const began = performance.now()
  const table = new RemoteTable()
  const own = new OwnRoutes(1)
  for (let n = 0; n < count; n++) {
    if (what === "peer") table.set(0, nameOf(n), state)
    else own.set(nameOf(n), state)
  }
  const millis = performance.now() - began
  const bytes = memory() - before
  for (let n = 0; n < 1_000; n++) writer.add(nameOf(n), state)
  wire = (writer.take({ epoch: 1, from: 0, to: 1, last: true }).length - 25) / 1_000
  const looked = performance.now()
  for (let n = 0; n < 100_000; n++) table.match(nameOf(n % count).replace("#", "x"))
  const match = (performance.now() - looked) * 10
  const size = what === "peer" ? table.size : own.size
  return `| ${what} | ${kind} | ${size} | ${Math.round(bytes / count)} | ${wire} | ${
    Math.round(millis * 1e6 / count)
  } | ${Math.round(match)} |`
}

const [, , what, kind, count] = process.argv
if (what !== undefined && kind !== undefined) console.log(measure(what, kind, Number(count)))
else {
  console.log(
    "| of | filters | count | bytes in memory | bytes on the wire | ns to set | ns to match first |\n|---|---|---|---|---|---|---|"
  )
  for (const rows of [100_000, 1_000_000]) {
    for (const  of of["peer", "own"]) {
      for (const name of Object.keys(kinds)) {
        const { stdout } = spawnSync(process.execPath, [import.meta.filename, of, name, String(rows)], {
          encoding: "utf8"
        })
        process.stdout.write(stdout)
      }
    }
  }
}
