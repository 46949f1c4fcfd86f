import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { HttpClientRequest } from "effect/http"
import { TestClock } from "effect/testing"
import { HttpBackend } from "../../../src/access/http/HttpBackend.ts"
import { JwtLink } from "../../../src/access/authentication/jwt/JwtLink.ts"
import { RemoteKeySet } from "../../../src/access/authentication/jwt/RemoteKeySet.ts"
import { Counters } from "../../../src/metrics/Counters.ts"
import { TestServer } from "../http/TestServer.ts"
import { askLink, defaults, type KeyPair, keyPair, sign, told } from "./tokens.ts"

const day = 86_400

/** A link whose keys are those of a real server; refreshed after 600 s, asked at most every 30 s, keys good for an hour. */
const remote = (server: TestServer) =>
  Effect.gen(function* () {
    const failures: Array<string> = []
    const heard: Array<() => void> = []
    const failedTimes = (count: number) =>
      Effect.promise(async () => {
        while (failures.length < count) await new Promise<void>((resolve) => heard.push(resolve))
      })
    const backend = yield* HttpBackend.make({
      name: "jwks",
      ca: undefined,
      timeoutMillis: 5_000,
      connections: 1,
      waiting: 1,
      maxAnswer: 65_536,
      counters: new Counters(),
      breaker: { failures: 0, restMillis: 0, onOpen: () => {}, onClose: () => {} }
    })
    const fetch = Effect.mapError(
      Effect.map(backend.send(HttpClientRequest.get(server.url)), ({ body }) => body),
      ({ message }) => message
    )
    const keys = new RemoteKeySet({
      fetch,
      refreshMillis: 600_000,
      cooldownMillis: 30_000,
      maxAgeMillis: 3_600_000,
      onFetched: () => {},
      onFailure: (message) => {
        failures.push(message)
        for (const told of heard.splice(0)) told()
      }
    })
    const link = new JwtLink({ ...defaults, keys })
    const ask = (token: string) =>
      Effect.map(Effect.catch(askLink(link, token), ({ message }) => Effect.succeed(message)), (answer) =>
        typeof answer === "string" ? answer : told(answer))
    return { failures, failedTimes, ask }
  })

const published = (...keys: ReadonlyArray<KeyPair>) => ({
  type: "application/json",
  body: JSON.stringify({ keys: keys.map(({ jwk }) => jwk) })
})
const newKey = (kid: string) => Effect.promise(() => keyPair("ES256", kid))
const tokenOf = (key: KeyPair, kid = key.jwk.kid) =>
  Effect.promise(() => sign(key, { sub: "bob", exp: day }, kid === undefined ? {} : { kid }))

describe("keys of a URL", () => {
  it.effect("fetched once for many; a new key is found at once; an old one that is gone is refused", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.start()
      const [one, two] = [yield* newKey("one"), yield* newKey("two")]
      server.reply = () => published(one)
      const { ask } = yield* remote(server)
      const first = yield* tokenOf(one)
      const answers = yield* Effect.all(Array.from({ length: 50 }, () => ask(first)), { concurrency: "unbounded" })
      assert.deepStrictEqual([...new Set(answers)], ["Allow bob"])
      assert.strictEqual(server.asked.length, 1)
      // Rotation, long before the set is due.
      server.reply = () => published(two)
      yield* TestClock.adjust("31 seconds")
      assert.strictEqual(yield* ask(yield* tokenOf(two)), "Allow bob")
      assert.strictEqual(server.asked.length, 2)
      assert.strictEqual(yield* ask(first), "Deny 134 jwt: no key for this token (kid, alg)")
    }))

  it.effect("a flood of unknown kids asks once in 30 s, and those with a good token notice nothing", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.start()
      const [one, forger] = [yield* newKey("one"), yield* newKey("x")]
      server.reply = () => published(one)
      const { ask } = yield* remote(server)
      const good = yield* tokenOf(one)
      assert.strictEqual(yield* ask(good), "Allow bob")
      yield* TestClock.adjust("31 seconds")
      for (let i = 0; i < 200; i++) {
        assert.strictEqual(
          yield* ask(yield* tokenOf(forger, `kid-${i}`)),
          "Deny 134 jwt: no key for this token (kid, alg)"
        )
      }
      assert.strictEqual(server.asked.length, 2)
      assert.strictEqual(yield* ask(good), "Allow bob")
      assert.strictEqual(server.asked.length, 2)
    }))

  it.effect("away from the start: a failure, tried again after 30 s", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.start()
      const one = yield* newKey("one")
      server.reply = () => ({ status: 503 })
      const { ask, failures } = yield* remote(server)
      const token = yield* tokenOf(one)
      assert.strictEqual(yield* ask(token), "no keys from jwks_url: jwks: status 503")
      server.reply = () => published(one)
      assert.strictEqual(yield* ask(token), "no keys from jwks_url: jwks: status 503")
      assert.strictEqual(server.asked.length, 1)
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(yield* ask(token), "Allow bob")
      assert.deepStrictEqual(failures, ["jwks: status 503"])
    }))

  it.effect("away later: the keys that are known serve on, until they are too old", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.start()
      const one = yield* newKey("one")
      server.reply = () => published(one)
      const { ask, failedTimes, failures } = yield* remote(server)
      const token = yield* tokenOf(one)
      assert.strictEqual(yield* ask(token), "Allow bob")
      for (const body of ["", "no json", `{"keys":1}`]) {
        server.reply = () => ({ body })
        yield* TestClock.adjust("601 seconds")
        const failed = failures.length
        assert.strictEqual(yield* ask(token), "Allow bob")
        yield* failedTimes(failed + 1)
      }
      yield* TestClock.adjust("3000 seconds")
      assert.strictEqual(yield* ask(token), "no keys from jwks_url: the answer is no JWKS")
      assert.deepStrictEqual([...new Set(failures)], ["the answer is no JWKS"])
    }))

  it.effect("slow: who has a known key does not wait, the others do until the time limit", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.start()
      const [one, two] = [yield* newKey("one"), yield* newKey("two")]
      server.reply = () => published(one)
      const { ask } = yield* remote(server)
      const token = yield* tokenOf(one)
      assert.strictEqual(yield* ask(token), "Allow bob")
      server.reply = () => ({ after: new Promise(() => {}) })
      yield* TestClock.adjust("601 seconds")
      assert.strictEqual(yield* ask(token), "Allow bob")
      yield* server.askedTimes(2)
      const waiting = yield* Effect.forkChild(ask(yield* tokenOf(two)))
      assert.strictEqual(yield* ask(token), "Allow bob")
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* Fiber.join(waiting), "Deny 134 jwt: no key for this token (kid, alg)")
      assert.strictEqual(server.asked.length, 2)
    }))

  it.effect("an answer that is too large, and one that leads elsewhere", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.start()
      const elsewhere = yield* TestServer.start()
      const one = yield* newKey("one")
      elsewhere.reply = () => published(one)
      const token = yield* tokenOf(one)
      server.reply = () => ({ body: " ".repeat(100_000) })
      const { ask } = yield* remote(server)
      assert.strictEqual(yield* ask(token), "no keys from jwks_url: jwks: an answer of more than 65536 bytes")
      server.reply = () => ({ status: 302, headers: { location: elsewhere.url } })
      yield* TestClock.adjust("31 seconds")
      assert.strictEqual(yield* ask(token), "no keys from jwks_url: jwks: status 302")
      assert.strictEqual(elsewhere.asked.length, 0)
    }))
})
