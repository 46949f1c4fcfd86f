// 3.2 CONNACK: session present, its flags, and what a broker with other settings tells MQTT 5 clients about itself.

import { describe, expect, it } from "vitest"
import { both, isExternal, useBroker } from "../support/broker.ts"
import { connectBytes, props, publishBytes, subscribeBytes } from "../support/packets.ts"
import { text } from "../support/bytes.ts"
import type { ConnectOptions, Version } from "../support/TestClient.ts"

const broker = useBroker()

const keeping = (version: Version): ConnectOptions => ({
  clean: false,
  ...version === 5 ? { properties: { sessionExpiryInterval: 100 } } : {}
})

describe.each(both)("session present, MQTT level %i", (version) => {
  it("[MQTT-3.2.2-1] [MQTT-3.1.4-3] [MQTT5-3.2.2-2] [MQTT5-3.1.4-4] a clean start is answered with session present 0, even if there was a session", async () => {
    const client = await broker.connect(version, keeping(version))
    await client.disconnect()
    const again = await broker.connect(version, { clientId: client.clientId, clean: true })
    expect(again.connack.sessionPresent).toBe(false)
  })

  it("[MQTT-3.2.2-2] [MQTT-3.1.4-3] [MQTT5-3.2.2-3] [MQTT5-3.1.4-4] a session that is kept is announced by session present 1", async () => {
    const client = await broker.connect(version, keeping(version))
    await client.disconnect()
    const again = await broker.connect(version, { clientId: client.clientId, ...keeping(version) })
    expect(again.connack.sessionPresent).toBe(true)
  })

  it("[MQTT-3.2.2-3] [MQTT5-3.2.2-3] without a session it is 0", async () => {
    const client = await broker.connect(version, keeping(version))
    expect(client.connack.sessionPresent).toBe(false)
  })

  it("[MQTT5-3.2.2-1] the reserved bits of the acknowledge flags are 0", async () => {
    const client = await broker.open(version)
    client.send(connectBytes(version, { clientId: broker.id() }))
    const frame = await client.nextFrame("connack")
    expect(frame[0]).toBe(0x20)
    expect(frame[2]).toBe(0)
  })

  it("[MQTT-3.2.2-4] [MQTT-3.2.2-5] [MQTT5-3.2.2-6] [MQTT5-3.2.2-7] [MQTT5-4.13.2-1] a refusal has session present 0 and is followed by the end of the connection", async () => {
    const clientId = `${broker.id()}${"x".repeat(2000)}`
    const client = await broker.open(version)
    client.send(connectBytes(version, { clientId, flags: 0x00, properties: ["11 00000064"] }))
    await client.expectConnectRefused(0x85, 2)
  })

  it("[MQTT5-3.2.0-2] [MQTT-3.2.0-1] there is one CONNACK, and it comes first", async () => {
    const topic = broker.topic()
    const client = await broker.connect(version, keeping(version))
    await client.subscribe(topic, 1)
    await client.disconnect()
    const publisher = await broker.connect(version)
    await publisher.publish(topic, "waiting", { qos: 1 })
    const again = await broker.connect(version, { clientId: client.clientId, ...keeping(version) })
    await again.acknowledge(await again.receive("publish", { payload: "waiting" }))
    await again.expectNothing()
  })
})

