// The rules of one file, ready to be asked: makes the ClientRules of each client. Owned by an Authorization, never changed.
// Invariant: a name that is put in for %u or %c is one level and no wildcard, and opens no topic that begins with "$".
import { ClientRules, type Entry } from "./ClientRules.ts"
import { concerns, type Decision, type Rule, type RuleFile, type Subject, type TopicSpec } from "./Rule.ts"
import { isPlainLevel } from "./topicRelations.ts"

/** Sets of rules that many clients have in common. */
const sharedAtMost = 256

interface Prepared {
  readonly rule: Rule
  readonly decision: Decision
  readonly personal: boolean
  readonly isPattern: boolean
}

export class RuleSet {
  readonly file: string
  private readonly prepared: ReadonlyArray<Prepared>
  private readonly isMosquitto: boolean
  private readonly otherwise: Decision | undefined
  private readonly shared = new Map<string, ClientRules>()

  constructor({ dialect, file, rules }: RuleFile) {
    this.file = file
    this.isMosquitto = dialect === "mosquitto"
    this.otherwise = this.isMosquitto ? { allowed: false, file, line: 0, by: `${file}: no rule grants it` } : undefined
    this.prepared = rules.map((rule) => ({
      rule,
      decision: { allowed: rule.effect === "allow", file, line: rule.line, by: `${file}:${rule.line}` },
      personal: rule.topics?.some(isPersonal) ?? false,
      isPattern: rule.topics?.some(({ placeholders }) => placeholders === "anywhere") ?? false
    }))
  }

  for(subject: Subject): ClientRules {
    const mine: Array<Prepared> = []
    let key = ""
    for (const [index, one] of this.prepared.entries()) {
      if (one.isPattern && this.isMosquitto && hasWildcardName(subject)) {
        // Mosquitto denies whatever its patterns would have decided.
        const denial = { allowed: false, file: this.file, line: 0, by: `${this.file}: a wildcard in a name` }
        return this.compile(mine, subject, denial)
      }
      if (!concerns(one.rule.who, subject, one.rule.effect === "deny")) continue
      mine.push(one)
      key += `${index},`
    }
    if (mine.some(({ personal }) => personal)) return this.compile(mine, subject, this.otherwise)
    const shared = this.shared.get(key)
    if (shared !== undefined) return shared
    const made = this.compile(mine, subject, this.otherwise)
    if (this.shared.size >= sharedAtMost) this.shared.clear()
    this.shared.set(key, made)
    return made
  }

  private compile(mine: ReadonlyArray<Prepared>, subject: Subject, last: Decision | undefined): ClientRules {
    const publishes: Array<Entry> = []
    const subscribes: Array<Entry> = []
    let order = 0
    for (const { decision, rule } of mine) {
      const { action, qos, retain, topics } = rule
      for (const spec of topics ?? [everyTopic]) {
        const filter = spec === everyTopic ? undefined : substitute(spec, subject, decision.allowed)
        if (filter === null) continue
        const entry: Entry = { decision, filter, exact: spec.exact, qos, retain, order: order++ }
        if (action !== "subscribe") publishes.push(entry)
        if (action !== "publish") subscribes.push(entry)
      }
    }
    if (last !== undefined) {
      const entry: Entry = { decision: last, filter: undefined, exact: false, qos: 7, retain: undefined, order }
      publishes.push(entry)
      subscribes.push(entry)
    }
    return new ClientRules(publishes, subscribes, this.isMosquitto)
  }
}

const everyTopic: TopicSpec = { filter: "", exact: false, placeholders: "none" }

const isPersonal = ({ filter, placeholders }: TopicSpec): boolean => placeholders !== "none" && /%[uc]/.test(filter)

const hasWildcardName = ({ clientId, userName }: Subject): boolean =>
  /[+#]/.test(clientId) || /[+#]/.test(userName ?? "")

/** Null: the topic is none for this client. */
const substitute = ({ filter, placeholders }: TopicSpec, subject: Subject, allows: boolean): string | null => {
  if (placeholders === "none" || !/%[uc]/.test(filter)) return filter
  const put = placeholders === "levels" ? putLevels(filter, subject) : putAnywhere(filter, subject, allows)
  // A name that was put in front must not open what is hidden: %c/# for a client called $SYS.
  return put !== null && allows && put.startsWith("$") && !filter.startsWith("$") ? null : put
}

const valueOf = (placeholder: string, { clientId, userName }: Subject): string | undefined =>
  placeholder === "%u" ? userName : clientId

const putLevels = (filter: string, subject: Subject): string | null => {
  const levels = filter.split("/")
  for (const [index, level] of levels.entries()) {
    if (level !== "%u" && level !== "%c") continue
    const value = valueOf(level, subject)
    if (value === undefined || !isPlainLevel(value)) return null
    levels[index] = value
  }
  return levels.join("/")
}

/** As Mosquitto, which takes a name with a slash for several levels; we do so only where that denies. */
const putAnywhere = (filter: string, subject: Subject, allows: boolean): string | null => {
  let missing = false
  const put = filter.replace(/%[uc]/g, (placeholder) => {
    const value = valueOf(placeholder, subject)
    if (value === undefined || (allows && !isPlainLevel(value))) missing = true
    return value ?? ""
  })
  return missing ? null : put
}
