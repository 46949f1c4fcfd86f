// The whole supervision tree on one screen: what is started in which order, what is restarted when it crashes, and how all
// of it is stopped. Invariant: a crash of one part disturbs no connected client of the others.
import { Clock, Data, Deferred, Effect, Exit, type Scope } from "effect"
import { adminSocketPath, type AdminSocketUnusable, claimAdminSocket, serveAdmin } from "../admin/AdminSocket.ts"
import { Bans } from "../access/bans/Bans.ts"
import type { InForce } from "../access/rules/Authorization.ts"
import type { RulesInvalid } from "../access/rules/loadRules.ts"
import type { LinksInvalid } from "../access/authentication/makeLinks.ts"
import { changedForRestart, withLiveTables } from "../config/changedSettings.ts"
import { nodeNameOf } from "../config/nodeAddresses.ts"
import type { Takeover } from "../cluster/sessions/Takeover.ts"
import { isClustered } from "../config/sections/cluster.ts"
import { defaultListener, type ListenerSettings, type Settings } from "../config/Settings.ts"
import { type Listener, refusalsAtATime } from "../listener/Listener.ts"
import { Listeners } from "../listener/Listeners.ts"
import { Overload } from "../listener/Overload.ts"
import type { ListenerFailed } from "../listener/transport.ts"
import { Counters } from "../metrics/Counters.ts"
import { EventLog, type LogFields, type LogSink } from "../metrics/EventLog.ts"
import { Output } from "../mqtt/Output.ts"
import { ReasonCode } from "../mqtt/ReasonCode.ts"
import { TopicTable } from "../mqtt/TopicTable.ts"
import type { ChildSpec, CrashReport, TreeNode } from "../otp/ChildSpec.ts"
import { Scheduler } from "../otp/Scheduler.ts"
import { type IntensityExceeded, Supervisor } from "../otp/Supervisor.ts"
import { TimerWheel } from "../otp/TimerWheel.ts"
import { openFileLimit } from "../platform/openFileLimit.ts"
import { Retainer } from "../retain/Retainer.ts"
import { Router } from "../router/Router.ts"
import { Arena } from "../session/Outlet.ts"
import { publishLimitsOf, type Services, type Timed } from "../session/Services.ts"
import { Sessions } from "../session/Sessions.ts"
import type { OpenEngine, StoreFailure } from "../store/Engine.ts"
import { dropBanned, loadBans } from "./banning.ts"
import { type ReadRules, rulesReader } from "./accessRules.ts"
import type { AdminCluster } from "../admin/AdminNode.ts"
import type { Reloaded } from "../admin/Api.ts"
import { Refused } from "../admin/faults.ts"
import { adminNode } from "./adminNode.ts"
import { type Authenticating, startAuthentication } from "./authenticating.ts"
import { type KeptAccess, keptAccess } from "./keptAccess.ts"
import type { Clustering } from "./ClusteredNode.ts"
import { lastGroups, openStore, startStore } from "./durableStore.ts"
import { logSink } from "./logSink.ts"
import { memoryGuard } from "./memoryGuard.ts"
import { leavingRefusal, prepareLeaving } from "./leaving.ts"
import { recover } from "./recovery.ts"
import { rejudge, rejudging } from "./rejudging.ts"
import { presenceOf, startSystemTopics } from "./systemTopics.ts"

/** One line for the operator, and the code that the process ends with: 69 for an address, 74 for a disk. */
export class BrokerStartFailed extends Data.TaggedError("BrokerStartFailed")<{
  readonly message: string
  readonly exitCode: number
}> {}

export interface BrokerAddress {
  readonly name: string
  readonly type: string
  readonly address: string
  readonly port: number
}

/** Deadlines are kept to this, ms: keep alive, expiries, will delays. */
const tickMillis = 100
const wheelSlots = 4096
/** Files that are not client sockets: listeners, store, log, the runtime's own. */
const filesKeptBack = 64

/** A node of a cluster without a name of its own gets one of its address. */
const named = (given: Settings): Settings => ({ ...given, node: { ...given.node, name: nodeNameOf(given) } })

