// Sessions that follow their clients between the nodes of the cluster: the directory and the take-over as parts of the cluster, and the registry that asks
// them. Loaded with clustering.ts. Invariant: what the store had is held before the first link is up.
import { Directory } from "../cluster/sessions/Directory.ts"
import { HybridClock } from "../cluster/HybridClock.ts"
import { Takeover } from "../cluster/sessions/Takeover.ts"
import type { Services } from "../session/Services.ts"
import type { Sessions } from "../session/Sessions.ts"
import type { Clustering } from "./clustering.ts"

/** After the store was read. */
export const clusterSessions = (
  { cluster, later, links, membership, routes: { forwarder, routes } }: Clustering,
  { journal, scheduler, settings }: Services,
  sessions: Sessions
): Takeover => {
  const { claimTimeoutMillis, takeoverTimeoutMillis } = settings.cluster
  const now = () => scheduler.now
  const takeover = new Takeover(
    {
      // What its sessions have subscribed to, and what it has for a peer, has been sent before what is sent next.
      flushRoutes: () => routes.flush(),
      afterMessages: (peer, run) => forwarder.whenSent(peer, run),
      bus: links,
      members: membership,
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
        onYield,
        judge: (clientId, mark, reply) => sessions.judge(clientId, mark, (may) => void cluster.post(() => reply(may)))
      })
      cluster.add(directory)
      membership.listen(directory)
      return directory
    }
  )
  cluster.add(takeover)
  takeover.begin()
  sessions.remote = takeover
  later.takeover = takeover
  return takeover
}
