// Two and three whole brokers: messages find their subscribers wherever they are, also when a node is killed on the way.
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { rendezvous } from "../../src/cluster/sessions/rendezvous.ts"
import { defaultSettings } from "../../src/config/Settings.ts"
import type { TestClient } from "../support/TestClient.ts"
import { BrokerCluster, ClusteredBroker, until } from "./BrokerCluster.ts"

let cluster = new BrokerCluster()
beforeEach(() => {
  cluster = new BrokerCluster()
})
afterEach(() => cluster.stop())

const lookedAfterBy = (node: string): string =>
  Array.from({ length: 1_000 }, (_, index) => `s${index}`).find((one) => rendezvous(["a", "b", "c"], one) === node) ??
    ""

const nodes = async (...names: ReadonlyArray<string>): Promise<ReadonlyArray<ClusteredBroker>> =>
  cluster.start(...names)

/** Takes all that comes, until a message with this payload. */
const takeUntil = async (client: TestClient, last: string): Promise<Array<string>> => {
  const payloads: Array<string> = []
  const waiting = new Set<number>()
  for (;;) {
    const packet = await client.next()
    if (packet.cmd === "pubrel") {
      client.send({ cmd: "pubcomp", ...packet.messageId === undefined ? {} : { messageId: packet.messageId } })
      continue
    }
    if (packet.cmd !== "publish") throw new Error(`came ${packet.cmd}`)
    const messageId = packet.messageId ?? 0
    if (packet.qos === 1) client.send({ cmd: "puback", messageId })
    if (packet.qos === 2) {
      client.send({ cmd: "pubrec", messageId })
      if (packet.dup && waiting.has(messageId)) continue
      waiting.add(messageId)
    }
    payloads.push(packet.payload.toString())
    if (payloads[payloads.length - 1] === last) return payloads
  }
}

/** What has come so far. */
const drain = async (client: TestClient): Promise<Array<string>> => {
  const payloads: Array<string> = []
  client.send({ cmd: "pingreq" })
  for (;;) {
    const frame = await client.nextOrClosed()
    if (frame === undefined || (frame[0] ?? 0) >> 4 === 13) return payloads
    if ((frame[0] ?? 0) >> 4 !== 3) continue
    payloads.push(frame.subarray(-3).toString())
    client.send(Buffer.from([0x40, 2, ...frame.subarray(-5, -3)]))
  }
}

/** A publisher with many messages under way: what was acknowledged, and what was not. */
class Stream {
  readonly acknowledged: Array<string> = []
  readonly unacknowledged = new Map<number, { readonly payload: string; readonly qos: 1 | 2; released: boolean }>()
  private readonly client: TestClient
  private readonly topic: string
  private readonly waiting: Array<readonly [payload: string, qos: 1 | 2]> = []

  constructor(client: TestClient, topic: string) {
    this.client = client
    this.topic = topic
  }

  /** When fewer are under way. */
  later(payload: string, qos: 1 | 2): void {
    this.waiting.push([payload, qos])
  }

  send(payload: string, qos: 1 | 2, dup = false, messageId = this.client.nextPacketIdentifier()): void {
    this.unacknowledged.set(messageId, { payload, qos, released: false })
    this.client.send({ cmd: "publish", topic: this.topic, payload, qos, dup, retain: false, messageId })
  }

  /** What another one has not sent yet. */
  takeOver(other: Stream): void {
    this.waiting.push(...other.waiting.splice(0))
  }

  /** Until nothing is under way, or the connection ends. */
  async listen(): Promise<void> {
    for (;;) {
      while (this.unacknowledged.size < 40) {
        const next = this.waiting.shift()
        if (next === undefined) break
        this.send(...next)
      }
      if (this.unacknowledged.size === 0) return
      const frame = await this.client.nextOrClosed()
      if (frame === undefined) return
      const type = (frame[0] ?? 0) >> 4
      const messageId = frame.readUInt16BE(2)
      const one = this.unacknowledged.get(messageId)
      if (one === undefined) continue
      if (type === 5) {
        if (!one.released) this.acknowledged.push(one.payload)
        one.released = true
        this.client.send({ cmd: "pubrel", messageId })
      } else {
        if (type === 4) this.acknowledged.push(one.payload)
        this.unacknowledged.delete(messageId)
      }
    }
  }
}

