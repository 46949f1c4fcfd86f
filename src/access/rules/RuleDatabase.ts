// The rules that the node keeps itself: an ordered list in memory, each rule a record in the store whose key is its place. Read at the start,
// changed while it runs by the management API. Invariants: a rule keeps its number as long as it lives; the order in memory is the order
// of the keys; only whole rules come in.
import { Result, Schema } from "effect"
import type { Journal } from "../../store/Journal.ts"
import { readRuleTable } from "./parseTomlRules.ts"
import type { Rule, RuleFile } from "./Rule.ts"

/** A rule in our own form, as `[[rules]]` of a TOML file has it. */
export type RuleTable = { readonly [key: string]: Schema.Json }

export interface KeptRule {
  /** Names it: in decisions ("built_in:7"), and for its removal. */
  readonly number: number
  readonly table: RuleTable
  readonly rule: Rule
}

/** The kind of their records. */
export const ruleKind = "rule"
/** The name of the source, and what a decision calls its file. */
export const builtIn = "built_in"

const Stored = Schema.fromJsonString(
  Schema.Struct({ number: Schema.Int, rule: Schema.Record(Schema.String, Schema.Json) })
)
const decode = Schema.decodeUnknownResult(Stored)

/** Between two places there is room for others. */
const step = 2 ** 20
const keyOf = (place: number): string => String(place).padStart(16, "0")

export interface Placed extends KeptRule {
  readonly place: number
}

/** A record of the store as a rule; undefined: it is none. */
export const keptRuleOf = (key: string, value: Uint8Array): Placed | undefined => {
  const found = decode(new TextDecoder().decode(value))
  if (Result.isFailure(found) || !/^\d{16}$/.test(key)) return undefined
  const { number, rule: table } = found.success
  const { faults, rule } = readRuleTable(table, number)
  return faults.length > 0 ? undefined : { number, table, rule, place: Number(key) }
}

/** In their order. */
export const ruleFileOf = (rules: ReadonlyArray<KeptRule>): RuleFile => ({
  file: builtIn,
  rules: rules.map(({ rule }) => rule),
  dialect: "first_match"
})

export class RuleDatabase {
  private readonly journal: Journal
  private readonly maximum: () => number
  private readonly changed: (rules: RuleFile) => void
  private rules: Array<Placed> = []
  private lastNumber = 0

  /** `changed`: puts the new rules in force. */
  constructor(journal: Journal, maximum: () => number, changed: (rules: RuleFile) => void) {
    this.journal = journal
    this.maximum = maximum
    this.changed = changed
  }

  /** From the store, in the order of the keys; nothing is written. False: it is none. */
  load(key: string, value: Uint8Array): boolean {
    const rule = keptRuleOf(key, value)
    if (rule === undefined) return false
    this.rules.push(rule)
    this.lastNumber = Math.max(this.lastNumber, rule.number)
    return true
  }

  get list(): ReadonlyArray<KeptRule> {
    return this.rules
  }

  get file(): RuleFile {
    return ruleFileOf(this.rules)
  }

  /** `before`: the number of the rule that it goes before; undefined: it is the last. A text: what is wrong. */
  add(table: RuleTable, before: number | undefined): { readonly number: number; readonly group: number } | string {
    if (this.rules.length >= this.maximum()) return "there are authorization.max_built_in_rules rules already"
    const number = this.lastNumber + 1
    const { faults, rule } = readRuleTable(table, number)
    if (faults.length > 0) return faults.map(({ message }) => message).join("; ")
    const at = before === undefined ? this.rules.length : this.rules.findIndex((one) => one.number === before)
    if (at < 0) return `there is no rule ${before}`
    const place = this.placeAt(at)
    const placed: Placed = { number, table, rule, place }
    this.rules = this.rules.toSpliced(at, 0, placed)
    this.lastNumber = number
    const group = this.journal.putRecord(ruleKind, keyOf(place), stored(placed))
    this.changed(this.file)
    return { number, group }
  }

  /** Undefined: there is no such rule. */
  remove(number: number): { readonly group: number } | undefined {
    const rule = this.rules.find((one) => one.number === number)
    if (rule === undefined) return undefined
    this.rules = this.rules.filter((one) => one !== rule)
    const group = this.journal.deleteRecord(ruleKind, keyOf(rule.place))
    this.changed(this.file)
    return { group }
  }

  /** As another node has it; null: removed there. False: it is none, or one too many. */
  take(key: string, value: Uint8Array | null): boolean {
    const before = this.rules
    this.rules = before.filter(({ place }) => keyOf(place) !== key)
    if (value !== null && (this.rules.length >= this.maximum() || !this.load(key, value))) {
      this.rules = before
      return false
    }
    this.rules.sort((a, b) => a.place - b.place)
    if (value === null) this.journal.deleteRecord(ruleKind, key)
    else this.journal.putRecord(ruleKind, key, value)
    this.changed(this.file)
    return true
  }

  /** A place before the rule at `index`, after the one before it. */
  private placeAt(index: number): number {
    const below = this.rules[index - 1]?.place ?? 0
    const above = this.rules[index]?.place ?? below + 2 * step
    const place = Math.floor((below + above) / 2)
    if (place > below && place < above) return place
    this.spread()
    return this.placeAt(index)
  }

  /** There was no room between two: all get new places. */
  private spread(): void {
    for (const { place } of this.rules) this.journal.deleteRecord(ruleKind, keyOf(place))
    this.rules = this.rules.map((one, index) => ({ ...one, place: (index + 1) * step }))
    for (const one of this.rules) this.journal.putRecord(ruleKind, keyOf(one.place), stored(one))
  }
}

const stored = ({ number, table }: KeptRule): Uint8Array =>
  new TextEncoder().encode(JSON.stringify({ number, rule: table }))
