// Members by DNS: what is asked, what is told of the answers, against a name server of the test.
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { createSocket } from "node:dgram"
import { getServers, setServers } from "node:dns/promises"
import { discover, discovering } from "../../src/cluster/discovery.ts"
import { EventLog } from "../../src/metrics/EventLog.ts"

describe("discovery", () => {
  it.effect("tells what DNS names that it did not before, and what it names no more; no answer changes nothing", () =>
    Effect.gen(function* () {
      const answers: Array<ReadonlyArray<string> | string> = [["a", "b"], "SERVFAIL", "SERVFAIL", ["b", "c"], [
        "b",
        "c"
      ], []]
      const told: Array<string> = []
      const logged: Array<string> = []
      const log = new EventLog((_, message, fields) => void logged.push(`${message} ${fields["reason"]}`), () => 0, 1)
      const ask = () => {
        const answer = answers.shift() ?? []
        return typeof answer === "string"
          ? Effect.fail(answer)
          : Effect.succeed(answer.map((host) => ({ host, port: 4370 })))
      }
      const names = (list: ReadonlyArray<{ readonly host: string }>) => list.map(({ host }) => host).join()
      yield* Effect.forkChild(
        discovering("x", 1_000, log, ({ added, gone }) => void told.push(`+${names(added)} -${names(gone)}`), ask)
      )
      yield* TestClock.adjust(5_500)
      assert.deepStrictEqual(told, ["+a,b -", "+c -a", "+ -b,c"])
      assert.deepStrictEqual(logged, ["cluster: discovery has no answer, asked on SERVFAIL"])
    }))

  it("asks DNS: the addresses of a name, the targets and ports of a service, and says what went wrong", async () => {
    assert.deepStrictEqual(await Effect.runPromise(discover("localhost:4371")), [{ host: "127.0.0.1", port: 4371 }])
    const before = getServers()
    const server = createSocket("udp4", (query, from) => server.send(answerTo(query), from.port, from.address))
    await new Promise<void>((resolve) => server.bind(0, "127.0.0.1", resolve))
    setServers([`127.0.0.1:${server.address().port}`])
    assert.deepStrictEqual(await Effect.runPromise(discover("_emqttd._tcp.example.org")), [
      { host: "n1.example.org", port: 4370 },
      { host: "n2.example.org", port: 4371 }
    ])
    assert.match(await Effect.runPromise(Effect.flip(discover("_none._tcp.example.org"))), /ENOTFOUND|ENODATA/)
    setServers(before)
    server.close()
  })
})

/** Two SRV records for one name, NXDOMAIN for every other. */
const answerTo = (query: Buffer): Buffer => {
  const question = query.subarray(12, query.indexOf(0, 12) + 5)
  const isKnown = question.includes("_emqttd")
  const records = isKnown ? [srv("n1", 4370), srv("n2", 4371)] : []
  const head = Buffer.alloc(12)
  query.copy(head, 0, 0, 2)
  head.writeUInt16BE(isKnown ? 0x8180 : 0x8183, 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt16BE(records.length, 6)
  return Buffer.concat([head, question, ...records])
}

const srv = (host: string, port: number): Buffer => {
  const labels = [host, "example", "org", ""].map((label) =>
    Buffer.from(`${String.fromCharCode(label.length)}${label}`)
  )
  const target = Buffer.concat(labels)
  const record = Buffer.alloc(18)
  record.writeUInt16BE(0xc00c, 0)
  record.writeUInt16BE(33, 2)
  record.writeUInt16BE(1, 4)
  record.writeUInt16BE(6 + target.length, 10)
  record.writeUInt16BE(port, 16)
  return Buffer.concat([record, target])
}
