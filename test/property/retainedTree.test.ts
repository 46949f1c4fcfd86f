import { assert, describe, it } from "@effect/vitest"
import type { Message } from "../../src/mqtt/Message.ts"
import { matches } from "../../src/mqtt/Topic.ts"
import type { RetainedCursor } from "../../src/retain/RetainedCursor.ts"
import { RetainedTree } from "../../src/retain/RetainedTree.ts"
import { holds, messageOn, randomOf } from "../router/recorder.ts"

const levels = ["", "a", "b", "c", "$d", "ä"]
const filters = ["#", "+", "+/+", "a/#", "+/b", "a/+/c", "$d/#", "a", "a/b", "+/#", "/#", "b/+/#", "$d/+"]

interface Open {
  readonly filter: string
  readonly cursor: RetainedCursor
  readonly atOpening: ReadonlyMap<string, Message>
  /** Retained at the opening and ever since. */
  readonly throughout: Map<string, Message>
  readonly given: Array<Message>
}

const check = (open: Open, label: string): void => {
  const given = new Set(open.given)
  assert.strictEqual(given.size, open.given.length, `${label}: ${open.filter} gave one twice`)
  for (const message of given) {
    holds(matches(open.filter, message.topic), () => `${label}: ${open.filter} gave ${message.topic}`)
    holds(open.atOpening.get(message.topic) === message, () => `${label}: ${open.filter} gave a newer one`)
  }
  for (const [topic, message] of open.throughout) {
    holds(given.has(message) || !matches(open.filter, topic), () => `${label}: ${open.filter} left out ${topic}`)
  }
}

describe("RetainedTree against a map of topics", () => {
  it("a cursor gives what is there from its opening to its end exactly once, through changes (1,000 runs)", () => {
    for (let seed = 1; seed <= 1_000; seed++) {
      const random = randomOf(seed)
      let now = 0
      const tree = new RetainedTree(() => now)
      const model = new Map<string, Message>()
      const due = new Map<string, number>()
      const topicBy = () =>
        Array.from({ length: 1 + random(4) }, () => levels[random(levels.length)] ?? "a").join("/") || "a"
      let open: Array<Open> = []
      const forget = (topic: string) => {
        model.delete(topic)
        due.delete(topic)
        for (const { throughout } of open) throughout.delete(topic)
      }
      const expire = () => {
        for (const [topic, expiresAt] of due) if (expiresAt <= now) forget(topic)
      }
      for (let step = 0; step < 120; step++) {
        const label = () => `seed ${seed} step ${step}`
        const topic = random(3) > 0 ? topicBy() : [...model.keys()][random(model.size || 1)] ?? "a"
        switch (random(8)) {
          case 0:
          case 1:
          case 2: {
            const seconds = random(5) === 0 ? 1 + random(20) : undefined
            const message = messageOn(topic, {
              now,
              payload: `${step}`,
              ...(seconds === undefined ? {} : { expirySeconds: seconds })
            })
            const held = tree.held(topic)
            holds(tree.set(message) === held, label)
            if (model.has(topic)) holds(held === model.get(topic), label)
            forget(topic)
            model.set(topic, message)
            if (message.expiresAt !== 0) due.set(topic, message.expiresAt)
            break
          }
          case 3: {
            const known = model.get(topic)
            const deleted = tree.delete(topic)
            if (known !== undefined) holds(deleted === known, label)
            else if (deleted !== undefined) holds(deleted.isExpired(now), label)
            forget(topic)
            break
          }
          case 4: {
            const filter = filters[random(filters.length)] ?? "#"
            const throughout = new Map(model)
            open.push({ filter, cursor: tree.cursor(filter), atOpening: new Map(model), throughout, given: [] })
            break
          }
          case 5:
            now += random(5) * 1_000
            expire()
            if (random(2) === 0) tree.sweep(1 + random(30), (message) => holds(message.isExpired(now), label))
            break
          default:
            for (const one of open) {
              for (let n = random(4); n > 0; n--) {
                const message = one.cursor.next(random(3) === 0 ? 1 : undefined)
                if (message === undefined) continue
                holds(model.get(message.topic) === message, () => `${label()}: not retained any more, or expired`)
                one.given.push(message)
              }
            }
            for (const one of open) if (one.cursor.done) check(one, label())
            open = open.filter(({ cursor }) => !cursor.done)
        }
        holds(tree.get(topic) === model.get(topic), label)
      }
      for (const one of open) {
        for (let message = one.cursor.next(); message !== undefined; message = one.cursor.next()) {
          one.given.push(message)
        }
        assert.isTrue(one.cursor.done)
        check(one, `seed ${seed} at the end`)
      }
      for (const filter of filters) {
        const cursor = tree.cursor(filter)
        const found: Array<string> = []
        for (let message = cursor.next(); message !== undefined; message = cursor.next()) found.push(message.topic)
        const expected = [...model.keys()].filter((topic) => matches(filter, topic))
        assert.deepStrictEqual(found.sort(), expected.sort(), `seed ${seed}: ${filter}`)
      }
      // A sweep that has begun may have passed what expired since: to its end, and once more.
      for (let passes = 0; passes < 2;) if (tree.sweep(100, () => {})) passes++
      assert.strictEqual(tree.size, model.size, `seed ${seed}: swept`)
      assert.strictEqual(
        tree.payloadBytes,
        [...model.values()].reduce((sum, { payloadLength }) => sum + payloadLength, 0)
      )
      assert.strictEqual(tree.expiring, due.size, `seed ${seed}`)
      for (const topic of model.keys()) tree.delete(topic)
      assert.deepStrictEqual([tree.size, tree.payloadBytes, tree.expiring, tree.nodes], [0, 0, 0, 0], `seed ${seed}`)
    }
  })
})
