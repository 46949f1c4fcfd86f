// The tables of the database. A row is its key and a body (records/rows.ts) with a checksum at its end.
// Invariant: a database with another version than this is never written.
import type { DatabaseSync } from "node:sqlite"
import { StoreTrouble } from "./failures.ts"

export const storeVersion = 2
/** "emqt": tells the database from others. */
const applicationId = 0x656d_7174

const recordTable = `
CREATE TABLE record(kind TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY(kind, key)) WITHOUT ROWID;
`

/** What makes a store of a version one of the next. */
const migrations: ReadonlyMap<number, string> = new Map([[1, recordTable]])

const tables = `
CREATE TABLE session(session INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE subscription(session INTEGER NOT NULL, topic_filter TEXT NOT NULL, body BLOB NOT NULL,
  PRIMARY KEY(session, topic_filter)) WITHOUT ROWID;
CREATE TABLE message(message INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE delivery(session INTEGER NOT NULL, sequence INTEGER NOT NULL, message INTEGER,
  exchange INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY(session, sequence)) WITHOUT ROWID;
CREATE INDEX delivery_message ON delivery(message) WHERE message IS NOT NULL;
CREATE TABLE awaiting_pubrel(session INTEGER NOT NULL, packet_identifier INTEGER NOT NULL, body BLOB NOT NULL,
  PRIMARY KEY(session, packet_identifier)) WITHOUT ROWID;
CREATE TABLE retained(topic TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE highest(id INTEGER PRIMARY KEY CHECK(id = 1), session INTEGER NOT NULL, message INTEGER NOT NULL,
  committed_at INTEGER NOT NULL);
CREATE TABLE damaged(id INTEGER PRIMARY KEY, found_at INTEGER NOT NULL, from_table TEXT NOT NULL, key_1, key_2, body);
INSERT INTO highest VALUES(1, 0, 0, 0);
${recordTable}`

const numberOf = (database: DatabaseSync, pragma: string): number =>
  Number(Object.values(database.prepare(`PRAGMA ${pragma}`).get() ?? {})[0])

const requireVersion = (version: number, name: string): void => {
  if (version > storeVersion) {
    throw new StoreTrouble(
      "newer_version",
      `store ${name}: written by a newer emqttd (store version ${version}, this one knows ${storeVersion}); ` +
        "start that version, or point --data at another folder"
    )
  }
}

/** Throws where it is none, or a newer one. */
export const requireStore = (database: DatabaseSync, name: string): void => {
  if (numberOf(database, "application_id") !== applicationId) {
    throw new StoreTrouble("other", `store ${name}: not a store of emqttd`)
  }
  requireVersion(numberOf(database, "user_version"), name)
}

/** The settings of a connection, and the tables where the database is new. */
export const prepareSchema = (database: DatabaseSync, name: string, sync: boolean): void => {
  const version = numberOf(database, "user_version")
  const found = numberOf(database, "application_id")
  const isNew = version === 0 && found === 0 && numberOf(database, "schema_version") === 0
  if (isNew) database.exec("PRAGMA auto_vacuum = INCREMENTAL")
  else requireStore(database, name)
  database.exec("PRAGMA journal_mode = WAL")
  // In WAL mode NORMAL loses the last commits in a power cut, but damages nothing.
  database.exec(`PRAGMA synchronous = ${sync ? "FULL" : "NORMAL"}`)
  database.exec("PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -32768; PRAGMA temp_store = MEMORY")
  if (!isNew) {
    // Changes nothing, but says at once when the file cannot be written: SQLite opens it all the same.
    database.exec("UPDATE highest SET session = session WHERE id = 0")
    migrate(database, version)
    return
  }
  database.exec(
    `BEGIN; ${tables} PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${storeVersion}; COMMIT`
  )
}

/** Whole or not at all. */
const migrate = (database: DatabaseSync, from: number): void => {
  if (from === storeVersion) return
  const steps: Array<string> = []
  for (let version = from; version < storeVersion; version++) steps.push(migrations.get(version) ?? "")
  database.exec(`BEGIN IMMEDIATE; ${steps.join("\n")} PRAGMA user_version = ${storeVersion}; COMMIT`)
}
