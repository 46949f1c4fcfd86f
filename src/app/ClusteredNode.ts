// What the broker and its administrator see of the cluster that this node is in. Made by clustering.ts, only where there is one.
import type { Effect } from "effect"
import type { AdminCluster } from "../admin/AdminNode.ts"
import type { Cluster } from "../cluster/Cluster.ts"
import type { Introductions } from "../cluster/Introductions.ts"
import type { ClusterRoutes } from "../cluster/routes/ClusterRoutes.ts"
import type { ClusterFailed, ClusterTransport } from "./clusterFiles.ts"
import type { Target } from "../cluster/links/Dialer.ts"
import type { Links } from "../cluster/links/Links.ts"
import type { RetainedReplica } from "../cluster/replicas/RetainedReplica.ts"
import type { Takeover } from "../cluster/sessions/Takeover.ts"
import type { Membership } from "../cluster/membership/Membership.ts"
import type { ClusterSettings, NodeAddress } from "../config/sections/cluster.ts"

export interface Clustering {
  readonly cluster: Cluster
  readonly links: Links
  readonly membership: Membership
  readonly transport: ClusterTransport
  /** What the router asks for peers. */
  readonly routes: ClusterRoutes
  /** What the others say of themselves. */
  readonly introductions: Introductions
  /** left: it takes part no more until `join`. */
  readonly state: "member" | "leaving" | "left"
  /** What is handed over to the others before this node leaves, in this order. */
  readonly handOver: Array<(notTo: ReadonlyArray<string>) => Effect.Effect<void>>
  /** In the cluster's turn. */
  readonly join: (address: NodeAddress) => Target
  /** `notTo`: members that leave with it and are given nothing. */
  readonly leave: (notTo: ReadonlyArray<string>) => Effect.Effect<void>
  /** Before its clients are sent away, because it stops. What it returns is done when their sessions have followed them, or have had the time. */
  prepareStop: () => Effect.Effect<void>
  /** This node stops: the others need not wait for its death. */
  readonly goAway: Effect.Effect<void>
  /** The secret and the certificates, anew. With a fault in one of the files all stays as it is. */
  readonly reload: (next: ClusterSettings) => Effect.Effect<void, ClusterFailed>
  readonly admin: AdminCluster
  /** Set once the store was read. */
  readonly later: { takeover?: Takeover; retained?: RetainedReplica }
}
