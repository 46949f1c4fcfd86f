// The one Schema between a configuration tree (snake_case tables, as TOML, YAML, environment and flags give them) and
// `Settings`. Decoding fills in defaults and finds every fault; encoding gives back the tree, for `emqttd config dump`.
import { Effect, Schema, SchemaTransformation } from "effect"
import { access } from "./sections/access.ts"
import { admin } from "./sections/admin.ts"
import { authCertificate } from "./sections/authCertificate.ts"
import { authHttp } from "./sections/authHttp.ts"
import { authJwt } from "./sections/authJwt.ts"
import { authScram, authUsers } from "./sections/authUsers.ts"
import { authClientIdFile, authPasswordFile } from "./sections/authFiles.ts"
import { authDatabasesKeys, authDatabasesTables } from "./sections/authDatabases.ts"
import { authentication } from "./sections/authentication.ts"
import { authorization } from "./sections/authorization.ts"
import { cluster } from "./sections/cluster.ts"
import { bans } from "./sections/bans.ts"
import { connection } from "./sections/connection.ts"
import { limits } from "./sections/limits.ts"
import { log } from "./sections/log.ts"
import { node } from "./sections/node.ts"
import { overload } from "./sections/overload.ts"
import { queue } from "./sections/queue.ts"
import { retain } from "./sections/retain.ts"
import { router } from "./sections/router.ts"
import { session } from "./sections/session.ts"
import { shared } from "./sections/shared.ts"
import { store } from "./sections/store.ts"
import { sys } from "./sections/sys.ts"
import { will } from "./sections/will.ts"
import { type ZoneSettings, zoneTables } from "./sections/zone.ts"
import { defaultListener, listener, type ListenerSettings } from "./sections/listener.ts"
import { defaultSettings, type Settings } from "./Settings.ts"
import { keysOf, optionalTable, partialTable, table } from "./table.ts"

/**
 * Which keys each table has; `listeners.*` stands for every listener. For "did you mean" and for the test of the
 * manual.
 */
export const knownKeys: ReadonlyMap<string, ReadonlyArray<string>> = new Map([
  ["node", keysOf(node)],
  ["admin", keysOf(admin)],
  ["log", keysOf(log)],
  ["listeners.*", keysOf(listener)],
  ["access", keysOf(access)],
  ["overload", keysOf(overload)],
  ["authentication", keysOf(authentication)],
  ["auth_jwt", keysOf(authJwt)],
  ["auth_http", keysOf(authHttp)],
  ["auth_certificate", keysOf(authCertificate)],
  ["auth_users", keysOf(authUsers)],
  ["auth_scram", keysOf(authScram)],
  ["auth_client_id_file", keysOf(authClientIdFile)],
  ["auth_password_file", keysOf(authPasswordFile)],
  ...authDatabasesKeys,
  ["authorization", keysOf(authorization)],
  ["limits", keysOf(limits)],
  ["bans", keysOf(bans)],
  ["connection", keysOf(connection)],
  ["session", keysOf(session)],
  ["queue", keysOf(queue)],
  ["shared", keysOf(shared)],
  ["router", keysOf(router)],
  ["retain", keysOf(retain)],
  ["will", keysOf(will)],
  ["store", keysOf(store)],
  ["cluster", keysOf(cluster)],
  ["sys", keysOf(sys)]
])

/** Tables with names of the operator's: a list of them here. */
const named = <A>(one: Schema.Codec<A, unknown>): Schema.Codec<ReadonlyArray<A & { readonly name: string }>, unknown> =>
  Schema.Record(Schema.String, one).pipe(Schema.decodeTo(
    Schema.declare((value): value is ReadonlyArray<A & { readonly name: string }> => Array.isArray(value)),
    SchemaTransformation.transform({
      decode: (tree): ReadonlyArray<A & { readonly name: string }> =>
        Object.entries(tree).map(([name, settings]) => ({ name, ...settings })),
      encode: (list: ReadonlyArray<A & { readonly name: string }>) =>
        Object.fromEntries(list.map(({ name, ...settings }) => [name, settings as A])) // A has no name of its own
    })
  ))

// Type and port go by the listener's name (listenerDefaults.ts).
const { name: _, port: __, type: ___, ...listenerDefaults } = defaultListener
const listeners: Schema.Codec<ReadonlyArray<ListenerSettings>, unknown> = named(table(listener, listenerDefaults))

const zoneTable = <A extends object>(codec: Schema.Codec<A, unknown>, none: A) =>
  codec.pipe(Schema.withDecodingDefaultType(Effect.succeed(none)))

const zones: Schema.Codec<ReadonlyArray<ZoneSettings>, unknown> = named(Schema.Struct({
  limits: zoneTable<ZoneSettings["limits"]>(partialTable(zoneTables.limits), {}),
  connection: zoneTable<ZoneSettings["connection"]>(partialTable(zoneTables.connection), {}),
  session: zoneTable<ZoneSettings["session"]>(partialTable(zoneTables.session), {}),
  queue: zoneTable<ZoneSettings["queue"]>(partialTable(zoneTables.queue), {})
}))

export const SettingsSchema: Schema.Codec<Settings, unknown> = Schema.Struct({
  node: optionalTable(node, defaultSettings.node),
  admin: optionalTable(admin, defaultSettings.admin),
  log: optionalTable(log, defaultSettings.log),
  listeners,
  zones: zones.pipe(Schema.withDecodingDefaultType(Effect.succeed(defaultSettings.zones))),
  access: optionalTable(access, defaultSettings.access),
  overload: optionalTable(overload, defaultSettings.overload),
  authentication: optionalTable(authentication, defaultSettings.authentication),
  auth_jwt: optionalTable(authJwt, defaultSettings.auth_jwt),
  auth_http: optionalTable(authHttp, defaultSettings.auth_http),
  auth_certificate: optionalTable(authCertificate, defaultSettings.auth_certificate),
  auth_users: optionalTable(authUsers, defaultSettings.auth_users),
  auth_scram: optionalTable(authScram, defaultSettings.auth_scram),
  auth_client_id_file: optionalTable(authClientIdFile, defaultSettings.auth_client_id_file),
  auth_password_file: optionalTable(authPasswordFile, defaultSettings.auth_password_file),
  ...authDatabasesTables,
  authorization: optionalTable(authorization, defaultSettings.authorization),
  limits: optionalTable(limits, defaultSettings.limits),
  bans: optionalTable(bans, defaultSettings.bans),
  connection: optionalTable(connection, defaultSettings.connection),
  session: optionalTable(session, defaultSettings.session),
  queue: optionalTable(queue, defaultSettings.queue),
  shared: optionalTable(shared, defaultSettings.shared),
  router: optionalTable(router, defaultSettings.router),
  retain: optionalTable(retain, defaultSettings.retain),
  will: optionalTable(will, defaultSettings.will),
  store: optionalTable(store, defaultSettings.store),
  cluster: optionalTable(cluster, defaultSettings.cluster),
  sys: optionalTable(sys, defaultSettings.sys)
})
