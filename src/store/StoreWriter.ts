// The two fibers between the packet path and an engine: one commits the Journal's groups one after the other, one reads back what
// sessions ask for. Invariant: a group is given to the engine until it is committed, whatever fails and whoever crashes in between.
import { Clock, Effect } from "effect"
import type { Changes, Engine, StoredDelivery, StoreFailure } from "./Engine.ts"
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

export interface DeliveriesWanted {
  readonly session: number
  readonly after: number
  readonly limit: number
  /** Plain code that only leaves the rows for an actor and wakes it. */
  readonly reply: (rows: ReadonlyArray<StoredDelivery>) => void
}

/** What sessions want to read back: asked in plain code, answered by the reader's fiber. At most one page a session waits here. */
export class StoreReads {
  private waiting: Array<DeliveriesWanted> = []
  private resume: (() => void) | null = null

  request(wanted: DeliveriesWanted): void {
    this.waiting.push(wanted)
    const resume = this.resume
    this.resume = null
    resume?.()
  }

  /** All that waits, once there is something. */
  readonly next: Effect.Effect<ReadonlyArray<DeliveriesWanted>> = Effect.callback<void>((resume) => {
    if (this.waiting.length > 0) return resume(Effect.void)
    this.resume = () => resume(Effect.void)
    return Effect.sync(() => this.resume = null)
  }).pipe(
    // Those that ask in the same turn are read together.
    Effect.andThen(Effect.yieldNow),
    Effect.andThen(Effect.sync(() => {
      const wanted = this.waiting
      this.waiting = []
      return wanted
    }))
  )
}

const readsAtATime = 4

/** Ends never. A page that cannot be read is tried again after `retryMillis`. */
export const reading = (
  reads: StoreReads,
  engine: Engine,
  retryMillis: number,
  onFailure: (failure: StoreFailure) => void
): Effect.Effect<never> => {
  const read = (wanted: DeliveriesWanted): Effect.Effect<void> =>
    Effect.matchEffect(engine.readDeliveries(wanted.session, wanted.after, wanted.limit), {
      onSuccess: (rows) => Effect.sync(() => wanted.reply(rows)),
      onFailure: (failure) =>
        Effect.sync(() => onFailure(failure)).pipe(
          Effect.andThen(Effect.sleep(retryMillis)),
          Effect.andThen(Effect.suspend(() => read(wanted)))
        )
    })
  return Effect.forever(
    Effect.flatMap(reads.next, (all) => Effect.forEach(all, read, { concurrency: readsAtATime, discard: true }))
  )
}
