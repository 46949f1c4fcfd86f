// What a durable store is to the broker: it takes groups of changes, each whole or not at all, and reads back what was committed.
// Declared here, implemented by the memory, SQLite and PostgreSQL engines, which pass one contract test. The Journal collects the changes
// and decides when a group goes; an engine never blocks the event loop. Invariant: a group is committed before the next one begins, and
// a change that is committed survives what the durability says it survives.
import type { Effect, Scope } from "effect"

/** The will as a PUBLISH packet of MQTT 5, its delay, and when it is due (Infinity: not armed). */
export interface WillRow {
  readonly packet: Uint8Array
  readonly delaySeconds: number
  readonly dueAt: number
  /** Who it is to the access rules, and the mount point in its topic: text that only `session/` reads; "" or missing: the client id alone. */
  readonly by?: string
}

/** Times are ms since 1970, so that they go on while the broker is down. Infinity (never) is stored as such by each engine. */
export interface SessionRow {
  /** Chosen by the broker, never given again: a session that was replaced has another one than its successor. */
  readonly session: number
  readonly clientId: string
  /** How long it lives without a connection, ms; Infinity: for ever. */
  readonly expiryMillis: number
  /** When it ends; Infinity while its client is connected, and for ever ones. */
  readonly expiresAt: number
  /** True from CONNACK to the end of the connection: found true at a start, the broker has crashed and the will is due. */
  readonly connected: boolean
  /** Null: none. */
  readonly will: WillRow | null
  /** Whose limits it has; "" or missing: the node's. */
  readonly zone?: string
  /** Of the client that it belongs to; null: it had none; missing: not known, in a row of an earlier version. */
  readonly userName?: string | null
  /** Under which its node was given its client id in the cluster: the greater one is the later session; 0 or missing: none was. */
  readonly token?: number
}

export interface SubscriptionRow {
  readonly session: number
  /** As the client wrote it; the key within its session. */
  readonly topicFilter: string
  readonly qos: 0 | 1 | 2
  readonly noLocal: boolean
  readonly retainAsPublished: boolean
  readonly retainHandling: 0 | 1 | 2
  /** 0: none. */
  readonly subscriptionIdentifier: number
}

/** The bytes of a PUBLISH as `Message` keeps them; one row however many sessions are owed it. */
export interface MessageRow {
  /** Chosen by the broker, growing. */
  readonly message: number
  readonly packet: Uint8Array
  /** `Message.shape`: how the packet is to be read. */
  readonly shape: number
  readonly publisher: string
  readonly receivedAt: number
  /** 0: never. */
  readonly expiresAt: number
}

/** Where a delivery stands, as `InflightWindow.ExchangeState`; Queued: no PUBLISH has been sent. */
export const DeliveryState = { Queued: 0, AwaitingPuback: 1, AwaitingPubrec: 2, AwaitingPubcomp: 3 } as const
export type DeliveryState = (typeof DeliveryState)[keyof typeof DeliveryState]

/** One message that one session is owed (QoS 1 and 2). */
export interface DeliveryRow {
  readonly session: number
  /** Grows within the session: the order in which it is owed them. */
  readonly sequence: number
  readonly message: number
  readonly qos: 1 | 2
  readonly retain: boolean
  /** Of the route: the filter that led here (a shared one names its group), and its subscription identifiers. */
  readonly topicFilter: string
  readonly subscriptionIdentifiers: ReadonlyArray<number>
  readonly state: DeliveryState
  /** 0: none yet. */
  readonly packetIdentifier: number
}

/**
 * What else has to survive, one row a thing: users, rules, bans, positions in the cluster. What stands in a value is its owner's business;
 * `kind` and `key` hold no U+0000.
 */
export interface RecordRow {
  /** Whose it is: "user", "ban". */
  readonly kind: string
  /** The key within its kind. */
  readonly key: string
  /** Belongs to the store from here on: it is never written again. */
  readonly value: Uint8Array
}

/** Parts of a group may name the same thing: they are applied in the order of the fields here. */
export interface Changes {
  /** Each ended session takes everything with it: subscriptions, deliveries, awaiting PUBREL. */
  readonly sessionsEnded: ReadonlyArray<number>
  readonly sessions: ReadonlyArray<SessionRow>
  readonly unsubscriptions: ReadonlyArray<{ readonly session: number; readonly topicFilter: string }>
  readonly subscriptions: ReadonlyArray<SubscriptionRow>
  /** Every message that a delivery of this group names, also when an earlier group had it: then it changes nothing. */
  readonly messages: ReadonlyArray<MessageRow>
  readonly deliveries: ReadonlyArray<DeliveryRow>
  /** Exchange state and identifier of deliveries that are there. */
  readonly deliveryStates: ReadonlyArray<{
    readonly session: number
    readonly sequence: number
    readonly state: DeliveryState
    readonly packetIdentifier: number
  }>
  /** The engine removes a message with the last delivery that needs it. */
  readonly deliveriesDone: ReadonlyArray<{ readonly session: number; readonly sequence: number }>
  readonly awaitingPubrel: ReadonlyArray<{
    readonly session: number
    readonly packetIdentifier: number
    /** 0: released. */
    readonly since: number
  }>
  /** By topic; null: none is retained any more. */
  readonly retained: ReadonlyArray<{ readonly topic: string; readonly message: Omit<MessageRow, "message"> | null }>
  /** Null: there is no such record any more. */
  readonly records: ReadonlyArray<Omit<RecordRow, "value"> & { readonly value: Uint8Array | null }>
}

