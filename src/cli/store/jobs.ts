// What `emqttd store` does: opens what the settings name, does one thing, says in a line what came of it.
import { Clock, Console, Effect } from "effect"
import * as fs from "node:fs"
import type { Settings } from "../../config/Settings.ts"
import { type StoreFailure, storeFailure } from "../../store/Engine.ts"
import { openEngine, storeFile } from "../../store/openEngine.ts"
import { openPostgresReader } from "../../store/postgres/PostgresEngine.ts"
import { backupSqlite, restoreSqlite } from "../../store/sqlite/copyStore.ts"
import { openSqliteReader } from "../../store/sqlite/openReader.ts"
import type { OpenReader } from "../../store/StoreReader.ts"
import { exportStore } from "../../store/transfer/exportStore.ts"
import { type ImportRefused, importStore } from "../../store/transfer/importStore.ts"
import type { Line } from "../../store/transfer/lines.ts"
import { prepareDataDirectory } from "../dataDirectory.ts"
import { ExitCode, exitWith } from "../Exit.ts"
import { linesOf } from "./linesOf.ts"

const told = <A>(work: Effect.Effect<A, StoreFailure | ImportRefused>) =>
  Effect.catch(work, (failure) => exitWith(ExitCode.InputOutput, [`emqttd: ${failure.message}`]))

const keepsNothing = ({ store }: Settings) => store.engine === "memory" || store.durability === "memory"

const nothingKept = exitWith(ExitCode.Usage, ["emqttd: these settings keep nothing (store.engine, store.durability)"])

const openReader = ({ node, store }: Settings): OpenReader =>
  store.engine === "postgres" ? openPostgresReader(store.url) : openSqliteReader(storeFile(node.dataDir))

/** "2026-01-31T12-00-00.000Z", for the name of a file. */
const stamp = Effect.map(
  Clock.currentTimeMillis,
  (millis) => new Date(millis).toISOString().replaceAll(":", "-")
)

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`

export const check = Effect.fnUntraced(function* (settings: Settings) {
  if (keepsNothing(settings)) return yield* nothingKept
  const { description, faults, rows } = yield* told(Effect.scoped(Effect.gen(function* () {
    const reader = yield* openReader(settings)
    let rows = -1
    yield* exportStore(reader, (lines) => Effect.sync(() => rows += lines.length))
    const own = yield* reader.faults
    const damaged = reader.damaged.map((row) => `damaged row: ${row}`)
    return { description: reader.description, rows, faults: [...own, ...damaged] }
  })))
  if (faults.length === 0) return yield* Console.log(`ok: ${description}: ${rows} rows read`)
  return yield* exitWith(ExitCode.InputOutput, faults.map((fault) => `emqttd: ${description}: ${fault}`))
})

export const stats = Effect.fnUntraced(function* (settings: Settings, json: boolean) {
  if (keepsNothing(settings)) return yield* nothingKept
  const { counts, description, highest } = yield* told(Effect.scoped(Effect.gen(function* () {
    const reader = yield* openReader(settings)
    return { description: reader.description, highest: reader.highest, counts: yield* reader.stats }
  })))
  const lastCommit = highest.committedAt === 0 ? null : new Date(highest.committedAt).toISOString()
  if (json) return yield* Console.log(JSON.stringify({ store: description, ...counts, last_commit: lastCommit }))
  const { bytes, ...others } = counts
  yield* Console.log(description)
  for (const [name, count] of Object.entries(others)) yield* Console.log(`${name.padEnd(14)} ${count}`)
  yield* Console.log(`${"size".padEnd(14)} ${megabytes(bytes)}`)
  yield* Console.log(`${"last commit".padEnd(14)} ${lastCommit ?? "never"}`)
})

const onlySqlite = (settings: Settings, instead: string) =>
  keepsNothing(settings)
    ? nothingKept
    : settings.store.engine === "postgres"
    ? exitWith(ExitCode.Usage, [`emqttd: store.engine = "postgres": use ${instead}, or emqttd store export and import`])
    : Effect.void

export const backup = Effect.fnUntraced(function* (settings: Settings, file: string) {
  yield* onlySqlite(settings, "pg_dump")
  yield* told(backupSqlite(storeFile(settings.node.dataDir), file))
  yield* Console.log(`${file}: ${megabytes(fs.statSync(file).size)}`)
})

export const restore = Effect.fnUntraced(function* (settings: Settings, file: string) {
  yield* onlySqlite(settings, "pg_restore")
  yield* prepared(settings)
  const to = storeFile(settings.node.dataDir)
  const kept = yield* told(restoreSqlite(file, to, yield* stamp))
  yield* Console.log(`${to}: restored${kept === undefined ? "" : `; what was there is ${kept}`}`)
})

const prepared = (settings: Settings) =>
  prepareDataDirectory(settings.node.dataDir).pipe(
    Effect.catch((error) => exitWith(ExitCode.InputOutput, [`emqttd: ${error.message}`]))
  )

const writeAll = (handle: number, text: string, file: string) =>
  Effect.try({
    try: () => {
      const bytes = Buffer.from(text)
      for (let at = 0; at < bytes.length;) at += fs.writeSync(handle, bytes, at)
    },
    catch: (error) => storeFailure("other", `${file}: ${error instanceof Error ? error.message : String(error)}`)
  })

const whyNotMade = (error: unknown): string =>
  error instanceof Error && "code" in error && error.code === "EEXIST"
    ? "it is there already"
    : error instanceof Error
    ? error.message
    : String(error)

export const exportTo = Effect.fnUntraced(function* (settings: Settings, file: string | undefined) {
  if (keepsNothing(settings)) return yield* nothingKept
  const name = file ?? "stdout"
  const damaged = yield* told(Effect.scoped(Effect.gen(function* () {
    const reader = yield* openReader(settings)
    const handle = file === undefined ? 1 : yield* Effect.acquireRelease(
      Effect.try({
        try: () => fs.openSync(file, "wx", 0o600),
        catch: (error) => storeFailure("other", `${file}: ${whyNotMade(error)}`)
      }),
      (opened) => Effect.sync(() => fs.closeSync(opened))
    )
    yield* exportStore(
      reader,
      (lines: ReadonlyArray<Line>) => writeAll(handle, lines.map((line) => `${JSON.stringify(line)}\n`).join(""), name)
    )
    return reader.damaged
  })))
  if (damaged.length === 0) return
  return yield* exitWith(ExitCode.InputOutput, damaged.map((row) => `emqttd: left out, damaged: ${row}`))
})

export const importFrom = Effect.fnUntraced(function* (settings: Settings, file: string) {
  if (keepsNothing(settings)) return yield* nothingKept
  yield* prepared(settings)
  const now = yield* Clock.currentTimeMillis
  const { description, lines } = yield* told(Effect.scoped(Effect.gen(function* () {
    const handle = yield* Effect.acquireRelease(
      Effect.try({
        try: () => fs.openSync(file, "r"),
        catch: (error) => storeFailure("other", `${file}: ${error instanceof Error ? error.message : String(error)}`)
      }),
      (opened) => Effect.sync(() => fs.closeSync(opened))
    )
    const engine = yield* openEngine(settings.store, settings.node.dataDir, (_, message) => console.error(message))
    return { description: engine.description, lines: yield* importStore(engine, linesOf(handle), now) }
  })))
  yield* Console.log(`${description}: ${lines} lines read`)
})
