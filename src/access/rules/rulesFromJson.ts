// Rules that come with an answer, for one client: a claim of a JWT, the "acl" of an HTTP answer. Pure. Two forms: lists of topics by action,
// and a list of rules in our own form (and in EMQX's words). Invariant: what cannot be read whole gives a fault, never fewer rules.
import { Predicate } from "effect"
import { validateTopicFilter } from "../../mqtt/Topic.ts"
import { readRuleTable } from "./parseTomlRules.ts"
import { anyQoS, type Rule, type RuleFile } from "./Rule.ts"

/** Topics and rules of one client, together. */
const atMost = 1_000

const lists: ReadonlyMap<string, Rule["action"]> = new Map<string, Rule["action"]>([
  ["publish", "publish"],
  ["pub", "publish"],
  ["subscribe", "subscribe"],
  ["sub", "subscribe"],
  ["all", "pubsub"],
  ["pubsub", "pubsub"]
])

/** `file`: what a decision names ("jwt claim acl"). A text: the fault. */
export const rulesFromJson = (file: string, value: unknown): RuleFile | string => {
  if (Array.isArray(value)) return fromRules(file, value)
  if (Predicate.isObject(value)) return fromLists(file, value)
  return "expected lists of topics by action, or a list of rules"
}

/** What none of the lists grants is denied. */
const fromLists = (file: string, value: object): RuleFile | string => {
  const rules: Array<Rule> = []
  let topics = 0
  for (const [key, filters] of Object.entries(value)) {
    const action = lists.get(key)
    if (action === undefined) return `unknown key ${show(key)}; expected ${[...lists.keys()].join(", ")}`
    if (!Array.isArray(filters)) return `${key}: expected a list of topic filters`
    topics += filters.length
    if (topics > atMost) return `more than ${atMost} topics`
    const specs = filters.map((filter: unknown) => typeof filter === "string" ? specOf(filter) : undefined)
    const wrong = specs.indexOf(undefined)
    if (wrong >= 0) return `${key}: expected a topic filter, got ${show(filters[wrong])}`
    const line = rules.length + 1
    rules.push({ ...everyone, effect: "allow", action, topics: specs.filter((spec) => spec !== undefined), line })
  }
  rules.push({ ...everyone, effect: "deny", action: "pubsub", topics: undefined, line: 0 })
  return { file, rules, dialect: "first_match" }
}

const everyone = { who: { _tag: "All" }, qos: anyQoS, retain: undefined } as const

const fromRules = (file: string, value: ReadonlyArray<unknown>): RuleFile | string => {
  if (value.length > atMost) return `more than ${atMost} rules`
  const rules: Array<Rule> = []
  let topics = 0
  for (const [index, one] of value.entries()) {
    if (!Predicate.isObject(one) || Array.isArray(one)) return `rule ${index + 1}: expected an object, got ${show(one)}`
    const { faults, rule } = readRuleTable(inOurWords(one), index + 1)
    if (faults[0] !== undefined) return `rule ${index + 1}: ${faults[0].message}`
    topics += rule.topics?.length ?? 0
    if (topics > atMost) return `more than ${atMost} topics`
    rules.push(rule)
  }
  return { file, rules, dialect: "first_match" }
}

/** EMQX says permission, topic, action "all" and "eq a/#". */
const inOurWords = (rule: object): { readonly [key: string]: unknown } =>
  Object.fromEntries(
    Object.entries(rule).map(([key, value]: [string, unknown]) => {
      if (key === "permission") return ["effect", value]
      if (key === "action" && value === "all") return [key, "pubsub"]
      if (key !== "topic" && key !== "topics") return [key, value]
      const topics: ReadonlyArray<unknown> = Array.isArray(value) ? value : [value]
      return [
        "topics",
        topics.map((one) => typeof one === "string" && one.startsWith("eq ") ? { eq: one.slice(3) } : one)
      ]
    })
  )

/** As in the lists of a token: placeholders are whole levels, or the filter is taken for a mistake. */
const specOf = (filter: string): NonNullable<Rule["topics"]>[number] | undefined => {
  if (filter.startsWith("eq ") && filter.length > 3) {
    return { filter: filter.slice(3), exact: true, placeholders: "none" }
  }
  if (!validateTopicFilter(filter)) return undefined
  if (filter.split("/").some((level) => level.length > 2 && /%[uc]/.test(level))) return undefined
  return { filter, exact: false, placeholders: "levels" }
}

const show = (value: unknown): string => {
  const text = JSON.stringify(value) ?? "nothing"
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}
