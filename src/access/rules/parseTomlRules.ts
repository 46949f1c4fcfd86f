// Our own form of the rules: TOML, a list of tables `[[rules]]`. All conditions of a table have to hold; of a list, one. Pure.
// Invariant: every fault is found, with its line; a key that is not known is a fault, or a condition could be left out by a slip.
import { Predicate, Result } from "effect"
import * as Toml from "effect/encoding/Toml"
import { tomlPositions } from "../../config/tomlPositions.ts"
import { nearest } from "../../config/suggest.ts"
import { validateTopicFilter } from "../../mqtt/Topic.ts"
import { AddressRange } from "./AddressRange.ts"
import { NamePattern } from "./NamePattern.ts"
import { anyQoS, type ParsedRules, type Rule, type RuleFault, type TopicSpec, type Who } from "./Rule.ts"

type Table = { readonly [key: string]: unknown }

const isTable = (value: unknown): value is Table =>
  Predicate.isObject(value) && !Array.isArray(value) && !(value instanceof Date)

export const parseTomlRules = (file: string, text: string): ParsedRules => {
  const give = (rules: ReadonlyArray<Rule>, faults: ReadonlyArray<RuleFault>): ParsedRules => ({
    rules: { file, rules, dialect: "first_match" },
    faults: faults.toSorted((a, b) => a.line - b.line)
  })
  const parsed = Toml.parse(text)
  if (Result.isFailure(parsed)) {
    const [, message = parsed.failure.message, line = "1"] =
      /^(.*) at line (\d+), column \d+$/s.exec(parsed.failure.message) ?? []
    return give([], [{ line: Number(line), message: `syntax: ${message.charAt(0).toLowerCase()}${message.slice(1)}` }])
  }
  const lines = tomlPositions(text)
  const faults: Array<RuleFault> = []
  const rules: Array<Rule> = []
  for (const [key, value] of Object.entries(parsed.success)) {
    const line = lines.get(key) ?? 1
    if (key !== "rules") faults.push({ line, message: `unknown key ${key}; a file of rules has [[rules]] alone` })
    else if (!Array.isArray(value)) faults.push({ line, message: "expected a list of tables: [[rules]]" })
    else {
      for (const [index, table] of value.entries()) {
        const path = `rules.${index}`
        if (!isTable(table)) {
          faults.push({ line: lines.get(path) ?? line, message: "expected a table: [[rules]]" })
          continue
        }
        const reader = new TableReader(table, lines.get(path) ?? line, (key) => lines.get(`${path}.${key}`))
        const rule = reader.rule()
        faults.push(...reader.faults)
        rules.push(rule)
      }
    }
  }
  return give(rules, faults)
}

/** One rule as a table, from wherever it comes. With faults the rule is not to be used. */
export const readRuleTable = (
  table: Table,
  line: number
): { readonly rule: Rule; readonly faults: ReadonlyArray<RuleFault> } => {
  const reader = new TableReader(table, line, () => undefined)
  const rule = reader.rule()
  return { rule, faults: reader.faults }
}

const textConditions: ReadonlyArray<readonly [key: string, expected: string, who: (text: string) => Who | string]> = [
  ["user", "a user name", (name) => ({ _tag: "User", name })],
  ["client", "a client id", (clientId) => ({ _tag: "Client", clientId })],
  ["user_regex", "a regular expression", (text) => patternOf(text, (pattern) => ({ _tag: "UserPattern", pattern }))],
  [
    "client_regex",
    "a regular expression",
    (text) => patternOf(text, (pattern) => ({ _tag: "ClientPattern", pattern }))
  ],
  ["address", 'an address or a range as "10.0.0.0/8"', (text) => {
    const range = AddressRange.parse(text)
    return range === undefined ? "no address and no range" : { _tag: "Address", range }
  }],
  ["listener", "a listener's name", (name) => ({ _tag: "Listener", name })],
  ["certificate_cn", "a common name", (commonName) => ({ _tag: "CertificateName", commonName })]
]

const patternOf = (text: string, who: (pattern: NamePattern) => Who): Who | string => {
  const pattern = NamePattern.parse(text)
  return typeof pattern === "string" ? pattern : who(pattern)
}

const knownKeys = [...textConditions.map(([key]) => key), "effect", "anonymous", "action", "topics", "qos", "retain"]

const show = (value: unknown): string => {
  const text = JSON.stringify(value) ?? "nothing"
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}

