import { assert, describe, it } from "@effect/vitest"
import { Subscriptions } from "../../src/session/Subscriptions.ts"
import type { Subscription } from "../../src/router/Subscriber.ts"

const subscription = (topicFilter: string, qos: 0 | 1 | 2): Subscription => ({
  topicFilter,
  filter: topicFilter,
  group: undefined,
  local: false,
  qos,
  noLocal: false,
  retainAsPublished: false,
  retainHandling: 0,
  subscriptionIdentifier: 0
})

describe("Subscriptions", () => {
  it("few or many, against a Map (1,000 random runs)", () => {
    for (let seed = 1; seed <= 1_000; seed++) {
      let state = seed * 2_654_435_761 >>> 0
      const random = (n: number) => (state = (state * 1_664_525 + 1_013_904_223) >>> 0) % n
      const subscriptions = new Subscriptions()
      const model = new Map<string, Subscription>()
      const kinds = 1 + random(20)
      for (let step = 0; step < 60; step++) {
        const filter = `f/${random(kinds)}`
        if (random(3) > 0) {
          const one = subscription(filter, random(3) as 0 | 1 | 2)
          subscriptions.set(one)
          model.set(filter, one)
        } else assert.strictEqual(subscriptions.delete(filter), model.delete(filter))
        assert.strictEqual(subscriptions.size, model.size)
        assert.strictEqual(subscriptions.get(filter), model.get(filter))
      }
      assert.sameMembers([...subscriptions.values()], [...model.values()])
      assert.sameMembers(subscriptions.topicFilters(), [...model.keys()])
    }
  })
})
