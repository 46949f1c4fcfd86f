// The management API, defined once: what can be asked of a node, and what is answered. Served over the admin socket (webHandler.ts),
// called by `emqttd ctl` (cli/). No server code here. Names are snake_case as in the settings; times are milliseconds since 1970.
// Invariant: no answer grows with the number of clients beyond a limit that the asker gives.
import { ClusterApi } from "./clusterApi.ts"
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { RulesApi, UsersApi } from "./accessApi.ts"
import { NotFound, Refused } from "./faults.ts"

export { NotFound, Refused }

export const ListenerStatus = Schema.Struct({
  name: Schema.String,
  type: Schema.String,
  address: Schema.String,
  /** The one in use where the setting left the choice to the system. */
  port: Schema.Int,
  state: Schema.Literals(["running", "stopped"]),
  connections: Schema.Int,
  max_connections: Schema.Int
})

/** A limit that keeps new clients out at present. */
export const OverloadMark = Schema.Struct({
  /** The setting's name. */
  setting: Schema.String,
  since: Schema.Finite,
  refused: Schema.Int
})

export const Status = Schema.Struct({
  version: Schema.String,
  node: Schema.String,
  runtime: Schema.String,
  process: Schema.Int,
  uptime_seconds: Schema.Finite,
  health: Schema.Struct({ ok: Schema.Boolean, reasons: Schema.Array(Schema.String) }),
  connections: Schema.Int,
  sessions: Schema.Int,
  subscriptions: Schema.Int,
  retained: Schema.Struct({ messages: Schema.Int, bytes: Schema.Finite }),
  memory: Schema.Struct({ resident_bytes: Schema.Finite, limit_bytes: Schema.Finite }),
  /** Connections whose CONNECT is not answered yet. */
  handshakes: Schema.Int,
  event_loop_lag_ms: Schema.Int,
  overload: Schema.Array(OverloadMark),
  /** Why the store takes no changes ("": it does), and what waits for it. No illness: a restart would not help. */
  store: Schema.Struct({ failure: Schema.String, pending_bytes: Schema.Finite }),
  listeners: Schema.Array(ListenerStatus)
})

export interface TreePart {
  readonly name: string
  readonly kind: "worker" | "supervisor"
  readonly restart: "permanent" | "transient" | "temporary"
  readonly status: "running" | "restarting" | "stopping" | "ended"
  readonly restarts: number
  readonly children: ReadonlyArray<TreePart>
  /** Children that were left out. */
  readonly omitted?: number | undefined
}

export const TreePart: Schema.Codec<TreePart> = Schema.Struct({
  name: Schema.String,
  kind: Schema.Literals(["worker", "supervisor"]),
  restart: Schema.Literals(["permanent", "transient", "temporary"]),
  status: Schema.Literals(["running", "restarting", "stopping", "ended"]),
  restarts: Schema.Int,
  children: Schema.Array(Schema.suspend((): Schema.Codec<TreePart> => TreePart)),
  omitted: Schema.optional(Schema.Int)
})

export const Client = Schema.Struct({
  client_id: Schema.String,
  /** As whom it came in; null: without a user name. */
  user_name: Schema.NullOr(Schema.String),
  peer: Schema.String,
  listener: Schema.String,
  /** 3 is MQTT 3.1, 4 is 3.1.1, 5 is 5. */
  protocol: Schema.Int,
  subscriptions: Schema.Int,
  /** Messages that wait for it or are on their way to it. */
  owed: Schema.Int
})

export const ClientsPage = Schema.Struct({ total: Schema.Int, clients: Schema.Array(Client) })

export const Counts = Schema.Record(Schema.String, Schema.Finite)

export const Ban = Schema.Struct({
  kind: Schema.Literals(["client_id", "user_name", "address"]),
  value: Schema.String,
  reason: Schema.String,
  /** "ctl" or "flapping". */
  by: Schema.String,
  since: Schema.Finite,
  /** Null: for ever. */
  until: Schema.NullOr(Schema.Finite)
})

export const BansPage = Schema.Struct({ total: Schema.Int, bans: Schema.Array(Ban) })

export const NewBan = Schema.Struct({
  kind: Ban.fields.kind,
  value: Schema.String,
  reason: Schema.String,
  /** Null: for ever. */
  milliseconds: Schema.NullOr(Schema.Finite)
})

export type Ban = typeof Ban.Type
export type BansPage = typeof BansPage.Type
export type NewBan = typeof NewBan.Type
export type ListenerStatus = typeof ListenerStatus.Type
export type OverloadMark = typeof OverloadMark.Type
export type Status = typeof Status.Type
export type Client = typeof Client.Type
export type ClientsPage = typeof ClientsPage.Type
export type Counts = typeof Counts.Type

const limit = Schema.optional(Schema.FiniteFromString)

const change = { success: HttpApiSchema.NoContent, error: [NotFound, Refused] } as const

/** What has come of reading the settings again. */
export const Reloaded = Schema.Struct({
  /** What is wrong, one line each: that part is as it was; with a fault in the settings themselves all of it is. */
  faults: Schema.Array(Schema.String),
  /** Keys that have changed and hold from the next start on. */
  need_restart: Schema.Array(Schema.String)
})
export type Reloaded = typeof Reloaded.Type

class NodeApi extends HttpApiGroup.make("node").add(
  HttpApiEndpoint.get("status", "/status", { success: Status }),
  HttpApiEndpoint.get("tree", "/tree", { query: { limit }, success: TreePart }),
  HttpApiEndpoint.get("counters", "/counters", { success: Counts }),
  HttpApiEndpoint.post("reload", "/reload", { success: Reloaded, error: Refused })
).prefix("/api/v1") {}

class ListenersApi extends HttpApiGroup.make("listeners").add(
  HttpApiEndpoint.get("list", "/", { success: Schema.Array(ListenerStatus) }),
  HttpApiEndpoint.post("start", "/:name/start", { params: { name: Schema.String }, ...change }),
  HttpApiEndpoint.post("stop", "/:name/stop", { params: { name: Schema.String }, ...change })
).prefix("/api/v1/listeners") {}

class ClientsApi extends HttpApiGroup.make("clients").add(
  HttpApiEndpoint.get("list", "/", { query: { limit }, success: ClientsPage }),
  HttpApiEndpoint.delete("kick", "/:clientId", {
    params: { clientId: Schema.String },
    success: HttpApiSchema.NoContent,
    error: NotFound
  })
).prefix("/api/v1/clients") {}

class BansApi extends HttpApiGroup.make("bans").add(
  HttpApiEndpoint.get("list", "/", { query: { limit }, success: BansPage }),
  HttpApiEndpoint.post("add", "/", { payload: NewBan, success: Ban, error: Refused }),
  HttpApiEndpoint.delete("remove", "/", {
    query: { kind: Ban.fields.kind, value: Schema.String },
    success: HttpApiSchema.NoContent,
    error: [NotFound, Refused]
  })
).prefix("/api/v1/bans") {}

export class Api
  extends HttpApi.make("emqttd").add(NodeApi).add(ListenersApi).add(ClientsApi).add(BansApi).add(UsersApi).add(
    RulesApi
  ).add(
    ClusterApi
  ) {}
