// The one Schema between a configuration tree (snake_case tables, as TOML, YAML, environment and flags give them) and
// `Settings`. Decoding fills in defaults and finds every fault; encoding gives back the tree, for `emqttd config
// dump`. Invariant: the tables below name each field of Settings.ts exactly once; the compiler refuses a field that is
// left out.
import { Effect, Predicate, Schema, SchemaTransformation } from "effect"
import { choice, decimal, duration, integer, type SettingCodec, size, text, textList, truth } from "./settingCodecs.ts"
import {
  type AccessSettings,
  type ConnectionSettings,
  defaultListener,
  defaultSettings,
  type ListenerSettings,
  logFormats,
  logLevels,
  type LogSettings,
  type NodeSettings,
  type QueueSettings,
  type RetainSettings,
  type RouterSettings,
  type SessionSettings,
  type Settings,
  type SharedSettings,
  type WillSettings
} from "./Settings.ts"

type Fields<S> = { readonly [Name in keyof S]-?: readonly [key: string, codec: SettingCodec<S[Name]>] }

const KIB = 1024
const MIB = 1024 * KIB

/** What fits into an MQTT string. */
const isMqttText = (value: string): boolean => Buffer.byteLength(value) <= 65_535 && !value.includes("\0")
const isTopicFilter = (value: string): boolean => value !== "" && isMqttText(value)
const mqttText = text("a text of at most 65,535 bytes", isMqttText)

const node: Fields<NodeSettings> = {
  name: [
    "name",
    text(
      `a name like "emqttd@10.0.0.1", at most 255 characters`,
      (value) => value.length <= 255 && /^[\w.-]+@[\w.:-]+$/.test(value)
    )
  ],
  dataDir: ["data_dir", text("the path of a directory", (value) => value !== "" && !value.includes("\0"))],
  shutdownTimeoutMillis: ["shutdown_timeout", duration({ minimum: "0s", maximum: "10m" })],
  memoryHighWatermark: ["memory_high_watermark", decimal(0, 1)]
}

const log: Fields<LogSettings> = {
  level: ["level", choice(logLevels)],
  format: ["format", choice(logFormats)],
  repeatIntervalMillis: ["repeat_interval", duration({ minimum: "0s", maximum: "1h" })]
}

const listener: Fields<Omit<ListenerSettings, "name">> = {
  type: ["type", choice(["tcp"], " (the only type so far: tls, ws and wss are not there yet)")],
  address: ["address", text(`an IP address or a host name, without port`, (value) => /^[\w.:%-]+$/.test(value))],
  port: ["port", integer(0, 65_535)],
  maxConnections: ["max_connections", integer(1, 10_000_000)],
  maxConnectionRate: ["max_connection_rate", integer(0, 1_000_000)],
  backlog: ["backlog", integer(1, 65_535)],
  enabled: ["enabled", truth]
}

const access: Fields<AccessSettings> = {
  anonymous: ["anonymous", choice(["loopback", "anywhere", "nowhere"])],
  refusedSubscriptions: ["refused_subscriptions", textList("topic filters", isTopicFilter)]
}

const connection: Fields<ConnectionSettings> = {
  connectTimeoutMillis: ["connect_timeout", duration({ minimum: "100ms", maximum: "10m" })],
  maxPacketSize: ["max_packet_size", size(128, 268_435_460)],
  maxClientIdLength: ["max_client_id_length", integer(23, 65_535)],
  keepAliveMultiplier: ["keep_alive_multiplier", decimal(1, 10)],
  maxKeepAliveSeconds: ["max_keep_alive", integer(0, 65_535)],
  maxTopicLevels: ["max_topic_levels", integer(1, 1024)],
  maxTopicLength: ["max_topic_length", integer(1, 65_535)],
  topicAliasMaximum: ["topic_alias_maximum", integer(0, 65_535)],
  outgoingTopicAliasMaximum: ["outgoing_topic_alias_maximum", integer(0, 65_535)],
  receiveMaximum: ["receive_maximum", integer(1, 65_535)],
  writeHighWatermarkBytes: ["write_high_watermark", size(4 * KIB, 1024 * MIB)],
  mailboxBytes: ["mailbox_size", size(KIB, 16 * MIB)],
  serverReference: ["server_reference", mqttText],
  responseInformation: ["response_information", mqttText],
  retainAvailable: ["retain_available", truth],
  wildcardAvailable: ["wildcard_available", truth],
  sharedAvailable: ["shared_available", truth],
  maximumQoS: ["maximum_qos", choice([0, 1, 2])]
}

const session: Fields<SessionSettings> = {
  persistentExpiryMillis: ["persistent_expiry", duration({ minimum: "1s", maximum: "3650d", never: true })],
  maxExpiryMillis: ["max_expiry", duration({ minimum: "0s", maximum: "3650d", never: true })],
  maxInflight: ["max_inflight", integer(1, 65_535)],
  maxAwaitingPubrel: ["max_awaiting_pubrel", integer(1, 65_535)],
  awaitPubrelTimeoutMillis: ["await_pubrel_timeout", duration({ minimum: "1s", maximum: "24h" })],
  retryIntervalMillis: ["retry_interval", duration({ minimum: "1s", maximum: "1h", zero: true })],
  maxSubscriptions: ["max_subscriptions", integer(1, 1_000_000)],
  maxSessions: ["max_sessions", integer(1, 100_000_000)],
  mailboxCapacity: ["mailbox_capacity", integer(512, 1_048_576)]
}

