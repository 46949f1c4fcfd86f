// 3.8 to 3.11: SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK.

import { describe, expect, it } from "vitest"
import { both, isExternal, useBroker } from "../support/broker.ts"
import { bytes, frame, text } from "../support/bytes.ts"
import { connectBytes, props, publishBytes, subscribeBytes, unsubscribeBytes } from "../support/packets.ts"

const broker = useBroker()

describe.each(both)("SUBSCRIBE, MQTT level %i", (version) => {
  it("[MQTT-3.8.1-1] flags other than 0010 close the connection", async () => {
    for (const header of [0x80, 0x81, 0x83, 0x86, 0x8a]) {
      const client = await broker.connect(version)
      client.send(subscribeBytes(version, "a", { header }))
      await client.expectRefused(0x81)
    }
  })

  it("[MQTT-3.8.3-1] a filter that is no UTF-8 closes the connection", async () => {
    const client = await broker.connect(version)
    client.send(subscribeBytes(version, bytes("c3 28")))
    await client.expectRefused(0x81)
  })

  it("[MQTT-3.8.3-3] [MQTT5-3.8.3-2] without a filter the connection is closed", async () => {
    const client = await broker.connect(version)
    client.send(frame(0x82, "00 01", props(version)))
    await client.expectRefused(0x81, 0x82)
  })

  it.each([3, 0x40, 0x80, ...version === 4 ? [4, 8, 0x10] : [0x30]])(
    "[MQTT-3.8.3-4] [MQTT5-3.8.3-5] QoS 3 or reserved bits in the options close the connection: %i",
    async (option) => {
      const client = await broker.connect(version)
      client.send(subscribeBytes(version, "a", { option }))
      await client.expectRefused(0x81, 0x82)
    }
  )

  it("[MQTT-3.8.4-1] [MQTT-3.8.4-2] it is answered by SUBACK with its packet identifier", async () => {
    const client = await broker.connect(version)
    client.send(subscribeBytes(version, broker.topic(), { messageId: 4321, option: 2 }))
    await client.receiveBytes(frame(0x90, "10 e1", props(version), "02"))
  })

  it("[MQTT-3.8.4-4] [MQTT-3.8.4-5] [MQTT-3.9.3-1] [MQTT5-3.8.4-5] [MQTT5-3.8.4-6] [MQTT5-3.8.4-7] several filters: one SUBACK, with a code for each, in their order", async () => {
    const client = await broker.connect(version)
    const topic = broker.topic()
    client.send(
      frame(
        0x82,
        "00 05",
        props(version),
        text(`${topic}/a`),
        1,
        text(`${topic}/b`),
        0,
        text(`${topic}/+`),
        2,
        text(`${topic}/a`),
        0
      )
    )
    await client.receiveBytes(frame(0x90, "00 05", props(version), "01 00 02 00"))
    await client.expectNothing()
    const publisher = await broker.connect(version)
    await publisher.publish(`${topic}/b`, "x", { qos: 2 })
    await client.receive("publish", { topic: `${topic}/b`, qos: 2 })
  })

  it("[MQTT-3.8.4-3] [MQTT5-3.8.4-3] an identical filter replaces the subscription: one copy, with the new QoS", async () => {
    const client = await broker.connect(version)
    const topic = broker.topic()
    expect(await client.subscribe(topic, 2)).toBe(2)
    expect(await client.subscribe(topic, 0)).toBe(0)
    const publisher = await broker.connect(version)
    await publisher.publish(topic, "x", { qos: 2 })
    await client.receiveBytes(publishBytes(version, 0x30, topic, { payload: "x" }))
    await client.expectNothing()
  })

  it("[MQTT-3.8.4-3] [MQTT5-3.8.4-4] replacing sends retained messages again", async () => {
    const client = await broker.connect(version)
    const topic = broker.topic()
    await client.publish(topic, "kept", { retain: true })
    await client.subscribe(topic, 0)
    await client.receive("publish", { payload: "kept", retain: true })
    await client.subscribe(topic, 0)
    await client.receive("publish", { payload: "kept", retain: true })
  })

  it("[MQTT-3.8.4-3] [MQTT5-3.8.4-4] no message is lost while a subscription is replaced", async () => {
    const client = await broker.connect(version)
    const topic = broker.topic()
    await client.subscribe(topic, 1)
    const publisher = await broker.connect(version)
    for (let i = 0; i < 20; i++) publisher.send(publishBytes(version, 0x30, topic, { payload: `${i}` }))
    client.send(subscribeBytes(version, topic, { messageId: 500, option: 1 }))
    for (let i = 20; i < 40; i++) publisher.send(publishBytes(version, 0x30, topic, { payload: `${i}` }))
    await publisher.ping()
    const payloads: Array<string> = []
    while (payloads.length < 40) {
      const packet = await client.next()
      if (packet.cmd === "publish") payloads.push(packet.payload.toString())
      else expect(packet.cmd).toBe("suback")
    }
    expect(payloads).toEqual(Array.from({ length: 40 }, (_, i) => `${i}`))
  })

  it("a thousand requests in one piece are answered in their order", async () => {
    const topic = broker.topic()
    const client = await broker.connect(version)
    const requests = Array.from({ length: 500 }, (_, i) => i + 1)
    client.send(
      ...requests.flatMap((messageId) => [
        subscribeBytes(version, `${topic}/${messageId}`, { messageId }),
        unsubscribeBytes(version, `${topic}/${messageId}`, { messageId })
      ]),
      "c0 00"
    )
    for (const messageId of requests) {
      await client.receive("suback", { messageId })
      await client.receive("unsuback", { messageId })
    }
    await client.receiveBytes("d0 00")
  })

  it.each([[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2], [2, 0], [2, 1], [2, 2]] as const)(
    "[MQTT-3.8.4-6] [MQTT5-3.8.4-8] published with QoS %i and granted %i, it arrives with the lesser",
    async (published, granted) => {
      const client = await broker.connect(version)
      const topic = broker.topic()
      await client.subscribe(topic, granted)
      const publisher = await broker.connect(version)
      await publisher.publish(topic, "x", { qos: published })
      await client.acknowledge(await client.receive("publish", { qos: Math.min(published, granted) }))
      await client.expectNothing()
    }
  )

  it("a refused filter does not keep the others from being granted", async () => {
    const client = await broker.connect(version)
    const topic = broker.topic()
    client.send(frame(0x82, "00 05", props(version), text("$share//x"), 0, text(topic), 1))
    await client.receiveBytes(frame(0x90, "00 05", props(version), version === 5 ? "8f" : "80", "01"))
    client.send(publishBytes(version, 0x30, topic, { payload: "x" }))
    await client.receive("publish", { topic })
  })
})

