// The rules of one file, ready to be asked: makes the ClientRules of each client. Owned by an Authorization, never changed. Rules about
// one user or one client id are found by that name, so that thousands of them cost a new client nothing. Invariant: a name that is put
// in for %u or %c is one level and no wildcard, and opens no topic that begins with "$".
import { ClientRules, type Entry, SharedRules } from "./ClientRules.ts"
import { anyQoS, concerns, type Decision, type Rule, type RuleFile, type Subject, type TopicSpec } from "./Rule.ts"
import { isPersonal, substitute } from "./substitute.ts"

/** Sets of rules that many clients have in common. */
const sharedAtMost = 256

interface Prepared {
  readonly rule: Rule
  readonly decision: Decision
  /** The topics that are the same for every client. */
  readonly entries: ReadonlyArray<Entry>
  readonly personal: ReadonlyArray<readonly [spec: TopicSpec, order: number]>
}

export class RuleSet {
  readonly file: string
  private readonly prepared: ReadonlyArray<Prepared>
  private readonly last: Entry | undefined
  /** Mosquitto's file: where the patterns begin, and what a name with a wildcard meets there. */
  private readonly patternsAt: number
  private readonly wildcardName: Entry
  private readonly isMosquitto: boolean
  /** Indices of rules: about everyone, by user name, by client id, the others. */
  private readonly everyone: ReadonlyArray<number>
  private readonly users: ReadonlyMap<string, ReadonlyArray<number>>
  private readonly clients: ReadonlyMap<string, ReadonlyArray<number>>
  private readonly judged: ReadonlyArray<number>
  private readonly shared = new Map<string, SharedRules>()

  constructor({ dialect, file, rules }: RuleFile) {
    this.file = file
    this.isMosquitto = dialect === "mosquitto"
    let order = 0
    this.prepared = rules.map((rule) => {
      const decision = { allowed: rule.effect === "allow", file, line: rule.line, by: `${file}:${rule.line}` }
      const entries: Array<Entry> = []
      const personal: Array<readonly [TopicSpec, number]> = []
      if (rule.topics === undefined) entries.push(entryOf(rule, decision, undefined, false, order++))
      for (const spec of rule.topics ?? []) {
        if (isPersonal(spec)) personal.push([spec, order++])
        else entries.push(entryOf(rule, decision, spec.filter, spec.exact, order++))
      }
      return { rule, decision, entries, personal }
    })
    const denial = (by: string): Entry =>
      entryOf(denyAll, { allowed: false, file, line: 0, by: `${file}: ${by}` }, undefined, false, order)
    this.last = this.isMosquitto ? denial("no rule grants it") : undefined
    this.wildcardName = denial("a wildcard in a name")
    const patternsAt = rules.findIndex(({ topics }) => topics?.some(({ placeholders }) => placeholders === "anywhere"))
    this.patternsAt = this.isMosquitto && patternsAt >= 0 ? patternsAt : Infinity
    const everyone: Array<number> = []
    const judged: Array<number> = []
    const users = new Map<string, Array<number>>()
    const clients = new Map<string, Array<number>>()
    const under = (names: Map<string, Array<number>>, name: string, index: number) => {
      const there = names.get(name)
      if (there === undefined) names.set(name, [index])
      else there.push(index)
    }
    for (const [index, { who }] of rules.entries()) {
      if (who._tag === "All") everyone.push(index)
      else if (who._tag === "User") under(users, who.name, index)
      else if (who._tag === "Client") under(clients, who.clientId, index)
      else judged.push(index)
    }
    this.everyone = everyone
    this.users = users
    this.clients = clients
    this.judged = judged
  }

  for(subject: Subject): ClientRules {
    // Mosquitto denies a name with a wildcard whatever its patterns would have decided.
    const stopsAt = hasWildcardName(subject) ? this.patternsAt : Infinity
    const judged = this.judged.filter((index) => {
      const rule = this.prepared[index]?.rule
      return rule !== undefined && concerns(rule.who, subject, rule.effect === "deny")
    })
    const key = `${stopsAt}:${judged.join()}`
    let shared = this.shared.get(key)
    if (shared === undefined) {
      const mine = [...this.everyone, ...judged].filter((index) => index < stopsAt).toSorted(byNumber)
      shared = this.share(mine, stopsAt === Infinity ? this.last : this.wildcardName)
      if (this.shared.size >= sharedAtMost) this.shared.clear()
      this.shared.set(key, shared)
    }
    const users = subject.userName === undefined ? undefined : this.users.get(subject.userName)
    const clients = this.clients.get(subject.clientId)
    if (users === undefined && clients === undefined && shared.personal.length === 0) return shared.alone
    const own = [...users ?? [], ...clients ?? [], ...shared.personal].filter((index) => index < stopsAt)
    return new ClientRules(shared, this.own(own.toSorted(byNumber), subject))
  }

  private share(mine: ReadonlyArray<number>, last: Entry | undefined): SharedRules {
    const entries = mine.flatMap((index) => this.prepared[index]?.entries ?? [])
    return new SharedRules(
      last === undefined ? entries : [...entries, last],
      mine.filter((index) => (this.prepared[index]?.personal.length ?? 0) > 0),
      this.isMosquitto
    )
  }

  /** What this client shares with nobody: rules that name it, and topics with its names in them. */
  private own(indices: ReadonlyArray<number>, subject: Subject): ReadonlyArray<Entry> {
    const found: Array<Entry> = []
    for (const index of indices) {
      const prepared = this.prepared[index]
      if (prepared === undefined) continue
      const { decision, entries, personal, rule } = prepared
      if (rule.who._tag === "User" || rule.who._tag === "Client") found.push(...entries)
      for (const [spec, order] of personal) {
        const filter = substitute(spec, subject, decision.allowed)
        if (filter !== null) found.push(entryOf(rule, decision, filter, false, order))
      }
    }
    return found.toSorted((a, b) => a.order - b.order)
  }
}

const byNumber = (a: number, b: number): number => a - b

const denyAll = { action: "pubsub", qos: anyQoS, retain: undefined } as const

const entryOf = (
  { action, qos, retain }: Pick<Rule, "action" | "qos" | "retain">,
  decision: Decision,
  filter: string | undefined,
  exact: boolean,
  order: number
): Entry => ({ action, decision, filter, exact, qos, retain, order })

const hasWildcardName = ({ clientId, userName }: Subject): boolean =>
  /[+#]/.test(clientId) || /[+#]/.test(userName ?? "")
