// Reads the access rules of the settings, at the start and at each reload, with what those sources need of the node that are asked while it
// runs. Invariant: rules with a fault are never in force.
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Clock, Effect } from "effect"
import type { Authorization } from "../access/rules/Authorization.ts"
import type { SourceParts } from "../access/rules/HttpRules.ts"
import { loadRules, type RulesInvalid } from "../access/rules/loadRules.ts"
import type { Settings } from "../config/Settings.ts"
import { Counters } from "../metrics/Counters.ts"
import { EventLog } from "../metrics/EventLog.ts"

export type ReadRules = (settings: Settings) => Effect.Effect<Authorization, RulesInvalid>

export const rulesReader = (parts: Omit<SourceParts, "fork">): Effect.Effect<ReadRules> =>
  Effect.map(Effect.context<never>(), (context) => {
    const run = Effect.runForkWith(context)
    const fork = (effect: Effect.Effect<void>) => {
      const fiber = run(effect)
      return () => fiber.interruptUnsafe()
    }
    return (settings) => loadRules(settings, { ...parts, fork }).pipe(Effect.provide(NodeFileSystem.layer))
  })

/** For those who ask the rules without a node: nothing is logged. */
export const rulesReaderAlone: Effect.Effect<ReadRules> = Effect.flatMap(Clock.Clock, (clock) => {
  const now = () => clock.currentTimeMillisUnsafe()
  return rulesReader({ log: new EventLog(() => {}, now, 1_000), counters: new Counters(), now })
})
