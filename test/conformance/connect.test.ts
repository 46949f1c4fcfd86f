// 3.1 CONNECT: the first packet, protocol name and level, connect flags, the order of the payload, client identifiers, take-over.

import { describe, expect, it } from "vitest"
import { both, useBroker } from "../support/broker.ts"
import { bytes, frame, text } from "../support/bytes.ts"
import { connectBytes, props, publishBytes, subscribeBytes, userProperty } from "../support/packets.ts"
import type { TestClient, Version } from "../support/TestClient.ts"

const broker = useBroker()

const accepted = async (client: TestClient): Promise<void> => {
  await client.receive("connack", client.version === 5 ? { reasonCode: 0 } : { returnCode: 0 })
}

/** A CONNECT that does not conform: no CONNACK for 3.1.1; CONNACK 0x81 or 0x82 for 5, at the broker's choice, then closed. */
const refusedAsMalformed = async (version: Version, packet: Buffer): Promise<void> => {
  const client = await broker.open(version)
  client.send(packet)
  await client.expectConnectRefused([0x81, 0x82])
}

describe.each(both)("the first packet, MQTT level %i", (version) => {
  it.each([
    ["PINGREQ", bytes("c0 00")],
    ["PUBLISH", publishBytes(version, 0x30, "a", { payload: "x" })],
    ["SUBSCRIBE", subscribeBytes(version, "a")],
    ["DISCONNECT", bytes("e0 00")],
    ["a TLS handshake", bytes("16 03 01 00 05 01 00 00 01 00")],
    ["bytes that are no MQTT", Buffer.from("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")]
  ])("[MQTT-3.1.0-1] a connection that begins with something else is closed: %s", async (_, packet) => {
    const client = await broker.open(version)
    client.send(packet)
    await client.expectClosed()
  })

  it("[MQTT-3.1.0-2] a second CONNECT closes the connection", async () => {
    const client = await broker.connect(version)
    client.sendConnect({ clientId: client.clientId })
    await client.expectRefused(0x82)
  })

  it("[MQTT-3.1.4-4] [MQTT5-3.1.4-5] [MQTT-3.2.0-1] [MQTT-7.1.1-1] [MQTT5-4.2-1] [MQTT-7.0.0-2] a CONNECT over TCP with nothing but what the standard asks for is answered by CONNACK", async () => {
    const client = await broker.open(version)
    client.send(connectBytes(version, { clientId: broker.id() }))
    if (version === 4) await client.receiveBytes("20 02 00 00")
    else await accepted(client)
    await client.ping()
  })

  it("a CONNECT that comes byte by byte is the same CONNECT", async () => {
    const client = await broker.open(version)
    for (const byte of connectBytes(version, { clientId: broker.id() })) client.send(Buffer.of(byte))
    await accepted(client)
  })

  it("packets right behind CONNECT, in one piece with it, are processed in order", async () => {
    const client = await broker.open(version)
    const topic = broker.topic()
    client.send(
      connectBytes(version, { clientId: broker.id() }),
      subscribeBytes(version, topic, { messageId: 3 }),
      publishBytes(version, 0x30, topic, { payload: "x" }),
      bytes("c0 00")
    )
    await accepted(client)
    await client.receive("suback", { messageId: 3 })
    await client.receive("publish", { topic, payload: "x" })
    await client.receiveBytes("d0 00")
  })
})

describe("protocol name and level", () => {
  it.each(both)("[MQTT-3.1.2-1] another protocol name is not processed, and closed · v%i", async (version) => {
    const client = await broker.open(version)
    client.send(connectBytes(version, { name: "MQTX", clientId: broker.id() }))
    if (version === 5) {
      const frames = await client.nextOrClosed()
      if (frames !== undefined) expect(frames[3]).toBe(0x84)
    }
    await client.expectClosed()
  })

  it.each([0, 1, 2, 6, 7, 0x44])(
    "[MQTT-3.1.2-2] an unsupported level is answered with return code 0x01, then closed: %i",
    async (level) => {
      const client = await broker.open(4)
      client.send(connectBytes(4, { level, clientId: broker.id() }))
      await client.receiveBytes("20 02 00 01")
      await client.expectClosed()
    }
  )

  it("[MQTT5-3.1.2-2] a version above 5 is refused and closed", async () => {
    const client = await broker.open(4)
    client.send(connectBytes(5, { level: 6, clientId: broker.id() }))
    const answer = await client.nextOrClosed()
    if (answer !== undefined) expect([0x01, 0x84]).toContain(answer[3])
    await client.expectClosed()
  })
})

