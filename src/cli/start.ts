// `emqttd` without a subcommand: from settings to a running broker, and from a signal back to nothing.
// Loaded only when a broker is to be started, so that `--help` and `check` do not pay for it.
// Invariant: a signal always ends the process: in order within node.shutdown_timeout, at once on a second interrupt.
import { Effect, Queue, type Scope, Semaphore } from "effect"
import type { Reloaded } from "../admin/Api.ts"
import type { Refused } from "../admin/faults.ts"
import { serviceEnvironment } from "../config/environment.ts"
import type { LoadedSettings, SettingsInvalid } from "../config/loadSettings.ts"
import { hasSecret, nodeNameOf } from "../config/nodeAddresses.ts"
import { isClustered } from "../config/sections/cluster.ts"
import type { AnonymousAccess, Settings } from "../config/Settings.ts"
import { hostPort } from "../platform/Tcp.ts"
import { onSignals } from "../platform/Signals.ts"
import { prepareDataDirectory } from "./dataDirectory.ts"
import { ExitCode, exitWith } from "./Exit.ts"
import { layerLogging } from "./logging.ts"
import { type Systemd, systemd } from "./systemd.ts"
import { warnOfLeftBehind } from "./workers/leftBehind.ts"
import { endWithParent, tellParent } from "./workers/WorkerProcess.ts"

/** What is listened on, and how to stop. */
export interface RunningBroker {
  readonly addresses: ReadonlyArray<{
    readonly name: string
    readonly type: string
    readonly address: string
    readonly port: number
  }>
  /** Takes what can be changed while it runs, and logs the rest. */
  readonly reload: (settings: Settings) => Effect.Effect<Reloaded>
  /** What the administrator's question for a reload does; to be set. */
  reloadSettings: Effect.Effect<Reloaded, Refused>
  /** Tells the clients, flushes; the scope's end frees the rest. */
  readonly shutdown: Effect.Effect<void>
  /** Fails when a part has crashed too often. */
  readonly run: Effect.Effect<never, unknown>
}

/** One clear line, and the code to leave with. */
export interface BrokerFailure {
  readonly message: string
  readonly exitCode: number
}

export type StartBroker = (settings: Settings) => Effect.Effect<RunningBroker, BrokerFailure, Scope.Scope>

const anonymousClients: { readonly [Access in AnonymousAccess]: string } = {
  loopback: "from loopback only",
  anywhere: "from anywhere",
  nowhere: "refused"
}

