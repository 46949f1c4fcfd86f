// MQTT.js, the client that most JavaScript programs use, against the broker as a process: every version, every QoS.
import { afterAll, afterEach, assert, beforeAll, describe, it } from "@effect/vitest"
import { BrokerProcess } from "./support/BrokerProcess.ts"
import { MqttClient, qualities, uniqueName, type Version, versions } from "./support/MqttClient.ts"

const v5: Version = { name: "5", level: 5 }
let broker: BrokerProcess
beforeAll(async () => {
  broker = await BrokerProcess.start()
})
afterEach(() => MqttClient.closeAll())
afterAll(() => broker?.stop())

const connect = (version: Version, options?: Parameters<typeof MqttClient.connect>[2]) =>
  MqttClient.connect(broker.port, version, options)

const persistent = (version: Version, clientId: string) => ({
  clientId,
  clean: false,
  ...(version.level === 5 && { properties: { sessionExpiryInterval: 3600 } })
})

describe.each(versions)("MQTT.js with MQTT $name", (version) => {
  it.each(qualities)("publish and subscribe with QoS %i", async (qos) => {
    const topic = uniqueName("topic")
    const subscriber = await connect(version)
    const granted = await subscriber.client.subscribeAsync(`${topic}/+/c`, { qos })
    assert.deepStrictEqual(granted.map((grant) => grant.qos), [qos])
    const publisher = await connect(version)
    await publisher.client.publishAsync(`${topic}/b/c`, "héllo", { qos })
    const { payload, retain, ...rest } = await subscriber.arrived.next()
    assert.deepStrictEqual([rest.topic, payload, rest.qos, retain], [`${topic}/b/c`, "héllo", qos, false])
  })

  it("the QoS of the subscription is the ceiling", async () => {
    const topic = uniqueName("topic")
    const subscriber = await connect(version)
    await subscriber.client.subscribeAsync(topic, { qos: 1 })
    for (const qos of qualities) await subscriber.client.publishAsync(topic, `${qos}`, { qos })
    const all = await subscriber.arrived.take(3)
    assert.deepStrictEqual(all.map(({ payload, qos }) => [payload, qos]), [["0", 0], ["1", 1], ["2", 1]])
  })

  it.each(qualities)("1,000 messages with QoS %i arrive once and in order", async (qos) => {
    const topic = uniqueName("topic")
    const subscriber = await connect(version)
    await subscriber.client.subscribeAsync(topic, { qos })
    const publisher = await connect(version)
    const sent = Array.from({ length: 1000 }, (_, index) => `${index}`)
    // MQTT.js heeds no Receive Maximum: twenty at a time stay below every broker's
    for (let first = 0; first < sent.length; first += 20) {
      const some = sent.slice(first, first + 20)
      await Promise.all(some.map((payload) => publisher.client.publishAsync(topic, payload, { qos })))
    }
    assert.deepStrictEqual((await subscriber.arrived.take(1000)).map(({ payload }) => payload), sent)
    await subscriber.client.publishAsync(topic, "last", { qos })
    assert.strictEqual((await subscriber.arrived.next()).payload, "last")
  })

  it("a payload of 500,000 bytes arrives whole", async () => {
    const topic = uniqueName("topic")
    const subscriber = await connect(version)
    await subscriber.client.subscribeAsync(topic, { qos: 1 })
    const payload = Array.from({ length: 50_000 }, (_, index) => `${index}`.padStart(10, "0")).join("")
    await subscriber.client.publishAsync(topic, payload, { qos: 1 })
    const { payload: arrived } = await subscriber.arrived.next()
    assert.isTrue(arrived === payload, `${arrived.length} bytes arrived`)
  })

  it("a retained message reaches a later subscriber, until an empty one deletes it", async () => {
    const topic = uniqueName("topic")
    const publisher = await connect(version)
    await publisher.client.publishAsync(`${topic}/a`, "old", { qos: 1, retain: true })
    await publisher.client.publishAsync(`${topic}/a`, "kept", { qos: 1, retain: true })

    const later = await connect(version)
    await later.client.subscribeAsync(`${topic}/#`, { qos: 1 })
    const kept = await later.arrived.next()
    assert.deepStrictEqual([kept.topic, kept.payload, kept.qos, kept.retain], [`${topic}/a`, "kept", 1, true])
    await publisher.client.publishAsync(`${topic}/a`, "live", { qos: 1, retain: true })
    const live = await later.arrived.next()
    assert.deepStrictEqual([live.payload, live.retain], ["live", false])

    await publisher.client.publishAsync(`${topic}/a`, "", { qos: 1, retain: true })
    assert.strictEqual((await later.arrived.next()).payload, "")
    const latest = await connect(version)
    await latest.client.subscribeAsync(`${topic}/#`, { qos: 1 })
    await publisher.client.publishAsync(`${topic}/b`, "sentinel", { qos: 1 })
    assert.strictEqual((await latest.arrived.next()).payload, "sentinel")
  })

  it("the will is published when the connection breaks, and not after DISCONNECT", async () => {
    const topic = uniqueName("will")
    const watcher = await connect(version)
    await watcher.client.subscribeAsync(topic, { qos: 2 })
    const polite = await connect(version, { will: { topic, payload: Buffer.from("polite"), qos: 1, retain: false } })
    await polite.end()
    const broken = await connect(version, { will: { topic, payload: Buffer.from("broken"), qos: 1, retain: false } })
    await broken.breakOff()
    const will = await watcher.arrived.next()
    assert.deepStrictEqual([will.payload, will.qos, will.retain], ["broken", 1, false])
    await watcher.client.publishAsync(topic, "sentinel", { qos: 1 })
    assert.strictEqual((await watcher.arrived.next()).payload, "sentinel")
  })

  it("a persistent session keeps subscriptions and gets what was published meanwhile, in order", async () => {
    const topic = uniqueName("offline")
    const options = persistent(version, uniqueName("session"))
    const before = await connect(version, options)
    assert.isFalse(before.connack.sessionPresent)
    await before.client.subscribeAsync({ [`${topic}/1`]: { qos: 1 }, [`${topic}/2`]: { qos: 2 } })
    await before.end()

    const publisher = await connect(version)
    const sent = Array.from({ length: 100 }, (_, index) => `${index}`)
    for (const payload of sent) {
      await publisher.client.publishAsync(`${topic}/${Number(payload) % 2 + 1}`, payload, { qos: 2 })
    }

    const after = await connect(version, options)
    if (version.level > 3) assert.isTrue(after.connack.sessionPresent) // 3.1 has no such flag
    const arrived = await after.arrived.take(100)
    // in order per topic and QoS; a client hands a QoS 2 message over when its PUBREL comes, and so after later ones of QoS 1
    for (const qos of [1, 2] as const) {
      const own = arrived.filter(({ topic: name }) => name === `${topic}/${qos}`)
      assert.deepStrictEqual(
        own.map(({ payload }) => payload),
        sent.filter((payload) => Number(payload) % 2 + 1 === qos)
      )
      assert.isTrue(own.every((message) => message.qos === qos))
    }
    await after.end()

    const clean = await connect(version, { clientId: options.clientId, clean: true })
    assert.isFalse(clean.connack.sessionPresent)
    await publisher.client.publishAsync(`${topic}/1`, "to nobody", { qos: 1 })
    await clean.client.subscribeAsync(`${topic}/1`, { qos: 1 })
    await publisher.client.publishAsync(`${topic}/1`, "sentinel", { qos: 1 })
    assert.strictEqual((await clean.arrived.next()).payload, "sentinel")
  })

  it("a second connection with the same client identifier takes over", async () => {
    const clientId = uniqueName("taken")
    const first = await connect(version, { clientId })
    const second = await connect(version, { clientId })
    await first.closed
    if (version.level === 5) assert.strictEqual((await first.disconnected.next()).reasonCode, 0x8e)
    const topic = uniqueName("topic")
    await second.client.subscribeAsync(topic, { qos: 0 })
    await second.client.publishAsync(topic, "alive")
    assert.strictEqual((await second.arrived.next()).payload, "alive")
  })

  it("unsubscribe ends the deliveries", async () => {
    const topic = uniqueName("topic")
    const client = await connect(version)
    await client.client.subscribeAsync([`${topic}/a`, `${topic}/b`], { qos: 1 })
    await client.client.unsubscribeAsync(`${topic}/a`)
    await client.client.publishAsync(`${topic}/a`, "unwanted", { qos: 1 })
    await client.client.publishAsync(`${topic}/b`, "wanted", { qos: 1 })
    assert.strictEqual((await client.arrived.next()).payload, "wanted")
  })

  it("a shared subscription gives each message to one member", async () => {
    const topic = uniqueName("shared")
    const members = await Promise.all([1, 2, 3].map(() => connect(version)))
    for (const member of members) await member.client.subscribeAsync(`$share/group/${topic}/#`, { qos: 1 })
    const outsider = await connect(version)
    await outsider.client.subscribeAsync(`${topic}/#`, { qos: 1 })
    const sent = Array.from({ length: 30 }, (_, index) => `${index}`)
    for (const payload of sent) await outsider.client.publishAsync(`${topic}/x`, payload, { qos: 1 })
    await outsider.arrived.take(30)
    // round_robin is the default: ten for each; a second turn of thirty shows that none came twice before
    const shares = await Promise.all(members.map((member) => member.arrived.take(10)))
    const numbers = shares.flat().map(({ payload }) => Number(payload)).toSorted((a, b) => a - b)
    assert.deepStrictEqual(numbers, sent.map(Number))
    assert.deepStrictEqual(members.map((member) => member.arrived.left.length), [0, 0, 0])
  })
})

