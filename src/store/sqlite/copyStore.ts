// Backups: a copy of the database as of one moment, taken while a broker writes it, and its way back.
// Invariant: the file that was asked for is there only when it is whole; what is replaced is kept.
import { Effect } from "effect"
import * as fs from "node:fs"
import { storeFailure } from "../Engine.ts"
import { attempt, openDatabase } from "./openReader.ts"
import { ownerOnly } from "./ownerOnly.ts"
import { takeLock } from "./takeLock.ts"

const syncFile = (file: string): void => {
  const handle = fs.openSync(file, "r+")
  fs.fsyncSync(handle)
  fs.closeSync(handle)
}

const isFree = (file: string) =>
  Effect.suspend(() =>
    fs.existsSync(file) ? Effect.fail(storeFailure("other", `${file}: it is there already`)) : Effect.void
  )

export const backupSqlite = (file: string, to: string) =>
  Effect.gen(function* () {
    yield* isFree(to)
    const database = yield* openDatabase(file, true)
    yield* attempt(to, () => {
      const unfinished = `${to}.unfinished`
      fs.rmSync(unfinished, { force: true })
      ownerOnly(unfinished)
      database.prepare("VACUUM INTO ?").run(unfinished)
      syncFile(unfinished)
      fs.renameSync(unfinished, to)
    })
  }).pipe(Effect.scoped)

/** Answers where the store that was there before is kept; undefined: there was none. */
export const restoreSqlite = (from: string, file: string, stamp: string) =>
  Effect.gen(function* () {
    yield* Effect.acquireRelease(
      attempt(file, () => takeLock({ file, name: file })),
      (lock) => Effect.sync(() => lock.close())
    )
    const backup = yield* openDatabase(from, true)
    return yield* attempt(file, () => {
      const unfinished = `${file}.restored`
      fs.rmSync(unfinished, { force: true })
      ownerOnly(unfinished)
      backup.prepare("VACUUM INTO ?").run(unfinished)
      syncFile(unfinished)
      const kept = fs.existsSync(file) ? `${file}.replaced-${stamp}` : undefined
      for (const ending of ["", "-wal", "-shm"]) {
        if (kept !== undefined && fs.existsSync(file + ending)) fs.renameSync(file + ending, kept + ending)
      }
      fs.renameSync(unfinished, file)
      return kept
    })
  }).pipe(Effect.scoped)
