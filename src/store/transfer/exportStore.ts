// Goes through a whole store page by page: for an export, and for a check, which only wants every row to be read once.
import { Effect } from "effect"
import type { StoreFailure } from "../Engine.ts"
import type { StoreReader } from "../StoreReader.ts"
import {
  deliveryLine,
  exportVersion,
  type Line,
  recordLine,
  retainedLine,
  sessionLine,
  subscriptionLine
} from "./lines.ts"

const pageSize = 500

/** `write` gets the lines of one page. */
export const exportStore = <E>(
  reader: StoreReader,
  write: (lines: ReadonlyArray<Line>) => Effect.Effect<void, E>
): Effect.Effect<void, E | StoreFailure> =>
  Effect.gen(function* () {
    const { committedAt, message, session } = reader.highest
    yield* write([{ emqttd_store: { version: exportVersion, session, message, committed_at: committedAt } }])
    let after = 0
    while (true) {
      const sessions = yield* reader.readSessions(after, pageSize)
      const last = sessions.at(-1)
      if (last === undefined) break
      after = last.row.session
      for (const { awaitingPubrel, owed, row, subscriptions } of sessions) {
        yield* write([
          sessionLine(row),
          ...subscriptions.map(subscriptionLine),
          ...awaitingPubrel.map(({ packetIdentifier, since }): Line => ({
            awaiting_pubrel: { session: row.session, packet_identifier: packetIdentifier, since }
          }))
        ])
        if (owed > 0) yield* deliveries(reader, row.session, write)
      }
    }
    let topic = ""
    while (true) {
      const retained = yield* reader.readRetained(topic, pageSize)
      const last = retained.at(-1)
      if (last === undefined) break
      topic = last.topic
      yield* write(retained.map((one) => retainedLine(one.topic, one.message)))
    }
    for (const kind of yield* reader.recordKinds) yield* records(reader, kind, write)
  })

const records = <E>(
  reader: StoreReader,
  kind: string,
  write: (lines: ReadonlyArray<Line>) => Effect.Effect<void, E>
): Effect.Effect<void, E | StoreFailure> =>
  Effect.gen(function* () {
    let after = ""
    while (true) {
      const page = yield* reader.readRecords(kind, after, pageSize)
      const last = page.at(-1)
      if (last === undefined) return
      after = last.key
      yield* write(page.map(recordLine))
    }
  })

const deliveries = <E>(
  reader: StoreReader,
  session: number,
  write: (lines: ReadonlyArray<Line>) => Effect.Effect<void, E>
): Effect.Effect<void, E | StoreFailure> =>
  Effect.gen(function* () {
    let after = 0
    while (true) {
      const page = yield* reader.readDeliveries(session, after, pageSize)
      const last = page.at(-1)
      if (last === undefined) return
      after = last.sequence
      yield* write(page.map((row) => deliveryLine(row, row.stored)))
    }
  })
