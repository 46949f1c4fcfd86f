// The engine that keeps everything in a PostgreSQL database: one session that writes and holds the lock, one that reads.
// Invariant: who holds the advisory lock of the schema is the only one who writes it; a writer that comes back takes the lock again first.
import type { PgConnection } from "@effect/sql-pg/PgConnection"
import * as PgTypes from "@effect/sql-pg/PgTypes"
import { Effect } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import {
  type Changes,
  type DeliveryPage,
  deliveryPageBytes,
  type Engine,
  type OpenEngine,
  pageOf,
  type RecordRow,
  type StoredDelivery,
  type StoredHighest,
  type StoredSession,
  type StoreFailure,
  storeFailure
} from "../Engine.ts"
import type { OpenReader, StoreReader } from "../StoreReader.ts"
import { packGroup } from "../records/packGroup.ts"
import { RecordReader } from "../records/RecordReader.ts"
import { readDelivery, readMessage, readRecord, readSession, readSubscription } from "../records/rows.ts"
import { applyGroup } from "./applyGroup.ts"
import { PgLink } from "./PgLink.ts"
import { migrationsFor, statementsFor, storeVersion } from "./schema.ts"

export interface PostgresOptions {
  /** postgres://user:password@host:port/database?schema=emqttd */
  readonly url: string
  readonly durability: "fsync" | "process"
}

interface Found {
  readonly highest: StoredHighest
  readonly version: number
}

type Row = { readonly [column: string]: unknown }

const bytesIn = (row: Row, column: string): Uint8Array => {
  const value = row[column]
  return value instanceof Uint8Array ? value : new Uint8Array(0)
}
/** Of a page of deliveries: how large they are says how many follow at once. */
const rowsToBegin = 32

const deliveryIn = (session: number, one: Row): StoredDelivery => {
  const from = new RecordReader(bytesIn(one, "body"))
  const row = readDelivery(from, session, Number(one["sequence"]), Number(one["exchange"]))
  const message = readMessage(one["stored"] === null ? from : new RecordReader(bytesIn(one, "stored")))
  return { ...row, stored: { message: row.message, ...message } }
}

const float = PgTypes.float8
const tidiedAtOnce = 1_000
const integer = PgTypes.int4

class PostgresEngine implements Engine {
  readonly description: string
  readonly highest: StoredHighest
  private readonly schema: string
  /** False: a schema of version 1, which is only looked at. */
  private readonly hasRecords: boolean
  private readonly writer: PgLink
  private readonly reader: PgLink
  /** The last message that upkeep has looked at; 0: it begins anew. */
  private tidied = 0

  constructor(description: string, found: Found, schema: string, writer: PgLink, reader: PgLink) {
    this.description = description
    this.highest = found.highest
    this.hasRecords = found.version > 1
    this.schema = schema
    this.writer = writer
    this.reader = reader
  }

  commit(changes: Changes, now: number) {
    return Effect.suspend(() => {
      const group = packGroup(changes, now)
      return this.writer.use((connection) =>
        connection.query("BEGIN").pipe(
          Effect.andThen(applyGroup(connection, this.schema, group)),
          Effect.andThen(connection.query("COMMIT")),
          Effect.asVoid
        )
      )
    })
  }

  readSessions(after: number, limit: number): Effect.Effect<ReadonlyArray<StoredSession>, StoreFailure> {
    const { schema } = this
    return this.reader.use((connection) =>
      Effect.gen(function* () {
        const { rows } = yield* connection.query(
          `SELECT session::float8, body FROM ${schema}.session WHERE session > $1::float8::bigint ORDER BY session LIMIT $2`,
          [float(after), integer(limit)]
        )
        const last = rows[rows.length - 1]
        if (last === undefined) return []
        const range = [float(after), float(Number(last["session"]))]
        const within = "WHERE session > $1::float8::bigint AND session <= $2::float8::bigint"
        const subscriptions = yield* connection.query(
          `SELECT session::float8, body FROM ${schema}.subscription ${within} ORDER BY session, topic_filter COLLATE "C"`,
          range
        )
        const awaiting = yield* connection.query(
          `SELECT session::float8, packet_identifier, body FROM ${schema}.awaiting_pubrel ${within} ORDER BY session, packet_identifier`,
          range
        )
        const owed = yield* connection.query(
          "SELECT session::float8, count(*)::float8 AS owed, max(sequence)::float8 AS last " +
            `FROM ${schema}.delivery ${within} GROUP BY session`,
          range
        )
        const subscriptionsOf = grouped(subscriptions.rows)
        const awaitingOf = grouped(awaiting.rows)
        const owedOf = grouped(owed.rows)
        return rows.map((row): StoredSession => {
          const session = Number(row["session"])
          const [sums] = owedOf.get(session) ?? []
          return {
            row: readSession(new RecordReader(bytesIn(row, "body")), session),
            subscriptions: (subscriptionsOf.get(session) ?? []).map((one) =>
              readSubscription(new RecordReader(bytesIn(one, "body")), session)
            ),
            awaitingPubrel: (awaitingOf.get(session) ?? []).map((one) => ({
              packetIdentifier: Number(one["packet_identifier"]),
              since: new RecordReader(bytesIn(one, "body")).float64()
            })),
            owed: Number(sums?.["owed"] ?? 0),
            lastSequence: Number(sums?.["last"] ?? 0)
          }
        })
      })
    )
  }

