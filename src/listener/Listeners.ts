// All listeners of the node by name: started, stopped and changed one by one at run time. Used by the app at the start, on a signal to
// reload, and by whoever administers the node. Invariant: one change at a time, and a change of one listener touches no client of
// another; what fails to change stays as it was.
import { Effect, Exit, Scope, Semaphore } from "effect"
import { defaultWebSocketListener, type ListenerSettings, type Settings } from "../config/Settings.ts"
import type { Refusal } from "../connection/handshake.ts"
import { ReasonCode } from "../mqtt/ReasonCode.ts"
import type { CrashReport } from "../otp/ChildSpec.ts"
import { Supervisor } from "../otp/Supervisor.ts"
import type { Preface, TcpListener } from "../platform/Tcp.ts"
import { type Services, zonedServices } from "../session/Services.ts"
import type { Sessions } from "../session/Sessions.ts"
import { Listener } from "./Listener.ts"
import type { Overload } from "./Overload.ts"
import { readProxyHeader } from "./proxyHeader.ts"
import { ListenerFailed, type Transport, transportOf } from "./transport.ts"
import { sameAddress, sameDoor } from "./sameSettings.ts"

export interface ListenersOptions {
  readonly services: Services
  readonly sessions: Sessions
  /** Under it each listener has a supervisor of its own. */
  readonly root: Supervisor
  /** Why nobody may come in at present; undefined: they may. */
  readonly closedBecause: () => Refusal | undefined
  readonly overload: Overload
  readonly onCrash: (report: CrashReport) => void
  /** Bounds what a listener is asked to hold, by what the system allows. */
  readonly within: (listeners: ReadonlyArray<ListenerSettings>) => ReadonlyArray<ListenerSettings>
}

export interface ListenerStatus {
  readonly name: string
  readonly type: string
  readonly address: string
  readonly port: number
  readonly status: "running" | "stopped"
  readonly connections: number
  readonly maxConnections: number
}

/** How often the files of certificates are looked at, ms. */
const watchMillis = 5_000
/** A client that was told to go and does not is cut off by its connection within this time, ms. */
const emptyMillis = 6_000

interface Running {
  readonly listener: Listener
  readonly supervisor: Supervisor
  /** Of the supervisor: the end of all connections. */
  readonly scope: Scope.Closeable
  transport: Transport
  bound: TcpListener
  /** Of the socket that is listened on. */
  boundScope: Scope.Closeable
}

export class Listeners {
  private readonly options: ListenersOptions
  private readonly oneAtATime = Semaphore.makeUnsafe(1)
  private settings: Settings
  private readonly running = new Map<string, Running>()
  /** By hand. */
  private readonly stopped = new Set<string>()

  private constructor(options: ListenersOptions) {
    this.options = options
    this.settings = options.services.settings
  }

  /** None is open yet; the end of the scope closes those that are. */
  static make(options: ListenersOptions): Effect.Effect<Listeners, never, Scope.Scope> {
    return Effect.acquireRelease(Effect.sync(() => new Listeners(options)), (listeners) => listeners.closeAll).pipe(
      Effect.tap((listeners) => Effect.forkScoped(listeners.watchCertificates))
    )
  }

  private get isShared(): boolean {
    return this.settings.node.worker > 0
  }

  /** A poll and no watch: it also sees files behind links that were exchanged, as in a container. */
  private get watchCertificates(): Effect.Effect<never> {
    const look = Effect.suspend(() =>
      Effect.forEach([...this.running.values()], (running) => this.reloadOf(running, running.transport.reloadChanged), {
        discard: true
      })
    )
    return Effect.forever(Effect.andThen(Effect.sleep(watchMillis), this.exclusively(look)))
  }

  /** Every listener of the settings, open or not. */
  list(): ReadonlyArray<ListenerStatus> {
    return this.configured.map(({ address, maxConnections, name, port, type }) => {
      const running = this.running.get(name)
      return {
        name,
        type,
        address: running?.bound.address ?? address,
        port: running?.bound.port ?? port,
        status: running === undefined ? "stopped" : "running",
        connections: running?.listener.connections.size ?? 0,
        maxConnections: running?.listener.settings.maxConnections ?? maxConnections
      }
    })
  }

  /** Those that are open. */
  get open(): ReadonlyArray<Listener> {
    return [...this.running.values()].map(({ listener }) => listener)
  }

  /** Opens all that are enabled; the first that fails is the failure of it. */
  get startAll(): Effect.Effect<void, ListenerFailed> {
    return this.exclusively(
      Effect.forEach(
        this.bounded(this.settings).filter(({ enabled }) => enabled),
        (one) => this.isUnasked(one.name) ? this.beginUnasked(one) : this.begin(one),
        { discard: true }
      )
    )
  }

