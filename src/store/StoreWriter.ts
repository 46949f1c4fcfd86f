// The fiber that commits the Journal's groups, one after the other. Invariant: a group is given to the engine until it is committed,
// whatever fails and whoever crashes in between.
import { Clock, Effect } from "effect"
import type { Changes, Engine } from "./Engine.ts"
import type { Journal } from "./Journal.ts"

/** Ends never. A group that the engine refuses is tried again after `retryMillis`. */
export const writing = (journal: Journal, engine: Engine, retryMillis: number): Effect.Effect<never> => {
  const commit = (changes: Changes): Effect.Effect<void> =>
    Effect.matchEffect(Effect.flatMap(Clock.currentTimeMillis, (now) => engine.commit(changes, now)), {
      onSuccess: () => Effect.sync(() => journal.groupCommitted()),
      onFailure: (failure) =>
        Effect.sync(() => journal.groupFailed(failure)).pipe(
          Effect.andThen(Effect.sleep(retryMillis)),
          Effect.andThen(Effect.suspend(() => commit(changes)))
        )
    })
  return Effect.forever(Effect.flatMap(nextGroup(journal), commit))
}

/** Interrupted in between, the group is still the journal's: it gives the same one again. */
const nextGroup = (journal: Journal): Effect.Effect<Changes> =>
  Effect.callback<Changes>((resume) => {
    journal.park((changes) => resume(Effect.succeed(changes)))
    return Effect.sync(() => journal.unpark())
  }).pipe(Effect.tap(Effect.yieldNow))
