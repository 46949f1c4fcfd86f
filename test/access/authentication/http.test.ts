import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Redacted, Scope } from "effect"
import { TestClock } from "effect/testing"
import type { Answer, Credentials } from "../../../src/access/authentication/AuthLink.ts"
import { makeLinks } from "../../../src/access/authentication/makeLinks.ts"
import { type AuthHttpSettings, defaultSettings, type Settings } from "../../../src/config/Settings.ts"
import { Counters } from "../../../src/metrics/Counters.ts"
import { EventLog } from "../../../src/metrics/EventLog.ts"
import { certificates, opensslMissing } from "../../support/certificates.ts"
import { TestServer } from "../http/TestServer.ts"
import { credentials, told } from "./tokens.ts"
import { linkParts } from "../../support/linkParts.ts"

/** The link of these settings, made as the broker makes it. */
const httpLink = (change: Partial<AuthHttpSettings>) =>
  Effect.gen(function* () {
    const settings: Settings = {
      ...defaultSettings,
      authentication: { ...defaultSettings.authentication, links: ["http"] },
      auth_http: { ...defaultSettings.auth_http, ...change }
    }
    const lines: Array<string> = []
    const log = new EventLog(
      (level, message, fields) => void lines.push(`${level} ${message} ${JSON.stringify(fields)}`),
      () => 0,
      1
    )
    const counters = new Counters()
    const [link] = yield* Effect.provide(makeLinks(settings, linkParts({ log, counters })), NodeFileSystem.layer)
    const asking = (given: Partial<Credentials> = {}) =>
      Effect.suspend(() => {
        const answer = link?.check(credentials("pw", { userName: "bob", ...given })) ?? { _tag: "Ignore" }
        return Effect.isEffect(answer) ? answer : Effect.succeed<Answer>(answer)
      })
    const ask = (given: Partial<Credentials> = {}) =>
      Effect.match(asking(given), { onFailure: ({ message }) => message, onSuccess: told })
    return { ask, asking, lines, counters }
  })