const queue: Fields<QueueSettings> = {
  capacity: ["capacity", integer(1, 10_000_000)],
  whenFull: ["when_full", choice(["drop_oldest_qos0_first", "drop_oldest", "drop_newest"])],
  storeQoS0: ["store_qos0", truth]
}

const shared: Fields<SharedSettings> = {
  strategy: ["strategy", choice(["random", "round_robin", "sticky", "hash_clientid", "hash_topic", "local"])]
}

const router: Fields<RouterSettings> = {
  topicCache: ["topic_cache", integer(256, 16_777_216)],
  mailboxCapacity: ["mailbox_capacity", integer(16, 1_048_576)]
}

const retain: Fields<RetainSettings> = {
  maxMessages: ["max_messages", integer(0, 100_000_000)],
  maxPayloadBytes: ["max_payload", size(0, 256 * MIB)],
  maxTotalBytes: ["max_total", size(0, 1024 * 1024 * MIB)],
  expiryMillis: ["expiry", duration({ minimum: "1s", maximum: "3650d", never: true })],
  mailboxCapacity: ["mailbox_capacity", integer(16, 1_048_576)]
}

const will: Fields<WillSettings> = {
  maxDelayMillis: ["max_delay", duration({ minimum: "0s", maximum: "3650d", never: true })]
}

const keysOf = <S>(fields: Fields<S>): ReadonlyArray<string> => namesOf(fields).map((name) => fields[name][0])
const namesOf = <S>(fields: Fields<S>): ReadonlyArray<keyof S> => Object.keys(fields) as Array<keyof S & string>

/**
 * Which keys each table has; `listeners.*` stands for every listener. For "did you mean" and for the test of the
 * manual.
 */
export const knownKeys: ReadonlyMap<string, ReadonlyArray<string>> = new Map([
  ["node", keysOf(node)],
  ["log", keysOf(log)],
  ["listeners.*", keysOf(listener)],
  ["access", keysOf(access)],
  ["connection", keysOf(connection)],
  ["session", keysOf(session)],
  ["queue", keysOf(queue)],
  ["shared", keysOf(shared)],
  ["router", keysOf(router)],
  ["retain", keysOf(retain)],
  ["will", keysOf(will)]
])

/**
 * A table of the file: keys with defaults on one side, our names on the other. A field without a default must be
 * given.
 */
const table = <S extends object>(fields: Fields<S>, defaults: Partial<S>): Schema.Codec<S, unknown> => {
  const schemas: Record<string, Schema.Codec<unknown, unknown>> = {}
  for (const name of namesOf(fields)) {
    const [key, codec] = fields[name]
    const value = defaults[name]
    schemas[key] = value === undefined ? codec : codec.pipe(Schema.withDecodingDefaultType(Effect.succeed(value)))
  }
  return Schema.Struct(schemas).pipe(Schema.decodeTo(
    Schema.declare((value): value is S => Predicate.isObject(value)),
    SchemaTransformation.transform({
      decode: (tree: { readonly [key: string]: unknown }): S => {
        const value: unknown = Object.fromEntries(namesOf(fields).map((name) => [name, tree[fields[name][0]]]))
        return value as S // each field went through the codec that `Fields<S>` demands for it
      },
      encode: (value: S): { readonly [key: string]: unknown } =>
        Object.fromEntries(namesOf(fields).map((name) => [fields[name][0], value[name]]))
    })
  ))
}

const optionalTable = <S extends object>(fields: Fields<S>, defaults: S) =>
  table(fields, defaults).pipe(Schema.withDecodingDefaultType(Effect.succeed(defaults)))

// A second listener cannot share the port of the first, so only `tcp` has one by default (decodeSettings.ts puts it there).
const { name: _, port: __, ...listenerDefaults } = defaultListener

const listeners: Schema.Codec<ReadonlyArray<ListenerSettings>, unknown> = Schema.Record(
  Schema.String,
  table(listener, listenerDefaults)
).pipe(Schema.decodeTo(
  Schema.declare((value): value is ReadonlyArray<ListenerSettings> => Array.isArray(value)),
  SchemaTransformation.transform({
    decode: (tree): ReadonlyArray<ListenerSettings> =>
      Object.entries(tree).map(([name, settings]) => ({ name, ...settings })),
    encode: (list: ReadonlyArray<ListenerSettings>) =>
      Object.fromEntries(list.map(({ name, ...settings }) => [name, settings]))
  })
))

export const SettingsSchema: Schema.Codec<Settings, unknown> = Schema.Struct({
  node: optionalTable(node, defaultSettings.node),
  log: optionalTable(log, defaultSettings.log),
  listeners,
  access: optionalTable(access, defaultSettings.access),
  connection: optionalTable(connection, defaultSettings.connection),
  session: optionalTable(session, defaultSettings.session),
  queue: optionalTable(queue, defaultSettings.queue),
  shared: optionalTable(shared, defaultSettings.shared),
  router: optionalTable(router, defaultSettings.router),
  retain: optionalTable(retain, defaultSettings.retain),
  will: optionalTable(will, defaultSettings.will)
})
