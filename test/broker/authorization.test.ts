import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { defaultSettings, type Settings } from "../../src/config/Settings.ts"
import { type InnerBroker, startInnerBroker } from "../support/innerBroker.ts"

const rules = `{allow, {user, "admin"}, pubsub, ["#"]}.
{deny, all, publish, ["locked/#", "$x/#"]}.
{deny, all, subscribe, ["secret/#", {eq, "#"}]}.
{allow, all, pubsub, ["own/%c/#", "open/#", "will/%c"]}.
{deny, all, pubsub, ["own/#", "will/#"]}.
`

const directory = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-rules-"))
const file = path.join(directory, "acl.config")
afterAll(() => fs.rmSync(directory, { recursive: true, force: true }))

const startWith = (text: string, change: Partial<Settings["authorization"]> = {}): Promise<InnerBroker> => {
  fs.writeFileSync(file, text)
  return startInnerBroker((settings) => ({
    ...settings,
    log: { ...settings.log, level: "warning" },
    authorization: { ...settings.authorization, sources: [{ type: "acl_config", path: file }], ...change }
  }))
}

const admin = { username: "admin" }

describe("access rules", () => {
  let broker: InnerBroker
  beforeAll(async () => {
    broker = await startWith(rules)
  })
  afterAll(() => broker.stop())

  const denials = () => {
    const { messages_denied_total, subscriptions_denied_total, wills_denied_total } = broker.broker.counters
    return [messages_denied_total, subscriptions_denied_total, wills_denied_total]
  }

  it("MQTT 5: a denied PUBLISH is told with QoS 1 and 2 (0x87), with QoS 0 it is dropped; nobody gets it, nothing is retained", async () => {
    const watcher = await broker.connect(5, admin)
    await watcher.subscribe("locked/#", 2)
    const client = await broker.connect(5, { username: "bob" })
    const [before = 0] = denials()
    client.send({ cmd: "publish", topic: "locked/a", payload: "0", qos: 0, dup: false, retain: true })
    client.send({ cmd: "publish", topic: "locked/a", payload: "1", qos: 1, messageId: 1, dup: false, retain: true })
    await client.receiveBytes("40 03 00 01 87")
    client.send({ cmd: "publish", topic: "locked/a", payload: "2", qos: 2, messageId: 2, dup: false, retain: true })
    await client.receiveBytes("50 03 00 02 87")
    // The identifier is free, and what is allowed goes on.
    await client.publish("open/a", "x", { qos: 2, messageId: 2 })
    await watcher.expectNothing()
    const late = await broker.connect(5, admin)
    await late.subscribe("locked/#")
    await late.expectNothing()
    expect(denials()[0]).toBe(before + 3)
    expect(broker.lines.join("\n")).toContain(
      `message denied {"client_id":"${client.clientId}","user_name":"bob","topic":"locked/a","by":"${file}:2"}`
    )
  })

  it.each([3, 4] as const)("MQTT level %i: an ordinary acknowledgement, and nobody gets it", async (version) => {
    const watcher = await broker.connect(version, admin)
    await watcher.subscribe("locked/#", 2)
    const client = await broker.connect(version)
    for (const qos of [0, 1, 2] as const) await client.publish("locked/a", "x", { qos, retain: true })
    await client.ping()
    await watcher.expectNothing()
    expect(broker.broker.services.retainer.count).toBe(0)
  })

  it("an alias stands for its topic", async () => {
    const client = await broker.connect(5)
    await client.publish("open/a", "x", { qos: 1, properties: { topicAlias: 1 } })
    client.send({
      cmd: "publish",
      topic: "locked/a",
      payload: "x",
      qos: 1,
      messageId: 7,
      dup: false,
      retain: false,
      properties: { topicAlias: 1 }
    })
    await client.receiveBytes("40 03 00 07 87")
    client.send({
      cmd: "publish",
      topic: "",
      payload: "x",
      qos: 1,
      messageId: 8,
      dup: false,
      retain: false,
      properties: { topicAlias: 1 }
    })
    await client.receiveBytes("40 03 00 08 87")
  })

  const around = [
    "secret/a",
    "secret/#",
    "#",
    "+/#",
    "+/+",
    "secret/+/b",
    "$share/g/#",
    "$share/g/secret/a",
    "$queue/#",
    "$queue/secret/#",
    "$local/#",
    "$local/secret/a",
    "$local/$share/g/+/a"
  ]

  it.each([3, 4, 5] as const)(
    "MQTT level %i: a denied filter gets its own code, its neighbours theirs, and no way leads around",
    async (version) => {
      const client = await broker.connect(version)
      const [, before = 0] = denials()
      client.send({
        cmd: "subscribe",
        messageId: 1,
        subscriptions: [{ topic: "open/a", qos: 1 }, ...around.map((topic) => ({ topic, qos: 2 as const })), {
          topic: "open/b",
          qos: 2
        }]
      })
      const refused = version === 5 ? 0x87 : 0x80
      await client.receive("suback", { messageId: 1, granted: [1, ...around.map(() => refused), 2] })
      expect(denials()[1]).toBe(before + around.length)
      const publisher = await broker.connect(5, admin)
      await publisher.publish("secret/a", "hidden", { qos: 1, retain: true })
      await client.expectNothing()
      await publisher.publish("open/b", "shown")
      await client.receive("publish", { topic: "open/b", payload: "shown" })
      await publisher.publish("secret/a", "", { retain: true })
    }
  )

  it("%c is the client's own id, and no wildcard", async () => {
    for (const clientId of ["+", "#", "x/y", "$x"]) {
      const client = await broker.connect(5, { clientId })
      for (const topic of ["own/#", "own/+/#", "own/other/a", `own/${clientId}/#`]) {
        const expected = clientId === "$x" && topic === "own/$x/#" ? 0 : topic === "own/#/#" ? 0x8f : 0x87
        expect(await client.subscribe(topic), `${clientId} ${topic}`).toBe(expected)
      }
    }
    const client = await broker.connect(5)
    expect(await client.subscribe(`own/${client.clientId}/#`)).toBe(0)
    expect(await client.subscribe("own/other/#")).toBe(0x87)
  })

  it.each([4, 5] as const)(
    "MQTT level %i: a session that somebody else resumes brings nothing that is denied to the newcomer",
    async (version) => {
      const clientId = `resumed${version}`
      const kept = version === 5 ? { properties: { sessionExpiryInterval: 60 } } : {}
      const owner = await broker.connect(version, { ...admin, clientId, clean: false, ...kept })
      await owner.subscribe("secret/x")
      await owner.subscribe("open/x")
      await owner.disconnect()
      const thief = await broker.connect(version, { clientId, clean: false, ...kept })
      expect(thief.connack.sessionPresent).toBe(true)
      const publisher = await broker.connect(5, admin)
      await publisher.publish("secret/x", "hidden")
      await publisher.publish("open/x", "shown")
      await thief.receive("publish", { topic: "open/x" })
      expect(broker.session(clientId).subscriptions?.topicFilters()).toEqual(["open/x"])
      await thief.disconnect()
      const back = await broker.connect(version, { ...admin, clientId, clean: false, ...kept })
      await back.expectNothing()
    }
  )

  it("a will is judged when it takes effect", async () => {
    const watcher = await broker.connect(5, admin)
    await watcher.subscribe("will/#")
    await watcher.subscribe("open/end")
    const [, , before = 0] = denials()
    const will = (topic: string) => ({ will: { topic, payload: "gone", qos: 0 as const, retain: true } })
    const bad = await broker.connect(5, { clientId: "w1", ...will("will/other") })
    const good = await broker.connect(4, { clientId: "w2", ...will("will/w2") })
    bad.send("00 00")
    await bad.receive("disconnect")
    good.send("00 00")
    await watcher.receive("publish", { topic: "will/w2", payload: "gone" })
    await watcher.expectNothing()
    expect(denials()[2]).toBe(before + 1)
    expect(broker.broker.services.retainer.count).toBe(1)
  })
})