describe("what CONNACK tells MQTT 5", () => {
  it("[MQTT5-3.2.2-8] the reason code of an accepted connection is 0x00", async () => {
    const client = await broker.open(5)
    client.send(connectBytes(5, { clientId: broker.id() }))
    const frame = await client.nextFrame("connack")
    expect(frame[3]).toBe(0)
  })

  it("[MQTT5-3.1.2-28] no response information unless it is asked for", async () => {
    const client = await broker.connect(5, { properties: { requestResponseInformation: false } })
    expect(client.connack.properties?.responseInformation).toBeUndefined()
  })

  it("[MQTT5-4.12.0-6] no authentication method without one in CONNECT", async () => {
    const client = await broker.connect(5)
    expect(client.connack.properties?.authenticationMethod).toBeUndefined()
  })

  it("[MQTT5-3.2.2-22] without Server Keep Alive the client's own is used", async () => {
    const client = await broker.connect(5, { keepalive: 30 })
    expect(client.connack.properties?.serverKeepAlive).toBeUndefined()
  })

  it("[MQTT5-3.2.2-19] [MQTT5-3.2.2-20] [MQTT5-3.1.2-24] CONNACK fits into a small Maximum Packet Size", async () => {
    const client = await broker.open(5)
    client.send(connectBytes(5, { clientId: broker.id(), properties: ["27 00000040"] }))
    const frame = await client.nextFrame("connack")
    expect(frame.length).toBeLessThanOrEqual(64)
  })

  it("[MQTT5-3.2.2-19] [MQTT5-3.2.2-20] a refusal fits too", async () => {
    const client = await broker.open(5)
    client.send(connectBytes(5, { clientId: broker.id(), properties: ["27 00000014 15", text("no such method")] }))
    const frame = await client.nextOrClosed()
    if (frame !== undefined) expect(frame.length).toBeLessThanOrEqual(20)
    await client.expectClosed()
  })
})

describe.skipIf(isExternal)("a broker with fewer capabilities", () => {
  const small = useBroker({
    connection: {
      maximumQoS: 1,
      retainAvailable: false,
      wildcardAvailable: false,
      sharedAvailable: false,
      maxKeepAliveSeconds: 5,
      maxPacketSize: 512,
      topicAliasMaximum: 3,
      receiveMaximum: 2,
      responseInformation: "replies/"
    },
    session: { maxExpiryMillis: 60_000 }
  })

  it("[MQTT5-3.2.2-9] [MQTT5-3.1.2-28] it says what it has", async () => {
    const client = await small.connect(5, {
      keepalive: 60,
      properties: { sessionExpiryInterval: 1000, requestResponseInformation: true }
    })
    expect(client.connack.properties).toMatchObject({
      maximumQoS: 1,
      retainAvailable: false,
      wildcardSubscriptionAvailable: false,
      sharedSubscriptionAvailable: false,
      serverKeepAlive: 5,
      maximumPacketSize: 512,
      topicAliasMaximum: 3,
      receiveMaximum: 2,
      responseInformation: "replies/",
      sessionExpiryInterval: 60
    })
  })

  it("[MQTT5-3.2.2-10] it takes subscriptions of any QoS, and grants what it has", async () => {
    const client = await small.connect(5)
    expect(await client.subscribe(small.topic(), 2)).toBe(1)
    expect(await client.subscribe(small.topic(), 1)).toBe(1)
    expect(await client.subscribe(small.topic(), 0)).toBe(0)
  })

  it("[MQTT5-3.2.2-11] a PUBLISH above Maximum QoS is refused with 0x9B", async () => {
    const client = await small.connect(5)
    client.send(publishBytes(5, 0x34, small.topic(), { messageId: 1 }))
    await client.expectRefused(0x9b)
  })

  it("[MQTT5-3.2.2-12] a will above Maximum QoS is refused with 0x9B", async () => {
    const client = await small.open(5)
    client.send(connectBytes(5, { flags: 0x16, clientId: small.id(), rest: [props(5), text("w"), text("x")] }))
    await client.expectConnectRefused(0x9b)
  })

  it("[MQTT5-3.2.2-13] a retained will is refused with 0x9A", async () => {
    const client = await small.open(5)
    client.send(connectBytes(5, { flags: 0x26, clientId: small.id(), rest: [props(5), text("w"), text("x")] }))
    await client.expectConnectRefused(0x9a)
  })

  it("[MQTT5-3.2.2-14] a retained PUBLISH is refused with 0x9A", async () => {
    const client = await small.connect(5)
    client.send(publishBytes(5, 0x31, small.topic(), { payload: "x" }))
    await client.expectRefused(0x9a)
  })

  it("[MQTT5-3.2.2-15] a packet larger than its Maximum Packet Size is refused with 0x95 before its body has come", async () => {
    const client = await small.connect(5)
    client.send("30 ff 07")
    await client.expectRefused(0x95)
  })

  it("[MQTT5-3.2.2-17] [MQTT5-3.3.2-9] a topic alias greater than its Topic Alias Maximum is refused with 0x94", async () => {
    const client = await small.connect(5)
    client.send(publishBytes(5, 0x30, small.topic(), { properties: ["23 0004"] }))
    await client.expectRefused(0x94)
  })

  it("[MQTT-3.3.5-2] a PUBLISH of 3.1.1 that is refused ends the connection: it cannot be told otherwise", async () => {
    for (
      const packet of [
        publishBytes(4, 0x34, small.topic(), { messageId: 1 }),
        publishBytes(4, 0x33, small.topic(), { messageId: 1 })
      ]
    ) {
      const client = await small.connect(4)
      client.send(packet)
      await client.expectClosed()
    }
  })

  it("[MQTT-3.8.3-2] [MQTT-3.8.4-5] [MQTT-3.9.3-2] a filter with a wildcard fails with 0x80 for 3.1.1 and 0xA2 for 5", async () => {
    const older = await small.connect(4)
    older.send(subscribeBytes(4, "a/#"))
    await older.receiveBytes("90 03 00 01 80")
    const client = await small.connect(5)
    expect(await client.subscribe("a/+", 0)).toBe(0xa2)
  })

  it("[MQTT5-3.9.3-2] [MQTT5-3.8.4-7] a shared subscription fails with 0x9E", async () => {
    const client = await small.connect(5)
    expect(await client.subscribe("$share/g/a", 0)).toBe(0x9e)
  })

  it("[MQTT5-3.1.2-21] [MQTT5-3.2.2-21] a longer keep alive is replaced by Server Keep Alive", async () => {
    const client = await small.connect(5, { keepalive: 0 })
    expect(client.connack.properties?.serverKeepAlive).toBe(5)
    const shorter = await small.connect(5, { keepalive: 3 })
    expect(shorter.connack.properties?.serverKeepAlive).toBeUndefined()
  })
})

