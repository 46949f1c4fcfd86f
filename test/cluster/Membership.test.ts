// Who is in the cluster: joining, death, return, leaving, splits, over the network in memory.
import { assert, describe, it } from "@effect/vitest"
import { BodyReader } from "../../src/cluster/BodyReader.ts"
import { BodyWriter } from "../../src/cluster/BodyWriter.ts"
import type { MemberStatus } from "../../src/cluster/Bus.ts"
import { GossipQueue } from "../../src/cluster/membership/GossipQueue.ts"
import { type MemberEntry, MemberTable, readEntry, writeEntry } from "../../src/cluster/membership/MemberTable.ts"
import { MemberSwarm, nameOf } from "./MemberSwarm.ts"

const [a, b, c] = [nameOf(0), nameOf(1), nameOf(2)]

const joined = (members: number, given: Partial<ConstructorParameters<typeof MemberSwarm>[0]> = {}): MemberSwarm => {
  const swarm = new MemberSwarm({ members, ...given })
  swarm.seedAll()
  assert.isDefined(swarm.until(() => swarm.converged && swarm.isMesh, 10_000), "all found each other")
  for (const { events } of swarm.members.values()) events.length = 0
  return swarm
}

const eventsOf = (swarm: MemberSwarm, name: string): ReadonlyArray<string> => swarm.members.get(name)?.events ?? []

