// What a reload means for who is connected: subscriptions that are denied now, clients that are not allowed any more, what a session is
// owed from before; and nothing for anybody else. Wills are judged when they take effect, for whom they are, after a restart too.
import { afterAll, afterEach, assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { formatPasswordHash } from "../../src/access/authentication/passwords/PasswordHash.ts"
import { hashPassword } from "../../src/access/authentication/passwords/verifyPassword.ts"
import { makeUser } from "../../src/access/users/makeUser.ts"
import type { Settings } from "../../src/config/Settings.ts"
import { DurableBroker } from "../support/durableBroker.ts"
import { type InnerBroker, startInnerBroker } from "../support/innerBroker.ts"
import type { TestClient } from "../support/TestClient.ts"

const directory = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-reload-"))
const file = path.join(directory, "acl.config")
afterAll(() => fs.rmSync(directory, { recursive: true, force: true }))

let inner: InnerBroker | undefined
let durable: DurableBroker | undefined
afterEach(async () => {
  await inner?.stop()
  await durable?.stop()
  inner = durable = undefined
})

type Change = (settings: Settings) => Settings
const withRules = (settings: Settings): Settings => ({
  ...settings,
  log: { ...settings.log, level: "info" },
  authorization: { ...settings.authorization, sources: [{ type: "acl_config", path: file }] }
})
const start = async (rules: string, change: Change = (same) => same): Promise<InnerBroker> => {
  fs.writeFileSync(file, rules)
  return inner = await startInnerBroker((settings) => change(withRules(settings)))
}
const reload = (broker: InnerBroker, rules: string, change: Change = (same) => same) => {
  fs.writeFileSync(file, rules)
  return Effect.runPromise(broker.broker.reload(change(broker.broker.services.settings)))
}

const all = "{allow, all}.\n"
const noSecrets = `{deny, all, subscribe, ["secret/#"]}.\n${all}`
const kept = (clientId: string) => ({ clientId, clean: false, properties: { sessionExpiryInterval: 60 } })
const filters = (broker: InnerBroker, clientId: string) => broker.session(clientId).subscriptions?.topicFilters()

/** It is there, and so is what was sent to it before. */
const settle = (...clients: ReadonlyArray<TestClient>) => Promise.all(clients.map((client) => client.ping()))

describe("a reload of the rules", () => {
  it.each([4, 5] as const)(
    "MQTT level %i: takes the subscriptions that are denied now, shared ones too, and leaves the others and the connection",
    async (version) => {
      const broker = await start(all)
      const client = await broker.connect(version, { clientId: "c" })
      const other = await broker.connect(version, { clientId: "d" })
      for (const filter of ["secret/a", "$share/g/secret/#", "+/a", "open/#"]) await client.subscribe(filter, 1)
      await other.subscribe("open/#")
      await reload(broker, noSecrets)
      await settle(client, other)
      assert.deepStrictEqual(filters(broker, "c"), ["open/#"])
      assert.deepStrictEqual(filters(broker, "d"), ["open/#"])
      const publisher = await broker.connect(version)
      await publisher.publish("secret/a", "hidden", { qos: 1 })
      await publisher.publish("open/a", "shown")
      for (const one of [client, other]) {
        await one.receive("publish", { topic: "open/a", payload: "shown" })
        await one.expectNothing()
      }
      const lines = broker.lines.filter((line) => line.startsWith("subscription removed: denied now"))
      assert.lengthOf(lines, 3)
      assert.include(lines[0], `"by":"${file}:1","why":"the rules have changed"`)
    }
  )

  it('when_revoked = "disconnect": who loses a subscription loses its connection, 0x87; the others stay', async () => {
    const broker = await start(all, (settings) => ({
      ...settings,
      authorization: { ...settings.authorization, whenRevoked: "disconnect" }
    }))
    const client = await broker.connect(5, kept("c"))
    const other = await broker.connect(5)
    await client.subscribe("secret/a")
    await other.subscribe("open/a")
    await reload(broker, noSecrets)
    await client.expectRefused(0x87)
    await other.ping()
    const back = await broker.connect(5, kept("c"))
    assert.isTrue(back.connack.sessionPresent)
    assert.deepStrictEqual(filters(broker, "c"), [])
  })

  it("a rule that the node keeps takes what it denies as soon as it is there, without a reload", async () => {
    const broker = await start(all, (settings) => ({
      ...settings,
      authorization: {
        ...settings.authorization,
        sources: [{ type: "built_in", path: "" }, ...settings.authorization.sources]
      }
    }))
    const client = await broker.connect(5, { clientId: "c" })
    for (const filter of ["secret/a", "open/a"]) await client.subscribe(filter)
    const added = broker.broker.kept.rules.add({ effect: "deny", action: "subscribe", topics: ["secret/#"] }, undefined)
    assert.notStrictEqual(typeof added, "string")
    while (filters(broker, "c")?.length !== 1) await settle(client)
    assert.deepStrictEqual(filters(broker, "c"), ["open/a"])
  })

  it("with a fault in them changes nothing for anybody", async () => {
    const broker = await start(all)
    const client = await broker.connect(5, { clientId: "c" })
    await client.subscribe("secret/a")
    await reload(broker, "{deny, al}.\n")
    await settle(client)
    assert.deepStrictEqual(filters(broker, "c"), ["secret/a"])
  })

  it("what waits for a slow client and was denied meanwhile is not sent; what it may read is, in order", async () => {
    const broker = await start(all)
    const client = await broker.connect(5, { clientId: "c", properties: { receiveMaximum: 1 } })
    await client.subscribe("secret/a", 1)
    await client.subscribe("open/a", 1)
    const publisher = await broker.connect(5)
    for (const topic of ["open/a", "secret/a", "open/a", "secret/a"]) await publisher.publish(topic, topic, { qos: 1 })
    const first = await client.receive("publish", { topic: "open/a" })
    await reload(broker, noSecrets)
    client.send({ cmd: "puback", messageId: first.messageId ?? 0 })
    await client.receive("publish", { topic: "open/a" })
    client.send({ cmd: "puback", messageId: 2 })
    await client.expectNothing()
    assert.strictEqual(broker.broker.counters.deliveries_dropped_denied_total, 2)
  })
})

describe("a session that is resumed", () => {
  const owe = async (broker: InnerBroker, clientId: string) => {
    const owner = await broker.connect(5, { ...kept(clientId), username: "owner" })
    for (const filter of ["secret/#", "open/#"]) await owner.subscribe(filter, 2)
    const publisher = await broker.connect(5)
    // One in flight, unacknowledged, and the rest waits.
    await publisher.publish("secret/sent", "1", { qos: 1 })
    await owner.receive("publish", { topic: "secret/sent" })
    owner.drop()
    while (broker.session(clientId).connected) await publisher.ping()
    for (const topic of ["secret/a", "open/a"]) await publisher.publish(topic, topic, { qos: 1 })
    await publisher.publish("secret/b", "2", { qos: 2 })
    await publisher.publish("open/b", "2", { qos: 2 })
    await settle(publisher)
  }
  const forOwner = `{allow, {user, "owner"}, subscribe, ["#"]}.\n${noSecrets}`

  it("by somebody else brings nothing that is denied to it, neither what waits nor what was sent before", async () => {
    const broker = await start(forOwner)
    await owe(broker, "s")
    const thief = await broker.connect(5, { ...kept("s"), username: "thief" })
    assert.isTrue(thief.connack.sessionPresent)
    await thief.receive("publish", { topic: "open/a" })
    await thief.receive("publish", { topic: "open/b" })
    await thief.expectNothing()
    assert.strictEqual(broker.broker.counters.deliveries_dropped_denied_total, 3)
    assert.deepStrictEqual(filters(broker, "s"), ["open/#"])
  })

  it("by its owner brings everything, also after a reload that denies nothing of it", async () => {
    const broker = await start(forOwner)
    await owe(broker, "s")
    await reload(broker, forOwner)
    const owner = await broker.connect(5, { ...kept("s"), username: "owner" })
    await owner.receive("publish", { topic: "secret/sent", dup: true })
    for (const topic of ["secret/a", "open/a", "secret/b", "open/b"]) await owner.receive("publish", { topic })
    await owner.expectNothing()
  })

  it("after a reload brings what it may still read, by a subscription that is left or by the topic itself", async () => {
    const broker = await start(all)
    await owe(broker, "s")
    await reload(broker, noSecrets)
    const owner = await broker.connect(5, { ...kept("s"), username: "owner" })
    for (const topic of ["open/a", "open/b"]) await owner.receive("publish", { topic })
    await owner.expectNothing()
  })

  it("after a restart too, from the store", async () => {
    fs.writeFileSync(file, forOwner)
    const broker = durable = await new DurableBroker(withRules).start()
    const owner = await broker.durable(5, "s", { username: "owner" })
    await owner.subscribe("secret/#", 1)
    await owner.subscribe("open/#", 1)
    await owner.disconnect()
    const publisher = await broker.connect(5)
    for (const topic of ["secret/a", "open/a"]) await publisher.publish(topic, "x", { qos: 1 })
    await broker.restart()
    const thief = await broker.durable(5, "s", { username: "thief" })
    await thief.receive("publish", { topic: "open/a" })
    await thief.expectNothing()
    assert.strictEqual(broker.broker.counters.deliveries_dropped_denied_total, 1)
  })
})

describe("a will", () => {
  const rules = `{allow, {'and', [{user, "owner"}, {ipaddr, "127.0.0.1"}]}, publish, ["last/own"]}.
{deny, all, publish, ["last/own"]}.
{allow, all}.
`
  const will = (topic: string) => ({ will: { topic, payload: Buffer.from("bye"), qos: 1 as const, retain: true } })

  it("that was allowed at CONNECT and is denied when it takes effect is neither delivered nor retained", async () => {
    const broker = await start(all)
    const watcher = await broker.connect(5)
    await watcher.subscribe("last/#", 1)
    const client = await broker.connect(5, will("last/words"))
    await reload(broker, `{deny, all, publish, ["last/#"]}.\n${all}`)
    client.drop()
    while (broker.broker.connections > 1) await watcher.ping()
    await watcher.expectNothing()
    assert.strictEqual(broker.broker.services.retainer.count, 0)
    assert.strictEqual(broker.broker.counters.wills_denied_total, 1)
  })

  it("after a crash of the broker is judged for whom it is: user name, address and mount point", async () => {
    fs.writeFileSync(file, rules)
    const broker = durable = await new DurableBroker((settings) => ({
      ...withRules(settings),
      listeners: settings.listeners.map((one) => ({ ...one, mountpoint: "m/" }))
    })).start()
    const long = { properties: { sessionExpiryInterval: 1 } }
    for (const user of ["owner", "eve"]) {
      const client = await broker.connect(5, {
        clientId: user,
        username: user,
        clean: false,
        ...long,
        ...will("last/own")
      })
      await client.subscribe(`x/${user}`, 1)
    }
    await broker.crash()
    // The sessions expire, and their wills with them.
    const watcher = await broker.connect(5, { clientId: "w" })
    await watcher.subscribe("last/#", 1)
    await watcher.receive("publish", { topic: "last/own", payload: "bye" })
    const { counters, sessions } = { counters: broker.broker.counters, sessions: broker.broker.sessions }
    while (sessions.size > 1) await watcher.ping()
    assert.deepStrictEqual([counters.wills_published_total, counters.wills_denied_total], [1, 1])
  })
})

describe("who is connected and would not be let in any more", () => {
  const anonymous = (access: Settings["access"]["anonymous"]) => (settings: Settings): Settings => ({
    ...settings,
    access: { ...settings.access, anonymous: access }
  })

  it('is sent away, 0x87, one line each; with when_revoked = "keep" it stays', async () => {
    const broker = await start(all)
    const keep = (settings: Settings): Settings => ({
      ...anonymous("nowhere")(settings),
      authentication: { ...settings.authentication, whenRevoked: "keep" }
    })
    const [five, four] = [await broker.connect(5, { clientId: "five" }), await broker.connect(4)]
    await reload(broker, all, keep)
    await settle(five, four)
    await reload(broker, all, anonymous("nowhere"))
    await five.expectRefused(0x87)
    await four.expectClosed()
    assert.strictEqual(broker.broker.counters.connections_revoked_total, 2)
    assert.include(
      broker.lines.join("\n"),
      'client sent away: not allowed any more {"client_id":"five","reason":"anonymous does not let it in any more"}'
    )
  })

  it("by its address, too: allow and deny of its listener; who may stay notices nothing", async () => {
    const broker = await start(all)
    const client = await broker.connect(5)
    const deny = (list: ReadonlyArray<string>) => (settings: Settings): Settings => ({
      ...settings,
      listeners: settings.listeners.map((one) => ({ ...one, deny: list }))
    })
    await reload(broker, all, deny(["10.0.0.0/8"]))
    await settle(client)
    await reload(broker, all, deny(["127.0.0.0/8"]))
    await client.expectRefused(0x87)
  })

  it("a user who is gone from the node, whether it has come by password or by SCRAM, and one who is gone from a file", async () => {
    const passwords = path.join(directory, "passwd")
    // Of the password "pencil".
    const hash = formatPasswordHash(
      await Effect.runPromise(hashPassword("pbkdf2-sha256", Buffer.from("pencil"), 1_000))
    )
    fs.writeFileSync(passwords, `ann:${hash}\nbob:${hash}\n`)
    const broker = await start(all, (settings) => ({
      ...settings,
      authentication: { ...settings.authentication, links: ["users", "password_file", "anonymous"] },
      auth_password_file: { ...settings.auth_password_file, path: passwords }
    }))
    const { users } = broker.broker.kept
    users.put(await Effect.runPromise(makeUser("kim", "pencil", false, { mechanisms: [], iterations: 4_096 })))
    users.put(await Effect.runPromise(makeUser("lea", "pencil", false, { mechanisms: [], iterations: 4_096 })))
    const password = Buffer.from("pencil")
    const [kim, lea, ann, bob] = [
      await broker.connect(5, { clientId: "kim", username: "kim", password }),
      await broker.connect(5, { clientId: "lea", username: "lea", password }),
      await broker.connect(5, { clientId: "ann", username: "ann", password }),
      await broker.connect(5, { clientId: "bob", username: "bob", password })
    ]
    const anonymous = await broker.connect(5)
    users.remove("kim")
    // Nobody comes in for having been in a moment ago.
    const again = await broker.open(5)
    again.sendConnect({ clientId: "kim", username: "kim", password })
    await again.expectConnectRefused(0x86)
    await settle(kim)
    fs.writeFileSync(passwords, `bob:${hash}\n`)
    await reload(broker, all)
    await ann.expectRefused(0x87)
    await kim.expectRefused(0x87)
    await settle(lea, bob, anonymous)
    const bySCRAM = broker.connection("lea")
    Object.assign(bySCRAM, { subject: { ...bySCRAM.subject, by: "SCRAM-SHA-256" } })
    await reload(broker, all)
    await settle(lea, bob, anonymous)
    users.remove("lea")
    await reload(broker, all)
    await lea.expectRefused(0x87)
    await settle(bob, anonymous)
  })

  it("a superuser who is none any more, however it came in; who still is one stays", async () => {
    const passwords = path.join(directory, "superusers")
    const hash = formatPasswordHash(
      await Effect.runPromise(hashPassword("pbkdf2-sha256", Buffer.from("pencil"), 1_000))
    )
    fs.writeFileSync(passwords, `ann:${hash}:superuser\nbob:${hash}:superuser\n`)
    const broker = await start("{deny, all}.\n", (settings) => ({
      ...settings,
      authentication: { ...settings.authentication, links: ["users", "password_file"] },
      auth_password_file: { ...settings.auth_password_file, path: passwords }
    }))
    const { users } = broker.broker.kept
    const put = async (name: string, superuser: boolean) =>
      users.put(await Effect.runPromise(makeUser(name, "pencil", superuser, { mechanisms: [], iterations: 4_096 })))
    await put("kim", true)
    await put("lea", true)
    const connect = (username: string) =>
      broker.connect(5, {
        clientId: username,
        username,
        password: Buffer.from("pencil"),
        will: { topic: "any", payload: Buffer.from(username), qos: 0, retain: true }
      })
    const [kim, lea, ann, bob] = [
      await connect("kim"),
      await connect("lea"),
      await connect("ann"),
      await connect("bob")
    ]
    Object.assign(broker.connection("lea"), {
      subject: { ...broker.connection("lea").subject, by: "SCRAM-SHA-256" }
    })
    await bob.subscribe("any")
    fs.writeFileSync(passwords, `ann:${hash}\nbob:${hash}:superuser\n`)
    await put("kim", false)
    await put("lea", false)
    await reload(broker, "{deny, all}.\n")
    for (const client of [ann, kim, lea]) await client.expectRefused(0x87)
    await settle(bob)
    // Nor does the will of one take effect that no rule allows.
    await bob.expectNothing()
    assert.strictEqual(broker.broker.counters.wills_denied_total, 3)
    const back = await connect("ann")
    await back.ping()
    assert.isFalse(broker.connection("ann").subject.superuser)
  })
})
