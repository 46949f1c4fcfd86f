// The service of connected clients while strangers attack: nothing lost, everything answered. A broker of its own process and an attacker of
// its own; three seconds each, or EMQTTD_OVERLOAD_SECONDS (`make test-overload` takes 30). Latency is printed, not judged.
import { assert, describe, it } from "@effect/vitest"
import { type Conditions, type Measured, tlsListener, underAttack } from "../../scripts/overload/underAttack.ts"
import { certificates, opensslMissing } from "../support/certificates.ts"

const seconds = Number(process.env["EMQTTD_OVERLOAD_SECONDS"] ?? 3)
const timeout = seconds * 1000 + 60_000

const measured = async (conditions: Omit<Conditions, "seconds">): Promise<Measured> => {
  const result = await underAttack({ ...conditions, seconds })
  const { broken, lost, p50, p99, sent, unanswered } = result.service
  console.log(`${conditions.attack}: ${sent} messages, p50 ${p50} ms, p99 ${p99} ms`)
  assert.isAbove(sent, 0)
  assert.deepStrictEqual({ lost, unanswered, broken }, { lost: 0, unanswered: 0, broken: 0 })
  return result
}
const reached = ({ status }: Measured): ReadonlyArray<string> => status.overload.map(({ setting }) => setting)

describe("connected clients lose nothing", () => {
  it("while more clients than the limit try to connect, again and again", async () => {
    const flood = await measured({
      attack: "flood",
      connections: 100,
      settings: ["listeners.tcp.max_connections=200"]
    })
    assert.strictEqual(flood.attack?.accepted, 180) // and the twenty whose service is measured
    assert.deepStrictEqual(Object.keys(flood.attack?.refused ?? {}), ["0x97"])
    assert.isAtMost(flood.status.connections, 200 + 256)
    assert.deepStrictEqual(reached(flood), ["listeners.tcp.max_connections"])
    assert.isTrue(flood.status.health.ok)
  }, timeout)

  it("while 1,000 connections are opened and left silent, of which 500 have a place", async () => {
    const halfOpen = await measured({
      attack: "half-open",
      connections: 1_000,
      settings: ["connection.connect_timeout=1s", "overload.max_handshakes=500"]
    })
    assert.isAtLeast(halfOpen.attack?.closed ?? 0, 1_000)
    assert.strictEqual(halfOpen.attack?.accepted, 0)
    assert.isAtMost(halfOpen.status.handshakes, 500)
    assert.deepStrictEqual(reached(halfOpen), ["overload.max_handshakes"])
  }, timeout)

  it(
    "while 1,000 CONNECTs come a byte a second: each is closed after connect_timeout, though its bytes keep coming",
    async () => {
      const slowLoris = await measured({
        attack: "slow-loris",
        connections: 1_000,
        settings: ["connection.connect_timeout=1s"]
      })
      assert.isAtLeast(slowLoris.attack?.closed ?? 0, 1_000)
      assert.isAtMost(slowLoris.status.handshakes, 1_000)
    },
    timeout
  )

  it("while 1,000 TLS handshakes are begun and not gone on with", async (context) => {
    context.skip(opensslMissing !== undefined, opensslMissing)
    const halfOpen = await measured({
      attack: "half-open-tls",
      connections: 1_000,
      settings: [],
      file: tlsListener(certificates().file("server.crt"), certificates().file("server.key"))
    })
    assert.isAtLeast(halfOpen.attack?.closed ?? 0, 1_000)
    assert.strictEqual(halfOpen.status.connections, 20)
  }, timeout)
})
