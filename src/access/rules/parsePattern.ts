// The text of a regular expression as a tree: characters, `.`, classes, `\d \w \s` and their opposites, groups, `|`, `* + ? {m,n}`; `^` at the
// beginning and `$` at the end say what holds anyway. No references, no look-around: those cannot be matched in one pass. Pure.
// Invariant: what is returned unrolls to at most `maxSize` states.

export type Accepts = (code: number) => boolean

export type Item =
  | { readonly _tag: "One"; readonly accepts: Accepts }
  | { readonly _tag: "Sequence"; readonly items: ReadonlyArray<Item> }
  | { readonly _tag: "Choice"; readonly items: ReadonlyArray<Item> }
  | { readonly _tag: "Repeat"; readonly item: Item; readonly least: number; readonly most: number }

export const maxPatternLength = 256
/** Characters after the counted repetitions are written out. */
export const maxSize = 1000

const maxDepth = 16

/** The tree, or what is wrong. */
export const parsePattern = (source: string): Item | string => {
  if (source.length > maxPatternLength) return `longer than ${maxPatternLength} characters`
  const parser = new PatternParser(source)
  const item = parser.choice(0)
  if (parser.fault !== "") return parser.fault
  if (!parser.atEnd) return `")" without "("`
  return sizeOf(item) > maxSize ? `its repetitions come to more than ${maxSize} characters` : item
}

const sizeOf = (item: Item): number => {
  switch (item._tag) {
    case "One":
      return 1
    case "Sequence":
    case "Choice":
      return item.items.reduce((sum, one) => sum + sizeOf(one) + 1, 1)
    case "Repeat":
      return (sizeOf(item.item) + 1) * (item.most === Infinity ? item.least + 1 : Math.max(1, item.most))
    default:
      return item satisfies never
  }
}

const isDigit: Accepts = (code) => code >= 0x30 && code <= 0x39
const isWord: Accepts = (code) =>
  isDigit(code) || (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a) || code === 0x5f
const isSpace: Accepts = (code) => code === 0x20 || (code >= 0x09 && code <= 0x0d)
const not = (accepts: Accepts): Accepts => (code) => !accepts(code)
const shorthand: ReadonlyMap<string, Accepts> = new Map([
  ["d", isDigit],
  ["D", not(isDigit)],
  ["w", isWord],
  ["W", not(isWord)],
  ["s", isSpace],
  ["S", not(isSpace)]
])

const one = (accepts: Accepts): Item => ({ _tag: "One", accepts })
const exactly = (character: string): Accepts => {
  const expected = character.charCodeAt(0)
  return (code) => code === expected
}

class PatternParser {
  /** The first thing that is wrong. */
  fault = ""
  private readonly source: string
  private at = 0

  constructor(source: string) {
    this.source = source
  }

  get atEnd(): boolean {
    return this.at >= this.source.length
  }

  choice(depth: number): Item {
    if (depth > maxDepth) this.fail(`groups nested deeper than ${maxDepth}`)
    const items = [this.sequence(depth)]
    while (this.fault === "" && this.take("|")) items.push(this.sequence(depth))
    return items.length === 1 && items[0] !== undefined ? items[0] : { _tag: "Choice", items }
  }

  private sequence(depth: number): Item {
    const items: Array<Item> = []
    while (this.fault === "" && !this.atEnd && this.peek !== "|" && this.peek !== ")") {
      if (this.peek === "^" && this.at === 0) {
        this.at++
        continue
      }
      if (this.peek === "$" && this.at === this.source.length - 1) {
        this.at++
        continue
      }
      items.push(this.repeated(this.atom(depth)))
    }
    return { _tag: "Sequence", items }
  }

  private atom(depth: number): Item {
    const character = this.next()
    switch (character) {
      case "(": {
        if (this.take("?") && !this.take(":")) this.fail(`"(?" other than "(?:"`)
        const item = this.fault === "" ? this.choice(depth + 1) : one(() => false)
        if (this.fault === "" && !this.take(")")) this.fail(`"(" without ")"`)
        return item
      }
      case "[":
        return one(this.characterClass())
      case ".":
        return one(() => true)
      case "\\":
        return one(this.escaped())
      case "*":
      case "+":
      case "?":
      case "{":
        this.fail(`nothing to repeat before "${character}"`)
        return one(() => false)
      case "^":
      case "$":
        this.fail(`"${character}" anywhere but at the ${character === "^" ? "beginning" : "end"}`)
        return one(() => false)
      default:
        return one(exactly(character))
    }
  }

  private repeated(item: Item): Item {
    let [least, most] = [1, 1]
    if (this.take("*")) [least, most] = [0, Infinity]
    else if (this.take("+")) [least, most] = [1, Infinity]
    else if (this.take("?")) [least, most] = [0, 1]
    else if (this.peek === "{") {
      const counted = /^\{(\d{1,4})(?:(,)(\d{1,4})?)?\}/.exec(this.source.slice(this.at))
      if (counted === null) {
        this.fail(`"{" that is not {n}, {n,} or {n,m}`)
        return item
      }
      this.at += counted[0].length
      least = Number(counted[1])
      most = counted[2] === undefined ? least : counted[3] === undefined ? Infinity : Number(counted[3])
      if (most < least) this.fail(`${counted[0]} counts backwards`)
    } else return item
    if (this.peek !== "" && "*+?{".includes(this.peek)) this.fail(`"${this.peek}" after a repetition`)
    return { _tag: "Repeat", item, least, most }
  }

  private characterClass(): Accepts {
    const negated = this.take("^")
    const parts: Array<Accepts> = []
    for (let first = true; first || this.peek !== "]"; first = false) {
      if (this.atEnd) {
        this.fail(`"[" without "]"`)
        return () => false
      }
      const low = this.next()
      if (low === "\\") {
        parts.push(this.escaped())
        continue
      }
      if (this.peek !== "-" || this.source[this.at + 1] === "]") {
        parts.push(exactly(low))
        continue
      }
      this.at++
      const high = this.next()
      const [from, to] = [low.charCodeAt(0), high.charCodeAt(0)]
      if (high === "" || high === "\\" || to < from) this.fail(`the range "${low}-${high}"`)
      parts.push((code) => code >= from && code <= to)
    }
    this.at++
    const inClass: Accepts = (code) => parts.some((part) => part(code))
    return negated ? not(inClass) : inClass
  }

  private escaped(): Accepts {
    const character = this.next()
    const known = shorthand.get(character)
    if (known !== undefined) return known
    if (character === "" || /[A-Za-z0-9]/.test(character)) this.fail(`"\\${character}"`)
    return exactly(character)
  }

  private fail(fault: string): void {
    if (this.fault === "") this.fault = fault
  }

  private get peek(): string {
    return this.source[this.at] ?? ""
  }

  private next(): string {
    return this.source[this.at++] ?? ""
  }

  private take(character: string): boolean {
    if (this.peek !== character) return false
    this.at++
    return true
  }
}
