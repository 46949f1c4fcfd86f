// What a node keeps for another one from which the session has moved meanwhile, out of its sight: it reaches the session where it is, once and in order.
// Three nodes over a network in memory, with a disk each; sessions are lists of what they were given.
import { assert, describe, it } from "@effect/vitest"
import { filledKind, gapKind } from "../../src/cluster/forward/gapFrames.ts"
import { outboxKind, positionKind } from "../../src/cluster/forward/outboxRecords.ts"
import { ClusterRoutes, type LocalRouter, peerKind } from "../../src/cluster/routes/ClusterRoutes.ts"
import { Counters } from "../../src/metrics/Counters.ts"
import { Message } from "../../src/mqtt/Message.ts"
import { TopicTable } from "../../src/mqtt/TopicTable.ts"
import { Scheduler } from "../../src/otp/Scheduler.ts"
import type { Forward } from "../../src/router/Forward.ts"
import { RouteLevel } from "../../src/router/RemoteRoutes.ts"
import { Journal } from "../../src/store/Journal.ts"
import { MemoryNetwork } from "./MemoryBus.ts"

type Disk = Map<string, Map<string, Uint8Array>>

const names = ["a", "b", "p"]
const matches = (filter: string, topic: string) => filter === topic || filter === `${topic.split("/")[0]}/#`

const messageOf = (qos: 1 | 2, payload: string, topic: string, now: number): Message =>
  Message.make({ topic, payload: Buffer.from(payload), qos, retain: false, publisher: "p", properties: null, now })

interface Session {
  readonly filters: Set<string>
  readonly got: Array<string>
}

class Node implements LocalRouter {
  readonly name: string
  readonly counters = new Counters()
  readonly disk: Disk
  readonly journal: Journal
  readonly cluster: ClusterRoutes
  readonly sessions = new Map<string, Session>()
  private tasks: Array<() => void> = []
  private readonly network: MemoryNetwork

  constructor(network: MemoryNetwork, name: string, epoch = 1, disk: Disk = new Map()) {
    this.network = network
    this.name = name
    this.disk = disk
    const scheduler = new Scheduler({ clock: () => network.now })
    this.journal = new Journal({ scheduler, counters: this.counters, enabled: true })
    const bus = network.node(name, epoch)
    this.cluster = new ClusterRoutes({
      bus,
      journal: this.journal,
      topics: new TopicTable(),
      now: () => network.now,
      limits: {
        outboxMessages: 200_000,
        outboxBytes: 100_000_000,
        outboxWhenFull: "drop_oldest",
        forwardTimeoutMillis: 5_000,
        mostMessageBytes: 1_000_000
      },
      counts: this.counters,
      members: { status: (other) => names.includes(other) ? "alive" : undefined, present: names },
      strategy: "random",
      post: (task) => this.tasks.push(task),
      forgetAfterMillis: 86_400_000,
      onDefect: (_, defect) => {
        throw defect
      }
    })
    const { cluster } = this
    bus.add(cluster, cluster.routes, cluster.forwarder, cluster.filler, cluster.gaps)
    const rows = (kind: string) => [...this.rows(kind)].sort(([one], [other]) => one < other ? -1 : 1)
    cluster.forwarder.restoreOutbox(rows(outboxKind).map(([key, value]) => ({ key, value })))
    for (const [key, value] of rows(positionKind)) cluster.forwarder.restorePosition(key, value)
    for (const [key, value] of rows(gapKind)) cluster.gaps.restore(key, value)
    for (const [key] of rows(filledKind)) cluster.filler.restore(key)
    for (const [key] of rows(peerKind)) cluster.expect(key)
    cluster.use(this)
  }

  rows(kind: string): Map<string, Uint8Array> {
    let rows = this.disk.get(kind)
    if (rows === undefined) this.disk.set(kind, rows = new Map())
    return rows
  }

  // --- the router --------------------------------------------------------------------------------------------------

  publishHere(message: Message): number {
    this.publishTo(message, new Set(this.sessions.keys()))
    return 0
  }

  publishTo({ payload, topic }: Message, clientIds: ReadonlySet<string>): void {
    for (const [clientId, { filters, got }] of this.sessions) {
      if (!clientIds.has(clientId) || ![...filters].some((filter) => matches(filter, topic))) continue
      got.push(payload.toString())
      // As a durable session records what it is owed.
      this.journal.putRecord("delivery", `${clientId} ${got.length}`, new Uint8Array(0))
    }
  }

