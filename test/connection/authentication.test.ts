// What an answer of the authentication chain comes to on the wire, and what happens while it is awaited.
import { Deferred, Effect } from "effect"
import { afterAll, assert, beforeAll, beforeEach, describe, it } from "vitest"
import { Authentication } from "../../src/access/authentication/Authentication.ts"
import { type Answer, type AuthLink, type Credentials } from "../../src/access/authentication/AuthLink.ts"
import { FailureGuard } from "../../src/access/authentication/FailureGuard.ts"
import { parsePasswordFile } from "../../src/access/authentication/parsePasswordFile.ts"
import { passwordFileLink } from "../../src/access/authentication/passwordFileLink.ts"
import { PasswordChecks } from "../../src/access/authentication/passwords/PasswordChecks.ts"
import { parseAclConfig } from "../../src/access/rules/parseAclConfig.ts"
import { defaultListener, defaultSettings } from "../../src/config/Settings.ts"
import { type InnerBroker, startInnerBroker } from "../support/innerBroker.ts"
import { wireSettings } from "../support/Wire.ts"

let inner: InnerBroker
let asked: Array<Credentials> = []
let serial = 0
const id = (): string => `auth${++serial}`

beforeAll(async () => {
  inner = await startInnerBroker((settings) => ({
    ...settings,
    listeners: [{ ...defaultListener, ...wireSettings(), address: "127.0.0.1", port: 0, mountpoint: "" }]
  }))
})
afterAll(() => inner.stop())
beforeEach(() => {
  asked = []
})

/** From here on every client is answered so. */
const answer = (check: AuthLink["check"], stillAllows: AuthLink["stillAllows"] = () => true): Authentication => {
  const { counters, log } = inner.broker.services
  const link: AuthLink = {
    name: "test",
    cacheable: false,
    check: (credentials) => {
      asked.push(credentials)
      return check(credentials)
    },
    stillAllows
  }
  return inner.broker.services.authentication.chain = new Authentication([link], {
    ...defaultSettings.authentication,
    nobodyKnows: () => "nobody",
    guard: new FailureGuard(defaultSettings.authentication),
    now: () => inner.broker.services.scheduler.now,
    counters,
    log,
    fork: (effect) => {
      const fiber = Effect.runFork(effect)
      return () => fiber.interruptUnsafe()
    }
  })
}
const allowed = (change: object = {}): Answer => ({ _tag: "Allow", superuser: false, ...change })

describe("an answer that takes time", () => {
  it("of a chain that a reload has replaced meanwhile counts for who would be let in now alone", async () => {
    for (const stays of [false, true]) {
      asked = []
      const gate = Deferred.makeUnsafe<Answer>()
      answer(() => Deferred.await(gate))
      const client = await inner.open(5)
      client.sendConnect({ clientId: id(), username: "ann" })
      while (asked.length === 0) await new Promise((resolve) => setImmediate(resolve))
      answer(() => allowed(), ({ userName }) => stays && userName === "ann")
      Deferred.doneUnsafe(gate, Effect.succeed(allowed()))
      if (stays) assert.strictEqual((await client.receive("connack")).reasonCode, 0)
      else await client.expectConnectRefused(0x87)
    }
  })

  it("nothing is handled before it; then frames go on in their order", async () => {
    const gate = Deferred.makeUnsafe<Answer>()
    answer(() => Deferred.await(gate))
    const clientId = id()
    const client = await inner.open(5)
    client.sendConnect({ clientId })
    client.send({ cmd: "subscribe", messageId: 7, subscriptions: [{ topic: `${clientId}/#`, qos: 0 }] })
    client.send({ cmd: "publish", topic: `${clientId}/a`, payload: "x", qos: 0, dup: false, retain: false })
    while (asked.length === 0) await new Promise((resolve) => setImmediate(resolve))
    assert.strictEqual(inner.broker.sessions.get(clientId), undefined)
    Effect.runSync(Deferred.succeed(gate, allowed()))
    assert.strictEqual((await client.receive("connack")).reasonCode, 0)
    assert.strictEqual((await client.receive("suback")).messageId, 7)
    await client.receive("publish", { topic: `${clientId}/a` })
    await client.disconnect()
  })

  it("a client that goes meanwhile is forgotten: no session, nobody waits", async () => {
    const chain = answer(() => Effect.never)
    const clientId = id()
    const client = await inner.open(5)
    client.sendConnect({ clientId })
    while (chain.awaited === 0) await new Promise((resolve) => setImmediate(resolve))
    client.drop()
    while (chain.awaited > 0) await new Promise((resolve) => setImmediate(resolve))
    assert.strictEqual(inner.broker.sessions.get(clientId), undefined)
  })

  it("what a denial comes to: 0x86, 0x87, 0x88 and 0x89; to 3.x 4, 5 and 3", async () => {
    for (const [reasonCode, returnCode] of [[0x86, 4], [0x87, 5], [0x88, 3], [0x89, 3]] as const) {
      for (const version of [3, 4, 5] as const) {
        answer(() => Effect.succeed({ _tag: "Deny", reasonCode, reason: "so" }))
        const client = await inner.open(version)
        client.sendConnect({ clientId: id() })
        const connack = await client.receive("connack")
        assert.strictEqual(
          version === 5 ? connack.reasonCode : connack.returnCode,
          version === 5 ? reasonCode : returnCode
        )
        await client.expectClosed()
      }
    }
  })
})