describe('authorization.deny_action = "disconnect"', () => {
  let broker: InnerBroker
  beforeAll(async () => {
    broker = await startWith(rules, { denyAction: "disconnect" })
  })
  afterAll(() => broker.stop())

  it.each([0, 1, 2] as const)("QoS %i: the connection ends, MQTT 5 is told 0x87", async (qos) => {
    for (const version of [4, 5] as const) {
      const client = await broker.connect(version)
      client.send({ cmd: "publish", topic: "locked/a", payload: "x", qos, messageId: 1, dup: false, retain: false })
      await client.expectRefused(0x87)
    }
  })
})

describe("Broker.reloadRules", () => {
  it("the new rules hold from the next packet on, for remembered topics too; with a fault the old ones stay", async () => {
    const broker = await startWith(`{allow, all}.\n`)
    const client = await broker.connect(5)
    await client.publish("a", "x", { qos: 0 })
    client.send({ cmd: "publish", topic: "a", payload: "x", qos: 1, messageId: 1, dup: false, retain: false })
    await client.receive("puback", { reasonCode: 0x10 })
    fs.writeFileSync(file, `{deny, all, publish, ["a"]}.\n`)
    await Effect.runPromise(broker.broker.reloadRules())
    client.send({ cmd: "publish", topic: "a", payload: "x", qos: 1, messageId: 2, dup: false, retain: false })
    await client.receive("puback", { reasonCode: 0x87 })
    fs.writeFileSync(file, `{allow, al}.\n`)
    const failure = await Effect.runPromise(Effect.flip(broker.broker.reloadRules()))
    expect(failure.faults).toHaveLength(1)
    client.send({ cmd: "publish", topic: "a", payload: "x", qos: 1, messageId: 3, dup: false, retain: false })
    await client.receive("puback", { reasonCode: 0x87 })
    await broker.stop()
  })

  it("Broker.reload takes them from where the new settings say; a fault is told and changes nothing", async () => {
    const broker = await startWith(`{deny, all, publish, ["a"]}.\n`)
    const client = await broker.connect(5)
    const published = async (reasonCode: number) => {
      const messageId = client.nextPacketIdentifier()
      client.send({ cmd: "publish", topic: "a", payload: "x", qos: 1, messageId, dup: false, retain: false })
      await client.receive("puback", { reasonCode })
    }
    await published(0x87)
    const { settings } = broker.broker.services
    const reloadFrom = (sources: Settings["authorization"]["sources"]) =>
      Effect.runPromise(broker.broker.reload({ ...settings, authorization: { ...settings.authorization, sources } }))
    await reloadFrom([])
    await published(0x10)
    await reloadFrom([{ type: "mosquitto", path: path.join(directory, "none") }])
    await published(0x10)
    expect(broker.lines.join("\n")).toContain("no such file (authorization.sources)")
    await reloadFrom(settings.authorization.sources)
    await published(0x87)
    await broker.stop()
  })

  it("a broker whose rules have faults does not start", async () => {
    await expect(startWith("{allow, al}.\n{deny}.\n")).rejects.toThrow(`${file}:1: expected`)
    expect(defaultSettings.authorization.sources).toEqual([{ type: "default", path: "" }])
  })
})
