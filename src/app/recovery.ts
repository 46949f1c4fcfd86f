// What the store has, taken into a broker that does not listen yet: sessions with their subscriptions, and retained messages. Queued
// messages stay where they are until their clients come. Invariant: when it is done, every message that is published meets every
// durable subscription.
import { Clock, Effect } from "effect"
import type { Session } from "../session/Session.ts"
import type { Sessions } from "../session/Sessions.ts"
import type { Services } from "../session/Services.ts"
import { storedSubscription } from "../session/Subscriptions.ts"
import { takenKind } from "../session/TakenNotes.ts"
import { eachRecord } from "../store/eachRecord.ts"
import { type Engine, type StoreFailure, storeFailure } from "../store/Engine.ts"
import { beatMillis } from "../store/Journal.ts"
import { readableMessage } from "../store/storedMessage.ts"

const sessionsPerPage = 1_000
const retainedPerPage = 1_000
/** Retained messages are asked for in pages of about so many bytes. */
const retainedPageBytes = 4 * 1024 * 1024
/** So long is nothing said of the progress. */
const progressMillis = 1_000

export const recover = Effect.fn("recover")(function* (
  services: Services,
  sessions: Sessions,
  engine: Engine,
  aliveAt: number
): Effect.fn.Return<void, StoreFailure> {
  const started = yield* Clock.currentTimeMillis
  let sessionCount = 0
  let retained = 0
  let saidAt = started
  const progress = Effect.fnUntraced(function* () {
    // The router takes in what the page has brought, and the loop sees to its sockets.
    yield* idle(services)
    const now = yield* Clock.currentTimeMillis
    if (now - saidAt < progressMillis) return
    saidAt = now
    yield* Effect.logInfo("reading the store", { sessions: sessionCount, retained })
  })

  // It may have lived on until the next group was due: a client that was there must not count as away for longer than it was.
  const livedUntil = Math.max(engine.highest.committedAt, aliveAt) + beatMillis
  const committedAt = Math.min(livedUntil, services.scheduler.refresh())
  const found: Array<{ readonly session: Session; readonly crashed: boolean }> = []
  let owed = 0
  for (let after = 0;;) {
    const page = yield* readable(`sessions after number ${after}`, engine.readSessions(after, sessionsPerPage))
    for (const stored of page) {
      after = stored.row.session
      owed += stored.owed
      const subscriptions = stored.subscriptions.flatMap(storedSubscription)
      const session = sessions.restore(stored, subscriptions, committedAt)
      found.push({ session, crashed: stored.row.connected })
      // The mailbox of the router has its bound.
      while (subscriptions.length > 0 && !services.router.subscribe(session, subscriptions, () => {})) {
        yield* idle(services)
      }
    }
    sessionCount += page.length
    if (page.length === 0) break
    yield* progress()
  }
  yield* eachRecord(engine, takenKind, ({ key, value }) => sessions.restoreTaken(key, value))
  let limit = 64
  for (let after = "";;) {
    const page = yield* readable(
      `retained messages after ${JSON.stringify(after)}`,
      engine.readRetained(after, limit)
    )
    const bytes = page.reduce((sum, { message }) => sum + message.packet.length, 1)
    limit = Math.max(1, Math.min(retainedPerPage, limit * 2, Math.floor(limit * retainedPageBytes / bytes)))
    for (const { message: content, topic } of page) {
      after = topic
      const message = readableMessage(
        content,
        services.topics,
        (reason) => services.log.error("store: a retained message cannot be read: it stays there", { topic, reason })
      )
      if (message === undefined) continue
      if (message.isExpired(services.scheduler.now)) services.journal.retain(topic, null)
      else services.retainer.restore(message)
    }
    retained += page.length
    if (page.length === 0) break
    yield* progress()
  }
  for (const { crashed, session } of found) session.begin(crashed)
  yield* idle(services)
  if (sessionCount + retained === 0) return
  const milliseconds = (yield* Clock.currentTimeMillis) - started
  yield* Effect.logInfo("the store has been read", { sessions: sessionCount, messages: owed, retained, milliseconds })
})

/** A row of which the engine can make nothing is told in one line, like any other damage that it does not know how to set aside. */
const readable = <A>(what: string, page: Effect.Effect<A, StoreFailure>): Effect.Effect<A, StoreFailure> =>
  Effect.catchDefect(
    page,
    (defect) => Effect.fail(storeFailure("damaged", `the store's ${what} cannot be read: ${String(defect)}`))
  )

/** Turns of the event loop until no actor has anything to do. */
const idle = (services: Services): Effect.Effect<void> =>
  Effect.whileLoop({
    while: () => services.scheduler.busy,
    body: () => Effect.sleep(0),
    step: () => {}
  })
