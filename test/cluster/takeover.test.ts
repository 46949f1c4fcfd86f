// A session that follows its client from node to node, with all it has. Brokers in this process with stores of their own; what they say to each other goes over
// a network in memory, which can lose a step.
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import type { Members, MemberStatus } from "../../src/cluster/Bus.ts"
import { Directory } from "../../src/cluster/sessions/Directory.ts"
import { HybridClock } from "../../src/cluster/HybridClock.ts"
import { rendezvous } from "../../src/cluster/sessions/rendezvous.ts"
import { Takeover } from "../../src/cluster/sessions/Takeover.ts"
import { defaultSettings } from "../../src/config/Settings.ts"
import { DurableBroker } from "../support/durableBroker.ts"
import type { PacketOf, TestClient } from "../support/TestClient.ts"
import { MemoryNetwork } from "./MemoryBus.ts"

const names = ["a", "b", "c"] as const
type Name = (typeof names)[number]

class Nodes {
  readonly network = new MemoryNetwork({ delayMillis: 1, now: performance.timeOrigin + performance.now() })
  readonly brokers = new Map<Name, DurableBroker>()
  readonly takeovers = new Map<Name, Takeover>()
  /** Whose cluster has no room for tasks. */
  readonly full = new Set<Name>()
  readonly #tasks: Array<() => void> = []
  #running = true

  of(name: Name): DurableBroker {
    const broker = this.brokers.get(name)
    if (broker === undefined) throw new Error(name)
    return broker
  }

  takeover(name: Name): Takeover {
    const takeover = this.takeovers.get(name)
    if (takeover === undefined) throw new Error(name)
    return takeover
  }

  async start(engine: "sqlite" | "none", takeover: "anyone" | "same_user" = "anyone"): Promise<this> {
    const members = (self: string): Members => ({
      self,
      present: names,
      status: (): MemberStatus => "alive"
    })
    for (const name of names) {
      const durable = await new DurableBroker((settings) => ({
        ...settings,
        authentication: { ...settings.authentication, takeover },
        store: engine === "sqlite" ? settings.store : { ...defaultSettings.store, durability: "memory" }
      })).start()
      this.brokers.set(name, durable)
      const { services, sessions } = durable.broker
      const bus = this.network.node(name)
      const now = () => this.network.now
      const moves = new Takeover(
        {
          bus,
          members: members(name),
          sessions,
          journal: services.journal,
          now,
          moveMillis: 2_000,
          post: (task) => !this.full.has(name) && this.#tasks.push(task) > 0,
          flushRoutes: () => ({ epoch: 1, version: 1 }),
          knowsRoutes: () => true,
          afterMessages: (_, run) => run()
        },
        (onYield) => {
          const directory = new Directory({
            bus,
            members: members(name),
            clock: new HybridClock(now),
            now,
            claimMillis: 1_000,
            moveMillis: 4_000,
            onYield,
            judge: (clientId, mark, reply) => sessions.judge(clientId, mark, (may) => moves.post(() => reply(may)))
          })
          bus.add(directory)
          return directory
        }
      )
      bus.add(moves)
      sessions.remote = moves
      this.takeovers.set(name, moves)
    }
    this.network.connectAll()
    this.#turn()
    return this
  }