  readDeliveries(session: number, after: number, limit: number): Effect.Effect<DeliveryPage, StoreFailure> {
    const { schema } = this
    const read = (connection: PgConnection, from: number, count: number) =>
      Effect.map(
        connection.query(
          "SELECT d.sequence::float8, d.exchange, d.body, m.body AS stored " +
            `FROM ${schema}.delivery d LEFT JOIN ${schema}.message m ON m.message = d.message ` +
            "WHERE d.session = $1::float8::bigint AND d.sequence > $2::float8::bigint AND (d.message IS NULL OR m.message IS NOT NULL) " +
            "ORDER BY d.sequence LIMIT $3",
          [float(session), float(from), integer(count)]
        ),
        ({ rows }) => rows.map((row) => deliveryIn(session, row))
      )
    return this.reader.use((connection) =>
      Effect.gen(function* () {
        const first = yield* read(connection, after, Math.min(limit, rowsToBegin))
        const last = first[first.length - 1]
        if (last === undefined || first.length < rowsToBegin || limit <= rowsToBegin) {
          return pageOf(first, first.length >= Math.min(limit, rowsToBegin))
        }
        // As many more as have room, if they are as large.
        const each = first.reduce((sum, { stored }) => sum + stored.packet.length + 1, 0) / first.length
        const count = Math.min(limit - rowsToBegin, Math.floor(deliveryPageBytes / each) - rowsToBegin)
        if (count <= 0) return pageOf(first, true)
        const rest = yield* read(connection, last.sequence, count)
        return pageOf([...first, ...rest], rest.length >= count)
      })
    )
  }

  nextDelivery(session: number, after: number) {
    return this.reader.use((connection) =>
      Effect.map(
        connection.query(
          `SELECT min(sequence)::float8 AS next FROM ${this.schema}.delivery ` +
            "WHERE session = $1::float8::bigint AND sequence > $2::float8::bigint",
          [float(session), float(after)]
        ),
        ({ rows: [row] }) => Number(row?.["next"] ?? 0)
      )
    )
  }

  readRetained(after: string, limit: number) {
    const { schema } = this
    return this.reader.use((connection) =>
      Effect.map(
        connection.query(
          `SELECT body FROM ${schema}.retained WHERE left(topic, 600) >= left($1 COLLATE "C", 600) AND topic > $1 ` +
            "ORDER BY left(topic, 600), topic LIMIT $2",
          [PgTypes.text(after), integer(limit)]
        ),
        ({ rows }) =>
          rows.map((row) => {
            const from = new RecordReader(bytesIn(row, "body"))
            return { topic: from.text(), message: readMessage(from) }
          })
      )
    )
  }

  readRecords(kind: string, after: string, limit: number): Effect.Effect<ReadonlyArray<RecordRow>, StoreFailure> {
    const { schema } = this
    return !this.hasRecords ? Effect.succeed([]) : this.reader.use((connection) =>
      Effect.map(
        connection.query(
          `SELECT body FROM ${schema}.record WHERE kind = $1 AND left(key, 600) >= left($2 COLLATE "C", 600) AND key > $2 ` +
            "ORDER BY left(key, 600), key LIMIT $3",
          [PgTypes.text(kind), PgTypes.text(after), integer(limit)]
        ),
        ({ rows }) => rows.map((row) => readRecord(new RecordReader(bytesIn(row, "body"))))
      )
    )
  }

