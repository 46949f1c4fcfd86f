// Reads the part of Erlang's term notation that the original's files use: tuples, lists, atoms, strings, binaries, integers; each term ends
// with a full stop; "%" begins a comment. Pure. Invariant: a fault costs its own term only, reading goes on behind the next full stop.
import type { RuleFault } from "./Rule.ts"

export type Term =
  | { readonly _tag: "Atom"; readonly name: string; readonly line: number }
  | { readonly _tag: "Text"; readonly text: string; readonly line: number }
  | { readonly _tag: "Number"; readonly value: number; readonly line: number }
  | { readonly _tag: "Tuple"; readonly items: ReadonlyArray<Term>; readonly line: number }
  | { readonly _tag: "List"; readonly items: ReadonlyArray<Term>; readonly line: number }

/** A tuple of tuples deeper than this is no rule. */
const maxDepth = 32

interface Reading {
  readonly terms: ReadonlyArray<Term>
  readonly faults: ReadonlyArray<RuleFault>
}

export const readTerms = (text: string): Reading => {
  const reader = new TermReader(text.startsWith("\uFEFF") ? text.slice(1) : text)
  const terms: Array<Term> = []
  const faults: Array<RuleFault> = []
  while (reader.skipBlank()) {
    const outcome = reader.read()
    if (outcome._tag === "Fault") faults.push(outcome)
    else terms.push(outcome)
  }
  return { terms, faults }
}

interface Fault extends RuleFault {
  readonly _tag: "Fault"
}

