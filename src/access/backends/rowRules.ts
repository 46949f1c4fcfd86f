// Rows of the original's table mqtt_acl, and its hashes of Redis, become rules. Pure. Invariant: a row that cannot be read is a fault of
// all rows of that client; no rule is left out by a slip, as it might be the one that denies.
import { validateTopicFilter } from "../../mqtt/Topic.ts"
import { AddressRange } from "../rules/AddressRange.ts"
import { anyQoS, type Rule, type RuleFile, type TopicSpec, type Who } from "../rules/Rule.ts"

/** allow, ipaddr, username, clientid, access, topic. */
export type AclRow = { readonly [column: string]: unknown }

/** `name` stands where a file's name would: "postgres:2" decides. A text: the fault. */
export const rulesOfRows = (name: string, rows: ReadonlyArray<AclRow>): RuleFile | string => {
  const rules: Array<Rule> = []
  for (const [index, row] of rows.entries()) {
    const rule = ruleOf(row, index + 1)
    if (typeof rule === "string") return `row ${index + 1}: ${rule}`
    rules.push(rule)
  }
  return { file: name, rules, dialect: "first_match" }
}

/** What Redis gives: topic to 1, 2 or 3. All of them allow. */
export const rowsOfHash = (hash: ReadonlyArray<readonly [topic: string, access: string]>): ReadonlyArray<AclRow> =>
  hash.map(([topic, access]) => ({ allow: 1, access, topic }))

const ruleOf = (row: AclRow, line: number): Rule | string => {
  const effect = effects.get(textOf(row["allow"]))
  if (effect === undefined) return `allow: expected 1 or 0, got ${show(row["allow"])}`
  const action = actions.get(textOf(row["access"]))
  if (action === undefined) {
    return `access: expected 1 (subscribe), 2 (publish) or 3 (both), got ${show(row["access"])}`
  }
  const topic = topicOf(row["topic"])
  if (topic === undefined) return `topic: ${show(row["topic"])} is no topic filter`
  const who = whoOf(row)
  if (typeof who === "string") return who
  return { effect, action, who, topics: [topic], qos: anyQoS, retain: undefined, line }
}

const effects: ReadonlyMap<string, Rule["effect"]> = new Map([
  ["1", "allow"],
  ["0", "deny"],
  ["true", "allow"],
  ["false", "deny"],
  ["allow", "allow"],
  ["deny", "deny"]
])

const actions: ReadonlyMap<string, Rule["action"]> = new Map([
  ["1", "subscribe"],
  ["2", "publish"],
  ["3", "pubsub"],
  ["subscribe", "subscribe"],
  ["publish", "publish"],
  ["pubsub", "pubsub"]
])

const textOf = (value: unknown): string =>
  typeof value === "string" || typeof value === "number" || typeof value === "bigint" || typeof value === "boolean"
    ? String(value)
    : ""

const topicOf = (value: unknown): TopicSpec | undefined => {
  if (typeof value !== "string") return undefined
  if (value.startsWith("eq ")) {
    const text = value.slice(3).trim()
    return text === "" ? undefined : { filter: text, exact: true, placeholders: "none" }
  }
  return value !== "" && validateTopicFilter(value)
    ? { filter: value, exact: false, placeholders: "levels" }
    : undefined
}

/** Columns that the query does not give say nothing; where it gives them, one has to be filled. */
const whoOf = (row: AclRow): Who | string => {
  const { clientid, ipaddr, username } = row
  if (username === "$all") return { _tag: "All" }
  const all: Array<Who> = []
  if (isGiven(ipaddr)) {
    const range = AddressRange.parse(textOf(ipaddr))
    if (range === undefined) return `ipaddr: ${show(ipaddr)} is no address and no range`
    all.push({ _tag: "Address", range })
  }
  if (isGiven(username)) all.push({ _tag: "User", name: textOf(username) })
  if (isGiven(clientid)) all.push({ _tag: "Client", clientId: textOf(clientid) })
  const [only] = all
  if (only === undefined) {
    return [clientid, ipaddr, username].every((value) => value === undefined)
      ? { _tag: "All" }
      : `whom it is about: none of ipaddr, username and clientid is filled; "$all" in username is everyone`
  }
  return all.length === 1 ? only : { _tag: "And", all }
}

const isGiven = (value: unknown): boolean => value !== undefined && value !== null && value !== ""

const show = (value: unknown): string => {
  const text = JSON.stringify(typeof value === "bigint" ? String(value) : value) ?? "nothing"
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}
