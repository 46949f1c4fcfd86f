// Which node has which client: claims, moves, announcements. The table alone, then directories of several nodes over a network in memory.
import { assert, describe, it } from "@effect/vitest"
import type { Members, MemberStatus } from "../../src/cluster/Bus.ts"
import type { Granted } from "../../src/cluster/sessions/Claims.ts"
import { Directory } from "../../src/cluster/sessions/Directory.ts"
import { DirectoryTable, Wanted } from "../../src/cluster/sessions/DirectoryTable.ts"
import type { Yield } from "../../src/cluster/sessions/directoryFrames.ts"
import { HybridClock, millisOfStamp } from "../../src/cluster/HybridClock.ts"
import { rendezvous } from "../../src/cluster/sessions/rendezvous.ts"
import { MemoryNetwork } from "./MemoryBus.ts"

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
    assert.deepStrictEqual([...directory.clientIds()].sort(), ["c", "d", "f"])
    take()
    // After its restart it calls what it has by another token.
    directory.release("d", "a", 0)
    assert.strictEqual(directory.holder("d"), undefined)
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

class FixedMembers implements Members {
  readonly self: string
  present: ReadonlyArray<string>
  constructor(self: string, present: ReadonlyArray<string>) {
    this.self = self
    this.present = present
  }
  status(name: string): MemberStatus | undefined {
    return this.present.includes(name) ? "alive" : undefined
  }
}

