// Slows those who guess passwords: who has failed so often in a window, by network address or for one client id, is not listened to for a
// pause. Outlives reloads. Plain. Invariants: only different guesses count, so that a device with an old password, which comes with the
// same one again and again, keeps nobody else of its network out; both tables are bounded, and the oldest entry goes first.
import type { AuthenticationSettings } from "../../config/Settings.ts"
import { networkKey } from "../Access.ts"
import type { Credentials } from "./AuthLink.ts"

export type FailureLimits = Pick<
  AuthenticationSettings,
  "failuresPerAddress" | "failuresPerClientId" | "failureWindowMillis" | "failurePauseMillis" | "failuresRemembered"
>

interface Failures {
  /** Of the first in the window. */
  since: number
  /** Beginnings of `credentialsKey`. */
  readonly guesses: Set<string>
  pausedUntil: number
}

type Named = "address" | "client_id"

/** For the log: who is paused now. */
export interface Pause {
  readonly by: Named
  readonly key: string
}

const guessLength = 8

class FailureTable {
  private readonly entries = new Map<string, Failures>()

  get size(): number {
    return this.entries.size
  }

  isPaused(key: string, now: number): boolean {
    const found = this.entries.get(key)
    return found !== undefined && now < found.pausedUntil
  }

  /** True: with this one its pause begins. */
  add(key: string, guess: string, now: number, limit: number, limits: FailureLimits): boolean {
    let found = this.entries.get(key)
    if (found === undefined || now - found.since >= limits.failureWindowMillis) {
      found = { since: now, guesses: new Set(), pausedUntil: 0 }
      this.entries.delete(key)
      if (this.entries.size >= limits.failuresRemembered) this.dropOldest()
      this.entries.set(key, found)
    }
    found.guesses.add(guess)
    if (found.guesses.size < limit) return false
    found.guesses.clear()
    found.since = now
    found.pausedUntil = now + limits.failurePauseMillis
    return true
  }

  delete(key: string): void {
    this.entries.delete(key)
  }

  private dropOldest(): void {
    for (const oldest of this.entries.keys()) {
      this.entries.delete(oldest)
      return
    }
  }
}

export class FailureGuard {
  private readonly addresses = new FailureTable()
  private readonly clientIds = new FailureTable()
  private limits: FailureLimits

  constructor(limits: FailureLimits) {
    this.limits = limits
  }

  /** After a reload. */
  change(limits: FailureLimits): void {
    this.limits = limits
  }

  /** Entries of both tables. */
  get size(): number {
    return this.addresses.size + this.clientIds.size
  }

  /** By what this client is not listened to now; undefined: by nothing. */
  pauseOf({ address, clientId }: Credentials, now: number): Named | undefined {
    if (this.size === 0) return undefined
    if (this.limits.failuresPerAddress > 0 && this.addresses.isPaused(networkKey(address), now)) return "address"
    return this.limits.failuresPerClientId > 0 && this.clientIds.isPaused(clientId, now) ? "client_id" : undefined
  }

  /** It has failed with this guess (of `credentialsKey`); who is paused for it from now on. */
  failed({ address, clientId }: Credentials, guess: string, now: number): ReadonlyArray<Pause> {
    const { limits } = this
    const pauses: Array<Pause> = []
    const short = guess.slice(0, guessLength)
    const network = networkKey(address)
    if (
      limits.failuresPerAddress > 0 && this.addresses.add(network, short, now, limits.failuresPerAddress, limits)
    ) pauses.push({ by: "address", key: network })
    if (
      limits.failuresPerClientId > 0 && this.clientIds.add(clientId, short, now, limits.failuresPerClientId, limits)
    ) pauses.push({ by: "client_id", key: clientId })
    return pauses
  }

  /** What was tried for its client id before is forgotten; for its address it is not: others may be behind it. */
  succeeded({ clientId }: Credentials): void {
    if (this.clientIds.size > 0) this.clientIds.delete(clientId)
  }
}
