import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { Toml, Yaml } from "effect/encoding"
import { tomlPositions } from "../../src/config/tomlPositions.ts"
import { yamlPositions } from "../../src/config/yamlPositions.ts"

/** Asserts that the text parses, and the line of each key named. */
const expectLines = (positions: ReadonlyMap<string, number>, expected: { readonly [path: string]: number }) =>
  assert.deepStrictEqual(
    Object.fromEntries(Object.keys(expected).map((path) => [path, positions.get(path)])),
    expected
  )

describe("lines of TOML keys", () => {
  it("in every form a key can have", () => {
    const text = [
      "# [not] a = table",
      "top = 1",
      "[a.b] # comment",
      "  c = 2",
      `"d.e" = 'x = 1 # no comment'`,
      "f.g.h = true",
      `long = """`,
      "[inside]",
      `not = \\""" 1`,
      `"""`,
      "raw = '''",
      "[inside]",
      "'''",
      "list = [",
      "  1, # one",
      "  [2, 3],",
      "  { x = 1, y = { z = 2 } }",
      "]",
      "after = 1979-05-27 07:32:00",
      "[[many]]",
      "n = 1",
      "[[many]]",
      "n = 2",
      "",
      "[many.sub]",
      "deep = 1",
      "[ a . 'c' ]",
      "last = 0x1F"
    ].join("\r\n")
    assert.isTrue(Result.isSuccess(Toml.parse(text)))
    const positions = tomlPositions(text)
    expectLines(positions, {
      "top": 2,
      "a": 3,
      "a.b": 3,
      "a.b.c": 4,
      "a.b.d.e": 5,
      "a.b.f": 6,
      "a.b.f.g.h": 6,
      "a.b.long": 7,
      "a.b.raw": 11,
      "a.b.list": 14,
      "a.b.list.0": 15,
      "a.b.list.1": 16,
      "a.b.list.1.1": 16,
      "a.b.list.2.x": 17,
      "a.b.list.2.y.z": 17,
      "a.b.after": 19,
      "many.0": 20,
      "many.0.n": 21,
      "many.1": 22,
      "many.1.n": 23,
      "a.c": 27,
      "a.c.last": 28
    })
    for (const path of positions.keys()) assert.isFalse(path.includes("inside") || path.includes("not"), path)
  })

  it("ends on any text, also one the parser refuses", () => {
    const pieces = ["[", "]", "{", "}", "=", `"`, "'", `"""`, "'''", ",", ".", "a", "\n", " ", "#", "\\", "é", "\uFEFF"]
    const random = seeded(1)
    for (let run = 0; run < 2000; run++) {
      const text = Array.from({ length: 1 + random(30) }, () => pieces[random(pieces.length)]).join("")
      tomlPositions(text)
      yamlPositions(text)
    }
  })
})

describe("lines of YAML keys", () => {
  it("in every form a key can have", () => {
    const text = [
      "---",
      "# not: a key",
      "top: 1",
      "a:",
      "  b: # comment",
      "    c: 2",
      `    "d e": 'x: 1 # no comment'`,
      "",
      "  text: |",
      "    inside: 1",
      "",
      "    more: 2",
      "  folded: >-",
      "    inside: 1",
      "  list:",
      "  - x: 1",
      "    y: 2",
      "  - 3",
      "  -",
      "    z: 4",
      "  flow: { p: 1, q: [2, { r: 3 }],",
      "    s: 'a, b: c', # inside: 1",
      "    t: 5 }",
      "  after: http://host:80/",
      "other: [",
      "  1,",
      "  2",
      "]",
      "last: end"
    ].join("\n")
    Yaml.parse(text)
    const positions = yamlPositions(text)
    expectLines(positions, {
      "top": 3,
      "a": 4,
      "a.b": 5,
      "a.b.c": 6,
      "a.b.d e": 7,
      "a.text": 9,
      "a.folded": 13,
      "a.list": 15,
      "a.list.0": 16,
      "a.list.0.x": 16,
      "a.list.0.y": 17,
      "a.list.1": 18,
      "a.list.2": 19,
      "a.list.2.z": 20,
      "a.flow": 21,
      "a.flow.p": 21,
      "a.flow.q.0": 21,
      "a.flow.q.1.r": 21,
      "a.flow.s": 22,
      "a.flow.t": 23,
      "a.after": 24,
      "other": 25,
      "other.0": 26,
      "other.1": 27,
      "last": 29
    })
    for (const path of positions.keys()) assert.isFalse(path.includes("inside") || path.includes("not"), path)
  })
})

// Random documents whose lines the writer knows.

