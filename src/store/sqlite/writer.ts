// The thread that owns the database: SQLite waits for the disk here, never on the event loop. An entry point of its own.
// Invariant: it answers every question once, in the order in which they came.
import { parentPort } from "node:worker_threads"
import { troubleOf } from "./failures.ts"
import type { Answer, Ask, FromWriter, OpenOptions, ToWriter } from "./protocol.ts"
import { StoreFile } from "./StoreFile.ts"

const none: OpenOptions = { file: "", name: "", sync: true }
let opened = none
let store: StoreFile | undefined
let idle: ReturnType<typeof setTimeout> | undefined

const say = (message: FromWriter, transfer: ReadonlyArray<ArrayBuffer> = []): void =>
  parentPort?.postMessage(message, [...transfer])

const open = (): StoreFile => new StoreFile(opened, (message, fields) => say({ _tag: "Notice", message, fields }))

const answerTo = (ask: Ask): Answer => {
  if (ask._tag === "Open") {
    opened = ask.options
    store = open()
    return store.highest()
  }
  // It could not be opened when this thread took over from one that had died: perhaps now.
  if (store === undefined && opened !== none && ask._tag !== "Close") store = open()
  if (store === undefined) throw new Error("the store is not open")
  switch (ask._tag) {
    case "Commit":
      store.commit(new Uint8Array(ask.group, 0, ask.length))
      return null
    case "ReadSessions":
      return store.readSessions(ask.after, ask.limit).buffer
    case "ReadDeliveries":
      return store.readDeliveries(ask.session, ask.after, ask.limit).buffer
    case "NextDelivery":
      return store.nextDelivery(ask.session, ask.after)
    case "ReadRetained":
      return store.readRetained(ask.after, ask.limit).buffer
    case "ReadRecords":
      return store.readRecords(ask.kind, ask.after, ask.limit).buffer
    case "RecordKinds":
      return store.recordKinds()
    case "Tidy":
      return store.tidy()
    case "Stats":
      return store.stats()
    case "Close":
      store.close()
      store = undefined
      opened = none
      return null
    default:
      return ask satisfies never
  }
}

/** Told once until it works again. */
let checkpointFails = false

/** After an answer, so that nobody waits for it; tried again after the next commit. */
const checkpoint = (): void => {
  clearTimeout(idle)
  idle = undefined
  try {
    store?.checkpoint()
    checkpointFails = false
  } catch (error) {
    if (checkpointFails) return
    checkpointFails = true
    say({ _tag: "Notice", message: `${troubleOf(opened.name, error).message} (checkpoint)`, fields: {} })
  }
}

parentPort?.on("message", ({ ask, id }: ToWriter) => {
  try {
    const answer = answerTo(ask)
    const done: FromWriter = { _tag: "Done", id, answer }
    say(done, answer instanceof ArrayBuffer ? [answer] : [])
  } catch (error) {
    const { kind, message } = troubleOf(opened.name, error)
    say({ _tag: "Failed", id, kind, message })
    return
  }
  if (ask._tag === "Close") clearTimeout(idle)
  if (ask._tag !== "Commit") return
  if (store?.checkpointIsDue === true) checkpoint()
  else idle ??= setTimeout(checkpoint, 1_000)
})