describe.each(both)("connect flags and payload, MQTT level %i", (version) => {
  const will = [props(version), text("w"), text("gone")]

  it("[MQTT-3.1.2-3] [MQTT-3.1.4-1] [MQTT-3.2.2-6] [MQTT5-3.1.4-1] the reserved flag must be zero", () =>
    refusedAsMalformed(version, connectBytes(version, { flags: 0x03, clientId: broker.id() })))

  it("[MQTT-3.1.2-9] [MQTT-3.1.4-1] [MQTT5-3.1.4-1] a will flag without will fields in the payload is refused", () =>
    refusedAsMalformed(version, connectBytes(version, { flags: 0x06, clientId: broker.id() })))

  it("[MQTT-3.1.2-9] a will topic without a will message is refused", () =>
    refusedAsMalformed(
      version,
      connectBytes(version, { flags: 0x06, clientId: broker.id(), rest: [props(version), text("w")] })
    ))

  it("[MQTT-3.1.2-11] will fields without the will flag are refused", () =>
    refusedAsMalformed(version, connectBytes(version, { flags: 0x02, clientId: broker.id(), rest: will })))

  it.each([0x0a, 0x12])(
    "[MQTT-3.1.2-11] [MQTT-3.1.2-13] [MQTT5-3.1.2-11] a will QoS without the will flag is refused: flags %i",
    (flags) => refusedAsMalformed(version, connectBytes(version, { flags, clientId: broker.id() }))
  )

  it("[MQTT-3.1.2-11] [MQTT-3.1.2-15] [MQTT5-3.1.2-13] will retain without the will flag is refused", () =>
    refusedAsMalformed(version, connectBytes(version, { flags: 0x22, clientId: broker.id() })))

  it("[MQTT-3.1.2-14] [MQTT5-3.1.2-12] will QoS 3 is refused", () =>
    refusedAsMalformed(version, connectBytes(version, { flags: 0x1e, clientId: broker.id(), rest: will })))

  it("[MQTT-3.1.2-18] [MQTT5-3.1.2-16] a user name without its flag is refused", () =>
    refusedAsMalformed(version, connectBytes(version, { flags: 0x02, clientId: broker.id(), rest: [text("user")] })))

  it("[MQTT-3.1.2-19] [MQTT5-3.1.2-17] a user name flag without a user name is refused", () =>
    refusedAsMalformed(version, connectBytes(version, { flags: 0x82, clientId: broker.id() })))

  it("[MQTT-3.1.2-20] [MQTT5-3.1.2-18] a password without its flag is refused", () =>
    refusedAsMalformed(
      version,
      connectBytes(version, { flags: 0x82, clientId: broker.id(), rest: [text("user"), text("secret")] })
    ))

  it("[MQTT-3.1.2-21] [MQTT5-3.1.2-19] a password flag without a password is refused", () =>
    refusedAsMalformed(version, connectBytes(version, { flags: 0xc2, clientId: broker.id(), rest: [text("user")] })))

  it("[MQTT-3.1.3-3] a CONNECT without a client identifier is refused", () =>
    refusedAsMalformed(version, frame(0x10, text("MQTT"), version, "02 003c", props(version))))

  it("[MQTT-3.1.3-4] a client identifier that is no UTF-8 is refused", () =>
    refusedAsMalformed(version, connectBytes(version, { clientId: bytes("61 ff 62") })))

  it("[MQTT-1.5.3-2] [MQTT5-1.5.4-2] a client identifier with U+0000 is refused", () =>
    refusedAsMalformed(version, connectBytes(version, { clientId: bytes("61 00 62") })))

  it("[MQTT-3.1.3-10] [MQTT5-3.1.3-11] a will topic that is no UTF-8 is refused", () =>
    refusedAsMalformed(
      version,
      connectBytes(version, {
        flags: 0x06,
        clientId: broker.id(),
        rest: [props(version), text(bytes("ff")), text("x")]
      })
    ))

  it("[MQTT-3.1.3-11] [MQTT5-3.1.3-12] a user name that is no UTF-8 is refused", () =>
    refusedAsMalformed(
      version,
      connectBytes(version, { flags: 0x82, clientId: broker.id(), rest: [text(bytes("c3 28"))] })
    ))

  it("[MQTT-3.1.3-1] [MQTT-3.1.2-19] [MQTT-3.1.2-21] [MQTT5-3.1.2-17] [MQTT5-3.1.2-19] all fields in their order are taken: identifier, will, user name, password", async () => {
    const topic = broker.topic("/will")
    const watcher = await broker.connect(version)
    await watcher.subscribe(topic)
    const client = await broker.open(version)
    const clientId = broker.id()
    client.send(
      connectBytes(version, {
        flags: 0xc6,
        clientId,
        rest: [props(version), text(topic), text("gone"), text("user"), text("secret")]
      })
    )
    await accepted(client)
    client.drop()
    await watcher.receive("publish", { topic, payload: "gone" })
  })

  it("[MQTT-3.1.4-5] [MQTT5-3.1.4-6] nothing that follows a refused CONNECT is processed", async () => {
    const topic = broker.topic()
    const watcher = await broker.connect(version)
    await watcher.subscribe(topic)
    await refusedAsMalformed(
      version,
      Buffer.concat([
        connectBytes(version, { flags: 0x03, clientId: broker.id() }),
        publishBytes(version, 0x30, topic, { payload: "not to be seen" })
      ])
    )
    await watcher.expectNothing()
  })

  it("a CONNECT cut short is not answered", async () => {
    const client = await broker.open(version)
    const packet = connectBytes(version, { clientId: broker.id() })
    client.send(packet.subarray(0, packet.length - 3))
    client.end()
    await client.expectClosed()
  })
})