const seeded = (seed: number) => (below: number): number => {
  seed = Math.imul(seed ^ (seed >>> 15), 0x2c1b3c6d) + 0x9e3779b9 | 0
  return ((seed ^ (seed >>> 13)) >>> 0) % below
}

type Leaf = "number" | "text" | "list"
type Shape = Map<string, Leaf | Shape>

const randomShape = (random: (below: number) => number, depth: number): Shape => {
  const shape: Shape = new Map()
  for (let i = 0, count = 1 + random(4); i < count; i++) {
    const leaf = (["number", "text", "list"] as const)[random(3)] ?? "number"
    shape.set(`k${random(9)}`, depth > 0 && random(3) === 0 ? randomShape(random, depth - 1) : leaf)
  }
  return shape
}

describe("random documents", () => {
  it("TOML: each key where it was written (1,000 documents)", () => {
    const random = seeded(7)
    for (let run = 0; run < 1000; run++) {
      const lines: Array<string> = []
      const expected = new Map<string, number>()
      const noise = () => {
        if (random(4) === 0) lines.push(["", "# k1 = 1", "  ", "#[k2]"][random(4)] ?? "")
      }
      const write = (shape: Shape, path: ReadonlyArray<string>) => {
        const tables = [...shape].filter((entry): entry is [string, Shape] => typeof entry[1] !== "string")
        for (const [key, leaf] of shape) {
          if (typeof leaf !== "string") continue
          noise()
          expected.set([...path, key].join("."), lines.length + 1)
          const indent = " ".repeat(random(3))
          const name = random(4) === 0 ? `"${key}"` : key
          if (leaf === "number") lines.push(`${indent}${name} = ${random(1000)} # [k3]`)
          else if (leaf === "text") lines.push(...`${indent}${name} = """k4 = 1\n[k5]\n""" # end`.split("\n"))
          else lines.push(`${indent}${name}=[`, ` "k6 = 1", # k7 = 1`, ` [ 1 ], { k8 = "]" }`, "]")
        }
        for (const [key, table] of tables) {
          noise()
          expected.set([...path, key].join("."), lines.length + 1)
          lines.push(`[${[...path, key].join(" . ")}]`)
          write(table, [...path, key])
        }
      }
      write(randomShape(random, 3), [])
      const text = lines.join("\n")
      assert.isTrue(Result.isSuccess(Toml.parse(text)), text)
      const positions = tomlPositions(text)
      for (const [path, line] of expected) assert.strictEqual(positions.get(path), line, `${path} in\n${text}`)
    }
  })

  it("YAML: each key where it was written (1,000 documents)", () => {
    const random = seeded(9)
    for (let run = 0; run < 1000; run++) {
      const lines: Array<string> = []
      const expected = new Map<string, number>()
      const write = (shape: Shape, path: ReadonlyArray<string>, indent: string) => {
        for (const [key, value] of shape) {
          if (random(4) === 0) lines.push(["", "# k1: 1", `${indent}# k2: 1`][random(3)] ?? "")
          expected.set([...path, key].join("."), lines.length + 1)
          const name = random(4) === 0 ? `"${key}"` : key
          if (typeof value !== "string") {
            if (random(4) === 0) {
              lines.push(`${indent}${name}: {`)
              flow(value, [...path, key])
              lines.push(`${deep}}`)
              continue
            }
            lines.push(`${indent}${name}:`)
            write(value, [...path, key], indent + " ".repeat(1 + random(4)))
          } else if (value === "number") lines.push(`${indent}${name}: ${random(1000)} # k3: 1`)
          else if (value === "text") lines.push(`${indent}${name}: |`, `${indent}  k4: 1`, "", `${indent}   - k5: 1`)
          else lines.push(`${indent}${name}:`, `${indent}- k6`, `${indent}- [1, "k7: 1"]`)
        }
      }
      const deep = " ".repeat(30)
      const flow = (shape: Shape, path: ReadonlyArray<string>) => {
        let left = shape.size
        for (const [key, value] of shape) {
          const comma = --left > 0 ? "," : ""
          expected.set([...path, key].join("."), lines.length + 1)
          if (typeof value === "string") lines.push(`${deep}${key}: ["a, b", 2]${comma}`)
          else {
            lines.push(`${deep}${key}: {`)
            flow(value, [...path, key])
            lines.push(`${deep}}${comma}`)
          }
        }
      }
      write(randomShape(random, 3), [], "")
      const text = lines.join("\n")
      try {
        Yaml.parse(text)
      } catch (error) {
        assert.fail(`${String(error)}:\n${text}`)
      }
      const positions = yamlPositions(text)
      for (const [path, line] of expected) assert.strictEqual(positions.get(path), line, `${path} in\n${text}`)
    }
  })
})
