// `authentication.takeover = "same_user"`: a client id belongs to the user whose session it is, now and after a restart.
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import type { Settings } from "../../src/config/Settings.ts"
import { DurableBroker } from "../support/durableBroker.ts"
import { type InnerBroker, startInnerBroker } from "../support/innerBroker.ts"

const byUser = (settings: Settings): Settings => ({
  ...settings,
  authentication: { ...settings.authentication, takeover: "same_user" }
})
const kept = { sessionExpiryInterval: 3600 }
const tell = (clientId: string) => `told/${clientId}`

describe("same_user", () => {
  let inner: InnerBroker
  beforeAll(async () => {
    inner = await startInnerBroker(byUser)
  })
  afterAll(() => inner.stop())

  const strangers: ReadonlyArray<readonly [what: string, username: string | undefined]> = [
    ["another user", "eve"],
    ["nobody", undefined],
    ["a user with an empty name", ""],
    ["a user whose name looks like it", "ann\u0301"]
  ]
  for (const [index, [what, username]] of strangers.entries()) {
    for (const clean of [true, false]) {
      it(`${what} with a ${clean ? "clean" : "kept"} session: 0x85, or 2, and the client that is there stays`, async () => {
        const clientId = `there${index}${clean}`
        const owner = await inner.connect(5, { clientId, username: "ann", clean: false, properties: kept })
        await owner.subscribe(tell(clientId))
        for (const [version, code] of [[5, 0x85], [4, 2]] as const) {
          const stranger = await inner.open(version)
          stranger.sendConnect({ clientId, clean, ...username === undefined ? {} : { username } })
          const connack = await stranger.receive("connack")
          assert.strictEqual(version === 5 ? connack.reasonCode : connack.returnCode, code)
          await stranger.expectClosed()
        }
        owner.send({ cmd: "publish", topic: tell(clientId), payload: "still here", qos: 0, dup: false, retain: false })
        await owner.receive("publish", { topic: tell(clientId) })
        await owner.disconnect()
        const back = await inner.connect(5, { clientId, username: "ann", clean: false })
        assert.isTrue(back.connack.sessionPresent)
        await back.disconnect()
      })
    }
  }

  it("the same user may, and who had no name may come back without one", async () => {
    for (const username of ["ann", undefined]) {
      const clientId = `same-${username ?? "none"}`
      const options = { clientId, clean: false, properties: kept, ...username === undefined ? {} : { username } }
      const first = await inner.connect(5, options)
      const second = await inner.connect(5, options)
      assert.isTrue(second.connack.sessionPresent)
      assert.strictEqual((await first.receive("disconnect")).reasonCode, 0x8e)
      await second.disconnect()
    }
  })

  it("a client id whose session is over is free", async () => {
    const first = await inner.connect(5, { clientId: "free", username: "ann" })
    await first.disconnect()
    const second = await inner.connect(5, { clientId: "free", username: "eve" })
    await second.disconnect()
  })

  it("of two that come at once the first has it", async () => {
    const [ann, eve] = [await inner.open(5), await inner.open(5)]
    ann.sendConnect({ clientId: "race", username: "ann" })
    eve.sendConnect({ clientId: "race", username: "eve" })
    const codes = [(await ann.receive("connack")).reasonCode, (await eve.receive("connack")).reasonCode]
    assert.deepStrictEqual(codes.toSorted(), [0, 0x85])
    assert.isAbove(inner.broker.counters.takeovers_refused_total, 0)
  })
})

describe("same_user, after a restart", () => {
  it("what is owed to a user is delivered to that user alone", async () => {
    const broker = new DurableBroker(byUser)
    await broker.start()
    const owner = await broker.connect(5, { clientId: "c", username: "ann", clean: false, properties: kept })
    await owner.subscribe("t", 1)
    await owner.disconnect()
    const other = await broker.connect(5, { clientId: "d" })
    await other.publish("t", "for ann", { qos: 1 })
    await broker.restart()
    for (const username of ["eve", undefined]) {
      const stranger = await broker.open(5)
      stranger.sendConnect({ clientId: "c", clean: false, ...username === undefined ? {} : { username } })
      assert.strictEqual((await stranger.receive("connack")).reasonCode, 0x85)
      await stranger.expectClosed()
    }
    const back = await broker.connect(5, { clientId: "c", username: "ann", clean: false, properties: kept })
    assert.isTrue(back.connack.sessionPresent)
    assert.strictEqual(String((await back.receive("publish", { topic: "t" })).payload), "for ann")
    await broker.stop()
  })
})

describe("anyone", () => {
  it("as the standard has it: who comes later has the client id", async () => {
    const inner = await startInnerBroker()
    const first = await inner.connect(5, { clientId: "c", username: "ann" })
    await inner.connect(5, { clientId: "c", username: "eve" })
    assert.strictEqual((await first.receive("disconnect")).reasonCode, 0x8e)
    await inner.stop()
  })
})