describe("messages between nodes", { timeout: 60_000 }, () => {
  it("reach subscribers of other nodes with every QoS, once, with what the publisher sent", async () => {
    const [a, b, c] = await nodes("a", "b", "c")
    if (a === undefined || b === undefined || c === undefined) return
    const subscriber = await b.connect(5, { clientId: "s" })
    await subscriber.subscribe("t/+", 2, { rap: true, identifier: 7 })
    await subscriber.subscribe("t/1", 1)
    const other = await c.connect(4, { clientId: "o" })
    await other.subscribe("t/#", 1)
    await cluster.settled()
    const publisher = await a.connect(5, { clientId: "p" })
    for (const qos of [0, 1, 2] as const) {
      await publisher.publish("t/1", `m${qos}`, { qos, properties: { contentType: "x", userProperties: { k: "v" } } })
      const packet = await subscriber.receive("publish", {
        topic: "t/1",
        payload: `m${qos}`,
        qos,
        properties: { subscriptionIdentifier: 7, contentType: "x", userProperties: { k: "v" } }
      })
      await subscriber.acknowledge(packet)
      await other.receive("publish", { payload: `m${qos}`, qos: Math.min(qos, 1) })
    }
    await subscriber.expectNothing()
    await other.expectNothing()
    publisher.send({ cmd: "publish", topic: "nobody", payload: "", qos: 1, messageId: 9, dup: false, retain: false })
    await publisher.receive("puback", { messageId: 9, reasonCode: 0x10 })
    assert.strictEqual(b.broker.counters.forward_received_total, 3)
  })

  it("end with the subscription, and wills travel as well", async () => {
    const [a, b] = await nodes("a", "b")
    if (a === undefined || b === undefined) return
    const subscriber = await b.connect(4, { clientId: "s" })
    await subscriber.subscribe("w/#", 1)
    await cluster.settled()
    const dying = await a.connect(4, { clientId: "d", will: { topic: "w/d", payload: "gone", qos: 1, retain: false } })
    dying.drop()
    await subscriber.receive("publish", { topic: "w/d", payload: "gone" })
    const messageId = subscriber.nextPacketIdentifier()
    subscriber.send({ cmd: "unsubscribe", messageId, unsubscriptions: ["w/#"] })
    await subscriber.receive("unsuback")
    await cluster.settled()
    const publisher = await a.connect(5, { clientId: "p" })
    const before = a.broker.counters.forward_sent_total
    await publisher.publish("w/d", "x", { qos: 1 })
    assert.strictEqual(a.broker.counters.forward_sent_total, before)
  })

  it("a PUBACK comes after the peer has the message on disk: killed right after it, its durable session has it", async () => {
    const [a, b] = await nodes("a", "b")
    if (a === undefined || b === undefined) return
    const subscriber = await b.durable("s")
    await subscriber.subscribe("t", 2)
    subscriber.drop()
    await cluster.settled()
    const publisher = await a.connect(4, { clientId: "p" })
    for (const qos of [1, 2] as const) {
      await publisher.publish("t", String(qos), { qos })
      assert.strictEqual(a.remote.forwarder.stream("b").size, 0)
      assert.strictEqual(b.broker.sessions.get("s")?.owed, qos)
    }
    await cluster.kill("b")
    const again = await cluster.startOne("b")
    const back = await again.durable("s")
    assert.isTrue(back.connack.sessionPresent)
    assert.deepStrictEqual(await takeUntil(back, "2"), ["1", "2"])
    await cluster.settled()
    await back.expectNothing()
  })

  it("a durable session of a node that is down gets what it is owed when the node is back", async () => {
    const [a, b] = await nodes("a", "b")
    if (a === undefined || b === undefined) return
    const subscriber = await b.durable("s")
    await subscriber.subscribe("t", 2)
    await cluster.settled()
    await cluster.kill("b")
    const publisher = await a.connect(4, { clientId: "p" })
    await publisher.publish("t", "1", { qos: 1 })
    await publisher.publish("t", "2", { qos: 2 })
    await cluster.sees("a", "b", false)
    await publisher.publish("t", "3", { qos: 1 })
    // The node that keeps it is killed as well. When it is back it does not know what the other one's sessions want.
    await cluster.kill("a")
    const keeperAgain = await cluster.startOne("a")
    const other = await keeperAgain.connect(4, { clientId: "p" })
    await other.publish("nobody", "0", { qos: 1 })
    await other.publish("t", "4", { qos: 2 })
    await cluster.startOne("b")
    await cluster.settled()
    const back = await cluster.nodes.get("b")?.durable("s")
    if (back === undefined) return
    assert.deepStrictEqual(await takeUntil(back, "4"), ["1", "2", "3", "4"])
    await back.expectNothing()
    const keeper = cluster.nodes.get("a")
    await until(
      "an empty outbox",
      () => keeper?.remote.forwarder.owedTo("b").messages === 0
    )
  })

  it("what a node is owed comes in one go when it is back: its sessions take it in meanwhile, whatever their mailboxes hold", async () => {
    cluster = new BrokerCluster((settings) => ({ ...settings, queue: { ...settings.queue, capacity: 1_000_000 } }))
    const [a, b] = await nodes("a", "b")
    if (a === undefined || b === undefined) return
    const subscriber = await b.durable("s")
    await subscriber.subscribe("t", 1)
    await cluster.settled()
    await cluster.kill("b")
    await cluster.sees("a", "b", false)
    const publisher = await a.connect(4, { clientId: "p" })
    const count = 5 * defaultSettings.session.mailboxCapacity
    const { counters } = a.broker
    for (let n = 0; n < count; n++) {
      publisher.send({
        cmd: "publish",
        topic: "t",
        payload: "x",
        qos: 1,
        messageId: n % 65_000 + 1,
        dup: false,
        retain: false
      })
    }
    await until("all kept", () => a.remote.forwarder.owedTo("b").messages === count)
    const back = await cluster.startOne("b")
    await until("all taken", () => a.remote.forwarder.owedTo("b").messages === 0)
    assert.strictEqual(counters.forward_dropped_full_total, 0)
    assert.strictEqual(back.broker.counters.deliveries_dropped_mailbox_full_total, 0)
    assert.strictEqual(back.broker.sessions.get("s")?.owed, count)
  })

  it("a session moves to a node that a publisher's node has no link to: what is published there follows by way of the old place", async () => {
    const [a, b, c] = await nodes("a", "b", "c")
    if (a === undefined || b === undefined || c === undefined) return
    const clientId = lookedAfterBy("a")
    const first = await a.durable(clientId)
    await first.subscribe("t", 2)
    await first.disconnect()
    await cluster.settled()
    const meet = await cluster.part("b", "c")
    const publisher = await c.durable("p")
    const near = await b.durable("near")
    const again = await b.durable(clientId)
    assert.isTrue(again.connack.sessionPresent)
    // Beyond the time that the old place waits for the word of all.
    await until(
      "the old place only passes on",
      () => a.broker.clustering?.later.takeover?.departures.has(clientId) === false
    )
    for (let n = 0; n < 20; n++) {
      await publisher.publish("t", `c${n}`, { qos: n % 2 === 0 ? 1 : 2 })
      await near.publish("t", `b${n}`, { qos: n % 2 === 0 ? 1 : 2 })
    }
    await meet()
    await until("all has come", () => a.broker.clustering?.later.takeover?.moving === 0)
    await near.publish("t", "end", { qos: 2 })
    const got = await takeUntil(again, "end")
    for (const from of ["b", "c"]) {
      assert.deepStrictEqual(
        got.filter((one) => one.startsWith(from)),
        Array.from({ length: 20 }, (_, n) => `${from}${n}`)
      )
    }
    assert.deepStrictEqual(await drain(again), [])
  })

  it("what a node keeps for another one is nothing new to a session that has come there and has had it where it was before", async () => {
    const [b, c] = await nodes("b", "c")
    if (b === undefined || c === undefined) return
    const first = await c.durable("s")
    await first.subscribe("t", 2)
    const other = await b.durable("other")
    await other.subscribe("t", 2)
    await other.disconnect()
    await cluster.settled()
    await cluster.kill("b")
    const publisher = await c.durable("p")
    const count = 900
    for (let n = 0; n < count; n++) {
      publisher.send({
        cmd: "publish",
        topic: "t",
        payload: `${n}`,
        qos: 1,
        messageId: n + 1,
        dup: false,
        retain: false
      })
    }
    await until("all kept", () => c.remote.forwarder.owedTo("b").messages === count)
    await takeUntil(first, `${count - 1}`)
    await first.disconnect()
    const back = await cluster.startOne("b")
    const again = await back.durable("s")
    assert.isTrue(again.connack.sessionPresent)
    await until("all taken", () => c.remote.forwarder.owedTo("b").messages === 0)
    publisher.send({
      cmd: "publish",
      topic: "t",
      payload: "end",
      qos: 1,
      messageId: count + 1,
      dup: false,
      retain: false
    })
    assert.deepStrictEqual(await takeUntil(again, "end"), ["end"])
    assert.strictEqual(back.broker.sessions.get("other")?.owed, count + 1)
  })

  for (const victim of ["b", "a"] as const) {
    const whose = victim === "b" ? "subscriber" : "publisher"
    it(`the ${whose}'s node killed under load and back: nothing acknowledged lost, QoS 2 once, in order`, async () => {
      const [a, b] = await nodes("a", "b")
      if (a === undefined || b === undefined) return
      const subscriber = await b.durable("s")
      await subscriber.subscribe("t", 2)
      subscriber.drop()
      await cluster.settled()
      const publisher = await a.durable("p")
      const stream = new Stream(publisher, "t")
      for (let n = 0; n < 400; n++) stream.later(String(n).padStart(4, "0"), n % 2 === 0 ? 2 : 1)
      const listening = stream.listen()
      await until("some acknowledged", () => stream.acknowledged.length > 50)
      await cluster.kill(victim)
      let lost: Stream = stream
      if (victim === "b") await cluster.startOne("b")
      else {
        await listening
        await cluster.startOne("a")
        const again = await cluster.nodes.get("a")?.durable("p")
        if (again === undefined) return
        lost = new Stream(again, "t")
        for (const [messageId, { payload, qos, released }] of stream.unacknowledged) {
          lost.unacknowledged.set(messageId, { payload, qos, released })
          if (released) again.send({ cmd: "pubrel", messageId })
          else lost.send(payload, qos, true, messageId)
        }
        lost.takeOver(stream)
      }
      await cluster.settled()
      await (lost === stream ? listening : lost.listen())
      assert.strictEqual(lost.unacknowledged.size, 0)
      const finisher = await cluster.nodes.get("a")?.connect(4, { clientId: "f" })
      await finisher?.publish("t", "end", { qos: 2 })
      const back = await cluster.nodes.get("b")?.durable("s")
      if (back === undefined) return
      const got = (await takeUntil(back, "end")).slice(0, -1)
      const acknowledged = [...new Set([...stream.acknowledged, ...lost.acknowledged])]
      assert.strictEqual(acknowledged.length, 400)
      for (const payload of acknowledged) assert.include(got, payload)
      const exactly = got.filter((payload) => Number(payload) % 2 === 0)
      assert.deepStrictEqual(exactly, [...new Set(exactly)].sort())
      const atLeast = [...new Set(got.filter((payload) => Number(payload) % 2 === 1))]
      assert.deepStrictEqual(atLeast, [...atLeast].sort())
    })
  }
})