describe("what a refused client learns", () => {
  it("nothing of names, links and settings: an unknown user and a wrong password get the same bytes", async () => {
    const { counters } = inner.broker.services
    const { users } = parsePasswordFile(
      "ann:$6$yLN5QWLwOmn7F8Qs$6TXEDD12vKI7Z3dY2erCbsS2GFNRofrHEKQuwXEeU701sYKtVtyaGUDTeGw9j2l6SdqgNEgvI+GwZATUKTxZnA==\n"
    )
    const passwords = new PasswordChecks(defaultSettings.authentication, counters)
    answer(passwordFileLink("password_file", users, passwords).check)
    const frames: Array<string> = []
    for (const username of ["ann", "eve"]) {
      const client = await inner.open(5)
      client.sendConnect({ clientId: id(), username, password: Buffer.from("guess") })
      frames.push((await client.nextFrame()).toString("hex"))
      await client.expectClosed()
    }
    assert.strictEqual(frames[0], frames[1])
    assert.include(Buffer.from(frames[0] ?? "", "hex").toString("latin1"), "Bad User Name Or Password")
  })
})

describe("what a link says of a client holds", () => {
  it("its credentials are what the client and the door say", async () => {
    answer(() => allowed())
    const clientId = id()
    const client = await inner.connect(5, { clientId, username: "ann", password: Buffer.from("secret") })
    const [who] = asked
    assert.strictEqual(who?.clientId, clientId)
    assert.strictEqual(who?.userName, "ann")
    assert.strictEqual(new TextDecoder().decode(who?.password), "secret")
    assert.strictEqual(who?.address, "127.0.0.1")
    assert.strictEqual(who?.listener, "tcp")
    assert.strictEqual(who?.protocolVersion, 5)
    await client.disconnect()
  })

  it("another client id and user name, and superuser", async () => {
    const clientId = id()
    answer(() => allowed({ clientId, userName: "real", superuser: true }))
    const client = await inner.connect(5, { clientId: id(), username: "said" })
    assert.deepInclude(inner.connection(clientId).subject, { clientId, userName: "real", superuser: true })
    await client.disconnect()
  })

  it("rules of its own go before all others", async () => {
    const clientId = id()
    const { rules } = parseAclConfig("claims", `{deny, all, publish, ["${clientId}/no"]}.`)
    answer(() => allowed({ rules }))
    const client = await inner.connect(5, { clientId })
    client.send({
      cmd: "publish",
      topic: `${clientId}/no`,
      payload: "x",
      qos: 1,
      messageId: 1,
      dup: false,
      retain: false
    })
    assert.strictEqual((await client.receive("puback")).reasonCode, 0x87)
    client.send({
      cmd: "publish",
      topic: `${clientId}/x`,
      payload: "x",
      qos: 1,
      messageId: 2,
      dup: false,
      retain: false
    })
    assert.strictEqual((await client.receive("puback")).reasonCode, 0x10)
    await client.disconnect()
  })

  it("until when: then 0xA0 and closed", async () => {
    answer(() => allowed({ expiresAt: inner.broker.services.scheduler.refresh() + 200 }))
    const client = await inner.connect(5, { keepalive: 0 })
    assert.strictEqual((await client.receive("disconnect")).reasonCode, 0xa0)
    await client.expectClosed()
  })

  it("a client id that no session could have is refused", async () => {
    answer(() => allowed({ clientId: "" }))
    const client = await inner.open(5)
    client.sendConnect({ clientId: id() })
    assert.strictEqual((await client.receive("connack")).reasonCode, 0x85)
  })
})
