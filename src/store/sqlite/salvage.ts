// Saves what can be read from a damaged database into a new one, row by row, in the writer's thread; the damaged one is kept beside it.
// A scan that meets an unreadable page looks for the next key that can be read, and from there back again to the page.
// Invariant: a row goes over only when its checksum fits; the others go to the table `damaged`; the old file is never changed.
import { DatabaseSync, type SQLInputValue } from "node:sqlite"
import * as fs from "node:fs"
import { contentOf, openExchange } from "./checksum.ts"
import { StoreTrouble } from "./failures.ts"
import { ownerOnly } from "./ownerOnly.ts"
import type { OpenOptions } from "./protocol.ts"
import { prepareSchema } from "./schema.ts"
import { Statements } from "./Statements.ts"

type Row = Readonly<Record<string, SQLInputValue>>

export interface Salvaged {
  /** Where the damaged database is. */
  readonly kept: string
  readonly rows: number
  readonly damaged: number
  /** Places at which rows could not be read at all. */
  readonly gaps: number
}

interface Table {
  readonly name: string
  readonly columns: ReadonlyArray<string>
  /** How many of the columns are the key. */
  readonly keys: number
  readonly isGood: (row: Row) => boolean
}

const numberIn = (row: Row, column: string): number => Number(row[column])

const tables: ReadonlyArray<Table> = [
  {
    name: "session",
    columns: ["session", "body"],
    keys: 1,
    isGood: (row) => contentOf(numberIn(row, "session"), 0, row["body"]) !== undefined
  },
  {
    name: "subscription",
    columns: ["session", "topic_filter", "body"],
    keys: 2,
    isGood: (row) => contentOf(numberIn(row, "session"), 0, row["body"]) !== undefined
  },
  {
    name: "message",
    columns: ["message", "body"],
    keys: 1,
    isGood: (row) => contentOf(numberIn(row, "message"), 0, row["body"]) !== undefined
  },
  {
    name: "delivery",
    columns: ["session", "sequence", "message", "exchange", "body"],
    keys: 2,
    isGood: (row) => {
      const session = numberIn(row, "session")
      const sequence = numberIn(row, "sequence")
      return contentOf(session, sequence, row["body"]) !== undefined &&
        openExchange(session, sequence, row["exchange"]) !== undefined
    }
  },
  {
    name: "awaiting_pubrel",
    columns: ["session", "packet_identifier", "body"],
    keys: 2,
    isGood: (row) => contentOf(numberIn(row, "session"), numberIn(row, "packet_identifier"), row["body"]) !== undefined
  },
  {
    name: "retained",
    columns: ["topic", "body"],
    keys: 1,
    isGood: (row) => contentOf(0, 0, row["body"]) !== undefined
  },
  {
    name: "record",
    columns: ["kind", "key", "body"],
    keys: 2,
    isGood: (row) => contentOf(0, 0, row["body"]) !== undefined
  }
]

const endings = ["", "-wal", "-shm"]

/** Both databases are closed when it begins and when it ends. */
export const salvage = (options: OpenOptions, stamp: string): Salvaged => {
  const kept = `${options.file}.damaged-${stamp}`
  for (const ending of endings) {
    if (fs.existsSync(options.file + ending)) fs.renameSync(options.file + ending, kept + ending)
  }
  const unfinished = `${options.file}.salvaged`
  for (const ending of endings) fs.rmSync(unfinished + ending, { force: true })
  ownerOnly(unfinished)
  const from = openDamaged(kept)
  const to = new DatabaseSync(unfinished)
  const result = { kept, rows: 0, damaged: 0, gaps: 0 }
  try {
    prepareSchema(to, options.name, options.sync)
    const statements = new Statements(to)
    if (from !== undefined) {
      for (const table of tables.filter(({ name }) => isThere(from, name))) {
        copyTable(from, to, statements, table, result)
      }
      copyHighest(from, statements)
      endOrphans(statements)
    }
    if (result.rows === 0) throw new Error("nothing can be read from it")
  } catch (error) {
    from?.close()
    to.close()
    // The next start finds it as it was.
    for (const ending of endings) {
      fs.rmSync(unfinished + ending, { force: true })
      if (fs.existsSync(kept + ending)) fs.renameSync(kept + ending, options.file + ending)
    }
    throw new StoreTrouble(
      "damaged",
      `store ${options.name}: the file is damaged and nothing could be saved from it ` +
        `(${
          error instanceof Error ? error.message : String(error)
        }); put a backup back with "emqttd store restore FILE", or move the file away`
    )
  }
  from?.close()
  to.close() // moves its log into it
  fs.renameSync(unfinished, options.file)
  return result
}

