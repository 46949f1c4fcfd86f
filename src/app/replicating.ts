// What is the same on every node of the cluster, as parts of the broker: retained messages, users, rules and bans. Loaded with clustering.ts. Invariant: what the
// store has of their stamps is there before the first link is up; what was here without one is older than whatever another node has.
import { Effect } from "effect"
import { banRecords } from "../access/bans/Bans.ts"
import { ruleKind } from "../access/rules/RuleDatabase.ts"
import { scramKind } from "../access/scram/Scram.ts"
import { userKind } from "../access/users/User.ts"
import { HybridClock } from "../cluster/HybridClock.ts"
import { RecordReplica, recordStampKind } from "../cluster/replicas/RecordReplica.ts"
import type { Replica } from "../cluster/replicas/Replica.ts"
import { RetainedReplica, retainedStampKind } from "../cluster/replicas/RetainedReplica.ts"
import type { Services } from "../session/Services.ts"
import { eachRecord } from "../store/eachRecord.ts"
import type { Engine, StoreFailure } from "../store/Engine.ts"
import type { Clustering } from "./clustering.ts"
import type { KeptAccess } from "./keptAccess.ts"

const digestMillis = 10_000

/** After the store was read. */
export const startReplicating = Effect.fnUntraced(function* (
  { cluster, later, links }: Clustering,
  { bans, journal, log, retainer, scheduler, settings, topics }: Services,
  { rules, scram, users }: KeptAccess,
  engine: Engine | undefined
): Effect.fn.Return<void, StoreFailure> {
  const now = () => scheduler.now
  const shared = {
    bus: links,
    journal,
    clock: new HybridClock(now),
    now,
    digestMillis,
    rememberMillis: settings.cluster.forgetAfterMillis
  }
  const retained: RetainedReplica = new RetainedReplica({
    ...shared,
    retainer,
    topics,
    wake: () => cluster.post(() => retained.flush())
  })
  const records: RecordReplica = new RecordReplica({
    ...shared,
    kept: new Map([
      [userKind, (key, value) => users.take(key, value)],
      [scramKind, (_, value) => scram.take(value)],
      [ruleKind, (key, value) => rules.take(key, value)],
      [banRecords, (key, value) => bans.take(key, value)]
    ]),
    wake: () => cluster.post(() => records.flush())
  })
  if (engine !== undefined) {
    const damaged = (yield* restore(engine, retained, retainedStampKind)) +
      (yield* restore(engine, records, recordStampKind))
    if (damaged > 0) log.error("cluster: stamps of replicated things that cannot be read", { records: damaged })
    for (const kind of [userKind, scramKind, ruleKind, banRecords]) {
      yield* eachRecord(engine, kind, ({ key, value }) => records.has(kind, key, value))
    }
  }
  for (const topic of retainer.topics()) retained.adopt(topic)
  cluster.add(retained, records)
  retainer.replicas = retained
  later.retained = retained
  journal.onRecord = (kind, key, value) => records.recorded(kind, key, value)
})

/** Returns how many cannot be read. */
const restore = Effect.fnUntraced(function* (
  engine: Engine,
  replica: Pick<Replica<unknown>, "restore">,
  kind: string
) {
  let damaged = 0
  yield* eachRecord(engine, kind, ({ key, value }) => {
    if (!replica.restore(key, value)) damaged++
  })
  return damaged
})