  get recordKinds(): Effect.Effect<ReadonlyArray<string>, StoreFailure> {
    const { schema } = this
    return !this.hasRecords ? Effect.succeed([]) : this.reader.use((connection) =>
      Effect.map(
        connection.query(`SELECT DISTINCT kind FROM ${schema}.record ORDER BY kind`),
        ({ rows }) => rows.map((row) => String(row["kind"]))
      )
    )
  }

  /** PostgreSQL gives space back by itself; what nothing refers to goes here, so many messages looked at in one step. */
  get tidy() {
    const { schema } = this
    return this.writer.use((connection) =>
      Effect.map(
        connection.query(
          `WITH looked AS (SELECT message FROM ${schema}.message WHERE message > $1::float8::bigint ORDER BY message LIMIT ${tidiedAtOnce}), ` +
            `gone AS (DELETE FROM ${schema}.message m USING looked l WHERE m.message = l.message ` +
            `AND NOT EXISTS (SELECT 1 FROM ${schema}.delivery d WHERE d.message = m.message)) ` +
            "SELECT max(message)::float8 AS last, count(*)::float8 AS looked_at FROM looked",
          [float(this.tidied)]
        ),
        ({ rows: [row] }) => {
          const more = Number(row?.["looked_at"] ?? 0) === tidiedAtOnce
          this.tidied = more ? Number(row?.["last"] ?? 0) : 0
          return more
        }
      )
    )
  }

  get stats() {
    const { schema } = this
    const count = (table: string, where = "") => `(SELECT count(*) FROM ${schema}.${table} ${where})::float8`
    const records = this.hasRecords ? ["record"] : []
    const size = (table: string) => `pg_total_relation_size('${schema}.${table}')`
    const tables = ["session", "subscription", "message", "delivery", "awaiting_pubrel", "retained", ...records]
    return this.reader.use((connection) =>
      Effect.map(
        connection.query(
          `SELECT ${count("session")} AS sessions, ${count("subscription")} AS subscriptions, ${
            count("delivery")
          } AS deliveries, ` +
            `${count("message")} + ${count("delivery", "WHERE message IS NULL")} AS messages, ${
              count("retained")
            } AS retained, ${this.hasRecords ? count("record") : "0"} AS records, ` +
            `(${tables.map(size).join(" + ")})::float8 AS bytes`
        ),
        ({ rows: [row] }) => ({
          sessions: Number(row?.["sessions"]),
          subscriptions: Number(row?.["subscriptions"]),
          messages: Number(row?.["messages"]),
          deliveries: Number(row?.["deliveries"]),
          retained: Number(row?.["retained"]),
          records: Number(row?.["records"]),
          bytes: Number(row?.["bytes"])
        })
      )
    )
  }
}

const grouped = (rows: ReadonlyArray<Row>): ReadonlyMap<number, ReadonlyArray<Row>> =>
  Map.groupBy(rows, (row) => Number(row["session"]))

/** The address without `schema`, which is ours; the schema; and what may be shown. */
const addressOf = (
  url: string
): { readonly url: string; readonly schema: string; readonly name: string } | undefined => {
  if (!URL.canParse(url)) return undefined
  const parsed = new URL(url)
  const schema = parsed.searchParams.get("schema") ?? "emqttd"
  if (!/^postgres(ql)?:$/.test(parsed.protocol) || !/^[a-z_][a-z0-9_]{0,62}$/.test(schema)) return undefined
  parsed.searchParams.delete("schema")
  const host = parsed.host === "" ? parsed.searchParams.get("host") ?? "" : parsed.host
  return { url: parsed.href, schema, name: `postgres://${host}${parsed.pathname}?schema=${schema}` }
}

const parse = (url: string) =>
  Effect.suspend(() => {
    const address = addressOf(url)
    return address === undefined
      ? Effect.fail(
        storeFailure("other", "store.url: expected postgres://user:password@host:port/database?schema=name")
      )
      : Effect.succeed(address)
  })

const readFound = (link: PgLink, schema: string) =>
  link.use((connection) =>
    Effect.map(
      connection.query(`SELECT version, session::float8, message::float8, committed_at::float8 FROM ${schema}.highest`),
      ({ rows: [row] }): Found => ({
        version: Number(row?.["version"] ?? 0),
        highest: {
          session: Number(row?.["session"] ?? 0),
          message: Number(row?.["message"] ?? 0),
          committedAt: Number(row?.["committed_at"] ?? 0)
        }
      })
    )
  )

