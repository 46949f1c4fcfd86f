// A defect thrown inside one actor ends or restarts that one; everybody else goes on as if nothing had happened.
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { type InnerBroker, startInnerBroker } from "../support/innerBroker.ts"

const boom = () => {
  throw new Error("a defect put in by a test")
}

describe("a defect", () => {
  let inner: InnerBroker
  beforeEach(async () => {
    inner = await startInnerBroker()
  })
  afterEach(() => inner.stop())

  /** A pair of clients that must not notice anything: their messages arrive, in order, on the connection they have. */
  const bystanders = async () => {
    const subscriber = await inner.connect(5)
    await subscriber.subscribe("by/+", 1)
    const publisher = await inner.connect(4)
    let sent = 0
    return async () => {
      for (let i = 0; i < 5; i++) await publisher.publish("by/stander", `${sent++}`, { qos: 1 })
      const got = await subscriber.receivePublishes(5)
      for (const packet of got) await subscriber.acknowledge(packet)
      assert.deepStrictEqual(
        got.map((packet) => Number(packet.payload.toString())),
        [5, 4, 3, 2, 1].map((n) => sent - n)
      )
    }
  }

  it("in a connection closes that connection, publishes its will, and nothing else", async () => {
    const unharmed = await bystanders()
    const watcher = await inner.connect(4)
    await watcher.subscribe("will")
    const victim = await inner.connect(4, {
      clientId: "victim",
      will: { topic: "will", payload: "gone", qos: 0, retain: false }
    })
    Object.defineProperty(inner.connection("victim"), "publishing", { value: boom })
    victim.send({ cmd: "publish", topic: "x", payload: "x", qos: 0, dup: false, retain: false })
    await victim.expectClosed()
    await watcher.receive("publish", { topic: "will" })
    await unharmed()
    assert.strictEqual(inner.broker.counters.connections_crashed_total, 1)
  })

  it("in a session closes its connection; the session lives on with subscriptions and what it is owed", async () => {
    const unharmed = await bystanders()
    const victim = await inner.connect(5, {
      clientId: "victim",
      clean: false,
      properties: { sessionExpiryInterval: 60 }
    })
    await victim.subscribe("a/#", 1)
    const publisher = await inner.connect(4)
    await publisher.publish("a/1", "1", { qos: 1 })
    await victim.receive("publish", { topic: "a/1" })
    const session = inner.session("victim")
    Object.defineProperty(session.outgoing, "deliver", { value: boom, configurable: true })
    await publisher.publish("a/2", "lost with the defect", { qos: 1 })
    await victim.receive("disconnect", { reasonCode: 0x83 })
    await victim.expectClosed()
    Reflect.deleteProperty(session.outgoing, "deliver")
    await publisher.publish("a/3", "3", { qos: 1 })
    const again = await inner.connect(5, {
      clientId: "victim",
      clean: false,
      properties: { sessionExpiryInterval: 60 }
    })
    assert.strictEqual(inner.session("victim"), session)
    const owed = await again.receivePublishes(2)
    assert.deepStrictEqual(owed.map((packet) => packet.topic), ["a/1", "a/3"])
    assert.strictEqual(inner.broker.counters.sessions_crashed_total, 1)
    await unharmed()
  })

  it("in a session, again and again, ends that session alone", async () => {
    const unharmed = await bystanders()
    const publisher = await inner.connect(4)
    const options = { clientId: "victim", clean: false, properties: { sessionExpiryInterval: 60 } }
    const first = await inner.connect(5, options)
    await first.subscribe("a", 1)
    const session = inner.session("victim")
    Object.defineProperty(session.outgoing, "deliver", { value: boom })
    for (let crash = 1; crash <= 4; crash++) {
      await publisher.publish("a", `${crash}`, { qos: 1 })
      while (inner.broker.counters.sessions_crashed_total < crash) await publisher.ping()
    }
    await first.receive("disconnect", { reasonCode: 0x83 })
    const fresh = await inner.open()
    await fresh.connect({ clientId: "victim", clean: false })
    assert.notStrictEqual(inner.session("victim"), session)
    await unharmed()
  })

  it("in the router: it is restarted, subscriptions still match, the request is answered, nobody is disconnected", async () => {
    const unharmed = await bystanders()
    const client = await inner.connect(5)
    await client.subscribe("before/#", 0)
    const { router } = inner.broker.services
    const table: object = Reflect.get(router, "table")
    Object.defineProperty(table, "subscribe", { value: boom })
    await client.subscribe("after/+", 0)
    assert.notStrictEqual(Reflect.get(router, "table"), table)
    const publisher = await inner.connect(4)
    await publisher.publish("before/1", "x")
    await publisher.publish("after/1", "x")
    assert.deepStrictEqual((await client.receivePublishes(2)).map((packet) => packet.topic), ["before/1", "after/1"])
    await unharmed()
    assert.strictEqual(inner.broker.tree().children.find((child) => child.name === "router")?.restarts, 1)
  })

  it("in the router while a message is matched: the message still arrives", async () => {
    const unharmed = await bystanders()
    const client = await inner.connect(5)
    await client.subscribe("m/#", 1)
    Object.defineProperty(Reflect.get(inner.broker.services.router, "table"), "match", { value: boom })
    const publisher = await inner.connect(4)
    await publisher.publish("m/1", "x", { qos: 1 })
    await client.receive("publish", { topic: "m/1" })
    await unharmed()
  })

  it("in the retainer: what was retained before stays, and it goes on retaining", async () => {
    const unharmed = await bystanders()
    const publisher = await inner.connect(5)
    await publisher.publish("r/1", "1", { qos: 1, retain: true })
    const { retainer } = inner.broker.services
    Object.defineProperty(retainer, "handle", { value: boom, configurable: true })
    await publisher.publish("r/lost", "lost with the defect", { qos: 1, retain: true })
    const deadline = Date.now() + 5_000
    while (inner.broker.tree().children.find((child) => child.name === "retainer")?.restarts !== 1) {
      assert.isBelow(Date.now(), deadline)
      await publisher.ping()
    }
    Reflect.deleteProperty(retainer, "handle")
    await publisher.publish("r/2", "2", { qos: 1, retain: true })
    const client = await inner.connect(4)
    await client.subscribe("r/#", 0)
    assert.deepStrictEqual((await client.receivePublishes(2)).map((packet) => packet.topic).sort(), ["r/1", "r/2"])
    await unharmed()
  })

  it("in the registry: CONNECTs that come after it are answered", async () => {
    const unharmed = await bystanders()
    Object.defineProperty(inner.broker.sessions, "open", { value: boom, configurable: true })
    const lost = await inner.open()
    lost.sendConnect({ clientId: "lost" })
    const deadline = Date.now() + 5_000
    const other = await inner.open()
    while (inner.broker.tree().children.find((child) => child.name === "registry")?.restarts !== 1) {
      assert.isBelow(Date.now(), deadline)
      await new Promise((resolve) => setImmediate(resolve))
    }
    Reflect.deleteProperty(inner.broker.sessions, "open")
    await other.connect({ clientId: "other" })
    await unharmed()
  })
})