describe.skipIf(isExternal)("a broker without a topic alias", () => {
  const bare = useBroker({ connection: { topicAliasMaximum: 0 } })

  it("[MQTT5-3.2.2-18] any topic alias is refused with 0x94", async () => {
    const client = await bare.connect(5)
    expect(client.connack.properties?.topicAliasMaximum ?? 0).toBe(0)
    client.send(publishBytes(5, 0x30, bare.topic(), { properties: ["23 0001"] }))
    await client.expectRefused(0x94)
  })
})

describe.skipIf(isExternal)("a broker that lets nobody in without a name", () => {
  const closed = useBroker({ access: { anonymous: "nowhere" } })

  it.each(both)(
    "[MQTT5-3.1.4-2] [MQTT-3.2.2-5] [MQTT-3.2.2-4] the CONNECT is refused with 0x87, or 5, and closed · v%i",
    async (version) => {
      const client = await closed.open(version)
      client.send(connectBytes(version, { clientId: closed.id() }))
      await client.expectConnectRefused(0x87, 5)
    }
  )

  it.each(both)(
    "[MQTT-3.1.4-5] [MQTT5-3.1.4-6] what follows the refused CONNECT is not processed, and gets no answer · v%i",
    async (version) => {
      const client = await closed.open(version)
      client.send(connectBytes(version, { clientId: closed.id() }), subscribeBytes(version, "a"), "c0 00")
      await client.expectConnectRefused(0x87, 5)
    }
  )
})

describe.skipIf(isExternal)("a broker that is full", () => {
  const full = useBroker({ session: { maxSessions: 1 } })

  it.each(both)(
    "[MQTT-4.8.0-2] [MQTT5-4.13.1-1] a CONNECT that finds no room is refused with 0x97, or 3, and closed · v%i",
    async (version) => {
      const first = await full.connect(version)
      const client = await full.open(version)
      client.send(connectBytes(version, { clientId: full.id() }))
      await client.expectConnectRefused(0x97, 3)
      await first.disconnect()
    }
  )
})
