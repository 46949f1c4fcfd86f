// 10,000 wrong passwords against the broker as a process: those who are connected keep their service, who knows the password comes in, and
// the memory of the broker stays where it was.
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { generate } from "mqtt-packet"
import { run } from "../cli/EmqttdProcess.ts"
import { TestClient } from "../support/TestClient.ts"
import { BrokerProcess } from "./support/BrokerProcess.ts"

const atATime = 64
const mebibyte = 1024 * 1024

let directory = ""
let broker: BrokerProcess | undefined
beforeAll(async () => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-guessing-"))
  const users = path.join(directory, "users")
  const { code, stderr } = await run(["passwd", "-b", users, "ann", "right"])
  assert.strictEqual(code, 0, stderr)
  broker = await BrokerProcess.start(
    `[authentication]
links = ["password_file"]
failures_per_address = 0
failures_per_client_id = 20
failure_window = "1h"
failure_pause = "1h"
hashes_waiting = 8
[auth_password_file]
path = "${users}"
`
  )
}, 60_000)
afterAll(async () => {
  await broker?.stop()
  fs.rmSync(directory, { recursive: true, force: true })
})

const port = (): number => broker?.port ?? 0

/** The return code of CONNACK; -1: closed without one. */
const guess = (clientId: string, password: string): Promise<number> =>
  new Promise((resolve) => {
    const socket = net.connect(port(), "127.0.0.1", () => {
      socket.write(generate({
        cmd: "connect",
        protocolId: "MQTT",
        protocolVersion: 4,
        clean: true,
        keepalive: 0,
        clientId,
        username: "ann",
        password: Buffer.from(password)
      }))
    })
    let code = -1
    socket.on("data", (chunk: Buffer) => {
      code = chunk[3] ?? -1
      socket.destroy()
    })
    socket.on("error", () => {})
    socket.on("close", () => resolve(code))
  })

/** Return code → how often. `meanwhile`: after each thousand. */
const attack = async (
  count: number,
  clientIdOf: (index: number) => string,
  meanwhile: () => Promise<void>
): Promise<ReadonlyMap<number, number>> => {
  const codes = new Map<number, number>()
  let next = 0
  const worker = async () => {
    while (next < count) {
      const index = next++
      const code = await guess(clientIdOf(index), `wrong-${index}`)
      codes.set(code, (codes.get(code) ?? 0) + 1)
      if (index % 1_000 === 999) await meanwhile()
    }
  }
  await Promise.all(Array.from({ length: atATime }, worker))
  return codes
}

const connected = async (clientId: string): Promise<TestClient> => {
  // As clients do: told that the server is busy, it comes again.
  for (;;) {
    const client = await TestClient.open(port(), 5)
    client.sendConnect({ clientId, username: "ann", password: Buffer.from("right") })
    const { reasonCode } = await client.receive("connack")
    if (reasonCode === 0) return client
    assert.strictEqual(reasonCode, 0x89)
    await client.expectClosed()
  }
}

/** Bytes; undefined where the system does not say. */
const residentBytes = (): number | undefined => {
  try {
    const status = fs.readFileSync(`/proc/${broker?.pid}/status`, "utf8")
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
  } catch {
    return undefined
  }
}

describe("10,000 wrong passwords", () => {
  it("others keep their service, who knows the password comes in, memory stays", { timeout: 120_000 }, async () => {
    const witness = await connected("witness")
    await witness.subscribe("w/#", 1)
    let served = 0
    const serve = async () => {
      const topic = `w/${++served}`
      witness.send({ cmd: "publish", topic, payload: "still served", qos: 0, dup: false, retain: false })
      await witness.receive("publish", { topic })
    }
    let cameIn = 0
    const meanwhile = async () => {
      const good = await connected(`good-${++cameIn}`)
      await good.disconnect()
    }
    // One after the other: the witness awaits its packets in order.
    let serving = Promise.resolve()
    const both = async () => {
      serving = serving.then(serve)
      await Promise.all([serving, meanwhile()])
    }
    // For one client id: after 20 guesses nobody listens, and no hash is made.
    const one = await attack(10_000, () => "victim", both)
    assert.isAtMost(one.get(4) ?? 0, 21) // one more is being checked when the 20th fails
    assert.strictEqual((one.get(3) ?? 0) + (one.get(4) ?? 0), 10_000)

    // A runtime takes what it needs for so many at once and keeps it: from here on it needs no more.
    const before = residentBytes()

    // Each with a client id of its own: hashes are made so many at a time, the rest is told to come again.
    const many = await attack(3_000, (index) => `bot-${index}`, async () => {
      serving = serving.then(serve)
      await serving
    })
    assert.strictEqual((many.get(3) ?? 0) + (many.get(4) ?? 0), 3_000)

    await attack(7_000, () => "victim", async () => {})
    assert.deepStrictEqual([served, cameIn], [13, 10])
    assert.strictEqual(await guess("victim", "right"), 3, "nobody is listened to with that client id yet")
    await (await connected("another")).disconnect()
    const after = residentBytes()
    if (before !== undefined && after !== undefined) {
      assert.isBelow(after - before, 64 * mebibyte, `${before} → ${after}`)
    }
    await witness.disconnect()
    assert.notInclude(broker?.errorOutput, "wrong-")
    assert.match(broker?.errorOutput ?? "", /not listened to for a while.*client_id=victim/)
  })
})
