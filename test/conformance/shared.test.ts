// 4.8.2 Shared subscriptions, and the original's $queue and $local.

import { describe, expect, it } from "vitest"
import { both, isExternal, useBroker } from "../support/broker.ts"
import { publishBytes, subscribeBytes } from "../support/packets.ts"
import type { ConnectOptions, TestClient, Version } from "../support/TestClient.ts"

const broker = useBroker()

const keeping: ConnectOptions = { clean: false, properties: { sessionExpiryInterval: 100 } }

/** Each member in turn is asked for what it has got. */
const received = async (clients: ReadonlyArray<TestClient>): Promise<Array<Array<string>>> => {
  const all: Array<Array<string>> = []
  for (const client of clients) {
    const mine: Array<string> = []
    client.send("c0 00")
    for (let packet = await client.next(); packet.cmd !== "pingresp"; packet = await client.next()) {
      if (packet.cmd === "publish") mine.push(packet.payload.toString())
      if (packet.cmd === "publish" && packet.qos === 1) client.send({ cmd: "puback", messageId: packet.messageId ?? 0 })
    }
    all.push(mine)
  }
  return all
}

const refuses = async (version: Version, filter: string): Promise<void> => {
  const client = await broker.connect(version)
  client.send(subscribeBytes(version, filter))
  const answer = await client.nextOrClosed()
  if (answer === undefined || answer[0] === 0xe0) return client.expectClosed()
  expect(answer.at(-1)).toBe(version === 5 ? 0x8f : 0x80)
}

describe.each(both)("shared subscriptions, MQTT level %i", (version) => {
  it.each(["$share//a", "$share/", "$share"])(
    "[MQTT5-4.8.2-1] a share name has at least one character: %s",
    async (filter) => {
      if (filter === "$share") {
        // That is an ordinary filter of one level.
        const client = await broker.connect(version)
        const code = await client.subscribe(filter).catch(() => 0x8f)
        expect([0, 0x80, 0x8f]).toContain(code)
        return
      }
      await refuses(version, filter)
    }
  )

  it.each(["$share/g", "$share/g/", "$share/g+/a", "$share/#/a", "$share/+/a"])(
    "[MQTT5-4.8.2-2] a share name without wildcards, then / and a filter: %s",
    (filter) => refuses(version, filter)
  )

  it("each message goes to one member of the group, and to each group, and to those who subscribed alone", async () => {
    const topic = broker.topic()
    const members = await Promise.all([1, 2, 3].map(() => broker.connect(version)))
    for (const member of members) await member.subscribe(`$share/g/${topic}/#`, 1)
    const others = await Promise.all([1, 2].map(() => broker.connect(version)))
    for (const other of others) await other.subscribe(`$share/h/${topic}/+`, 1)
    const alone = await broker.connect(version)
    await alone.subscribe(`${topic}/a`, 1)
    const publisher = await broker.connect(version)
    const sent = Array.from({ length: 30 }, (_, i) => `${i}`)
    for (const payload of sent) await publisher.publish(`${topic}/a`, payload, { qos: 1 })
    const inNumbers = (all: ReadonlyArray<ReadonlyArray<string>>) => all.flat().map(Number).sort((a, b) => a - b)
    expect(inNumbers(await received(members))).toEqual(sent.map(Number))
    expect(inNumbers(await received(others))).toEqual(sent.map(Number))
    expect(await received([alone])).toEqual([sent])
  })

  it("[MQTT5-4.8.2-3] the member's granted QoS is respected", async () => {
    for (const qos of [0, 1, 2] as const) {
      const topic = broker.topic()
      const member = await broker.connect(version)
      expect(await member.subscribe(`$share/g/${topic}`, qos)).toBe(qos)
      const publisher = await broker.connect(version)
      await publisher.publish(topic, "x", { qos: 2 })
      await member.acknowledge(await member.receive("publish", { payload: "x", qos }))
    }
  })

  it("a member that unsubscribes gets nothing more; the others get all", async () => {
    const topic = broker.topic()
    const filter = `$share/g/${topic}`
    const stays = await broker.connect(version)
    await stays.subscribe(filter, 1)
    const leaves = await broker.connect(version)
    await leaves.subscribe(filter, 1)
    leaves.send({ cmd: "unsubscribe", messageId: 9, unsubscriptions: [filter] })
    await leaves.receive("unsuback", { messageId: 9 })
    const publisher = await broker.connect(version)
    for (let i = 0; i < 4; i++) await publisher.publish(topic, `${i}`, { qos: 1 })
    expect(await received([stays, leaves])).toEqual([["0", "1", "2", "3"], []])
  })

  it("no retained messages are sent to a shared subscription", async () => {
    const topic = broker.topic()
    const client = await broker.connect(version)
    await client.publish(topic, "kept", { retain: true, qos: 1 })
    await client.subscribe(`$share/g/${topic}`, 1)
    await client.expectNothing()
  })

  it("a member that is not connected is passed over as long as one is", async () => {
    const topic = broker.topic()
    const filter = `$share/g/${topic}`
    const away = await broker.connect(version, version === 5 ? keeping : { clean: false })
    await away.subscribe(filter, 1)
    const there = await broker.connect(version)
    await there.subscribe(filter, 1)
    await away.disconnect()
    const publisher = await broker.connect(version)
    for (let i = 0; i < 4; i++) await publisher.publish(topic, `${i}`, { qos: 1 })
    expect(await received([there])).toEqual([["0", "1", "2", "3"]])
  })

  it("when no member is connected the message waits in the session of one of them", async () => {
    const topic = broker.topic()
    const filter = `$share/g/${topic}`
    const keep = version === 5 ? keeping : { clean: false }
    const members = await Promise.all([1, 2].map(() => broker.connect(version, keep)))
    for (const member of members) await member.subscribe(filter, 1)
    for (const member of members) await member.disconnect()
    const publisher = await broker.connect(version)
    for (let i = 0; i < 4; i++) await publisher.publish(topic, `${i}`, { qos: 1 })
    const back = await Promise.all(members.map(({ clientId }) => broker.connect(version, { clientId, ...keep })))
    const all = await received(back)
    expect(all.flat().toSorted()).toEqual(["0", "1", "2", "3"])
  })

  it("unacknowledged QoS 1 messages of a member that goes away for good go to another", async () => {
    const topic = broker.topic()
    const filter = `$share/g/${topic}`
    const leaves = await broker.connect(version)
    await leaves.subscribe(filter, 1)
    const publisher = await broker.connect(version)
    for (let i = 0; i < 3; i++) await publisher.publish(topic, `${i}`, { qos: 1 })
    await leaves.receivePublishes(3)
    const stays = await broker.connect(version)
    await stays.subscribe(filter, 1)
    leaves.drop()
    const found = []
    while (found.length < 3) {
      const packet = await stays.receive("publish", { qos: 1 })
      found.push(packet.payload.toString())
      await stays.acknowledge(packet)
    }
    expect(found).toEqual(["0", "1", "2"])
  })
})

