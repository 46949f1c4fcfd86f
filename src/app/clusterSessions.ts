// Sessions that follow their clients between the nodes of the cluster: the directory and the take-over as parts of the cluster, and the registry that asks
// them. Loaded with clustering.ts. Invariant: what the store had is held before the first link is up.
import { Directory } from "../cluster/sessions/Directory.ts"
import { HybridClock } from "../cluster/HybridClock.ts"
import { Takeover } from "../cluster/sessions/Takeover.ts"
import type { Services } from "../session/Services.ts"
import type { Sessions } from "../session/Sessions.ts"
import type { Clustering } from "./clustering.ts"
import { prepareStopping } from "./leaving.ts"

/** After the store was read. */
export const clusterSessions = (
  clustering: Clustering,
  services: Services,
  sessions: Sessions
): Takeover => {
  const { cluster, later, links, membership, routes } = clustering
  const { journal, scheduler, settings } = services
  const { claimTimeoutMillis, discovery, peers, takeoverTimeoutMillis } = settings.cluster
  const now = () => scheduler.now
  const takeover = new Takeover(
    {
      // What its sessions have subscribed to, and what it has for a peer, has been sent before what is sent next.
      flushRoutes: () => {
        routes.routes.flush()
        return routes.routes.ownVersion
      },
      knowsRoutes: (peer, version) => routes.routes.hasReached(peer, version),
      gaps: routes.gaps,
      afterMessages: (peer, run) => routes.forwarder.whenSent(peer, run),
      bus: links,
      members: membership,
      sessions,
      journal,
      now,
      moveMillis: takeoverTimeoutMillis,
      post: (task) => cluster.post(task),
      isFull: () => sessions.size >= settings.session.maxSessions
    },
    (onYield) => {
      const directory = new Directory({
        bus: links,
        members: membership,
        clock: new HybridClock(now),
        now,
        claimMillis: claimTimeoutMillis,
        moveMillis: takeoverTimeoutMillis,
        expectsPeers: () => peers.length > 0 || discovery !== "" || routes.expectsPeers,
        onYield,
        post: (task) => cluster.post(task),
        counts: services.counters,
        judge: (clientId, mark, reply) => sessions.judge(clientId, mark, (may) => takeover.post(() => reply(may)))
      })
      cluster.add(directory)
      membership.listen(directory)
      return directory
    }
  )
  cluster.add(takeover)
  takeover.begin()
  prepareStopping(clustering, takeover, sessions, services)
  sessions.remote = takeover
  later.takeover = takeover
  return takeover
}
