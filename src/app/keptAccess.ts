// What the node keeps itself of who may come in and what they may do: the rules of the source "built_in", read from the store at the
// start. Invariant: what of it cannot be read is named in the log and left where it is.
import { Effect } from "effect"
import type { InForce } from "../access/rules/Authorization.ts"
import { RuleDatabase, ruleKind } from "../access/rules/RuleDatabase.ts"
import type { Settings } from "../config/Settings.ts"
import type { EventLog } from "../metrics/EventLog.ts"
import type { Engine, RecordRow, StoreFailure } from "../store/Engine.ts"
import type { DurableStore } from "./durableStore.ts"

export interface KeptAccess {
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
  })
  const unreadable = ({ key, kind }: RecordRow) => log.error("store: a record cannot be understood", { kind, key })
  yield* eachRecord(engine, ruleKind, (row) => {
    if (!rules.load(row.key, row.value)) unreadable(row)
  })
  inForce.authorization = inForce.authorization.replacing(rules.file)
  return { rules }
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
