// Children for the supervisor tests: each writes down when a life of it begins and ends, and can be told to end.
import { Deferred, Effect, type Scope } from "effect"
import type { ChildSpec, CrashReport, Restart } from "../../src/otp/ChildSpec.ts"
import { Supervisor, type SupervisorOptions } from "../../src/otp/Supervisor.ts"

export class Journal {
  entries: Array<string> = []
  reports: Array<CrashReport> = []
  private readonly gates = new Map<string, Deferred.Deferred<void>>()
  private readonly lives = new Map<string, Deferred.Deferred<void, string>>()

  /** The entries since the last time of asking. */
  get news(): ReadonlyArray<string> {
    const entries = this.entries
    this.entries = []
    return entries
  }

  /** What onCrash was told, in short. */
  get actions(): ReadonlyArray<string> {
    return this.reports.map((report) => `${report.child} ${report.action}`)
  }

  life(id: string): Effect.Effect<void, string, Scope.Scope> {
    return Effect.gen({ self: this }, function* () {
      const end = yield* Deferred.make<void, string>()
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          this.entries.push(`+${id}`)
          this.lives.set(id, end)
        }),
        () => Effect.sync(() => void this.entries.push(`-${id}`))
      )
      yield* Deferred.await(end)
    })
  }

  child(id: string, restart: Restart = "permanent", more: Partial<ChildSpec> = {}): ChildSpec {
    return { id, kind: "worker", restart, start: this.life(id), ...more }
  }

  /** One whose lives end only when it is let go; from then on at once. */
  slowChild(id: string, more: Partial<ChildSpec> = {}): ChildSpec {
    const gate = Deferred.makeUnsafe<void>()
    this.gates.set(id, gate)
    const start = Effect.onExit(this.life(id), () => Deferred.await(gate))
    return this.child(id, "permanent", { start, ...more })
  }

  letGo(id: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      const gate = this.gates.get(id)
      return gate === undefined ? Effect.die(`${id} has no life`) : Effect.asVoid(Deferred.succeed(gate, undefined))
    })
  }

  supervisor(options: Partial<SupervisorOptions> = {}): Effect.Effect<Supervisor, never, Scope.Scope> {
    return Supervisor.make({
      name: "sup",
      strategy: "one-for-one",
      intensity: { times: 10, withinMillis: 10_000 },
      backoff: { firstMillis: 100, maxMillis: 1000, jitter: 0 },
      onCrash: (report) => void this.reports.push(report),
      ...options
    })
  }

  readonly crash = (id: string) => this.finish(id, (end) => Deferred.die(end, new Error(`${id} has a bug`)))
  readonly fail = (id: string) => this.finish(id, (end) => Deferred.fail(end, `${id} failed`))
  readonly finishNormally = (id: string) => this.finish(id, (end) => Deferred.succeed(end, undefined))

  private finish(
    id: string,
    how: (end: Deferred.Deferred<void, string>) => Effect.Effect<unknown>
  ): Effect.Effect<void> {
    return Effect.suspend(() => {
      const end = this.lives.get(id)
      return end === undefined ? Effect.die(`${id} has no life`) : Effect.asVoid(how(end))
    })
  }
}
