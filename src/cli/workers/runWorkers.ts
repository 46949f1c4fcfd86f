// `emqttd --workers N`: the parent of N processes behind the same ports, which are members of one cluster. It starts them, starts those again that have ended,
// passes signals on, and ends when they have. It holds no client and no state. Invariant: a worker that cannot start at the beginning ends
// the node with its exit code; one that ends later costs its own clients alone.
import { Deferred, Effect, Queue } from "effect"
import * as fs from "node:fs"
import { serviceEnvironment } from "../../config/environment.ts"
import type { LoadedSettings } from "../../config/loadSettings.ts"
import { workersFault, workersFile } from "../../config/workerSettings.ts"
import { onSignals } from "../../platform/Signals.ts"
import { prepareDataDirectory } from "../dataDirectory.ts"
import { ExitCode, exitWith } from "../Exit.ts"
import { layerLogging } from "../logging.ts"
import { systemd } from "../systemd.ts"
import { warnOfLeftBehind } from "./leftBehind.ts"
import { Restarts } from "./Restarts.ts"
import { WorkerProcess } from "./WorkerProcess.ts"

/** Workers get so much longer than node.shutdown_timeout before they are ended. */
const graceMillis = 2_000

interface Ending {
  readonly worker: number
  readonly code: number | undefined
  readonly signal: string | undefined
}

export const runWorkers = ({ settings }: LoadedSettings, args: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const { dataDir, shutdownTimeoutMillis, workers } = settings.node
    const fault = workersFault(settings)
    if (fault !== undefined) return yield* exitWith(ExitCode.Configuration, [`emqttd: ${fault}`])
    yield* prepareDataDirectory(dataDir).pipe(
      Effect.catch((error) => exitWith(ExitCode.InputOutput, [`emqttd: ${error.message}`]))
    )
    yield* warnOfLeftBehind(dataDir, workers)
    const manager = yield* systemd(serviceEnvironment())
    const pool = new Map<number, WorkerProcess>()
    const endings = yield* Queue.unbounded<Ending>()
    const allReady = yield* Deferred.make<void>()
    const restarts = new Restarts()
    let isStopping = false

    const start = (worker: number) => {
      restarts.started(worker, performance.now())
      const one = new WorkerProcess(worker, args, {
        ready: () => {
          const all = [...pool.values()]
          if (all.length === workers && all.every(({ isReady }) => isReady)) Deferred.doneUnsafe(allReady, Effect.void)
        },
        ended: (how) => {
          if (pool.get(worker) === one) pool.delete(worker)
          Queue.offerUnsafe(endings, { worker, ...how })
        }
      })
      pool.set(worker, one)
    }

    /** Fails when none of them can be kept alive. */
    const onEnding = Effect.fnUntraced(function* ({ code, signal, worker }: Ending) {
      const now = performance.now()
      const { pauseMillis, times } = restarts.ended(worker, now)
      const fields = {
        worker,
        ...(code === undefined ? {} : { code }),
        ...(signal === undefined ? {} : { signal }),
        ...(times === 1 ? {} : { times_in_a_row: times })
      }
      if (restarts.isPointless(now)) {
        yield* Effect.logFatal("worker ended, and none of them stays: the node ends", fields)
        yield* stop
        return yield* exitWith(code === undefined || code === 0 ? ExitCode.Crash : code, [])
      }
      yield* Effect.logError("worker ended, it is started again", { ...fields, in_milliseconds: pauseMillis })
      const startAgain = Effect.sync(() => {
        if (!isStopping) start(worker)
      })
      yield* Effect.forkScoped(Effect.andThen(Effect.sleep(pauseMillis), startAgain))
    })

    /** Every one is told, and waited for. */
    const stop = Effect.gen(function* () {
      isStopping = true
      yield* manager.stopping
      for (const one of pool.values()) one.signal("SIGTERM")
      const gone = Effect.gen(function* () {
        while (pool.size > 0) yield* Queue.take(endings)
      })
      const done = yield* Effect.interruptible(gone).pipe(Effect.timeoutOption(shutdownTimeoutMillis + graceMillis))
      if (done._tag === "None") {
        const late = [...pool.keys()].join(", ")
        yield* Effect.logWarning("workers have not stopped within node.shutdown_timeout, they are killed", {
          workers: late
        })
        for (const one of pool.values()) one.signal("SIGKILL")
      }
      fs.rmSync(workersFile(dataDir), { force: true })
    })

    yield* Effect.acquireRelease(
      Effect.sync(() => onSignals(["SIGHUP"], () => pool.forEach((one) => one.hangUp()))),
      (stopListening) => Effect.sync(stopListening)
    )
    return yield* Effect.gen(function* () {
      fs.writeFileSync(workersFile(dataDir), `${workers}\n`)
      for (let worker = 1; worker <= workers; worker++) start(worker)
      const failed = yield* Effect.raceFirst(
        Effect.as(Deferred.await(allReady), undefined),
        Queue.take(endings)
      )
      if (failed !== undefined) {
        yield* stop
        return yield* exitWith(failed.code ?? ExitCode.Crash, [])
      }
      yield* manager.ready(`${workers} workers listen`)
      yield* Effect.logInfo("all workers are ready", { workers, milliseconds: Math.round(performance.now()) })
      return yield* Effect.forever(Effect.flatMap(Queue.take(endings), onEnding))
    }).pipe(Effect.onInterrupt(() => stop))
  }).pipe(Effect.scoped, Effect.provide(layerLogging(settings.log)))
