// The rule source "http" under real clients: what waits for an answer, in which order things go on, and what is done without one.
import { Effect, Exit, Scope } from "effect"
import { afterEach, assert, describe, it } from "vitest"
import { type AuthHttpSettings, defaultSettings, type Settings } from "../../src/config/Settings.ts"
import { type Asked, TestServer } from "../access/http/TestServer.ts"
import { type InnerBroker, startInnerBroker } from "../support/innerBroker.ts"

let inner: InnerBroker | undefined
let scope = Scope.makeUnsafe()
afterEach(async () => {
  await inner?.stop()
  inner = undefined
  await Effect.runPromise(Scope.close(scope, Exit.void))
  scope = Scope.makeUnsafe()
})

const start = async (
  http: Partial<AuthHttpSettings> = {},
  authorization: Partial<Settings["authorization"]> = {}
): Promise<{ readonly broker: InnerBroker; readonly server: TestServer }> => {
  const server = await Effect.runPromise(Effect.provideService(TestServer.start(), Scope.Scope, scope))
  const broker = inner = await startInnerBroker((settings) => ({
    ...settings,
    auth_http: { ...defaultSettings.auth_http, aclReq: `${server.url}/acl`, breakerFailures: 0, ...http },
    authorization: {
      ...settings.authorization,
      sources: [{ type: "http", path: "" }],
      noMatch: "deny",
      ...authorization
    }
  }))
  return { broker, server }
}

/** "2 u a/b": access, user name, topic. */
const questions = (asked: ReadonlyArray<Asked>): ReadonlyArray<string> =>
  asked.map(({ url }) => {
    const query = new URL(url, "http://h").searchParams
    return `${query.get("access")} ${query.get("username")} ${query.get("topic")}`
  })
const topicOf = ({ url }: Asked): string => new URL(url, "http://h").searchParams.get("topic") ?? ""
const userOf = ({ url }: Asked): string => new URL(url, "http://h").searchParams.get("username") ?? ""
const gate = () => {
  let open = () => {}
  const opened = new Promise<void>((resolve) => open = resolve)
  return { open, opened }
}
const publishOf = (topic: string, qos: 0 | 1 | 2, messageId?: number) =>
  ({
    cmd: "publish",
    topic,
    payload: topic,
    qos,
    dup: false,
    retain: false,
    ...messageId === undefined ? {} : { messageId }
  }) as const

