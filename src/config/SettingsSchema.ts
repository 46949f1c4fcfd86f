// The one Schema between a configuration tree (snake_case tables, as TOML, YAML, environment and flags give them) and
// `Settings`. Decoding fills in defaults and finds every fault; encoding gives back the tree, for `emqttd config dump`.
import { Schema, SchemaTransformation } from "effect"
import { access } from "./sections/access.ts"
import { connection } from "./sections/connection.ts"
import { log } from "./sections/log.ts"
import { node } from "./sections/node.ts"
import { queue } from "./sections/queue.ts"
import { retain } from "./sections/retain.ts"
import { router } from "./sections/router.ts"
import { session } from "./sections/session.ts"
import { shared } from "./sections/shared.ts"
import { store } from "./sections/store.ts"
import { will } from "./sections/will.ts"
import { defaultListener, listener, type ListenerSettings } from "./sections/listener.ts"
import { defaultSettings, type Settings } from "./Settings.ts"
import { keysOf, optionalTable, table } from "./table.ts"

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
  ["will", keysOf(will)],
  ["store", keysOf(store)]
])

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
  will: optionalTable(will, defaultSettings.will),
  store: optionalTable(store, defaultSettings.store)
})