describe("Membership", () => {
  it("who names one member finds all, and all connect to all", () => {
    const swarm = joined(5)
    swarm.advance(1_000)
    for (const { node } of swarm.members.values()) assert.strictEqual(node.peers.size, 4)
    assert.deepStrictEqual(swarm.members.get(b)?.membership.present, [0, 1, 2, 3, 4].map(nameOf))
    assert.strictEqual(swarm.members.get(b)?.membership.table.get(c)?.address, `${c}:4370`)
  })

  it("a member that was killed is dead for all after the suspicion, and alive again when it comes back", () => {
    const swarm = joined(3)
    swarm.kill(b)
    const took = swarm.until(() => swarm.agree(b, "dead"), 20_000)
    assert.isDefined(took)
    assert.isAtLeast(took, 5_000)
    assert.deepStrictEqual(eventsOf(swarm, a).slice(-2), [`${b} suspect`, `${b} dead`])
    assert.deepStrictEqual(swarm.members.get(a)?.membership.present, [a, c])
    swarm.start(b).want(c)
    assert.isDefined(swarm.until(() => swarm.converged, 10_000))
    assert.deepStrictEqual(eventsOf(swarm, a).slice(-1), [`${b} alive`])
  })

  it("a blip of 800 ms, of all links of a member at once, is not a death", () => {
    const swarm = joined(3)
    for (let round = 0; round < 5; round++) {
      swarm.split([b], [a, c])
      swarm.advance(800)
      swarm.heal()
      swarm.advance(6_000)
    }
    assert.isTrue(swarm.converged)
    for (const name of [a, b, c]) {
      assert.deepStrictEqual(eventsOf(swarm, name).filter((event) => event.endsWith("dead")), [])
    }
  })

  it("two parts that have buried each other and meet again: nobody takes one that it has a link to for dead", () => {
    for (let seed = 1; seed <= 10; seed++) {
      const swarm = joined(3, { seed })
      swarm.split([c], [a, b])
      assert.isDefined(swarm.until(() => swarm.agree(c, "dead", [a, b]) && swarm.agree(a, "dead", [c]), 20_000))
      swarm.heal()
      assert.isDefined(swarm.until(() => swarm.converged && swarm.isMesh, 20_000))
      swarm.advance(10_000)
      assert.isTrue(swarm.converged)
      for (const [one, other] of [[a, b], [b, a]] as const) {
        assert.notInclude(eventsOf(swarm, one), `${other} dead`, `seed ${seed}`)
      }
    }
  })

  it("a link that breaks between two who reach each other by a third costs nobody his place", () => {
    const swarm = joined(3)
    swarm.cut = (one, other) => [one, other].every((name) => name !== c)
    swarm.network.disconnect(a, b)
    swarm.advance(60_000)
    assert.isTrue(swarm.converged)
    for (const name of [a, b, c]) {
      assert.deepStrictEqual(eventsOf(swarm, name).filter((event) => event.endsWith("suspect")), [])
    }
  })

  it("a member that answers nothing although its links are up is found dead", () => {
    const swarm = joined(3)
    for (const other of [a, c]) swarm.network.stall(b, other)
    assert.isDefined(swarm.until(() => swarm.agree(b, "dead", [a, c]), 20_000))
    // Each closes its own link: what it hears of the death from the other one is a suspicion to it.
    for (const other of [a, c]) assert.deepStrictEqual(swarm.members.get(other)?.buried, [b])
    for (const other of [a, c]) swarm.network.resume(b, other)
    assert.isDefined(swarm.until(() => swarm.converged, 10_000), "it objects when it is heard again")
  })

  it("a node that slept itself does not take the others for dead", () => {
    const swarm = joined(2)
    const sleeper = swarm.members.get(a)
    assert.isDefined(sleeper)
    // It has asked the other one, and falls asleep before the answer has come.
    swarm.network.stall(a, b)
    swarm.advance(1_000)
    sleeper.membership.tick(swarm.network.now + 60_000)
    sleeper.membership.tick(swarm.network.now + 60_100)
    assert.deepStrictEqual(sleeper.events, [])
  })

  it("who leaves is gone at once, is not called, and may come again", () => {
    const swarm = joined(3)
    swarm.members.get(b)?.membership.leave()
    swarm.advance(100)
    assert.isTrue(swarm.agree(b, undefined, [a, c]))
    assert.deepStrictEqual(eventsOf(swarm, a).slice(-1), [`${b} left`])
    swarm.kill(b)
    swarm.advance(30_000)
    assert.deepStrictEqual(eventsOf(swarm, a).slice(-1), [`${b} left`])
    assert.isFalse(swarm.members.get(a)?.wanted.has(b))
    swarm.start(b).want(a)
    assert.isDefined(swarm.until(() => swarm.converged, 10_000))
  })

  it("only a dead member is removed, and then it is gone everywhere", () => {
    const swarm = joined(3)
    const membership = swarm.members.get(a)?.membership
    assert.match(membership?.remove(b) ?? "", /it is alive/)
    assert.match(membership?.remove("nobody") ?? "", /no such member/)
    swarm.kill(b)
    swarm.until(() => swarm.agree(b, "dead"), 20_000)
    assert.isUndefined(membership?.remove(b))
    assert.isDefined(swarm.until(() => swarm.agree(b, undefined), 2_000))
    assert.deepStrictEqual(eventsOf(swarm, c).slice(-1), [`${b} left`])
  })

  it("a dead member is forgotten after its time, by all, also by those who hear of it late", () => {
    const swarm = joined(3, { forgetAfterMillis: 60_000 })
    swarm.kill(b)
    swarm.advance(70_000)
    assert.isTrue(swarm.agree(b, undefined))
    assert.deepStrictEqual(eventsOf(swarm, a).slice(-1), [`${b} forgotten`])
    assert.isFalse(swarm.members.get(a)?.wanted.has(b))
    swarm.advance(60_000)
    assert.isTrue(swarm.agree(b, undefined))
  })

  it("two halves that have buried each other heal, ten times in a row", () => {
    const swarm = joined(5)
    for (let round = 0; round < 10; round++) {
      swarm.split([0, 1].map(nameOf), [2, 3, 4].map(nameOf))
      assert.isDefined(swarm.until(() => swarm.agree(a, "dead", [2, 3, 4].map(nameOf)), 30_000))
      assert.isDefined(swarm.until(() => swarm.members.get(a)?.membership.seesMajority === false, 10_000))
      assert.isTrue(swarm.members.get(c)?.membership.seesMajority)
      swarm.heal()
      assert.isDefined(swarm.until(() => swarm.converged, 10_000), `round ${round}`)
      swarm.advance(100)
      assert.isTrue(swarm.members.get(a)?.membership.seesMajority)
    }
  })

  it("a member whose clock was set back between two lives is taken in all the same", () => {
    const swarm = joined(3)
    swarm.kill(b)
    swarm.until(() => swarm.agree(b, "dead"), 20_000)
    swarm.start(b, 0).want(a)
    assert.isDefined(swarm.until(() => swarm.agree(b, "alive") && swarm.isMesh, 10_000))
    swarm.kill(b)
    assert.isDefined(swarm.until(() => swarm.agree(b, "dead"), 20_000))
  })

  it("no more members than the limit", () => {
    const swarm = new MemberSwarm({ members: 6, maxMembers: 4 })
    swarm.seedAll()
    swarm.advance(20_000)
    for (const { membership } of swarm.members.values()) assert.isAtMost(membership.table.members.size, 4)
  })
})