describe("access rules of an HTTP service", () => {
  it("a PUBLISH waits for its answer, and what comes after it waits behind it, in order", async () => {
    const { broker, server } = await start()
    const watcher = await broker.connect(5, { username: "w" })
    await watcher.subscribe("#", 1)
    const client = await broker.connect(5, { username: "u" })
    const { open, opened } = gate()
    server.reply = (asked) => topicOf(asked) === "slow" ? { after: opened } : {}
    client.send(
      publishOf("slow", 1, 1),
      publishOf("b", 1, 2),
      { cmd: "subscribe", messageId: 3, subscriptions: [{ topic: "c", qos: 0 }] },
      publishOf("slow", 1, 4),
      { cmd: "pingreq" }
    )
    await Effect.runPromise(server.askedTimes(2))
    await watcher.expectNothing()
    assert.deepStrictEqual(questions(server.asked), ["1 w #", "2 u slow"])
    open()
    await client.receive("puback", { messageId: 1 })
    await client.receive("puback", { messageId: 2 })
    await client.receive("suback", { messageId: 3 })
    await client.receive("puback", { messageId: 4 })
    await client.receive("pingresp")
    for (const topic of ["slow", "b", "slow"]) await watcher.receive("publish", { topic })
    // The answer for "slow" is kept.
    assert.deepStrictEqual(questions(server.asked), ["1 w #", "2 u slow", "2 u b", "1 u c"])
    assert.strictEqual(broker.broker.counters.messages_received_qos1_total, 3)
    assert.strictEqual(broker.broker.counters.rule_answers_awaited_total, 4)
  })

  it("denied: 0x87, each filter for itself; QoS and RETAIN are asked for; a QoS 2 duplicate is not asked about", async () => {
    const { broker, server } = await start(
      { aclReqParams: "access=%A,username=%u,topic=%t,qos=%q,retain=%r,addr=%a" },
      { cacheTtlMillis: 0 }
    )
    server.reply = (asked) => ({ status: topicOf(asked).startsWith("no") ? 403 : 200 })
    const client = await broker.connect(5, { username: "u" })
    client.send({
      cmd: "subscribe",
      messageId: 1,
      subscriptions: ["no/a", "yes/a", "no/b", "$share/g/no", "yes/b"].map((topic) => ({ topic, qos: 1 as const }))
    })
    assert.deepStrictEqual((await client.receive("suback")).granted.map(Number), [0x87, 1, 0x87, 0x87, 1])
    assert.deepStrictEqual(questions(server.asked).toSorted(), [
      "1 u no",
      "1 u no/a",
      "1 u no/b",
      "1 u yes/a",
      "1 u yes/b"
    ])
    client.send(publishOf("no", 1, 2))
    await client.receiveBytes("40 03 00 02 87")
    client.send(publishOf("no", 2, 3))
    await client.receiveBytes("50 03 00 03 87")
    client.send({ ...publishOf("yes", 2, 4), retain: true })
    await client.receive("pubrec", { messageId: 4 })
    const asked = server.asked.length
    assert.include(server.asked.at(-1)?.url ?? "", "topic=yes&qos=2&retain=true&addr=127.0.0.1")
    client.send({ ...publishOf("yes", 2, 4), retain: true, dup: true })
    await client.receive("pubrec", { messageId: 4 })
    assert.strictEqual(server.asked.length, asked)
    assert.strictEqual(broker.broker.counters.messages_duplicate_total, 1)
  })

  it("a topic alias that is set by a PUBLISH that waits is set once", async () => {
    const { broker, server } = await start()
    const client = await broker.connect(5, { username: "u" })
    client.send({ ...publishOf("t", 1, 1), properties: { topicAlias: 1 } }, {
      ...publishOf("", 1, 2),
      properties: { topicAlias: 1 }
    })
    await client.receive("puback", { messageId: 1 })
    await client.receive("puback", { messageId: 2 })
    assert.deepStrictEqual(questions(server.asked), ["2 u t"])
  })

  it("no answer: denied by default and not remembered; ignore leaves it to the next source", async () => {
    for (const [aclOnFailure, code] of [["deny", "40 03 00 01 87"], ["ignore", "40 03 00 01 10"]] as const) {
      const { broker, server } = await start({ aclOnFailure }, { noMatch: "allow" })
      const client = await broker.connect(5, { username: "u" })
      server.reply = () => ({ status: 500 })
      client.send(publishOf("t", 1, 1))
      await client.receiveBytes(code)
      client.send(publishOf("t", 1, 1))
      await client.receiveBytes(code)
      assert.strictEqual(server.asked.length, 2)
      server.reply = () => ({ type: "application/json", body: `{"result":"allow"}` })
      client.send(publishOf("t", 1, 1))
      await client.receiveBytes("40 03 00 01 10")
      server.reply = () => ({ status: 500 })
      client.send(publishOf("t", 1, 1))
      await client.receiveBytes("40 03 00 01 10")
      assert.strictEqual(server.asked.length, 3)
      await broker.stop()
    }
  })

  it("a client that sends and goes: what it sent counts once the answer is there; one that is cut off is asked about no more", async () => {
    const { broker, server } = await start()
    const watcher = await broker.connect(5, { username: "w" })
    await watcher.subscribe("#")
    const { open, opened } = gate()
    server.reply = () => ({ after: opened })
    const client = await broker.connect(4, { username: "u", clientId: "goes" })
    client.send(publishOf("last", 0), publishOf("more", 0), { cmd: "disconnect" })
    await Effect.runPromise(server.askedTimes(2))
    const other = await broker.connect(5, { username: "u", clientId: "cut" })
    const many = Array.from({ length: 100 }, (_, index) => ({ topic: `never/${index}`, qos: 0 as const }))
    other.send({ cmd: "subscribe", messageId: 1, subscriptions: many })
    await Effect.runPromise(server.askedTimes(6))
    const again = await broker.connect(5, { username: "u", clientId: "cut" })
    assert.strictEqual((await other.receive("disconnect")).reasonCode, 0x8e)
    open()
    await watcher.receive("publish", { topic: "last" })
    await watcher.receive("publish", { topic: "more" })
    await again.publish("other", "", { qos: 1 })
    await watcher.receive("publish", { topic: "other" })
    // Of the hundred filters four were under way.
    assert.strictEqual(server.asked.filter((asked) => topicOf(asked).startsWith("never/")).length, 4)
    await watcher.expectNothing()
  })

  it("a reload empties what is kept", async () => {
    const { broker, server } = await start()
    const client = await broker.connect(5, { username: "u" })
    await client.publish("t", "", { qos: 1 })
    await client.publish("t", "", { qos: 1 })
    assert.strictEqual(server.asked.length, 1)
    await Effect.runPromise(broker.broker.reloadRules())
    server.reply = () => ({ status: 403 })
    client.send(publishOf("t", 1, 1))
    await client.receiveBytes("40 03 00 01 87")
  })

  it("a reload asks about the subscriptions of who is there: denied ones go, what is not answered stays", async () => {
    const { broker, server } = await start()
    const client = await broker.connect(5, { username: "u", clientId: "s" })
    for (const topic of ["a", "b"]) await client.subscribe(topic)
    const filters = () => [...broker.session("s").subscriptions?.topicFilters() ?? []]
    server.reply = (question) => ({ status: topicOf(question) === "a" ? 503 : 200 })
    const asked = server.asked.length
    await Effect.runPromise(broker.broker.reloadRules())
    await Effect.runPromise(server.askedTimes(asked + 2))
    while (!broker.lines.some((line) => line.includes("no answer"))) {
      await new Promise((resolve) => setImmediate(resolve))
    }
    await client.ping()
    assert.deepStrictEqual(filters(), ["a", "b"])
    server.reply = (question) => ({ status: topicOf(question) === "a" ? 403 : 200 })
    await Effect.runPromise(broker.broker.reloadRules())
    while (filters().length > 1) await new Promise((resolve) => setImmediate(resolve))
    assert.deepStrictEqual(filters(), ["b"])
  })

  it("a will is asked about when it is published", async () => {
    const { broker, server } = await start()
    const watcher = await broker.connect(5, { username: "w" })
    await watcher.subscribe("will/#")
    const asked = server.asked.length
    const leave = async (topic: string) => {
      const client = await broker.connect(4, {
        username: "u",
        will: { topic, payload: Buffer.from("x"), qos: 0, retain: false }
      })
      client.drop()
    }
    server.reply = (question) => ({ status: topicOf(question) === "will/no" ? 403 : 200 })
    await leave("will/no")
    await Effect.runPromise(server.askedTimes(asked + 1))
    await leave("will/yes")
    await watcher.receive("publish", { topic: "will/yes" })
    assert.deepStrictEqual(questions(server.asked.slice(asked)), ["2 u will/no", "2 u will/yes"])
    await watcher.expectNothing()
    const { wills_denied_total, wills_published_total } = broker.broker.counters
    assert.deepStrictEqual([wills_denied_total, wills_published_total], [1, 1])
  })

  it("the subscriptions of a session that is taken up are asked about for who comes back, before CONNACK", async () => {
    const { broker, server } = await start()
    const properties = { sessionExpiryInterval: 100 }
    const first = await broker.connect(5, { username: "u", clientId: "s", clean: false, properties })
    for (const topic of ["a", "b"]) await first.subscribe(topic, 1)
    await first.disconnect()
    const { open, opened } = gate()
    server.reply = (question) => ({
      after: opened,
      status: userOf(question) === "v" && topicOf(question) === "a" ? 403 : 200
    })
    const asked = server.asked.length
    const connecting = async (username: string) => {
      const client = await broker.open(5)
      client.sendConnect({ clientId: "s", clean: false, username, properties })
      return client
    }
    const second = await connecting("v")
    await Effect.runPromise(server.askedTimes(asked + 2))
    assert.isFalse(broker.session("s").connected)
    const third = await connecting("v")
    await Effect.runPromise(server.askedTimes(asked + 4))
    open()
    // Of two that wait the later one is served.
    assert.notStrictEqual((await second.receive("connack")).reasonCode, 0)
    assert.isTrue((await third.receive("connack", { reasonCode: 0 })).sessionPresent)
    assert.deepStrictEqual([...broker.session("s").subscriptions?.topicFilters() ?? []], ["b"])
    await third.ping()
  })
})