describe("shared groups across nodes", { timeout: 60_000 }, () => {
  const group = async (...brokers: ReadonlyArray<ClusteredBroker>): Promise<Array<TestClient>> => {
    const members: Array<TestClient> = []
    for (const [index, broker] of brokers.entries()) {
      const member = await broker.connect(4, { clientId: `m${index}` })
      await member.subscribe("$share/g/t/#", 1)
      members.push(member)
    }
    await cluster.settled()
    return members
  }

  it("a message goes to one member of all nodes, in turns by their number", async () => {
    const [a, b, c] = await nodes("a", "b", "c")
    if (a === undefined || b === undefined || c === undefined) return
    const members = await group(a, b, b)
    const normal = await c.connect(4, { clientId: "n" })
    await normal.subscribe("t/1", 0)
    await cluster.settled()
    for (const from of [c, a]) {
      const publisher = await from.connect(4, { clientId: `p${from.name}` })
      for (let n = 0; n < 30; n++) await publisher.publish("t/1", String(n + 100), { qos: 1 })
      const got: Array<ReadonlyArray<string>> = []
      for (const member of members) got.push(await drain(member))
      assert.strictEqual(new Set(got.flat()).size, 30)
      assert.strictEqual(got.flat().length, 30)
      // A third each, but for those that were chosen before the counts were known.
      for (const one of got) assert.isAtLeast(one.length, 6)
      for (let n = 0; n < 30; n++) await normal.receive("publish")
    }
    for (const member of [...members, normal]) await member.expectNothing()
  })

  it("members that have gone are passed over, wherever the counts say otherwise; a dead node's share goes to others", async () => {
    const [a, b, c] = await nodes("a", "b", "c")
    if (a === undefined || b === undefined || c === undefined) return
    const [, second, third] = await group(a, b, c)
    const [first] = a.clients
    if (first === undefined || second === undefined || third === undefined) return
    const publisher = await a.connect(4, { clientId: "p" })
    // Sooner than the counts can tell.
    second.drop()
    for (let n = 10; n < 22; n++) await publisher.publish("t/1", `a${n}`, { qos: 1 })
    const got = [...await drain(first), ...await drain(third)]
    assert.deepStrictEqual(got.sort(), Array.from({ length: 12 }, (_, n) => `a${n + 10}`))
    const killed = cluster.kill("c")
    for (let n = 10; n < 22; n++) await publisher.publish("t/1", `b${n}`, { qos: 1 })
    await killed
    const before = await drain(third)
    const rest: Array<string> = []
    await cluster.sees("a", "c", false)
    while (before.length + rest.length < 12) rest.push(...await drain(first))
    assert.deepStrictEqual([...before, ...rest].sort(), Array.from({ length: 12 }, (_, n) => `b${n + 10}`))
  })
})
