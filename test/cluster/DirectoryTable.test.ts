// Which node has which client: claims, moves, announcements. The table alone; directories of several nodes are in Directory.test.ts.
import { assert, describe, it } from "@effect/vitest"
import { DirectoryTable, Wanted } from "../../src/cluster/sessions/DirectoryTable.ts"
import { HybridClock, millisOfStamp } from "../../src/cluster/HybridClock.ts"
import { rendezvous } from "../../src/cluster/sessions/rendezvous.ts"

describe("HybridClock", () => {
  it("never goes back, follows what it has seen, and does not follow what is a day ahead", () => {
    let now = 1_000_000_000_000
    const clock = new HybridClock(() => now)
    const first = clock.next()
    assert.strictEqual(millisOfStamp(first), now)
    now -= 600_000
    assert.isAbove(clock.next(), first)
    const ahead = (now + 1_200_000) * 1024
    assert.isTrue(clock.observe(ahead))
    assert.isAbove(clock.next(), ahead)
    const last = clock.next()
    assert.isFalse(clock.observe((now + 2 * 86_400_000) * 1024))
    assert.strictEqual(clock.next(), last + 1)
  })
})

describe("rendezvous", () => {
  it("spreads keys evenly, and moves only those of a member that comes or goes", () => {
    const members = ["a", "b", "c", "d", "e"]
    const counts = new Map<string, number>()
    let moved = 0
    for (let index = 0; index < 10_000; index++) {
      const key = `device-${index}`
      const owner = rendezvous(members, key)
      counts.set(owner, (counts.get(owner) ?? 0) + 1)
      const without = rendezvous(members.filter((one) => one !== "c"), key)
      if (owner === "c") moved++
      else assert.strictEqual(without, owner)
    }
    assert.strictEqual(moved, counts.get("c"))
    for (const member of members) {
      assert.isAbove(counts.get(member) ?? 0, 1_800, member)
      assert.isBelow(counts.get(member) ?? 0, 2_200, member)
    }
  })
})

