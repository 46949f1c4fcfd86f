// The database of one node, in the writer's thread: opened, locked, written in transactions, checkpointed between them.
// Invariant: while it is open, no other process has the same file open for writing (the lock file beside it).
import { DatabaseSync } from "node:sqlite"
import type { StoredHighest, StoreStats } from "../Engine.ts"
import { applyGroup } from "./applyGroup.ts"
import { countRows, pragma } from "./countRows.ts"
import { StoreTrouble, troubleOf } from "./failures.ts"
import type { OpenOptions } from "./protocol.ts"
import {
  type Damage,
  type DamagedRow,
  readDeliveryPage,
  readRecordKinds,
  readRecordPage,
  readRetainedPage,
  readSessionPage
} from "./readRows.ts"
import { salvage } from "./salvage.ts"
import { ownerOnly } from "./ownerOnly.ts"
import { prepareSchema } from "./schema.ts"
import { Statements } from "./Statements.ts"
import { takeLock } from "./takeLock.ts"

export type Notice = (message: string, fields: Readonly<Record<string, string | number>>) => void

/** Pages of the log beyond which a checkpoint is due: 16 MiB. */
const checkpointPages = 4096
/** Pages given back to the file system in one step of upkeep. */
const vacuumPages = 256
const unreferencedAtOnce = 1_000

export class StoreFile {
  private readonly options: OpenOptions
  private readonly notice: Notice
  private readonly lock: DatabaseSync
  private database: DatabaseSync
  private statements: Statements
  private sharing = true
  private commitsSinceCheckpoint = 0
  private checkpointAfter = 16
  private tidiedMessage = 0

  constructor(options: OpenOptions, notice: Notice) {
    this.options = options
    this.notice = notice
    this.lock = takeLock(options)
    try {
      ownerOnly(options.file)
      this.database = new DatabaseSync(options.file)
      this.statements = new Statements(this.database)
      this.guarded(() => this.prepare())
    } catch (error) {
      this.lock.close()
      throw troubleOf(options.name, error)
    }
  }

  highest(): StoredHighest {
    const row = this.guarded(() => this.statements.get("SELECT session, message, committed_at FROM highest").get())
    if (row === undefined) {
      throw new StoreTrouble("damaged", `store ${this.options.name}: its highest numbers are missing`)
    }
    return {
      session: Number(row["session"]),
      message: Number(row["message"]),
      committedAt: Number(row["committed_at"])
    }
  }

  commit(group: Uint8Array): void {
    this.guarded(() =>
      this.within(() => {
        this.sharing = applyGroup(this.statements, group, this.sharing)
      })
    )
    this.commitsSinceCheckpoint++
  }

  readSessions(after: number, limit: number): Uint8Array<ArrayBuffer> {
    return this.reading((damage) => readSessionPage(this.statements, after, limit, damage))
  }

  readDeliveries(session: number, after: number, limit: number): Uint8Array<ArrayBuffer> {
    return this.reading((damage) => readDeliveryPage(this.statements, session, after, limit, damage))
  }

  nextDelivery(session: number, after: number): number {
    const key = "SELECT min(sequence) AS next FROM delivery WHERE session = ? AND sequence > ?"
    return this.guarded(() => Number(this.statements.all(key, session, after)[0]?.["next"] ?? 0))
  }

  readRetained(after: string, limit: number): Uint8Array<ArrayBuffer> {
    return this.reading((damage) => readRetainedPage(this.statements, after, limit, damage))
  }

  readRecords(kind: string, after: string, limit: number): Uint8Array<ArrayBuffer> {
    return this.reading((damage) => readRecordPage(this.statements, kind, after, limit, damage))
  }

  recordKinds(): ReadonlyArray<string> {
    return this.guarded(() => readRecordKinds(this.statements))
  }

  /** Removes messages that nothing names, gives pages back. True: there is more to do. */
  tidy(): boolean {
    return this.guarded(() => this.tidyOnce())
  }

  private tidyOnce(): boolean {
    const rows = this.statements.all(
      "SELECT message FROM message WHERE message > ? ORDER BY message LIMIT ?",
      this.tidiedMessage,
      unreferencedAtOnce
    )
    const last = Number(rows[rows.length - 1]?.["message"] ?? 0)
    if (rows.length > 0) {
      this.within(() =>
        this.statements.run(
          "DELETE FROM message WHERE message BETWEEN ? AND ? AND NOT EXISTS " +
            "(SELECT 1 FROM delivery WHERE delivery.message = message.message)",
          this.tidiedMessage + 1,
          last
        )
      )
    }
    this.tidiedMessage = rows.length === unreferencedAtOnce ? last : 0
    if (pragma(this.statements, "freelist_count") > 0) {
      // It gives a page back at each row that is asked of it; Deno's `exec` asks for one.
      this.database.prepare(`PRAGMA incremental_vacuum(${vacuumPages})`).all()
      // The file shrinks only with a checkpoint.
      this.commitsSinceCheckpoint++
    }
    this.checkpoint()
    return this.tidiedMessage !== 0 || pragma(this.statements, "freelist_count") > vacuumPages
  }

