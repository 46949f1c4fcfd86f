// Users and rules in a database under real clients, against a real Redis: who comes in, what they may do, when the rules are read again, and
// what is done while the database is away.
import { afterAll, afterEach, assert, beforeAll, beforeEach, describe, it, type TestContext } from "vitest"
import { Effect } from "effect"
import { type AuthRedisSettings, defaultSettings, type Settings } from "../../src/config/Settings.ts"
import { type InnerBroker, startInnerBroker } from "../support/innerBroker.ts"
import { missingRedis, RedisServer } from "../support/RedisServer.ts"

let redis: RedisServer | undefined
let inner: InnerBroker | undefined
beforeAll(async () => {
  if (missingRedis === undefined) redis = await RedisServer.start()
})
afterAll(() => redis?.stop())
beforeEach((context: TestContext) => context.skip(missingRedis !== undefined, missingRedis))
afterEach(async () => {
  await inner?.stop()
  inner = undefined
})

const server = (): RedisServer => {
  if (redis === undefined) throw new Error("no Redis")
  return redis
}

const filled = () => {
  server().command("FLUSHALL")
  server().command("HSET", "mqtt_user:bob", "password", "pw")
  server().command("HSET", "mqtt_user:root", "password", "pw", "is_superuser", "1")
  server().command("HSET", "mqtt_acl:bob", "own/%u/#", "3", "in", "1")
}

const start = async (change: Partial<AuthRedisSettings> = {}, other: Partial<Settings> = {}) => {
  filled()
  return inner = await startInnerBroker((settings) => ({
    ...settings,
    auth_redis: { ...defaultSettings.auth_redis, url: server().url(), breakerFailures: 0, ...change },
    authentication: { ...settings.authentication, links: ["redis", "anonymous"] },
    authorization: { ...settings.authorization, sources: [{ type: "redis", path: "" }], noMatch: "deny" },
    ...other
  }))
}
const as = (username: string, password = "pw") => ({ username, password: Buffer.from(password) })
const subscribed = async (client: Awaited<ReturnType<InnerBroker["connect"]>>, ...topics: ReadonlyArray<string>) => {
  client.send({ cmd: "subscribe", messageId: 1, subscriptions: topics.map((topic) => ({ topic, qos: 1 as const })) })
  return (await client.receive("suback")).granted.map(Number)
}

describe("users and rules in Redis", () => {
  it("the right password comes in and does what its rules allow; a wrong one does not; a superuser may all", async () => {
    const broker = await start()
    const client = await broker.connect(5, as("bob"))
    assert.deepStrictEqual(await subscribed(client, "own/bob/#", "own/eve/#", "in", "#"), [1, 0x87, 1, 0x87])
    client.send({ cmd: "publish", topic: "in", payload: "", qos: 1, messageId: 2, dup: false, retain: false })
    await client.receiveBytes("40 03 00 02 87")
    const root = await broker.connect(5, as("root"))
    assert.deepStrictEqual(await subscribed(root, "#", "$SYS/#"), [1, 1])
    // The user, superuser or not, the rules; nobody asked for a superuser's rules.
    assert.strictEqual(broker.broker.counters.database_requests_total, 5)
    const wrong = await broker.open(5)
    wrong.sendConnect({ clientId: "w", ...as("bob", "PW") })
    assert.strictEqual((await wrong.receive("connack")).reasonCode, 0x86)
    const unknown = await broker.open(4)
    unknown.sendConnect({ clientId: "u", ...as("eve") })
    assert.strictEqual((await unknown.receive("connack")).returnCode, 4)
  })

  it("rules are fetched once, and again after a reload, for those who are there", async () => {
    const broker = await start()
    const client = await broker.connect(5, as("bob"))
    assert.deepStrictEqual(await subscribed(client, "in", "later"), [1, 0x87])
    server().command("HSET", "mqtt_acl:bob", "later", "1")
    assert.deepStrictEqual(await subscribed(client, "later"), [0x87])
    await Effect.runPromise(broker.broker.reloadRules())
    assert.deepStrictEqual(await subscribed(client, "later"), [1])
  })

  it("after a reload subscriptions go that are denied now; where nobody answers they stay", async () => {
    const broker = await start()
    const client = await broker.connect(5, as("bob"))
    assert.deepStrictEqual(await subscribed(client, "in", "own/bob/#"), [1, 1])
    server().command("HDEL", "mqtt_acl:bob", "in")
    const told = async (text: string) => {
      while (!broker.lines.some((line) => line.includes(text))) await client.ping()
    }
    await Effect.runPromise(broker.broker.reloadRules())
    await told("subscription removed: denied now")
    assert.isDefined(broker.session("c1").subscriptions?.get("own/bob/#"))
    assert.isUndefined(broker.session("c1").subscriptions?.get("in"))
    await server().kill()
    await Effect.runPromise(broker.broker.reloadRules())
    await told("access rules not fetched again: those from before stay").finally(() => server().resume())
    assert.isDefined(broker.session("c1").subscriptions?.get("own/bob/#"))
  })

  it("a database that is away: the broker starts, nobody comes in; once it is there they do", async () => {
    await server().kill()
    const settings = { url: server().url(), timeoutMillis: 5_000 }
    const starting = async () => {
      inner = await startInnerBroker((given) => ({
        ...given,
        auth_redis: { ...defaultSettings.auth_redis, ...settings },
        authentication: { ...given.authentication, links: ["redis"] }
      }))
      return inner
    }
    const broker = await starting().catch(async (error) => {
      await server().resume()
      throw error
    })
    const early = await broker.open(5)
    early.sendConnect({ clientId: "e", ...as("bob", "hunter2") })
    const { reasonCode } = await early.receive("connack").finally(() => server().resume())
    assert.strictEqual(reasonCode, 0x88)
    assert.isTrue(broker.lines.some((line) => line.includes("authentication link failed") && line.includes("redis: ")))
    assert.isFalse(broker.lines.some((line) => line.includes("hunter2")))
    filled()
    await broker.connect(5, as("bob"))
  })

  it("a database that goes: who has rules keeps them, who has none is denied; it comes back and all is well", async () => {
    const broker = await start({}, {
      authentication: { ...defaultSettings.authentication, links: ["anonymous"] }
    })
    const old = await broker.connect(5, { username: "bob" })
    assert.deepStrictEqual(await subscribed(old, "in"), [1])
    await server().kill()
    await Effect.runPromise(broker.broker.reloadRules())
    const fresh = await broker.connect(5, { username: "bob" })
    const answers = await Promise.all([subscribed(old, "in", "x"), subscribed(fresh, "in")])
      .finally(() => server().resume())
    assert.deepStrictEqual(answers, [[1, 0x87], [0x87]])
    filled()
    const later = await broker.connect(5, { username: "bob" })
    assert.deepStrictEqual(await subscribed(later, "in"), [1])
  })

  it("names that attack get nothing", async () => {
    const broker = await start({}, {
      authentication: { ...defaultSettings.authentication, links: ["anonymous"] }
    })
    for (const username of ["bob x", "*", "bob\r\nHGETALL mqtt_acl:bob", "%u", "bob/#", "#"]) {
      const client = await broker.connect(5, { username })
      assert.deepStrictEqual(await subscribed(client, "own/bob/#", "in", "#"), [0x87, 0x87, 0x87], username)
      await client.disconnect()
    }
  })
})
