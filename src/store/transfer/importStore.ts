// Puts the lines of an export into an empty store, in groups. Numbers stay what they were, so that what is in flight fits.
import { Data, Effect } from "effect"
import {
  type Changes,
  type Engine,
  type GrowingChanges,
  growingChanges,
  type MessageRow,
  noChanges,
  type StoreFailure
} from "../Engine.ts"
import {
  deliveryOf,
  exportVersion,
  type Line,
  parseLine,
  recordOf,
  retainedOf,
  sessionOf,
  subscriptionOf
} from "./lines.ts"

/** One clear line, with the number of the line it is about. */
export class ImportRefused extends Data.TaggedError("ImportRefused")<{ readonly message: string }> {}

const linesAtOnce = 1_000

/** How many lines were put in. */
export const importStore = (
  engine: Engine,
  lines: Iterable<string>,
  now: number
): Effect.Effect<number, StoreFailure | ImportRefused> =>
  Effect.gen(function* () {
    const { deliveries, records, retained, sessions } = yield* engine.stats
    if (sessions + deliveries + retained + records > 0) {
      return yield* new ImportRefused({ message: `${engine.description}: it is not empty` })
    }
    let number = 0
    let highest = { session: 0, message: 0 }
    let imported = 0
    let group = growingChanges()
    let messages = new Map<number, MessageRow>()
    const flush = Effect.suspend(() => {
      const full = { ...group, messages: [...messages.values()] }
      group = growingChanges()
      messages = new Map()
      return engine.commit(full, now)
    })
    for (const text of lines) {
      number++
      if (text === "") continue
      const line = parseLine(text)
      if (line === undefined) {
        return yield* new ImportRefused({ message: `line ${number}: not a line of "emqttd store export"` })
      }
      if (number === 1) {
        if (!("emqttd_store" in line) || line.emqttd_store.version > exportVersion) {
          return yield* new ImportRefused({ message: `line 1: not an export that this version knows` })
        }
        highest = line.emqttd_store
        continue
      }
      put(group, messages, line)
      if ("session" in line) imported = Math.max(imported, line.session.session)
      if (number % linesAtOnce === 0) yield* flush
    }
    if (number === 0) return yield* new ImportRefused({ message: "it is empty" })
    yield* flush
    yield* keepHighest(engine, highest, imported, now)
    return number
  })

const put = (group: GrowingChanges, messages: Map<number, MessageRow>, line: Line): void => {
  if ("session" in line) group.sessions.push(sessionOf(line))
  else if ("subscription" in line) group.subscriptions.push(subscriptionOf(line))
  else if ("retained" in line) group.retained.push(retainedOf(line))
  else if ("record" in line) group.records.push(recordOf(line))
  else if ("awaiting_pubrel" in line) {
    const { packet_identifier, session, since } = line.awaiting_pubrel
    group.awaitingPubrel.push({ session, packetIdentifier: packet_identifier, since })
  } else if ("delivery" in line) {
    const { row, stored } = deliveryOf(line)
    group.deliveries.push(row)
    messages.set(stored.message, stored)
  }
}

/** A number that was given once is not given again, also when what had it is gone: rows that come and go leave the mark. */
const keepHighest = (
  engine: Engine,
  { message, session }: { readonly session: number; readonly message: number },
  imported: number,
  now: number
) =>
  session === 0 ? Effect.void : Effect.andThen(
    engine.commit({ ...noChanges, ...mark(session, message, imported) }, now),
    engine.commit(
      imported < session
        ? { ...noChanges, sessionsEnded: [session] }
        : { ...noChanges, deliveriesDone: [{ session, sequence: markSequence }] },
      now
    )
  )

const markSequence = Number.MAX_SAFE_INTEGER

const mark = (session: number, message: number, imported: number): Partial<Changes> => ({
  sessions: imported < session
    ? [{ session, clientId: "", expiryMillis: 0, expiresAt: 0, connected: false, will: null }]
    : [],
  messages: [{ message, packet: new Uint8Array(0), shape: 0, publisher: "", receivedAt: 0, expiresAt: 0 }],
  deliveries: [{
    session,
    sequence: markSequence,
    message,
    qos: 1,
    retain: false,
    topicFilter: "",
    subscriptionIdentifiers: [],
    state: 0,
    packetIdentifier: 0
  }]
})
