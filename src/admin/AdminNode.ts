// What the management API asks of a node; the app gives it (app/adminNode.ts). Reads are plain and at once: an admin's question never
// waits on an actor, and never makes one wait.
import type { Effect } from "effect"
import type { ListenerFailed } from "../listener/transport.ts"
import type { KeptRule, NewRule, NewUser, RuleAdded, UsersPage } from "./accessApi.ts"
import type { ClusterJoined, ClusterStatus } from "./clusterApi.ts"
import type { Ban, BansPage, ClientsPage, Counts, ListenerStatus, NewBan, Reloaded, Status, TreePart } from "./Api.ts"
import type { Refused } from "./faults.ts"

/** Of the users that the node keeps itself. A change is answered when it is on disk. */
export interface AdminUsers {
  /** By name, above `after`. */
  readonly list: (after: string, limit: number) => UsersPage
  readonly add: (user: NewUser) => Effect.Effect<void, Refused>
  /** `kick`: who is connected as this user is sent away. False: there is no such user. */
  readonly setPassword: (name: string, password: string, kick: boolean) => Effect.Effect<boolean, Refused>
  /** False: there is no such user. */
  readonly remove: (name: string, kick: boolean) => Effect.Effect<boolean, Refused>
}

/** Of the rules that the node keeps itself. A change is answered when it is on disk. */
export interface AdminRules {
  readonly list: () => ReadonlyArray<KeptRule>
  readonly add: (rule: NewRule) => Effect.Effect<RuleAdded, Refused>
  /** False: there is no such rule. */
  readonly remove: (number: number) => Effect.Effect<boolean, Refused>
  /** The files of authorization.sources, anew. With a fault the rules from before stay, and it is refused with all of them. */
  readonly reload: Effect.Effect<void, Refused>
}

/** Of a node that is in a cluster. */
export interface AdminCluster {
  readonly status: () => ClusterStatus
  /** Answered when there is a link, or it is known why not. */
  readonly join: (address: string) => Effect.Effect<ClusterJoined, Refused>
  /** `notTo`: members that leave with it. */
  readonly leave: (notTo: ReadonlyArray<string>) => Effect.Effect<void, Refused>
  readonly remove: (name: string) => Effect.Effect<void, Refused>
}

export interface AdminNode {
  readonly status: () => Status
  /** At most `limit` children of each supervisor, which names how many it has left out. */
  readonly tree: (limit: number) => TreePart
  readonly counters: () => Counts
  /** The settings anew, from where they came. */
  readonly reload: Effect.Effect<Reloaded, Refused>
  readonly listeners: () => ReadonlyArray<ListenerStatus>
  /** False: it is as asked already. */
  readonly startListener: (name: string) => Effect.Effect<boolean, ListenerFailed>
  readonly stopListener: (name: string) => Effect.Effect<boolean, ListenerFailed>
  readonly clients: (limit: number) => ClientsPage
  readonly bans: (limit: number) => BansPage
  /** Replaces the one of the same thing. Answered when it is on disk, as is its removal. */
  readonly ban: (ban: NewBan) => Effect.Effect<Ban, Refused>
  /** False: there is no such ban. */
  readonly unban: (kind: Ban["kind"], value: string) => Effect.Effect<boolean, Refused>
  /** Sends the client away; false: no such client is connected. */
  readonly kick: (clientId: string) => boolean
  readonly users: AdminUsers
  readonly rules: AdminRules
  /** Undefined: it is in none. */
  readonly cluster: AdminCluster | undefined
}
