// Retained messages on every node: the last one published wins, wherever that was, whatever the network and the clocks did.
import { assert, describe, it } from "@effect/vitest"
import { HybridClock } from "../../src/cluster/HybridClock.ts"
import { type LocalRetainer, RetainedReplica, retainedStampKind } from "../../src/cluster/replicas/RetainedReplica.ts"
import { Counters } from "../../src/metrics/Counters.ts"
import { Message } from "../../src/mqtt/Message.ts"
import { TopicTable } from "../../src/mqtt/TopicTable.ts"
import { Scheduler } from "../../src/otp/Scheduler.ts"
import type { Changes } from "../../src/store/Engine.ts"
import { Journal } from "../../src/store/Journal.ts"
import { MemoryNetwork } from "./MemoryBus.ts"

/** Takes everything at once, as the real one does a turn later. */
class Kept implements LocalRetainer {
  readonly messages = new Map<string, Message>()
  replica: RetainedReplica | undefined = undefined
  get(topic: string): Message | undefined {
    return this.messages.get(topic)
  }
  store(message: Message): boolean {
    this.replica?.taken(message)
    if (message.payloadLength === 0) this.messages.delete(message.topic)
    else this.messages.set(message.topic, message)
    return true
  }
  toString(): string {
    return [...this.messages].map(([topic, { payload, publisher }]) => `${topic}=${payload}(${publisher})`).sort().join(
      " "
    )
  }
}

class Node {
  readonly kept = new Kept()
  readonly name: string
  readonly records: Map<string, Uint8Array>
  readonly replica: RetainedReplica
  private readonly network: MemoryNetwork
  private readonly ahead: number

  constructor(network: MemoryNetwork, name: string, ahead = 0, before?: Node, epoch = 1) {
    this.network = network
    this.name = name
    this.ahead = ahead
    this.records = new Map(before?.records)
    const now = () => network.now + ahead
    const scheduler = new Scheduler({ clock: now, onDefect: (defect) => assert.fail(String(defect)) })
    const journal = new Journal({ scheduler, counters: new Counters(), enabled: true })
    const park = () =>
      journal.park(({ records }: Changes) => {
        for (const { key, value } of records) {
          if (value === null) this.records.delete(key)
          else this.records.set(key, value)
        }
        journal.groupCommitted()
        park()
      })
    park()
    const bus = network.node(name, epoch)
    this.replica = new RetainedReplica({
      bus,
      retainer: this.kept,
      journal,
      topics: new TopicTable({ slots: 64, maximumBytes: 256 }),
      clock: new HybridClock(now),
      now,
      digestMillis: 10_000,
      rememberMillis: 3_600_000,
      wake: () => {}
    })
    this.kept.replica = this.replica
    if (before !== undefined) {
      for (const [topic, message] of before.kept.messages) this.kept.messages.set(topic, message)
      journal.run()
      for (const [topic, value] of before.records) this.replica.restore(topic, value)
    }
    bus.add(this.replica)
    this.flushJournal = () => journal.run()
  }

  readonly flushJournal: () => void

  publish(topic: string, payload: string): void {
    this.kept.store(Message.make({
      topic,
      payload: Buffer.from(payload),
      qos: 1,
      retain: true,
      publisher: this.name,
      properties: null,
      now: this.network.now + this.ahead
    }))
    this.flushJournal()
  }
}

const alike = (nodes: ReadonlyArray<Node>): void => {
  for (const node of nodes) {
    assert.strictEqual(String(node.kept), String(nodes[0]?.kept), node.name)
    assert.deepStrictEqual(node.replica.stamps.digest, nodes[0]?.replica.stamps.digest)
  }
}