const critical = { times: 10, withinMillis: 10_000 }
/** Sessions look after their own crashes: one that crashes again and again is ended (Session). */
const many = { times: 100_000, withinMillis: 10_000 }

export class Broker {
  readonly services: Services
  readonly sessions: Sessions
  readonly counters: Counters
  /** Starts, stops and changes listeners by name. */
  readonly doors: Listeners
  readonly overload: Overload
  /** Rules that the node keeps itself. */
  readonly kept: KeptAccess
  readonly cluster: AdminCluster | undefined
  readonly clustering: Clustering | undefined
  private readonly settings: Settings
  /** With what a reload has changed. */
  private current: Settings
  /** Fails when a part has crashed too often: the process cannot go on. Whoever waits for it may be interrupted. */
  readonly run: Effect.Effect<never, IntensityExceeded>
  private readonly root: Supervisor
  private readonly authenticating: Authenticating
  private readonly readRules: ReadRules
  private closing = false
  /** Set by who has started it. */
  reloadSettings: Effect.Effect<Reloaded, Refused> = Effect.fail(new Refused({ message: "it cannot be reloaded" }))

  private constructor(
    services: Services,
    sessions: Sessions,
    root: Supervisor,
    run: Effect.Effect<never, IntensityExceeded>,
    doors: Listeners,
    overload: Overload,
    authenticating: Authenticating,
    kept: KeptAccess,
    readRules: ReadRules,
    clustering: Clustering | undefined
  ) {
    this.clustering = clustering
    this.cluster = clustering?.admin
    this.run = run
    this.services = services
    this.settings = services.settings
    this.current = services.settings
    this.counters = services.counters
    this.sessions = sessions
    this.root = root
    this.doors = doors
    this.overload = overload
    this.authenticating = authenticating
    this.kept = kept
    this.readRules = readRules
  }

