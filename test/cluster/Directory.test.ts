// Which node has which client: directories of several nodes over a network in memory, that loses links and has full queues.
import { assert, describe, it } from "@effect/vitest"
import { FrameKind, type Members, type MemberStatus } from "../../src/cluster/Bus.ts"
import type { Granted } from "../../src/cluster/sessions/Claims.ts"
import { Directory } from "../../src/cluster/sessions/Directory.ts"
import { Wanted } from "../../src/cluster/sessions/DirectoryTable.ts"
import type { Yield } from "../../src/cluster/sessions/directoryFrames.ts"
import { HybridClock } from "../../src/cluster/HybridClock.ts"
import { rendezvous } from "../../src/cluster/sessions/rendezvous.ts"
import { MemoryNetwork } from "./MemoryBus.ts"

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

  const keysOf = (member: string, count: number, tail = "") =>
    Array.from({ length: count * 6 }, (_, index) => `k${index}${tail}`)
      .filter((one) => rendezvous(["a", "b", "c"], one) === member).slice(0, count)

  it("a peer whose queue is full keeps nobody else waiting, and hears the rest when it has room", () => {
    const { network, nodes: all, nodes: [a, b, c] } = nodes("a", "b", "c")
    if (a === undefined || b === undefined || c === undefined) throw new Error()
    network.disconnect("a", "b")
    network.disconnect("a", "c")
    a.directory.restored(Array.from({ length: 30_000 }, (_, index) => ({ clientId: `client-${index}`, token: index })))
    network.connect("a", "c")
    network.congest("a", "c", true)
    network.connect("a", "b")
    network.advance(3_000)
    const owed = (member: string) =>
      Array.from({ length: 30_000 }, (_, index) => rendezvous(["a", "b", "c"], `client-${index}`)).filter((one) =>
        one === member
      ).length
    assert.strictEqual(b.directory.table.size, owed("b"))
    assert.isTrue(b.directory.view.hasTold("a"))
    assert.isFalse(c.directory.view.hasTold("a"))
    network.congest("a", "c", false)
    network.advance(3_000)
    assert.isTrue(c.directory.view.hasTold("a"))
    assert.deepStrictEqual([c.directory.table.size, total(all)], [owed("c"), 30_000])
    assert.strictEqual(
      c.directory.table.tokenOf("client-29999"),
      c.directory.table.holder("client-29999") === "a" ? 29_999 : 0
    )
  })

  it("a claim of what a node has not said yet waits for as long as that node goes on saying what it has", () => {
    const { network, nodes: [a, b] } = nodes("a", "b", "c")
    if (a === undefined || b === undefined) throw new Error()
    network.disconnect("a", "b")
    network.disconnect("a", "c")
    const keys = keysOf("c", 300, "-".padEnd(2_000, "x"))
    a.directory.restored(keys.map((clientId) => ({ clientId, token: 1 })))
    const bus = network.nodes.get("a")
    if (bus === undefined) throw new Error()
    const send = bus.send.bind(bus)
    let next = 0
    let frames = 0
    bus.send = (peer, kind, body) => {
      if (peer !== "c" || kind !== FrameKind.Announce) return send(peer, kind, body)
      if (network.now < next) return false
      next = network.now + 400
      frames++
      assert.isAtMost(body.length, 65_536)
      return send(peer, kind, body)
    }
    network.connect("a", "b")
    network.connect("a", "c")
    const granted = b.claim(keys.at(-1) ?? "")
    network.advance(2_500)
    assert.deepStrictEqual(granted, [])
    network.advance(1_900)
    assert.isAbove(frames, 8)
    assert.deepStrictEqual(granted.map(({ from }) => from), ["a"])
    // Whoever says nothing more is not waited for.
    network.disconnect("a", "c")
    bus.send = (peer, kind, body) => peer === "c" && kind === FrameKind.Announce ? false : send(peer, kind, body)
    network.connect("a", "c")
    const unknown = b.claim(keysOf("c", 1)[0] ?? "")
    network.advance(1_900)
    assert.deepStrictEqual(unknown, [])
    network.advance(300)
    assert.deepStrictEqual(unknown.map(({ from }) => from), [""])
  })

  it("what a node has from its store it asks for before it is sure of it: another one may have been given it meanwhile", () => {
    const { network, nodes: [a, b, c] } = nodes("a", "b", "c")
    if (a === undefined || b === undefined || c === undefined) throw new Error()
    network.disconnect("a", "b")
    network.disconnect("a", "c")
    const taken = ["a", "b", "c"].flatMap((member) => keysOf(member, 5))
    const own = ["a", "b", "c"].flatMap((member) => keysOf(member, 5, "-own"))
    for (const key of taken) b.claim(key)
    network.advance(3_000)
    assert.strictEqual(b.directory.heldCount, taken.length)
    a.directory.restored([...taken, ...own].map((clientId) => ({ clientId, token: 5 })))
    network.advance(100)
    network.connect("a", "b")
    network.connect("a", "c")
    assert.isTrue(taken.every((key) => a.directory.holds(key) && !a.directory.isSureOf(key)))
    const granted = new Map([...taken, ...own].map((key) => [key, a.claim(key)]))
    network.advance(20)
    // First what a had goes to b, then b's session comes here.
    assert.deepStrictEqual(a.yields.map(({ clientId }) => clientId).sort(), [...taken].sort())
    for (const { clientId, token } of a.yields) {
      a.directory.gaveUp(clientId)
      b.directory.settled(clientId, token)
    }
    network.advance(20)
    assert.deepStrictEqual([...granted].map(([, all]) => all.map(({ from }) => from)), [
      ...taken.map(() => ["b"]),
      ...own.map(() => [""])
    ])
    assert.isTrue([...taken, ...own].every((key) => a.directory.isSureOf(key)))
    // It could not be given away: who was to have it may have it all the same.
    a.directory.gaveUp(own[0] ?? "")
    a.directory.keeps(own[0] ?? "", a.directory.tokenOf(own[1] ?? ""))
    assert.deepStrictEqual([a.directory.holds(own[0] ?? ""), a.directory.isSureOf(own[0] ?? "")], [true, false])
  })

  it("words that a full queue refuses are said when it has room, in their order", () => {
    const { network, nodes: all, nodes: [a, b, c] } = nodes("a", "b", "c")
    if (a === undefined || b === undefined || c === undefined) throw new Error()
    const [key = "", ...keys] = keysOf("c", 20)
    for (const clientId of [key, ...keys]) a.claim(clientId)
    network.advance(10)
    network.congest("a", "c", true)
    for (const clientId of keys) a.directory.released(clientId)
    network.advance(10)
    assert.strictEqual(c.directory.table.size, 20)
    network.congest("a", "c", false)
    network.advance(10)
    assert.strictEqual(total(all), 1)
    // The answer to b and the order to a.
    for (const peer of ["a", "b"]) network.congest("c", peer, true)
    const granted = b.claim(key)
    network.advance(500)
    assert.deepStrictEqual([granted.length, a.yields.length], [0, 0])
    for (const peer of ["a", "b"]) network.congest("c", peer, false)
    network.advance(10)
    assert.deepStrictEqual([granted.map(({ from }) => from), a.yields.map(({ to }) => to)], [["a"], ["b"]])
    // That it is settled, so that the next claim is served.
    a.directory.gaveUp(key)
    network.congest("b", "c", true)
    b.directory.settled(key, granted[0]?.token ?? 0)
    const back = a.claim(key)
    network.advance(500)
    assert.deepStrictEqual(back, [])
    network.congest("b", "c", false)
    network.advance(200)
    assert.deepStrictEqual(back.map(({ from }) => from), ["b"])
    // What was said to a link that has broken meanwhile is not said to the next one.
    network.congest("c", "b", true)
    const orders = b.yields.length
    const again = a.claim(keysOf("c", 30)[25] ?? "")
    c.claim(key)
    network.advance(10)
    network.disconnect("b", "c")
    network.connect("b", "c")
    network.advance(10)
    assert.deepStrictEqual([again.length, b.yields.length], [1, orders])
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
