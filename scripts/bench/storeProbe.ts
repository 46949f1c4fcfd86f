// Measures an engine of the store alone, through the interface that the broker uses:
//   bun scripts/bench/storeProbe.ts [--engine sqlite|postgres|memory] [--durability fsync|process] [--url postgres://…] [steady] [recovery]
// steady: groups of deliveries to 1,000 sessions, each group ending the one before it. recovery: a million deliveries that 100,000
// sessions are owed, written, opened anew, listed, and drained for 1,000 sessions.
import { Effect } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { performance } from "node:perf_hooks"
import { parseArgs } from "node:util"
import { type Changes, type Engine, noChanges } from "../../src/store/Engine.ts"
import { storeDefaults } from "../../src/config/sections/store.ts"
import { openEngine } from "../../src/store/openEngine.ts"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    engine: { type: "string", default: "sqlite" },
    durability: { type: "string", default: "fsync" },
    url: { type: "string", default: "" },
    seconds: { type: "string", default: "3" },
    groups: { type: "string", default: "100,1000,5000" },
    sessions: { type: "string", default: "100000" }
  }
})

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-store-probe-"))
const open = openEngine(
  {
    ...storeDefaults,
    engine: values.engine === "postgres" || values.engine === "memory" ? values.engine : "sqlite",
    durability: values.durability === "process" ? "process" : "fsync",
    url: values.url
  },
  folder,
  (level, message, fields) => console.error(level, message, fields)
)

