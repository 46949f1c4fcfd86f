/**
 * When to restart, and when to give up: the restart intensity of one supervisor and the back-off of its children. Pure. Invariant:
 * of the restarts within any `withinMillis` at most `times` are allowed.
 */

export interface Intensity {
  readonly times: number
  readonly withinMillis: number
}

/** The first restart is at once; the n-th after it waits firstMillis * 2^(n-1), at most maxMillis, give or take `jitter` of it (0..1). */
export interface Backoff {
  readonly firstMillis: number
  readonly maxMillis: number
  readonly jitter: number
}

export const defaultBackoff: Backoff = { firstMillis: 50, maxMillis: 5000, jitter: 0.2 }

export class RestartLimit {
  readonly intensity: Intensity
  private restarts: Array<number> = []

  constructor(intensity: Intensity) {
    this.intensity = intensity
  }

  /** Counts a restart. False: it is one too many. */
  allows(now: number): boolean {
    const since = now - this.intensity.withinMillis
    this.restarts = this.restarts.filter((at) => at >= since)
    this.restarts.push(now)
    return this.restarts.length <= this.intensity.times
  }

  reset(): void {
    this.restarts = []
  }
}

/** `failures`: the lives in a row that have ended too soon, before this one. `random` in [0, 1). */
export const backoffDelay = (backoff: Backoff, failures: number, random: number): number => {
  if (failures === 0) return 0
  const delay = Math.min(backoff.firstMillis * 2 ** (failures - 1), backoff.maxMillis)
  return Math.round(delay * (1 + backoff.jitter * (2 * random - 1)))
}