describe.skipIf(isExternal)("SUBACK of refused filters", () => {
  const strict = useBroker({ access: { refusedSubscriptions: ["secret/#"] } })

  it.each(both)(
    "[MQTT-3.8.4-5] [MQTT-3.9.3-2] [MQTT5-3.9.3-2] [MQTT5-3.8.4-7] a filter that is not allowed has the code of a failure; the others are granted · v%i",
    async (version) => {
      const client = await strict.connect(version)
      client.send(frame(0x82, "00 05", props(version), text("a"), 1, text("secret/#"), 1, text("b"), 2))
      const suback = await client.receive("suback", { messageId: 5 })
      expect(suback.granted[0]).toBe(1)
      if (version === 4) expect(suback.granted[1]).toBe(0x80)
      else expect([0x80, 0x87]).toContain(suback.granted[1])
      expect(suback.granted[2]).toBe(2)
    }
  )

  const few = useBroker({ session: { maxSubscriptions: 2 } })

  it.each(both)(
    "[MQTT-3.9.3-2] [MQTT5-3.9.3-2] more subscriptions than allowed fail with 0x97, or 0x80 · v%i",
    async (version) => {
      const client = await few.connect(version)
      await client.subscribe("a")
      await client.subscribe("b")
      expect(await client.subscribe("c")).toBe(version === 4 ? 0x80 : 0x97)
      expect(await client.subscribe("a", 1)).toBe(1)
    }
  )
})

describe("subscription options of MQTT 5", () => {
  it("[MQTT5-3.8.3-3] No Local: what the client publishes itself does not come back, others' messages come", async () => {
    const topic = broker.topic()
    const client = await broker.connect(5)
    await client.subscribe(topic, 1, { nl: true })
    await client.publish(topic, "own", { qos: 1 })
    await client.expectNothing()
    const other = await broker.connect(5)
    await other.publish(topic, "other's", { qos: 1 })
    await client.receive("publish", { payload: "other's" })
  })

  it("[MQTT5-3.8.3-3] No Local on one of two overlapping subscriptions does not silence the other", async () => {
    const topic = broker.topic()
    const client = await broker.connect(5)
    await client.subscribe(`${topic}/#`, 1, { nl: true })
    await client.subscribe(`${topic}/a`, 0)
    await client.publish(`${topic}/b`, "own", { qos: 1 })
    await client.expectNothing()
    client.send(publishBytes(5, 0x30, `${topic}/a`, { payload: "own" }))
    await client.receive("publish", { topic: `${topic}/a`, payload: "own" })
    await client.expectNothing()
  })

  it("[MQTT5-3.8.3-4] No Local on a shared subscription closes the connection", async () => {
    const client = await broker.connect(5)
    client.send(subscribeBytes(5, `$share/g/${broker.topic()}`, { option: 4 }))
    await client.expectRefused(0x82)
  })

  it("Retain Handling 3 closes the connection", async () => {
    const client = await broker.connect(5)
    client.send(subscribeBytes(5, "a", { option: 0x30 }))
    await client.expectRefused(0x81, 0x82)
  })

  it("[MQTT5-3.9.2-1] [MQTT5-3.9.2-2] [MQTT5-3.11.2-1] [MQTT5-3.11.2-2] SUBACK and UNSUBACK have neither reason string nor user properties for a client with a small Maximum Packet Size", async () => {
    const client = await broker.open(5)
    client.send(connectBytes(5, { clientId: broker.id(), properties: ["27 00000040"] }))
    await client.receive("connack", { reasonCode: 0 })
    client.send(subscribeBytes(5, broker.topic(), { messageId: 3 }))
    await client.receiveBytes("90 04 00 03 00 00")
    client.send(unsubscribeBytes(5, "unknown", { messageId: 4 }))
    await client.receiveBytes("b0 04 00 04 00 11")
  })
})

