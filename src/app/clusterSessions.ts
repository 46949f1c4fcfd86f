// Sessions that follow their clients between the nodes of the cluster: the directory and the take-over as parts of the cluster, and the registry that asks
// them. Loaded with clustering.ts. Invariant: what the store had is held before the first link is up.
import { Directory } from "../cluster/Directory.ts"
import { HybridClock } from "../cluster/HybridClock.ts"
import { Takeover } from "../cluster/Takeover.ts"
import type { Services } from "../session/Services.ts"
import type { Sessions } from "../session/Sessions.ts"
import type { Clustering } from "./clustering.ts"

export interface BeforeFence {
  /** What this node's sessions have subscribed to has been sent to all peers when it returns. */
  readonly flushRoutes: () => void
  /** What this node owes this peer has been sent before what is sent next. */
  readonly flushMessages: (peer: string) => void
}

/** After the store was read. */
export const clusterSessions = (
  { cluster, links, membership }: Clustering,
  { journal, scheduler, settings }: Services,
  sessions: Sessions,
  before: BeforeFence
): Takeover => {
  const { claimTimeoutMillis, takeoverTimeoutMillis } = settings.cluster
  const now = () => scheduler.now
  const takeover = new Takeover(
    {
      ...before,
      bus: links,
      sessions,
      journal,
      now,
      moveMillis: takeoverTimeoutMillis,
      post: (task) => cluster.post(task)
    },
    (onYield) => {
      const directory = new Directory({
        bus: links,
        members: membership,
        clock: new HybridClock(now),
        now,
        claimMillis: claimTimeoutMillis,
        moveMillis: takeoverTimeoutMillis,
        onYield
      })
      cluster.add(directory)
      membership.listen(directory)
      return directory
    }
  )
  cluster.add(takeover)
  takeover.begin()
  sessions.remote = takeover
  return takeover
}