/** A store of an earlier version has not all of them. */
const isThere = (from: DatabaseSync, table: string): boolean =>
  from.prepare("SELECT 1 FROM sqlite_schema WHERE name = ?").get(table) !== undefined

/** A damaged header is put right in a copy: it says nothing that is not known. */
const openDamaged = (kept: string): DatabaseSync | undefined => {
  for (const repaired of [false, true]) {
    let database: DatabaseSync | undefined
    try {
      if (repaired) repairHeader(kept)
      database = new DatabaseSync(repaired ? `${kept}.header` : kept)
      database.prepare("SELECT count(*) FROM sqlite_schema").get()
      return database
    } catch {
      database?.close()
    }
  }
  return undefined
}

const repairHeader = (kept: string): void => {
  const copy = `${kept}.header`
  fs.copyFileSync(kept, copy)
  if (fs.existsSync(`${kept}-wal`)) fs.copyFileSync(`${kept}-wal`, `${copy}-wal`)
  const file = fs.openSync(copy, "r+")
  const header = Buffer.alloc(24)
  header.write("SQLite format 3\0", "latin1")
  header.writeUInt16BE(4096, 16)
  Buffer.of(2, 2, 0, 64, 32, 32).copy(header, 18)
  fs.writeSync(file, header, 0, header.length, 0)
  const tail = Buffer.alloc(16)
  tail.writeUInt32BE(4, 0) // schema format
  fs.writeSync(file, tail, 0, 4, 44)
  tail.writeUInt32BE(1, 0) // UTF-8
  fs.writeSync(file, tail, 0, 4, 56)
  fs.closeSync(file)
}

const copyTable = (
  from: DatabaseSync,
  to: DatabaseSync,
  statements: Statements,
  table: Table,
  result: { rows: number; damaged: number; gaps: number }
): void => {
  const put = (row: Row): void => {
    const values = table.columns.map((column) => row[column] ?? null)
    if (table.isGood(row)) {
      statements.insert(`INSERT OR IGNORE INTO ${table.name} VALUES`, values.length, values)
      result.rows++
      return
    }
    result.damaged++
    statements.run(
      "INSERT INTO damaged(found_at, from_table, key_1, key_2, body) VALUES (unixepoch(), ?, ?, ?, ?)",
      table.name,
      values[0] ?? null,
      table.keys > 1 ? values[1] ?? null : null,
      row["body"] ?? null
    )
  }
  to.exec("BEGIN")
  result.gaps += scan(from, table, put)
  to.exec("COMMIT")
}

type Key = ReadonlyArray<SQLInputValue>

/** How many places could not be read. */
const scan = (from: DatabaseSync, table: Table, put: (row: Row) => void): number => {
  let last: Key = []
  let gaps = 0
  while (true) {
    const up = walk(from, table, "ASC", last, undefined, put)
    last = up.last
    if (up.whole) return gaps
    gaps++
    const next = nextReadable(from, table, last)
    // What lies between the unreadable page and the next key that can be read, or the end, is read backwards.
    walk(from, table, "DESC", last, next, put)
    if (next === undefined) return gaps
    last = table.keys === 1 ? [next - 1] : [next, table.name === "subscription" ? "" : -1]
  }
}

const rowsAtOnce = 256