describe("connect flags of 3.1.1 alone", () => {
  it("[MQTT-3.1.2-22] a password flag without a user name flag is refused", () =>
    refusedAsMalformed(4, connectBytes(4, { flags: 0x42, clientId: broker.id(), rest: [text("secret")] })))
})

describe("CONNECT properties", () => {
  it.each([
    ["given twice", ["11 00000001", "11 00000002"]],
    ["Receive Maximum 0", ["21 0000"]],
    ["Maximum Packet Size 0", ["27 00000000"]],
    ["Request Response Information 2", ["19 02"]],
    ["Request Problem Information 2", ["17 02"]],
    ["authentication data without a method", ["16 0001 61"]],
    ["that does not belong to CONNECT", ["23 0001"]],
    ["that does not exist", ["7e 00"]],
    ["an ill-formed user property", [userProperty(bytes("ff"), "v")]]
  ])(
    "[MQTT5-3.1.4-1] a property that is wrong is refused: %s",
    (_, parts) => refusedAsMalformed(5, connectBytes(5, { clientId: broker.id(), properties: parts }))
  )

  it.each([
    ["given twice", ["18 00000001", "18 00000001"]],
    ["that does not belong to a will", ["11 00000001"]],
    ["payload format 2", ["01 02"]],
    ["a response topic with a wildcard", ["08", text("a/#")]]
  ])(
    "[MQTT5-3.1.4-1] a will property that is wrong is refused: %s",
    (_, parts) =>
      refusedAsMalformed(
        5,
        connectBytes(5, { flags: 0x06, clientId: broker.id(), rest: [props(5, ...parts), text("w"), text("x")] })
      )
  )

  it("user properties in CONNECT, more than one of a name, are accepted", async () => {
    const client = await broker.open(5)
    client.send(
      connectBytes(5, { clientId: broker.id(), properties: [userProperty("a", "1"), userProperty("a", "2")] })
    )
    await accepted(client)
  })
})