  /** The clusters' turns, with the time that has passed. */
  #turn(): void {
    if (!this.#running) return
    for (const task of this.#tasks.splice(0)) task()
    const now = performance.timeOrigin + performance.now()
    this.network.advance(Math.max(0, now - this.network.now))
    setImmediate(() => this.#turn())
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise((resolve) => setImmediate(resolve))
  }

  async stop(): Promise<void> {
    this.#running = false
    for (const broker of this.brokers.values()) await broker.stop()
  }
}

/** So many messages, each acknowledged as it comes. */
const receiveAll = async (client: TestClient, count: number): Promise<Array<PacketOf<"publish">>> => {
  const packets: Array<PacketOf<"publish">> = []
  let open = 0
  while (packets.length < count || open > 0) {
    const packet = await client.next()
    if (packet.cmd === "publish") {
      packets.push(packet)
      const messageId = packet.messageId ?? 0
      if (packet.qos === 1) client.send({ cmd: "puback", messageId })
      else client.send({ cmd: "pubrec", messageId })
      if (packet.qos === 2) open++
    } else if (packet.cmd === "pubrel") {
      open--
      client.send({ cmd: "pubcomp", messageId: packet.messageId ?? 0 })
    }
  }
  return packets
}

describe.each(["sqlite", "none"] as const)("a session moves, store: %s", (engine) => {
  let nodes: Nodes
  beforeEach(async () => {
    nodes = await new Nodes().start(engine)
  })
  afterEach(() => nodes.stop())

  it("with its subscriptions and what it is owed, in order; nothing of it stays behind", async () => {
    const first = await nodes.of("a").durable(5, "s")
    await first.subscribe("q/#", 2, { rap: true, identifier: 9 })
    await first.subscribe("other", 1)
    await first.disconnect()
    const publisher = await nodes.of("a").connect(5, { clientId: "p" })
    for (let i = 0; i < 300; i++) await publisher.publish("q/1", `${i}`, { qos: i % 2 === 0 ? 1 : 2, retain: i === 7 })
    const again = await nodes.of("b").durable(5, "s")
    expect(again.connack.sessionPresent).toBe(true)
    const packets = await receiveAll(again, 300)
    packets.forEach((packet, i) => {
      expect(String(packet.payload)).toBe(`${i}`)
      expect(packet.qos).toBe(i % 2 === 0 ? 1 : 2)
      expect(packet.retain).toBe(i === 7)
      expect(packet.properties?.subscriptionIdentifier).toBe(9)
    })
    await nodes.until(() => nodes.of("a").broker.sessions.get("s") === undefined && nodes.takeover("a").moving === 0)
    expect(nodes.of("a").broker.services.router.subscriptionCount).toBe(0)
    const near = await nodes.of("b").connect(5, { clientId: "near" })
    await near.publish("other", "here", { qos: 1 })
    await again.acknowledge(await again.receive("publish", { topic: "other", payload: "here" }))
    const back = await nodes.of("a").durable(5, "s")
    expect(back.connack.sessionPresent).toBe(true)
    await again.expectRefused(0x8e)
    await back.expectNothing()
  })

  it("with its exchanges: what was sent is sent again under its identifier, a QoS 2 message comes once", async () => {
    const first = await nodes.of("a").durable(5, "s")
    await first.subscribe("q", 2)
    const publisher = await nodes.of("a").connect(5, { clientId: "p" })
    for (const qos of [1, 2, 2] as const) await publisher.publish("q", `qos ${qos}`, { qos })
    const one = await first.receive("publish", { qos: 1 })
    const two = await first.receive("publish", { qos: 2 })
    const three = await first.receive("publish", { qos: 2 })
    first.send({ cmd: "pubrec", messageId: two.messageId ?? 0 })
    await first.receive("pubrel", { messageId: two.messageId ?? 0 })
    // And one in the other direction: published here, released there.
    first.send({ cmd: "publish", topic: "elsewhere", payload: "x", qos: 2, messageId: 77, dup: false, retain: false })
    await first.receive("pubrec", { messageId: 77 })
    const again = await nodes.of("b").durable(5, "s")
    expect(again.connack.sessionPresent).toBe(true)
    await again.receive("publish", { messageId: one.messageId, qos: 1, dup: true })
    await again.receive("pubrel", { messageId: two.messageId })
    await again.receive("publish", { messageId: three.messageId, qos: 2, dup: true })
    again.send({ cmd: "publish", topic: "elsewhere", payload: "x", qos: 2, messageId: 77, dup: true, retain: false })
    await again.receive("pubrec", { messageId: 77, reasonCode: 0 })
    again.send({ cmd: "pubrel", messageId: 77 })
    await again.receive("pubcomp", { messageId: 77, reasonCode: 0 })
    expect(nodes.of("b").broker.counters.messages_duplicate_total).toBe(1)
  })

  it("a clean start ends it where it is", async () => {
    const first = await nodes.of("a").durable(5, "s")
    await first.subscribe("q", 1)
    const again = await nodes.of("c").connect(5, { clientId: "s", clean: true })
    expect(again.connack.sessionPresent).toBe(false)
    await first.expectRefused(0x8e)
    await nodes.until(() => nodes.of("a").broker.services.router.subscriptionCount === 0)
    await again.disconnect()
  })

  it("a lost step leaves it where it was, and its client gets what it is owed later", async () => {
    const first = await nodes.of("a").durable(5, "s")
    await first.subscribe("q", 2)
    await first.disconnect()
    const publisher = await nodes.of("a").connect(5, { clientId: "p" })
    for (let i = 0; i < 10; i++) await publisher.publish("q", `${i}`, { qos: i < 5 ? 1 : 2 })
    nodes.network.disconnect("a", "b")
    nodes.network.disconnect("a", "c")
    const again = await nodes.of("b").durable(5, "s")
    expect(again.connack.sessionPresent).toBe(false)
    await publisher.publish("q", "10", { qos: 2 })
    nodes.network.connect("a", "b")
    nodes.network.connect("a", "c")
    const packets = await receiveAll(again, 11)
    expect(packets.map(({ payload }) => String(payload))).toEqual(Array.from({ length: 11 }, (_, i) => `${i}`))
    await again.expectNothing()
    await nodes.until(() => nodes.of("a").broker.sessions.get("s") === undefined)
  })

  it("what two other nodes have of it, of a time when nobody saw anybody, comes from both, once", async () => {
    const parted = [["a", "b"], ["a", "c"], ["b", "c"]] as const
    for (const [one, other] of parted) nodes.network.disconnect(one, other)
    for (const name of ["a", "b"] as const) {
      const client = await nodes.of(name).durable(5, "s")
      await client.subscribe("q", 2)
      await client.disconnect()
      const publisher = await nodes.of(name).connect(5, { clientId: `p-${name}` })
      for (let i = 0; i < 5; i++) await publisher.publish("q", `${name}${i}`, { qos: i % 2 === 0 ? 1 : 2 })
    }
    const again = await nodes.of("c").durable(5, "s")
    expect(again.connack.sessionPresent).toBe(false)
    for (const [one, other] of parted) nodes.network.connect(one, other)
    const packets = await receiveAll(again, 10)
    const came = packets.map(({ payload }) => String(payload))
    expect(came.filter((text) => text.startsWith("a"))).toEqual(["a0", "a1", "a2", "a3", "a4"])
    expect(came.filter((text) => text.startsWith("b"))).toEqual(["b0", "b1", "b2", "b3", "b4"])
    await nodes.until(() => names.every((name) => nodes.takeover(name).moving === 0))
    await again.expectNothing()
    await nodes.until(() =>
      (["a", "b"] as const).every((name) => nodes.of(name).broker.sessions.get("s") === undefined)
    )
  })

  it("of two sessions that know nothing of each other the one whose client has come last stays", async () => {
    for (const one of names) for (const other of names) if (one < other) nodes.network.disconnect(one, other)
    for (const name of ["c", "b"] as const) {
      const { sessions } = nodes.of(name).broker
      const { remote } = sessions
      sessions.remote = null
      const client = await nodes.of(name).durable(5, "s")
      await client.subscribe("q", 1)
      await client.disconnect()
      sessions.remote = remote
      nodes.takeover(name).begin()
      expect(sessions.get("s")?.token).toBe(0)
    }
    const client = await nodes.of("b").durable(5, "s")
    expect(client.connack.sessionPresent).toBe(true)
    for (const one of names) for (const other of names) if (one < other) nodes.network.connect(one, other)
    await nodes.until(() => names.filter((name) => nodes.of(name).broker.sessions.get("s") !== undefined).length === 1)
    await nodes.until(() => names.every((name) => nodes.takeover(name).moving === 0))
    expect(nodes.of("b").broker.sessions.get("s")?.connected).toBe(true)
    expect(nodes.of("b").broker.sessions.get("s")?.token).toBeGreaterThan(0)
  })

  it("a session on a node without a link to the claimant holds nobody up, and comes when there is one", async () => {
    const id = Array.from({ length: 100 }, (_, index) => `s${index}`).find((one) => rendezvous(names, one) === "c") ??
      ""
    nodes.network.disconnect("a", "b")
    const first = await nodes.of("a").durable(5, id)
    await first.subscribe("q", 1)
    const publisher = await nodes.of("a").connect(5, { clientId: "p" })
    for (const payload of ["0", "1", "2"]) {
      await publisher.publish("q", payload, { qos: 1 })
      await first.receive("publish", { payload })
    }
    const second = await nodes.of("b").durable(5, id)
    expect(second.connack.sessionPresent).toBe(false)
    await first.expectRefused(0x8e)
    // The next claim does not wait for a move that cannot be made.
    const third = await nodes.of("c").durable(5, id)
    expect(third.connack.sessionPresent).toBe(true)
    await second.expectRefused(0x8e)
    expect(nodes.of("a").broker.sessions.get(id)).toBeDefined()
    nodes.network.connect("a", "b")
    const packets = await receiveAll(third, 3)
    expect(packets.map(({ payload }) => String(payload))).toEqual(["0", "1", "2"])
    await nodes.until(() => names.every((name) => nodes.takeover(name).moving === 0))
    await nodes.until(() => (["a", "b"] as const).every((name) => nodes.of(name).broker.sessions.get(id) === undefined))
    await third.expectNothing()
  })

  it("a client that comes back to a session that could not be given away has it, and the other one's is merged later", async () => {
    const id = Array.from({ length: 100 }, (_, index) => `s${index}`).find((one) => rendezvous(names, one) === "c") ??
      ""
    nodes.network.disconnect("a", "b")
    const first = await nodes.of("a").durable(5, id)
    await first.subscribe("q", 1)
    const second = await nodes.of("b").durable(5, id)
    await first.expectRefused(0x8e)
    const third = await nodes.of("a").durable(5, id)
    expect(third.connack.sessionPresent).toBe(true)
    await second.expectRefused(0x8e)
    nodes.network.connect("a", "b")
    await nodes.until(() => names.filter((name) => nodes.of(name).broker.sessions.get(id) !== undefined).length === 1)
    await nodes.until(() => names.every((name) => nodes.takeover(name).moving === 0))
    expect(nodes.of("a").broker.sessions.get(id)?.connected).toBe(true)
    expect(names.map((name) => nodes.takeover(name).directory.holds(id))).toEqual([true, false, false])
  })

  it("what the cluster's mailbox has no room for is not lost: ends of sessions, and claims", async () => {
    const { broker } = nodes.of("a")
    const client = await nodes.of("a").connect(5, { clientId: "ends" })
    nodes.full.add("a")
    await client.disconnect()
    await nodes.until(() => broker.sessions.size === 0)
    const coming = nodes.of("a").connect(5, { clientId: "comes" })
    await nodes.until(() => broker.counters.sessions_claimed_total === 2)
    nodes.full.delete("a")
    await coming
    const tables = () => names.reduce((sum, name) => sum + nodes.takeover(name).directory.table.size, 0)
    await nodes.until(() => nodes.takeover("a").directory.heldCount === 1 && tables() === 1)
    expect(nodes.takeover("a").directory.holds("comes")).toBe(true)
  })

  it("a will without a delay is published by the take-over, one with a delay is not", async () => {
    for (const delay of [0, 30]) {
      const watcher = await nodes.of("a").connect(5, { clientId: `w${delay}` })
      await watcher.subscribe("will")
      const will = { topic: "will", payload: `${delay}`, qos: 0 as const, retain: false }
      await nodes.of("a").connect(5, {
        clientId: `s${delay}`,
        clean: false,
        properties: { sessionExpiryInterval: 100 },
        will: { ...will, properties: { willDelayInterval: delay } }
      })
      const again = await nodes.of("b").durable(5, `s${delay}`)
      expect(again.connack.sessionPresent).toBe(true)
      if (delay === 0) await watcher.receive("publish", { payload: "0" })
      else await watcher.expectNothing()
      await watcher.disconnect()
    }
  })

  it("a node that leaves gives all its sessions away: each is on one other node, with what it is owed", async () => {
    const publisher = await nodes.of("a").connect(5, { clientId: "p" })
    for (let i = 0; i < 150; i++) {
      const client = await nodes.of("a").durable(5, `s${i}`)
      await client.subscribe(`q/${i}`, 1)
      await client.disconnect()
      await publisher.publish(`q/${i}`, `${i}`, { qos: 1 })
    }
    await publisher.disconnect()
    const result = await new Promise((resolve) => nodes.takeover("a").handOver(() => ["b", "c"], resolve))
    expect(result).toEqual({ moved: 150, stayed: 0 })
    expect(nodes.of("a").broker.sessions.size).toBe(0)
    const [b, c] = [nodes.of("b").broker.sessions.size, nodes.of("c").broker.sessions.size]
    expect(b + c).toBe(150)
    expect(Math.min(b, c)).toBeGreaterThan(40)
    await nodes.until(() => names.every((name) => nodes.takeover(name).moving === 0))
    for (const i of [0, 77, 149]) {
      const client = await nodes.of(i % 2 === 0 ? "b" : "c").durable(5, `s${i}`)
      expect(client.connack.sessionPresent).toBe(true)
      await client.acknowledge(await client.receive("publish", { payload: `${i}` }))
    }
  })

  it("two hundred connections with one client id on all nodes: one is left, with one session", async () => {
    const clients = await Promise.all(
      Array.from({ length: 200 }, (_, index) => nodes.of(names[index % 3] ?? "a").open(5))
    )
    clients.forEach((client) =>
      client.sendConnect({ clientId: "s", clean: false, properties: { sessionExpiryInterval: 100 } })
    )
    // Whoever is sent away goes.
    const gone = async (client: TestClient) => {
      while (await client.nextOrClosed() !== undefined);
      client.drop()
    }
    clients.forEach((client) => void gone(client))
    const count = () => names.map((name) => nodes.of(name).broker.sessions.get("s")).filter((one) => one !== undefined)
    const connected = () => count().filter((one) => one.connected).length
    const open = () => names.reduce((sum, name) => sum + nodes.of(name).broker.connections, 0)
    await nodes.until(() => open() === 1)
    await nodes.until(() => names.every((name) => nodes.takeover(name).moving === 0))
    expect(open()).toBe(1)
    expect(count().length).toBe(1)
    expect(connected()).toBe(1)
  })
})

describe.each(["sqlite", "none"] as const)('authentication.takeover = "same_user", store: %s', (engine) => {
  let nodes: Nodes
  beforeEach(async () => {
    nodes = await new Nodes().start(engine, "same_user")
  })
  afterEach(() => nodes.stop())

  it.each([["kept", 1000], ["ends with its connection", 0]] as const)(
    "a stranger on another node is refused, and its own client notices nothing: the session %s",
    async (_, sessionExpiryInterval) => {
      const options = { clientId: "s", username: "ann", clean: false, properties: { sessionExpiryInterval } }
      const ann = await nodes.of("a").connect(5, options)
      await ann.subscribe("q", 1)
      for (const name of ["b", "c"] as const) {
        for (const [version, code] of [[5, 0x85], [4, 2]] as const) {
          for (const username of ["eve", "ann\u0301", undefined]) {
            for (const clean of [true, false]) {
              const eve = await nodes.of(name).open(version)
              eve.sendConnect({ clientId: "s", clean, ...username === undefined ? {} : { username } })
              const connack = await eve.receive("connack")
              expect(version === 5 ? connack.reasonCode : connack.returnCode).toBe(code)
              await eve.expectClosed()
            }
          }
        }
      }
      expect(nodes.of("a").broker.counters.sessions_taken_over_total).toBe(0)
      const publisher = await nodes.of("c").connect(5, { clientId: "p" })
      expect(nodes.of("b").broker.sessions.size).toBe(0)
      await publisher.disconnect()
      const near = await nodes.of("a").connect(5, { clientId: "near" })
      await near.publish("q", "for ann", { qos: 1 })
      await ann.acknowledge(await ann.receive("publish", { payload: "for ann" }))
      // The user itself may come anywhere.
      const again = await nodes.of("b").connect(5, options)
      expect(again.connack.sessionPresent).toBe(sessionExpiryInterval > 0)
      await ann.expectRefused(0x8e)
    }
  )

  it("of two users who had a session while their nodes did not see each other none gets what the other is owed", async () => {
    const ann = await nodes.of("a").durable(5, "s", { username: "ann" })
    await ann.subscribe("q", 1)
    await ann.disconnect()
    const publisher = await nodes.of("a").connect(5, { clientId: "p" })
    for (let i = 0; i < 10; i++) await publisher.publish("q", "for ann", { qos: 1 })
    nodes.network.disconnect("a", "b")
    nodes.network.disconnect("a", "c")
    const eve = await nodes.of("b").durable(5, "s", { username: "eve" })
    expect(eve.connack.sessionPresent).toBe(false)
    nodes.network.connect("a", "b")
    nodes.network.connect("a", "c")
    await nodes.until(() => nodes.of("a").broker.sessions.get("s") === undefined && nodes.takeover("a").moving === 0)
    await nodes.until(() => nodes.takeover("b").moving === 0)
    await eve.expectNothing()
    expect(nodes.of("b").broker.counters.deliveries_dropped_denied_total).toBe(10)
    await eve.subscribe("q", 1)
    const near = await nodes.of("b").connect(5, { clientId: "near" })
    await near.publish("q", "for eve", { qos: 1 })
    await eve.acknowledge(await eve.receive("publish", { payload: "for eve" }))
  })
})