  /** Nothing is said about listeners in the settings, and this is not the one that everybody expects. */
  private isUnasked(name: string): boolean {
    return this.settings.listeners.some((one) => one === defaultWebSocketListener && one.name === name)
  }

  /** A port that is in use does not keep the broker from starting for want of what nobody has asked for. */
  private beginUnasked(settings: ListenerSettings): Effect.Effect<void> {
    return Effect.catch(
      this.begin(settings),
      ({ detail }) =>
        Effect.sync(() =>
          this.options.services.log.warning("no WebSocket: the default listener could not be opened", {
            listener: settings.name,
            reason: detail,
            remedy: "set listeners.ws.port, or listeners.ws.enabled = false"
          })
        )
    )
  }

  /** Opens one by its name, also one that is not enabled. False: it is open. */
  start(name: string): Effect.Effect<boolean, ListenerFailed> {
    return this.exclusively(Effect.suspend(() => {
      if (this.running.has(name)) return Effect.succeed(false)
      const settings = this.bounded(this.settings).find((one) => one.name === name)
      if (settings === undefined) return Effect.fail(unknownListener(name))
      this.stopped.delete(name)
      return Effect.as(this.openOne(settings), true)
    }))
  }

  /** Closes one by its name; its clients are told 0x98 Administrative action. False: it is not open. */
  stop(name: string): Effect.Effect<boolean, ListenerFailed> {
    return this.exclusively(Effect.suspend(() => {
      if (this.running.has(name)) {
        this.stopped.add(name)
        return Effect.as(this.end(name), true)
      }
      return this.configured.some((one) => one.name === name)
        ? Effect.succeed(false)
        : Effect.fail(unknownListener(name))
    }))
  }

  /**
   * Takes new settings: listeners that are new, gone or changed are started, stopped or changed. What fails is logged and stays as it
   * was; the names of those that failed are given back.
   */
  apply(settings: Settings): Effect.Effect<ReadonlyArray<string>> {
    return this.exclusively(Effect.gen({ self: this }, function* () {
      const before = this.settings
      this.settings = settings
      const wanted = this.bounded(settings).filter(({ enabled }) => enabled)
      const failed: Array<string> = []
      for (const name of [...this.running.keys()]) {
        if (!wanted.some((one) => one.name === name)) yield* this.end(name)
      }
      for (const one of wanted) {
        const [former, now] = [before, settings].map(({ listeners }) => listeners.find(({ name }) => name === one.name))
        const running = this.running.get(one.name)
        // One that was stopped by hand stays stopped until something of it is changed.
        if (this.stopped.has(one.name) && sameDoor(former, now)) continue
        this.stopped.delete(one.name)
        const change = running === undefined ? this.openOne(one) : this.change(running, one)
        yield* Effect.catch(change, (failure) =>
          Effect.sync(() => {
            failed.push(one.name)
            this.options.services.log.error("listener not changed", { listener: one.name, reason: failure.detail })
          }))
      }
      return failed
    }))
  }

  /** Reads the certificates of all listeners again; a pair that is not good leaves the former in force. */
  get reloadCertificates(): Effect.Effect<void> {
    return this.exclusively(
      Effect.suspend(() =>
        Effect.forEach([...this.running.values()], (running) => this.reloadOf(running, running.transport.reload), {
          discard: true
        })
      )
    )
  }

  /** No new client anywhere; those that are there stay. */
  get stopAccepting(): Effect.Effect<void> {
    return Effect.suspend(() =>
      Effect.forEach([...this.running.values()], ({ bound }) => bound.stop, { discard: true })
    )
  }

  get connections(): number {
    return this.open.reduce((count, listener) => count + listener.connections.size, 0)
  }

  private get configured(): ReadonlyArray<ListenerSettings> {
    return this.settings.listeners
  }

  private bounded(settings: Settings): ReadonlyArray<ListenerSettings> {
    return this.options.within(settings.listeners)
  }

