// The rules that a node keeps itself, read out of its store for a command, also while the node runs.
import { Effect } from "effect"
import * as fs from "node:fs"
import { type KeptRule, keptRuleOf, ruleFileOf, ruleKind } from "../access/rules/RuleDatabase.ts"
import type { RuleFile } from "../access/rules/Rule.ts"
import type { Settings } from "../config/Settings.ts"
import type { StoreFailure } from "../store/Engine.ts"
import { storeFile } from "../store/openEngine.ts"
import { openPostgresReader } from "../store/postgres/PostgresEngine.ts"
import { openSqliteReader } from "../store/sqlite/openReader.ts"

const rulesPerPage = 1_000

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
    for (let after = "";;) {
      const page = yield* reader.readRecords(ruleKind, after, rulesPerPage)
      const last = page.at(-1)
      if (last === undefined) return ruleFileOf(rules)
      after = last.key
      for (const { key, value } of page) {
        const rule = keptRuleOf(key, value)
        if (rule !== undefined) rules.push(rule)
      }
    }
  }))
