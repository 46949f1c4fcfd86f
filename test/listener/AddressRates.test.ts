import { assert, describe, it } from "@effect/vitest"
import { AddressRates } from "../../src/listener/AddressRates.ts"

const rates = (perSecond: number, burst: number, bound: number) => {
  const made = new AddressRates()
  made.change(perSecond, burst, bound)
  return made
}

describe("AddressRates", () => {
  it("each network has its own rate", () => {
    const known = rates(2, 0, 100)
    assert.deepStrictEqual(["a", "a", "a", "b", "b", "b"].map((one) => known.admits(one, 0)), [
      true,
      true,
      false,
      true,
      true,
      false
    ])
    assert.isTrue(known.admits("a", 500))
    assert.isFalse(known.admits("a", 500))
  })

  it("a million networks take no more room than the bound; the quiet ones go, not the busy one", () => {
    const known = rates(1, 0, 1_000)
    assert.isTrue(known.admits("busy", 0))
    for (let n = 0; n < 1_000_000; n++) {
      known.admits(`n${n}`, 0)
      if (n % 500 === 0) assert.isFalse(known.admits("busy", 0), `${n}`)
    }
    assert.strictEqual(known.size, 1_000)
  })

  it("a change of the bound shrinks it, one of the rate lets all start anew, the same settings change nothing", () => {
    const known = rates(1, 0, 100)
    for (let n = 0; n < 50; n++) known.admits(`n${n}`, 0)
    known.change(1, 0, 100)
    assert.isFalse(known.admits("n49", 0))
    known.change(1, 0, 16)
    assert.strictEqual(known.size, 16)
    assert.isFalse(known.admits("n49", 0))
    known.change(2, 0, 16)
    assert.strictEqual(known.size, 0)
    assert.isFalse(known.isOff)
    known.change(0, 0, 16)
    assert.isTrue(known.isOff)
  })
})
