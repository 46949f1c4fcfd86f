// How much of the node's CPU may go into passwords: so many checks at a time, so many that wait, for all links together. Invariant: a check
// that has begun keeps its place until it is done, also when its client has gone; so nobody gets more than their number.
import { Effect, Semaphore } from "effect"
import type { AuthenticationSettings } from "../../../config/Settings.ts"
import type { Counters } from "../../../metrics/Counters.ts"
import { ReasonCode } from "../../../mqtt/ReasonCode.ts"
import type { Deny, LinkFailure } from "../AuthLink.ts"
import type { PasswordHash } from "./PasswordHash.ts"
import { verifyPassword } from "./verifyPassword.ts"

export type PasswordLimits = Pick<AuthenticationSettings, "hashesAtATime" | "hashesWaiting">

/** What a link answers when there is no room to find out. */
export const tooBusy: Deny = {
  _tag: "Deny",
  reasonCode: ReasonCode.ServerBusy,
  reason: "authentication.hashes_waiting passwords wait already to be checked"
}

export class PasswordChecks {
  private readonly counters: Counters
  private readonly permits: Semaphore.Semaphore
  private limits: PasswordLimits
  private present = 0

  constructor(limits: PasswordLimits, counters: Counters) {
    this.limits = limits
    this.counters = counters
    this.permits = Semaphore.makeUnsafe(limits.hashesAtATime)
  }

  /** After a reload. */
  change(limits: PasswordLimits): Effect.Effect<void> {
    this.limits = limits
    return this.permits.resize(limits.hashesAtATime)
  }

  /** Being checked, and waiting for it. */
  get size(): number {
    return this.present
  }

  /** Whether it is this password. For any work that burns CPU: see `run`. */
  check(hash: PasswordHash, password: Uint8Array): Effect.Effect<boolean | "busy", LinkFailure> {
    return this.run(verifyPassword(hash, password))
  }

  /** `work` happens beside the event loop; "busy": there is no room for it. */
  run<A>(work: Effect.Effect<A, LinkFailure>): Effect.Effect<A | "busy", LinkFailure> {
    return Effect.suspend((): Effect.Effect<A | "busy", LinkFailure> => {
      const { hashesAtATime, hashesWaiting } = this.limits
      if (this.present >= hashesAtATime + hashesWaiting) {
        this.counters.password_checks_refused_total++
        return Effect.succeed("busy" as const)
      }
      this.present++
      return this.permits.withPermits(1)(Effect.uninterruptible(Effect.suspend(() => {
        this.counters.password_checks_total++
        return work
      }))).pipe(Effect.ensuring(Effect.sync(() => void this.present--)))
    })
  }
}