/**
 * Rows between two keys, both left out, until an unreadable page is met. In steps with a LIMIT that shrinks before that page: one statement for
 * all would be simpler, but Deno's iterator ends without an error there.
 */
const walk = (
  from: DatabaseSync,
  table: Table,
  direction: "ASC" | "DESC",
  above: Key,
  below: number | undefined,
  put: (row: Row) => void
): { readonly whole: boolean; readonly last: Key } => {
  const keys = table.columns.slice(0, table.keys)
  const tuple = `(${keys.join(", ")})`
  const marks = `(${keys.map(() => "?").join(", ")})`
  const order = keys.map((key) => `${key} ${direction}`).join(", ")
  let last: Key = direction === "ASC" ? above : []
  let limit = rowsAtOnce
  while (true) {
    const bounds: Array<readonly [sql: string, values: Key]> = []
    const low = direction === "ASC" ? last : above
    if (low.length > 0) bounds.push([`${tuple} > ${marks}`, low])
    if (direction === "DESC" && last.length > 0) bounds.push([`${tuple} < ${marks}`, last])
    if (below !== undefined) bounds.push([`${keys[0]} < ?`, [below]])
    const where = bounds.length === 0 ? "" : `WHERE ${bounds.map(([sql]) => sql).join(" AND ")}`
    const rows = select(
      from,
      `SELECT ${table.columns.join(", ")} FROM ${table.name} ${where} ORDER BY ${order} LIMIT ${limit}`,
      bounds.flatMap(([, values]) => values)
    )
    if (rows === undefined && limit === 1) return { whole: false, last }
    if (rows === undefined) {
      limit = Math.ceil(limit / 4)
      continue
    }
    for (const row of rows) put(row)
    const end = rows[rows.length - 1]
    if (end !== undefined) last = keys.map((key) => end[key] ?? null)
    if (rows.length < limit) return { whole: true, last }
  }
}

/** undefined: a page that it needs cannot be read. */
const select = (from: DatabaseSync, sql: string, values: Key): ReadonlyArray<Row> | undefined => {
  try {
    return from.prepare(sql).all(...values)
  } catch {
    return undefined
  }
}

/** The first number at or above which rows can be read again; steps grow, so that a wide gap is crossed soon. */
const nextReadable = (from: DatabaseSync, table: Table, last: Key): number | undefined => {
  const [first = ""] = table.columns
  if (first === "topic" || first === "kind") return undefined
  const base = Number(last[0] ?? -1)
  const sql = `SELECT ${table.columns.join(", ")} FROM ${table.name} WHERE ${first} >= ? ORDER BY ${first} LIMIT 1`
  for (let step = 1; step < 2 ** 52; step *= 2) {
    const rows = select(from, sql, [base + step])
    if (rows !== undefined) return rows.length === 0 ? undefined : numberIn(rows[0] ?? {}, first)
  }
  return undefined
}

const copyHighest = (from: DatabaseSync, statements: Statements): void => {
  for (const row of select(from, "SELECT session, message, committed_at FROM highest", []) ?? []) {
    statements.run(
      "UPDATE highest SET session = ?, message = ?, committed_at = ?",
      row["session"] ?? 0,
      row["message"] ?? 0,
      row["committed_at"] ?? 0
    )
  }
  // Where that row was lost, numbers go on above what is there.
  const above = ["session", "subscription", "delivery", "awaiting_pubrel"]
    .map((table) => `(SELECT coalesce(max(session), 0) FROM ${table})`).join(", ")
  statements.run(
    `UPDATE highest SET session = max(session, ${above}), ` +
      "message = max(message, (SELECT coalesce(max(message), 0) FROM message))"
  )
}

/** What belonged to a session that could not be read: nobody can ask for it any more. */
const endOrphans = (statements: Statements): void => {
  for (const table of ["subscription", "delivery", "awaiting_pubrel"]) {
    statements.run(`DELETE FROM ${table} WHERE session NOT IN (SELECT session FROM session)`)
  }
}