  stats(): StoreStats {
    return this.guarded(() => countRows(this.statements))
  }

  get checkpointIsDue(): boolean {
    return this.commitsSinceCheckpoint >= this.checkpointAfter
  }

  /** Moves the log into the database. Learns how many commits fill the log. */
  checkpoint(): void {
    if (this.commitsSinceCheckpoint === 0) return
    const pages = Number(this.database.prepare("PRAGMA wal_checkpoint(PASSIVE)").get()?.["log"] ?? 0)
    const pagesPerCommit = Math.max(1, pages / this.commitsSinceCheckpoint)
    this.checkpointAfter = Math.min(10_000, Math.max(1, Math.floor(checkpointPages / pagesPerCommit)))
    this.commitsSinceCheckpoint = 0
  }

  close(): void {
    try {
      this.database.close()
    } finally {
      this.lock.close()
    }
  }

  private prepare(): void {
    prepareSchema(this.database, this.options.name, this.options.sync)
    this.sharing = this.statements.get("SELECT 1 FROM message LIMIT 1").get() !== undefined
  }

  /** Does it, or does it again with what could be saved of a damaged file. */
  private guarded<A>(work: () => A): A {
    try {
      return work()
    } catch (error) {
      if (error instanceof StoreTrouble || troubleOf("", error).kind !== "damaged") throw error
    }
    this.database.close()
    try {
      const { damaged, gaps, kept, rows } = salvage(this.options, new Date().toISOString().replaceAll(":", "-"))
      this.notice(`store ${this.options.name}: the file was damaged; what could be read is in a new one`, {
        rows_saved: rows,
        rows_damaged: damaged,
        unreadable_places: gaps,
        damaged_file_kept: kept
      })
    } finally {
      this.database = new DatabaseSync(this.options.file)
      this.statements = new Statements(this.database)
    }
    this.commitsSinceCheckpoint = 1
    this.prepare()
    return work()
  }

  private within(change: () => void): void {
    this.database.exec("BEGIN IMMEDIATE")
    try {
      change()
      this.database.exec("COMMIT")
    } catch (error) {
      this.rollback()
      throw error
    }
  }

  /** SQLite has rolled back by itself after some failures. */
  private rollback(): void {
    try {
      this.database.exec("ROLLBACK")
    } catch {
      // There was nothing left to roll back.
    }
  }

  private reading(read: (damage: Damage) => Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    let damaged: Array<DamagedRow> = []
    const page = this.guarded(() => {
      damaged = []
      return read((row) => damaged.push(row))
    })
    if (damaged.length > 0) this.setAside(damaged)
    return page
  }

  private setAsideWith(session: number | string): void {
    for (const [table, key] of belongings) {
      this.statements.run(
        "INSERT INTO damaged(found_at, from_table, key_1, key_2, body) " +
          `SELECT unixepoch(), '${table}', session, ${key}, body FROM ${table} WHERE session = ?`,
        session
      )
      this.statements.run(`DELETE FROM ${table} WHERE session = ?`, session)
    }
  }

  /** A damaged row moves to the table `damaged`, where it harms nobody and can be looked at. */
  private setAside(rows: ReadonlyArray<DamagedRow>): void {
    this.within(() => {
      for (const { key, table } of rows) {
        const where = keyColumns[table].map((column) => `${column} = ?`).join(" AND ")
        this.statements.run(
          `INSERT INTO damaged(found_at, from_table, key_1, key_2, body) SELECT unixepoch(), ?, ?, ?, body FROM ${table} WHERE ${where}`,
          table,
          key[0],
          key[1] ?? null,
          ...key
        )
        this.statements.run(`DELETE FROM ${table} WHERE ${where}`, ...key)
        if (table === "session") this.setAsideWith(key[0])
      }
    })
    for (const { key, table } of rows) {
      this.notice(`store ${this.options.name}: a damaged row was set aside in its table "damaged"`, {
        table,
        key: key.join(" ")
      })
    }
  }
}

/** Nobody can ask any more for what belonged to it. */
const belongings = [["subscription", "topic_filter"], ["delivery", "sequence"], [
  "awaiting_pubrel",
  "packet_identifier"
]] as const

const keyColumns = {
  session: ["session"],
  subscription: ["session", "topic_filter"],
  message: ["message"],
  delivery: ["session", "sequence"],
  awaiting_pubrel: ["session", "packet_identifier"],
  retained: ["topic"],
  record: ["kind", "key"]
} as const
