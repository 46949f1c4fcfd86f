// The store as a part of the broker: the engine that the settings ask for, the journal in front of it, and the fibers between the two.
// Invariant: where nothing is to survive, no engine is opened, nothing is recorded and nobody waits.
import { Effect, type Scope } from "effect"
import type { Settings } from "../config/Settings.ts"
import type { Counters } from "../metrics/Counters.ts"
import type { EventLog, LogSink } from "../metrics/EventLog.ts"
import type { Scheduler } from "../otp/Scheduler.ts"
import type { Supervisor } from "../otp/Supervisor.ts"
import type { Services } from "../session/Services.ts"
import type { Engine, OpenEngine, StoreFailure } from "../store/Engine.ts"
import { aliveAt, markingAlive } from "../store/aliveMark.ts"
import { describePart, type Part } from "../store/groupParts.ts"
import { Journal } from "../store/Journal.ts"
import { openEngine } from "../store/openEngine.ts"
import { reading, StoreReads } from "../store/StoreReads.ts"
import { writing } from "../store/StoreWriter.ts"

export interface DurableStore {
  /** Undefined: nothing survives. */
  readonly engine: Engine | undefined
  readonly journal: Journal
  readonly reads: StoreReads
  /** When the broker lived at the latest although its store took nothing, ms; 0: nothing is known. */
  readonly aliveAt: number
}

/** How long the last groups may take at a shutdown. */
const lastGroupsMillis = 5_000
const upkeepMillis = 10_000
/** Between two steps of upkeep: others want the store too. */
const upkeepPauseMillis = 50

export const openStore = (
  settings: Settings,
  scheduler: Scheduler,
  counters: Counters,
  log: EventLog,
  sink: LogSink,
  given: OpenEngine | undefined
): Effect.Effect<DurableStore, StoreFailure, Scope.Scope> =>
  Effect.gen(function* () {
    const { durability, engine: kind } = settings.store
    const reads = new StoreReads()
    if (given === undefined && (durability === "memory" || kind === "memory")) {
      return { engine: undefined, journal: new Journal({ scheduler, counters, enabled: false }), reads, aliveAt: 0 }
    }
    const engine = yield* given ?? openEngine(settings.store, settings.node.dataDir, sink)
    const { message, session } = engine.highest
    const onAlarm = (failure: StoreFailure | undefined) => {
      if (failure === undefined) return log.warning("store: takes changes again", { store: engine.description })
      log.error("store: takes no changes, tried again every store.retry_interval", {
        store: engine.description,
        kind: failure.kind,
        reason: failure.message
      })
    }
    const onUnstorable = (topic: string, defect: unknown) => {
      counters.store_changes_set_aside_total++
      log.error("store: a message makes no row: it is not stored", { topic, defect: String(defect) })
    }
    const { maxPendingBytes } = settings.store
    const journal = new Journal({
      scheduler,
      counters,
      enabled: true,
      maxPendingBytes,
      session,
      message,
      onAlarm,
      onUnstorable
    })
    return { engine, journal, reads, aliveAt: yield* aliveAt(settings.node.dataDir) }
  })

/** The first children of the tree, so the last to end. */
export const startStore = (
  root: Supervisor,
  settings: Settings,
  counters: Counters,
  log: EventLog,
  store: DurableStore
): void => {
  const { engine, journal, reads } = store
  if (engine === undefined) return
  const { retryIntervalMillis } = settings.store
  const onFailure = (failure: StoreFailure) =>
    log.warning("store: cannot be read", { store: engine.description, kind: failure.kind, reason: failure.message })
  const onSetAside = (session: number, sequence: number, failure: StoreFailure) => {
    counters.store_deliveries_unreadable_total++
    log.error("store: a message cannot be read: it stays there, and its session goes on without it", {
      store: engine.description,
      session,
      sequence,
      reason: failure.message
    })
  }
  const onPartSetAside = (part: Part, failure: StoreFailure) => {
    counters.store_changes_set_aside_total++
    log.error("store: fails on one part of a group again and again: it is not stored", {
      store: engine.description,
      reason: failure.message,
      ...describePart(part)
    })
  }
  const ticking = Effect.forever(Effect.andThen(Effect.sleep(100), Effect.sync(() => journal.tick())))
  const children = {
    "store": writing(journal, engine, { retryMillis: retryIntervalMillis, onSetAside: onPartSetAside }),
    "store reader": reading(reads, engine, { retryMillis: retryIntervalMillis, onFailure, onSetAside }),
    "store clock": Effect.raceFirst(ticking, markingAlive(settings.node.dataDir, journal)),
    "store upkeep": upkeep(engine, onFailure)
  }
  for (const [id, start] of Object.entries(children)) {
    root.startChild({ id, kind: "worker", restart: "permanent", start })
  }
}

const upkeep = (engine: Engine, onFailure: (failure: StoreFailure) => void): Effect.Effect<never> => {
  const step = Effect.matchEffect(engine.tidy, {
    onSuccess: (more) => Effect.succeed(more ? upkeepPauseMillis : upkeepMillis),
    onFailure: (failure) => Effect.as(Effect.sync(() => onFailure(failure)), upkeepMillis)
  })
  return Effect.forever(Effect.flatMap(step, (millis) => Effect.sleep(millis)))
}

/** At a shutdown: what the sessions have said last is committed, if the store takes it. */
export const lastGroups = ({ journal, scheduler }: Services): Effect.Effect<unknown> =>
  Effect.whileLoop({ while: () => scheduler.busy, body: () => Effect.sleep(0), step: () => {} }).pipe(
    Effect.andThen(Effect.callback<void>((resume) => journal.whenIdle(() => resume(Effect.void)))),
    Effect.timeoutOption(lastGroupsMillis)
  )
