// Routes and messages between nodes, as a part of the broker: made with the cluster, given the router before the first subscription, and
// what the store has of it before the first link.
import { Effect } from "effect"
import type { Cluster } from "../cluster/Cluster.ts"
import { ClusterRoutes, peerKind } from "../cluster/routes/ClusterRoutes.ts"
import { filledKind, gapKind } from "../cluster/forward/gapFrames.ts"
import { outboxKind, positionKind } from "../cluster/forward/outboxRecords.ts"
import type { Links } from "../cluster/links/Links.ts"
import type { Membership } from "../cluster/membership/Membership.ts"
import type { Services } from "../session/Services.ts"
import { eachRecord } from "../store/eachRecord.ts"
import type { Engine, StoreFailure } from "../store/Engine.ts"

export type ForwardingNeeds = Pick<Services, "settings" | "scheduler" | "counters" | "log" | "journal" | "topics">

/** Around a message in its frame: others before it, its publisher, names of groups. */
const aroundMessageBytes = 200 * 1024

export const makeForwarding = (
  { counters, journal, log, scheduler, settings, topics }: ForwardingNeeds,
  cluster: Cluster,
  links: Links,
  membership: Membership
): ClusterRoutes => {
  const { forwardTimeoutMillis, maxFrameBytes, outboxBytes, outboxMessages, outboxWhenFull } = settings.cluster
  const routes = new ClusterRoutes({
    bus: links,
    members: membership,
    strategy: settings.shared.strategy,
    topicCache: settings.router.topicCache,
    post: (task) => void cluster.post(task),
    forgetAfterMillis: settings.cluster.forgetAfterMillis,
    journal,
    topics,
    now: () => scheduler.now,
    limits: {
      forwardTimeoutMillis,
      outboxMessages,
      outboxBytes,
      outboxWhenFull,
      mostMessageBytes: maxFrameBytes - aroundMessageBytes
    },
    counts: counters,
    onDefect: ({ publisher, topic }, defect) => {
      counters.forward_failed_total++
      log.error("cluster: a message of another node failed", { topic, client_id: publisher, defect: String(defect) })
    },
    onFull: (node, full) => {
      if (!full) return log.info("cluster: outbox for a node has room again", { node })
      log.warning("cluster: outbox for a node is full, messages are dropped", {
        node,
        limit: "cluster.outbox_messages, cluster.outbox_size",
        policy: outboxWhenFull
      })
    },
    onDropped: (node, messages) => log.warning("cluster: messages for a node that is gone given up", { node, messages })
  })
  membership.listen(routes.routes)
  membership.listen(routes.forwarder)
  membership.listen(routes.filler)
  membership.listen(routes.gaps)
  cluster.add(routes, routes.routes, routes.forwarder, routes.filler, routes.gaps)
  return routes
}

/** What peers are owed from before the start, and how far their streams had come here. */
export const restoreForwarding = Effect.fnUntraced(function* (
  engine: Engine,
  routes: ClusterRoutes,
  log: ForwardingNeeds["log"]
): Effect.fn.Return<void, StoreFailure> {
  const { forwarder } = routes
  let damaged = 0
  yield* eachRecord(engine, outboxKind, (row) => {
    damaged += forwarder.restoreOutbox([row])
  })
  yield* eachRecord(engine, positionKind, ({ key, value }) => {
    if (!forwarder.restorePosition(key, value)) damaged++
  })
  yield* eachRecord(engine, gapKind, ({ key, value }) => {
    if (!routes.gaps.restore(key, value)) damaged++
  })
  yield* eachRecord(engine, filledKind, ({ key }) => routes.filler.restore(key))
  yield* eachRecord(engine, peerKind, ({ key }) => routes.expect(key))
  if (damaged > 0) log.error("cluster: records of the store that cannot be read", { records: damaged })
})
