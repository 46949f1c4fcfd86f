// 3.12 PINGREQ, 3.14 DISCONNECT, 3.15 and 4.12 AUTH, 3.1.2.10 keep alive.

import { describe, expect, it } from "vitest"
import { both, isExternal, useBroker } from "../support/broker.ts"
import { bytes, frame, text } from "../support/bytes.ts"
import { connectBytes, props, publishBytes, subscribeBytes, userProperty } from "../support/packets.ts"

const broker = useBroker()

describe.each(both)("PINGREQ, MQTT level %i", (version) => {
  it("[MQTT-3.12.4-1] it is answered by PINGRESP, each by one", async () => {
    const client = await broker.connect(version)
    client.send("c0 00 c0 00 c0 00")
    await client.receiveBytes("d0 00 d0 00 d0 00")
    await client.expectNothing()
  })
})

describe.each(both)("DISCONNECT, MQTT level %i", (version) => {
  it("[MQTT-3.14.1-1] flags other than 0 close the connection", async () => {
    const client = await broker.connect(version)
    client.send("e2 00")
    await client.expectRefused(0x81)
  })

  it("[MQTT-3.14.4-2] [MQTT5-3.14.4-1] what follows a DISCONNECT is not processed", async () => {
    const topic = broker.topic()
    const watcher = await broker.connect(version)
    await watcher.subscribe(topic)
    const client = await broker.connect(version)
    client.send(
      publishBytes(version, 0x30, topic, { payload: "before" }),
      "e0 00",
      publishBytes(version, 0x30, topic, { payload: "after" }),
      "c0 00"
    )
    await client.expectClosed()
    await watcher.receive("publish", { payload: "before" })
    await watcher.expectNothing()
  })

  it("[MQTT5-3.14.4-2] the broker closes the connection if the client does not", async () => {
    const client = await broker.connect(version)
    client.send("e0 00")
    await client.expectClosed()
  })

  it("[MQTT-4.8.0-1] [MQTT5-4.13.1-1] a body that it cannot have closes the connection", async () => {
    const client = await broker.connect(version)
    client.send(version === 4 ? "e0 01 00" : "e0 03 00 00 00")
    await client.expectRefused(0x81)
  })
})

describe("DISCONNECT of MQTT 5", () => {
  it("[MQTT5-3.14.2-1] a reason code that it cannot have closes the connection", async () => {
    for (const reasonCode of [0x01, 0x10, 0x8e, 0x55]) {
      const client = await broker.connect(5)
      client.send(Buffer.of(0xe0, 1, reasonCode))
      const answer = await client.nextOrClosed()
      // 0x8E and the like are the server's to send; a broker may take or refuse them, but it closes.
      if (answer !== undefined) expect([0x81, 0x82]).toContain(answer[2])
      await client.expectClosed()
    }
  })

  it("[MQTT5-3.14.2-1] [MQTT5-3.14.2-2] the broker's own DISCONNECT has a reason code of its table, and no session expiry interval", async () => {
    const client = await broker.connect(5, { clean: false, properties: { sessionExpiryInterval: 10 } })
    client.sendConnect({ clientId: client.clientId })
    const packet = await client.receive("disconnect", { reasonCode: 0x82 })
    expect(packet.properties?.sessionExpiryInterval).toBeUndefined()
  })

  it("[MQTT5-4.13.2-1] [MQTT5-3.14.4-2] a DISCONNECT of 0x80 or more ends the connection, from either side", async () => {
    const client = await broker.connect(5)
    client.send("e0 01 80")
    await client.expectClosed()
    const other = await broker.connect(5)
    other.send("00 00")
    await other.expectRefused(0x81, 0x82)
  })

  it("[MQTT5-3.14.4-1] [MQTT5-3.14.4-2] after its own DISCONNECT the broker sends nothing more, and closes", async () => {
    const topic = broker.topic()
    const client = await broker.connect(5)
    await client.subscribe(topic)
    client.send("00 00", publishBytes(5, 0x30, topic), "c0 00")
    await client.expectRefused(0x81, 0x82)
  })

  it("[MQTT5-3.14.0-1] no DISCONNECT before a successful CONNACK", async () => {
    for (const packet of [bytes("c0 00"), bytes("00 00"), connectBytes(5, { flags: 0x03, clientId: "x" })]) {
      const client = await broker.open(5)
      client.send(packet)
      const answer = await client.nextOrClosed()
      if (answer !== undefined) expect(answer[0]).toBe(0x20)
      await client.expectClosed()
    }
  })

  it("[MQTT5-3.14.2-3] [MQTT5-3.14.2-4] it fits into a small Maximum Packet Size", async () => {
    const client = await broker.open(5)
    client.send(connectBytes(5, { clientId: broker.id(), properties: ["27 00000040"] }))
    await client.receive("connack", { reasonCode: 0 })
    client.send(publishBytes(5, 0x36, "a", { messageId: 1 }))
    const answer = await client.nextFrame()
    expect(answer[0]).toBe(0xe0)
    expect(answer.length).toBeLessThanOrEqual(64)
    await client.expectClosed()
  })

  it("a DISCONNECT with reason string and user properties is taken", async () => {
    const client = await broker.connect(5)
    client.send(frame(0xe0, "00", props(5, "1f", text("bye"), userProperty("a", "b"))))
    await client.expectClosed()
  })

  it("a server reference from a client closes the connection with 0x82", async () => {
    const client = await broker.connect(5)
    client.send(frame(0xe0, "00", props(5, "1c", text("elsewhere"))))
    const answer = await client.nextOrClosed()
    if (answer !== undefined) expect([0x81, 0x82]).toContain(answer[2])
    await client.expectClosed()
  })
})

