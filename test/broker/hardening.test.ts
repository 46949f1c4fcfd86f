// What a hostile or unlucky client must not be able to do to the others, or lose itself: sequences that a review of the code found.
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { connect as connectSocket } from "node:net"
import { bytes, frame, text } from "../support/bytes.ts"
import { connectBytes, publishBytes, subscribeBytes } from "../support/packets.ts"
import { type InnerBroker, startInnerBroker } from "../support/innerBroker.ts"

describe("hardening", () => {
  let inner: InnerBroker
  beforeEach(async () => {
    inner = await startInnerBroker()
  })
  afterEach(() => inner.stop())

  it("a SUBSCRIBE with the same filter 200,000 times is answered once each and holds nobody up", async () => {
    const client = await inner.connect(4)
    const entry = bytes(text("x"), "00")
    client.send(frame(0x82, "00 09", Buffer.concat(Array.from({ length: 200_000 }, () => entry))))
    const { granted } = await client.receive("suback", { messageId: 9 })
    assert.strictEqual(granted.length, 200_000)
    const other = await inner.connect(4)
    await other.publish("x", "1", { qos: 1, retain: true })
    await client.receive("publish", { topic: "x" })
  })

  it("a client that sends and never reads is not read either: what waits for it stays bounded", async () => {
    const socket = connectSocket(inner.broker.addresses[0]?.port ?? 0, "127.0.0.1")
    socket.on("error", () => {})
    socket.pause()
    socket.write(connectBytes(4, { clientId: "deaf" }))
    const pings = Buffer.alloc(256 * 1024, Buffer.from("c000", "hex"))
    const watcher = await inner.connect(4)
    const { writeHighWatermarkBytes, mailboxBytes } = inner.broker.services.settings.connection
    // As much as the broker takes: the socket is full when its own buffer no longer shrinks.
    let most = 0
    for (let sent = 0; sent < 64 * 1024 * 1024 && socket.writableLength < 4 * 1024 * 1024; sent += pings.length) {
      socket.write(pings)
      await watcher.ping()
      const deaf = inner.broker.listeners.flatMap((one) => [...one.connections]).find((one) => one.clientId === "deaf")
      most = Math.max(most, deaf?.bufferedBytes ?? 0)
    }
    assert.isAtLeast(socket.writableLength, 4 * 1024 * 1024, "the broker went on reading")
    assert.isBelow(most, writeHighWatermarkBytes + mailboxBytes + 1024 * 1024)
    socket.destroy()
  })

  it("[MQTT-3.3.1-6] a retained PUBLISH and a SUBSCRIBE in one segment: the message comes", async () => {
    for (let i = 0; i < 20; i++) {
      const client = await inner.connect(4)
      client.send(Buffer.concat([
        publishBytes(4, 0x31, `seg/${i}`, { payload: "kept" }),
        subscribeBytes(4, `seg/${i}`, { qos: 0 })
      ]))
      await client.receive("suback")
      await client.receive("publish", { topic: `seg/${i}`, retain: true })
      await client.disconnect()
    }
  })

  it("client ids that look like ours for a session on its way out disturb nobody", async () => {
    for (let i = 0; i < 20; i++) await inner.connect(4, { clientId: `x (${i})` })
    for (let i = 0; i < 20; i++) await inner.connect(4, { clientId: "x" })
    assert.strictEqual(inner.broker.tree().children.find((child) => child.name === "registry")?.restarts, 0)
    await inner.connect(4, { clientId: "another" })
  })

  it("[MQTT5-3.8.3-3] No Local holds for retained messages too", async () => {
    const client = await inner.connect(5)
    await client.publish("own", "mine", { qos: 1, retain: true })
    await client.subscribe("own", 1, { nl: true })
    await client.expectNothing()
    const other = await inner.connect(5)
    await other.subscribe("own", 1, { nl: true })
    await other.receive("publish", { topic: "own", retain: true })
  })

  it("a newer value never comes before an older retained one", async () => {
    const publisher = await inner.connect(4)
    for (const topic of ["v/1", "v/2"]) await publisher.publish(topic, "old", { qos: 1, retain: true })
    const client = await inner.connect(5, { properties: { receiveMaximum: 1 } })
    await client.subscribe("v/+", 1)
    const first = await client.receive("publish")
    const second = first.topic === "v/1" ? "v/2" : "v/1"
    await publisher.publish(second, "new", { qos: 1, retain: true })
    await client.acknowledge(first)
    const next = await client.receive("publish", { topic: second, payload: "new" })
    await client.acknowledge(next)
    await client.expectNothing()
  })

  it("a crash of a session that ends with it leaves no fiber behind", async () => {
    const sessions = () => inner.broker.tree().children.find((child) => child.name === "sessions")?.children.length
    const publisher = await inner.connect(4)
    const before = sessions()
    const victim = await inner.connect(4, { clientId: "victim" })
    await victim.subscribe("a", 1)
    Object.defineProperty(inner.session("victim").outgoing, "deliver", {
      value: () => {
        throw new Error("a defect put in by a test")
      }
    })
    await publisher.publish("a", "x", { qos: 1 })
    await victim.expectClosed()
    await publisher.ping()
    assert.strictEqual(sessions(), before)
    assert.strictEqual(inner.broker.sessions.get("victim"), undefined)
  })

  it("shared messages that a member had been given and not looked at go to the one that stays", async () => {
    const stays = await inner.connect(4)
    await stays.subscribe("$share/g/s", 1)
    const publisher = await inner.connect(4)
    const goes = await inner.connect(4)
    await goes.subscribe("$share/g/s", 1)
    const count = 40
    goes.send("e0 00")
    publisher.send(Buffer.concat(
      Array.from({ length: count }, (_, i) => publishBytes(4, 0x32, "s", { messageId: i + 1, payload: `${i}` }))
    ))
    const got = new Set<string>()
    while (got.size < count) {
      const packet = await stays.receive("publish", { topic: "s" })
      await stays.acknowledge(packet)
      got.add(packet.payload.toString())
    }
  })
})
