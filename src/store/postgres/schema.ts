// The tables in PostgreSQL, in a schema of their own; made by the first node that uses them.
// Invariant: a schema of a newer version is never written. Topics and filters are keyed by a hash: an index entry has room for 2,700 bytes.
export const storeVersion = 2

/** `schema` has been checked: letters, digits and underscores. */
const recordTable = (schema: string): ReadonlyArray<string> => [
  `CREATE TABLE IF NOT EXISTS ${schema}.record(kind text COLLATE "C" NOT NULL, key_hash bytea NOT NULL, key text COLLATE "C" NOT NULL,
    body bytea NOT NULL, PRIMARY KEY (kind, key_hash))`,
  `CREATE INDEX IF NOT EXISTS record_key ON ${schema}.record(kind, left(key, 600))`
]

/** What makes a schema of an earlier version one of this. */
export const migrationsFor = (schema: string, from: number): ReadonlyArray<string> => [
  ...from < 2 ? recordTable(schema) : [],
  `UPDATE ${schema}.highest SET version = ${storeVersion}`
]

export const statementsFor = (schema: string): ReadonlyArray<string> => [
  `CREATE SCHEMA IF NOT EXISTS ${schema}`,
  `CREATE TABLE IF NOT EXISTS ${schema}.highest(id int PRIMARY KEY CHECK (id = 1), version int NOT NULL, session bigint NOT NULL,
    message bigint NOT NULL, committed_at bigint NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS ${schema}.session(session bigint PRIMARY KEY, body bytea NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS ${schema}.subscription(session bigint NOT NULL, filter_key bytea NOT NULL, topic_filter text NOT NULL,
    body bytea NOT NULL, PRIMARY KEY (session, filter_key))`,
  `CREATE TABLE IF NOT EXISTS ${schema}.message(message bigint PRIMARY KEY, body bytea NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS ${schema}.delivery(session bigint NOT NULL, sequence bigint NOT NULL, message bigint,
    exchange int NOT NULL, body bytea NOT NULL, PRIMARY KEY (session, sequence)) WITH (fillfactor = 80)`,
  `CREATE INDEX IF NOT EXISTS delivery_message ON ${schema}.delivery(message) WHERE message IS NOT NULL`,
  `CREATE TABLE IF NOT EXISTS ${schema}.awaiting_pubrel(session bigint NOT NULL, packet_identifier int NOT NULL, body bytea NOT NULL,
    PRIMARY KEY (session, packet_identifier))`,
  `CREATE TABLE IF NOT EXISTS ${schema}.retained(topic_key bytea PRIMARY KEY, topic text COLLATE "C" NOT NULL, body bytea NOT NULL)`,
  `CREATE INDEX IF NOT EXISTS retained_topic ON ${schema}.retained(left(topic, 600))`,
  ...recordTable(schema),
  `INSERT INTO ${schema}.highest VALUES (1, ${storeVersion}, 0, 0, 0) ON CONFLICT DO NOTHING`
]
