// The rules that a node keeps itself, read out of its store for a command, also while the node runs.
import { Effect } from "effect"
import * as fs from "node:fs"
import { type KeptRule, keptRuleOf, ruleFileOf, ruleKind } from "../access/rules/RuleDatabase.ts"
import type { RuleFile } from "../access/rules/Rule.ts"
import type { Settings } from "../config/Settings.ts"
import { eachRecord } from "../store/eachRecord.ts"
import type { StoreFailure } from "../store/Engine.ts"
import { storeFile } from "../store/openEngine.ts"
import { openPostgresReader } from "../store/postgres/PostgresEngine.ts"
import { openSqliteReader } from "../store/sqlite/openReader.ts"

/** None where nothing is kept, or nothing has been yet. */
export const readKeptRules = ({ authorization, node, store }: Settings): Effect.Effect<RuleFile, StoreFailure> =>
  Effect.scoped(Effect.gen(function* () {
    const rules: Array<KeptRule> = []
    const file = storeFile(node.dataDir)
    const none = store.engine === "memory" || store.durability === "memory" ||
      (store.engine === "sqlite" && !fs.existsSync(file)) ||
      authorization.sources.every(({ type }) => type !== "built_in")
    if (none) return ruleFileOf(rules)
    const reader = yield* store.engine === "postgres" ? openPostgresReader(store.url) : openSqliteReader(file)
    yield* eachRecord(reader, ruleKind, ({ key, value }) => {
      const rule = keptRuleOf(key, value)
      if (rule !== undefined) rules.push(rule)
    })
    return ruleFileOf(rules)
  }))
