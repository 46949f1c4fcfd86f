// Retained messages on every node of the cluster, as a part of the broker. Loaded with clustering.ts. Invariant: what the store has of the stamps is there
// before the first link is up; what was retained without one is older than whatever another node has.
import { Effect } from "effect"
import { HybridClock } from "../cluster/HybridClock.ts"
import { RetainedReplica, retainedStampKind } from "../cluster/RetainedReplica.ts"
import type { Services } from "../session/Services.ts"
import type { Engine, StoreFailure } from "../store/Engine.ts"
import type { Clustering } from "./clustering.ts"

const rowsPerPage = 1_000
const digestMillis = 10_000

/** After the store was read. */
export const startReplicating = Effect.fnUntraced(function* (
  { cluster, links }: Clustering,
  { journal, log, retainer, scheduler, settings, topics }: Services,
  engine: Engine | undefined
): Effect.fn.Return<RetainedReplica, StoreFailure> {
  const now = () => scheduler.now
  const replica: RetainedReplica = new RetainedReplica({
    bus: links,
    retainer,
    journal,
    topics,
    clock: new HybridClock(now),
    now,
    digestMillis,
    rememberMillis: settings.cluster.forgetAfterMillis,
    wake: () => cluster.post(() => replica.flush())
  })
  let damaged = 0
  for (let after = ""; engine !== undefined;) {
    const rows = yield* engine.readRecords(retainedStampKind, after, rowsPerPage)
    for (const { key, value } of rows) {
      after = key
      if (!replica.restore(key, value)) damaged++
    }
    if (rows.length < rowsPerPage) break
  }
  if (damaged > 0) log.error("cluster: stamps of retained messages that cannot be read", { records: damaged })
  for (const topic of retainer.topics()) replica.adopt(topic)
  cluster.add(replica)
  retainer.replicas = replica
  return replica
})
