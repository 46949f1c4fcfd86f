// Where each key of a TOML text stands: "listeners.tcp.port" → line 12. Pure; only run when there is a fault to
// report. Expects text that the TOML parser has accepted, so it checks nothing; on other text it gives what it has
// found so far.

/**
 * Key path (joined by dots; list items by their index) → line, the first being 1. A table has the line of its header.
 */
export const tomlPositions = (text: string): ReadonlyMap<string, number> => new Scanner(text).scan()

class Scanner {
  readonly #text: string
  #at = 0
  #line = 1
  readonly #found = new Map<string, number>()
  readonly #arrays = new Map<string, number>()

  constructor(text: string) {
    this.#text = text
  }

  scan(): ReadonlyMap<string, number> {
    let table: ReadonlyArray<string> = []
    while (this.#skipBlank(), this.#at < this.#text.length) {
      const before = this.#at
      if (this.#peek() === "[") table = this.#header()
      else this.#assignment(table)
      if (this.#at === before) break // never loops on text the parser would refuse
    }
    return this.#found
  }

  #peek(): string {
    return this.#text[this.#at] ?? ""
  }

  #advance(count = 1): void {
    for (let i = 0; i < count && this.#at < this.#text.length; i++, this.#at++) {
      if (this.#text[this.#at] === "\n") this.#line++
    }
  }

  #skipWhile(pattern: RegExp): void {
    while (this.#at < this.#text.length && pattern.test(this.#peek())) this.#advance()
  }

  #skipBlank(): void {
    for (;;) {
      this.#skipWhile(/[\s\uFEFF]/)
      if (this.#peek() !== "#") return
      this.#skipWhile(/[^\n]/)
    }
  }

  /** Each prefix of a dotted key gets the line where it is seen first. */
  #record(path: ReadonlyArray<string>, line: number): void {
    for (let length = 1; length <= path.length; length++) {
      const key = path.slice(0, length).join(".")
      if (!this.#found.has(key)) this.#found.set(key, line)
    }
  }

  #header(): ReadonlyArray<string> {
    const line = this.#line
    const isArray = this.#text.startsWith("[[", this.#at)
    this.#advance(isArray ? 2 : 1)
    let path = this.#keyPath()
    this.#advance(isArray ? 2 : 1)
    if (isArray) {
      const key = path.join(".")
      const index = this.#arrays.get(key) ?? 0
      this.#arrays.set(key, index + 1)
      path = [...path, String(index)]
    }
    this.#record(path, line)
    this.#found.set(path.join("."), line)
    return path
  }

  #assignment(table: ReadonlyArray<string>): void {
    const line = this.#line
    const path = [...table, ...this.#keyPath()]
    this.#record(path, line)
    this.#skipWhile(/[ \t]/)
    if (this.#peek() !== "=") return
    this.#advance()
    this.#value(path)
  }

  #keyPath(): ReadonlyArray<string> {
    const keys: Array<string> = []
    for (;;) {
      this.#skipWhile(/[ \t]/)
      const start = this.#at
      if (this.#peek() === `"` || this.#peek() === "'") {
        this.#string()
        keys.push(this.#text.slice(start + 1, this.#at - 1))
      } else {
        this.#skipWhile(/[A-Za-z0-9_-]/)
        keys.push(this.#text.slice(start, this.#at))
      }
      this.#skipWhile(/[ \t]/)
      if (this.#peek() !== ".") return keys
      this.#advance()
    }
  }

  #value(path: ReadonlyArray<string>): void {
    this.#skipWhile(/[ \t]/)
    switch (this.#peek()) {
      case `"`:
      case "'":
        return this.#string()
      case "[":
        return this.#collection(path, "]")
      case "{":
        return this.#collection(path, "}")
      default:
        return this.#skipWhile(/[^\n,#\]}]/) // a date may have a space in it
    }
  }

  #string(): void {
    const quote = this.#peek()
    const isLong = this.#text.startsWith(quote.repeat(3), this.#at)
    const end = isLong ? quote.repeat(3) : quote
    this.#advance(end.length)
    while (this.#at < this.#text.length && !this.#text.startsWith(end, this.#at)) {
      this.#advance(quote === `"` && this.#peek() === "\\" ? 2 : 1)
    }
    this.#advance(end.length)
    if (isLong) { while (this.#peek() === quote) this.#advance() // `""""` closes too: one quote belongs to the text
     }
  }

  #collection(path: ReadonlyArray<string>, end: "]" | "}"): void {
    this.#advance()
    for (let index = 0; this.#skipBlank(), this.#at < this.#text.length; index++) {
      if (this.#peek() === end) return this.#advance()
      const before = this.#at
      if (end === "}") {
        this.#assignment(path)
      } else {
        const item = [...path, String(index)]
        this.#record(item, this.#line)
        this.#value(item)
      }
      this.#skipBlank()
      if (this.#peek() === ",") this.#advance()
      if (this.#at === before) return
    }
  }
}
