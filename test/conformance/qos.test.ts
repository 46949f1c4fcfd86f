// 3.4 to 3.7 and 4.3, 4.4: PUBACK, PUBREC, PUBREL, PUBCOMP, both as receiver and as sender, across a reconnect too.

import { describe, expect, it } from "vitest"
import { both, isExternal, useBroker } from "../support/broker.ts"
import { bytes } from "../support/bytes.ts"
import { connectBytes, publishBytes } from "../support/packets.ts"
import type { ConnectOptions, Version } from "../support/TestClient.ts"

const broker = useBroker()

const keeping = (version: Version): ConnectOptions => ({
  clean: false,
  ...version === 5 ? { properties: { sessionExpiryInterval: 100 } } : {}
})

describe.each(both)("the broker receives, MQTT level %i", (version) => {
  it("[MQTT-4.3.2-2] [MQTT5-4.3.2-4] [MQTT5-4.3.2-5] QoS 1: PUBACK; afterwards the same identifier is a new message, even with DUP", async () => {
    const topic = broker.topic()
    const subscriber = await broker.connect(version)
    await subscriber.subscribe(topic, 1)
    const publisher = await broker.connect(version)
    for (const [header, payload] of [[0x32, "1"], [0x32, "2"], [0x3a, "3"]] as const) {
      publisher.send(publishBytes(version, header, topic, { messageId: 77, payload }))
      await publisher.receiveBytes("40 02 00 4d")
      await subscriber.acknowledge(await subscriber.receive("publish", { payload }))
    }
  })

  it("[MQTT-4.3.3-2] [MQTT5-4.3.3-8] [MQTT5-4.3.3-10] QoS 2: until PUBREL the same identifier is acknowledged and delivered to nobody again", async () => {
    const topic = broker.topic()
    const subscriber = await broker.connect(version)
    await subscriber.subscribe(topic, 2)
    const publisher = await broker.connect(version)
    for (const header of [0x34, 0x3c, 0x3c, 0x34]) {
      publisher.send(publishBytes(version, header, topic, { messageId: 5, payload: "once" }))
      await publisher.receiveBytes("50 02 00 05")
    }
    publisher.send("62 02 00 05")
    await publisher.receiveBytes("70 02 00 05")
    await subscriber.acknowledge(await subscriber.receive("publish", { payload: "once", qos: 2 }))
    await subscriber.expectNothing()
  })

  it("[MQTT-4.3.3-2] [MQTT5-4.3.3-11] [MQTT5-4.3.3-12] QoS 2: PUBREL is answered by PUBCOMP; afterwards the same identifier is new", async () => {
    const topic = broker.topic()
    const subscriber = await broker.connect(version)
    await subscriber.subscribe(topic, 0)
    const publisher = await broker.connect(version)
    for (const payload of ["1", "2"]) {
      publisher.send(publishBytes(version, 0x34, topic, { messageId: 6, payload }))
      await publisher.receiveBytes("50 02 00 06")
      publisher.send("62 02 00 06")
      await publisher.receiveBytes("70 02 00 06")
      await subscriber.receive("publish", { payload })
    }
  })

  it("[MQTT-4.3.3-2] [MQTT5-4.3.3-10] QoS 2 duplicates are filtered across a reconnect of the publisher", async () => {
    const topic = broker.topic()
    const subscriber = await broker.connect(version)
    await subscriber.subscribe(topic, 2)
    const publisher = await broker.connect(version, keeping(version))
    publisher.send(publishBytes(version, 0x34, topic, { messageId: 9, payload: "once" }))
    await publisher.receiveBytes("50 02 00 09")
    publisher.drop()
    const again = await broker.connect(version, { clientId: publisher.clientId, ...keeping(version) })
    expect(again.connack.sessionPresent).toBe(true)
    again.send(publishBytes(version, 0x3c, topic, { messageId: 9, payload: "once" }))
    await again.receiveBytes("50 02 00 09")
    again.send("62 02 00 09")
    await again.receiveBytes("70 02 00 09")
    await subscriber.acknowledge(await subscriber.receive("publish", { payload: "once" }))
    await subscriber.expectNothing()
  })

  it("[MQTT-4.3.3-2] [MQTT5-4.3.3-11] a PUBREL for what is not known is answered by PUBCOMP, so that the publisher comes to an end", async () => {
    const client = await broker.connect(version)
    client.send("62 02 00 63")
    if (version === 4) await client.receiveBytes("70 02 00 63")
    else await client.receive("pubcomp", { messageId: 0x63, reasonCode: 0x92 })
  })

  it("[MQTT-3.6.1-1] PUBREL with other flags than 0010 closes the connection", async () => {
    for (const header of [0x60, 0x61, 0x63, 0x66, 0x6a]) {
      const client = await broker.connect(version)
      client.send(publishBytes(version, 0x34, broker.topic(), { messageId: 1 }))
      await client.receive("pubrec", { messageId: 1 })
      client.send(Buffer.of(header, 2, 0, 1))
      await client.expectRefused(0x81)
    }
  })
})

