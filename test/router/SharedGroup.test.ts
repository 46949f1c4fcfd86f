import { assert, describe, it } from "@effect/vitest"
import type { SharedStrategy } from "../../src/config/Settings.ts"
import { SharedGroup } from "../../src/router/SharedGroup.ts"
import { messageOn, randomOf, Recorder, subscription } from "./recorder.ts"

const strategies: ReadonlyArray<SharedStrategy> = [
  "random",
  "round_robin",
  "sticky",
  "hash_clientid",
  "hash_topic",
  "local"
]

const groupOf = (strategy: SharedStrategy, count: number, seed = 1) => {
  const random = randomOf(seed)
  const group = new SharedGroup("g", "x/+", strategy, () => random(1 << 30) / (1 << 30))
  const members = Array.from({ length: count }, (_, n) => new Recorder(`m${n}`))
  for (const member of members) group.join(member, subscription("$share/g/x/+"))
  return { group, members }
}

const picked = (group: SharedGroup, message = messageOn("x/y"), except?: Recorder): string | undefined =>
  group.pick(message, except)?.subscriber.clientId

describe("SharedGroup", () => {
  it("round_robin and local take turns", () => {
    for (const strategy of ["round_robin", "local"] as const) {
      const { group } = groupOf(strategy, 3)
      assert.deepStrictEqual([1, 2, 3, 4, 5].map(() => picked(group)), ["m0", "m1", "m2", "m0", "m1"])
    }
  })

  it("random gives each its share", () => {
    const { group, members } = groupOf("random", 4)
    const counts = new Map<string | undefined, number>()
    for (let n = 0; n < 4_000; n++) {
      const id = picked(group)
      counts.set(id, (counts.get(id) ?? 0) + 1)
    }
    for (const { clientId } of members) assert.closeTo(counts.get(clientId) ?? 0, 1_000, 150)
  })

  it("sticky stays with one until it disconnects or leaves", () => {
    const { group, members } = groupOf("sticky", 5)
    const first = picked(group)
    for (let n = 0; n < 20; n++) assert.strictEqual(picked(group), first)
    const favourite = members.find(({ clientId }) => clientId === first)
    if (favourite === undefined) return assert.fail("picked nobody")
    favourite.connected = false
    const second = picked(group)
    assert.notStrictEqual(second, first)
    favourite.connected = true
    assert.strictEqual(picked(group), second, "it does not go back")
    const other = members.find(({ clientId }) => clientId === second)
    if (other === undefined) return assert.fail("picked nobody")
    group.leave(other)
    const third = picked(group)
    assert.notStrictEqual(third, second)
    assert.strictEqual(picked(group), third)
  })

  it("sticky forgets a favourite that left, also when it comes back", () => {
    const group = new SharedGroup("g", "x", "sticky", () => 0)
    const members = ["m0", "m1", "m2"].map((id) => new Recorder(id))
    for (const member of members) group.join(member, subscription("$share/g/x"))
    assert.strictEqual(picked(group), "m0")
    const [first] = members
    if (first === undefined) return
    group.leave(first)
    group.join(first, subscription("$share/g/x"))
    // m2 took the place that became free.
    assert.strictEqual(picked(group), "m2")
  })

  it("hash_clientid keeps a publisher, hash_topic a topic, on one member, and spreads them over all", () => {
    for (const strategy of ["hash_clientid", "hash_topic"] as const) {
      const { group, members } = groupOf(strategy, 4)
      const by = (n: number) =>
        strategy === "hash_topic" ? messageOn(`x/${n}`) : messageOn("x/y", { publisher: `p${n}` })
      const counts = new Map<string | undefined, number>()
      for (let n = 0; n < 2_000; n++) {
        const id = picked(group, by(n))
        assert.strictEqual(picked(group, by(n)), id)
        counts.set(id, (counts.get(id) ?? 0) + 1)
      }
      for (const { clientId } of members) assert.closeTo(counts.get(clientId) ?? 0, 500, 120, strategy)
    }
  })

  it("a disconnected member is passed over while another is connected, and queues when none is", () => {
    for (const strategy of strategies) {
      const { group, members } = groupOf(strategy, 4)
      const [, , connected] = members
      for (const member of members) member.connected = member === connected
      for (let n = 0; n < 20; n++) assert.strictEqual(picked(group), "m2", strategy)
      if (connected !== undefined) connected.connected = false
      for (let n = 0; n < 20; n++) assert.isDefined(picked(group), strategy)
    }
  })

  it("nobody connected: round_robin still takes turns", () => {
    const { group, members } = groupOf("round_robin", 3)
    for (const member of members) member.connected = false
    assert.deepStrictEqual([1, 2, 3, 4].map(() => picked(group)), ["m0", "m1", "m2", "m0"])
  })

  it("except is never picked; nobody else means nobody", () => {
    for (const strategy of strategies) {
      for (const connected of [true, false]) {
        const { group, members } = groupOf(strategy, 3)
        const [except] = members
        if (except === undefined) return
        for (const member of members) member.connected = connected
        for (let n = 0; n < 50; n++) {
          const id = picked(group, messageOn(`x/${n}`, { publisher: `p${n}` }), except)
          assert.isDefined(id)
          assert.notStrictEqual(id, "m0", `${strategy} ${connected}`)
        }
        for (const member of members) if (member !== except) group.leave(member)
        assert.isUndefined(picked(group, messageOn("x/y"), except), strategy)
        group.leave(except)
        assert.isUndefined(picked(group), strategy)
      }
    }
  })

  it("redispatch gives the message to another connected member, and to nobody when there is none", () => {
    for (const strategy of strategies) {
      const { group, members } = groupOf(strategy, 3)
      const [from, away, other] = members
      if (from === undefined || away === undefined || other === undefined) return
      from.connected = false
      away.connected = false
      const message = messageOn("x/y")
      assert.isTrue(group.redispatch(message, from))
      assert.strictEqual(other.got[0]?.message, message)
      assert.strictEqual(other.got[0]?.route.group, group)
      other.connected = false
      from.connected = true
      assert.isFalse(group.redispatch(message, from), strategy)
      assert.deepStrictEqual([from, away, other].map(({ got }) => got.length), [0, 0, 1], strategy)
    }
  })

  it("[MQTT-4.8.2-3] each member has the QoS it was granted; joining again replaces its options in its place", () => {
    const { group, members } = groupOf("round_robin", 3)
    const [, second] = members
    if (second === undefined) return
    assert.isTrue(group.join(second, subscription("$share/g/x/+", { qos: 2, subscriptionIdentifier: 8 })))
    assert.strictEqual(group.size, 3)
    const routes = [1, 2, 3].map(() => group.pick(messageOn("x/y")))
    assert.deepStrictEqual(routes.map((route) => route?.qos), [1, 2, 1])
    assert.deepStrictEqual(routes[1]?.subscriptionIdentifiers, [8])
    assert.strictEqual(routes[1]?.topicFilter, "$share/g/x/+")
  })

  it("No Local means nothing in a shared subscription", () => {
    const group = new SharedGroup("g", "x", "round_robin", Math.random)
    const member = new Recorder("m")
    group.join(member, subscription("$share/g/x", { noLocal: true }))
    const route = group.pick(messageOn("x", { publisher: "m" }))
    assert.strictEqual(route?.forOwn, route)
  })
})
