// Finds the clause tags in source files and in the titles of tests, and says which statements they name.
// build.ts feeds it file texts; nothing here touches the disk. Invariant: a tag that names no statement is never dropped in
// silence, it comes back in `unknown`.

export interface Statement {
  readonly id: string
  readonly applies: "server" | "client" | "both"
  readonly text: string
  /** version 5 only: the 3.1.1 statement of the same number says the same, so a plain tag names both */
  readonly same?: boolean
  /** why nothing has to be enforced or proved */
  readonly reason?: string
}

export interface Place {
  readonly file: string
  readonly line: number
}

export interface Proof extends Place {
  readonly title: string
}

export interface TaggedPlace {
  readonly tag: string
  readonly place: Place
}

export interface TaggedProof {
  readonly tag: string
  readonly proof: Proof
}

const tagPattern = /\[(MQTT(?:5|31)?-[\d.]+(?:-\d+)?)\]/g

// The first argument of a call, a literal that begins with a tag: it("[…] …"), it.each(both)(`[…] …`), describe('[…] …').
const titlePattern = /\(\s*(["'`])(\[MQTT(?:5|31)?-(?:\\.|(?!\1)[^\\])*)\1/g

const lineOf = (text: string, index: number): number => {
  let line = 1
  for (let at = text.indexOf("\n"); at !== -1 && at < index; at = text.indexOf("\n", at + 1)) line++
  return line
}

/** Every tag in a source file, wherever it stands; a tag twice on one line counts once. */
export const scanSource = (file: string, text: string): Array<TaggedPlace> => {
  const found: Array<TaggedPlace> = []
  text.split("\n").forEach((line, index) => {
    for (const tag of new Set(Array.from(line.matchAll(tagPattern), (match) => match[1] ?? ""))) {
      found.push({ tag, place: { file, line: index + 1 } })
    }
  })
  return found
}

/** The tags at the head of each test title, and the title without them. Tags further on in a title are prose. */
export const scanTest = (file: string, text: string): Array<TaggedProof> => {
  const found: Array<TaggedProof> = []
  for (const match of text.matchAll(titlePattern)) {
    const literal = match[2] ?? ""
    const head = /^(?:\[MQTT(?:5|31)?-[\d.]+(?:-\d+)?\]\s*)+/.exec(literal)?.[0] ?? ""
    const title = literal.slice(head.length)
      .replace(/\$\{[^}]*\}|%[sidj]/g, "…").replace(/\\(.)/g, "$1").replace(/ · (?:MQTT |v)?…$/, "").trim()
    const line = lineOf(text, match.index)
    for (const tag of head.matchAll(tagPattern)) found.push({ tag: tag[1] ?? "", proof: { file, line, title } })
  }
  return found
}

export interface Row {
  readonly statement: Statement
  readonly places: Array<Place>
  readonly proofs: Array<Proof>
}

/** A line may name a statement twice, by its plain tag and by its version's. */
const pushNew = <A extends Place>(list: Array<A>, place: A): void => {
  if (!list.some(({ file, line }) => file === place.file && line === place.line)) list.push(place)
}

/**
 * A plain tag names the 3.1.1 statement of that number, and version 5's where it says the same or where 3.1.1 has no such
 * number; MQTT5- and MQTT31- tags name their version's statement alone.
 */
export class Conformance {
  readonly rows = new Map<string, Row>()
  readonly unknown: Array<string> = []

  constructor(statements: Iterable<Statement>) {
    for (const statement of statements) this.rows.set(statement.id, { statement, places: [], proofs: [] })
  }

  named(tag: string): Array<Row> {
    const rows = [this.rows.get(tag)]
    if (tag.startsWith("MQTT-")) {
      const five = this.rows.get(`MQTT5-${tag.slice(5)}`)
      if (five !== undefined && (five.statement.same === true || rows[0] === undefined)) rows.push(five)
    }
    return rows.filter((row) => row !== undefined)
  }

  addPlaces(tagged: ReadonlyArray<TaggedPlace>): void {
    for (const { place, tag } of tagged) this.#add(tag, place, (row) => pushNew(row.places, place))
  }

  addProofs(tagged: ReadonlyArray<TaggedProof>): void {
    for (const { proof, tag } of tagged) this.#add(tag, proof, (row) => pushNew(row.proofs, proof))
  }

  /** What is still open, one line a gap; empty when the table has no empty cell. */
  gaps(): Array<string> {
    const gaps = [...this.unknown]
    for (const { places, proofs, statement } of this.rows.values()) {
      if (statement.reason !== undefined) continue
      if (places.length === 0) gaps.push(`[${statement.id}] has no place in src: ${statement.text}`)
      if (proofs.length === 0) gaps.push(`[${statement.id}] has no test: ${statement.text}`)
    }
    return gaps
  }

  #add(tag: string, place: Place, add: (row: Row) => void): void {
    const rows = this.named(tag)
    if (rows.length === 0) this.unknown.push(`${place.file}:${place.line} [${tag}] names no statement`)
    rows.forEach(add)
  }
}
