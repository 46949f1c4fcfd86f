// The routes of all nodes over a network in memory: whatever is lost, each node ends with an equal copy of each node's set.
import { assert, describe, it } from "@effect/vitest"
import { type BusPart, FrameKind } from "../../src/cluster/Bus.ts"
import { ExactRoutes, FilterHash } from "../../src/cluster/routes/ExactRoutes.ts"
import { logLength } from "../../src/cluster/routes/OwnRoutes.ts"
import { RemoteTable } from "../../src/cluster/routes/RemoteTable.ts"
import { connectedOf, groupState, membersOf } from "../../src/cluster/routes/routeKey.ts"
import { Routes } from "../../src/cluster/routes/Routes.ts"
import { matches } from "../../src/mqtt/Topic.ts"
import { MemoryNetwork, type MemoryNode } from "./MemoryBus.ts"

const randomOf = (seed: number) => (below: number): number => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return Math.floor(seed / 0x1_0000_0000 * below)
}

class Filters {
  readonly states = new Map<string, number>()
  stateOf(key: string): number {
    return this.states.get(key) ?? 0
  }
  keys(): Iterable<string> {
    return this.states.keys()
  }
}

interface Node {
  readonly name: string
  readonly bus: MemoryNode
  readonly filters: Filters
  readonly routes: Routes
}

const started = (network: MemoryNetwork, name: string, epoch: number, filters = new Filters()): Node => {
  const bus = network.node(name, epoch)
  const routes = new Routes({ bus, own: filters })
  bus.add(routes)
  routes.touchAll()
  routes.flush()
  return { name, bus, filters, routes }
}

const set = ({ filters, routes }: Node, key: string, state: number): void => {
  if (state === 0) filters.states.delete(key)
  else filters.states.set(key, state)
  routes.touch(key)
}

const levels = ["a", "b", "c", "+", "d é", ""]
const keyOf = (random: (below: number) => number): string => {
  const count = 1 + random(3)
  const parts = Array.from({ length: count }, () => levels[random(levels.length)] ?? "a")
  if (random(5) === 0) parts.push("#")
  const filter = parts.join("/") === "" ? "x" : parts.join("/")
  const kind = random(6)
  return kind === 0 ? `$share/g${random(2)}/${filter}` : kind === 1 ? `$queue/${filter}` : filter
}
const stateOf = (key: string, random: (below: number) => number): number =>
  random(3) === 0
    ? 0
    : key.startsWith("$share/") || key.startsWith("$queue/")
    ? groupState(random(4), 1 + random(40))
    : 1 + random(3)

/** Which nodes get a message on this topic, by the sets themselves. */
const expected = (nodes: ReadonlyArray<Node>, self: Node, topic: string): string =>
  nodes.filter((node) => node !== self).flatMap((node) => {
    const found = [...node.filters.states].filter(([key]) => !key.startsWith("$") && matches(key, topic))
    return found.length === 0 ? [] : [`${node.name}=${Math.max(...found.map(([, state]) => state))}`]
  }).sort().join()

const given = ({ routes }: Node, topic: string): string => {
  const answer = routes.table.match(topic)
  return answer.nodes.map((node, at) => `${routes.nameOf(node)}=${answer.levels[at]}`).sort().join()
}

const expectEqual = (nodes: ReadonlyArray<Node>, label: string): void => {
  for (const of of nodes) {
    const truth = of.routes.digestOf(of.name)
    assert.strictEqual(truth?.rows, of.filters.states.size, label)
    for (const node of nodes) {
      assert.deepStrictEqual(node.routes.digestOf(of.name), truth, `${label}: ${of.name} at ${node.name}`)
    }
  }
  for (const topic of ["a", "a/b", "b/c/a", "/a", "d é/b", "a/b/c/d", "x", "c/"]) {
    for (const node of nodes) assert.strictEqual(given(node, topic), expected(nodes, node, topic), `${label}: ${topic}`)
  }
}

