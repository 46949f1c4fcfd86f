// How much is in the database.
import type { StoreStats } from "../Engine.ts"
import type { Statements } from "./Statements.ts"

export const pragma = (statements: Statements, name: string): number =>
  Number(Object.values(statements.get(`PRAGMA ${name}`).get() ?? {})[0])

/** A store of version 1 has none; who only reads meets it as it is. */
export const hasRecords = (statements: Statements): boolean =>
  statements.get("SELECT 1 FROM sqlite_schema WHERE name = 'record'").get() !== undefined

export const countRows = (statements: Statements): StoreStats => {
  const count = (from: string): number => Number(statements.get(`SELECT count(*) AS n FROM ${from}`).get()?.["n"] ?? 0)
  return {
    sessions: count("session"),
    subscriptions: count("subscription"),
    messages: count("message") + count("delivery WHERE message IS NULL"),
    deliveries: count("delivery"),
    retained: count("retained"),
    records: hasRecords(statements) ? count("record") : 0,
    bytes: pragma(statements, "page_count") * pragma(statements, "page_size")
  }
}
