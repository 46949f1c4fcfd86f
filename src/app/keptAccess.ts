// What the node keeps itself of who may come in and what they may do: its users and the rules of the source "built_in", read from the store
// at the start. Invariant: what of it cannot be read is named in the log and left where it is.
import { Effect } from "effect"
import { randomBytes } from "node:crypto"
import type { InForce } from "../access/rules/Authorization.ts"
import { RuleDatabase, ruleKind } from "../access/rules/RuleDatabase.ts"
import { Scram, scramKind } from "../access/scram/Scram.ts"
import { userKind, userOf } from "../access/users/User.ts"
import { UserDatabase } from "../access/users/UserDatabase.ts"
import type { Settings } from "../config/Settings.ts"
import type { EventLog } from "../metrics/EventLog.ts"
import { eachRecord } from "../store/eachRecord.ts"
import type { RecordRow, StoreFailure } from "../store/Engine.ts"
import type { DurableStore } from "./durableStore.ts"

export interface KeptAccess {
  readonly users: UserDatabase
  readonly scram: Scram
  readonly rules: RuleDatabase
  /** As they are now. */
  readonly settings: () => Settings
  /** At the start, once everything that is told of changes is there, and at each reload. */
  readonly change: (settings: Settings) => void
}

export const keptAccess = Effect.fn("keptAccess")(function* (
  settings: Settings,
  { engine, journal }: DurableStore,
  inForce: InForce,
  log: EventLog
): Effect.fn.Return<KeptAccess, StoreFailure> {
  let inUse = settings
  const rules = new RuleDatabase(journal, () => inUse.authorization.maxBuiltInRules, (file) => {
    inForce.authorization = inForce.authorization.replacing(file)
    inForce.replaced?.()
  })
  const unreadable = ({ key, kind }: RecordRow) => log.error("store: a record cannot be understood", { kind, key })
  if (engine !== undefined) {
    yield* eachRecord(engine, ruleKind, (row) => {
      if (!rules.load(row.key, row.value)) unreadable(row)
    })
  }
  inForce.authorization = inForce.authorization.replacing(rules.file)
  const users = new UserDatabase(journal, () => inUse.auth_users.maxUsers)
  if (engine !== undefined) {
    yield* eachRecord(engine, userKind, (row) => {
      const user = userOf(row.key, row.value)
      if (user === undefined) unreadable(row)
      else users.load(user)
    })
  }
  const [row] = engine === undefined ? [] : yield* engine.readRecords(scramKind, "", 1)
  const scram = new Scram(settings.auth_scram, (name) => users.find(name), row?.value ?? randomBytes(32))
  let isKept = row !== undefined
  return {
    rules,
    users,
    scram,
    settings: () => inUse,
    change: (next) => {
      inUse = next
      scram.settings = next.auth_scram
      if (isKept || next.auth_scram.mechanisms.length === 0) return
      isKept = true
      journal.putRecord(scramKind, saltsKey, scram.secret)
    }
  }
})

const saltsKey = "salts"