  levelOf(filter: string): number {
    return [...this.sessions.values()].some(({ filters }) => filters.has(filter)) ? RouteLevel.Owed : 0
  }

  *filters(): Iterable<string> {
    for (const { filters } of this.sessions.values()) yield* filters
  }

  sharedGroups(): [] {
    return []
  }

  // --- what happens ------------------------------------------------------------------------------------------------

  subscribe(clientId: string, filter: string, got: Array<string> = []): void {
    const session = this.sessions.get(clientId) ?? { filters: new Set(), got }
    this.sessions.set(clientId, session)
    session.filters.add(filter)
    this.cluster.changed(filter)
  }

  publish(qos: 1 | 2, payload: string, topic = "t/x"): Forward | null {
    const { now } = this.network
    const message = messageOf(qos, payload, topic, now)
    this.publishHere(message)
    this.cluster.publisherIsDurable = qos === 2
    this.cluster.publish(message)
    return this.cluster.awaited
  }

  turn(): void {
    const { tasks } = this
    this.tasks = []
    for (const task of tasks) task()
    this.journal.park((changes) => {
      for (const { key, kind, value } of changes.records) {
        if (value === null) this.rows(kind).delete(key)
        else this.rows(kind).set(key, value)
      }
      this.journal.groupCommitted()
    })
    this.journal.run()
    this.journal.unpark()
  }

  hears(filter: string, of: Node): boolean {
    const { routes } = this.cluster
    return routes.table.match(filter).nodes.includes(routes.numberOf(of.name))
  }
}

class Three {
  readonly network = new MemoryNetwork({ delayMillis: 2 })
  readonly a = new Node(this.network, "a")
  readonly b = new Node(this.network, "b")
  p = new Node(this.network, "p")

  constructor() {
    this.network.connectAll()
    this.run()
  }

  get nodes(): ReadonlyArray<Node> {
    return [this.a, this.b, this.p]
  }

  run(millis = 4_000): void {
    for (let passed = 0; passed < millis; passed += 20) {
      for (const node of this.nodes) node.turn()
      this.network.advance(20)
    }
  }

  restartP(): void {
    this.run(100)
    this.network.kill("p")
    this.p = new Node(this.network, "p", 2, this.p.disk)
  }

  /** As the take-over does it, all at once: nodes that the former one is linked to have given their word. */
  move(clientId: string, from: Node, to: Node): void {
    const session = from.sessions.get(clientId)
    if (session === undefined) throw new Error(`${clientId} is not at ${from.name}`)
    const known = to.sessions.get(clientId)
    if (known === undefined) to.sessions.set(clientId, { filters: new Set(session.filters), got: session.got })
    else known.got.push(...session.got)
    for (const filter of session.filters) to.cluster.changed(filter)
    this.run(40)
    to.cluster.gaps.cameIn(clientId, known !== undefined, null)
    const fenced = new Set(
      this.nodes.filter(({ name }) => this.network.nodes.get(from.name)?.peers.has(name)).map((one) => one.name)
    )
    from.cluster.gaps.leaves(clientId, fenced, to.name)
    from.sessions.delete(clientId)
    for (const filter of session.filters) from.cluster.changed(filter)
    this.run(40)
    from.cluster.gaps.hasLeft(clientId, to.name)
    this.run(40)
  }

  /** Nothing is owed to anybody, nothing is left on any disk. */
  atRest(): void {
    this.run()
    for (const node of this.nodes) {
      node.journal.tick()
      node.turn()
      for (const name of names) {
        assert.strictEqual(node.cluster.forwarder.owedTo(name).messages, 0, `${node.name} ${name}`)
      }
      assert.strictEqual(node.rows(outboxKind).size, 0, node.name)
      assert.strictEqual(node.rows(gapKind).size, 0, node.name)
      assert.strictEqual(node.cluster.gaps.size, 0)
    }
  }
}

const packetSize = (payload: string): number => {
  const { end, start } = messageOf(2, payload, "t/x", 0)
  return end - start
}

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => String(from + index))