describe("the link http", () => {
  it.effect("the original's answers: by status, and the body ignore", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.start()
      const { ask } = yield* httpLink({ authReq: `${server.url}/mqtt/auth` })
      for (
        const [status, body, expected] of [
          [200, "", "Allow undefined"],
          [200, "ok", "Allow undefined"],
          [204, "", "Allow undefined"],
          [200, "ignore", "Ignore"],
          [200, "deny", "Deny 134 http: the service denies it"],
          [400, "", "Deny 134 http: the service denies it"],
          [401, "", "Deny 134 http: the service denies it"],
          [403, "ignore", "Deny 134 http: the service denies it"],
          [404, "", "Deny 134 http: the service denies it"],
          [302, "", "auth_http: status 302"],
          [408, "", "auth_http: status 408"],
          [429, "", "auth_http: status 429"],
          [503, "", "auth_http: status 503"]
        ] as const
      ) {
        server.reply = () => ({ status, body })
        assert.strictEqual(yield* ask(), expected, `${status} ${body}`)
      }
      assert.deepStrictEqual(
        server.asked.map(({ body, method, url }) => `${method} ${url} ${body}`)[0],
        "POST /mqtt/auth clientid=c1&username=bob&password=pw"
      )
    }))

  it.effect("the modern answer in JSON, and what is none", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.start()
      const { ask, asking } = yield* httpLink({ authReq: server.url, breakerFailures: 0 })
      const reply = (body: string) => {
        server.reply = () => ({ type: "application/json; charset=utf-8", body })
      }
      for (
        const [body, expected] of [
          [`{"result":"allow"}`, "Allow undefined"],
          [`{"result":"ignore","is_superuser":true}`, "Ignore"],
          [`{"result":"deny"}`, "Deny 134 http: the service denies it"],
          [`{"result":"Allow"}`, `auth_http: the JSON answer has no "result" of allow, deny or ignore`],
          [`{"ok":true}`, `auth_http: the JSON answer has no "result" of allow, deny or ignore`],
          [`{"result":"allow"`, "auth_http: the answer is no JSON object"],
          [`["allow"]`, "auth_http: the answer is no JSON object"],
          [`"allow"`, "auth_http: the answer is no JSON object"],
          [`{"__proto__":{"result":"allow"}}`, `auth_http: the JSON answer has no "result" of allow, deny or ignore`],
          [`{"result":"allow","is_superuser":"true"}`, `auth_http: "is_superuser" is neither true nor false`],
          [`{"result":"allow","expire_at":"never"}`, `auth_http: "expire_at" is no number of seconds`],
          [`{"result":"allow","acl":"a/#"}`, `auth_http: "acl": expected lists of topics by action, or a list of rules`]
        ] as const
      ) {
        reply(body)
        assert.strictEqual(yield* ask(), expected, body)
      }
      reply(
        `{"result":"allow","is_superuser":true,"expire_at":99,"acl":[{"permission":"deny","action":"publish","topic":"x"}]}`
      )
      const answer = yield* asking()
      assert.isTrue(answer._tag === "Allow" && answer.superuser && answer.expiresAt === 99_000)
      assert.strictEqual(answer._tag === "Allow" ? answer.rules?.rules.length : 0, 1)
    }))

  it.effect("super_req: its status says who is a superuser; an answer that does not come lets nobody in", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.start()
      const { ask, asking } = yield* httpLink({ authReq: `${server.url}/auth`, superReq: `${server.url}/super` })
      for (const [status, expected] of [[200, true], [403, false]] as const) {
        server.reply = ({ url }) => ({ status: url === "/super" ? status : 200 })
        const answer = yield* asking()
        assert.isTrue(answer._tag === "Allow" && answer.superuser === expected)
      }
      assert.strictEqual(server.asked.at(-1)?.body, "clientid=c1&username=bob")
      server.reply = ({ url }) => ({ status: url === "/super" ? 500 : 200 })
      assert.strictEqual(yield* ask(), "auth_http: status 500")
      server.reply = ({ url }) => ({ status: url === "/super" ? 200 : 403 })
      assert.strictEqual(yield* ask(), "Deny 134 http: the service denies it")
    }))

  it.effect("who gives neither name nor password, and values that cannot be asked about", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.start()
      const { ask } = yield* httpLink({ authReq: `${server.url}/%c` })
      assert.strictEqual(yield* ask({ userName: undefined, password: undefined }), "Ignore")
      assert.strictEqual(yield* ask({ clientId: ".." }), "Deny 134 http: a name that cannot stand in the path")
      assert.strictEqual(yield* ask({ password: new Uint8Array([0xff]) }), "Deny 134 http: the password is no text")
      assert.strictEqual(server.asked.length, 0)
    }))

  it.effect("a slow service: the time limit, and no more requests at a time than the settings say", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.start()
      let go = () => {}
      const after = new Promise<void>((resolve) => go = resolve)
      server.reply = () => ({ after })
      const { ask, counters } = yield* httpLink({
        authReq: server.url,
        poolSize: 4,
        maxWaiting: 6,
        timeoutMillis: 3_000
      })
      const waiting = yield* Effect.forkChild(
        Effect.all(Array.from({ length: 10 }, () => ask()), { concurrency: "unbounded" })
      )
      yield* server.askedTimes(4)
      assert.strictEqual(counters.http_backend_requests_total, 4)
      assert.strictEqual(yield* ask(), "auth_http: too many requests are waiting")
      assert.strictEqual(counters.http_backend_refused_total, 1)
      go()
      assert.deepStrictEqual([...new Set(yield* Fiber.join(waiting))], ["Allow undefined"])
      assert.strictEqual(server.openAtMost, 4)
      server.reply = () => ({ after: new Promise(() => {}) })
      const asked = server.asked.length
      const late = yield* Effect.forkChild(ask())
      yield* server.askedTimes(asked + 1)
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(yield* Fiber.join(late), "auth_http: no answer in 3000 ms")
    }))

  it.effect("away: given up after some failures, asked again after a while, one line out and one in", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.start()
      server.reply = () => ({ status: 500 })
      const { ask, lines } = yield* httpLink({ authReq: server.url, breakerFailures: 3, breakerRestMillis: 10_000 })
      for (let i = 0; i < 3; i++) assert.strictEqual(yield* ask(), "auth_http: status 500")
      for (let i = 0; i < 50; i++) assert.strictEqual(yield* ask(), "auth_http: given up for a while")
      assert.strictEqual(server.asked.length, 3)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* ask(), "auth_http: status 500")
      assert.strictEqual(yield* ask(), "auth_http: given up for a while")
      yield* TestClock.adjust("10 seconds")
      server.reply = () => ({})
      assert.strictEqual(yield* ask(), "Allow undefined")
      assert.strictEqual(yield* ask(), "Allow undefined")
      assert.deepStrictEqual(lines, [
        `error auth_http does not answer: not asked for a while {"reason":"status 500"}`,
        "info auth_http answers again {}"
      ])
    }))

  it.effect("nobody listens: a failure that names no address", () =>
    Effect.gen(function* () {
      const url = yield* Effect.scoped(Effect.map(TestServer.start(), (server) => server.url))
      const { ask } = yield* httpLink({ authReq: url })
      const message = yield* ask()
      assert.match(message, /^auth_http: /)
      assert.notInclude(message, "127.0.0.1")
    }))

  it.effect.skipIf(opensslMissing !== undefined)(
    "TLS: only with the authority of the settings; headers with secrets go along and are shown nowhere",
    () =>
      Effect.gen(function* () {
        const file = (name: string) => certificates().file(name)
        const { certificate, key } = certificates().pair("server")
        const server = yield* TestServer.start({ cert: certificate, key })
        const headers = [Redacted.make("Authorization: Bearer very-secret"), Redacted.make("X-Client: %c")]
        const trusting = yield* httpLink({ authReq: server.url, ca: file("ca.crt"), headers })
        assert.strictEqual(yield* trusting.ask({ clientId: "a\r\nb" }), "Allow undefined")
        assert.strictEqual(server.asked[0]?.headers["authorization"], "Bearer very-secret")
        assert.strictEqual(server.asked[0]?.headers["x-client"], "a%0D%0Ab")
        for (const ca of ["", file("stranger.crt")]) {
          const { ask, lines } = yield* httpLink({ authReq: server.url, ca, headers, breakerFailures: 1 })
          const message = yield* ask()
          assert.match(message, /^auth_http: /)
          assert.notInclude(message + lines.join(), "secret")
        }
        assert.strictEqual(server.asked.length, 1)
        // What was asked before its scope ends is answered, and what it held open is given back.
        const scope = yield* Scope.make()
        let go = () => {}
        const after = new Promise<void>((resolve) => go = resolve)
        server.reply = () => ({ after })
        const retiring = yield* Scope.provide(httpLink({ authReq: server.url, ca: file("ca.crt") }), scope)
        const waiting = yield* Effect.forkChild(retiring.ask())
        yield* server.askedTimes(2)
        yield* Scope.close(scope, Exit.void)
        go()
        assert.strictEqual(yield* Fiber.join(waiting), "Allow undefined")
      })
  )

  it.effect("what is wrong in the settings is said in one line each", () =>
    Effect.gen(function* () {
      const faults = (change: Partial<AuthHttpSettings>) =>
        Effect.map(Effect.flip(httpLink(change)), (invalid) => invalid.message)
      assert.strictEqual(yield* faults({}), "auth_http.auth_req: needed by the link")
      assert.match(
        yield* faults({ authReq: "http://h/%t", superReq: "http://h/", superReqParams: "a", ca: "/nowhere" }),
        /^auth_http\.auth_req: %t is not known here\nauth_http\.super_req: expected parameters .*\n\/nowhere: no such file \(auth_http\.ca\)$/
      )
    }))
})
