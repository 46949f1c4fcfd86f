import { assert, describe, it } from "@effect/vitest"
import { matches } from "../../src/mqtt/Topic.ts"
import { TopicTrie } from "../../src/router/TopicTrie.ts"
import { holds, randomOf } from "../router/recorder.ts"

const levels = ["", "a", "b", "ab", "$SYS", "$", "ä", "0"]

const topicBy = (random: (n: number) => number): string =>
  Array.from({ length: 1 + random(5) }, () => levels[random(levels.length)] ?? "a").join("/") || "a"

const filterBy = (random: (n: number) => number): string => {
  const count = 1 + random(5)
  const parts = Array.from({ length: count }, () => random(3) === 0 ? "+" : levels[random(levels.length)] ?? "a")
  if (random(4) === 0) parts[count - 1] = "#"
  return parts.join("/") || "+"
}

interface Named {
  readonly filter: string
}

describe("TopicTrie against the plain statement of section 4.7", () => {
  it("[MQTT-4.7.1-2] [MQTT-4.7.1-3] [MQTT-4.7.2-1] finds what matches and nothing else, through inserts and removals (1,000 runs)", () => {
    for (let seed = 1; seed <= 1_000; seed++) {
      const random = randomOf(seed)
      const trie = new TopicTrie<Named>()
      const model = new Map<string, Named>()
      for (let step = 0; step < 30; step++) {
        const filter = filterBy(random)
        if (random(3) > 0) {
          const value = { filter }
          trie.set(filter, value)
          model.set(filter, value)
        } else {
          const victim = random(2) === 0 ? filter : [...model.keys()][random(model.size || 1)] ?? filter
          holds(trie.delete(victim) === model.delete(victim), () => `seed ${seed}: delete ${victim}`)
        }
        holds(trie.size === model.size && trie.get(filter) === model.get(filter), () => `seed ${seed}: get ${filter}`)
        const topic = topicBy(random)
        const found: Array<Named> = []
        trie.match(topic, found)
        const expected = new Set([...model.values()].filter((value) => matches(value.filter, topic)))
        // The very values, each once: as many as expected, all different, all among the expected.
        holds(
          found.length === expected.size && new Set(found).size === found.length &&
            found.every((one) => expected.has(one)),
          () => `seed ${seed}: ${topic} found ${found.map((one) => one.filter).join(" ")}`
        )
      }
      assert.deepStrictEqual([...trie.filters()].sort(), [...model.keys()].sort(), `seed ${seed}`)
      for (const filter of model.keys()) holds(trie.delete(filter), () => `seed ${seed}: ${filter}`)
      assert.strictEqual(trie.size, 0, `seed ${seed}`)
      assert.strictEqual(trie.nodes, 0, `seed ${seed}: nodes left behind`)
    }
  })

  it("tables of children that grow and shrink lose nobody (1,000 runs)", () => {
    for (let seed = 1; seed <= 1_000; seed++) {
      const random = randomOf(seed)
      const trie = new TopicTrie<Named>()
      const model = new Set<string>()
      const range = 2 + random(60)
      for (let step = 0; step < 150; step++) {
        const filter = `${random(range)}/+`
        if (random(2) === 0) {
          trie.set(filter, { filter })
          model.add(filter)
        } else {
          holds(trie.delete(filter) === model.delete(filter), () => `seed ${seed}: ${filter}`)
        }
      }
      for (let n = 0; n < range; n++) {
        const found: Array<Named> = []
        trie.match(`${n}/x`, found)
        holds(found.length === (model.has(`${n}/+`) ? 1 : 0), () => `seed ${seed}: ${n}`)
      }
    }
  })
})