describe.each(both)("client identifiers, MQTT level %i", (version) => {
  it("[MQTT-3.1.3-5] identifiers of 1 to 23 bytes of letters and digits are allowed", async () => {
    for (const clientId of ["Z", "0123456789abcdefghijklm", "nopqrstuvwxyzABCDEFGHIJ", "KLMNOPQRSTUVWXYZ"]) {
      const client = await broker.connect(version, { clientId })
      await client.disconnect()
    }
  })

  it("longer identifiers and other characters are allowed too", async () => {
    const client = await broker.connect(version, { clientId: `${broker.id()}/+#€ ${"x".repeat(200)}` })
    await client.disconnect()
  })

  it("[MQTT-3.1.3-6] two clients without an identifier are two clients", async () => {
    const first = await broker.connect(version, { clientId: "" })
    const second = await broker.connect(version, { clientId: "" })
    await first.ping()
    await second.ping()
  })

  it("[MQTT-3.1.3-2] the identifier says which session it is", async () => {
    const clientId = broker.id()
    const topic = broker.topic()
    const keep = { clean: false, ...version === 5 ? { properties: { sessionExpiryInterval: 100 } } : {} }
    const client = await broker.connect(version, { clientId, ...keep })
    await client.subscribe(topic, 1)
    await client.disconnect()
    const other = await broker.connect(version, keep)
    expect(other.connack.sessionPresent).toBe(false)
    const again = await broker.connect(version, { clientId, ...keep })
    expect(again.connack.sessionPresent).toBe(true)
    await other.publish(topic, "for the first", { qos: 1 })
    await again.receive("publish", { topic, payload: "for the first" })
    await other.expectNothing()
  })

  it("[MQTT-3.1.4-2] [MQTT5-3.1.4-3] [MQTT-4.1.0-2] [MQTT5-4.1.0-1] a second connection with the identifier takes the first one's place", async () => {
    const first = await broker.connect(version)
    const second = await broker.connect(version, { clientId: first.clientId })
    await first.expectRefused(0x8e)
    await second.ping()
  })

  it("[MQTT-3.1.4-2] [MQTT5-3.1.4-3] a take-over between versions works the same", async () => {
    const first = await broker.connect(version)
    const second = await broker.connect(version === 4 ? 5 : 4, { clientId: first.clientId })
    await first.expectRefused(0x8e)
    await second.ping()
  })

  it("[MQTT-3.1.4-2] [MQTT5-3.1.4-3] of many connections at once with one identifier one remains, and it works", async () => {
    const clientId = broker.id()
    const clients = await Promise.all(Array.from({ length: 20 }, () => broker.open(version)))
    for (const client of clients) client.send(connectBytes(version, { clientId }))
    const last = clients.map(async (client) => {
      await accepted(client)
      await client.expectRefused(0x8e)
    })
    const open = (await Promise.allSettled(last)).filter((result) => result.status === "rejected")
    expect(open.length).toBe(1)
    const topic = broker.topic()
    const again = await broker.connect(version, { clientId })
    await again.subscribe(topic)
    again.send(publishBytes(version, 0x30, topic))
    await again.receive("publish", { topic })
  })

  it("a take-over without a clean start keeps the session, its subscriptions and what is in flight", async () => {
    const keep = { clean: false, ...version === 5 ? { properties: { sessionExpiryInterval: 100 } } : {} }
    const topic = broker.topic()
    const first = await broker.connect(version, keep)
    await first.subscribe(topic, 1)
    const publisher = await broker.connect(version)
    await publisher.publish(topic, "1", { qos: 1 })
    const before = await first.receive("publish", { payload: "1", dup: false })
    const second = await broker.connect(version, { clientId: first.clientId, ...keep })
    expect(second.connack.sessionPresent).toBe(true)
    await second.receive("publish", { payload: "1", dup: true, messageId: before.messageId })
    await publisher.publish(topic, "2", { qos: 1 })
    await second.receive("publish", { payload: "2", dup: false })
  })
})

describe("client identifiers of zero bytes", () => {
  it("[MQTT-3.1.3-7] [MQTT-3.1.3-8] [MQTT-3.1.3-9] [MQTT-3.2.2-4] [MQTT-3.2.2-5] without CleanSession the answer of 3.1.1 is 0x02, then closed", async () => {
    const client = await broker.open(4)
    client.send(connectBytes(4, { flags: 0x00 }))
    await client.receiveBytes("20 02 00 02")
    await client.expectClosed()
  })

  it("[MQTT5-3.1.3-6] [MQTT5-3.1.3-7] [MQTT5-3.2.2-16] 5 gets an identifier of its own, with which it can come back", async () => {
    const properties = { sessionExpiryInterval: 100 }
    const client = await broker.open(5)
    client.send(connectBytes(5, { flags: 0x00, properties: ["11 00000064"] }))
    client.connack = await client.receive("connack", { reasonCode: 0 })
    const clientId = client.connack.properties?.assignedClientIdentifier ?? ""
    expect(clientId).not.toBe("")
    expect(client.connack.sessionPresent).toBe(false)
    const another = await broker.connect(5, { clientId: "" })
    expect(another.connack.properties?.assignedClientIdentifier).not.toBe(clientId)
    await client.disconnect()
    const again = await broker.connect(5, { clientId, clean: false, properties })
    expect(again.connack.sessionPresent).toBe(true)
    expect(again.connack.properties?.assignedClientIdentifier).toBeUndefined()
  })

  it("[MQTT-3.1.3-9] [MQTT5-3.1.3-8] [MQTT5-3.2.2-7] an identifier that is too long is refused with 0x02 or 0x85, then closed", async () => {
    const clientId = "x".repeat(2000)
    const older = await broker.open(4)
    older.send(connectBytes(4, { clientId }))
    await older.expectConnectRefused(0x85, 2)
    const client = await broker.open(5)
    client.send(connectBytes(5, { clientId }))
    await client.expectConnectRefused(0x85)
  })
})
