// The original's acl.config: one Erlang term a rule, each with a full stop. Pure. Invariant: every fault is found, with its line; a rule
// with a fault is none.
//
//   {allow | deny, all}.
//   {allow | deny, Who, publish | subscribe | pubsub, [Topic, ...]}.
//   Who   = all | {user, all | "name"} | {client, all | "id"} | {ipaddr, "10.0.0.0/8"} | {'and', [Who]} | {'or', [Who]}
//   Topic = "filter" | {eq, "text"}; %u and %c (older: $u and $c) as whole levels
import { validateTopicFilter } from "../../mqtt/Topic.ts"
import { AddressRange } from "./AddressRange.ts"
import { readTerms, type Term } from "./ErlangTerms.ts"
import { anyQoS, type ParsedRules, type Rule, type RuleFault, type TopicSpec, type Who } from "./Rule.ts"

export const parseAclConfig = (file: string, text: string): ParsedRules => {
  const { faults: syntaxFaults, terms } = readTerms(text)
  const faults: Array<RuleFault> = [...syntaxFaults]
  const rules = terms.flatMap((term) => {
    const reader = new RuleReader()
    const rule = reader.rule(term)
    faults.push(...reader.faults)
    return rule === undefined || reader.faults.length > 0 ? [] : [rule]
  })
  return {
    rules: { file, rules, dialect: "first_match" },
    faults: faults.toSorted((a, b) => a.line - b.line)
  }
}

const everyone: Who = { _tag: "All" }
const nobody: Who = { _tag: "Or", any: [] }

/** The term as the file would have it, cut to what a line bears. */
const show = (term: Term): string => {
  const text = write(term)
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}

const write = (term: Term): string => {
  switch (term._tag) {
    case "Atom":
      return /^[a-z]\w*$/.test(term.name) && term.name !== "and" && term.name !== "or" ? term.name : `'${term.name}'`
    case "Text":
      return JSON.stringify(term.text)
    case "Number":
      return String(term.value)
    case "Tuple":
      return `{${term.items.map(write).join(", ")}}`
    case "List":
      return `[${term.items.map(write).join(", ")}]`
    default:
      return term satisfies never
  }
}

const isAtom = (term: Term | undefined, name: string): boolean => term?._tag === "Atom" && term.name === name

class RuleReader {
  readonly faults: Array<RuleFault> = []

  rule(term: Term): Rule | undefined {
    const shape = "{allow|deny, all} or {allow|deny, Who, publish|subscribe|pubsub, [Topic, ...]}"
    if (term._tag !== "Tuple") return this.fault(term, `expected ${shape}, got ${show(term)}`)
    const [effectTerm, whoTerm, actionTerm, topicsTerm, ...more] = term.items
    const effect = effectTerm?._tag === "Atom" ? effectTerm.name : undefined
    if (effect !== "allow" && effect !== "deny") {
      this.fault(
        effectTerm ?? term,
        `expected allow or deny, got ${effectTerm === undefined ? "{}" : show(effectTerm)}`
      )
    }
    const common = {
      effect: effect === "allow" ? effect : "deny",
      qos: anyQoS,
      retain: undefined,
      line: term.line
    } as const
    if (term.items.length === 2 && isAtom(whoTerm, "all")) {
      return { ...common, who: everyone, action: "pubsub", topics: undefined }
    }
    if (whoTerm === undefined || actionTerm === undefined || topicsTerm === undefined || more.length > 0) {
      return this.fault(term, `expected ${shape}, got ${show(term)}`)
    }
    const who = this.who(whoTerm)
    const action = actionTerm._tag === "Atom" ? actionTerm.name : undefined
    const topics = this.topics(topicsTerm)
    if (action !== "publish" && action !== "subscribe" && action !== "pubsub") {
      return this.fault(actionTerm, `expected publish, subscribe or pubsub, got ${show(actionTerm)}`)
    }
    return { ...common, who, action, topics }
  }

  private who(term: Term): Who {
    if (isAtom(term, "all")) return everyone
    const [kind, value] = term._tag === "Tuple" && term.items.length === 2 ? term.items : []
    if (kind?._tag !== "Atom" || value === undefined) return this.badWho(term)
    switch (kind.name) {
      case "user":
      case "client":
        // As in the original, {user, all} is everyone: those without a user name too.
        if (isAtom(value, "all")) return everyone
        if (value._tag !== "Text") return this.badWho(term, `expected all or a "name" after ${kind.name}`)
        return kind.name === "user" ? { _tag: "User", name: value.text } : { _tag: "Client", clientId: value.text }
      case "ipaddr": {
        const range = value._tag === "Text" ? AddressRange.parse(value.text) : undefined
        if (range === undefined) return this.badWho(term, `expected an address or a range as "10.0.0.0/8"`)
        return { _tag: "Address", range }
      }
      case "and":
      case "or": {
        if (value._tag !== "List") return this.badWho(term, `expected a list after '${kind.name}'`)
        const parts = value.items.map((item) => this.who(item))
        return kind.name === "and" ? { _tag: "And", all: parts } : { _tag: "Or", any: parts }
      }
      default:
        return this.badWho(term)
    }
  }

  private badWho(
    term: Term,
    message = "expected all, {user, _}, {client, _}, {ipaddr, _}, {'and', [_]} or {'or', [_]}"
  ): Who {
    this.fault(term, `${message}, got ${show(term)}`)
    return nobody
  }

  private topics(term: Term): ReadonlyArray<TopicSpec> {
    if (term._tag === "Text") return this.topic(term)
    if (term._tag === "List") return term.items.flatMap((item) => this.topic(item))
    this.fault(term, `expected a list of topics, got ${show(term)}`)
    return []
  }

  private topic(term: Term): ReadonlyArray<TopicSpec> {
    if (term._tag === "Text") {
      const filter = term.text.split("/").map((level) => level === "$u" ? "%u" : level === "$c" ? "%c" : level).join(
        "/"
      )
      if (validateTopicFilter(filter)) return [{ filter, exact: false, placeholders: "levels" }]
      this.fault(term, `${show(term)} is no topic filter`)
      return []
    }
    const [eq, value] = term._tag === "Tuple" && term.items.length === 2 ? term.items : []
    if (isAtom(eq, "eq") && value?._tag === "Text" && value.text !== "") {
      return [{ filter: value.text, exact: true, placeholders: "none" }]
    }
    this.fault(term, `expected a "topic filter" or {eq, "text"}, got ${show(term)}`)
    return []
  }

  private fault(term: Term, message: string): undefined {
    this.faults.push({ line: term.line, message })
    return undefined
  }
}