const escapes: ReadonlyMap<string, string> = new Map([
  ["b", "\b"],
  ["d", "\x7f"],
  ["e", "\x1b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["s", " "],
  ["t", "\t"],
  ["v", "\v"]
])

class TermReader {
  private readonly text: string
  private at = 0
  private line = 1

  constructor(text: string) {
    this.text = text
  }

  /** False: there is nothing left but blanks and comments. */
  skipBlank(): boolean {
    for (; this.at < this.text.length; this.advance()) {
      const c = this.peek
      if (c === "%") { while (this.at < this.text.length && this.peek !== "\n") this.at++ }
      else if (!/\s/.test(c)) return true
    }
    return false
  }

  /** One term and its full stop. */
  read(): Term | Fault {
    const begin = this.line
    const term = this.term(0)
    if (term._tag === "Fault") return this.recover(term, begin)
    this.skipBlank()
    if (!this.atFullStop) return this.recover(this.fault(`expected "." after the rule`, term.line), begin)
    this.at++
    return term
  }

  private term(depth: number): Term | Fault {
    this.skipBlank()
    if (depth > maxDepth) return this.fault("nested too deeply")
    const line = this.line
    const c = this.peek
    if (c === "{") return this.sequence("Tuple", "}", depth)
    if (c === "[") return this.sequence("List", "]", depth)
    if (c === `"`) return this.strings()
    if (c === "'") {
      const name = this.quoted("'")
      return typeof name === "string" ? { _tag: "Atom", name, line } : name
    }
    if (this.text.startsWith("<<", this.at)) return this.binary()
    const word = this.match(/[a-z][\p{L}\p{N}_@]*/uy)
    if (word !== undefined) return { _tag: "Atom", name: word, line }
    const number = this.match(/[+-]?\d+/y)
    if (number !== undefined) return { _tag: "Number", value: Number(number), line }
    return this.fault(c === "" ? "the file ends inside a rule" : `${JSON.stringify(c)} is not expected here`)
  }

  private sequence(tag: "Tuple" | "List", end: string, depth: number): Term | Fault {
    const line = this.line
    this.at++
    const items: Array<Term> = []
    this.skipBlank()
    if (this.take(end)) return { _tag: tag, items, line }
    for (;;) {
      const item = this.term(depth + 1)
      if (item._tag === "Fault") return item
      items.push(item)
      this.skipBlank()
      if (this.take(end)) return { _tag: tag, items, line }
      if (!this.take(",")) return this.fault(`expected "," or "${end}"${this.peek === "" ? ", but the file ends" : ""}`)
    }
  }

  /** Strings that follow each other are one. */
  private strings(): Term | Fault {
    const line = this.line
    let text = ""
    while (this.peek === `"`) {
      const part = this.quoted(`"`)
      if (typeof part !== "string") return part
      text += part
      this.skipBlank()
    }
    return { _tag: "Text", text, line }
  }

  /** `<<"text">>`, also with `/utf8`. */
  private binary(): Term | Fault {
    const line = this.line
    this.at += 2
    this.skipBlank()
    let text = ""
    if (this.peek === `"`) {
      const part = this.quoted(`"`)
      if (typeof part !== "string") return part
      text = part
      this.match(/\/utf8/y)
      this.skipBlank()
    }
    if (!this.text.startsWith(">>", this.at)) return this.fault(`expected <<"text">>`, line)
    this.at += 2
    return { _tag: "Text", text, line }
  }

  private quoted(quote: string): string | Fault {
    const [line, start] = [this.line, this.at]
    this.at++
    let text = ""
    for (;;) {
      const c = this.peek
      if (c === "") {
        // The rest of the file is in it; what follows the line where it began may be well.
        this.at = start
        this.line = line
        while (this.at < this.text.length && this.peek !== "\n") this.at++
        return { _tag: "Fault", line, message: `${quote} is never closed` }
      }
      this.advance()
      if (c === quote) return text
      text += c === "\\" ? this.escape() : c
    }
  }

  private escape(): string {
    const hex = this.match(/x\{([0-9A-Fa-f]{1,6})\}|x[0-9A-Fa-f]{2}/y)
    if (hex !== undefined) return codePoint(Number.parseInt(hex.replace(/[x{}]/g, ""), 16))
    const octal = this.match(/[0-7]{1,3}/y)
    if (octal !== undefined) return codePoint(Number.parseInt(octal, 8))
    const control = this.match(/\^[@-_a-z]/y)
    if (control !== undefined) return codePoint(control.charCodeAt(1) & 0x1f)
    const c = this.peek
    this.advance()
    return escapes.get(c) ?? c
  }

  /** A full stop ends a term when white space, a comment or the end of the file follows. */
  private get atFullStop(): boolean {
    return this.peek === "." && /^(?:[\s%]|$)/.test(this.text.slice(this.at + 1, this.at + 2))
  }

  /** Goes behind the next full stop that stands in no string; a line that begins with "{" begins a rule as well. */
  private recover(found: Fault, begin: number): Fault {
    const fault = found.line === begin
      ? found
      : { ...found, message: `${found.message} (the rule begins on line ${begin})` }
    while (this.at < this.text.length) {
      if (this.atFullStop) {
        this.at++
        return fault
      }
      const c = this.peek
      if (c === "{" && this.line > begin && this.text[this.at - 1] === "\n") return fault
      if (c === "%") {
        while (this.at < this.text.length && this.peek !== "\n") this.at++
      } else if (c === `"`) {
        // One that ends on its line is a string; another is what was wrong.
        if (this.match(/"(?:\\.|[^"\\\n])*"/y) === undefined) this.advance()
      } else {
        this.advance()
      }
    }
    return fault
  }

  private fault(message: string, line = this.line): Fault {
    return { _tag: "Fault", line, message }
  }

  private get peek(): string {
    return this.text[this.at] ?? ""
  }

  private advance(): void {
    if (this.text[this.at] === "\n") this.line++
    this.at++
  }

  private take(character: string): boolean {
    if (this.peek !== character) return false
    this.at++
    return true
  }

  private match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.text)
    if (found === null) return undefined
    this.at += found[0].length
    return found[0]
  }
}

const codePoint = (value: number): string => value <= 0x10ffff ? String.fromCodePoint(value) : "\uFFFD"