describe("Routes", () => {
  it("converges after links that break, congest and stall, and nodes that restart (60 runs of 3 to 6 nodes)", () => {
    for (let seed = 1; seed <= 60; seed++) {
      const random = randomOf(seed)
      const network = new MemoryNetwork({ seed, delayMillis: 3, jitterMillis: 40, queueBytes: 4_000 })
      const nodes = Array.from({ length: 3 + random(4) }, (_, index) => started(network, `n${index}`, 1))
      network.connectAll()
      let epoch = 1
      const two = (): [Node, Node] => {
        const one = random(nodes.length)
        const other = (one + 1 + random(nodes.length - 1)) % nodes.length
        return [nodes[one] as Node, nodes[other] as Node]
      }
      for (let step = 0; step < 150; step++) {
        const [one, other] = two()
        switch (random(9)) {
          case 0:
            network.disconnect(one.name, other.name)
            break
          case 1:
            network.connect(one.name, other.name)
            break
          case 2:
            network.congest(one.name, other.name, random(2) === 0)
            break
          case 3:
            if (random(6) > 0) break
            network.kill(one.name)
            nodes[nodes.indexOf(one)] = started(network, one.name, ++epoch, one.filters)
            break
          case 4:
            network.advance(random(60))
            break
          default:
            for (let changes = random(12); changes >= 0; changes--) {
              const key = keyOf(random)
              set(one, key, stateOf(key, random))
            }
            if (random(2) === 0) one.routes.flush()
        }
      }
      for (const one of nodes) {
        for (const other of nodes) if (one !== other) network.congest(one.name, other.name, false)
      }
      network.connectAll()
      network.advance(25_000)
      expectEqual(nodes, `seed ${seed}`)
    }
  })

  it("a gap within the log costs the rows that changed, a longer one and a restart the whole set", () => {
    const network = new MemoryNetwork({ seed: 3 })
    const [a, b] = [started(network, "a", 1), started(network, "b", 1)]
    for (let index = 0; index < 20_000; index++) set(a, `t/${index}`, 1)
    network.connect("a", "b")
    network.advance(2_000)
    expectEqual([a, b], "first")
    assert.strictEqual(b.routes.wholesReceived, 1)
    network.disconnect("a", "b")
    for (let index = 0; index < 100; index++) set(a, `t/${index}`, 0)
    const before = a.bus.sentBytes
    network.connect("a", "b")
    network.advance(1_000)
    expectEqual([a, b], "gap")
    assert.strictEqual(b.routes.wholesReceived, 1)
    assert.isBelow(a.bus.sentBytes - before, 3_000)
    network.disconnect("a", "b")
    for (let index = 0; index <= logLength; index++) set(a, `t/${index}`, index % 2 === 0 ? 2 : 3)
    a.routes.flush()
    network.connect("a", "b")
    network.advance(2_000)
    expectEqual([a, b], "long gap")
    assert.strictEqual(b.routes.wholesReceived, 2)
    network.kill("a")
    const again = started(network, "a", 2, a.filters)
    again.filters.states.delete("t/7")
    again.routes.touchAll()
    network.connect("a", "b")
    network.advance(2_000)
    expectEqual([again, b], "restart")
    assert.strictEqual(b.routes.wholesReceived, 3)
  })

  it("rows that change while the whole set is on its way arrive, and a set that breaks off is begun again", () => {
    const network = new MemoryNetwork({ seed: 3, delayMillis: 50, queueBytes: 300_000 })
    const [a, b] = [started(network, "a", 1), started(network, "b", 1)]
    for (let index = 0; index < 30_000; index++) set(a, `building/${index}/temperature`, 1)
    network.connect("a", "b")
    network.advance(160)
    assert.isAbove(b.routes.table.size, 0)
    for (let index = 0; index < 30_000; index += 100) {
      set(a, `building/${index}/temperature`, 0)
      if (index % 200 === 0) set(a, `building/${index}/temperature`, 3)
      set(a, `new/${index}`, 2)
      a.routes.flush()
    }
    network.advance(60)
    network.disconnect("a", "b")
    for (let index = 0; index < 100; index++) set(a, `building/${index}/temperature`, 0)
    network.connect("a", "b")
    network.advance(5_000)
    expectEqual([a, b], "whole")
  })

  it("a copy that differs at the same version is found by the digest and made anew", () => {
    const network = new MemoryNetwork({ seed: 3 })
    const [a, b] = [started(network, "a", 1), started(network, "b", 1)]
    set(a, "x/+", 3)
    set(a, "y", 1)
    network.connect("a", "b")
    network.advance(1_000)
    b.routes.table.set(b.routes.numberOf("a"), "stray", 1)
    const digest = b.routes.digestOf("a") as { rows: number }
    assert.deepStrictEqual(digest, a.routes.digestOf("a") as { rows: number })
    // What a fault in the copy's own books would look like.
    const peers: ReadonlyMap<string, { rows: number }> = Reflect.get(b.routes, "peers")
    const books = peers.get("a")
    if (books !== undefined) books.rows++
    network.advance(11_000)
    expectEqual([a, b], "digest")
    assert.strictEqual(b.routes.wholesReceived, 2)
    assert.strictEqual(b.routes.table.size, 2)
  })

  it("routes of a node that is down stay, those of one that left or is forgotten go", () => {
    const network = new MemoryNetwork({ seed: 3 })
    const [a, b] = [started(network, "a", 1), started(network, "b", 1)]
    for (const key of ["x/+", "y", "$share/g/z"]) set(a, key, 3)
    network.connect("a", "b")
    network.advance(1_000)
    network.kill("a")
    b.routes.memberChanged("a", "dead")
    assert.strictEqual(b.routes.table.size, 3)
    assert.strictEqual(given(b, "y"), "a=3")
    b.routes.memberChanged("a", "forgotten")
    assert.strictEqual(b.routes.table.size, 0)
    assert.strictEqual(given(b, "y"), "")
    assert.deepStrictEqual([...b.routes.table.groups()], [])
  })

  it("of a member from before the start everything counts as wanted until its set is here, and who owes is told", () => {
    const network = new MemoryNetwork({ seed: 3 })
    const a = started(network, "a", 1)
    for (const key of ["x/+", "y"]) set(a, key, 2)
    const told: Array<string> = []
    const bus = network.node("b", 1)
    const routes = new Routes({ bus, own: new Filters(), onOwed: (name, owed) => told.push(`${name} ${owed}`) })
    bus.add(routes)
    routes.expect("a")
    const node = routes.numberOf("a")
    assert.deepStrictEqual([routes.table.match("any").nodes, routes.table.match("any").levels], [[node], [3]])
    network.connect("a", "b")
    network.advance(1_000)
    assert.deepStrictEqual(routes.table.match("any").nodes, [])
    assert.deepStrictEqual([routes.table.match("y").levels, routes.table.size], [[2], 2])
    set(a, "y", 3)
    network.advance(200)
    set(a, "y", 0)
    network.advance(200)
    set(a, "z", 3)
    network.advance(200)
    routes.memberChanged("a", "left")
    assert.deepStrictEqual(told, ["a false", "a true", "a false", "a true", "a false"])
  })

  it("a body that no version of ours sends closes the link", () => {
    const network = new MemoryNetwork({ seed: 3 })
    const { bus, routes } = started(network, "a", 1)
    const peer = { name: "b", epoch: 1, version: 1 }
    const part: BusPart = routes
    for (const kind of routes.kinds) {
      assert.throws(() => part.receive(peer, kind, Buffer.alloc(3)))
    }
    const cut = Buffer.alloc(25 + 6)
    cut.writeUInt16BE(9, 25 + 4)
    assert.throws(() => part.receive(peer, FrameKind.RoutesWhole, cut))
    assert.strictEqual(bus.sentFrames, 0)
  })
})