/** `again` reads the settings anew, from where they came. */
export const start = <R>(
  startBroker: StartBroker,
  { file, settings }: LoadedSettings,
  again: Effect.Effect<LoadedSettings, SettingsInvalid, R>,
  version: string
) =>
  Effect.gen(function* () {
    yield* leaveOnSecondInterrupt(settings.node.shutdownTimeoutMillis)
    const hangUps = yield* hangUpSignals
    if (settings.node.worker > 0) endWithParent()
    const directory = yield* prepareDataDirectory(settings.node.dataDir).pipe(
      Effect.catch((error) => exitWith(ExitCode.InputOutput, [`emqttd: ${error.message}`]))
    )
    if (settings.node.worker === 0) yield* warnOfLeftBehind(directory, 1)
    const broker = yield* startBroker(settings).pipe(
      Effect.catch((error) => exitWith(error.exitCode, [`emqttd: ${error.message}`]))
    )
    yield* Effect.logInfo(`settings: ${file ?? "defaults, no file"}`)
    yield* Effect.logInfo(`data: ${directory}`)
    const { links } = settings.authentication
    if (links.join() !== "anonymous") {
      yield* Effect.logInfo(`authentication: ${links.join(", ")} (authentication.links)`)
    }
    yield* Effect.logInfo(
      links.includes("anonymous")
        ? `anonymous clients: ${anonymousClients[settings.access.anonymous]} (access.anonymous)`
        : "anonymous clients: refused (authentication.links)"
    )
    for (const { address, name, port, type } of broker.addresses) {
      const isWebSocket = type === "ws" || type === "wss"
      const path = isWebSocket ? settings.listeners.find((listener) => listener.name === name)?.path ?? "" : ""
      yield* Effect.logInfo(
        `listening: ${
          address.startsWith("unix:") ? `${type} ${address}` : `${type}://${hostPort(address, port)}${path}`
        } (listeners.${name})`
      )
    }
    if (hasSecret(settings.cluster) && !isClustered(settings.cluster)) {
      yield* Effect.logWarning(
        "cluster: there is a secret and no cluster: that takes cluster.peers, listen or discovery"
      )
    }
    if (broker.addresses.length === 0) yield* Effect.logWarning("listening nowhere: no listener is enabled")
    const isWorker = settings.node.worker > 0
    const manager = yield* systemd(isWorker ? withoutManager : serviceEnvironment())
    const reload = Effect.provideContext(reloading(broker, manager, again), yield* Effect.context<R>())
    broker.reloadSettings = reload
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(Queue.take(hangUps), reload)))
    yield* manager.ready(`${nodeNameOf(settings)} listens`)
    yield* Effect.logInfo(`emqttd ${version} is ready`, {
      node: nodeNameOf(settings),
      milliseconds: Math.round(performance.now())
    })
    if (isWorker) tellParent()
    return yield* broker.run.pipe(
      Effect.catchCause((cause) =>
        Effect.andThen(Effect.logFatal("cannot go on", cause), exitWith(ExitCode.Crash, []))
      ),
      Effect.onInterrupt(() => stop(broker, manager, settings.node.shutdownTimeoutMillis))
    )
  }).pipe(
    Effect.annotateLogs(settings.node.worker > 0 ? { worker: settings.node.worker } : {}),
    Effect.scoped,
    Effect.provide(layerLogging(settings.log))
  )

/** A worker's parent is the service. */
const withoutManager = { notifySocket: undefined, watchdogMillis: undefined }

/** SIGHUP, from here on: one that comes while the broker starts must not end it, and is answered when it has. */
const hangUpSignals = Effect.gen(function* () {
  const hangUps = yield* Queue.sliding<true>(1)
  yield* Effect.acquireRelease(
    Effect.sync(() => onSignals(["SIGHUP"], () => void Queue.offerUnsafe(hangUps, true))),
    (stopListening) => Effect.sync(stopListening)
  )
  return hangUps
})

/** One after the other. Of signals that come during one a single one more follows. */
const reloading = <R>(
  broker: RunningBroker,
  manager: Systemd,
  again: Effect.Effect<LoadedSettings, SettingsInvalid, R>
): Effect.Effect<Reloaded, never, R> => {
  const oneAtATime = Semaphore.makeUnsafe(1)
  const read = Effect.catch(
    Effect.flatMap(again, ({ settings }) => broker.reload(settings)),
    ({ faults }) => {
      const lines = faults.map((fault) => `settings not changed: ${fault}`)
      return Effect.as(Effect.forEach(lines, (line) => Effect.logError(line)), { faults: lines, need_restart: [] })
    }
  )
  return oneAtATime.withPermits(1)(
    manager.reloading.pipe(Effect.andThen(read), Effect.tap(manager.ready("settings read again")))
  )
}

const stop = Effect.fnUntraced(function* (broker: RunningBroker, manager: Systemd, timeoutMillis: number) {
  yield* manager.stopping
  yield* Effect.logInfo("stopping: clients are told, state is flushed")
  const done = yield* Effect.interruptible(broker.shutdown).pipe(Effect.timeoutOption(timeoutMillis))
  if (done._tag === "None") yield* Effect.logWarning("not all was done within node.shutdown_timeout")
  else yield* Effect.logInfo("stopped")
})

/** runMain interrupts the main fiber at the first signal; what comes later, or never ends, is dealt with here. */
const leaveOnSecondInterrupt = (timeoutMillis: number) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      let signals = 0
      return onSignals(["SIGINT", "SIGTERM"], (signal) => {
        signals++
        if (signals > 1 && signal === "SIGINT") process.exit(ExitCode.Interrupted)
        if (signals > 1) return
        // A finalizer that never ends must not keep the process: it gets a second more than the clients.
        setTimeout(() => {
          console.error("emqttd: not stopped within node.shutdown_timeout, leaving all the same")
          process.exit(ExitCode.Crash)
        }, timeoutMillis + 1000).unref()
      })
    }),
    (stopListening) => Effect.sync(stopListening)
  )
