import { describe, expect, it } from "vitest"
import { Conformance, scanSource, scanTest, type Statement } from "../../scripts/conformance/scan.ts"

// Tags are put together here, so that the scanner does not take this file's fixtures for proofs.
const tag = (name: string): string => `[${name}]`

const statements: ReadonlyArray<Statement> = [
  { id: "MQTT-3.1.0-2", applies: "server", text: "a second CONNECT" },
  { id: "MQTT5-3.1.0-2", applies: "server", text: "a second CONNECT", same: true },
  { id: "MQTT-3.1.2-4", applies: "server", text: "clean session" },
  { id: "MQTT5-3.1.2-4", applies: "server", text: "clean start" },
  { id: "MQTT5-3.3.2-18", applies: "server", text: "order of user properties" },
  { id: "MQTT5-6.0.0-1", applies: "both", text: "frames", reason: "no WebSocket" },
  { id: "MQTT31-1", applies: "server", text: "MQIsdp" }
]

describe("scanSource", () => {
  it("finds every tag with its line, several in one comment, each once a line", () => {
    const text = `const a = 1\n// ${tag("MQTT-3.1.0-2")} ${tag("MQTT5-4.2-1")} and ${tag("MQTT-3.1.0-2")}\n`
    expect(scanSource("src/a.ts", text)).toEqual([
      { tag: "MQTT-3.1.0-2", place: { file: "src/a.ts", line: 2 } },
      { tag: "MQTT5-4.2-1", place: { file: "src/a.ts", line: 2 } }
    ])
  })
})

describe("scanTest", () => {
  it("reads the tags at the head of a title and the title behind them", () => {
    const text = `it("${tag("MQTT-3.1.0-2")} ${tag("MQTT5-3.1.0-2")} a \\"second\\" CONNECT", () => {})`
    const proof = { file: "test/a.test.ts", line: 1, title: 'a "second" CONNECT' }
    expect(scanTest("test/a.test.ts", text)).toEqual([
      { tag: "MQTT-3.1.0-2", proof },
      { tag: "MQTT5-3.1.0-2", proof }
    ])
  })

  it("reads the titles of it.each and of template literals, without their placeholders", () => {
    const text = `\n\nit.each(both)(\n  \`${tag("MQTT31-1")} it's taken · v\${version}\`, …)\nit.each(b)("${
      tag("MQTT-1.5.3-1")
    } closes · MQTT %s"`
    expect(scanTest("t", text).map(({ proof, tag }) => [tag, proof.line, proof.title])).toEqual([
      ["MQTT31-1", 3, "it's taken"],
      ["MQTT-1.5.3-1", 5, "closes"]
    ])
  })

  it("takes neither a tag in a comment nor one later in a title for a proof", () => {
    expect(scanTest("t", `// ${tag("MQTT-3.1.0-2")}\nit("see ${tag("MQTT-3.1.0-2")}", …)`)).toEqual([])
  })
})

describe("Conformance", () => {
  const idsOf = (name: string) => new Conformance(statements).named(name).map((row) => row.statement.id)

  it("lets a plain tag name both versions where they say the same, and version 5 where 3.1.1 has no such number", () => {
    expect(idsOf("MQTT-3.1.0-2")).toEqual(["MQTT-3.1.0-2", "MQTT5-3.1.0-2"])
    expect(idsOf("MQTT-3.1.2-4")).toEqual(["MQTT-3.1.2-4"])
    expect(idsOf("MQTT5-3.1.2-4")).toEqual(["MQTT5-3.1.2-4"])
    expect(idsOf("MQTT-3.3.2-18")).toEqual(["MQTT5-3.3.2-18"])
  })

  it("counts a line once that names a statement by both its tags", () => {
    const conformance = new Conformance(statements)
    const place = { file: "src/a.ts", line: 7 }
    conformance.addPlaces(["MQTT-3.1.0-2", "MQTT5-3.1.0-2"].map((tag) => ({ tag, place })))
    expect(conformance.rows.get("MQTT5-3.1.0-2")?.places).toEqual([place])
  })

  it("lists what has no place, what has no test and what names nothing, but not what does not apply", () => {
    const conformance = new Conformance(statements)
    const place = { file: "src/a.ts", line: 7 }
    conformance.addPlaces(
      ["MQTT-3.1.0-2", "MQTT-3.1.2-4", "MQTT5-3.1.2-4", "MQTT5-3.3.2-18", "MQTT-9.9.9-9"].map((tag) => ({ tag, place }))
    )
    conformance.addProofs(
      ["MQTT-3.1.0-2", "MQTT-3.1.2-4", "MQTT5-3.1.2-4", "MQTT31-1"].map((tag) => ({
        tag,
        proof: { ...place, title: "t" }
      }))
    )
    expect(conformance.gaps()).toEqual([
      "src/a.ts:7 [MQTT-9.9.9-9] names no statement",
      "[MQTT5-3.3.2-18] has no test: order of user properties",
      "[MQTT31-1] has no place in src: MQIsdp"
    ])
  })
})