describe("AUTH", () => {
  it("[MQTT5-4.12.0-1] [MQTT5-3.2.2-7] an authentication method is refused with 0x8C, and closed", async () => {
    const client = await broker.open(5)
    client.send(connectBytes(5, { clientId: broker.id(), properties: ["15", text("SCRAM-SHA-1"), "16", text("data")] }))
    await client.expectConnectRefused([0x8c, 0x87])
  })

  it("[MQTT5-3.1.2-30] what a client with an authentication method sends before CONNACK is not processed", async () => {
    const topic = broker.topic()
    const watcher = await broker.connect(5)
    await watcher.subscribe(topic)
    const client = await broker.open(5)
    client.send(
      connectBytes(5, { clientId: broker.id(), properties: ["15", text("SCRAM-SHA-1")] }),
      subscribeBytes(5, topic),
      publishBytes(5, 0x30, topic)
    )
    await client.expectConnectRefused([0x8c, 0x87])
    await watcher.expectNothing()
  })

  it("[MQTT5-4.12.0-7] an AUTH without a method in CONNECT closes the connection", async () => {
    const client = await broker.connect(5)
    client.send(frame(0xf0, "19", props(5, "15", text("SCRAM-SHA-1"))))
    await client.expectRefused(0x82)
  })

  it("[MQTT5-3.15.1-1] flags other than 0 close the connection", async () => {
    const client = await broker.connect(5)
    client.send(frame(0xf1, "19", props(5, "15", text("SCRAM-SHA-1"))))
    await client.expectRefused(0x81)
  })

  it("[MQTT5-3.15.2-1] a reason code that AUTH has not closes the connection", async () => {
    const client = await broker.connect(5)
    client.send(frame(0xf0, "55", props(5, "15", text("SCRAM-SHA-1"))))
    await client.expectRefused(0x81, 0x82)
  })

  it("[MQTT5-4.12.0-6] [MQTT5-4.12.0-7] an AUTH as the first packet closes the connection, and gets no AUTH back", async () => {
    const client = await broker.open(5)
    client.send(frame(0xf0, "18", props(5, "15", text("SCRAM-SHA-1"))))
    await client.expectClosed()
  })
})

describe.concurrent("keep alive", () => {
  it.each(both)(
    "[MQTT-3.1.2-24] [MQTT5-3.1.2-22] [MQTT5-3.2.2-22] a silent client is closed after one and a half times its keep alive, and its will published · v%i",
    async (version) => {
      const topic = broker.topic()
      const watcher = await broker.connect(version)
      await watcher.subscribe(topic)
      const client = await broker.connect(version, {
        keepalive: 1,
        will: { topic, payload: "gone", qos: 0, retain: false }
      })
      const start = Date.now()
      await client.expectRefused(0x8d)
      const elapsed = Date.now() - start
      expect(elapsed).toBeGreaterThanOrEqual(1400)
      await watcher.receive("publish", { payload: "gone" })
    }
  )

  it.each(both)("[MQTT-3.1.2-24] [MQTT5-3.1.2-22] any packet keeps it open · v%i", async (version) => {
    const client = await broker.connect(version, { keepalive: 1 })
    const topic = broker.topic()
    await broker.passed(1)
    client.send(publishBytes(version, 0x30, topic))
    await broker.passed(1)
    await client.ping()
    await broker.passed(1)
    await client.ping()
  })

  it.each(both)("keep alive 0 is no keep alive · v%i", async (version) => {
    const client = await broker.connect(version, { keepalive: 0 })
    await broker.passed(3)
    await client.ping()
  })
})

