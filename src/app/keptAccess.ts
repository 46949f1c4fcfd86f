// What the node keeps itself of who may come in and what they may do: its users and the rules of the source "built_in", read from the store
// at the start. Invariant: what of it cannot be read is named in the log and left where it is.
import { Effect } from "effect"
import { randomBytes } from "node:crypto"
import type { InForce } from "../access/rules/Authorization.ts"
import { RuleDatabase, ruleKind } from "../access/rules/RuleDatabase.ts"
import { Scram } from "../access/scram/Scram.ts"
import { userKind, userOf } from "../access/users/User.ts"
import { UserDatabase } from "../access/users/UserDatabase.ts"
import type { Settings } from "../config/Settings.ts"
import type { EventLog } from "../metrics/EventLog.ts"
import type { Engine, RecordRow, StoreFailure } from "../store/Engine.ts"
import type { Journal } from "../store/Journal.ts"
import type { DurableStore } from "./durableStore.ts"

export interface KeptAccess {
  readonly users: UserDatabase
  readonly scram: Scram
  readonly rules: RuleDatabase
}

const recordsPerPage = 1_000

export const keptAccess = Effect.fn("keptAccess")(function* (
  settings: Settings,
  { engine, journal }: DurableStore,
  inForce: InForce,
  log: EventLog
): Effect.fn.Return<KeptAccess, StoreFailure> {
  const rules = new RuleDatabase(journal, () => settings.authorization.maxBuiltInRules, (file) => {
    inForce.authorization = inForce.authorization.replacing(file)
    inForce.replaced?.()
  })
  const unreadable = ({ key, kind }: RecordRow) => log.error("store: a record cannot be understood", { kind, key })
  yield* eachRecord(engine, ruleKind, (row) => {
    if (!rules.load(row.key, row.value)) unreadable(row)
  })
  inForce.authorization = inForce.authorization.replacing(rules.file)
  const users = new UserDatabase(journal, () => settings.auth_users.maxUsers)
  yield* eachRecord(engine, userKind, (row) => {
    const user = userOf(row.key, row.value)
    if (user === undefined) unreadable(row)
    else users.load(user)
  })
  const secret = yield* scramSecret(settings, engine, journal)
  return { rules, users, scram: new Scram(settings.auth_scram, (name) => users.find(name), secret) }
})

const secretKind = "scram"
const secretKey = "salts"

/** From which the salts of users are made who are not there: kept, so that they stay the same. */
const scramSecret = Effect.fnUntraced(function* (settings: Settings, engine: Engine | undefined, journal: Journal) {
  const rows = engine === undefined ? [] : yield* engine.readRecords(secretKind, "", 1)
  const [row] = rows
  if (row !== undefined) return row.value
  const secret = new Uint8Array(randomBytes(32))
  if (settings.auth_scram.mechanisms.length > 0) journal.putRecord(secretKind, secretKey, secret)
  return secret
})

const eachRecord = (engine: Engine | undefined, kind: string, take: (row: RecordRow) => void) =>
  Effect.gen(function* () {
    if (engine === undefined) return
    for (let after = "";;) {
      const page = yield* engine.readRecords(kind, after, recordsPerPage)
      const last = page.at(-1)
      if (last === undefined) return
      after = last.key
      for (const row of page) take(row)
    }
  })