describe("ExactRoutes", () => {
  it("against a map: set, delete, marks and sweeps (200 runs)", () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = randomOf(seed)
      const table = new ExactRoutes()
      const hash = new FilterHash()
      const model = new Map<string, { readonly state: number; readonly marked: boolean }>()
      for (let step = 0; step < 400; step++) {
        const node = random(4)
        const filter = `f/${random(60)}`
        const key = `${node} ${filter}`
        hash.of(filter)
        // All in few tables and close together, so that searches have to go around their end.
        hash.high = (hash.high & ~0xff) >>> 0
        if (seed % 2 === 0) hash.low = (0xffffffff - hash.low % 64) >>> 0
        const before = model.get(key)?.state ?? 0
        if (random(3) === 0) {
          assert.strictEqual(table.delete(hash, node), before)
          model.delete(key)
        } else {
          const row = { state: 1 + random(3), marked: random(2) === 0 }
          assert.strictEqual(table.set(hash, node, row.state, row.marked), before)
          model.set(key, row)
        }
        if (random(80) === 0) {
          table.unmark(node)
          for (const [one, row] of model) if (one.startsWith(`${node} `)) model.set(one, { ...row, marked: false })
        }
        if (random(60) === 0) {
          const all = random(4) === 0
          const gone = [...model].filter(([one, row]) => one.startsWith(`${node} `) && (all || !row.marked))
          assert.strictEqual(table.sweep(node, all), gone.length, `seed ${seed}`)
          for (const [one] of gone) model.delete(one)
        }
        assert.strictEqual(table.size, model.size)
      }
      for (let filter = 0; filter < 60; filter++) {
        const found: Array<string> = []
        hash.of(`f/${filter}`)
        hash.high = (hash.high & ~0xff) >>> 0
        if (seed % 2 === 0) hash.low = (0xffffffff - hash.low % 64) >>> 0
        table.each(hash, (node, state) => found.push(`${node}=${state}`))
        const wanted = [0, 1, 2, 3].flatMap((node) => {
          const row = model.get(`${node} f/${filter}`)
          return row === undefined ? [] : [`${node}=${row.state}`]
        })
        assert.deepStrictEqual(found.sort(), wanted, `seed ${seed}`)
      }
    }
  })
})

