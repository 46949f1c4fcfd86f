// What the management API may do with the rules that the node keeps itself. Invariant: it has answered when the change is on disk.
import { Effect } from "effect"
import type { AdminRules } from "../admin/AdminNode.ts"
import { Refused } from "../admin/faults.ts"
import type { InForce } from "../access/rules/Authorization.ts"
import { builtIn, type RuleDatabase } from "../access/rules/RuleDatabase.ts"
import { awaitGroup } from "../store/awaitGroup.ts"
import type { Journal } from "../store/Journal.ts"

/** The change holds all the same; who asked is told that a crash now would lose it. */
const onDisk = (journal: Journal, group: number): Effect.Effect<void, Refused> =>
  Effect.mapError(
    awaitGroup(journal, group),
    ({ message }) => new Refused({ message: `it holds, but is not on disk yet: ${message}` })
  )

export const adminRules = (rules: RuleDatabase, inForce: InForce, journal: Journal): AdminRules => ({
  list: () => rules.list.map(({ number, table }) => ({ number, rule: table })),
  add: ({ before, rule }) =>
    Effect.suspend(() => {
      const added = rules.add(rule, before)
      if (typeof added === "string") return Effect.fail(new Refused({ message: added }))
      return Effect.as(onDisk(journal, added.group), {
        number: added.number,
        asked: inForce.authorization.asks(builtIn)
      })
    }),
  remove: (number) =>
    Effect.suspend(() => {
      const removed = rules.remove(number)
      return removed === undefined ? Effect.succeed(false) : Effect.as(onDisk(journal, removed.group), true)
    })
})
