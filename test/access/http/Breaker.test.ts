import { assert, describe, it } from "@effect/vitest"
import { Breaker } from "../../../src/access/http/Breaker.ts"

describe("Breaker", () => {
  const breakerOf = (failures: number) => {
    const told: Array<string> = []
    const breaker = new Breaker({
      failures,
      restMillis: 100,
      onOpen: (reason) => told.push(reason),
      onClose: () => told.push("back")
    })
    return { breaker, told }
  }

  it("opens after so many failures in a row, lets one try after the rest, and closes when that one is answered", () => {
    const { breaker, told } = breakerOf(2)
    breaker.failedWith("a", 0)
    breaker.succeeded()
    breaker.failedWith("b", 0)
    assert.isTrue(breaker.admits(0))
    breaker.failedWith("c", 10)
    assert.deepStrictEqual([breaker.admits(10), breaker.admits(109), told], [false, false, ["c"]])
    assert.isTrue(breaker.admits(110))
    assert.isFalse(breaker.admits(110), "one is trying it")
    breaker.failedWith("d", 120)
    assert.deepStrictEqual([breaker.admits(219), breaker.admits(220), breaker.admits(220)], [false, true, false])
    breaker.abandoned()
    assert.isTrue(breaker.admits(220), "whoever tried has gone")
    breaker.succeeded()
    assert.deepStrictEqual([breaker.admits(220), breaker.admits(220), told], [true, true, ["c", "back"]])
  })

  it("0: never opens", () => {
    const { breaker, told } = breakerOf(0)
    for (let i = 0; i < 1_000; i++) breaker.failedWith("x", i)
    assert.deepStrictEqual([breaker.admits(1), told], [true, []])
  })
})
