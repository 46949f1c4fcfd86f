// The prepared statements of one connection, made when first asked for; many rows go into one statement.
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite"

/** Rows of one INSERT: more cost memory and save nothing. */
const rowsAtOnce = 32

export class Statements {
  private readonly database: DatabaseSync
  private readonly prepared = new Map<string, StatementSync>()

  constructor(database: DatabaseSync) {
    this.database = database
  }

  get(sql: string): StatementSync {
    let statement = this.prepared.get(sql)
    if (statement === undefined) {
      statement = this.database.prepare(sql)
      this.prepared.set(sql, statement)
    }
    return statement
  }

  run(sql: string, ...values: ReadonlyArray<SQLInputValue>): void {
    this.get(sql).run(...values)
  }

  all(sql: string, ...values: ReadonlyArray<SQLInputValue>): ReadonlyArray<Readonly<Record<string, unknown>>> {
    return this.get(sql).all(...values)
  }

  /** `into`: "INSERT INTO t VALUES"; `values`: those of all rows, one after another. */
  insert(into: string, columns: number, values: ReadonlyArray<SQLInputValue>): void {
    const row = `(${"?,".repeat(columns - 1)}?)`
    const many = columns * rowsAtOnce
    let at = 0
    if (values.length >= many) {
      const statement = this.get(`${into} ${`${row},`.repeat(rowsAtOnce - 1)}${row}`)
      for (; at + many <= values.length; at += many) statement.run(...values.slice(at, at + many))
    }
    if (at >= values.length) return
    const statement = this.get(`${into} ${row}`)
    for (; at < values.length; at += columns) statement.run(...values.slice(at, at + columns))
  }
}