describe("shared subscriptions and QoS 2", () => {
  it("[MQTT5-4.8.2-4] what was sent with QoS 2 is completed with the same client when it comes back", async () => {
    const topic = broker.topic()
    const filter = `$share/g/${topic}`
    const member = await broker.connect(5, keeping)
    await member.subscribe(filter, 2)
    const publisher = await broker.connect(5)
    await publisher.publish(topic, "x", { qos: 2 })
    const { messageId } = await member.receive("publish", { payload: "x", qos: 2 })
    const other = await broker.connect(5)
    await other.subscribe(filter, 2)
    member.drop()
    await publisher.ping()
    await other.expectNothing()
    const again = await broker.connect(5, { clientId: member.clientId, ...keeping })
    await again.acknowledge(await again.receive("publish", { payload: "x", messageId, dup: true }))
    await other.expectNothing()
  })

  it("[MQTT5-4.8.2-5] if its session ends instead, the message goes to no other client", async () => {
    const topic = broker.topic()
    const filter = `$share/g/${topic}`
    const member = await broker.connect(5, keeping)
    await member.subscribe(filter, 2)
    const publisher = await broker.connect(5)
    await publisher.publish(topic, "x", { qos: 2 })
    await member.receive("publish", { payload: "x", qos: 2 })
    const other = await broker.connect(5)
    await other.subscribe(filter, 2)
    member.drop()
    const clean = await broker.connect(5, { clientId: member.clientId, clean: true })
    await clean.expectNothing()
    await other.expectNothing()
  })

  it.each([1, 2] as const)(
    "[MQTT5-4.8.2-6] a message that a member answers with 0x80 or more goes to no other member: QoS %i",
    async (qos) => {
      const topic = broker.topic()
      const filter = `$share/g/${topic}`
      const member = await broker.connect(5)
      await member.subscribe(filter, qos)
      const publisher = await broker.connect(5)
      await publisher.publish(topic, "x", { qos })
      const { messageId = 0 } = await member.receive("publish", { payload: "x" })
      const other = await broker.connect(5)
      await other.subscribe(filter, qos)
      member.send({ cmd: qos === 1 ? "puback" : "pubrec", messageId, reasonCode: 0x97 })
      await member.expectNothing()
      member.drop()
      await other.expectNothing()
    }
  )
})

