// Writes docs/conformance.md: a summary, then one table a version, grouped by the chapters of the standard.
// Called by build.ts with filled rows. Invariant: every row has four cells, and none is empty.

import type { Conformance, Place, Proof, Row } from "./scan.ts"

export interface Version {
  readonly name: string
  readonly source: string
  readonly prefix: string
}

export const versions: ReadonlyArray<Version> = [
  { name: "MQTT 5.0", prefix: "MQTT5-", source: "OASIS Standard, 7 March 2019, Appendix B" },
  { name: "MQTT 3.1.1", prefix: "MQTT-", source: "OASIS Standard, 29 October 2014, Appendix B" },
  {
    name: "MQTT 3.1",
    prefix: "MQTT31-",
    source: "IBM and Eurotech, 2010; it numbers no statements, so these are what sets it apart from 3.1.1"
  }
]

const chapters: Readonly<Record<string, string>> = {
  "1": "1 Data representation",
  "2": "2 Control packet format",
  "3.1": "3.1 CONNECT",
  "3.2": "3.2 CONNACK",
  "3.3": "3.3 PUBLISH",
  "3.4": "3.4 PUBACK",
  "3.5": "3.5 PUBREC",
  "3.6": "3.6 PUBREL",
  "3.7": "3.7 PUBCOMP",
  "3.8": "3.8 SUBSCRIBE",
  "3.9": "3.9 SUBACK",
  "3.10": "3.10 UNSUBSCRIBE",
  "3.11": "3.11 UNSUBACK",
  "3.12": "3.12 PINGREQ",
  "3.14": "3.14 DISCONNECT",
  "3.15": "3.15 AUTH",
  "4": "4 Operational behaviour",
  "6": "6 WebSocket",
  "7": "7 Conformance"
}

const chapterOf = (number: string): string => {
  const [first = "", second = ""] = number.split(".")
  return chapters[`${first}.${second}`] ?? chapters[first] ?? "Peculiarities"
}

const numberOf = (row: Row): string => row.statement.id.replace(/^MQTT\d*-/, "")
const escaped = (text: string): string =>
  text.replace(/\|/g, "\\|").replace(/</g, "&lt;").replace(/\[/g, "\\[").replace(/\*/g, "\\*").replace(/\$/g, "&#36;")
const link = (text: string, place: Place): string => `[${escaped(text)}](../${place.file}#L${place.line})`
const shortFile = (file: string): string => file.replace(/^(?:src|test)\//, "")

/** One test is enough to show a title; the others follow as line links. */
const cell = (links: ReadonlyArray<string>, most: number): string =>
  links.length === 0
    ? "**missing**"
    : links.slice(0, most).join("<br>") + (links.length > most ? `<br>and ${links.length - most} more` : "")

const places = (found: ReadonlyArray<Place>): string =>
  cell(found.map((place) => link(`${shortFile(place.file)}:${place.line}`, place)), 3)

const proofs = (found: ReadonlyArray<Proof>): string =>
  cell(
    found.map((proof) => `${link(shortFile(proof.file).replace(/\.test\.ts$/, ""), proof)} › ${escaped(proof.title)}`),
    2
  )

const tableOf = (rows: ReadonlyArray<Row>): string =>
  [
    "| number | statement | enforced at | proved by |",
    "| --- | --- | --- | --- |",
    ...rows.map((row) => {
      const { statement } = row
      const evidence = statement.reason !== undefined
        ? `does not apply | ${escaped(statement.reason)}`
        : `${places(row.places)} | ${proofs(row.proofs)}`
      return `| ${numberOf(row)} | ${escaped(statement.text)} | ${evidence} |`
    })
  ].join("\n")

const proven = (row: Row): boolean => row.places.length > 0 && row.proofs.length > 0
const applies = (row: Row): boolean => row.statement.reason === undefined

export const render = (conformance: Conformance): string => {
  const sections = versions.map((version) => ({
    version,
    rows: Array.from(conformance.rows.values()).filter((row) => row.statement.id.startsWith(version.prefix))
  }))
  const summary = sections.map(({ rows, version }) => {
    const due = rows.filter(applies)
    const tests = new Set(rows.flatMap((row) => row.proofs.map((proof) => `${proof.file}:${proof.line}`))).size
    return `| [${version.name}](#${
      version.name.toLowerCase().replace(/[^a-z0-9 ]/g, "").replace(/ /g, "-")
    }) | ${rows.length} | ${due.length} | ${due.filter(proven).length} | ${rows.length - due.length} | ${tests} |`
  })
  const bodies = sections.map(({ rows, version }) => {
    const groups = new Map<string, Array<Row>>()
    for (const row of rows) {
      const chapter = chapterOf(numberOf(row))
      const group = groups.get(chapter)
      if (group === undefined) groups.set(chapter, [row])
      else group.push(row)
    }
    const parts = Array.from(
      groups,
      ([chapter, group]) => groups.size === 1 ? tableOf(group) : `### ${chapter}\n\n${tableOf(group)}`
    )
    return `## ${version.name}\n\nSource: ${version.source}.\n\n${parts.join("\n\n")}`
  })
  return [
    "# Conformance",
    "",
    "Every normative statement of the MQTT standards: what it says in short, the line of code that enforces it, and the test that",
    "proves it with exact bytes against a running broker. A statement that does not apply says why. The wording is ours; the",
    "standard's counts. Written by `bun scripts/conformance/build.ts` from the clause tags in `src` and in the titles of the tests, so",
    "do not edit it by hand; a statement without a place or without a test makes that script fail.",
    "",
    "| version | statements | apply | enforced and proved | do not apply | tests |",
    "| --- | --: | --: | --: | --: | --: |",
    ...summary,
    "",
    "The numbers are those of the standards; MQTT 5.0 has no 2.2.1-1.",
    "",
    "All tests of `test/conformance` run over each transport on both runtimes (`EMQTTD_TEST_TRANSPORT`, see",
    "[testing.md](testing.md)); over WebSocket with packets cut and joined over frames and fragments:",
    "",
    "| | TCP | TLS | WebSocket | WebSocket over TLS |",
    "| --- | --- | --- | --- | --- |",
    "| Bun | all pass | all pass | all pass | all pass |",
    "| Deno | all pass | all pass | all pass | all pass |",
    "",
    bodies.join("\n\n"),
    ""
  ].join("\n")
}
