// The original's SQL with placeholders becomes a statement with parameters: '%u' and %u are each one parameter, and so is a literal with
// more in it ('device-%c'). Pure. Invariant: a placeholder becomes a parameter or the template is refused; none stays in the text.
import { cutTemplate, fill, type Names, type Piece, type Placeholder, placeholdersIn } from "./placeholders.ts"

export type SqlDialect = "postgres" | "mysql"

export interface SqlTemplate {
  /** With $1, $2… or ? in place of what differs. */
  readonly sql: string
  readonly parameters: ReadonlyArray<ReadonlyArray<Piece>>
  readonly uses: ReadonlySet<Placeholder>
}

/** Null where a value is missing: it equals nothing in SQL. */
export const parametersOf = ({ parameters }: SqlTemplate, names: Names): ReadonlyArray<string | null> =>
  parameters.map((pieces) => fill(pieces, names) ?? null)

/** A text: what is wrong with it. */
export const parseSqlTemplate = (template: string, dialect: SqlDialect): SqlTemplate | string => {
  const parser = new SqlParser(template.trim().replace(/;$/, ""), dialect)
  return parser.parse()
}

const dollarTag = /\$(?:[A-Za-z_][A-Za-z0-9_]*)?\$/y

class SqlParser {
  private readonly text: string
  private readonly dialect: SqlDialect
  private readonly parameters: Array<ReadonlyArray<Piece>> = []
  private sql = ""
  private at = 0

  constructor(text: string, dialect: SqlDialect) {
    this.text = text
    this.dialect = dialect
  }

  parse(): SqlTemplate | string {
    while (this.at < this.text.length) {
      const fault = this.step()
      if (fault !== undefined) return fault
    }
    return { sql: this.sql, parameters: this.parameters, uses: placeholdersIn(this.parameters.flat()) }
  }

  /** One token. */
  private step(): string | undefined {
    const { text } = this
    const isMysql = this.dialect === "mysql"
    const here = text[this.at] ?? ""
    const two = text.slice(this.at, this.at + 2)
    if (here === "'" || (isMysql && here === '"')) return this.literal(here)
    if (here === '"' || (isMysql && here === "`")) return this.verbatim(here, "a quoted name")
    if (two === "--" || (isMysql && here === "#")) return this.verbatim("\n", "a comment")
    if (two === "/*") return this.verbatim("*/", "a comment")
    if (here === "$" && !isMysql) {
      dollarTag.lastIndex = this.at
      const tag = dollarTag.exec(text)?.[0]
      if (tag !== undefined) return this.verbatim(tag, `a text in ${tag}`)
      if (/\d/.test(two)) return `${two} is no placeholder: they are %u, %c, %a, %P, %C and %d`
    }
    if (here === "?" && isMysql) return "? is no placeholder: they are %u, %c, %a, %P, %C and %d"
    const [piece] = here === "%" ? cutTemplate(two) : []
    if (piece !== undefined && "placeholder" in piece) {
      this.parameter([piece])
      this.at += 2
      return undefined
    }
    this.sql += here
    this.at += two === "%%" ? 2 : 1
    return undefined
  }

  /** As it is, up to `end` or the end of all; no placeholder may be in it. */
  private verbatim(end: string, what: string): string | undefined {
    const close = this.text.indexOf(end, this.at + (end === "\n" ? 1 : end.length))
    const whole = this.text.slice(this.at, close === -1 ? this.text.length : close + end.length)
    const pieces = cutTemplate(whole)
    const [first] = placeholdersIn(pieces)
    if (first !== undefined) return `${first} stands in ${what}, where no value can stand`
    this.sql += whole
    this.at += whole.length
    return undefined
  }

  private literal(quote: string): string | undefined {
    const backslash = this.dialect === "mysql" || /(?:^|[^A-Za-z0-9_$])[eE]$/.test(this.text.slice(0, this.at))
    let end = this.at + 1
    let escaped = false
    for (;; end++) {
      const c = this.text[end]
      if (c === undefined) return `the quote ${quote} is not closed`
      if (c === "\\" && backslash) {
        escaped = true
        end++
      } else if (c === quote) {
        if (this.text[end + 1] !== quote) break
        end++
      }
    }
    const whole = this.text.slice(this.at, end + 1)
    const content = whole.slice(1, -1).replaceAll(quote + quote, quote)
    const pieces = cutTemplate(content)
    const [first] = placeholdersIn(pieces)
    if (first === undefined) this.sql += whole.replaceAll("%%", "%")
    else {
      if (escaped || /[A-Za-z0-9_$&]$/.test(this.text.slice(0, this.at))) {
        return `${first} stands in ${whole}: write a plain '…' without a prefix and without a backslash`
      }
      this.parameter(pieces)
    }
    this.at = end + 1
    return undefined
  }

  private parameter(pieces: ReadonlyArray<Piece>): void {
    this.parameters.push(pieces)
    this.sql += this.dialect === "mysql" ? "?" : `$${this.parameters.length}`
  }
}
