// Users and rules in a real Redis: the original's commands, names that attack, a server that is away, slow, wrong.
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Redacted, type Scope } from "effect"
import type { Backend } from "../../../src/access/backends/Backend.ts"
import { makeRedis } from "../../../src/access/backends/makeBackend.ts"
import { rulesOfRows } from "../../../src/access/backends/rowRules.ts"
import { missingRedis, RedisServer } from "../../support/RedisServer.ts"
import { type AuthRedisSettings, defaultSettings } from "../../../src/config/Settings.ts"
import { attacks, type Host, host, made, names, pooled } from "./backendLog.ts"

let server: RedisServer | undefined
beforeAll(async () => {
  if (missingRedis === undefined) server = await RedisServer.start()
})
afterAll(() => server?.stop())

const fill = (redis: RedisServer) => {
  redis.command("HSET", "mqtt_user:bob", "password", "secret", "salt", "pepper", "is_superuser", "0")
  redis.command("HSET", "mqtt_user:root", "password", "r", "is_superuser", "1")
  redis.command("HSET", "mqtt_user:zoë 🎉", "password", "ünï")
  redis.command("SET", "plain:bob", "only")
  redis.command("HSET", "mqtt_acl:bob", "own/%u", "3", "in/#", "1")
}

type Asking = Partial<AuthRedisSettings>

const test = (
  title: string,
  run: (
    make: (asking?: Asking) => Effect.Effect<Backend, never, Scope.Scope>,
    redis: RedisServer,
    host: Host
  ) => Effect.Effect<void, unknown, Scope.Scope>
) =>
  it.live(title, (context) => {
    context.skip(missingRedis !== undefined, missingRedis)
    if (server === undefined) return Effect.void
    const redis = server
    const its = host()
    const make = (asking: Asking = {}) =>
      made(makeRedis({
        ...defaultSettings.auth_redis,
        ...pooled,
        url: redis.url(),
        authCmd: "HMGET mqtt_user:%u password salt",
        ...asking
      }, its))
    fill(redis)
    return Effect.scoped(run(make, redis, its))
  })

describe("redis", () => {
  test("finds a user and its salt, by HMGET, HGET and GET; knows a superuser; nobody else", (make) =>
    Effect.gen(function* () {
      const backend = yield* make()
      assert.deepStrictEqual(yield* backend.findUser(names), {
        password: "secret",
        salt: "pepper",
        userName: undefined
      })
      assert.strictEqual((yield* backend.findUser({ ...names, userName: "zoë 🎉" }))?.password, "ünï")
      assert.isUndefined(yield* backend.findUser({ ...names, userName: "nobody" }))
      assert.isUndefined(yield* backend.findUser({ ...names, userName: undefined }))
      const byHget = yield* make({ authCmd: "HGET mqtt_user:%u password" })
      assert.deepStrictEqual(yield* byHget.findUser(names), {
        password: "secret",
        salt: null,
        userName: undefined
      })
      assert.strictEqual((yield* (yield* make({ authCmd: "GET plain:%u" })).findUser(names))?.password, "only")
      assert.deepStrictEqual(
        [yield* backend.isSuperuser(names), yield* backend.isSuperuser({ ...names, userName: "root" })],
        [false, true]
      )
    }))

  test("the rules of one client", (make) =>
    Effect.gen(function* () {
      const rules = rulesOfRows("redis", yield* (yield* make()).findRules(names))
      assert.deepStrictEqual(
        typeof rules === "string" ? rules : rules.rules.map(({ action, topics }) => [action, topics?.[0]?.filter]),
        [["pubsub", "own/%u"], ["subscribe", "in/#"]]
      )
      assert.deepStrictEqual(yield* (yield* make()).findRules({ ...names, userName: "eve" }), [])
      assert.deepStrictEqual(yield* (yield* make()).findRules({ ...names, userName: undefined }), [])
    }))

  test("names that attack find nobody, and the keys stay", (make, redis) =>
    Effect.gen(function* () {
      const backend = yield* make()
      const keys = redis.command("DBSIZE")
      for (const userName of attacks) {
        assert.isUndefined(yield* backend.findUser({ ...names, userName }), userName)
        assert.isFalse(yield* backend.isSuperuser({ ...names, userName }), userName)
        assert.deepStrictEqual(yield* backend.findRules({ ...names, userName }), [], userName)
      }
      assert.strictEqual(redis.command("DBSIZE"), keys)
    }))

  test("a wrong command, a wrong kind of key, too many rules, a wrong password: one line that says so", (make) =>
    Effect.gen(function* () {
      const auth = (asking: Asking) => Effect.flip(Effect.flatMap(make(asking), (backend) => backend.findUser(names)))
      const wrongKey = yield* auth({ authCmd: "GET mqtt_user:%u" })
      assert.match(wrongKey.message, /^redis: auth_cmd: WRONGTYPE /)
      assert.strictEqual(wrongKey.kind, "refused")
      assert.match((yield* auth({ authCmd: "NOPE %u" })).message, /^redis: auth_cmd: ERR unknown command/)
      assert.match((yield* auth({ authCmd: "HLEN mqtt_user:%u" })).message, /^redis: auth_cmd does not give a password/)
      const acl = (asking: Asking) => Effect.flip(Effect.flatMap(make(asking), (backend) => backend.findRules(names)))
      assert.match((yield* acl({ aclCmd: "HVALS mqtt_user:%u" })).message, /^redis: acl_cmd does not give a hash/)
      assert.match((yield* acl({ maxRules: 1 })).message, /more than max_rules = 1 topics$/)
      const wrongPassword = yield* auth({ url: `${server?.url("someone")}`, password: Redacted.make("hunter2") })
      assert.match(wrongPassword.message, /^redis: WRONGPASS /)
      assert.notInclude(wrongPassword.message, "hunter2")
    }))

  test("a server that does not answer is given up in time", (make, redis) =>
    Effect.gen(function* () {
      const backend = yield* make({ timeoutMillis: 200 })
      redis.freeze()
      const failure = yield* Effect.ensuring(Effect.flip(backend.findUser(names)), Effect.sync(() => redis.thaw()))
      assert.strictEqual(failure.kind, "away")
    }))

  test(
    "a server that goes away is away, and taken up again when it is back",
    (make, redis, { lines }) =>
      Effect.gen(function* () {
        const backend = yield* make()
        yield* backend.findUser(names)
        yield* Effect.promise(() => redis.kill())
        const failure = yield* Effect.flip(backend.findUser(names))
        assert.strictEqual(failure.kind, "away")
        assert.match(failure.message, /^redis: [^\n]*$/)
        yield* Effect.promise(() => redis.resume())
        fill(redis)
        assert.strictEqual((yield* backend.findUser(names))?.password, "secret")
        yield* Effect.promise(() => redis.kill())
        yield* Effect.promise(() => redis.resume())
        fill(redis)
        assert.strictEqual((yield* backend.findUser(names))?.password, "secret")
        assert.deepStrictEqual(lines, [])
      })
  )
})