describe("MQTT.js with MQTT 5", () => {
  it("the properties of a PUBLISH arrive as they were sent", async () => {
    const topic = uniqueName("topic")
    const client = await connect(v5)
    await client.client.subscribeAsync(topic, { qos: 2, properties: { subscriptionIdentifier: 268_435_455 } })
    await client.client.publishAsync(topic, "{}", {
      qos: 2,
      properties: {
        payloadFormatIndicator: true,
        messageExpiryInterval: 3600,
        contentType: "application/json",
        responseTopic: "answers/here",
        correlationData: Buffer.from([0, 1, 255]),
        userProperties: { one: ["1", "uno"], two: "2" }
      }
    })
    const properties = (await client.arrived.next()).packet.properties
    assert.isTrue(properties?.payloadFormatIndicator)
    assert.strictEqual(properties?.contentType, "application/json")
    assert.strictEqual(properties?.responseTopic, "answers/here")
    assert.deepStrictEqual([...(properties?.correlationData ?? [])], [0, 1, 255])
    assert.deepStrictEqual({ ...properties?.userProperties }, { one: ["1", "uno"], two: "2" })
    assert.strictEqual(properties?.subscriptionIdentifier, 268_435_455)
    assert.isAtLeast(properties?.messageExpiryInterval ?? 0, 3590)
    assert.isAtMost(properties?.messageExpiryInterval ?? 0, 3600)
  })

  it("topic aliases of the client are understood", async () => {
    const topic = uniqueName("a/long/topic/name")
    const subscriber = await connect(v5, { properties: { topicAliasMaximum: 10 } })
    await subscriber.client.subscribeAsync(`${topic}/#`, { qos: 1 })
    const publisher = await connect(v5, { autoAssignTopicAlias: true })
    assert.isAbove(publisher.connack.properties?.topicAliasMaximum ?? 0, 0)
    for (const part of ["a", "b", "a", "b"]) await publisher.client.publishAsync(`${topic}/${part}`, part, { qos: 1 })
    const arrived = await subscriber.arrived.take(4)
    assert.deepStrictEqual(arrived.map(({ topic: name, payload }) => [name, payload]), [
      [`${topic}/a`, "a"],
      [`${topic}/b`, "b"],
      [`${topic}/a`, "a"],
      [`${topic}/b`, "b"]
    ])
  })

  it("No Local, Retain As Published and Retain Handling", async () => {
    const topic = uniqueName("topic")
    const client = await connect(v5)
    await client.client.publishAsync(`${topic}/a`, "kept", { qos: 1, retain: true })
    await client.client.subscribeAsync(`${topic}/#`, { qos: 1, nl: true, rap: true, rh: 2 })
    await client.client.publishAsync(`${topic}/a`, "own", { qos: 1, retain: true })
    const other = await connect(v5)
    await other.client.publishAsync(`${topic}/b`, "other", { qos: 1, retain: true })
    const first = await client.arrived.next()
    assert.deepStrictEqual([first.payload, first.retain], ["other", true])
    await other.client.publishAsync(`${topic}/a`, "", { qos: 1, retain: true })
    await other.client.publishAsync(`${topic}/b`, "", { qos: 1, retain: true })
  })

  it("an empty client identifier is assigned one", async () => {
    const client = await connect(v5, { clientId: "" })
    assert.isNotEmpty(client.connack.properties?.assignedClientIdentifier)
  })

  it("a publisher learns that nobody was there", async () => {
    const client = await connect(v5)
    const acknowledged = new Promise<number | undefined>((resolve) =>
      client.client.on("packetreceive", (packet) => packet.cmd === "puback" && resolve(packet.reasonCode))
    )
    await client.client.publishAsync(uniqueName("nobody"), "x", { qos: 1 })
    assert.strictEqual(await acknowledged, 0x10)
  })

  it("a will with a delay is not sent when the client is back in time", async () => {
    const topic = uniqueName("will")
    const watcher = await connect(v5)
    await watcher.client.subscribeAsync(topic, { qos: 1 })
    const options = {
      ...persistent(v5, uniqueName("delayed")),
      will: {
        topic,
        payload: Buffer.from("gone"),
        qos: 1 as const,
        retain: false,
        properties: { willDelayInterval: 1 }
      }
    }
    await (await connect(v5, options)).breakOff()
    const back = await connect(v5, { ...options })
    assert.isTrue(back.connack.sessionPresent)
    // A second client's will with the same delay, broken off later, marks the time at which the first would have come.
    const marker = await connect(v5, {
      ...options,
      clientId: uniqueName("marker"),
      will: { ...options.will, payload: Buffer.from("marker") }
    })
    await marker.breakOff()
    assert.strictEqual((await watcher.arrived.next()).payload, "marker")
  })
})