describe.each(both)("the broker sends, MQTT level %i", (version) => {
  it("[MQTT-4.3.1-1] QoS 0: DUP 0", async () => {
    const topic = broker.topic()
    const client = await broker.connect(version)
    await client.subscribe(topic, 0)
    const publisher = await broker.connect(version)
    await publisher.publish(topic, "x", { qos: 1, dup: true })
    await client.receiveBytes(publishBytes(version, 0x30, topic, { payload: "x" }))
  })

  it("[MQTT-4.3.2-1] [MQTT5-4.3.2-2] [MQTT5-4.3.2-3] [MQTT-4.4.0-1] [MQTT-3.3.1-1] QoS 1: DUP 0 at first; unacknowledged until PUBACK, and sent again with DUP and the same identifier on reconnecting", async () => {
    const topic = broker.topic()
    const client = await broker.connect(version, keeping(version))
    await client.subscribe(topic, 1)
    const publisher = await broker.connect(version)
    await publisher.publish(topic, "1", { qos: 1 })
    const first = await client.receive("publish", { payload: "1", qos: 1, dup: false })
    const messageId = first.messageId ?? 0
    expect(messageId).toBeGreaterThan(0)
    client.drop()
    const second = await broker.connect(version, { clientId: client.clientId, ...keeping(version) })
    await second.receiveBytes(publishBytes(version, 0x3a, topic, { messageId, payload: "1" }))
    second.send({ cmd: "puback", messageId })
    await second.disconnect()
    const third = await broker.connect(version, { clientId: client.clientId, ...keeping(version) })
    await third.expectNothing()
  })

  it("[MQTT-4.3.3-1] [MQTT5-4.3.3-2] [MQTT5-4.3.3-3] [MQTT-4.4.0-1] QoS 2: unacknowledged until PUBREC, and sent again with DUP and the same identifier", async () => {
    const topic = broker.topic()
    const client = await broker.connect(version, keeping(version))
    await client.subscribe(topic, 2)
    const publisher = await broker.connect(version)
    await publisher.publish(topic, "2", { qos: 2 })
    const { messageId = 0 } = await client.receive("publish", { payload: "2", qos: 2, dup: false })
    expect(messageId).toBeGreaterThan(0)
    client.drop()
    const second = await broker.connect(version, { clientId: client.clientId, ...keeping(version) })
    await second.receiveBytes(publishBytes(version, 0x3c, topic, { messageId, payload: "2" }))
  })

  it("[MQTT-4.3.3-1] [MQTT5-4.3.3-4] [MQTT5-4.3.3-5] [MQTT5-4.3.3-6] QoS 2: PUBREL after PUBREC; it is sent again until PUBCOMP, the PUBLISH never", async () => {
    const topic = broker.topic()
    const client = await broker.connect(version, keeping(version))
    await client.subscribe(topic, 2)
    const publisher = await broker.connect(version)
    await publisher.publish(topic, "2", { qos: 2 })
    const { messageId = 0 } = await client.receive("publish", { payload: "2", qos: 2 })
    const identifier = Buffer.of(messageId >> 8, messageId & 0xff)
    client.send(bytes("50 02", identifier))
    await client.receiveBytes(bytes("62 02", identifier))
    client.drop()
    const second = await broker.connect(version, { clientId: client.clientId, ...keeping(version) })
    await second.receiveBytes(bytes("62 02", identifier))
    second.send(bytes("70 02", identifier))
    await second.disconnect()
    const third = await broker.connect(version, { clientId: client.clientId, ...keeping(version) })
    await third.expectNothing()
  })

  it("[MQTT-4.3.3-1] [MQTT5-4.3.3-4] a second PUBREC is answered by PUBREL again", async () => {
    const topic = broker.topic()
    const client = await broker.connect(version)
    await client.subscribe(topic, 2)
    const publisher = await broker.connect(version)
    await publisher.publish(topic, "3", { qos: 2 })
    const { messageId = 0 } = await client.receive("publish", { payload: "3", qos: 2 })
    client.send({ cmd: "pubrec", messageId }, { cmd: "pubrec", messageId })
    await client.receive("pubrel", { messageId })
    await client.receive("pubrel", { messageId })
  })

  it("[MQTT-4.4.0-1] nothing is sent again on a connection that is open", async () => {
    const topic = broker.topic()
    const client = await broker.connect(version)
    await client.subscribe(topic, 1)
    const publisher = await broker.connect(version)
    await publisher.publish(topic, "1", { qos: 1 })
    await client.receive("publish", { payload: "1" })
    await broker.passed(1)
    await client.expectNothing()
  })

  it("[MQTT-4.5.0-1] a message is kept for every session with a matching subscription, whether its client is there or not", async () => {
    const topic = broker.topic()
    const sessions = []
    for (const qos of [1, 2] as const) {
      const client = await broker.connect(version, keeping(version))
      await client.subscribe(topic, qos)
      sessions.push(client)
    }
    await sessions[1]?.disconnect()
    const publisher = await broker.connect(version)
    await publisher.publish(topic, "x", { qos: 2 })
    await sessions[0]?.receive("publish", { payload: "x", qos: 1 })
    const back = await broker.connect(version, { clientId: sessions[1]?.clientId ?? "", ...keeping(version) })
    await back.receive("publish", { payload: "x", qos: 2, dup: false })
  })

  it("a PUBACK for what is not in flight is not a fault", async () => {
    const client = await broker.connect(version)
    client.send("40 02 12 34", "70 02 12 35")
    await client.expectNothing()
  })
})

