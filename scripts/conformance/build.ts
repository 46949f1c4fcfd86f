// bun scripts/conformance/build.ts [--check]: writes docs/conformance.md from the statements beside this file and the clause tags
// in src/**/*.ts and test/**/*.test.ts. Exit 1 with the list when a statement has no place or no test, or a tag names no
// statement; with --check nothing is written, and a document that differs is a fault too.

import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { render } from "./render.ts"
import { Conformance, scanSource, scanTest, type Statement } from "./scan.ts"

const root = join(import.meta.dirname, "..", "..")
const document = join(root, "docs", "conformance.md")

const filesUnder = (folder: string, suffix: string): Array<string> =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(suffix)).map((file) => `${folder}/${file.replaceAll("\\", "/")}`).sort()

const read = (file: string): string => readFileSync(join(root, file), "utf8")

const statements = ["mqtt-5.0", "mqtt-3.1.1", "mqtt-3.1"]
  .flatMap((name): Array<Statement> => JSON.parse(read(`scripts/conformance/${name}.json`)))

const conformance = new Conformance(statements)
for (const file of filesUnder("src", ".ts")) conformance.addPlaces(scanSource(file, read(file)))
for (const file of filesUnder("test", ".test.ts")) conformance.addProofs(scanTest(file, read(file)))

const gaps = conformance.gaps()
const text = render(conformance)
if (process.argv.includes("--check")) {
  // A line that moved is no news: the numbers are put right whenever the table is built anew.
  const withoutLines = (table: string) => table.replaceAll(/(:|#L)\d+/g, "")
  if (withoutLines(read("docs/conformance.md")) !== withoutLines(text)) {
    gaps.push("docs/conformance.md is out of date: run bun scripts/conformance/build.ts")
  }
} else {
  writeFileSync(document, text)
}
for (const gap of gaps) console.error(gap)
console.log(`${statements.length} statements, ${gaps.length} gaps`)
process.exitCode = gaps.length === 0 ? 0 : 1