  private exclusively<A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.uninterruptible(this.oneAtATime.withPermit(effect))
  }

  private servicesFor(settings: ListenerSettings): Services {
    return zonedServices(this.options.services, this.settings, settings.zone)
  }

  private readonly begin = Effect.fnUntraced({ self: this }, function* (this: Listeners, settings: ListenerSettings) {
    const { closedBecause, onCrash, overload, root, services, sessions } = this.options
    const transport = yield* transportOf(settings, services, overload)
    const scope = yield* Scope.make()
    const supervisor = yield* Scope.provide(
      Supervisor.make({
        name: `listener ${settings.name}`,
        strategy: "one-for-one",
        // A connection that crashes is gone; it is no fault of its neighbours.
        intensity: { times: 100_000, withinMillis: 10_000 },
        shutdown: "together",
        onCrash: (report) => {
          services.counters.connections_crashed_total++
          onCrash(report)
        }
      }),
      scope
    )
    const listener = new Listener({
      settings,
      services: this.servicesFor(settings),
      sessions,
      supervisor,
      overload,
      closedBecause
    })
    const { bound, boundScope } = yield* bind(transport, listener, settings, this.isShared).pipe(
      Effect.onError(() => Scope.close(scope, Exit.void))
    )
    root.startChild({
      id: supervisor.name,
      kind: "supervisor",
      restart: "permanent",
      start: supervisor.run,
      inspect: (limit) => supervisor.tree(limit, limit)
    })
    this.running.set(settings.name, { listener, supervisor, scope, transport, bound, boundScope })
  })

  private openOne(settings: ListenerSettings): Effect.Effect<void, ListenerFailed> {
    return Effect.tap(this.begin(settings), () =>
      Effect.sync(() => {
        const bound = this.running.get(settings.name)?.bound
        this.options.services.log.info("listener opened", {
          listener: settings.name,
          address: bound?.address,
          port: bound?.port
        })
      }))
  }

  private readonly end = Effect.fnUntraced({ self: this }, function* (this: Listeners, name: string) {
    const running = this.running.get(name)
    if (running === undefined) return
    this.running.delete(name)
    const { boundScope, listener, scope, supervisor } = running
    yield* Scope.close(boundScope, Exit.void)
    listener.disconnectAll(ReasonCode.AdministrativeAction, "the listener is closed")
    yield* Effect.timeoutOption(Effect.interruptible(listener.emptied), emptyMillis)
    yield* this.options.root.terminateChild(supervisor.name)
    yield* Scope.close(scope, Exit.void)
    this.options.services.log.info("listener closed", { listener: name })
  })

  /** Clients that are there stay, whatever changes; a new address is opened before they notice. */
  private readonly change = Effect.fnUntraced(
    { self: this },
    function* (this: Listeners, running: Running, settings: ListenerSettings) {
      const { listener } = running
      const former = listener.settings
      if (!sameAddress(former, settings)) {
        const transport = yield* transportOf(settings, this.options.services, this.options.overload)
        yield* Scope.close(running.boundScope, Exit.void)
        const again = bind(transport, listener, settings, this.isShared).pipe(
          Effect.catch((failure) =>
            // Back to the address that was there a moment ago.
            Effect.andThen(
              Effect.matchEffect(bind(running.transport, listener, former, this.isShared), {
                onFailure: () => Effect.sync(() => void this.running.delete(settings.name)),
                onSuccess: (back) => Effect.sync(() => void Object.assign(running, back))
              }),
              Effect.fail(failure)
            )
          )
        )
        Object.assign(running, yield* again, { transport })
        this.options.services.log.info("listener moved", {
          listener: settings.name,
          address: running.bound.address,
          port: running.bound.port
        })
      }
      listener.change(settings, this.servicesFor(settings))
      yield* this.reloadOf(running, running.transport.reload)
    }
  )

  private reloadOf({ listener }: Running, reload: Transport["reload"]): Effect.Effect<void> {
    const { log } = this.options.services
    return Effect.match(reload, {
      onFailure: ({ detail }) =>
        log.error("certificate not changed: the former stays in force", {
          listener: listener.settings.name,
          reason: detail
        }),
      onSuccess: (changed) => {
        if (changed) log.info("certificate changed", { listener: listener.settings.name })
      }
    })
  }

  private get closeAll(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const all = [...this.running.values()]
      this.running.clear()
      return Effect.forEach(
        all.reverse(),
        ({ boundScope, scope }) => Effect.andThen(Scope.close(boundScope, Exit.void), Scope.close(scope, Exit.void)),
        { discard: true }
      )
    })
  }
}

/** `reusePort`: other processes of this node's listen there too. */
const bind = Effect.fnUntraced(function* (
  transport: Transport,
  listener: Listener,
  settings: ListenerSettings,
  reusePort: boolean
) {
  const { address, backlog, name, port, unixMode } = settings
  const boundScope = yield* Scope.make()
  const preface: Preface | undefined = settings.proxyProtocol
    ? {
      read: readProxyHeader,
      timeoutMillis: settings.proxyProtocolTimeoutMillis,
      maxWaiting: settings.maxHandshakes,
      onFailed: (reason, peer) => listener.onPrefaceFailed(reason, peer)
    }
    : undefined
  const bound = yield* Scope.provide(
    transport.tcp.listen(
      { address, port, backlog, unixMode: Number.parseInt(unixMode, 8), preface, reusePort },
      listener
    ),
    boundScope
  ).pipe(
    Effect.mapError((failure) => new ListenerFailed({ listener: name, detail: failure.message, exitCode: 69 })),
    Effect.onError(() => Scope.close(boundScope, Exit.void))
  )
  return { bound, boundScope }
})

const unknownListener = (name: string) =>
  new ListenerFailed({ listener: name, detail: "there is no table [listeners.<name>] for it", exitCode: 78 })