describe("MemberTable", () => {
  const entry = (epoch: number, incarnation: number, status: MemberStatus): MemberEntry => ({
    name: "x",
    epoch,
    incarnation,
    status,
    address: "h:1",
    ageSeconds: 0
  })
  const news = [1, 2].flatMap((epoch) =>
    [0, 1, 2].flatMap((incarnation) =>
      (["alive", "suspect", "dead", "left"] as const).map((status) => entry(epoch, incarnation, status))
    )
  )

  it("any order of news ends in the same", () => {
    const random = (() => {
      let state = 7
      return () => (state = Math.imul(state, 1_103_515_245) + 12_345 >>> 0) / 2 ** 32
    })()
    for (let round = 0; round < 200; round++) {
      const table = new MemberTable(10, 1e9)
      for (const one of news.map((one) => [random(), one] as const).sort(([x], [y]) => x - y)) table.apply(one[1], 5)
      assert.deepInclude(table.get("x"), { epoch: 2, incarnation: 2, status: "left" })
      assert.strictEqual(table.digest, 0)
      assert.deepStrictEqual(table.present, [])
    }
  })

  it("who has spoken between two suspicions has all the time again", () => {
    const table = new MemberTable(10, 1e9)
    table.apply(entry(1, 0, "suspect"), 1_000)
    table.apply(entry(1, 0, "suspect"), 4_000)
    assert.strictEqual(table.get("x")?.since, 1_000)
    table.apply(entry(1, 2, "suspect"), 5_000)
    assert.strictEqual(table.get("x")?.since, 5_000)
  })

  it("its digest is that of those who are present, however they came", () => {
    const [one, other] = [new MemberTable(10, 1e9), new MemberTable(10, 1e9)]
    one.apply(entry(1, 0, "alive"), 1)
    one.apply(entry(1, 0, "dead"), 1)
    one.apply(entry(2, 0, "alive"), 1)
    other.apply(entry(2, 0, "alive"), 9)
    assert.strictEqual(one.digest, other.digest)
    assert.notStrictEqual(one.digest, 0)
    other.apply({ ...entry(1, 0, "dead"), name: "y" }, 9)
    assert.strictEqual(one.digest, other.digest)
    other.apply(entry(2, 1, "alive"), 9)
    assert.notStrictEqual(one.digest, other.digest)
  })

  it("an entry is read as it was written; another status than there is throws", () => {
    const writer = new BodyWriter()
    const written = { ...entry(1_700_000_000_000, 4_000_000_000, "dead"), ageSeconds: 86_400 }
    writeEntry(writer, written)
    assert.deepStrictEqual(readEntry(new BodyReader(Buffer.from(writer.written()))), written)
    const bytes = Buffer.from(writer.written())
    bytes[3 + 8 + 4] = 9
    assert.throws(() => readEntry(new BodyReader(bytes)), RangeError)
  })
})

describe("GossipQueue", () => {
  it("passes each piece on often enough, the new ones first, and the latest about a member alone", () => {
    const queue = new GossipQueue()
    const entry = (name: string, incarnation: number): MemberEntry => ({
      name,
      epoch: 1,
      incarnation,
      status: "alive",
      address: "",
      ageSeconds: 0
    })
    queue.add(entry("a", 1))
    assert.deepStrictEqual(queue.take(1, 9).map(({ name }) => name), ["a"])
    queue.add(entry("b", 1))
    assert.deepStrictEqual(queue.take(1, 9).map(({ name }) => name), ["b"])
    queue.add(entry("a", 2))
    assert.deepStrictEqual(queue.take(2, 9).map(({ incarnation, name }) => `${name}${incarnation}`).toSorted(), [
      "a2",
      "b1"
    ])
    for (let left = 0; left < 3; left++) queue.take(2, 9)
    assert.strictEqual(queue.size, 0, "four times each in a cluster of nine")
  })
})
