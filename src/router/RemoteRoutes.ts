// The subscribers of other nodes, as the router sees them. Declared here, implemented by the cluster (floor 3); a node without one has
// `noRemoteRoutes`. Invariant: what `added` and `removed` (or `replaced`) have said adds up to the filters that this node has.
import type { Message } from "../mqtt/Message.ts"

export interface RemoteRoutes {
  /** Hands the message to each peer that has a matching filter; returns how many. Never blocks, never throws. */
  publish(message: Message): number
  /** The first subscription of this node with this filter; shared ones count, "$local/" ones do not. */
  added(filter: string): void
  /** The last subscription of this node with this filter has gone. */
  removed(filter: string): void
  /** The router was rebuilt: these are all the filters there are. */
  replaced(filters: Iterable<string>): void
}

export const noRemoteRoutes: RemoteRoutes = {
  publish: () => 0,
  added: () => {},
  removed: () => {},
  replaced: () => {}
}