describe("Directory", () => {
  const nodes = (...names: ReadonlyArray<string>) => {
    const network = new MemoryNetwork({ delayMillis: 1 })
    const made = names.map((name) => {
      const bus = network.node(name)
      const members = new FixedMembers(name, names)
      const yields: Array<Yield> = []
      const directory = new Directory({
        bus,
        members,
        clock: new HybridClock(() => network.now),
        now: () => network.now,
        claimMillis: 5_000,
        moveMillis: 10_000,
        onYield: (order) => yields.push(order),
        judge: (_, mark, reply) => reply(mark === "ann")
      })
      bus.add(directory)
      const claim = (clientId: string, mark: string | null = null): Array<Granted> => {
        const granted: Array<Granted> = []
        directory.claim(clientId, Wanted.State, mark, (one) => granted.push(one))
        return granted
      }
      return { name, directory, members, yields, claim }
    })
    network.connectAll()
    network.advance(200)
    return { network, nodes: made, of: (name: string) => made.find((one) => one.name === name) }
  }

  const total = (all: ReturnType<typeof nodes>["nodes"]) =>
    all.reduce((sum, { directory }) => sum + directory.table.size, 0)

  it("a claim for one user alone: who has the session says whose it is, and nothing changes for a stranger", () => {
    const { network, nodes: [a, b, c] } = nodes("a", "b", "c")
    if (a === undefined || b === undefined || c === undefined) throw new Error()
    for (let index = 0; index < 30; index++) {
      const clientId = `client-${index}`
      const first = a.claim(clientId, "ann")
      network.advance(10)
      assert.deepStrictEqual(first[0]?.from, "")
      const strangers = [b.claim(clientId, "eve"), c.claim(clientId, "-")]
      network.advance(10)
      for (const granted of strangers) assert.deepStrictEqual(granted, [{ token: 0, from: "", refused: true }])
      assert.deepStrictEqual([a.yields.length, a.directory.tokenOf(clientId)], [0, first[0]?.token])
      assert.deepStrictEqual(b.directory.isClaiming(clientId), false)
    }
    const own = b.claim("client-0", "ann")
    network.advance(10)
    assert.deepStrictEqual(own[0]?.from, "a")
    assert.deepStrictEqual(a.yields.length, 1)
  })

  it("a claim finds the former holder wherever it is looked after, and a release leaves nothing", () => {
    const { network, nodes: [a, b, c], nodes: all } = nodes("a", "b", "c")
    if (a === undefined || b === undefined || c === undefined) throw new Error()
    for (let index = 0; index < 50; index++) {
      const first = a.claim(`client-${index}`)
      network.advance(10)
      assert.strictEqual(first[0]?.from, "")
      const second = b.claim(`client-${index}`)
      network.advance(10)
      assert.strictEqual(second[0]?.from, "a")
      assert.isAbove(second[0]?.token ?? 0, first[0]?.token ?? 0)
      assert.strictEqual(a.yields.at(-1)?.to, "b")
      a.directory.gaveUp(`client-${index}`)
      b.directory.settled(`client-${index}`, second[0]?.token ?? 0)
    }
    network.advance(10)
    assert.strictEqual(total(all), 50)
    assert.isTrue(all.every(({ directory }) => directory.table.moving === 0))
    for (let index = 0; index < 50; index++) b.directory.released(`client-${index}`)
    network.advance(10)
    assert.strictEqual(total(all), 0)
    assert.strictEqual(b.directory.heldCount, 0)
  })

  it("without an answer a node serves its client, and says so when there is a link again", () => {
    const { network, nodes: [a, b], nodes: all } = nodes("a", "b")
    if (a === undefined || b === undefined) throw new Error()
    const key = Array.from({ length: 100 }, (_, index) => `k${index}`).find((one) =>
      rendezvous(["a", "b"], one) === "b"
    )
    if (key === undefined) throw new Error()
    network.stall("a", "b")
    const waiting = a.claim(key)
    network.advance(4_900)
    assert.deepStrictEqual(waiting, [])
    network.advance(200)
    assert.strictEqual(waiting.length, 1)
    assert.strictEqual(waiting[0]?.from, "")
    assert.isTrue(a.directory.holds(key))
    network.disconnect("a", "b")
    const other = b.claim(key)
    network.advance(100)
    assert.strictEqual(other[0]?.from, "")
    network.connect("a", "b")
    network.advance(3_000)
    assert.deepStrictEqual(a.yields.map(({ to, wanted }) => ({ to, wanted })), [{ to: "b", wanted: Wanted.Merge }])
    assert.strictEqual(total(all), 1)
  })

  it("a claim that finds nothing waits for a node that has just come back, until it has said what it has", () => {
    const { network, nodes: [a, b, c] } = nodes("a", "b", "c")
    if (a === undefined || b === undefined || c === undefined) throw new Error()
    const key = Array.from({ length: 100 }, (_, index) => `k${index}`).find((one) =>
      rendezvous(["a", "b", "c"], one) === "c"
    )
    if (key === undefined) throw new Error()
    b.claim(key)
    network.advance(100)
    network.disconnect("b", "a")
    network.disconnect("b", "c")
    for (const { directory, members } of [a, c]) {
      members.present = ["a", "c"]
      directory.memberChanged("b", "dead")
    }
    network.advance(500)
    network.connect("b", "a")
    network.connect("b", "c")
    for (const { directory, members } of [a, c]) {
      members.present = ["a", "b", "c"]
      directory.memberChanged("b", "alive")
    }
    const granted = a.claim(key)
    network.advance(300)
    assert.deepStrictEqual(granted.map(({ from }) => from), ["b"])
  })

  it("a member that dies hides nothing: who is assigned its client ids is asked at once, and a claim under way is put to it", () => {
    const { network, nodes: [a, b, c] } = nodes("a", "b", "c")
    if (a === undefined || b === undefined || c === undefined) throw new Error()
    const keys = Array.from({ length: 100 }, (_, index) => `k${index}`).filter((one) =>
      rendezvous(["a", "b", "c"], one) === "c"
    )
    for (const key of keys) b.claim(key)
    network.advance(100)
    network.stall("a", "c")
    const underWay = keys.slice(0, 5).map((key) => a.claim(key))
    network.advance(50)
    for (const peer of ["a", "b"]) network.disconnect("c", peer)
    const after = keys.slice(5).map((key) => a.claim(key))
    network.advance(500)
    for (const granted of [...underWay, ...after]) assert.deepStrictEqual(granted.map(({ from }) => from), ["b"])
    assert.strictEqual(a.directory.unanswered, 0)
  })

  it("a node that has just started waits for those that it was told of, but not for ever", () => {
    const network = new MemoryNetwork({ delayMillis: 1 })
    const bus = network.node("a")
    const directory = new Directory({
      bus,
      members: new FixedMembers("a", ["a"]),
      clock: new HybridClock(() => network.now),
      now: () => network.now,
      claimMillis: 5_000,
      moveMillis: 10_000,
      expectsPeers: () => true,
      onYield: () => {},
      judge: () => {}
    })
    bus.add(directory)
    const granted: Array<Granted> = []
    directory.claim("k", Wanted.State, null, (one) => granted.push(one))
    network.advance(1_900)
    assert.deepStrictEqual(granted, [])
    network.advance(200)
    assert.deepStrictEqual(granted.map(({ from }) => from), [""])
  })

  it("members that come and go: each client id is known to the member that looks after it, and to no other", () => {
    const { network, nodes: [a, b, c], nodes: all } = nodes("a", "b", "c")
    if (a === undefined || b === undefined || c === undefined) throw new Error()
    for (let index = 0; index < 300; index++) (index % 2 === 0 ? a : b).claim(`client-${index}`)
    network.advance(1_000)
    assert.strictEqual(total(all), 300)
    for (const peer of ["a", "b"]) network.disconnect("c", peer)
    network.advance(3_000)
    assert.strictEqual(a.directory.table.size + b.directory.table.size, 300)
    network.connect("a", "c")
    network.connect("b", "c")
    network.advance(3_000)
    assert.strictEqual(total(all), 300)
    for (const { directory, name } of all) {
      for (const clientId of directory.table.clientIds()) {
        assert.strictEqual(rendezvous(["a", "b", "c"], clientId), name)
      }
    }
    assert.isAbove(c.directory.table.size, 60)
  })
})
