// A client that stops reading costs the others nothing, and the broker no more memory than its bounds say.
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { connect as connectSocket, type Socket } from "node:net"
import { connectBytes, publishBytes, subscribeBytes } from "../support/packets.ts"
import { type InnerBroker, startInnerBroker } from "../support/innerBroker.ts"

const payload = "x".repeat(1000)
const total = 40_000
const frame = publishBytes(4, 0x30, "s/1", { payload })
/** The publisher is at most so many messages ahead of the subscriber that reads: it cannot be congested. */
const ahead = 500

describe("a slow consumer", () => {
  let inner: InnerBroker
  const sockets: Array<Socket> = []
  beforeEach(async () => {
    inner = await startInnerBroker()
  })
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy()
    await inner.stop()
  })

  /** Connected and subscribed; resolves with SUBACK. */
  const subscriber = async (clientId: string, qos: 0 | 1): Promise<Socket> => {
    const socket = connectSocket(inner.broker.addresses[0]?.port ?? 0, "127.0.0.1")
    sockets.push(socket)
    socket.write(connectBytes(4, { clientId }))
    socket.write(subscribeBytes(4, "s/#", { qos }))
    let seen = 0
    await new Promise<void>((resolve, reject) => {
      socket.on("error", reject)
      socket.on("data", function answered(chunk) {
        seen += chunk.length
        if (seen < 9) return
        socket.off("data", answered)
        resolve()
      })
    })
    return socket
  }

  it("with QoS 0 loses messages, counted; a reader beside it gets all; what waits for it stays below the watermark", async () => {
    const slow = await subscriber("slow", 0)
    slow.pause()
    const fast = await subscriber("fast", 0)
    let received = 0
    let wake = () => {}
    fast.on("data", (chunk) => {
      received += chunk.length
      wake()
    })
    const publisher = await inner.connect(4)
    let most = 0
    for (let sent = 0; sent < total;) {
      publisher.send(Buffer.concat(Array.from({ length: 100 }, () => frame)))
      sent += 100
      while (sent - received / frame.length > ahead || (sent === total && received < total * frame.length)) {
        await new Promise<void>((resolve) => wake = resolve)
      }
      most = Math.max(most, inner.connection("slow").bufferedBytes)
    }
    assert.strictEqual(received, total * frame.length)
    const { counters, services } = inner.broker
    assert.isAbove(counters.deliveries_dropped_congested_total, 0)
    assert.strictEqual(counters.messages_sent_qos0_total + counters.deliveries_dropped_congested_total, 2 * total)
    assert.isAbove(most, services.settings.connection.writeHighWatermarkBytes, "the test did not fill the socket")
    // What one turn adds before the outlet looks at the socket again.
    assert.isBelow(most, services.settings.connection.writeHighWatermarkBytes + 2 * 256 * 1024)
  })

  it("with QoS 1 keeps its window and its queue, oldest dropped first, each one counted; then it gets what it is owed", async () => {
    const { session, queue } = inner.broker.services.settings
    const slow = await inner.connect(4)
    await slow.subscribe("s/#", 1)
    const publisher = await inner.connect(4)
    const many = session.maxInflight + queue.capacity + 500
    for (let i = 0; i < many; i++) await publisher.publish("s/1", `${i}`, { qos: 1 })
    assert.strictEqual(inner.broker.counters.deliveries_dropped_queue_full_total, 500)
    assert.strictEqual(inner.session(slow.clientId).outgoing.owed, session.maxInflight + queue.capacity)
    const got: Array<number> = []
    for (let i = 0; i < session.maxInflight + queue.capacity; i++) {
      const packet = await slow.receive("publish")
      await slow.acknowledge(packet)
      got.push(Number(packet.payload.toString()))
    }
    const window = Array.from({ length: session.maxInflight }, (_, i) => i)
    const queued = Array.from({ length: queue.capacity }, (_, i) => many - queue.capacity + i)
    assert.deepStrictEqual(got, [...window, ...queued])
  })
})

describe("retained messages that a subscription is owed", () => {
  it("[MQTT-3.10.4-2] [MQTT5-3.10.4-2] stop with UNSUBSCRIBE; subscribing again begins anew", async () => {
    const inner = await startInnerBroker()
    const publisher = await inner.connect(4)
    const count = 100
    for (let i = 0; i < count; i++) await publisher.publish(`kept/${i}`, "x", { qos: 1, retain: true })
    const client = await inner.connect(5, { properties: { receiveMaximum: 5 } })
    await client.subscribe("kept/+", 1)
    const first = await client.receivePublishes(5)
    client.send({ cmd: "unsubscribe", messageId: 77, unsubscriptions: ["kept/+"] })
    await client.receive("unsuback", { messageId: 77 })
    for (const packet of first) await client.acknowledge(packet)
    await client.expectNothing()
    await client.subscribe("kept/+", 1)
    const topics = new Set<string>()
    for (let i = 0; i < count; i++) {
      const packet = await client.receive("publish", { retain: true })
      await client.acknowledge(packet)
      topics.add(packet.topic)
    }
    assert.strictEqual(topics.size, count)
    await client.expectNothing()
    await inner.stop()
  })
})
