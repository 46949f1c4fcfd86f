// The sessions with one database: a bounded number of them, a bounded number of requests that wait, a time in which there is an answer,
// and a breaker. Invariants: a session that failed is never used again; requests change nothing there, so one that met a session that
// had gone meanwhile is asked once more on a new one; a database that is away costs one log line in and one out.
import { Effect, Exit, Fiber, Scope, Semaphore } from "effect"
import type { BackendSettings } from "../../config/Settings.ts"
import type { Counters } from "../../metrics/Counters.ts"
import type { EventLog } from "../../metrics/EventLog.ts"
import { Breaker } from "../http/Breaker.ts"
import { type BackendFailure, backendFailure } from "./Backend.ts"

/** What a kind of database opens; its scope ends it. */
export interface Session {
  /** False once the other side has gone. */
  readonly isOpen: () => boolean
}

export type PoolSettings = Pick<
  BackendSettings,
  "poolSize" | "maxWaiting" | "timeoutMillis" | "breakerFailures" | "breakerRestMillis"
>

export interface PoolOptions<S extends Session> {
  /** "postgres" */
  readonly name: string
  readonly settings: PoolSettings
  readonly open: Effect.Effect<S, BackendFailure, Scope.Scope>
  readonly host: BackendHost
}

/** What a back end needs of the node. */
export interface BackendHost {
  readonly log: EventLog
  readonly counters: Counters
  /** ms since 1970. */
  readonly now: () => number
}

interface Held<S> {
  readonly session: S
  readonly scope: Scope.Closeable
}

export class SessionPool<S extends Session> {
  private readonly options: PoolOptions<S>
  private readonly places: Semaphore.Semaphore
  private readonly idle: Array<Held<S>> = []
  private readonly breaker: Breaker
  private present = 0
  private closed = false

  constructor(options: PoolOptions<S>) {
    this.options = options
    const { host: { log }, name, settings } = options
    this.places = Semaphore.makeUnsafe(settings.poolSize)
    this.breaker = new Breaker({
      failures: settings.breakerFailures,
      restMillis: settings.breakerRestMillis,
      onOpen: (failure) => log.warning("back end is away: not asked for a while", { back_end: name, failure }),
      onClose: () => log.info("back end is there again", { back_end: name })
    })
  }

  /** Whoever asked may go meanwhile: the session is used to the end and kept, so that nobody can make us open sessions by leaving. */
  use<A>(work: (session: S) => Effect.Effect<A, BackendFailure>): Effect.Effect<A, BackendFailure> {
    return Effect.suspend(() => {
      const refusal = this.refusal()
      if (refusal !== undefined) return Effect.fail(refusal)
      this.present++
      this.options.host.counters.database_requests_total++
      return Effect.flatMap(Effect.forkDetach(this.request(work)), Fiber.join)
    })
  }

  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.closed = true
    return this.dropIdle()
  })

  private refusal(): BackendFailure | undefined {
    const { host: { counters, now }, name, settings: { maxWaiting, poolSize } } = this.options
    if (this.closed) return backendFailure("away", `${name}: closed`)
    if (this.present >= maxWaiting + poolSize) {
      counters.database_requests_refused_total++
      return backendFailure("busy", `${name}: ${maxWaiting} requests wait already (max_waiting)`)
    }
    if (this.breaker.admits(now())) return undefined
    counters.database_requests_refused_total++
    return backendFailure("away", `${name}: away, not asked for the moment`)
  }

  private request<A>(work: (session: S) => Effect.Effect<A, BackendFailure>): Effect.Effect<A, BackendFailure> {
    const { name, settings: { timeoutMillis } } = this.options
    return Effect.suspend(() => {
      let started = false
      const begin = Effect.suspend(() => {
        started = true
        return this.attempt(work, true)
      })
      return this.places.withPermits(1)(begin).pipe(
        Effect.timeoutOrElse({
          duration: timeoutMillis,
          orElse: () =>
            Effect.fail(
              started
                ? backendFailure("away", `${name}: no answer in ${timeoutMillis} ms`)
                : backendFailure("busy", `${name}: no session free in ${timeoutMillis} ms`)
            )
        }),
        Effect.onExit((exit) => {
          this.present--
          return Effect.sync(() => this.judge(exit))
        })
      )
    })
  }

  private attempt<A>(
    work: (session: S) => Effect.Effect<A, BackendFailure>,
    again: boolean
  ): Effect.Effect<A, BackendFailure> {
    return Effect.suspend(() => {
      const kept = this.takeIdle()
      return Effect.flatMap(kept === undefined ? this.open() : Effect.succeed(kept), (held) =>
        work(held.session).pipe(
          Effect.onExit((exit) => this.giveBack(held, exit)),
          Effect.catchIf(
            ({ kind }) => kind === "away" && kept !== undefined && again,
            // What the server has closed it has closed for all.
            () => Effect.andThen(this.dropIdle(), this.attempt(work, false))
          )
        ))
    })
  }

  private takeIdle(): Held<S> | undefined {
    for (let held = this.idle.pop(); held !== undefined; held = this.idle.pop()) {
      if (held.session.isOpen()) return held
      Effect.runFork(Scope.close(held.scope, Exit.void))
    }
    return undefined
  }

  private open(): Effect.Effect<Held<S>, BackendFailure> {
    return Effect.suspend(() => {
      const scope = Scope.makeUnsafe()
      return this.options.open.pipe(
        Scope.provide(scope),
        Effect.map((session) => ({ session, scope })),
        Effect.onExit((exit) => Exit.isFailure(exit) ? Scope.close(scope, exit) : Effect.void)
      )
    })
  }

  private giveBack<A>(held: Held<S>, exit: Exit.Exit<A, BackendFailure>): Effect.Effect<void> {
    const usable = Exit.match(exit, {
      onSuccess: () => true,
      onFailure: (cause) => cause.reasons.every((reason) => reason._tag === "Fail" && reason.error.kind === "refused")
    })
    if (usable && !this.closed && held.session.isOpen()) {
      this.idle.push(held)
      return Effect.void
    }
    return Scope.close(held.scope, Exit.void)
  }

  private dropIdle(): Effect.Effect<void> {
    return Effect.forEach(this.idle.splice(0), ({ scope }) => Scope.close(scope, Exit.void), { discard: true })
  }

  /** Only a database that is away counts: what it refuses is no reason not to ask it for others. */
  private judge(exit: Exit.Exit<unknown, BackendFailure>): void {
    const { counters, now } = this.options.host
    const failure = Exit.isFailure(exit)
      ? exit.cause.reasons.find((reason) => reason._tag === "Fail")?.error
      : undefined
    if (failure !== undefined) counters.database_failures_total++
    if (failure?.kind === "busy") this.breaker.abandoned()
    else if (failure?.kind === "away") this.breaker.failedWith(failure.message, now())
    else this.breaker.succeeded()
  }
}