const listOf = (value: unknown): ReadonlyArray<unknown> => Array.isArray(value) ? value : [value]

class TableReader {
  readonly faults: Array<RuleFault> = []
  private readonly table: Table
  private readonly line: number
  private readonly lineOf: (key: string) => number | undefined

  constructor(table: Table, line: number, lineOf: (key: string) => number | undefined) {
    this.table = table
    this.line = line
    this.lineOf = lineOf
  }

  rule(): Rule {
    for (const key of Object.keys(this.table)) {
      if (knownKeys.includes(key)) continue
      const near = nearest(key, knownKeys)
      this.fault(key, `unknown key${near === undefined ? "" : `; did you mean ${near}?`}`)
    }
    const effect = this.choice("effect", ["allow", "deny"] as const, undefined)
    const action = this.choice("action", ["publish", "subscribe", "pubsub"] as const, "pubsub")
    const { retain } = this.table
    if (retain !== undefined && typeof retain !== "boolean") {
      this.fault("retain", `expected true or false, got ${show(retain)}`)
    }
    if (retain !== undefined && action !== "publish") {
      this.fault("retain", `a SUBSCRIBE has no RETAIN: say action = "publish" as well`)
    }
    return {
      effect: effect ?? "deny",
      action: action ?? "pubsub",
      who: this.who(),
      topics: this.topics(),
      qos: this.qos(),
      retain: typeof retain === "boolean" ? retain : undefined,
      line: this.line
    }
  }

  private choice<const A extends string>(
    key: string,
    values: ReadonlyArray<A>,
    otherwise: A | undefined
  ): A | undefined {
    const value = this.table[key]
    if (value === undefined && otherwise !== undefined) return otherwise
    const known = values.find((one) => one === value)
    if (known === undefined) this.fault(key, `expected ${values.map(show).join(" or ")}, got ${show(value)}`)
    return known
  }

  private who(): Who {
    const all: Array<Who> = []
    for (const [key, expected, whoOf] of textConditions) {
      const value = this.table[key]
      if (value === undefined) continue
      const any: Array<Who> = []
      for (const one of listOf(value)) {
        const who = typeof one === "string" && one !== "" ? whoOf(one) : ""
        if (typeof who !== "string") any.push(who)
        else this.fault(key, `expected ${expected}, got ${show(one)}${who === "" ? "" : `: ${who}`}`)
      }
      all.push(any.length === 1 && any[0] !== undefined ? any[0] : { _tag: "Or", any })
    }
    const { anonymous } = this.table
    if (anonymous === true) all.push({ _tag: "Anonymous" })
    else if (anonymous !== undefined) this.fault("anonymous", `expected true, got ${show(anonymous)}`)
    // Alone, a name is found by the name (RuleSet).
    if (all.length === 1 && all[0] !== undefined) return all[0]
    return all.length === 0 ? { _tag: "All" } : { _tag: "And", all }
  }

  private topics(): ReadonlyArray<TopicSpec> | undefined {
    const { topics } = this.table
    if (topics === undefined) return undefined
    return listOf(topics).flatMap((one): ReadonlyArray<TopicSpec> => {
      if (typeof one === "string" && validateTopicFilter(one)) {
        if (one.split("/").some((level) => level.length > 2 && /%[uc]/.test(level))) {
          this.fault(
            "topics",
            `%u and %c stand for a whole level, got ${show(one)}; { eq = "text" } takes them as they are`
          )
        }
        return [{ filter: one, exact: false, placeholders: "levels" }]
      }
      if (isTable(one) && Object.keys(one).length === 1 && typeof one["eq"] === "string" && one["eq"] !== "") {
        return [{ filter: one["eq"], exact: true, placeholders: "none" }]
      }
      this.fault("topics", `expected a topic filter or { eq = "text" }, got ${show(one)}`)
      return []
    })
  }

  private qos(): number {
    const { qos } = this.table
    if (qos === undefined) return anyQoS
    let bits = 0
    for (const one of listOf(qos)) {
      if (one === 0 || one === 1 || one === 2) bits |= 1 << one
      else this.fault("qos", `expected 0, 1 or 2 or a list of these, got ${show(one)}`)
    }
    return bits
  }

  private fault(key: string, message: string): void {
    this.faults.push({ line: this.lineOf(key) ?? this.line, message: `${key}: ${message}` })
  }
}
