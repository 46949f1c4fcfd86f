// What sessions want to read back: asked in plain code, answered by the reader's fiber. At most one page a session waits here.
// Invariant: what was asked is answered, whatever fails: a page that fails is tried again and holds nobody else up, and a delivery that
// cannot be read is set aside and named, so that no session waits for ever.
import { Effect } from "effect"
import { type DeliveryPage, type Engine, mayPass, type StoreFailure, storeFailure } from "./Engine.ts"
import { readAround } from "./readAround.ts"

export interface DeliveriesWanted {
  readonly session: number
  readonly after: number
  readonly limit: number
  /** Plain code that only leaves the rows for an actor and wakes it. */
  readonly reply: (page: DeliveryPage) => void
}

interface Asked {
  readonly wanted: DeliveriesWanted
  /** Attempts in a row that have failed. */
  failures: number
}

export class StoreReads {
  /** All that has not been answered, oldest first. */
  private readonly open = new Set<Asked>()
  /** Of these, what nobody works on. */
  private ready = new Set<Asked>()
  private idle: Array<() => void> = []

  request(wanted: DeliveriesWanted): void {
    const asked = { wanted, failures: 0 }
    this.open.add(asked)
    this.offer(asked)
  }

  /** What an earlier life of the reader has left undone is to be done again. */
  begin(): void {
    this.idle = []
    this.ready = new Set(this.open)
  }

  /** The oldest that is ready, once there is one. */
  readonly take: Effect.Effect<Asked> = Effect.callback<Asked>((resume) => {
    const give = () => {
      for (const asked of this.ready) {
        this.ready.delete(asked)
        return resume(Effect.succeed(asked))
      }
      this.idle.push(give)
    }
    give()
    return Effect.sync(() => this.idle = this.idle.filter((one) => one !== give))
    // Those that ask in the same turn have their turn first.
  }).pipe(Effect.tap(Effect.yieldNow))

  offer(asked: Asked): void {
    if (!this.open.has(asked)) return
    this.ready.add(asked)
    this.idle.shift()?.()
  }

  answer(asked: Asked, page: DeliveryPage): void {
    if (this.open.delete(asked)) asked.wanted.reply(page)
  }
}

export interface ReadingOptions {
  /** The first pause after a failure; the next ones double, up to half a minute. */
  readonly retryMillis: number
  readonly onFailure: (failure: StoreFailure, wanted: DeliveriesWanted) => void
  /** This delivery cannot be read, and its session goes on without it. */
  readonly onSetAside: (session: number, sequence: number, failure: StoreFailure) => void
}

const readsAtATime = 4
const longestPauseMillis = 30_000
/** A page that fails so often in a way that does not pass by itself is read row by row. */
const failuresOfARow = 3

/** Ends never. */
export const reading = (reads: StoreReads, engine: Engine, options: ReadingOptions): Effect.Effect<never> => {
  const { onFailure, onSetAside, retryMillis } = options
  const page = ({ failures, wanted: { after, limit, session } }: Asked) => {
    const read = (from: number, count: number) => caught(() => engine.readDeliveries(session, from, count))
    if (failures < failuresOfARow) return read(after, limit)
    const next = (from: number) => caught(() => engine.nextDelivery(session, from))
    return readAround({ read, next }, after, limit, (sequence, failure) => onSetAside(session, sequence, failure))
  }
  const again = (asked: Asked, failure: StoreFailure) => {
    onFailure(failure, asked.wanted)
    asked.failures = mayPass(failure) ? Math.min(asked.failures + 1, failuresOfARow - 1) : asked.failures + 1
    const pause = Math.min(retryMillis * 2 ** (asked.failures - 1), longestPauseMillis)
    return Effect.forkChild(Effect.andThen(Effect.sleep(pause), Effect.sync(() => reads.offer(asked))))
  }
  const worker = Effect.forever(
    Effect.flatMap(reads.take, (asked) =>
      Effect.matchEffect(page(asked), {
        onSuccess: (rows) => Effect.sync(() => reads.answer(asked, rows)),
        onFailure: (failure) => Effect.asVoid(again(asked, failure))
      }))
  )
  return Effect.andThen(
    Effect.sync(() => reads.begin()),
    Effect.flatMap(
      Effect.all(Array.from({ length: readsAtATime }, () => worker), { concurrency: "unbounded", discard: true }),
      () => Effect.never
    )
  )
}

/** A defect of the engine is a failure like another: it must not end the reader. */
const caught = <A>(ask: () => Effect.Effect<A, StoreFailure>): Effect.Effect<A, StoreFailure> =>
  Effect.catchDefect(
    Effect.suspend(ask),
    (defect) => Effect.fail(storeFailure("other", `the store's reader failed: ${String(defect)}`))
  )
