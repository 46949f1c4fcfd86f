/**
 * OTP's supervisor: starts children, restarts or forgets those that end, stops them last first, and gives up when they crash too often,
 * which is then for its own parent to deal with. Its state is plain and touched synchronously, so children are started from plain code
 * too, and a crash has been dealt with when the crashed fiber has ended. Invariant: a child has at most one life at a time, and every
 * life ends no later than the supervisor's (but for those that had to be abandoned).
 */
import { Cause, Clock, Context, Data, Effect, Exit, Fiber } from "effect"
import type { Scope } from "effect"
import { Actor } from "./Actor.ts"
import type { ChildId, ChildSpec, CrashReport, TreeNode } from "./ChildSpec.ts"
import { type Backoff, backoffDelay, defaultBackoff, type Intensity, RestartLimit } from "./RestartLimit.ts"

/**
 * Who is restarted when a child crashes. one-for-one: it alone; rest-for-one: it and those started after it, stopped last first and
 * started in order; one-for-all: all.
 */
export type Strategy = "one-for-one" | "rest-for-one" | "one-for-all"

export interface SupervisorOptions {
  readonly name: string
  readonly strategy: Strategy
  readonly intensity: Intensity
  /** Hears of every end of a child that was not asked for. Plain code. */
  readonly onCrash?: (report: CrashReport) => void
  readonly backoff?: Backoff
  /**
   * How children are stopped at the end. one-by-one (default): last first, each has ended before the next is asked. together: all are
   * asked, last first, and then waited for; for thousands that do not need each other.
   */
  readonly shutdown?: "one-by-one" | "together"
  readonly random?: () => number
}

export class IntensityExceeded extends Data.TaggedError("IntensityExceeded")<{
  readonly supervisor: string
  readonly child: string
  readonly intensity: Intensity
  readonly cause: string
}> {
  override get message() {
    const { times, withinMillis } = this.intensity
    return `${this.supervisor} gave up: more than ${times} restarts within ${withinMillis} ms, the last of ${this.child}: ${this.cause}`
  }
}

const defaultShutdownMillis = 5000

/** What is only known of a child that has crashed. */
interface Recovery {
  restarts: number
  /** Lives in a row that ended too soon. */
  failures: number
  startedAt: number
  /** Waits to start the next life. */
  delay: Fiber.Fiber<unknown> | undefined
}

/** One per child: keep it small. */
class Child {
  readonly spec: ChildSpec
  status: TreeNode["status"] = "ended"
  fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined
  recovery: Recovery | undefined = undefined

  constructor(spec: ChildSpec) {
    this.spec = spec
  }
}

export class Supervisor {
  readonly name: string
  private readonly options: SupervisorOptions
  private readonly backoff: Backoff
  private readonly limit: RestartLimit
  private readonly clock: Clock.Clock
  private readonly fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
  /** In the order of their start, which a restart does not change. */
  private readonly byId = new Map<ChildId, Child>()
  private phase: "up" | "stopping" | "down" | "closed" = "up"
  private stopping: Fiber.Fiber<void> | undefined
  /** rest-for-one, one-for-all: a restart of a group is under way; the crashes that wait for it to be through, with their delays. */
  private regrouping = false
  private regroupFiber: Fiber.Fiber<void> | undefined
  private readonly crashedMeanwhile = new Map<Child, number>()
  private failure: IntensityExceeded | undefined
  private failUpward: ((failure: Effect.Effect<never, IntensityExceeded>) => void) | undefined

  private constructor(options: SupervisorOptions, context: Context.Context<never>) {
    this.name = options.name
    this.options = options
    this.backoff = options.backoff ?? defaultBackoff
    this.limit = new RestartLimit(options.intensity)
    this.clock = Context.get(context, Clock.Clock)
    this.fork = Effect.runForkWith(context)
  }

