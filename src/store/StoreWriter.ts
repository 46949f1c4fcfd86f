// The fiber that commits the Journal's groups, one after the other. Invariants: a group is given to the engine until it is committed,
// whatever fails and whoever crashes in between; a part of it that the engine will never take is found, left out and named, so that
// it costs neither its group nor the broker.
import { Clock, Effect } from "effect"
import { type Changes, type Engine, mayPass, noChanges, type StoreFailure, storeFailure } from "./Engine.ts"
import { merged, type Part, partsOf } from "./groupParts.ts"
import type { Journal } from "./Journal.ts"

export interface WritingOptions {
  /** Between two attempts. */
  readonly retryMillis: number
  /** The engine fails on this part, alone and again, and takes others: it is not stored. */
  readonly onSetAside: (part: Part, failure: StoreFailure) => void
}

/** A group that fails so often in a way that does not pass by itself is committed in parts, and a part that does is left out. */
const failuresOfAPart = 3

/** Ends never. */
export const writing = (journal: Journal, engine: Engine, options: WritingOptions): Effect.Effect<never> => {
  const attempt = (changes: Changes) =>
    caught(() => Effect.flatMap(Clock.currentTimeMillis, (now) => engine.commit(changes, now)))
  const failed = (failure: StoreFailure) =>
    Effect.andThen(Effect.sync(() => journal.groupFailed(failure)), Effect.sleep(options.retryMillis))
  const commit = (changes: Changes, failures: number): Effect.Effect<void> =>
    Effect.catch(attempt(changes), (failure) => {
      const lasting = mayPass(failure) ? 0 : failures + 1
      return Effect.andThen(
        failed(failure),
        Effect.suspend(() =>
          lasting < failuresOfAPart ? commit(journal.underWay, lasting) : inParts(partsOf(journal.underWay))
        )
      )
    })
  const inParts = (parts: ReadonlyArray<Part>): Effect.Effect<void> =>
    Effect.catch(attempt(merged(parts)), (failure) => {
      const [part] = parts
      if (part === undefined || mayPass(failure)) return Effect.andThen(failed(failure), inParts(parts))
      if (parts.length > 1) {
        const half = parts.length >> 1
        return Effect.andThen(inParts(parts.slice(0, half)), Effect.suspend(() => inParts(parts.slice(half))))
      }
      return Effect.andThen(failed(failure), alone(part, 1))
    })
  const alone = (part: Part, failures: number): Effect.Effect<void> =>
    Effect.catch(attempt(merged([part])), (failure) => {
      if (mayPass(failure)) return Effect.andThen(failed(failure), alone(part, failures))
      if (failures + 1 < failuresOfAPart) return Effect.andThen(failed(failure), alone(part, failures + 1))
      return Effect.matchEffect(attempt(noChanges), {
        onSuccess: () => Effect.sync(() => options.onSetAside(part, failure)),
        // It is not this part: the store takes nothing at all.
        onFailure: (other) => Effect.andThen(failed(other), alone(part, failures))
      })
    })
  return Effect.forever(
    Effect.flatMap(
      nextGroup(journal),
      (changes) => Effect.andThen(commit(changes, 0), Effect.sync(() => journal.groupCommitted()))
    )
  )
}

/** Interrupted in between, the group is still the journal's: it gives the same one again. */
const nextGroup = (journal: Journal): Effect.Effect<Changes> =>
  Effect.callback<Changes>((resume) => {
    journal.park((changes) => resume(Effect.succeed(changes)))
    return Effect.sync(() => journal.unpark())
  }).pipe(Effect.tap(Effect.yieldNow))

/** A defect of the engine is a failure like another: it must not end the writer, again and again. */
const caught = (commit: () => Effect.Effect<void, StoreFailure>): Effect.Effect<void, StoreFailure> =>
  Effect.catchDefect(
    Effect.suspend(commit),
    (defect) => Effect.fail(storeFailure("other", `the store's writer failed: ${String(defect)}`))
  )
