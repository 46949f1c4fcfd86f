// A store as lines of JSON, the same for every engine: what `emqttd store export` writes and `import` reads. One thing a line, named by its
// only key. Infinity, which JSON has not, is null; bytes are base64. A delivery carries its message, so each line stands for itself.
import { Result, Schema } from "effect"
import type { DeliveryRow, MessageRow, RecordRow, SessionRow, SubscriptionRow } from "../Engine.ts"
import type { RetainedMessage } from "../records/rows.ts"

/** 2: with records. */
export const exportVersion = 2

const Number0 = Schema.Number
const EndlessNumber = Schema.NullOr(Schema.Number)
const Bytes = Schema.String

const message = {
  packet: Bytes,
  shape: Number0,
  publisher: Schema.String,
  received_at: Number0,
  expires_at: Number0
}

const Line = Schema.Union([
  Schema.Struct({
    emqttd_store: Schema.Struct({ version: Number0, session: Number0, message: Number0, committed_at: Number0 })
  }),
  Schema.Struct({
    session: Schema.Struct({
      session: Number0,
      client_id: Schema.String,
      expiry_millis: EndlessNumber,
      expires_at: EndlessNumber,
      connected: Schema.Boolean,
      will: Schema.NullOr(Schema.Struct({
        packet: Bytes,
        delay_seconds: Number0,
        due_at: EndlessNumber,
        by: Schema.optionalKey(Schema.String)
      })),
      zone: Schema.optionalKey(Schema.String),
      user_name: Schema.optionalKey(Schema.NullOr(Schema.String)),
      token: Schema.optionalKey(Number0)
    })
  }),
  Schema.Struct({
    subscription: Schema.Struct({
      session: Number0,
      topic_filter: Schema.String,
      qos: Schema.Literals([0, 1, 2]),
      no_local: Schema.Boolean,
      retain_as_published: Schema.Boolean,
      retain_handling: Schema.Literals([0, 1, 2]),
      subscription_identifier: Number0
    })
  }),
  Schema.Struct({
    awaiting_pubrel: Schema.Struct({ session: Number0, packet_identifier: Number0, since: Number0 })
  }),
  Schema.Struct({
    delivery: Schema.Struct({
      session: Number0,
      sequence: Number0,
      qos: Schema.Literals([1, 2]),
      retain: Schema.Boolean,
      topic_filter: Schema.String,
      subscription_identifiers: Schema.Array(Number0),
      state: Schema.Literals([0, 1, 2, 3]),
      packet_identifier: Number0,
      message: Schema.Struct({ message: Number0, ...message })
    })
  }),
  Schema.Struct({ retained: Schema.Struct({ topic: Schema.String, message: Schema.Struct(message) }) }),
  Schema.Struct({ record: Schema.Struct({ kind: Schema.String, key: Schema.String, value: Bytes }) })
])

export type Line = typeof Line.Type

const decode = Schema.decodeUnknownResult(Schema.fromJsonString(Line))

/** undefined: not a line of an export. */
export const parseLine = (text: string): Line | undefined => {
  const result = decode(text)
  return Result.isSuccess(result) ? result.success : undefined
}

const endless = (value: number): number | null => value === Infinity ? null : value
const finite = (value: number | null): number => value ?? Infinity
const base64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64")
const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "base64"))

export const sessionLine = (
  { clientId, connected, expiresAt, expiryMillis, session, token, userName, will, zone }: SessionRow
): Line => ({
  session: {
    session,
    client_id: clientId,
    expiry_millis: endless(expiryMillis),
    expires_at: endless(expiresAt),
    connected,
    will: will === null ? null : {
      packet: base64(will.packet),
      delay_seconds: will.delaySeconds,
      due_at: endless(will.dueAt),
      ...(will.by === undefined ? {} : { by: will.by })
    },
    ...(zone === undefined ? {} : { zone }),
    ...(userName === undefined ? {} : { user_name: userName }),
    ...(token === undefined ? {} : { token })
  }
})

export const sessionOf = ({ session: row }: Extract<Line, { session: unknown }>): SessionRow => ({
  session: row.session,
  clientId: row.client_id,
  expiryMillis: finite(row.expiry_millis),
  expiresAt: finite(row.expires_at),
  connected: row.connected,
  will: row.will === null ? null : {
    packet: bytesOf(row.will.packet),
    delaySeconds: row.will.delay_seconds,
    dueAt: finite(row.will.due_at),
    ...(row.will.by === undefined ? {} : { by: row.will.by })
  },
  ...(row.zone === undefined ? {} : { zone: row.zone }),
  ...(row.user_name === undefined ? {} : { userName: row.user_name }),
  ...(row.token === undefined ? {} : { token: row.token })
})

export const subscriptionLine = (row: SubscriptionRow): Line => ({
  subscription: {
    session: row.session,
    topic_filter: row.topicFilter,
    qos: row.qos,
    no_local: row.noLocal,
    retain_as_published: row.retainAsPublished,
    retain_handling: row.retainHandling,
    subscription_identifier: row.subscriptionIdentifier
  }
})

export const subscriptionOf = ({ subscription: row }: Extract<Line, { subscription: unknown }>): SubscriptionRow => ({
  session: row.session,
  topicFilter: row.topic_filter,
  qos: row.qos,
  noLocal: row.no_local,
  retainAsPublished: row.retain_as_published,
  retainHandling: row.retain_handling,
  subscriptionIdentifier: row.subscription_identifier
})

const messageFields = (row: RetainedMessage) => ({
  packet: base64(row.packet),
  shape: row.shape,
  publisher: row.publisher,
  received_at: row.receivedAt,
  expires_at: row.expiresAt
})

const messageOf = (row: ReturnType<typeof messageFields>): RetainedMessage => ({
  packet: bytesOf(row.packet),
  shape: row.shape,
  publisher: row.publisher,
  receivedAt: row.received_at,
  expiresAt: row.expires_at
})

export const deliveryLine = (row: DeliveryRow, stored: MessageRow): Line => ({
  delivery: {
    session: row.session,
    sequence: row.sequence,
    qos: row.qos,
    retain: row.retain,
    topic_filter: row.topicFilter,
    subscription_identifiers: row.subscriptionIdentifiers,
    state: row.state,
    packet_identifier: row.packetIdentifier,
    message: { message: stored.message, ...messageFields(stored) }
  }
})

export const deliveryOf = (
  { delivery: row }: Extract<Line, { delivery: unknown }>
): { readonly row: DeliveryRow; readonly stored: MessageRow } => ({
  row: {
    session: row.session,
    sequence: row.sequence,
    message: row.message.message,
    qos: row.qos,
    retain: row.retain,
    topicFilter: row.topic_filter,
    subscriptionIdentifiers: row.subscription_identifiers,
    state: row.state,
    packetIdentifier: row.packet_identifier
  },
  stored: { message: row.message.message, ...messageOf(row.message) }
})

export const retainedLine = (topic: string, message: RetainedMessage): Line => ({
  retained: { topic, message: messageFields(message) }
})

export const retainedOf = (
  { retained: { message, topic } }: Extract<Line, { retained: unknown }>
): { readonly topic: string; readonly message: RetainedMessage } => ({ topic, message: messageOf(message) })

export const recordLine = ({ key, kind, value }: RecordRow): Line => ({ record: { kind, key, value: base64(value) } })

export const recordOf = ({ record: { key, kind, value } }: Extract<Line, { record: unknown }>): RecordRow => ({
  kind,
  key,
  value: bytesOf(value)
})
