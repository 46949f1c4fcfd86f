// The engine that keeps everything in one SQLite database, written by a thread of its own (writer.ts).
// The event loop packs a group into bytes, hands them over and decodes what comes back.
// Invariant: a thread that dies fails what was asked of it, and the next question starts another.
import { Effect } from "effect"
import * as path from "node:path"
import { Worker } from "node:worker_threads"
import type { LogSink } from "../../metrics/EventLog.ts"
import { threadUrl } from "../../platform/threadUrl.ts"
import {
  type Changes,
  type Engine,
  type OpenEngine,
  type StoredHighest,
  type StoreFailure,
  storeFailure,
  type StoreStats
} from "../Engine.ts"
import { packGroup } from "../records/packGroup.ts"
import type { Answer, Ask, FromWriter, OpenOptions } from "./protocol.ts"
import { decodeDeliveries, decodeRecords, decodeRetained, decodeSessions } from "./decodePages.ts"

export interface SqliteOptions {
  /** The database, "./data/store.sqlite". */
  readonly file: string
  readonly durability: "fsync" | "process"
  readonly log: LogSink
}

type Resume = (result: Effect.Effect<Answer, StoreFailure>) => void

const mostStarts = 3

class Writer {
  private readonly options: OpenOptions
  private readonly log: LogSink
  private thread: Worker | undefined
  private readonly waiting = new Map<number, Resume>()
  private lastId = 0
  /** What a thread was asked that has not said anything yet; null: it has. */
  private unheard: Array<{ readonly id: number; readonly ask: Ask; readonly isGone: boolean }> | null = null
  private starts = 0

  constructor(options: OpenOptions, log: LogSink) {
    this.options = options
    this.log = log
  }

  ask(ask: Ask, transfer: Array<ArrayBuffer> = []): Effect.Effect<Answer, StoreFailure> {
    return Effect.callback((resume) => {
      if (this.thread === undefined && ask._tag !== "Open") {
        this.send({ _tag: "Open", options: this.options }, [], () => {})
      }
      this.send(ask, transfer, resume)
    })
  }

  /** Lets the thread end by itself, or ends it. */
  async end(): Promise<void> {
    const { thread } = this
    this.thread = undefined
    await thread?.terminate()
  }

  private send(ask: Ask, transfer: Array<ArrayBuffer>, resume: Resume): void {
    const id = ++this.lastId
    this.waiting.set(id, resume)
    if (this.thread === undefined) {
      this.thread = this.start()
      this.unheard = []
      this.starts = 1
    }
    this.unheard?.push({ id, ask, isGone: transfer.length > 0 })
    this.thread.postMessage({ id, ask }, transfer)
  }

  /** True: a thread that has not come up (Deno now and then cannot read a module while another thread ends) is started again, and asked the same. */
  private startedAgain(): boolean {
    const asked = this.unheard
    if (asked === null || this.starts >= mostStarts || asked.some(({ isGone }) => isGone)) return false
    this.starts++
    const thread = this.thread = this.start()
    for (const { ask, id } of asked) thread.postMessage({ id, ask }, [])
    return true
  }

  private start(): Worker {
    const thread = new Worker(threadUrl(import.meta.url, "./writer.ts", "./store/sqlite/writer.ts"))
    thread.on("message", (message: FromWriter) => this.hear(message))
    thread.on("error", (error) => this.died(thread, error instanceof Error ? error.message : String(error)))
    thread.on("exit", (code) => this.died(thread, `exit code ${code}`))
    return thread
  }

  private hear(message: FromWriter): void {
    this.unheard = null
    if (message._tag === "Notice") return this.log("error", message.message, message.fields)
    const resume = this.waiting.get(message.id)
    this.waiting.delete(message.id)
    if (message._tag === "Done") resume?.(Effect.succeed(message.answer))
    else resume?.(Effect.fail(storeFailure(message.kind, message.message)))
  }

  private died(thread: Worker, reason: string): void {
    if (this.thread !== thread || this.startedAgain()) return
    this.thread = undefined
    const asked = [...this.waiting.values()]
    this.waiting.clear()
    const failure = storeFailure("other", `store ${this.options.name}: its thread ended (${reason})`)
    for (const resume of asked) resume(Effect.fail(failure))
  }
}

const bytesOf = (answer: Answer): Uint8Array =>
  answer instanceof ArrayBuffer ? new Uint8Array(answer) : new Uint8Array(0)

class SqliteEngine implements Engine {
  readonly description: string
  readonly highest: StoredHighest
  private readonly writer: Writer

  constructor(description: string, highest: StoredHighest, writer: Writer) {
    this.description = description
    this.highest = highest
    this.writer = writer
  }

  commit(changes: Changes, now: number) {
    return Effect.suspend(() => {
      const { buffer, length } = packGroup(changes, now)
      return Effect.asVoid(this.writer.ask({ _tag: "Commit", group: buffer, length }, [buffer]))
    })
  }

  readSessions(after: number, limit: number) {
    return Effect.map(
      this.writer.ask({ _tag: "ReadSessions", after, limit }),
      (answer) => decodeSessions(bytesOf(answer))
    )
  }

  readDeliveries(session: number, after: number, limit: number) {
    return Effect.map(
      this.writer.ask({ _tag: "ReadDeliveries", session, after, limit }),
      (answer) => decodeDeliveries(bytesOf(answer), session)
    )
  }

  nextDelivery(session: number, after: number) {
    return Effect.map(this.writer.ask({ _tag: "NextDelivery", session, after }), Number)
  }

  readRetained(after: string, limit: number) {
    return Effect.map(
      this.writer.ask({ _tag: "ReadRetained", after, limit }),
      (answer) => decodeRetained(bytesOf(answer))
    )
  }

  readRecords(kind: string, after: string, limit: number) {
    return Effect.map(
      this.writer.ask({ _tag: "ReadRecords", kind, after, limit }),
      (answer) => decodeRecords(bytesOf(answer))
    )
  }

  get recordKinds() {
    return Effect.map(this.writer.ask({ _tag: "RecordKinds" }), (answer) => Array.isArray(answer) ? answer : [])
  }

  get tidy() {
    return Effect.map(this.writer.ask({ _tag: "Tidy" }), (answer) => answer === true)
  }

  get stats() {
    return Effect.map(this.writer.ask({ _tag: "Stats" }), (answer) => isStats(answer) ? answer : noStats)
  }
}

const noStats: StoreStats = {
  sessions: 0,
  subscriptions: 0,
  messages: 0,
  deliveries: 0,
  retained: 0,
  records: 0,
  bytes: 0
}

const isStats = (answer: Answer): answer is StoreStats =>
  typeof answer === "object" && answer !== null && "deliveries" in answer

const isHighest = (answer: Answer): answer is StoredHighest =>
  typeof answer === "object" && answer !== null && "committedAt" in answer

/** The scope's end closes the database: what was committed is moved out of the log. */
export const openSqlite = (options: SqliteOptions): OpenEngine =>
  Effect.gen(function* () {
    const open: OpenOptions = {
      file: path.resolve(options.file),
      name: options.file,
      sync: options.durability === "fsync"
    }
    const writer = yield* Effect.acquireRelease(
      Effect.sync(() => new Writer(open, options.log)),
      (writer) => Effect.promise(() => writer.end())
    )
    const found = yield* writer.ask({ _tag: "Open", options: open })
    yield* Effect.addFinalizer(() => Effect.ignore(writer.ask({ _tag: "Close" })))
    const highest = isHighest(found) ? found : { session: 0, message: 0, committedAt: 0 }
    return new SqliteEngine(`sqlite ${options.file}`, highest, writer)
  })
