// Mutated packets by the hundred thousand: two clients beside the flood lose nothing, and nothing is left behind by it.
import { assert, describe, it } from "@effect/vitest"
import { connect as connectSocket } from "node:net"
import { bytes } from "../support/bytes.ts"
import { connectBytes, publishBytes, subscribeBytes, unsubscribeBytes } from "../support/packets.ts"
import { type InnerBroker, startInnerBroker } from "../support/innerBroker.ts"

const packets = 204_800
const packetsPerConnection = 16
const connectionsAtATime = 32
const seed = Number(process.env["EMQTTD_FUZZ_SEED"] ?? 20_261_123)

/** xorshift: the same packets for the same seed. */
const generator = (start: number) => {
  let state = start >>> 0 || 1
  return (below: number) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

const sound = (version: 4 | 5): ReadonlyArray<Buffer> => [
  publishBytes(version, 0x30, "fuzz/a", { payload: "payload" }),
  publishBytes(version, 0x31, "fuzz/retained", { payload: "payload" }),
  publishBytes(version, 0x32, "fuzz/a/b", { messageId: 7, payload: "payload" }),
  publishBytes(version, 0x34, "fuzz/b", { messageId: 8, payload: "payload" }),
  subscribeBytes(version, "fuzz/+/b", { qos: 1 }),
  subscribeBytes(version, "$share/g/fuzz/#", { qos: 2 }),
  unsubscribeBytes(version, "fuzz/+/b"),
  bytes("40 02 00 01"),
  bytes("50 02 00 01"),
  bytes("62 02 00 08"),
  bytes("70 02 00 01"),
  bytes("c0 00"),
  connectBytes(version, { clientId: "again" }),
  ...version === 5 ? [bytes("f0 02 18 00"), bytes("e0 02 04 00"), bytes("40 04 00 01 10 00")] : [bytes("e0 00")]
]

const mutate = (packet: Buffer, random: (below: number) => number): Buffer => {
  const mutant = Buffer.from(packet)
  for (let changes = 1 + random(3); changes > 0; changes--) {
    const at = random(mutant.length)
    switch (random(4)) {
      case 0:
        mutant[at] = random(256)
        break
      case 1:
        mutant[at] = (mutant[at] ?? 0) ^ 1 << random(8)
        break
      case 2:
        return mutant.subarray(0, at + 1)
      default:
        return Buffer.concat([mutant.subarray(0, at), Buffer.from([random(256)]), mutant.subarray(at)])
    }
  }
  return mutant
}

/** One connection, mostly with a sound CONNECT, and its mutants; done when the broker or we have closed it. */
const attack = (inner: InnerBroker, random: (below: number) => number): Promise<void> =>
  new Promise((resolve) => {
    const version = random(2) === 0 ? 4 : 5
    const socket = connectSocket(inner.broker.addresses[0]?.port ?? 0, "127.0.0.1")
    socket.on("error", () => {})
    socket.on("close", () => resolve())
    socket.on("data", () => {})
    const connect = connectBytes(version, { clientId: `fuzz${random(50)}` })
    const choices = sound(version)
    const mutants = Array.from({ length: packetsPerConnection }, () =>
      mutate(choices[random(choices.length)] ?? connect, random))
    socket.write(Buffer.concat([random(8) === 0 ? mutate(connect, random) : connect, ...mutants]))
    socket.end()
  })

describe("a flood of mutated packets", () => {
  it(
    `${packets} packets (seed ${seed}): two other clients lose nothing, memory is level`,
    { timeout: 180_000 },
    async () => {
      const inner = await startInnerBroker((settings) => ({
        ...settings,
        session: { ...settings.session, maxExpiryMillis: 0 },
        retain: { ...settings.retain, maxMessages: 100 }
      }))
      const subscriber = await inner.connect(5)
      await subscriber.subscribe("calm/#", 1)
      const publisher = await inner.connect(4)
      let sent = 0
      const random = generator(seed)
      const memory: Array<number> = []
      const connections = packets / packetsPerConnection
      for (let done = 0; done < connections; done += connectionsAtATime) {
        const wave = Array.from({ length: connectionsAtATime }, () => attack(inner, random))
        await publisher.publish("calm/1", `${sent}`, { qos: 1 })
        const packet = await subscriber.receive("publish", { topic: "calm/1", payload: `${sent++}` })
        await subscriber.acknowledge(packet)
        await Promise.all(wave)
        if (done % (connections / 8) === 0) memory.push(process.memoryUsage().rss)
      }
      const { broker } = inner
      assert.isAbove(broker.counters.protocol_errors_total, connections / 4)
      assert.strictEqual(broker.counters.connections_crashed_total, 0)
      assert.strictEqual(broker.counters.sessions_crashed_total, 0)
      await publisher.ping()
      assert.strictEqual(broker.connections, 2)
      assert.strictEqual(broker.sessions.size, 2)
      assert.isAtMost(broker.services.retainer.count, 100)
      assert.isAtMost(broker.services.wheel.size, 4 + 16)
      // The second half adds no more than what a lazy collector leaves lying about.
      const growth = (memory.at(-1) ?? 0) - (memory[4] ?? 0)
      assert.isBelow(growth, 96 * 1024 * 1024)
      await inner.stop()
    }
  )
})
