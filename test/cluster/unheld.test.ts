// Sessions that are here and that the directory knows nothing of.
import { assert, describe, it } from "@effect/vitest"
import { Unheld } from "../../src/cluster/sessions/Unheld.ts"

describe("Unheld", () => {
  it("one that stays unknown for two seconds is held again, one that is under way is not", () => {
    const here = new Set(Array.from({ length: 5_000 }, (_, index) => `c${index}`))
    const known = new Set(here)
    const held: Array<string> = []
    const unheld = new Unheld({
      clientIds: () => here,
      isKnown: (clientId) => known.has(clientId),
      hold: (clientId) => {
        held.push(clientId)
        known.add(clientId)
      }
    })
    known.delete("c4999")
    known.delete("c7")
    for (let now = 0; now < 2_000; now += 100) {
      unheld.tick(now)
      if (now === 1_000) known.add("c7")
    }
    assert.deepStrictEqual(held, [])
    for (let now = 2_000; now < 4_000; now += 100) unheld.tick(now)
    assert.deepStrictEqual([held, unheld.found], [["c4999"], 1])
    here.delete("c4999")
    known.delete("c4999")
    for (let now = 4_000; now < 9_000; now += 100) unheld.tick(now)
    assert.strictEqual(unheld.found, 1)
  })
})