/** What was read of one session that had not been read before. */
export interface StoredSession {
  readonly row: SessionRow
  readonly subscriptions: ReadonlyArray<SubscriptionRow>
  readonly awaitingPubrel: ReadonlyArray<{ readonly packetIdentifier: number; readonly since: number }>
  /** Deliveries that are stored, and the highest sequence among them (0: none). */
  readonly owed: number
  readonly lastSequence: number
}

export interface StoredDelivery extends DeliveryRow {
  readonly stored: MessageRow
}

/**
 * Deliveries of one session. `more`: whether there may be others behind it, where their number does not say so: a page is cut short
 * when it has `deliveryPageBytes`, and is short where rows of it were damaged.
 */
export type DeliveryPage = ReadonlyArray<StoredDelivery> & { readonly more?: boolean }

/** A session with large messages is read in small pages: each is in memory at once, and decoded in one go. */
export const deliveryPageBytes = 1024 * 1024

export const pageOf = (rows: Array<StoredDelivery>, more: boolean): DeliveryPage => Object.assign(rows, { more })

export const hasMore = (page: DeliveryPage, limit: number): boolean => page.more ?? page.length >= limit

export type StoreFailureKind = "full" | "read_only" | "damaged" | "newer_version" | "locked" | "unreachable" | "other"

/** One clear line for the operator. */
export interface StoreFailure {
  readonly _tag: "StoreFailure"
  readonly kind: StoreFailureKind
  readonly message: string
}

export const storeFailure = (kind: StoreFailureKind, message: string): StoreFailure => ({
  _tag: "StoreFailure",
  kind,
  message
})

/** It is the store as a whole, and nothing has to be done to what was asked of it but to ask again. */
export const mayPass = ({ kind }: StoreFailure): boolean =>
  kind === "full" || kind === "read_only" || kind === "unreachable" || kind === "locked"

/** Counters that outlast the process: new rows start above these. */
export interface StoredHighest {
  readonly session: number
  readonly message: number
  /** When the last group was committed, ms: what was connected then was disconnected at this time at the latest. */
  readonly committedAt: number
}

export interface StoreStats {
  readonly sessions: number
  readonly subscriptions: number
  readonly messages: number
  readonly deliveries: number
  readonly retained: number
  readonly records: number
  /** On disk; 0 where it is not known. */
  readonly bytes: number
}

/** Pages are asked for by the key after which they begin; an empty page is the end. */
export interface Engine {
  /** "sqlite ./data/store.sqlite": for the log. */
  readonly description: string
  /** As it was found when the engine was opened. */
  readonly highest: StoredHighest
  /** Resolves when the group is as durable as was asked. One at a time. `now` becomes `committedAt`. */
  commit(changes: Changes, now: number): Effect.Effect<void, StoreFailure>
  /** By session number, ascending, above `after`. */
  readSessions(after: number, limit: number): Effect.Effect<ReadonlyArray<StoredSession>, StoreFailure>
  /** Deliveries of one session by sequence, ascending, above `after`. Answers what was committed when it was asked, or later. */
  readDeliveries(
    session: number,
    after: number,
    limit: number
  ): Effect.Effect<DeliveryPage, StoreFailure>
  /** The sequence of the delivery that comes after `after`, by its key alone: how to pass over one that cannot be read. 0: none. */
  nextDelivery(session: number, after: number): Effect.Effect<number, StoreFailure>
  /** By topic, ascending, above `after` ("" first). */
  readRetained(
    after: string,
    limit: number
  ): Effect.Effect<
    ReadonlyArray<{ readonly topic: string; readonly message: Omit<MessageRow, "message"> }>,
    StoreFailure
  >
  /** Records of one kind by key, ascending by its bytes in UTF-8, above `after` ("" first: a key is never empty). */
  readRecords(kind: string, after: string, limit: number): Effect.Effect<ReadonlyArray<RecordRow>, StoreFailure>
  /** The kinds of which there are records, ascending. */
  readonly recordKinds: Effect.Effect<ReadonlyArray<string>, StoreFailure>
  /** One small step of upkeep: returns space, removes what nothing refers to. True: there is more to do. */
  readonly tidy: Effect.Effect<boolean, StoreFailure>
  readonly stats: Effect.Effect<StoreStats, StoreFailure>
}

export type OpenEngine = Effect.Effect<Engine, StoreFailure, Scope.Scope>

/** Changes that are being put together. */
export type GrowingChanges = { -readonly [Part in keyof Changes]: Array<Changes[Part][number]> }

export const growingChanges = (): GrowingChanges => ({
  sessionsEnded: [],
  sessions: [],
  unsubscriptions: [],
  subscriptions: [],
  messages: [],
  deliveries: [],
  deliveryStates: [],
  deliveriesDone: [],
  awaitingPubrel: [],
  retained: [],
  records: []
})

export const noChanges: Changes = growingChanges()