const packet = new Uint8Array(64 + 12).fill(120)
const thousands = (perMillisecond: number): string => `${perMillisecond.toFixed(0)} k/s`
const megabytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`

/** The longest time for which nothing else could run, ms. */
class LoopWatch {
  worst = 0
  private before = performance.now()
  private readonly timer = setInterval(() => {
    const now = performance.now()
    this.worst = Math.max(this.worst, now - this.before - 1)
    this.before = now
  }, 1)
  stop(): number {
    clearInterval(this.timer)
    return this.worst
  }
}

let message = 0
const deliveriesOf = (keys: ReadonlyArray<readonly [session: number, sequence: number]>): Partial<Changes> => {
  const messages: Array<Changes["messages"][number]> = []
  const deliveries: Array<Changes["deliveries"][number]> = []
  for (const [session, sequence] of keys) {
    message++
    messages.push({ message, packet, shape: 3, publisher: "publisher-1", receivedAt: 1_700_000_000_000, expiresAt: 0 })
    deliveries.push({
      session,
      sequence,
      message,
      qos: 1,
      retain: false,
      topicFilter: "bench/topic",
      subscriptionIdentifiers: [],
      state: 0,
      packetIdentifier: 0
    })
  }
  return { messages, deliveries }
}

const sessionRows = (first: number, count: number): Changes => ({
  ...noChanges,
  sessions: Array.from({ length: count }, (_, index) => ({
    session: first + index,
    clientId: `client-${first + index}`,
    expiryMillis: Infinity,
    expiresAt: Infinity,
    connected: false,
    will: null
  })),
  subscriptions: Array.from({ length: count }, (_, index) => ({
    session: first + index,
    topicFilter: "bench/topic",
    qos: 1,
    noLocal: false,
    retainAsPublished: false,
    retainHandling: 0,
    subscriptionIdentifier: 0
  }))
})

const steady = Effect.fnUntraced(function* (engine: Engine, size: number) {
  const sessions = 1_000
  yield* engine.commit(sessionRows(1, sessions), 1)
  const watch = new LoopWatch()
  const took: Array<number> = []
  const started = performance.now()
  let ended: Array<readonly [number, number]> = []
  let written = 0
  while (performance.now() - started < Number(values.seconds) * 1_000) {
    const keys = Array.from({ length: size }, (_, index) => {
      const nth = written + index
      return [nth % sessions + 1, Math.floor(nth / sessions) + 1] as const
    })
    const changes: Changes = {
      ...noChanges,
      ...deliveriesOf(keys),
      deliveriesDone: ended.map(([session, sequence]) => ({ session, sequence }))
    }
    const before = performance.now()
    yield* engine.commit(changes, 1)
    took.push(performance.now() - before)
    written += size
    ended = keys
  }
  const elapsed = performance.now() - started
  took.sort((a, b) => a - b)
  yield* engine.commit({ ...noChanges, sessionsEnded: Array.from({ length: sessions }, (_, i) => i + 1) }, 1)
  console.log(
    `| ${size} | ${thousands(written / elapsed)} | ${took[took.length >> 1]?.toFixed(1)} | ` +
      `${took[Math.floor(took.length * 0.99)]?.toFixed(1)} | ${watch.stop().toFixed(0)} |`
  )
})

const recovery = Effect.gen(function* () {
  const sessions = Number(values.sessions)
  const each = 10
  let started = performance.now()
  yield* Effect.scoped(Effect.gen(function* () {
    const engine = yield* open
    for (let first = 1; first <= sessions; first += 2_000) {
      yield* engine.commit(sessionRows(first, Math.min(2_000, sessions - first + 1)), 1)
    }
    for (let round = 0; round < each; round++) {
      for (let first = 1; first <= sessions; first += 2_000) {
        const keys = Array.from({ length: 2_000 }, (_, index) => [first + index, round + 1] as const)
        yield* engine.commit({ ...noChanges, ...deliveriesOf(keys) }, 1)
      }
    }
  }))
  console.log(`written: ${thousands(sessions * each / (performance.now() - started))}`)
  started = performance.now()
  yield* Effect.scoped(Effect.gen(function* () {
    const engine = yield* open
    console.log(`opened: ${(performance.now() - started).toFixed(0)} ms`)
    const watch = new LoopWatch()
    let after = 0
    let owed = 0
    while (true) {
      const page = yield* engine.readSessions(after, 500)
      const last = page.at(-1)
      if (last === undefined) break
      after = last.row.session
      for (const stored of page) owed += stored.owed
    }
    const { bytes } = yield* engine.stats
    console.log(
      `listed: ${sessions} sessions owed ${owed} in ${(performance.now() - started).toFixed(0)} ms, ` +
        `worst stall ${watch.stop().toFixed(0)} ms, ${megabytes(process.memoryUsage().rss)} in memory, ${
          megabytes(bytes)
        } on disk`
    )
    yield* drain(engine)
  }))
})

/** 1,000 sessions that are owed 100 each: read in pages and ended in groups. */
const drain = Effect.fnUntraced(function* (engine: Engine) {
  const from = 10_000_001
  const numbers = Array.from({ length: 1_000 }, (_, index) => from + index)
  yield* engine.commit(sessionRows(from, numbers.length), 1)
  for (let round = 0; round < 100; round += 2) {
    const keys = numbers.flatMap((session) => [[session, round + 1] as const, [session, round + 2] as const])
    yield* engine.commit({ ...noChanges, ...deliveriesOf(keys) }, 1)
  }
  const watch = new LoopWatch()
  const started = performance.now()
  let read = 0
  for (let at = 0; at < numbers.length; at += 20) {
    const pages = yield* Effect.forEach(
      numbers.slice(at, at + 20),
      (session) => engine.readDeliveries(session, 0, 100),
      { concurrency: 4 }
    )
    const rows = pages.flat()
    read += rows.length
    yield* engine.commit({ ...noChanges, deliveriesDone: rows }, 1)
  }
  console.log(
    `drained: ${read} in ${(performance.now() - started).toFixed(0)} ms, ` +
      `${thousands(read / (performance.now() - started))}, worst stall ${watch.stop().toFixed(0)} ms`
  )
})

const wanted = (name: string): boolean => positionals.length === 0 || positionals.includes(name)

await Effect.runPromise(Effect.gen(function* () {
  console.log(`${values.engine} ${values.durability}, ${os.cpus().length} cores`)
  if (wanted("steady")) {
    console.log(
      "| group | deliveries written and ended | commit p50 ms | p99 ms | worst stall ms |\n|---|---|---|---|---|"
    )
    yield* Effect.scoped(Effect.gen(function* () {
      const engine = yield* open
      for (const size of values.groups.split(",")) yield* steady(engine, Number(size))
    }))
  }
  if (wanted("recovery")) yield* recovery
}))
fs.rmSync(folder, { recursive: true, force: true })
process.exit(0)
