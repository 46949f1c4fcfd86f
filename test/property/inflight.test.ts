import { assert, describe, it } from "@effect/vitest"
import { Message } from "../../src/mqtt/Message.ts"
import { ExchangeState, type InflightEntry, InflightWindow } from "../../src/session/InflightWindow.ts"

const message = Message.make({
  topic: "t",
  payload: Buffer.from("x"),
  qos: 2,
  retain: false,
  publisher: "p",
  properties: null,
  now: 0
})

/** A seeded generator: a failing seed is in the message and can be run again. */
const randomOf = (seed: number) => {
  let state = seed * 2_654_435_761 >>> 0
  return (n: number) => (state = (state * 1_664_525 + 1_013_904_223) >>> 0) % n
}

describe("InflightWindow against a model", () => {
  it("[MQTT-2.3.1-4] [MQTT5-2.2.1-4] an identifier in use is never given again; order and lookup hold (1,000 runs)", () => {
    for (let seed = 1; seed <= 1_000; seed++) {
      const random = randomOf(seed)
      const capacity = 1 + random(40)
      const window = new InflightWindow(capacity)
      const model = new Map<number, InflightEntry>()
      for (let step = 0; step < 200; step++) {
        if (random(2) === 0 && !window.isFull) {
          const entry = window.open(message, null, random(2) === 0 ? 1 : 2, false, step)
          assert.isFalse(
            model.has(entry.packetIdentifier),
            `seed ${seed}: identifier ${entry.packetIdentifier} given twice`
          )
          assert.isAtLeast(entry.packetIdentifier, 1)
          assert.isAtMost(entry.packetIdentifier, 65_535)
          model.set(entry.packetIdentifier, entry)
        } else if (model.size > 0) {
          const [identifier] = [...model.keys()].slice(random(model.size))
          if (identifier === undefined) continue
          const entry = window.get(identifier)
          assert.strictEqual(entry, model.get(identifier), `seed ${seed}`)
          if (entry !== undefined) window.close(entry)
          model.delete(identifier)
          assert.isUndefined(window.get(identifier), `seed ${seed}: found after its end`)
        }
        assert.strictEqual(window.size, model.size)
        assert.strictEqual(window.isFull, model.size >= capacity)
      }
      const ordered = window.inOrder()
      assert.deepStrictEqual(ordered.map((e) => e.order), [...model.values()].map((e) => e.order).sort((a, b) => a - b))
    }
  })

  it("identifiers wrap from 65,535 to 1 and pass over one that stays open", () => {
    const window = new InflightWindow(4)
    const stuck = window.open(message, null, 1, false, 0)
    let wrapped = 0
    let last = stuck.packetIdentifier
    for (let i = 0; i < 140_000; i++) {
      const entry = window.open(message, null, 1, false, 0)
      assert.notStrictEqual(entry.packetIdentifier, stuck.packetIdentifier)
      if (entry.packetIdentifier < last) wrapped++
      last = entry.packetIdentifier
      window.close(entry)
    }
    assert.strictEqual(wrapped, 2)
    assert.strictEqual(window.get(stuck.packetIdentifier), stuck)
  })

  it("states follow the QoS", () => {
    const window = new InflightWindow(4)
    assert.strictEqual(window.open(message, null, 1, false, 0).state, ExchangeState.AwaitingPuback)
    assert.strictEqual(window.open(message, null, 2, false, 0).state, ExchangeState.AwaitingPubrec)
  })
})