const requireVersion = (connection: PgConnection, schema: string, name: string) =>
  Effect.gen(function* () {
    const { rows } = yield* connection.query(`SELECT version FROM ${schema}.highest`)
    const version = Number(rows[0]?.["version"] ?? 0)
    if (version > storeVersion) {
      return yield* Effect.fail(storeFailure(
        "newer_version",
        `store ${name}: written by a newer emqttd (store version ${version}, this one knows ${storeVersion})`
      ))
    }
    return version
  })

const lockWithin = "3s"

const prepareWriter =
  (schema: string, name: string, durability: "fsync" | "process") =>
  (connection: PgConnection): Effect.Effect<void, SqlError | StoreFailure> =>
    Effect.gen(function* () {
      yield* connection.query(`SET synchronous_commit = ${durability === "fsync" ? "on" : "off"}`)
      yield* connection.query("SET client_min_messages = warning")
      // So that the session of a machine that lost power ends, and its lock with it.
      yield* connection.query("SET tcp_keepalives_idle = 10")
      yield* connection.query("SET tcp_keepalives_interval = 5")
      yield* connection.query("SET tcp_keepalives_count = 3")
      // A broker that was killed has its session ended in a moment: its successor waits for that.
      yield* connection.query(`SET lock_timeout = '${lockWithin}'`)
      yield* connection.query("SELECT pg_advisory_lock(hashtext($1), 1883)", [PgTypes.text(`emqttd ${schema}`)]).pipe(
        Effect.catchIf(
          ({ reason }) => reason._tag === "LockTimeoutError",
          () =>
            Effect.fail(
              storeFailure(
                "locked",
                `store ${name}: another emqttd uses it; give this one another ?schema= in store.url`
              )
            )
        )
      )
      yield* connection.query("SET lock_timeout = 0")
      const found = yield* connection.query("SELECT to_regclass($1) IS NOT NULL AS there", [
        PgTypes.text(`${schema}.highest`)
      ])
      if (found.rows[0]?.["there"] !== true) {
        yield* connection.query("BEGIN")
        for (const statement of statementsFor(schema)) yield* connection.query(statement)
        yield* connection.query("COMMIT")
      }
      const version = yield* requireVersion(connection, schema, name)
      if (version === storeVersion) return
      yield* connection.query("BEGIN")
      for (const statement of migrationsFor(schema, version)) yield* connection.query(statement)
      yield* connection.query("COMMIT")
    })

export const openPostgres = ({ durability, url }: PostgresOptions): OpenEngine =>
  Effect.gen(function* () {
    const address = yield* parse(url)
    const { name, schema } = address
    const writer = new PgLink({ url: address.url, name, prepare: prepareWriter(schema, name, durability) })
    const reader = new PgLink({ url: address.url, name, prepare: () => Effect.void })
    yield* Effect.addFinalizer(() => Effect.andThen(writer.drop(), reader.drop()))
    const found = yield* readFound(writer, schema)
    return new PostgresEngine(`postgres ${name}`, found, schema, writer, reader)
  })

/** Looks at what was committed when it was opened, without the lock. */
export const openPostgresReader = (url: string): OpenReader =>
  Effect.gen(function* () {
    const address = yield* parse(url)
    const { name, schema } = address
    const reader = new PgLink({
      url: address.url,
      name,
      prepare: (connection) =>
        Effect.gen(function* () {
          const { rows } = yield* connection.query("SELECT to_regclass($1) IS NOT NULL AS there", [
            PgTypes.text(`${schema}.highest`)
          ])
          if (rows[0]?.["there"] !== true) {
            return yield* Effect.fail(storeFailure("other", `store ${name}: there is no store`))
          }
          yield* requireVersion(connection, schema, name)
          yield* connection.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        })
    })
    yield* Effect.addFinalizer(() => reader.drop())
    const engine = new PostgresEngine(`postgres ${name}`, yield* readFound(reader, schema), schema, reader, reader)
    const opened: StoreReader = {
      description: engine.description,
      highest: engine.highest,
      damaged: [],
      readSessions: (after, limit) => engine.readSessions(after, limit),
      readDeliveries: (session, after, limit) => engine.readDeliveries(session, after, limit),
      readRetained: (after, limit) => engine.readRetained(after, limit),
      readRecords: (kind, after, limit) => engine.readRecords(kind, after, limit),
      recordKinds: engine.recordKinds,
      stats: engine.stats,
      faults: Effect.succeed([])
    }
    return opened
  })
