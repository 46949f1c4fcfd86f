// When a worker that has ended is started again.
import { describe, expect, it } from "vitest"
import { Restarts } from "../../src/cli/workers/Restarts.ts"

const minute = 60_000

describe("the restarts of workers", () => {
  it("the pause doubles up to half a minute, and begins anew after a sound minute", () => {
    const restarts = new Restarts()
    restarts.started(1, 0)
    const pauses: Array<number> = []
    let now = 0
    for (let time = 1; time <= 9; time++) {
      const { pauseMillis, times } = restarts.ended(1, now += 10)
      expect(times).toBe(time)
      pauses.push(pauseMillis)
      restarts.started(1, now += pauseMillis)
    }
    expect(pauses).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000])
    expect(restarts.ended(1, now + minute)).toMatchObject({ times: 10 })
    restarts.started(1, now)
    expect(restarts.ended(1, now + minute + 1)).toEqual({ times: 1, pauseMillis: 500 })
  })

  it("one that ends for ever is tried for ever, while another one runs; when none can be kept alive it is pointless", () => {
    const restarts = new Restarts()
    const crash = (worker: number, times: number, now: number) => {
      for (let left = times; left > 0; left--) {
        restarts.started(worker, now)
        restarts.ended(worker, now)
      }
    }
    restarts.started(1, 0)
    restarts.started(2, 0)
    crash(2, 100, 1)
    expect(restarts.isPointless(1)).toBe(false)
    crash(1, 7, 2)
    expect(restarts.isPointless(2)).toBe(false)
    crash(1, 1, 3)
    expect(restarts.isPointless(3)).toBe(true)
    // It has come up after all.
    restarts.started(1, 4)
    expect(restarts.isPointless(4 + minute)).toBe(true)
    expect(restarts.isPointless(5 + minute)).toBe(false)
  })
})