  /** Listens when it returns; the end of the scope stops all of it, last first. `openEngine`: for tests, instead of `[store]`. */
  static readonly start = Effect.fn("Broker.start")(function* (
    given: Settings,
    openEngine?: OpenEngine
  ): Effect.fn.Return<Broker, BrokerStartFailed, Scope.Scope> {
    const settings = named(given)
    const adminSocket = adminSocketPath(settings)
    if (adminSocket !== undefined) {
      yield* Effect.mapError(claimAdminSocket(adminSocket, settings.node.dataDir), adminFailed)
    }
    const clock = yield* Clock.Clock
    const now = () => clock.currentTimeMillisUnsafe()
    const sink: LogSink = yield* logSink
    const log = new EventLog(sink, now, settings.log.repeatIntervalMillis, settings.log.level)
    const counters = new Counters()
    const readRules = yield* rulesReader({ log, counters, now })
    const rules: InForce = { authorization: yield* Effect.mapError(readRules(settings), rulesInvalid) }
    const onCrash = (report: CrashReport) => log.error("crashed", crashFields(report))
    const scheduler = new Scheduler({
      clock: now,
      onDefect: (defect) => log.error("defect", { defect: String(defect) })
    })
    yield* Effect.addFinalizer(() => Effect.sync(() => scheduler.close()))
    const wheel = new TimerWheel<Timed>(tickMillis, wheelSlots, now())
    const topics = new TopicTable({ slots: settings.router.topicCache, maximumBytes: 256 })

    const store = yield* Effect.mapError(openStore(settings, scheduler, counters, log, sink, openEngine), storeFailed)
    const { engine, journal, reads } = store
    const kept = yield* Effect.mapError(keptAccess(settings, store, rules, log), storeFailed)
    const parts = { log, counters, now, users: kept.users }
    const authenticating = yield* Effect.mapError(startAuthentication(settings, parts), rulesInvalid)
    const bans = new Bans(settings.bans, { journal, counters, log, now })
    if (engine !== undefined) yield* Effect.mapError(loadBans(engine, bans), storeFailed)
    const root = yield* Supervisor.make({ name: "emqttd", strategy: "one-for-one", intensity: critical, onCrash })
    const sessionSupervisor = yield* Supervisor.make({
      name: "sessions",
      strategy: "one-for-one",
      intensity: many,
      onCrash,
      shutdown: "together"
    })
    const clustered = isClustered(settings.cluster) ? yield* Effect.promise(() => import("./clustering.ts")) : undefined
    const clustering = yield* Effect.mapError(
      clustered?.makeClustering({ settings, scheduler, counters, log, journal, topics }) ?? Effect.undefined,
      asStartFailed
    )
    const retainer = new Retainer({
      scheduler,
      settings: settings.retain,
      wheel,
      journal,
      warnMillis: settings.log.repeatIntervalMillis,
      onLimit: (limit, rejected, message) =>
        log.warning("not retained", {
          limit: limit === "store" ? "store.max_pending" : `retain.${limit}`,
          rejected,
          topic: message.topic,
          client_id: message.publisher
        })
    })
    const router: Router = new Router({
      scheduler,
      strategy: settings.shared.strategy,
      topicCache: settings.router.topicCache,
      mailboxCapacity: settings.router.mailboxCapacity,
      ...(clustering === undefined ? {} : { remote: clustering.routes }),
      onRebuild: ({ subscriptions, failed, defect }) => {
        counters.router_restarts_total++
        log.error("router rebuilt its table", {
          subscriptions,
          failed,
          defect: defect === undefined ? undefined : String(defect)
        })
      },
      subscriptionsOfSessions: () => sessions.subscriptions()
    })
    clustering?.routes.use(router)
    const output = new Output()
    const arena = new Arena(output)
    const services: Services = {
      zone: "",
      settings,
      rules,
      authentication: authenticating.inForce,
      scram: kept.scram,
      bans,
      scheduler,
      wheel,
      arena,
      topics,
      publishLimits: publishLimitsOf(settings),
      router,
      retainer,
      journal,
      reads,
      counters,
      log,
      presence: presenceOf(settings, router, scheduler)
    }
    const sessions: Sessions = new Sessions(services, sessionSupervisor)

    const memoryIsHigh = memoryGuard(settings.node.memoryHighWatermark)
    const overload = new Overload({ settings, counters, log, memoryIsHigh })

    startStore(root, settings, counters, log, store)
    root.startChild({ id: "clock", kind: "worker", restart: "permanent", start: ticking(services, overload) })
    root.startChild({ id: "router", kind: "worker", restart: "permanent", start: router })
    root.startChild({ id: "retainer", kind: "worker", restart: "permanent", start: retainer })
    root.startChild({ id: "registry", kind: "worker", restart: "permanent", start: sessions })
    root.startChild(supervisorChild(sessionSupervisor))

    if (engine !== undefined) yield* Effect.mapError(recover(services, sessions, engine, store.aliveAt), storeFailed)
    startSystemTopics(root, services, sessions, clustering)
    let takeover: Takeover | undefined
    if (clustering !== undefined) {
      const { clusterSessions } = yield* Effect.promise(() => import("./clusterSessions.ts"))
      takeover = clusterSessions(clustering, services, sessions)
      const { startReplicating } = yield* Effect.promise(() => import("./replicating.ts"))
      yield* Effect.mapError(startReplicating(clustering, services, kept, engine), storeFailed)
      yield* Effect.mapError(
        clustered?.startClustering(root, clustering, services, engine) ?? Effect.void,
        asStartFailed
      )
    }
    kept.users.onChange = () => authenticating.inForce.chain.forget()
    kept.change(settings)
    let broker: Broker | undefined
    const closedBecause = () =>
      broker?.closing === true
        ? { reasonCode: ReasonCode.ServerUnavailable, reason: "the server is shutting down" }
        : clustering?.membership.seesMajority === false && settings.cluster.minority === "refuse"
        ? { reasonCode: ReasonCode.ServerUnavailable, reason: "this node sees no majority of its cluster" }
        : clustering === undefined
        ? undefined
        : leavingRefusal(clustering)
    const listeners = yield* Listeners.make({
      services,
      sessions,
      root,
      closedBecause,
      overload,
      onCrash,
      within: (all) => withinFileLimit(all, log)
    })
    if (clustering !== undefined && takeover !== undefined) prepareLeaving(clustering, takeover, listeners, services)
    bans.onBanned = (ban) => dropBanned(listeners, ban)
    yield* Effect.mapError(listeners.startAll, startFailed)
    const failed = yield* Deferred.make<never, IntensityExceeded>()
    yield* Effect.forkScoped(Effect.catch(root.run, (failure) => Deferred.fail(failed, failure)))
    const made = broker = new Broker(
      services,
      sessions,
      root,
      Deferred.await(failed),
      listeners,
      overload,
      authenticating,
      kept,
      readRules,
      clustering
    )
    root.startChild(rejudging(made, () => made.current))
    if (adminSocket !== undefined) yield* startAdmin(root, adminSocket, made)
    return made
  })