describe("a session that moves out of a node's sight", () => {
  it.each([
    ["a before b", ["a", "b"], false],
    ["b before a", ["b", "a"], false],
    ["a before b, after a restart", ["a", "b"], true],
    ["b before a, after a restart", ["b", "a"], true]
  ])("gets what that node kept for the one that it left: %s", (_, order, restart) => {
    const three = new Three()
    const { a, b, network } = three
    a.subscribe("s", "t/#")
    three.run()
    three.p.publish(1, "0")
    three.run(200)
    network.split(["p"], ["a", "b"])
    for (const number of numbers(1, 4)) three.p.publish(Number(number) % 2 === 0 ? 2 : 1, number, `t/${number}`)
    // Written to the outbox: their publishers are answered.
    three.run(6_000)
    three.move("s", a, b)
    for (const number of numbers(5, 8)) three.p.publish(Number(number) % 2 === 0 ? 2 : 1, number, `t/${number}`)
    three.run(6_000)
    if (restart) three.restartP()
    for (const name of order) {
      network.connect("p", name)
      three.run(100)
      three.p.publish(1, `to ${name}`)
    }
    three.run()
    three.p.publish(2, "9")
    three.atRest()
    assert.deepStrictEqual(b.sessions.get("s")?.got, [...numbers(0, 8), ...order.map((name) => `to ${name}`), "9"])
  })

  it("and nobody else gets anything twice, who has the same subscription on the same nodes", () => {
    const three = new Three()
    const { a, b, network, p } = three
    for (const [clientId, node] of [["s", a], ["u", a], ["v", b], ["w", p]] as const) node.subscribe(clientId, "t/#")
    three.run()
    network.split(["p"], ["a", "b"])
    for (const number of numbers(1, 5)) p.publish(2, number)
    three.move("s", a, b)
    for (const number of numbers(6, 9)) p.publish(2, number)
    network.connect("p", "a")
    network.connect("p", "b")
    three.run()
    p.publish(2, "10")
    three.atRest()
    for (const [clientId, node] of [["s", b], ["u", a], ["v", b], ["w", p]] as const) {
      assert.deepStrictEqual(node.sessions.get(clientId)?.got, numbers(1, 10), clientId)
    }
  })

  it("what the node that it goes to had taken before it came it gets too", () => {
    const three = new Three()
    const { a, b, network, p } = three
    a.subscribe("s", "t/#")
    b.subscribe("v", "t/#")
    three.run()
    // Only the link to a is gone: b has all that comes while s is still at a.
    network.disconnect("p", "a")
    for (const number of numbers(1, 5)) p.publish(2, number)
    three.run(200)
    assert.deepStrictEqual(b.sessions.get("v")?.got, numbers(1, 5))
    three.move("s", a, b)
    for (const number of numbers(6, 9)) p.publish(2, number)
    three.run(200)
    network.connect("p", "a")
    three.atRest()
    assert.deepStrictEqual(b.sessions.get("v")?.got, numbers(1, 9))
    assert.deepStrictEqual([...b.sessions.get("s")?.got ?? []].sort(), numbers(1, 9))
  })

  it("what it has had of the node that it left it does not get again, though that node could not say so", () => {
    const three = new Three()
    const { a, b, network, p } = three
    a.subscribe("s", "t/#")
    three.run()
    for (const number of numbers(1, 3)) p.publish(2, number)
    p.turn()
    p.turn()
    network.advance(5)
    assert.deepStrictEqual(a.sessions.get("s")?.got, numbers(1, 3))
    network.split(["p"], ["a", "b"])
    assert.strictEqual(p.cluster.forwarder.owedTo("a").messages, 3)
    for (const number of numbers(4, 6)) p.publish(2, number)
    three.move("s", a, b)
    network.connect("p", "b")
    three.run()
    network.connect("p", "a")
    three.atRest()
    assert.deepStrictEqual(b.sessions.get("s")?.got, numbers(1, 6))
  })

  it.each([false, true])("a gap that is told of again is not filled again (a restart between: %s)", (restart) => {
    const three = new Three()
    const { a, b, network } = three
    a.subscribe("s", "t/#")
    three.run()
    network.split(["p"], ["a", "b"])
    for (const number of numbers(1, 6)) three.p.publish(2, number)
    three.move("s", a, b)
    network.connect("p", "b")
    while (three.p.counters.forward_filled_total === 0) three.run(20)
    assert.strictEqual(b.cluster.gaps.size, 1)
    network.disconnect("p", "b")
    three.run(100)
    if (restart) three.restartP()
    network.connect("p", "b")
    network.connect("p", "a")
    three.atRest()
    assert.deepStrictEqual(b.sessions.get("s")?.got, numbers(1, 6))
    network.disconnect("p", "b")
    network.connect("p", "b")
    three.atRest()
    assert.strictEqual(three.p.rows(filledKind).size, 0)
  })

  it("follows it over several nodes and back", () => {
    const three = new Three()
    const { a, b, network, p } = three
    a.subscribe("s", "t/#")
    b.subscribe("v", "t/#")
    three.run()
    network.split(["p"], ["a", "b"])
    for (const number of numbers(1, 3)) p.publish(2, number)
    three.move("s", a, b)
    for (const number of numbers(4, 6)) p.publish(2, number)
    three.move("s", b, a)
    for (const number of numbers(7, 9)) p.publish(2, number)
    network.connect("p", "a")
    network.connect("p", "b")
    three.run()
    three.move("s", a, p)
    three.atRest()
    assert.deepStrictEqual(p.sessions.get("s")?.got, numbers(1, 9))
    assert.deepStrictEqual(b.sessions.get("v")?.got, numbers(1, 9))
  })

  it("what an earlier version has left in the outbox goes where it was to go, and nowhere else", () => {
    const three = new Three()
    const { a, b, network } = three
    a.subscribe("s", "t/#")
    a.subscribe("u", "t/#")
    three.run()
    network.split(["p"], ["a", "b"])
    three.p.publish(2, "1")
    three.move("s", a, b)
    three.run(100)
    const rows = three.p.rows(outboxKind)
    for (const [key, value] of rows) {
      // Version 1 has no nodes before the packets: one node's name and their number.
      const at = value.length - packetSize("1") - 4
      rows.set(key, Buffer.concat([Buffer.from([1]), value.subarray(1, at - 2 - 4 - 1), value.subarray(at)]))
    }
    three.restartP()
    network.connect("p", "a")
    network.connect("p", "b")
    three.atRest()
    assert.deepStrictEqual([a.sessions.get("u")?.got, b.sessions.get("s")?.got], [["1"], []])
  })

  it("a session that was merged into another one has had what that one has had", () => {
    const three = new Three()
    const { a, b, network, p } = three
    a.subscribe("s", "t/#")
    three.run()
    network.split(["a"], ["b", "p"])
    p.publish(2, "1")
    b.subscribe("s", "t/#")
    three.run(200)
    p.publish(2, "2")
    three.run(200)
    network.connect("a", "b")
    three.run(200)
    three.move("s", a, b)
    network.connect("a", "p")
    three.atRest()
    assert.deepStrictEqual([...b.sessions.get("s")?.got ?? []].sort(), ["1", "2"])
  })

  it("many messages for many sessions, told of and copied part by part", () => {
    const three = new Three()
    const { a, b, network, p } = three
    for (let index = 0; index < 1_000; index++) a.subscribe(`s${index}`, index < 3 ? "t/#" : "u/#")
    three.run()
    network.split(["p"], ["a", "b"])
    for (let index = 0; index < 4_500; index++) p.publish(1, String(index), `t/${index % 1_000}`)
    for (let index = 0; index < 1_000; index++) {
      const clientId = `s${index}`
      const session = a.sessions.get(clientId)
      if (session !== undefined) b.sessions.set(clientId, session)
      b.cluster.gaps.cameIn(clientId, false, null)
      a.cluster.gaps.leaves(clientId, new Set(["b"]), "b")
      a.sessions.delete(clientId)
      a.cluster.gaps.hasLeft(clientId, "b")
    }
    for (const node of [a, b]) for (const filter of ["t/#", "u/#"]) node.cluster.changed(filter)
    three.run(200)
    network.connect("p", "a")
    network.connect("p", "b")
    three.atRest()
    for (let index = 0; index < 3; index++) {
      assert.deepStrictEqual(b.sessions.get(`s${index}`)?.got, numbers(0, 4_499))
    }
    assert.deepStrictEqual(b.sessions.get("s3")?.got, [])
    assert.strictEqual(p.counters.forward_filled_total, 4_500)
  })
})
