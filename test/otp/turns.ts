// Waiting for a scheduler without sleeping: lets turns of the event loop go by until it has nothing to do.
import { Effect } from "effect"
import { setImmediate } from "node:timers"
import type { Scheduler, Task } from "../../src/otp/Scheduler.ts"

export const loopTurn = (): Promise<void> => new Promise((resolve) => void setImmediate(() => resolve()))

export const settle = async (scheduler: Scheduler): Promise<void> => {
  while (scheduler.busy) await loopTurn()
}

export const settled = (scheduler: Scheduler) => Effect.promise(() => settle(scheduler))

export const task = (run: () => void): Task => ({ run })

/** A small generator with a seed: a failing run can be run again. */
export const seeded = (seed: number) => {
  let state = seed >>> 0
  return (below: number): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}
