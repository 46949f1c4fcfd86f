// What can be asked of a node about its cluster, and what it can be told. Part of Api.ts. No server code here.
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { Refused } from "./faults.ts"

export const ClusterMember = Schema.Struct({
  name: Schema.String,
  status: Schema.Literals(["alive", "suspect", "dead", "left"]),
  /** host:port where the others reach it; "" while it has not said. */
  address: Schema.String,
  /** Since when it is so, as this node knows; milliseconds since 1970. */
  since: Schema.Finite,
  /** Of its start: milliseconds since 1970, by its own clock. */
  started: Schema.Finite,
  /** "self" for the node that answers. */
  link: Schema.Literals(["self", "up", "down"]),
  /** Since when; null: never yet, or self. */
  link_since: Schema.NullOr(Schema.Finite),
  /** Why there is none; "": there is. */
  link_fault: Schema.String,
  /** Of its program, and of the protocol that is spoken with it; "" and 0: no link. */
  program: Schema.String,
  protocol: Schema.Int,
  /** QoS 1 and 2 that it has not acknowledged to this node, those in the outbox among them. */
  owed_messages: Schema.Int,
  owed_bytes: Schema.Int,
  /** Bytes that wait for the link to it. */
  queued_bytes: Schema.Int,
  /** Topic filters of its sessions as this node knows them, and their digest: the same on all nodes that agree; "": not known. */
  routes: Schema.Int,
  routes_digest: Schema.String
})

export const ClusterStatus = Schema.Struct({
  cluster: Schema.String,
  node: Schema.String,
  address: Schema.String,
  /** left: it was told to leave, and takes part no more until it is told to join. */
  state: Schema.Literals(["member", "leaving", "left"]),
  /** Of the program, and the versions of the protocol between nodes that it speaks. */
  program: Schema.String,
  protocol: Schema.Struct({ lowest: Schema.Int, highest: Schema.Int }),
  /** How many secrets hold: two while it is changed, 0 where there is none. */
  secrets: Schema.Int,
  /** It sees more than half of the members. */
  majority: Schema.Boolean,
  /** What it does while it does not; "refuse": it takes no new client then. */
  minority: Schema.Literals(["serve", "refuse"]),
  members: Schema.Array(ClusterMember),
  /** Client ids: that this node has, of which it knows where they are, on their way. */
  sessions: Schema.Struct({ held: Schema.Int, known: Schema.Int, moving: Schema.Int }),
  /** Of the retained messages of the cluster: the same on all nodes that agree. */
  retained_digest: Schema.String,
  /** Addresses that it was told to connect to and cannot reach, and why. */
  unreachable: Schema.Array(Schema.Struct({ address: Schema.String, reason: Schema.String }))
})

export const ClusterJoined = Schema.Struct({ node: Schema.String })

export type ClusterMember = typeof ClusterMember.Type
export type ClusterStatus = typeof ClusterStatus.Type
export type ClusterJoined = typeof ClusterJoined.Type

export class ClusterApi extends HttpApiGroup.make("cluster").add(
  HttpApiEndpoint.get("status", "/", { success: ClusterStatus, error: Refused }),
  HttpApiEndpoint.post("join", "/join", {
    payload: Schema.Struct({ address: Schema.String }),
    success: ClusterJoined,
    error: Refused
  }),
  HttpApiEndpoint.post("leave", "/leave", {
    /** Names of members that leave with it, as other workers of its node do: no session goes to them. */
    payload: Schema.Struct({ not_to: Schema.Array(Schema.String) }),
    success: HttpApiSchema.NoContent,
    error: Refused
  }),
  HttpApiEndpoint.delete("remove", "/members/:name", {
    params: { name: Schema.String },
    success: HttpApiSchema.NoContent,
    error: Refused
  })
).prefix("/api/v1/cluster") {}