describe("DirectoryTable", () => {
  const table = () => {
    const said: Array<string> = []
    const gone = new Set<string>()
    const directory = new DirectoryTable(
      new HybridClock(() => 1),
      {
        answer: ({ claimant, request }, token, from) =>
          said.push(`${claimant}#${request} ${token === 0 ? "superseded" : from === "" ? "alone" : `from ${from}`}`),
        yieldTo: (holder, clientId, _, to, wanted) =>
          said.push(`${holder} gives ${clientId} to ${to}, ${["state", "end", "merge"][wanted]}`),
        reachable: (node) => !gone.has(node)
      },
      10_000
    )
    const claim = (claimant: string, request: number, wanted: Wanted = Wanted.State, now = 0) =>
      directory.claim({ clientId: "c", claimant, request, wanted }, now)
    const take = () => said.splice(0)
    return { directory, claim, take, gone }
  }

  it("one move at a time: the newest claim waits for its end, the others are superseded", () => {
    const { claim, directory, take } = table()
    claim("a", 1)
    assert.deepStrictEqual(take(), ["a#1 alone"])
    claim("b", 1)
    assert.deepStrictEqual(take(), ["b#1 from a", "a gives c to b, state"])
    claim("c", 1)
    claim("a", 2)
    claim("c", 2)
    assert.deepStrictEqual(take(), ["c#1 superseded"])
    directory.settled("c", "b", 1024, 0)
    assert.deepStrictEqual(take(), [], "an older token settles nothing")
    directory.settled("c", "b", 1025, 0)
    assert.deepStrictEqual(take(), ["a#2 superseded", "c#2 from b", "b gives c to c, state"])
    assert.strictEqual(directory.holder("c"), "c")
  })

  it("a move that takes too long is not waited for, nor a node that is gone", () => {
    const { claim, directory, gone, take } = table()
    claim("a", 1)
    claim("b", 1)
    claim("c", 1, Wanted.End)
    take()
    directory.tick(9_999)
    assert.deepStrictEqual(take(), [])
    directory.tick(10_000)
    assert.deepStrictEqual(take(), ["c#1 from b", "b gives c to c, end"])
    claim("a", 2, Wanted.State, 10_000)
    directory.nodeGone("c", 10_000)
    assert.deepStrictEqual(take(), ["a#2 alone"], "what it had is not waited for")
    gone.add("a")
    claim("b", 2)
    assert.deepStrictEqual(take(), ["b#2 alone"], "a holder without a link gives nothing up")
    claim("c", 2)
    claim("d", 1)
    take()
    directory.linkDown("c", 0)
    assert.deepStrictEqual(take(), ["d#1 from c", "c gives c to d, state"], "a move to a node without a link has ended")
  })

  it("of two that have it the greater token keeps it and is owed what the other has", () => {
    const { directory, take } = table()
    directory.announce("c", "a", 500, 0)
    directory.announce("c", "b", 700, 0)
    assert.deepStrictEqual(take(), ["a gives c to b, merge"])
    directory.announce("c", "d", 600, 0)
    assert.deepStrictEqual(take(), [], "one after the other")
    directory.settled("c", "b", 700, 0)
    assert.deepStrictEqual(take(), ["d gives c to b, merge"])
    directory.settled("c", "b", 700, 0)
    directory.announce("c", "b", 700, 0)
    assert.deepStrictEqual([take(), directory.moving], [[], 0])
    assert.strictEqual(directory.holder("c"), "b")
    directory.release("c", "b", 500)
    assert.strictEqual(directory.size, 1, "an older token releases nothing")
    directory.release("c", "b", 700)
    assert.strictEqual(directory.size, 0)
  })

  it("a claim waits for a merge to end, and is served before the next one", () => {
    const { claim, directory, take } = table()
    directory.announce("c", "a", 500, 0)
    directory.announce("c", "b", 700, 0)
    directory.announce("c", "d", 600, 0)
    take()
    claim("e", 1)
    assert.deepStrictEqual(take(), [])
    directory.settled("c", "b", 700, 0)
    assert.deepStrictEqual(take(), ["e#1 from b", "b gives c to e, state"])
    directory.settled("c", "e", directory.tokenOf("c"), 0)
    assert.deepStrictEqual(take(), ["d gives c to e, merge"])
  })

  it("what a node does not name any more after its link is new has ended, but for what it has claimed since", () => {
    const { claim, directory, take } = table()
    for (const clientId of ["c", "d", "e"]) directory.announce(clientId, "a", 500, 0)
    directory.announce("f", "b", 500, 0)
    directory.doubt("a")
    directory.announce("d", "a", 0, 0)
    claim("a", 1)
    directory.confirmed("a")
    assert.deepStrictEqual(["c", "d", "e", "f"].map((one) => directory.holder(one)), ["a", "a", undefined, "b"])
    while (directory.sweep(2));
    assert.deepStrictEqual([...directory.clientIds()].sort(), ["c", "d", "f"])
    take()
    // After its restart it calls what it has by another token.
    directory.release("d", "a", 0)
    assert.strictEqual(directory.holder("d"), undefined)
  })

  it("what a node had that is gone is nobody's at once, and is taken out bit by bit", () => {
    const { claim, directory, take } = table()
    for (let index = 0; index < 100; index++) directory.announce(`k${index}`, "a", 500, 0)
    directory.announce("c", "a", 500, 0)
    directory.announce("d", "b", 500, 0)
    directory.nodeGone("a", 0)
    assert.deepStrictEqual([directory.holder("k0"), directory.tokenOf("k0"), directory.size], [undefined, 0, 102])
    claim("b", 1)
    directory.announce("k1", "b", 400, 0)
    directory.release("k2", "a", 900)
    assert.deepStrictEqual(take(), ["b#1 alone"])
    assert.isTrue(directory.sweep(50))
    assert.isAbove(directory.size, 50, "no more than it was asked for")
    // It is back, with some of what it had, before all of that was seen.
    directory.announce("k99", "a", 500, 0)
    directory.nodeGone("e", 0)
    while (directory.sweep(50));
    const left = [...directory.clientIds()].map((clientId) => [clientId, directory.holder(clientId)])
    assert.deepStrictEqual(left.sort(), [["c", "b"], ["d", "b"], ["k1", "b"], ["k99", "a"]])
  })

  it("a former holder that cannot reach the claimant ends the move, and the session stays where it was claimed", () => {
    const { claim, directory, take } = table()
    claim("a", 1)
    claim("b", 1)
    claim("c", 1)
    take()
    directory.settled("c", "c", directory.tokenOf("c"), 0)
    assert.deepStrictEqual(take(), [], "neither of the two")
    directory.settled("c", "a", directory.tokenOf("c"), 0)
    assert.deepStrictEqual(take(), ["c#1 from b", "b gives c to c, state"])
  })

  it("who keeps a session that could not be given to a node has it while that node is away, and the other is merged when it is back", () => {
    const { directory, gone, take } = table()
    directory.announce("c", "b", 700, 0)
    gone.add("b")
    directory.announce("c", "a", 500, 0)
    assert.deepStrictEqual(take(), [], "nothing can be given to who is away")
    assert.strictEqual(directory.holder("c"), "a")
    gone.delete("b")
    directory.announce("c", "b", 0, 0)
    assert.deepStrictEqual(take(), ["b gives c to a, merge"])
  })
})
