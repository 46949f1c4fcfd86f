// Mosquitto's acl_file: `user NAME`, `topic [read|write|readwrite|deny] FILTER`, `pattern [...] FILTER` with %u and %c. Pure. Its own order
// holds: denials before grants, a user's topics before the patterns, and what nothing grants is denied. Topics above the first
// `user` are those of anonymous clients alone. Invariant: every fault is found, with its line.
import { validateTopicFilter } from "../../mqtt/Topic.ts"
import { anyQoS, type ParsedRules, type Rule, type RuleFault, type Who } from "./Rule.ts"

const words: ReadonlyMap<string, Pick<Rule, "effect" | "action">> = new Map([
  ["read", { effect: "allow", action: "subscribe" }],
  ["write", { effect: "allow", action: "publish" }],
  ["readwrite", { effect: "allow", action: "pubsub" }],
  ["deny", { effect: "deny", action: "pubsub" }]
])

export const parseMosquittoAcl = (file: string, text: string): ParsedRules => {
  const faults: Array<RuleFault> = []
  const topics: Array<Rule> = []
  const patterns: Array<Rule> = []
  let who: Who = { _tag: "Anonymous" }
  for (const [index, raw] of text.split("\n").entries()) {
    const line = index + 1
    const written = raw.trimEnd()
    if (written === "" || written.startsWith("#")) continue
    const [, keyword = "", rest = ""] = /^ *([^ ]+) *(.*)$/s.exec(written) ?? []
    if (keyword === "user") {
      if (rest === "") faults.push({ line, message: "user without a name" })
      else who = { _tag: "User", name: rest }
      continue
    }
    if (keyword !== "topic" && keyword !== "pattern") {
      faults.push({ line, message: `expected user, topic or pattern, got ${JSON.stringify(keyword.slice(0, 60))}` })
      continue
    }
    const grant = grantOf(rest)
    if (typeof grant === "string") {
      faults.push({ line, message: `${keyword}: ${grant}` })
      continue
    }
    const isPattern = keyword === "pattern"
    const rule: Rule = {
      ...grant.access,
      who: isPattern ? { _tag: "All" } : who,
      topics: [{ filter: grant.filter, exact: false, placeholders: isPattern ? "anywhere" : "none" }],
      qos: anyQoS,
      retain: undefined,
      line
    }
    ;(isPattern ? patterns : topics).push(rule)
  }
  return {
    rules: {
      file,
      rules: [...denialsFirst(topics), ...denialsFirst(patterns)],
      dialect: "mosquitto"
    },
    faults
  }
}

interface Grant {
  readonly access: Pick<Rule, "effect" | "action">
  readonly filter: string
}

const readwrite: Grant["access"] = { effect: "allow", action: "pubsub" }

/** The first word is the access when another one follows; a text without blanks is a filter. The text says what is wrong. */
const grantOf = (rest: string): Grant | string => {
  const [, first = "", second = ""] = /^([^ ]*) *(.*)$/s.exec(rest) ?? []
  if (first === "") return "no topic filter"
  if (second === "") return judged(readwrite, first)
  const access = words.get(first)
  return access === undefined
    ? `expected read, write, readwrite or deny, got ${JSON.stringify(first.slice(0, 60))}`
    : judged(access, second)
}

const judged = (access: Grant["access"], filter: string): Grant | string =>
  validateTopicFilter(filter) ? { access, filter } : `${JSON.stringify(filter.slice(0, 60))} is no topic filter`

const denialsFirst = (rules: ReadonlyArray<Rule>): ReadonlyArray<Rule> => [
  ...rules.filter(({ effect }) => effect === "deny"),
  ...rules.filter(({ effect }) => effect === "allow")
]