describe("RetainedReplica", () => {
  it("what one node retains all have; deleted on another it is gone everywhere", () => {
    const network = new MemoryNetwork()
    const nodes = ["a", "b", "c"].map((name) => new Node(network, name))
    const [a, b, c] = nodes
    network.connectAll()
    a?.publish("t", "1")
    network.advance(200)
    assert.strictEqual(String(c?.kept), "t=1(a)")
    b?.publish("t", "2")
    network.advance(200)
    assert.strictEqual(String(a?.kept), "t=2(b)")
    c?.publish("t", "")
    network.advance(200)
    for (const node of nodes) assert.strictEqual(String(node.kept), "")
    alike(nodes)
  })

  it("clocks ten minutes apart: the one published later wins", () => {
    const network = new MemoryNetwork()
    const ahead = new Node(network, "a", 600_000)
    const behind = new Node(network, "b", 0)
    network.connectAll()
    ahead.publish("t", "first")
    network.advance(200)
    behind.publish("t", "second")
    network.advance(200)
    assert.strictEqual(String(ahead.kept), "t=second(b)")
    alike([ahead, behind])
  })

  it("a node that was away is brought up to date and brings nothing back, also after a restart", () => {
    const network = new MemoryNetwork()
    const a = new Node(network, "a")
    let b = new Node(network, "b")
    network.connectAll()
    for (let index = 0; index < 1_000; index++) a.publish(`t/${index}`, "old")
    network.advance(500)
    alike([a, b])
    const before = b
    network.kill("b")
    for (let index = 0; index < 1_000; index += 2) a.publish(`t/${index}`, index % 4 === 0 ? "" : "new")
    network.advance(60_000)
    b = new Node(network, "b", 0, before, 2)
    network.connectAll()
    network.advance(1_000)
    assert.strictEqual(a.kept.messages.size, 750)
    alike([a, b])
  })

  it("a congested peer gets the latest of each topic when it can", () => {
    const network = new MemoryNetwork()
    const a = new Node(network, "a")
    const b = new Node(network, "b")
    network.connectAll()
    network.advance(200)
    network.congest("a", "b", true)
    for (let index = 0; index < 100; index++) a.publish(`t/${index % 10}`, `${index}`)
    network.advance(300)
    assert.strictEqual(b.kept.messages.size, 0)
    network.congest("a", "b", false)
    network.advance(300)
    alike([a, b])
    assert.strictEqual(b.kept.get("t/3")?.payload.toString(), "93")
  })

  it("deletions are forgotten in time, on all nodes, and in the store", () => {
    const network = new MemoryNetwork()
    const nodes = ["a", "b"].map((name) => new Node(network, name))
    network.connectAll()
    nodes[0]?.publish("t", "1")
    nodes[0]?.publish("t", "")
    network.advance(3_500_000)
    for (const { replica } of nodes) assert.strictEqual(replica.stamps.size, 1)
    network.advance(200_000)
    for (const node of nodes) {
      assert.strictEqual(node.replica.stamps.size, 0)
      node.flushJournal()
      assert.strictEqual(node.records.size, 0)
    }
    assert.strictEqual(retainedStampKind, "cluster_retained")
  })

  it.each([1, 2, 3, 4, 5])("whatever happens in between, in the end all have the same (%i)", (seed) => {
    const network = new MemoryNetwork({ seed, delayMillis: 20, jitterMillis: 200, queueBytes: 20_000 })
    const names = ["a", "b", "c", "d"]
    const nodes = names.map((name, index) => new Node(network, name, index * 200_000 - 300_000))
    network.connectAll()
    const some = <A>(list: ReadonlyArray<A>): A => {
      const one = list[Math.floor(network.random() * list.length)]
      if (one === undefined) throw new Error()
      return one
    }
    let epoch = 1
    for (let step = 0; step < 400; step++) {
      const node = some(nodes)
      const dice = network.random()
      if (dice < 0.8) node.publish(`t/${Math.floor(network.random() * 40)}`, dice < 0.2 ? "" : `${step}`)
      else if (dice < 0.9) network.disconnect(node.name, some(names.filter((name) => name !== node.name)))
      else if (dice < 0.97) network.connect(node.name, some(names.filter((name) => name !== node.name)))
      else {
        node.flushJournal()
        network.kill(node.name)
        const at = nodes.indexOf(node)
        nodes[at] = new Node(network, node.name, at * 200_000 - 300_000, node, ++epoch)
      }
      network.advance(Math.floor(network.random() * 100))
    }
    network.connectAll()
    network.advance(60_000)
    alike(nodes)
    assert.isAbove(nodes[0]?.kept.messages.size ?? 0, 5)
  })
})