describe("reason codes of MQTT 5", () => {
  const closedBy = async (packet: string): Promise<void> => {
    const client = await broker.connect(5)
    client.send(packet)
    await client.expectRefused(0x81, 0x82)
  }

  it("[MQTT5-3.4.2-1] a PUBACK with a reason code that it cannot have closes the connection", () =>
    closedBy("40 03 00 01 92"))
  it("[MQTT5-3.5.2-1] a PUBREC with a reason code that it cannot have closes the connection", () =>
    closedBy("50 03 00 01 92"))
  it("[MQTT5-3.6.2-1] a PUBREL with a reason code that it cannot have closes the connection", () =>
    closedBy("62 03 00 01 10"))
  it("[MQTT5-3.7.2-1] a PUBCOMP with a reason code that it cannot have closes the connection", () =>
    closedBy("70 03 00 01 10"))

  it("[MQTT5-3.4.2-1] [MQTT5-3.5.2-1] without subscribers PUBACK and PUBREC say so with 0x10", async () => {
    const client = await broker.connect(5)
    const topic = broker.topic()
    client.send(publishBytes(5, 0x32, topic, { messageId: 1 }))
    await client.receive("puback", { messageId: 1, reasonCode: 0x10 })
    client.send(publishBytes(5, 0x34, topic, { messageId: 2 }))
    await client.receive("pubrec", { messageId: 2, reasonCode: 0x10 })
    client.send("62 02 00 02")
    await client.receiveBytes("70 02 00 02")
  })

  it("[MQTT5-3.6.2-1] [MQTT5-3.7.2-1] an unknown identifier is answered with 0x92", async () => {
    const client = await broker.connect(5)
    client.send("62 02 00 63")
    await client.receive("pubcomp", { messageId: 0x63, reasonCode: 0x92 })
    client.send("50 02 00 63")
    await client.receive("pubrel", { messageId: 0x63, reasonCode: 0x92 })
  })

  it("acknowledgements with a reason code and properties are taken like short ones", async () => {
    const topic = broker.topic()
    const client = await broker.connect(5)
    await client.subscribe(topic, 2)
    const publisher = await broker.connect(5)
    await publisher.publish(topic, "2", { qos: 2 })
    const { messageId = 0 } = await client.receive("publish")
    const properties = { reasonString: "why", userProperties: { a: "1" } }
    client.send({ cmd: "pubrec", messageId, reasonCode: 0, properties })
    await client.receive("pubrel", { messageId })
    client.send({ cmd: "pubcomp", messageId, reasonCode: 0, properties })
    await client.expectNothing()
  })

  it("[MQTT5-4.4.0-2] a PUBLISH answered with a PUBACK or PUBREC of 0x80 or more is not sent again", async () => {
    const topic = broker.topic()
    const client = await broker.connect(5, keeping(5))
    await client.subscribe(topic, 2)
    const publisher = await broker.connect(5)
    await publisher.publish(topic, "1", { qos: 1 })
    const first = await client.receive("publish", { payload: "1" })
    client.send({ cmd: "puback", messageId: first.messageId ?? 0, reasonCode: 0x80 })
    await publisher.publish(topic, "2", { qos: 2 })
    const second = await client.receive("publish", { payload: "2" })
    client.send({ cmd: "pubrec", messageId: second.messageId ?? 0, reasonCode: 0x97 })
    await client.expectNothing()
    client.drop()
    const again = await broker.connect(5, { clientId: client.clientId, ...keeping(5) })
    expect(again.connack.sessionPresent).toBe(true)
    await again.expectNothing()
  })

  it("[MQTT5-3.4.2-2] [MQTT5-3.4.2-3] [MQTT5-3.5.2-2] [MQTT5-3.5.2-3] [MQTT5-3.6.2-2] [MQTT5-3.6.2-3] [MQTT5-3.7.2-2] [MQTT5-3.7.2-3] [MQTT5-3.1.2-29] acknowledgements fit into the smallest Maximum Packet Size, without reason string and user properties", async () => {
    const topic = broker.topic()
    const client = await broker.open(5)
    client.send(connectBytes(5, { clientId: broker.id(), properties: ["27 00000040 17 00"] }))
    await client.receive("connack", { reasonCode: 0 })
    client.send(publishBytes(5, 0x32, topic, { messageId: 1 }))
    await client.receiveBytes("40 03 00 01 10")
    client.send(publishBytes(5, 0x34, topic, { messageId: 2 }))
    await client.receiveBytes("50 03 00 02 10")
    client.send("62 02 00 02")
    await client.receiveBytes("70 02 00 02")
    client.send("62 02 00 03")
    await client.receiveBytes("70 03 00 03 92")
    client.send("50 02 00 04")
    await client.receiveBytes("62 03 00 04 92")
  })
})

