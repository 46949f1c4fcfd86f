// Measures a start on a store that 100,000 sessions and 1,000,000 queued messages are in: written with the store's own engine, then read by a
// fresh process. What counts is the time until it answers on its port, and the most memory that it had by then.
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { type Changes, noChanges } from "../../src/store/Engine.ts"
import { openSqlite } from "../../src/store/sqlite/SqliteEngine.ts"
import { scratchFolder, startEmqttd } from "./brokers.ts"
import type { Result } from "./loadGenerator.ts"

const sessions = 100_000
const queuedEach = 10
const atOnce = 2_000

/** "t/1" with 64 bytes, QoS 1, as a client of 3.1.1 sends it. */
const packet = Buffer.concat([Buffer.from([0x32, 3 + 2 + 2 + 64, 0, 3]), Buffer.from("t/1"), Buffer.alloc(66, 120)])

const sessionsFrom = (first: number): Changes => {
  const numbers = Array.from({ length: atOnce }, (_, at) => first + at)
  return {
    ...noChanges,
    sessions: numbers.map((session) => ({
      session,
      clientId: `client-${session}`,
      expiryMillis: Infinity,
      expiresAt: Infinity,
      connected: false,
      will: null
    })),
    subscriptions: numbers.map((session) => ({
      session,
      topicFilter: `t/${session}`,
      qos: 1,
      noLocal: false,
      retainAsPublished: false,
      retainHandling: 0,
      subscriptionIdentifier: 0
    }))
  }
}

const queuedFrom = (first: number, sequence: number): Changes => {
  const numbers = Array.from({ length: atOnce }, (_, at) => first + at)
  const messageOf = (session: number) => (sequence - 1) * sessions + session
  return {
    ...noChanges,
    messages: numbers.map((session) => ({
      message: messageOf(session),
      packet,
      shape: 1,
      publisher: "publisher",
      receivedAt: 1_700_000_000_000,
      expiresAt: 0
    })),
    deliveries: numbers.map((session) => ({
      session,
      sequence,
      message: messageOf(session),
      qos: 1,
      retain: false,
      topicFilter: `t/${session}`,
      subscriptionIdentifiers: [],
      state: 0,
      packetIdentifier: 0
    }))
  }
}

const write = (file: string) =>
  Effect.scoped(Effect.gen(function* () {
    const engine = yield* openSqlite({ file, durability: "process", log: () => {} })
    for (let first = 1; first <= sessions; first += atOnce) {
      yield* engine.commit(sessionsFrom(first), Date.now())
      for (let sequence = 1; sequence <= queuedEach; sequence++) {
        yield* engine.commit(queuedFrom(first, sequence), Date.now())
      }
    }
  }))

export const runRecoveryProbe = async (): Promise<Result> => {
  const folder = scratchFolder()
  try {
    const file = path.join(folder, "store.sqlite")
    await Effect.runPromise(write(file))
    const begun = performance.now()
    const broker = await startEmqttd({ data: folder })
    const ready = performance.now() - begun
    const peak = /VmHWM:\s+(\d+) kB/.exec(fs.readFileSync(`/proc/${broker.pid}/status`, "utf8"))?.[1]
    await broker.stop()
    return { ready_ms: ready, peak_rss_bytes: Number(peak) * 1024 }
  } finally {
    fs.rmSync(folder, { recursive: true, force: true })
  }
}
