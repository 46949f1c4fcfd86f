// Applies a packed group in PostgreSQL, within the transaction of its caller: one statement for each kind of row, whole columns as arrays.
// Invariant: a message row is there exactly as long as a delivery row names it; a group that is applied twice changes nothing the second time.
import type { PgConnection } from "@effect/sql-pg/PgConnection"
import * as PgTypes from "@effect/sql-pg/PgTypes"
import { Effect, Result } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import {
  checksumSize,
  type GroupItem,
  type GroupRun,
  messageOf,
  Operation,
  readGroup,
  recordKeyOf,
  topicOf
} from "../records/packGroup.ts"
import { RecordReader } from "../records/RecordReader.ts"

export const numbers = (values: ReadonlyArray<number | null>): PgTypes.Parameter =>
  Result.getOrThrow(PgTypes.array(values, PgTypes.OID.float8))
const texts = (values: ReadonlyArray<string>): PgTypes.Parameter =>
  Result.getOrThrow(PgTypes.array(values, PgTypes.OID.text))
/** PostgreSQL keeps checksums of its own (`initdb --data-checksums`). */
const bodies = (items: ReadonlyArray<GroupItem>): PgTypes.Parameter =>
  Result.getOrThrow(
    PgTypes.array(items.map(({ body }) => body.subarray(0, body.length - checksumSize)), PgTypes.OID.bytea)
  )

const a = (items: ReadonlyArray<GroupItem>): PgTypes.Parameter => numbers(items.map((item) => item.a))
const b = (items: ReadonlyArray<GroupItem>): PgTypes.Parameter => numbers(items.map((item) => item.b))

const hash = (text: string): string => `sha256(convert_to(${text}, 'UTF8'))`

/** One statement may not meet a row twice: the last one of a key counts. */
const lastOfEach = (items: ReadonlyArray<GroupItem>, key: (item: GroupItem) => string): ReadonlyArray<GroupItem> => [
  ...new Map(items.map((item) => [key(item), item])).values()
]
const keysOf = (item: GroupItem): string => `${item.a} ${item.b}`

export const applyGroup = (
  connection: PgConnection,
  schema: string,
  group: Uint8Array
): Effect.Effect<void, SqlError> => {
  const { message, now, runs, session } = readGroup(group)
  return Effect.forEach(runs, (run) => apply(connection, schema, run), { discard: true }).pipe(
    Effect.andThen(connection.query(
      `UPDATE ${schema}.highest SET session = greatest(session, $1::float8::bigint), ` +
        `message = greatest(message, $2::float8::bigint), committed_at = $3::float8::bigint`,
      [PgTypes.float8(session), PgTypes.float8(message), PgTypes.float8(now)]
    )),
    Effect.asVoid
  )
}

