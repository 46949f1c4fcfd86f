import { assert, describe, it } from "@effect/vitest"
import { Message } from "../../src/mqtt/Message.ts"
import type { QoS } from "../../src/mqtt/Packet.ts"
import { Route } from "../../src/router/Route.ts"
import { OutgoingQueue } from "../../src/session/OutgoingQueue.ts"

const subscription = {
  topicFilter: "#",
  filter: "#",
  group: undefined,
  local: false,
  qos: 2,
  noLocal: false,
  retainAsPublished: false,
  retainHandling: 0,
  subscriptionIdentifier: 0
} as const
const route = Route.of({ clientId: "c", connected: false, deliver: () => {} }, subscription, undefined)
const message = (topic: string, qos: QoS = 1) =>
  Message.make({ topic, payload: Buffer.from("x"), qos, retain: false, publisher: "p", properties: null, now: 0 })
const drain = (queue: OutgoingQueue) => {
  const topics: Array<string> = []
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) topics.push(next.message.topic)
  return topics
}

describe("OutgoingQueue", () => {
  it("[MQTT-4.6.0-6] first in, first out", () => {
    const queue = new OutgoingQueue(10, "drop_oldest")
    for (const topic of ["a", "b", "c"]) assert.isUndefined(queue.push(message(topic), route))
    assert.strictEqual(queue.peek()?.message.topic, "a")
    assert.deepStrictEqual(drain(queue), ["a", "b", "c"])
    assert.strictEqual(queue.size, 0)
  })

  it("drop_oldest_qos0_first gives up QoS 0 before anything that is owed, then the oldest", () => {
    const queue = new OutgoingQueue(3, "drop_oldest_qos0_first")
    queue.push(message("a", 1), route)
    queue.push(message("b", 0), route)
    queue.push(message("c", 1), route)
    assert.strictEqual(queue.push(message("d", 1), route)?.message.topic, "b")
    assert.strictEqual(queue.qos0Size, 0)
    assert.strictEqual(queue.push(message("e", 1), route)?.message.topic, "a")
    assert.deepStrictEqual(drain(queue), ["c", "d", "e"])
  })

  it("drop_newest keeps what it has", () => {
    const queue = new OutgoingQueue(1, "drop_newest")
    queue.push(message("a"), route)
    assert.strictEqual(queue.push(message("b"), route)?.message.topic, "b")
    assert.deepStrictEqual(drain(queue), ["a"])
  })

  it("a message whose route has QoS 0 counts as QoS 0", () => {
    const qos0 = Route.of(
      { clientId: "c", connected: false, deliver: () => {} },
      { ...subscription, qos: 0 },
      undefined
    )
    const queue = new OutgoingQueue(2, "drop_oldest_qos0_first")
    queue.push(message("a", 1), route)
    queue.push(message("b", 2), qos0)
    assert.strictEqual(queue.push(message("c", 1), route)?.message.topic, "b")
  })

  it("removeWhere takes out what is not wanted and keeps the order of the rest", () => {
    const queue = new OutgoingQueue(10, "drop_oldest")
    for (const topic of ["a", "b", "c", "d"]) queue.push(message(topic), route)
    queue.shift()
    const removed = queue.removeWhere((delivery) => delivery.message.topic === "c")
    assert.deepStrictEqual(removed.map((delivery) => delivery.message.topic), ["c"])
    assert.deepStrictEqual(drain(queue), ["b", "d"])
  })

  it("against a plain array: 1,000 random runs with each policy", () => {
    for (const policy of ["drop_oldest", "drop_oldest_qos0_first", "drop_newest"] as const) {
      for (let seed = 1; seed <= 1_000; seed++) {
        let state = seed * 2_654_435_761 >>> 0
        const random = (n: number) => (state = (state * 1_664_525 + 1_013_904_223) >>> 0) % n
        const capacity = 1 + random(100)
        const queue = new OutgoingQueue(capacity, policy)
        let model: Array<Message> = []
        for (let step = 0; step < 150; step++) {
          if (random(3) > 0) {
            const next = message(`t${step}`, random(2) as QoS)
            const dropped = queue.push(next, route)?.message
            let expected: Message | undefined
            if (model.length < capacity) model.push(next)
            else if (policy === "drop_newest") expected = next
            else {
              const victim = policy === "drop_oldest" ? 0 : Math.max(0, model.findIndex((m) => m.qos === 0))
              expected = model[victim]
              model = [...model.filter((_, i) => i !== victim), next]
            }
            assert.strictEqual(dropped, expected)
          } else assert.strictEqual(queue.shift()?.message, model.shift())
          assert.strictEqual(queue.size, model.length)
          assert.strictEqual(queue.qos0Size, model.filter((m) => m.qos === 0).length)
        }
      }
    }
  })
})
