// Holds the sources to the floors of docs/architecture.md and to the rules that a compiler cannot see.
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"

const floors: ReadonlyArray<ReadonlyArray<string>> = [
  ["mqtt"],
  ["store", "config", "metrics", "otp", "platform"],
  ["router", "retain", "access", "hooks"],
  ["session", "cluster"],
  ["listener", "connection"],
  ["admin", "bridge", "plugin", "sys"],
  ["app"],
  ["cli"]
]
const door = "main.ts" // stands above all floors

const root = path.resolve(import.meta.dirname, "../src")
const files = fs.readdirSync(root, { recursive: true, encoding: "utf8" })
  .map((file) => file.split(path.sep).join("/"))
  .filter((file) => file.endsWith(".ts"))
  .sort()
const textOf = (file: string): string => fs.readFileSync(path.join(root, file), "utf8")
const floorOf = (file: string): number =>
  file === door ? floors.length : floors.findIndex((folders) => folders.includes(file.split("/")[0] ?? ""))

/** The code without comments and without the contents of strings and templates, so that words in them count for nothing. */
const codeOf = (text: string): string =>
  text.replace(
    /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`/g,
    (found) => found.replace(/[^\n]/g, " ")
  )

/** Relative imports, also `export … from`, `import type`, bare and dynamic ones. */
const importsOf = (file: string, text: string = textOf(file)): ReadonlyArray<string> =>
  [...text.matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*)["'](\.[^"']+)["']/g)]
    .map((match) => path.posix.join(path.posix.dirname(file), match[1] ?? ""))

const linesWith = (pattern: RegExp, among: (file: string) => boolean): ReadonlyArray<string> =>
  files.filter(among).flatMap((file) =>
    codeOf(textOf(file)).split("\n").flatMap((line, index) =>
      pattern.test(line) ? [`src/${file}:${index + 1}: ${line.trim()}`] : []
    )
  )

/** The first circle found, as a trail of files, or nothing. */
const circleIn = (graph: ReadonlyMap<string, ReadonlyArray<string>>): ReadonlyArray<string> | undefined => {
  const done = new Set<string>()
  const visit = (file: string, trail: ReadonlyArray<string>): ReadonlyArray<string> | undefined => {
    if (trail.includes(file)) return [...trail.slice(trail.indexOf(file)), file]
    if (done.has(file)) return undefined
    for (const next of graph.get(file) ?? []) {
      const circle = visit(next, [...trail, file])
      if (circle !== undefined) return circle
    }
    done.add(file)
    return undefined
  }
  for (const file of graph.keys()) {
    const circle = visit(file, [])
    if (circle !== undefined) return circle
  }
  return undefined
}

describe("the building", () => {
  it("every folder has a floor", () => {
    assert.deepStrictEqual(files.filter((file) => floorOf(file) < 0), [])
  })

  it("imports never go up", () => {
    const up = files.flatMap((file) =>
      importsOf(file).filter((to) => floorOf(to) > floorOf(file)).map((to) => `${file} -> ${to}`)
    )
    assert.deepStrictEqual(up, [])
  })

  it("every relative import names a file that is there, and none leaves src except for package.json", () => {
    const astray = files.flatMap((file) =>
      importsOf(file)
        .filter((to) => !fs.existsSync(path.join(root, to)) || (to.startsWith("..") && to !== "../package.json"))
        .map((to) => `${file} -> ${to}`)
    )
    assert.deepStrictEqual(astray, [])
  })

  it("no import goes in a circle", () => {
    const graph = new Map(files.map((file) => [file, importsOf(file).filter((to) => files.includes(to))]))
    assert.strictEqual(circleIn(graph)?.join(" -> "), undefined)
  })

  it("no file has more than 500 lines", () => {
    const long = files.map((file) => ({ file, lines: textOf(file).split("\n").length - 1 }))
    assert.deepStrictEqual(long.filter(({ lines }) => lines > 500), [])
  })

  it("only platform/ names Bun or Deno", () => {
    const runtime = /\b(?:Bun|Deno)\s*(?:\.|\?\.|\[)|\btypeof\s+(?:Bun|Deno)\b|\bglobalThis\.(?:Bun|Deno)\b/
    assert.deepStrictEqual(linesWith(runtime, (file) => !file.startsWith("platform/")), [])
    const modules = files.filter((file) =>
      !file.startsWith("platform/") && /(?:from|import)\s*\(?\s*["']bun(?::[a-z]+)?["']/.test(textOf(file))
    )
    assert.deepStrictEqual(modules, [])
  })

  it("only config/ reads the environment", () => {
    const environment = /\bprocess\s*(?:\?\.|\.)\s*env\b/
    assert.deepStrictEqual(linesWith(environment, (file) => !file.startsWith("config/")), [])
  })

  it("mqtt/ is pure: no Effect, no sockets, no files, no clock", () => {
    const pure = files.filter((file) => file.startsWith("mqtt/"))
    const impure = pure.filter((file) =>
      /(?:from|import)\s*\(?\s*["'](?:effect|@effect\/|node:(?!buffer["']))/.test(textOf(file))
    )
    assert.deepStrictEqual(impure, [])
    assert.deepStrictEqual(
      linesWith(/\bDate\.now\(|\bsetTimeout\(|\bsetImmediate\(/, (file) => pure.includes(file)),
      []
    )
  })

  it("no name that explains nothing", () => {
    const nameless = /^(?:utils?|helpers?|commons?|managers?|misc)$/i
    const named = files.filter((file) =>
      file.replace(/\.ts$/, "").split("/").some((part) =>
        part.split(/[-_.]|(?<=[a-z])(?=[A-Z])/).some((word) => nameless.test(word))
      )
    )
    assert.deepStrictEqual(named, [])
  })

  it("no escape from the type checker", () => {
    assert.deepStrictEqual(linesWith(/\bas any\b|:\s*any\b|<any>|\bas unknown as\b/, () => true), [])
    const ignored = files.filter((file) => /@ts-(?:ignore|expect-error|nocheck)/.test(textOf(file)))
    assert.deepStrictEqual(ignored, [])
  })
})

// A rule that finds nothing may be a rule that looks at nothing: each pattern is tried on code that breaks it.
describe("the rules can see", () => {
  it("imports of every form", () => {
    const text = [
      `import { a } from "./a.ts"`,
      `export * from "../b/B.ts"`,
      `import type {`,
      `  C`,
      `} from "./C.ts"`,
      `import "./d.ts"`,
      `const e = await import("./e.ts")`,
      `import * as fs from "node:fs"`
    ].join("\n")
    assert.deepStrictEqual(importsOf("x/X.ts", text), ["x/a.ts", "b/B.ts", "x/C.ts", "x/d.ts", "x/e.ts"])
  })

  it("circles", () => {
    assert.deepStrictEqual(circleIn(new Map([["a", ["b"]], ["b", ["c"]], ["c", ["b"]]])), ["b", "c", "b"])
    assert.strictEqual(circleIn(new Map([["a", ["b", "c"]], ["b", ["c"]], ["c", []]])), undefined)
  })

  it("code but not comments or strings", () => {
    assert.strictEqual(codeOf(`a // Bun.listen\n"Bun.x" + b /* process.env */`).replace(/ +/g, " "), `a \n + b `)
  })

  it("all the files", () => {
    assert.isAbove(files.length, 0)
    assert.deepStrictEqual(["mqtt/x.ts", "app/x.ts", "main.ts", "elsewhere/x.ts"].map(floorOf), [0, 6, 8, -1])
  })
})
