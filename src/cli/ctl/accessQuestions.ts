// What `emqttd ctl users` and `emqttd ctl acl` ask a node, and how its answers are told.
import type { KeptRule, UsersPage } from "../../admin/accessApi.ts"
import { Effect } from "effect"
import { ExitCode, exitWith } from "../Exit.ts"
import { askPassword } from "../passwd/askPassword.ts"
import { print, type Told, toldToAll } from "./questions.ts"
import { aligned, plain } from "./render.ts"
import { ask, askEach, type NodeClient, type Target } from "./session.ts"

type Json = KeptRule["rule"][string]

const shown = (value: Json): string => plain(typeof value === "string" ? value : JSON.stringify(value))

/** The conditions of a rule, but for its effect, its action and its topics. */
const conditions = (rule: KeptRule["rule"]): string =>
  Object.entries(rule)
    .filter(([key]) => key !== "effect" && key !== "action" && key !== "topics")
    .map(([key, value]) => `${plain(key)}=${shown(value)}`)
    .join(" ") || "all"

const topicsOf = (topics: Json | undefined): string =>
  topics === undefined ? "every topic" : (Array.isArray(topics) ? topics : [topics]).map(shown).join(" ")

const ruleLines = (rules: ReadonlyArray<KeptRule>): ReadonlyArray<string> =>
  rules.length === 0 ? ["no rules"] : aligned([
    ["RULE", "EFFECT", "ACTION", "WHO", "TOPICS"],
    ...rules.map(({ number, rule }) => [
      String(number),
      shown(rule["effect"] ?? ""),
      shown(rule["action"] ?? "pubsub"),
      conditions(rule),
      topicsOf(rule["topics"])
    ])
  ])

export const rulesList = (target: Target): Told =>
  Effect.gen(function* () {
    const answer = yield* ask(target, (node) => node.rules.list())
    yield* print(target, answer, ruleLines)
  })

/** A key whose value is undefined is left out. */
export const ruleAdd = (
  target: Target,
  rule: { readonly [key: string]: Json | undefined },
  before: number | undefined
): Told =>
  Effect.gen(function* () {
    const table = Object.fromEntries(
      Object.entries(rule).flatMap(([key, value]) => value === undefined ? [] : [[key, value]])
    )
    const answer = yield* ask(target, (node) => node.rules.add({ payload: { rule: table, before } }))
    yield* print(target, answer, ({ asked, number }) => [
      `added: rule ${number}${asked ? "" : `, not asked: authorization.sources has no { type = "built_in" }`}`
    ])
  })

export const rulesReload = (target: Target): Told =>
  Effect.gen(function* () {
    yield* askEach(target, (node) => node.rules.reload())
    yield* print(target, { reloaded: true }, () => ["access rules read again"])
  })

export const ruleRemove = (target: Target, number: number): Told =>
  Effect.gen(function* () {
    yield* ask(target, (node) => node.rules.remove({ params: { number } }))
    yield* print(target, { removed: number }, () => [`removed: rule ${number}`])
  })

const userLines = ({ total, users }: UsersPage): ReadonlyArray<string> => [
  ...(users.length === 0 ? ["no users"] : aligned([
    ["USER", "SUPERUSER", "SCRAM"],
    ...users.map(({ name, scram, superuser }) => [plain(name), superuser ? "yes" : "no", scram.join(" ") || "-"])
  ])),
  ...(total > users.length ? [`${users.length} of ${total} users`] : [])
]

const passwordFor = (name: string) =>
  Effect.catch(askPassword(plain(name)), ({ message }) => exitWith(ExitCode.Usage, [`emqttd: ${message}`]))

export const usersList = (target: Target, after: string | undefined, limit: number | undefined): Told =>
  Effect.gen(function* () {
    const answer = yield* ask(target, (node) => node.users.list({ query: { after, limit } }))
    yield* print(target, answer, userLines)
  })

export const userAdd = (target: Target, name: string, superuser: boolean): Told =>
  Effect.gen(function* () {
    const password = yield* passwordFor(name)
    yield* ask(target, (node) => node.users.add({ payload: { name, password, superuser } }))
    yield* print(target, { added: name }, () => [`added: ${plain(name)}`])
  })

export const userPassword = (target: Target, name: string, kick: boolean): Told =>
  Effect.gen(function* () {
    const password = yield* passwordFor(name)
    const change = (node: NodeClient) => node.users.password({ params: { name }, payload: { password, kick } })
    // Each worker sends its own clients away.
    yield* kick ? toldToAll(target, change) : ask(target, change)
    yield* print(target, { changed: name }, () => [`new password: ${plain(name)}`])
  })

export const userDelete = (target: Target, name: string, kick: boolean): Told =>
  Effect.gen(function* () {
    const remove = (node: NodeClient) =>
      node.users.remove({ params: { name }, query: { kick: kick ? "true" : undefined } })
    yield* kick ? toldToAll(target, remove) : ask(target, remove)
    yield* print(target, { deleted: name }, () => [`deleted: ${plain(name)}`])
  })