describe.skipIf(isExternal)("timeouts and limits of connections", { concurrent: true }, () => {
  const strict = useBroker({
    connection: { connectTimeoutMillis: 500, maxPacketSize: 256, maxTopicLevels: 3, maxKeepAliveSeconds: 1 }
  })

  it("[MQTT5-3.1.2-21] [MQTT5-3.2.2-21] the Server Keep Alive is what counts", async () => {
    const client = await strict.connect(5, { keepalive: 1000 })
    expect(client.connack.properties?.serverKeepAlive).toBe(1)
    await client.expectRefused(0x8d)
  })

  it("a connection without a CONNECT is closed after the connect timeout", async () => {
    const client = await strict.open(5)
    await client.expectClosed()
  })

  it("a CONNECT that is begun and not finished is closed too", async () => {
    const client = await strict.open(4)
    client.send(connectBytes(4, { clientId: "x" }).subarray(0, 5))
    await client.expectClosed()
  })

  it.each(both)("[MQTT5-3.2.2-15] a packet above the maximum is refused at its header · v%i", async (version) => {
    const client = await strict.connect(version, { keepalive: 1 })
    client.send("30 80 80 40")
    await client.expectRefused(0x95)
  })

  it.each(both)("a CONNECT above the maximum is refused · v%i", async (version) => {
    const client = await strict.open(version)
    client.send(connectBytes(version, { clientId: "x".repeat(300) }))
    const answer = await client.nextOrClosed()
    if (answer !== undefined) expect(answer[0]).toBe(0x20)
    await client.expectClosed()
  })

  const narrow = useBroker({ connection: { maxConnectSize: 200, maxPacketSize: 1_000 } })

  it.each(both)("a CONNECT above its own maximum is closed; who is in may send more · v%i", async (version) => {
    const stranger = await narrow.open(version)
    stranger.send(connectBytes(version, { clientId: "x".repeat(200) }))
    await stranger.expectClosed()
    const client = await narrow.open(version)
    const large = publishBytes(version, 0x30, `t/${"x".repeat(900)}`)
    // Together: the second is read once the first was answered.
    client.send(
      Buffer.concat([connectBytes(version, { clientId: `${version}`.repeat(100) }), large, Buffer.from([0xc0, 0])])
    )
    const connack = await client.nextOrClosed()
    expect(connack?.[0]).toBe(0x20)
    const pong = await client.nextOrClosed()
    expect(pong?.[0]).toBe(0xd0)
    client.send(publishBytes(version, 0x30, `t/${"x".repeat(1_000)}`))
    await client.expectRefused(0x95)
  })

  it.each(both)("a topic with too many levels is refused · v%i", async (version) => {
    const client = await strict.connect(version, { keepalive: 1 })
    client.send(publishBytes(version, 0x30, "a/b/c/d"))
    await client.expectRefused(0x90)
    const other = await strict.connect(version, { keepalive: 1 })
    expect(await other.subscribe("a/b/c/d")).toBe(version === 5 ? 0x8f : 0x80)
    expect(await other.subscribe("a/b/c")).toBe(0)
  })
})

describe.skipIf(isExternal)("the broker shuts down", () => {
  it("MQTT 5 clients get DISCONNECT 0x8B with the server reference, older ones are closed", async () => {
    const { TestBroker } = await import("../support/broker.ts")
    const ending = new TestBroker()
    await ending.start({ connection: { serverReference: "elsewhere:1883" } })
    const five = await ending.connect(5)
    const four = await ending.connect(4)
    const stopped = ending.shutdown()
    await five.receive("disconnect", { reasonCode: 0x8b, properties: { serverReference: "elsewhere:1883" } })
    await five.expectClosed()
    await four.expectClosed()
    await stopped
    await ending.stop()
  })
})