describe.each(both)("UNSUBSCRIBE, MQTT level %i", (version) => {
  const ok = version === 5 ? "00" : ""
  const none = version === 5 ? "11" : ""

  it("[MQTT-3.10.1-1] flags other than 0010 close the connection", async () => {
    for (const header of [0xa0, 0xa1, 0xa3, 0xa6, 0xaa]) {
      const client = await broker.connect(version)
      client.send(unsubscribeBytes(version, "a", { header }))
      await client.expectRefused(0x81)
    }
  })

  it("[MQTT-3.10.3-1] a filter that is no UTF-8 closes the connection", async () => {
    const client = await broker.connect(version)
    client.send(unsubscribeBytes(version, bytes("c3 28")))
    await client.expectRefused(0x81)
  })

  it("[MQTT-3.10.3-2] without a filter the connection is closed", async () => {
    const client = await broker.connect(version)
    client.send(frame(0xa2, "00 01", props(version)))
    await client.expectRefused(0x81, 0x82)
  })

  it("[MQTT-3.10.4-1] [MQTT-3.10.4-2] filters are compared character by character; the identical one is deleted and gets nothing more", async () => {
    const topic = broker.topic()
    const client = await broker.connect(version)
    await client.subscribe(`${topic}/+`)
    client.send(
      unsubscribeBytes(version, `${topic}/a`, { messageId: 2 }),
      unsubscribeBytes(version, `${topic}/#`, { messageId: 3 })
    )
    await client.receiveBytes(frame(0xb0, "00 02", props(version), none), frame(0xb0, "00 03", props(version), none))
    client.send(publishBytes(version, 0x30, `${topic}/a`, { payload: "1" }))
    await client.receive("publish", { payload: "1" })
    client.send(unsubscribeBytes(version, `${topic}/+`, { messageId: 4 }))
    await client.receiveBytes(frame(0xb0, "00 04", props(version), ok))
    await client.publish(`${topic}/a`, "2")
    await client.expectNothing()
  })

  it("[MQTT-3.10.4-3] what was begun is completed after UNSUBSCRIBE", async () => {
    const topic = broker.topic()
    const client = await broker.connect(version)
    await client.subscribe(topic, 2)
    const publisher = await broker.connect(version)
    await publisher.publish(topic, "x", { qos: 2 })
    const found = await client.receive("publish", { payload: "x", qos: 2 })
    client.send(unsubscribeBytes(version, topic, { messageId: 9 }))
    await client.receive("unsuback", { messageId: 9 })
    await client.acknowledge(found)
    await client.expectNothing()
  })

  it("[MQTT-3.10.4-4] [MQTT-3.10.4-5] it is answered by UNSUBACK with its packet identifier, even if there was no such subscription", async () => {
    const client = await broker.connect(version)
    client.send(unsubscribeBytes(version, broker.topic(), { messageId: 0x0102 }))
    await client.receiveBytes(frame(0xb0, "01 02", props(version), none))
  })

  it("[MQTT-3.10.4-6] [MQTT5-3.11.3-1] [MQTT5-3.11.3-2] several filters: one UNSUBACK, in 5 with a code for each in their order", async () => {
    const topic = broker.topic()
    const client = await broker.connect(version)
    await client.subscribe(`${topic}/a`)
    await client.subscribe(`${topic}/c`)
    client.send(
      frame(
        0xa2,
        "00 07",
        props(version),
        text(`${topic}/a`),
        text(`${topic}/b`),
        text(`${topic}/c`),
        text(`${topic}/a`)
      )
    )
    await client.receiveBytes(frame(0xb0, "00 07", version === 5 ? "00 00 11 00 11" : ""))
    await client.publish(`${topic}/a`, "1")
    await client.publish(`${topic}/c`, "2")
    await client.expectNothing()
  })
})
