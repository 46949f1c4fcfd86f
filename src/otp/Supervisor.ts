import { Data } from "effect"
import type { Effect, Scope } from "effect"
import type { Actor } from "./Actor.ts"

export type Restart = "permanent" | "transient" | "temporary"
export type Strategy = "one-for-one" | "rest-for-one" | "one-for-all"

export interface ChildSpec {
  /** Unique under its supervisor. */
  readonly id: string | number
  readonly kind: "worker" | "supervisor"
  readonly restart: Restart
  /** The child's whole life: an actor (the leanest), or an effect whose scope is closed at the end of each life. */
  readonly start: Actor | Effect.Effect<unknown, unknown, Scope.Scope>
  /** How long a life may take to end when it is asked to; 5,000 by default. */
  readonly shutdownMillis?: number
  /** What the tree shows below this child. */
  readonly inspect?: () => ReadonlyArray<TreeNode>
}

export interface TreeNode {
  readonly name: string
  readonly kind: "worker" | "supervisor"
  readonly restart: Restart
  readonly status: "running" | "restarting" | "stopping" | "ended"
  readonly restarts: number
  readonly children: ReadonlyArray<TreeNode>
}

export interface Intensity {
  readonly times: number
  readonly withinMillis: number
}

/** The first restart is at once, the n-th after it waits firstMillis * 2^n, at most maxMillis, plus or minus up to `jitter` of it. */
export interface Backoff {
  readonly firstMillis: number
  readonly maxMillis: number
  readonly jitter: number
}

export interface CrashReport {
  readonly supervisor: string
  readonly child: string
  readonly restarts: number
  /** Pretty-printed. */
  readonly cause: string
  readonly defect: unknown
  readonly action: "restarted" | "restart-later" | "ended" | "gave-up" | "abandoned"
  readonly delayMillis: number
}

export class IntensityExceeded extends Data.TaggedError("IntensityExceeded")<{
  readonly supervisor: string
  readonly child: string
  readonly intensity: Intensity
  readonly cause: string
}> {}

export interface SupervisorOptions {
  readonly name: string
  readonly strategy: Strategy
  readonly intensity: Intensity
  readonly onCrash?: (report: CrashReport) => void
  readonly backoff?: Backoff
  /** "together": at the end all children are asked to stop, last first, and then waited for; for many independent ones. */
  readonly shutdown?: "one-by-one" | "together"
}

export declare class Supervisor {
  static make(options: SupervisorOptions): Effect.Effect<Supervisor, never, Scope.Scope>
  startChild(spec: ChildSpec): void
  terminateChild(id: string | number): Effect.Effect<void>
  has(id: string | number): boolean
  readonly children: number
  tree(): TreeNode
  readonly run: Effect.Effect<never, IntensityExceeded>
}
