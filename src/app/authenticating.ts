// Makes the authentication chain of the settings and puts it in force, at the start and at each reload. Invariants: a chain with a fault
// is never in force; what the former chain holds open is closed when nobody waits for its answer any more.
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Effect, Exit, Scope } from "effect"
import { Authentication, type AuthenticationInForce } from "../access/authentication/Authentication.ts"
import { FailureGuard } from "../access/authentication/FailureGuard.ts"
import { type LinkParts, type LinksInvalid, makeLinks, nobodyKnows } from "../access/authentication/makeLinks.ts"
import { PasswordChecks } from "../access/authentication/passwords/PasswordChecks.ts"
import type { Settings } from "../config/Settings.ts"

export interface Authenticating {
  readonly inForce: AuthenticationInForce
  /** With a fault the chain from before stays. */
  readonly reload: (settings: Settings) => Effect.Effect<void, LinksInvalid>
}

interface Made {
  readonly chain: Authentication
  readonly close: Effect.Effect<void>
}

export const startAuthentication = Effect.fn("startAuthentication")(function* (
  settings: Settings,
  given: Omit<LinkParts, "passwords">
): Effect.fn.Return<Authenticating, LinksInvalid, Scope.Scope> {
  const run = Effect.runForkWith(yield* Effect.context<never>())
  const fork = (effect: Effect.Effect<void>): () => void => {
    const fiber = run(effect)
    return () => fiber.interruptUnsafe()
  }
  const passwords = new PasswordChecks(settings.authentication, given.counters)
  const guard = new FailureGuard(settings.authentication)
  const parts: LinkParts = { ...given, passwords }
  const make = Effect.fnUntraced(function* (from: Settings): Effect.fn.Return<Made, LinksInvalid> {
    const scope = yield* Scope.make()
    const close = Scope.close(scope, Exit.void)
    const links = yield* makeLinks(from, parts).pipe(
      Effect.provideService(Scope.Scope, scope),
      Effect.provide(NodeFileSystem.layer),
      Effect.onError(() => close)
    )
    const { counters, log, now } = parts
    const options = { ...from.authentication, nobodyKnows: nobodyKnows(from), counters, log, now, guard, fork }
    return { chain: new Authentication(links, options), close }
  })
  let made = yield* make(settings)
  const inForce: AuthenticationInForce = { chain: made.chain }
  yield* Effect.addFinalizer(() => made.close)
  return {
    inForce,
    reload: (next) =>
      Effect.flatMap(make(next), (fresh) => {
        const former = made
        made = fresh
        inForce.chain = fresh.chain
        former.chain.retire(() => void fork(former.close))
        guard.change(next.authentication)
        return passwords.change(next.authentication)
      })
  }
})
