// Reads the access rules of the settings, at the start and at each reload, with what those sources need of the node that are asked while it
// runs. Invariants: rules with a fault are never in force; what former ones
// hold open is closed when others are.
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Clock, Effect, Exit, Scope } from "effect"
import type { Authorization } from "../access/rules/Authorization.ts"
import type { SourceParts } from "../access/rules/HttpRules.ts"
import { loadRules, type RulesInvalid } from "../access/rules/loadRules.ts"
import type { Settings } from "../config/Settings.ts"
import { Counters } from "../metrics/Counters.ts"
import { EventLog } from "../metrics/EventLog.ts"

export type ReadRules = (settings: Settings) => Effect.Effect<Authorization, RulesInvalid>

export const rulesReader = (parts: Omit<SourceParts, "fork">): Effect.Effect<ReadRules, never, Scope.Scope> =>
  Effect.gen(function* () {
    const run = Effect.runForkWith(yield* Effect.context<never>())
    const fork = (effect: Effect.Effect<void>) => {
      const fiber = run(effect)
      return () => fiber.interruptUnsafe()
    }
    const known = { postgres: new WeakMap(), mysql: new WeakMap(), redis: new WeakMap() }
    let inForce = Scope.makeUnsafe()
    yield* Effect.addFinalizer((exit) => Scope.close(inForce, exit))
    return (settings) =>
      Effect.suspend(() => {
        const next = Scope.makeUnsafe()
        return loadRules(settings, { ...parts, fork }, known).pipe(
          Effect.provide(NodeFileSystem.layer),
          Scope.provide(next),
          Effect.onExit((exit) => {
            const former = Exit.isSuccess(exit) ? inForce : next
            if (Exit.isSuccess(exit)) inForce = next
            return Scope.close(former, Exit.void)
          })
        )
      })
  })

/** For those who ask the rules without a node: nothing is logged. */
export const rulesReaderAlone: Effect.Effect<ReadRules, never, Scope.Scope> = Effect.flatMap(Clock.Clock, (clock) => {
  const now = () => clock.currentTimeMillisUnsafe()
  return rulesReader({ log: new EventLog(() => {}, now, 1_000), counters: new Counters(), now })
})