  get addresses(): ReadonlyArray<BrokerAddress> {
    return this.doors.list().filter(({ status }) => status === "running")
  }

  get listeners(): ReadonlyArray<Listener> {
    return this.doors.open
  }

  get connections(): number {
    return this.doors.connections
  }

  /** Of the supervisors below the root at most `limit` children each. */
  tree(limit = Infinity): TreeNode {
    return this.root.tree(limit)
  }

  /** Reads the files of rules anew: they hold from the next packet on. With a fault in them the rules from before stay. */
  private replaceRules(settings: Settings): Effect.Effect<void, RulesInvalid> {
    return Effect.map(this.readRules(settings), (authorization) => {
      this.services.rules.authorization = authorization.replacing(this.kept.rules.file)
    })
  }

  /** Reads the files of rules anew, for who is connected too. With a fault in them the rules from before stay. */
  reloadRules(): Effect.Effect<void, RulesInvalid> {
    return Effect.gen({ self: this }, function* () {
      yield* this.replaceRules(this.current)
      yield* rejudge(this, this.current)
      this.services.log.info("access rules read again", {})
    })
  }

  get isClosing(): boolean {
    return this.closing
  }

  /**
   * Takes new settings while it runs: access rules, listeners, zones and what holds for the next client. Nothing is lost by it: what
   * cannot be changed stays and is named in the log.
   */
  reload(given: Settings): Effect.Effect<Reloaded> {
    return Effect.gen({ self: this }, function* () {
      const next = named(given)
      const { log } = this.services
      const faults: Array<string> = []
      const unchanged = (what: string, found: ReadonlyArray<string>) =>
        Effect.sync(() => {
          for (const fault of found) log.error(`${what} not changed`, { fault })
          faults.push(...found.map((fault) => `${what} not changed: ${fault}`))
        })
      yield* Effect.catch(this.replaceRules(next), ({ faults }) => unchanged("access rules", faults))
      this.kept.change(next)
      yield* Effect.catch(this.authenticating.reload(next), ({ faults }) => unchanged("authentication", faults))
      yield* Effect.catch(
        this.clustering?.reload(next.cluster) ?? Effect.void,
        ({ message }) => unchanged("cluster secret and certificates", [message])
      )
      const needRestart = changedForRestart(this.settings, next)
      for (const key of needRestart) log.warning("setting changed: needs a restart", { key })
      this.overload.limit(next.limits)
      this.services.bans.change(next.bans)
      this.current = withLiveTables(this.settings, next)
      const failed = yield* this.doors.apply(this.current)
      yield* rejudge(this, this.current)
      log.info("settings read again", { not_changed: failed.length === 0 ? undefined : failed.join(", ") })
      faults.push(...failed.map((name) => `listener ${name} not changed: the log says why`))
      return { faults, need_restart: needRestart }
    })
  }

  /** No new client; those that are there are sent away, MQTT 5 ones with 0x8B, and given the time to take what they are sent. */
  get shutdown(): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      this.closing = true
      yield* this.doors.stopAccepting
      const drained = this.clustering?.prepareStop() ?? Effect.void
      for (const listener of this.listeners) {
        listener.disconnectAll(ReasonCode.ServerShuttingDown, "the server is shutting down")
      }
      const emptied = Effect.forEach(this.listeners, (listener) => listener.emptied, { discard: true })
      yield* Effect.timeoutOption(emptied, this.settings.node.shutdownTimeoutMillis)
      yield* drained
      yield* lastGroups(this.services)
      yield* this.clustering?.goAway ?? Effect.void
    })
  }
}

