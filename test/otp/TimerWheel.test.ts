import { assert, describe, it } from "@effect/vitest"
import { type Timer, TimerWheel } from "../../src/otp/TimerWheel.ts"
import { seeded } from "./turns.ts"

const fired = (wheel: TimerWheel<string>, now: number): Array<string> => {
  const items: Array<string> = []
  wheel.advance(now, (item) => void items.push(item))
  return items
}

describe("TimerWheel", () => {
  it("fires a deadline once: never early, at the first tick that has reached it", () => {
    const wheel = new TimerWheel<string>(100, 8, 1_000)
    const timer = wheel.schedule(1_250, "a")
    assert.isTrue(timer.active)
    assert.isEmpty(fired(wheel, 1_249))
    assert.isEmpty(fired(wheel, 1_299))
    assert.deepStrictEqual(fired(wheel, 1_300), ["a"])
    assert.isFalse(timer.active)
    assert.isEmpty(fired(wheel, 100_000))
    assert.strictEqual(wheel.size, 0)
  })

  it("waits for deadlines beyond one revolution", () => {
    const wheel = new TimerWheel<string>(100, 8, 0)
    wheel.schedule(8_000, "ten turns away")
    wheel.schedule(Infinity, "never")
    for (let now = 0; now < 8_000; now += 100) assert.isEmpty(fired(wheel, now))
    assert.deepStrictEqual(fired(wheel, 8_000), ["ten turns away"])
    assert.isEmpty(fired(wheel, 1e9))
    assert.strictEqual(wheel.size, 1)
  })

  it("after a long pause fires all that was due, and nothing else", () => {
    const wheel = new TimerWheel<string>(100, 8, 0)
    for (let at = 100; at <= 5_000; at += 100) wheel.schedule(at, String(at))
    assert.lengthOf(fired(wheel, 3_050), 30)
    assert.strictEqual(wheel.size, 20)
    assert.deepStrictEqual(fired(wheel, 3_100), ["3100"])
  })

  it("a deadline that has passed fires in the next tick", () => {
    const wheel = new TimerWheel<string>(100, 8, 1_000)
    wheel.schedule(10, "late")
    assert.isEmpty(fired(wheel, 1_099))
    assert.deepStrictEqual(fired(wheel, 1_100), ["late"])
  })

  it("a clock set back fires nothing and loses nothing", () => {
    const wheel = new TimerWheel<string>(100, 8, 10_000)
    wheel.schedule(10_200, "a")
    assert.isEmpty(fired(wheel, 5_000))
    assert.deepStrictEqual(fired(wheel, 10_200), ["a"])
  })

  it("cancel and put off, also of those that are due in the same tick", () => {
    const wheel = new TimerWheel<string>(100, 8, 0)
    const timers = new Map<string, Timer<string>>()
    for (const name of ["a", "b", "c", "d"]) timers.set(name, wheel.schedule(100, name))
    const items: Array<string> = []
    const of = (name: string) => {
      const timer = timers.get(name)
      assert.isDefined(timer)
      return timer
    }
    wheel.advance(100, (item) => {
      items.push(item)
      // Whichever comes first takes one away, moves one, and leaves the third.
      if (items.length === 1) {
        const others = ["a", "b", "c", "d"].filter((name) => name !== item)
        wheel.cancel(of(others[0] ?? ""))
        wheel.reschedule(of(others[1] ?? ""), 500)
        wheel.schedule(100, "new")
      }
    })
    assert.lengthOf(items, 2)
    assert.strictEqual(wheel.size, 2)
    assert.deepStrictEqual(fired(wheel, 200), ["new"])
    assert.isEmpty(fired(wheel, 499))
    assert.lengthOf(fired(wheel, 500), 1)
  })

  it("a callback that throws loses only itself", () => {
    const wheel = new TimerWheel<string>(100, 8, 0)
    for (const name of ["a", "b", "c"]) wheel.schedule(100, name)
    const items: Array<string> = []
    assert.throws(() =>
      wheel.advance(300, (item) => {
        items.push(item)
        throw new Error(item)
      })
    )
    wheel.schedule(200, "d")
    assert.lengthOf([...items, ...fired(wheel, 300)], 4)
    assert.strictEqual(wheel.size, 0)
  })

  it("a fired timer can be used again", () => {
    const wheel = new TimerWheel<string>(100, 8, 0)
    const timer = wheel.schedule(100, "keep alive")
    assert.deepStrictEqual(fired(wheel, 100), ["keep alive"])
    wheel.reschedule(timer, 300)
    assert.strictEqual(wheel.size, 1)
    assert.isEmpty(fired(wheel, 200))
    assert.deepStrictEqual(fired(wheel, 300), ["keep alive"])
  })

  it("is a list of deadlines, in 2,000 random programs", () => {
    for (let seed = 0; seed < 2000; seed++) {
      const random = seeded(seed)
      const tick = 1 + random(50)
      const slots = 1 + random(20)
      let now = random(10_000)
      const wheel = new TimerWheel<number>(tick, slots, now)
      // The naive list: item to the tick in which it is due, as the wheel's invariant has it.
      const model = new Map<number, number>()
      const timers: Array<Timer<number>> = []
      const dueTick = (deadline: number) => Math.max(Math.ceil(deadline / tick), Math.floor(now / tick) + 1)
      for (let step = 0; step < 60; step++) {
        const what = random(10)
        const deadline = now - 20 + random(tick * slots * 3 + 100)
        const timer = timers[random(timers.length + 1)]
        if (what < 4 || timer === undefined) {
          model.set(timers.length, dueTick(deadline))
          timers.push(wheel.schedule(deadline, timers.length))
        } else if (what < 5) {
          wheel.cancel(timer)
          model.delete(timer.item)
        } else if (what < 7) {
          wheel.reschedule(timer, deadline)
          model.set(timer.item, dueTick(deadline))
        } else {
          // Mostly a step, now and then a long pause.
          now += random(random(5) === 0 ? tick * slots * 4 : tick * 3)
          const due = [...model].filter(([, at]) => at <= Math.floor(now / tick)).map(([item]) => item)
          const got: Array<number> = []
          wheel.advance(now, (item) => void got.push(item))
          assert.deepStrictEqual(got.toSorted((a, b) => a - b), due.toSorted((a, b) => a - b), `seed ${seed}`)
          for (const item of due) model.delete(item)
        }
        assert.strictEqual(wheel.size, model.size)
      }
    }
  })
})