describe("RemoteTable", () => {
  it("knows whether a node may want $SYS: filters with wildcards and without, shared groups, nodes that go", () => {
    const table = new RemoteTable()
    const wanted = (node: number, key: string, state: number): boolean => {
      table.set(node, key, state)
      return table.wantsSystem
    }
    for (const key of ["#", "+/brokers", "a/$SYS", "$SYSTEM/#", "$share/$SYS/a"]) assert.isFalse(wanted(1, key, 1))
    for (const key of ["$SYS/#", "$SYS/brokers", "$share/g/$SYS/+"]) {
      assert.isTrue(wanted(1, key, 1), key)
      assert.isTrue(wanted(1, key, 2), key)
      assert.isTrue(wanted(2, key, 1), key)
      assert.isTrue(wanted(1, key, 0), key)
      assert.isFalse(wanted(2, key, 0), key)
    }
    for (const key of ["$SYS/#", "$SYS/brokers", "$share/g/$SYS/+"]) {
      assert.isTrue(wanted(1, key, 1), key)
      table.sweep(1, true)
      assert.isFalse(table.wantsSystem, key)
    }
    table.set(1, "$SYS/#", 1)
    table.set(1, "$share/g/$SYS/+", 1)
    // A whole set comes without them.
    table.unmark(1)
    table.sweep(1, false)
    assert.isFalse(table.wantsSystem)
  })

  it("remembers answers until a change that matters to them", () => {
    const table = new RemoteTable({ topicCache: 2 })
    table.set(0, "a/b", 1)
    const answer = table.match("a/b")
    assert.deepStrictEqual([answer.nodes, answer.levels], [[0], [1]])
    table.set(1, "c", 1)
    assert.strictEqual(table.match("a/b"), answer)
    table.set(1, "a/+", 3)
    assert.deepStrictEqual(table.match("a/b").nodes, [0, 1])
    table.match("x")
    table.match("y")
    table.set(1, "a/b", 2)
    assert.deepStrictEqual(table.match("a/b").levels, [1, 3])
    table.set(1, "a/+", 0)
    assert.deepStrictEqual(table.match("a/b").levels, [1, 2])
    table.set(0, "$share/g/a/+", groupState(2, 3))
    assert.deepStrictEqual(table.match("a/b").groups.map(({ key }) => key), ["$share/g/a/+"])
    table.sweep(0, true)
    assert.deepStrictEqual(table.match("a/b").nodes, [1])
    assert.deepStrictEqual(table.match("a/b").groups, [])
  })

  it("counts of a group are exact up to 16 and never above the truth", () => {
    for (let count = 0; count < 40_000; count += count < 100 ? 1 : 97) {
      const state = groupState(count, Math.max(1, count))
      if (count <= 16) assert.strictEqual(connectedOf(state), count)
      assert.isAtMost(connectedOf(state), count)
      assert.isAtLeast(membersOf(state), Math.min(0x7fff, count) * 0.87)
    }
  })
})