  /** Up at once, with no child. The end of the scope stops all children, last first. */
  static make(options: SupervisorOptions): Effect.Effect<Supervisor, never, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.map(Effect.context<never>(), (context) => new Supervisor(options, context)),
      (supervisor) => supervisor.close
    )
  }

  get children(): number {
    return this.byId.size
  }

  has(id: ChildId): boolean {
    return this.byId.has(id)
  }

  /**
   * Begins a child's first life, synchronously, from plain code or effects. False: the supervisor is not up. Throws when there is such
   * a child already, as that is a mistake of the caller's.
   */
  startChild(spec: ChildSpec): boolean {
    if (this.phase !== "up") return false
    const present = this.byId.get(spec.id)
    if (present !== undefined && present.status !== "ended") {
      throw new Error(`${this.name} has a child ${spec.id} already`)
    }
    const child = new Child(spec)
    this.byId.set(spec.id, child)
    this.begin(child)
    return true
  }

  /** Stops a child, for good; done when its life has ended or was abandoned. Nothing when there is no such child. */
  terminateChild(id: ChildId): Effect.Effect<void> {
    return Effect.suspend(() => {
      const child = this.byId.get(id)
      if (child === undefined) return Effect.void
      const forget = Effect.sync(() => {
        if (this.byId.get(id) === child) this.byId.delete(id)
      })
      return this.askToEnd(child) ? forget : Effect.andThen(this.awaitEnd(child), forget)
    })
  }

  /** As things are: its first `own` children, and of each supervisor below at most `limit`. */
  tree(limit = Infinity, own = Infinity): TreeNode {
    const children: Array<TreeNode> = []
    for (const { recovery, spec, status } of this.byId.values()) {
      if (children.length >= own) break
      const below = spec.inspect?.(limit)
      children.push({
        name: String(spec.id),
        kind: spec.kind,
        restart: spec.restart,
        status,
        restarts: recovery?.restarts ?? 0,
        children: below?.children ?? [],
        ...(below?.omitted === undefined ? {} : { omitted: below.omitted })
      })
    }
    return {
      name: this.name,
      kind: "supervisor",
      restart: "permanent",
      status: this.phase === "up" ? "running" : this.phase === "stopping" ? "stopping" : "ended",
      restarts: 0,
      children,
      ...(this.byId.size > children.length ? { omitted: this.byId.size - children.length } : {})
    }
  }

  /**
   * What a parent supervises: parks until the children crash too often. By then they have been stopped; interrupting it stops them as
   * well. Run again, it starts them again, those that were temporary or have ended for good excepted.
   */
  get run(): Effect.Effect<never, IntensityExceeded> {
    return Effect.callback<never, IntensityExceeded>((resume) => {
      if (this.phase === "closed") return resume(Effect.interrupt)
      if (this.failure !== undefined) {
        const failure = this.failure
        this.failure = undefined
        return resume(Effect.fail(failure))
      }
      this.failUpward = resume
      if (this.phase === "down") this.up()
      return this.shutdown
    })
  }

  private up(): void {
    this.phase = "up"
    this.stopping = undefined
    this.limit.reset()
    for (const child of [...this.byId.values()]) {
      if (child.recovery !== undefined) child.recovery.failures = 0
      if (this.phase === "up" && child.fiber === undefined) this.begin(child)
    }
  }

  private begin(child: Child): void {
    const { start } = child.spec
    child.status = "running"
    if (child.recovery !== undefined) child.recovery.startedAt = this.clock.currentTimeMillisUnsafe()
    const fiber = this.fork(start instanceof Actor ? start.bareLife : Effect.scoped(start))
    child.fiber = fiber
    fiber.addObserver((exit) => {
      if (child.fiber === fiber) this.ended(child, exit)
    })
  }

  private ended(child: Child, exit: Exit.Exit<unknown, unknown>): void {
    child.fiber = undefined
    let cause: Cause.Cause<unknown> | undefined
    if (Exit.isFailure(exit)) {
      if (!Cause.hasInterruptsOnly(exit.cause)) cause = exit.cause
      else if (child.spec.start instanceof Actor) child.spec.start.interrupted()
    }
    if (child.status === "stopping") {
      child.status = "ended"
      if (cause !== undefined) this.report(child, cause, "ended", 0)
      return
    }
    const { restart } = child.spec
    if (restart === "permanent" || (restart === "transient" && cause !== undefined)) return this.recover(child, cause)
    if (cause !== undefined) this.report(child, cause, "ended", 0)
    child.status = "ended"
    // A group starts its transient children again with the others, even those that had ended.
    if (restart === "temporary" || this.options.strategy === "one-for-one") this.forget(child)
  }

  private forget(child: Child): void {
    if (this.byId.get(child.spec.id) === child) this.byId.delete(child.spec.id)
  }

  private recover(child: Child, cause: Cause.Cause<unknown> | undefined): void {
    const now = this.clock.currentTimeMillisUnsafe()
    child.status = "restarting"
    if (!this.limit.allows(now)) {
      this.report(child, cause, "gave-up", 0)
      return this.giveUp(child, cause)
    }
    const recovery = child.recovery ??= { restarts: 0, failures: 0, startedAt: now, delay: undefined }
    const steady = Math.max(this.options.intensity.withinMillis, this.backoff.maxMillis)
    if (now - recovery.startedAt > steady) recovery.failures = 0
    const atOnce = recovery.failures === 0
    // A life that ends as it begins would restart itself deeper and deeper in one stack: from the second on there is a sleep between.
    const random = (this.options.random ?? Math.random)()
    const delayMillis = atOnce ? 0 : Math.max(1, backoffDelay(this.backoff, recovery.failures, random))
    recovery.restarts++
    recovery.failures++
    this.report(child, cause, atOnce ? "restarted" : "restart-later", delayMillis)
    if (this.options.strategy !== "one-for-one") return this.regroup(child, delayMillis)
    if (atOnce) return this.begin(child)
    recovery.delay = this.fork(Effect.flatMap(Effect.sleep(delayMillis), () =>
      Effect.sync(() => {
        recovery.delay = undefined
        this.begin(child)
      })))
  }

  private regroup(crashed: Child, delayMillis: number): void {
    if (this.regrouping) {
      this.crashedMeanwhile.set(crashed, delayMillis)
      return
    }
    this.regrouping = true
    const all = [...this.byId.values()]
    const affected = this.options.strategy === "one-for-all" ? all : all.slice(all.indexOf(crashed))
    // All at once, so that one that fails because another is gone does not count as a crash of its own.
    for (const child of affected) {
      this.crashedMeanwhile.delete(child)
      if (child.fiber !== undefined) child.status = "stopping"
    }
    const program = Effect.gen({ self: this }, function* () {
      yield* this.endInOrder(affected.toReversed())
      for (const child of affected) {
        if (child.spec.restart === "temporary") this.forget(child)
        else child.status = "restarting"
      }
      if (delayMillis > 0) yield* Effect.sleep(delayMillis)
      for (const child of affected) {
        // One that was terminated meanwhile is not there any more; after one that crashed at once, its own restart starts the rest.
        if (this.crashedMeanwhile.size > 0 || this.phase !== "up") break
        if (this.byId.get(child.spec.id) === child && child.fiber === undefined) this.begin(child)
      }
    })
    const fiber = this.fork(program)
    this.regroupFiber = fiber
    fiber.addObserver(() => {
      this.regroupFiber = undefined
      this.regrouping = false
      for (const [id, child] of this.byId) {
        const delay = this.crashedMeanwhile.get(child)
        if (delay === undefined || this.phase !== "up" || this.byId.get(id) !== child) continue
        // The first of them, in the order of their start; the group that it takes along is looked through again at its end.
        this.crashedMeanwhile.delete(child)
        return this.regroup(child, delay)
      }
      this.crashedMeanwhile.clear()
    })
  }

  private giveUp(child: Child, cause: Cause.Cause<unknown> | undefined): void {
    const failure = new IntensityExceeded({
      supervisor: this.name,
      child: String(child.spec.id),
      intensity: this.options.intensity,
      cause: prettyCause(cause)
    })
    this.fork(Effect.andThen(
      this.shutdown,
      Effect.sync(() => {
        const failUpward = this.failUpward
        this.failUpward = undefined
        if (failUpward === undefined) this.failure = failure
        else failUpward(Effect.fail(failure))
      })
    ))
  }

  /** Stops all children; in a fiber of its own, so that whoever asked may be interrupted. Asked again, it waits for the same end. */
  private get shutdown(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.phase === "up") {
        this.phase = "stopping"
        this.crashedMeanwhile.clear()
        this.regroupFiber?.interruptUnsafe()
        const lastFirst = [...this.byId.values()].reverse()
        for (const child of lastFirst) {
          child.recovery?.delay?.interruptUnsafe()
          child.status = child.fiber === undefined ? "ended" : "stopping"
        }
        const program = Effect.andThen(
          this.options.shutdown === "together" ? this.endTogether(lastFirst) : this.endInOrder(lastFirst),
          Effect.sync(() => {
            if (this.phase === "stopping") this.phase = "down"
            for (const child of lastFirst) if (child.spec.restart === "temporary") this.forget(child)
          })
        )
        this.stopping = this.fork(program)
      }
      return this.stopping === undefined ? Effect.void : Effect.asVoid(Fiber.await(this.stopping))
    })
  }

  private get close(): Effect.Effect<void> {
    return Effect.andThen(
      this.shutdown,
      Effect.sync(() => {
        this.phase = "closed"
        this.byId.clear()
      })
    )
  }

  private readonly endInOrder = Effect.fnUntraced({ self: this }, function* (this: Supervisor, children: Array<Child>) {
    for (const child of children) if (!this.askToEnd(child)) yield* this.awaitEnd(child)
  })

  private readonly endTogether = Effect.fnUntraced(
    { self: this },
    function* (this: Supervisor, children: Array<Child>) {
      const slow = children.filter((child) => !this.askToEnd(child))
      yield* Effect.forEach(slow, (child) => this.awaitEnd(child), { concurrency: "unbounded", discard: true })
    }
  )

  /** True: it has ended already. A parked actor ends within this call, so thousands are stopped without a fiber switch. */
  private askToEnd(child: Child): boolean {
    const delay = child.recovery?.delay
    if (delay !== undefined) {
      delay.interruptUnsafe()
      if (child.recovery !== undefined) child.recovery.delay = undefined
    }
    if (child.fiber === undefined) {
      child.status = "ended"
      return true
    }
    child.status = "stopping"
    child.fiber.interruptUnsafe()
    return child.fiber === undefined
  }

  private awaitEnd(child: Child): Effect.Effect<void> {
    const fiber = child.fiber
    if (fiber === undefined) return Effect.void
    const millis = child.spec.shutdownMillis ?? (child.spec.kind === "supervisor" ? Infinity : defaultShutdownMillis)
    const end = Effect.asVoid(Fiber.await(fiber))
    if (millis === Infinity) return end
    return Effect.timeoutOrElse(end, {
      duration: millis,
      orElse: () =>
        Effect.sync(() => {
          if (child.fiber !== fiber) return
          child.fiber = undefined
          child.status = "ended"
          const late = Cause.die(new Error(`did not end within ${millis} ms`))
          this.report(child, late, "abandoned", 0)
        })
    })
  }

  private report(
    child: Child,
    cause: Cause.Cause<unknown> | undefined,
    action: CrashReport["action"],
    delayMillis: number
  ): void {
    try {
      this.options.onCrash?.({
        supervisor: this.name,
        child: String(child.spec.id),
        restarts: child.recovery?.restarts ?? 0,
        cause: prettyCause(cause),
        defect: cause === undefined ? undefined : Cause.squash(cause),
        action,
        delayMillis
      })
    } catch {
      // A report that cannot be made must not stop the restart.
    }
  }
}

const prettyCause = (cause: Cause.Cause<unknown> | undefined): string =>
  cause === undefined ? "ended, although it is permanent" : Cause.pretty(cause)