const apply = (
  connection: PgConnection,
  schema: string,
  { items, operation }: GroupRun
): Effect.Effect<unknown, SqlError> => {
  const run = (sql: string, ...parameters: ReadonlyArray<PgTypes.Parameter>) => connection.query(sql, parameters)
  switch (operation) {
    case Operation.EndSession: {
      const sessions = a(items)
      const those = "WHERE session = ANY($1::float8[]::bigint[])"
      return Effect.forEach(
        ["session", "subscription", "awaiting_pubrel"],
        (table) => run(`DELETE FROM ${schema}.${table} ${those}`, sessions)
      ).pipe(
        Effect.andThen(run(released(`DELETE FROM ${schema}.delivery ${those}`), sessions)),
        Effect.flatMap((result) => release(connection, schema, result.rows))
      )
    }
    case Operation.PutSession: {
      const rows = lastOfEach(items, keysOf)
      return run(
        `INSERT INTO ${schema}.session SELECT * FROM unnest($1::float8[]::bigint[], $2::bytea[]) ` +
          "ON CONFLICT (session) DO UPDATE SET body = excluded.body",
        a(rows),
        bodies(rows)
      )
    }
    case Operation.EndSubscription:
      return run(
        `DELETE FROM ${schema}.subscription s USING unnest($1::float8[]::bigint[], $2::text[]) AS k(session, topic_filter) ` +
          `WHERE s.session = k.session AND s.filter_key = ${hash("k.topic_filter")}`,
        a(items),
        texts(items.map(topicOf))
      )
    case Operation.PutSubscription: {
      const rows = lastOfEach(items, (item) => `${item.a} ${topicOf(item)}`)
      return run(
        `INSERT INTO ${schema}.subscription SELECT k.session, ${hash("k.topic_filter")}, k.topic_filter, k.body ` +
          "FROM unnest($1::float8[]::bigint[], $2::text[], $3::bytea[]) AS k(session, topic_filter, body) " +
          "ON CONFLICT (session, filter_key) DO UPDATE SET body = excluded.body",
        a(rows),
        texts(rows.map(topicOf)),
        bodies(rows)
      )
    }
    case Operation.PutMessage:
      return run(
        `INSERT INTO ${schema}.message SELECT * FROM unnest($1::float8[]::bigint[], $2::bytea[]) ON CONFLICT DO NOTHING`,
        a(items),
        bodies(items)
      )
    case Operation.PutDelivery: {
      const rows = lastOfEach(items, keysOf)
      return run(
        `INSERT INTO ${schema}.delivery SELECT k.session, k.sequence, k.message, 0, k.body ` +
          "FROM unnest($1::float8[]::bigint[], $2::float8[]::bigint[], $3::float8[]::bigint[], $4::bytea[]) " +
          "AS k(session, sequence, message, body) ON CONFLICT (session, sequence) DO UPDATE " +
          "SET message = excluded.message, exchange = 0, body = excluded.body",
        a(rows),
        b(rows),
        numbers(rows.map(messageOf)),
        bodies(rows)
      )
    }
    case Operation.SetExchange: {
      const rows = lastOfEach(items, keysOf)
      return run(
        `UPDATE ${schema}.delivery d SET exchange = k.exchange::int ` +
          "FROM unnest($1::float8[]::bigint[], $2::float8[]::bigint[], $3::float8[]) AS k(session, sequence, exchange) " +
          "WHERE d.session = k.session AND d.sequence = k.sequence",
        a(rows),
        b(rows),
        numbers(rows.map(({ body }) => new RecordReader(body).uint32()))
      )
    }
    case Operation.EndDelivery:
      return Effect.flatMap(
        run(
          released(
            `DELETE FROM ${schema}.delivery d USING unnest($1::float8[]::bigint[], $2::float8[]::bigint[]) ` +
              "AS k(session, sequence) WHERE d.session = k.session AND d.sequence = k.sequence"
          ),
          a(items),
          b(items)
        ),
        (result) => release(connection, schema, result.rows)
      )
    case Operation.PutAwaitingPubrel: {
      const rows = lastOfEach(items, keysOf)
      return run(
        `INSERT INTO ${schema}.awaiting_pubrel SELECT k.session, k.packet_identifier::int, k.body ` +
          "FROM unnest($1::float8[]::bigint[], $2::float8[], $3::bytea[]) AS k(session, packet_identifier, body) " +
          "ON CONFLICT (session, packet_identifier) DO UPDATE SET body = excluded.body",
        a(rows),
        b(rows),
        bodies(rows)
      )
    }
    case Operation.EndAwaitingPubrel:
      return run(
        `DELETE FROM ${schema}.awaiting_pubrel w USING unnest($1::float8[]::bigint[], $2::float8[]) ` +
          "AS k(session, packet_identifier) WHERE w.session = k.session AND w.packet_identifier = k.packet_identifier::int",
        a(items),
        b(items)
      )
    case Operation.PutRetained: {
      const rows = lastOfEach(items, topicOf)
      return run(
        `INSERT INTO ${schema}.retained SELECT ${hash("k.topic")}, k.topic, k.body ` +
          "FROM unnest($1::text[], $2::bytea[]) AS k(topic, body) " +
          "ON CONFLICT (topic_key) DO UPDATE SET body = excluded.body",
        texts(rows.map(topicOf)),
        bodies(rows)
      )
    }
    case Operation.EndRetained:
      return run(
        `DELETE FROM ${schema}.retained r USING unnest($1::text[]) AS k(topic) WHERE r.topic_key = ${hash("k.topic")}`,
        texts(items.map(topicOf))
      )
    case Operation.PutRecord: {
      const rows = lastOfEach(items, (item) => recordKeyOf(item).join(" "))
      const keys = rows.map(recordKeyOf)
      return run(
        `INSERT INTO ${schema}.record SELECT k.kind, ${hash("k.key")}, k.key, k.body ` +
          "FROM unnest($1::text[], $2::text[], $3::bytea[]) AS k(kind, key, body) " +
          "ON CONFLICT (kind, key_hash) DO UPDATE SET body = excluded.body",
        texts(keys.map(([kind]) => kind)),
        texts(keys.map(([, key]) => key)),
        bodies(rows)
      )
    }
    case Operation.EndRecord: {
      const keys = items.map(recordKeyOf)
      return run(
        `DELETE FROM ${schema}.record r USING unnest($1::text[], $2::text[]) AS k(kind, key) ` +
          `WHERE r.kind = k.kind AND r.key_hash = ${hash("k.key")}`,
        texts(keys.map(([kind]) => kind)),
        texts(keys.map(([, key]) => key))
      )
    }
    default:
      return Effect.die(new Error(`unknown operation ${operation}`))
  }
}

/** The messages that deleted deliveries named. */
const released = (deletion: string): string =>
  `WITH gone AS (${deletion} RETURNING message) SELECT DISTINCT message::float8 AS message FROM gone WHERE message IS NOT NULL`

const release = (
  connection: PgConnection,
  schema: string,
  rows: ReadonlyArray<{ readonly [column: string]: unknown }>
): Effect.Effect<unknown, SqlError> =>
  rows.length === 0 ? Effect.void : connection.query(
    `DELETE FROM ${schema}.message m WHERE m.message = ANY($1::float8[]::bigint[]) ` +
      `AND NOT EXISTS (SELECT 1 FROM ${schema}.delivery d WHERE d.message = m.message)`,
    [numbers(rows.map(({ message }) => Number(message)))]
  )