describe.skipIf(isExternal)("$queue and $local", () => {
  it.each(both)("$queue/<filter> is a shared subscription of its own group · v%i", async (version) => {
    const topic = broker.topic()
    const members = await Promise.all([1, 2].map(() => broker.connect(version)))
    for (const member of members) await member.subscribe(`$queue/${topic}`, 1)
    const publisher = await broker.connect(version)
    for (let i = 0; i < 10; i++) await publisher.publish(topic, `${i}`, { qos: 1 })
    const all = await received(members)
    expect(all.flat().map(Number).sort((a, b) => a - b)).toEqual(Array.from({ length: 10 }, (_, i) => i))
    expect(all.every((mine) => mine.length === 5)).toBe(true)
  })

  it.each(both)("$local/<filter> gets the messages of its filter · v%i", async (version) => {
    const topic = broker.topic()
    const client = await broker.connect(version)
    await client.subscribe(`$local/${topic}`)
    client.send(publishBytes(version, 0x30, topic, { payload: "x" }))
    await client.receive("publish", { topic, payload: "x" })
  })
})

describe.skipIf(isExternal)("strategies", () => {
  const roundRobin = useBroker({ shared: { strategy: "round_robin" } })
  const sticky = useBroker({ shared: { strategy: "sticky" } })
  const byPublisher = useBroker({ shared: { strategy: "hash_clientid" } })
  const byTopic = useBroker({ shared: { strategy: "hash_topic" } })
  const random = useBroker({ shared: { strategy: "random" } })

  const group = async (with_: typeof broker, topic: string, count = 3): Promise<Array<TestClient>> => {
    const members = await Promise.all(Array.from({ length: count }, () => with_.connect(5)))
    for (const member of members) await member.subscribe(`$share/g/${topic}`, 1)
    return members
  }

  it("round_robin takes turns", async () => {
    const topic = roundRobin.topic()
    const members = await group(roundRobin, topic)
    const publisher = await roundRobin.connect(5)
    for (let i = 0; i < 9; i++) await publisher.publish(topic, `${i}`, { qos: 1 })
    expect((await received(members)).map((mine) => mine.length)).toEqual([3, 3, 3])
  })

  it("sticky stays with one member until it goes", async () => {
    const topic = sticky.topic()
    const members = await group(sticky, topic)
    const publisher = await sticky.connect(5)
    for (let i = 0; i < 9; i++) await publisher.publish(topic, `${i}`, { qos: 1 })
    const counts = (await received(members)).map((mine) => mine.length)
    expect(counts.toSorted()).toEqual([0, 0, 9])
    const chosen = members[counts.indexOf(9)]
    await chosen?.disconnect()
    const left = members.filter((member) => member !== chosen)
    for (let i = 0; i < 4; i++) await publisher.publish(topic, `${i}`, { qos: 1 })
    expect((await received(left)).map((mine) => mine.length).toSorted()).toEqual([0, 4])
  })

  it("hash_clientid gives all messages of a publisher to one member", async () => {
    const topic = byPublisher.topic()
    const members = await group(byPublisher, topic)
    for (let p = 0; p < 3; p++) {
      const publisher = await byPublisher.connect(5)
      for (let i = 0; i < 5; i++) await publisher.publish(topic, `${p}`, { qos: 1 })
    }
    const all = await received(members)
    for (const p of ["0", "1", "2"]) expect(all.filter((mine) => mine.includes(p)).length).toBe(1)
  })

  it("hash_topic gives all messages of a topic to one member", async () => {
    const topic = byTopic.topic()
    const members = await group(byTopic, `${topic}/+`)
    const publisher = await byTopic.connect(5)
    for (let i = 0; i < 15; i++) await publisher.publish(`${topic}/${i % 3}`, `${i % 3}`, { qos: 1 })
    const all = await received(members)
    for (const t of ["0", "1", "2"]) expect(all.filter((mine) => mine.includes(t)).length).toBe(1)
  })

  it("random gives each message to one", async () => {
    const topic = random.topic()
    const members = await group(random, topic)
    const publisher = await random.connect(5)
    for (let i = 0; i < 30; i++) await publisher.publish(topic, `${i}`, { qos: 1 })
    expect((await received(members)).flat().length).toBe(30)
  })
})