describe.skipIf(isExternal)("the retry interval", () => {
  const retrying = useBroker({ session: { retryIntervalMillis: 1000 } })

  it("[MQTT-3.3.1-1] where it is set, 3.1.1 gets an unacknowledged PUBLISH and PUBREL again on a live connection, the PUBLISH with DUP", async () => {
    const topic = retrying.topic()
    const client = await retrying.connect(4)
    await client.subscribe(topic, 2)
    const publisher = await retrying.connect(4)
    await publisher.publish(topic, "x", { qos: 2 })
    const { messageId = 0 } = await client.receive("publish", { payload: "x", dup: false })
    await client.receive("publish", { payload: "x", dup: true, messageId })
    client.send({ cmd: "pubrec", messageId })
    await client.receive("pubrel", { messageId })
    await client.receive("pubrel", { messageId })
    client.send({ cmd: "pubcomp", messageId })
    await client.expectNothing()
  })

  it("[MQTT5-4.4.0-1] 5 gets nothing again, as the standard forbids it", async () => {
    const topic = retrying.topic()
    const client = await retrying.connect(5)
    await client.subscribe(topic, 1)
    const publisher = await retrying.connect(5)
    await publisher.publish(topic, "x", { qos: 1 })
    await client.receive("publish", { payload: "x", dup: false })
    await retrying.passed(2)
    await client.expectNothing()
  })
})

describe.skipIf(isExternal)("QoS 2 without PUBREL", () => {
  const small = useBroker({ session: { maxAwaitingPubrel: 2 } })

  it("more than session.max_awaiting_pubrel closes the connection of 3.1.1", async () => {
    const client = await small.connect(4)
    const topic = small.topic()
    for (const messageId of [1, 2]) {
      client.send(publishBytes(4, 0x34, topic, { messageId }))
      await client.receive("pubrec", { messageId })
    }
    client.send(publishBytes(4, 0x34, topic, { messageId: 3 }))
    await client.expectClosed()
  })
})