/** Deadlines pass: whoever waits for one is woken. */
const ticking = ({ bans, scheduler, wheel }: Services, overload: Overload): Effect.Effect<never> =>
  Effect.suspend(() => {
    let before = scheduler.refresh()
    return Effect.forever(Effect.andThen(
      Effect.sleep(tickMillis),
      Effect.sync(() => {
        const now = scheduler.refresh()
        overload.tick(now, now - before - tickMillis)
        bans.tick(now)
        wheel.advance(now, (timed) => timed.onTimer())
        before = scheduler.refresh()
      })
    ))
  })

/** Open when it returns. A later crash opens it anew. */
const startAdmin = Effect.fnUntraced(function* (root: Supervisor, socketPath: string, broker: Broker) {
  const opened = yield* Deferred.make<void, AdminSocketUnusable>()
  const start = Effect.flatMap(
    Effect.exit(serveAdmin(socketPath, adminNode(broker))),
    (exit) =>
      // The first time it is the start that fails, in one line; later it is a crash, to be tried again.
      Effect.flatMap(Deferred.done(opened, exit), (isFirst) => isFirst || Exit.isSuccess(exit) ? Effect.never : exit)
  )
  root.startChild({ id: "admin", kind: "worker", restart: "permanent", start })
  yield* Effect.mapError(Deferred.await(opened), adminFailed)
})

const supervisorChild = (supervisor: Supervisor): ChildSpec => ({
  id: supervisor.name,
  kind: "supervisor",
  restart: "permanent",
  start: supervisor.run,
  inspect: (limit) => supervisor.tree(limit, limit)
})

const crashFields = ({ supervisor, child, action, restarts, cause }: CrashReport): LogFields => ({
  supervisor,
  child,
  action,
  restarts,
  cause
})

const asStartFailed = ({ exitCode, message }: { readonly exitCode: number; readonly message: string }) =>
  new BrokerStartFailed({ message, exitCode })

const startFailed = ({ exitCode, message }: ListenerFailed): BrokerStartFailed =>
  new BrokerStartFailed({ message, exitCode })

const storeFailed = ({ message }: StoreFailure): BrokerStartFailed => new BrokerStartFailed({ message, exitCode: 74 })

const rulesInvalid = ({ exitCode, message }: RulesInvalid | LinksInvalid): BrokerStartFailed =>
  new BrokerStartFailed({ message, exitCode })

const adminFailed = ({ message }: AdminSocketUnusable): BrokerStartFailed =>
  new BrokerStartFailed({ message, exitCode: 74 })

const hasHandshakes = ({ proxyProtocol, type }: ListenerSettings): boolean =>
  proxyProtocol || type === "tls" || type === "wss"

/** A runtime that has run out of files spins or stops accepting: the listeners together stay below the system's limit. */
const withinFileLimit = (
  listeners: ReadonlyArray<ListenerSettings>,
  log: EventLog
): ReadonlyArray<ListenerSettings> => {
  const enabled = listeners.filter((listener) => listener.enabled).length
  const share = Math.floor((openFileLimit() - filesKeptBack) / Math.max(1, enabled))
  return listeners.map((given) => {
    // Handshakes under way are sockets too, which nobody counts as connections yet.
    const handshakes = hasHandshakes(given) ? Math.max(1, Math.min(given.maxHandshakes, Math.floor(share / 4))) : 0
    const listener = handshakes === 0 ? given : { ...given, maxHandshakes: handshakes }
    const room = Math.max(1, share - refusalsAtATime - handshakes)
    if (!listener.enabled || listener.maxConnections <= room) return listener
    const line = "max_connections lowered to what the open file limit allows"
    const fields = { listener: listener.name, max_connections: room }
    // Only who has asked for more is to be told at once.
    if (listener.maxConnections === defaultListener.maxConnections) log.debug(line, fields)
    else log.warning(line, fields)
    return { ...listener, maxConnections: room }
  })
}
