/**
 * What a supervisor is told about a child, and what it shows and reports of it. Plain data: whoever starts children writes the specs,
 * `ctl tree` and the log read the rest.
 */
import type { Effect, Scope } from "effect"
import type { Actor } from "./Actor.ts"

/** permanent: always restarted. transient: restarted when it crashed. temporary: never restarted, and forgotten when it ends. */
export type Restart = "permanent" | "transient" | "temporary"

export type ChildId = string | number

export interface ChildSpec {
  /** Unique under its supervisor. */
  readonly id: ChildId
  readonly kind: "worker" | "supervisor"
  readonly restart: Restart
  /** The child's whole life: an actor (the leanest), or an effect, whose scope is closed at the end of each life. */
  readonly start: Actor | Effect.Effect<unknown, unknown, Scope.Scope>
  /** How long a life may take to end when asked to. By default 5,000 for a worker, and for a supervisor as long as its children take. */
  readonly shutdownMillis?: number
  /** What the tree shows below this child, `limit` children at most. */
  readonly inspect?: (limit: number) => Pick<TreeNode, "children" | "omitted">
}

export interface TreeNode {
  readonly name: string
  readonly kind: "worker" | "supervisor"
  readonly restart: Restart
  readonly status: "running" | "restarting" | "stopping" | "ended"
  readonly restarts: number
  readonly children: ReadonlyArray<TreeNode>
  /** Children that were left out: there only when there are some. */
  readonly omitted?: number
}

export interface CrashReport {
  readonly supervisor: string
  readonly child: string
  /** How often the child has been restarted, this time included. */
  readonly restarts: number
  /** Pretty-printed. */
  readonly cause: string
  /** What was thrown or failed with; undefined when a permanent child just ended. */
  readonly defect: unknown
  /**
   * restarted: at once; restart-later: after delayMillis; ended: not to be restarted; gave-up: the supervisor itself ends;
   * abandoned: it did not end within its shutdownMillis and is left to itself.
   */
  readonly action: "restarted" | "restart-later" | "ended" | "gave-up" | "abandoned"
  readonly delayMillis: number
}
