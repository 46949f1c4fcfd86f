// What is remembered of those who came in, and of those who guessed.
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Authentication, type Verdict } from "../../../src/access/authentication/Authentication.ts"
import type { Answer, AuthLink, Credentials } from "../../../src/access/authentication/AuthLink.ts"
import { credentialsKey } from "../../../src/access/authentication/credentialsKey.ts"
import { FailureGuard, type FailureLimits } from "../../../src/access/authentication/FailureGuard.ts"
import { VerifiedCache } from "../../../src/access/authentication/VerifiedCache.ts"
import { defaultSettings, type Settings } from "../../../src/config/Settings.ts"
import { Counters } from "../../../src/metrics/Counters.ts"
import { EventLog } from "../../../src/metrics/EventLog.ts"

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const who = (change: Partial<Credentials> = {}): Credentials => ({
  clientId: "c1",
  userName: "ann",
  password: bytes("right"),
  address: "10.0.0.1",
  listener: "tcp",
  certificateName: undefined,
  certificateSubject: undefined,
  protocolVersion: 5,
  ...change
})

describe("credentialsKey", () => {
  it("differs in every field, and however they run together", () => {
    const all = [
      who(),
      who({ clientId: "c2" }),
      who({ userName: "bob" }),
      who({ userName: undefined }),
      who({ userName: "" }),
      who({ password: bytes("wrong") }),
      who({ password: bytes("") }),
      who({ password: undefined }),
      who({ address: "10.0.0.2" }),
      who({ listener: "tls" }),
      who({ certificateName: "x" }),
      who({ certificateSubject: "x" }),
      who({ protocolVersion: 4 }),
      who({ clientId: "c1;3:ann" }),
      who({ clientId: "c1a", userName: "nn" }),
      who({ clientId: "c", userName: "1ann" })
    ].map(credentialsKey)
    assert.strictEqual(new Set(all).size, all.length)
    assert.strictEqual(credentialsKey(who()), all[0])
    assert.notInclude(all.join(), "right")
  })
})

describe("VerifiedCache", () => {
  const allowed: Verdict = { _tag: "Allow", superuser: false, by: "x" }
  it("remembers for its time, so many, the oldest goes first; never longer than the answer holds", () => {
    const cache = new VerifiedCache(2, 100)
    cache.put("a", allowed, 0)
    cache.put("b", { ...allowed, expiresAt: 50 }, 10)
    assert.strictEqual(cache.get("a", 99), allowed)
    assert.isUndefined(cache.get("a", 100))
    assert.isUndefined(cache.get("b", 50))
    for (const key of ["c", "d", "e"]) cache.put(key, allowed, 0)
    assert.deepStrictEqual(["c", "d", "e"].map((key) => cache.get(key, 1) !== undefined), [false, true, true])
    cache.put("f", { _tag: "Deny", reasonCode: 0x86, reason: "", by: "x" }, 0)
    assert.isUndefined(cache.get("f", 0))
    cache.clear()
    assert.strictEqual(cache.size, 0)
  })
  it("is off with a size or a time of 0", () => {
    for (const cache of [new VerifiedCache(0, 100), new VerifiedCache(10, 0)]) {
      cache.put("a", allowed, 0)
      assert.isTrue(cache.isOff)
      assert.isUndefined(cache.get("a", 0))
    }
  })
})

describe("FailureGuard", () => {
  const limits: FailureLimits = {
    failuresPerAddress: 3,
    failuresPerClientId: 2,
    failureWindowMillis: 1_000,
    failurePauseMillis: 5_000,
    failuresRemembered: 100
  }
  const client = (clientId: string, address = "10.0.0.1") => who({ clientId, address })

  it("pauses a client id wherever it comes from, and an address whoever comes from it", () => {
    const guard = new FailureGuard(limits)
    assert.deepStrictEqual(guard.failed(client("a"), "guess-1", 0), [])
    assert.deepStrictEqual(guard.failed(client("a"), "guess-2", 1), [{ by: "client_id", key: "a" }])
    assert.strictEqual(guard.pauseOf(client("a", "10.0.0.9"), 2), "client_id")
    assert.isUndefined(guard.pauseOf(client("b"), 2))
    assert.deepStrictEqual(guard.failed(client("c"), "guess-3", 3), [{ by: "address", key: "10.0.0.1" }])
    assert.strictEqual(guard.pauseOf(client("b"), 4), "address")
    assert.isUndefined(guard.pauseOf(client("b", "10.0.0.2"), 4))
    assert.strictEqual(guard.pauseOf(client("b"), 5_002), "address")
    assert.isUndefined(guard.pauseOf(client("b"), 5_003))
  })

  it("the same guess again and again is no attack", () => {
    const guard = new FailureGuard(limits)
    for (let i = 0; i < 100; i++) guard.failed(client("a"), "old-password", i)
    assert.isUndefined(guard.pauseOf(client("a"), 100))
  })

  it("a window that has passed is forgotten", () => {
    const guard = new FailureGuard(limits)
    guard.failed(client("a"), "guess-1", 0)
    guard.failed(client("a"), "guess-2", 1_000)
    assert.isUndefined(guard.pauseOf(client("a"), 1_001))
  })

  it("one network of IPv6 is one stranger", () => {
    const guard = new FailureGuard(limits)
    for (let i = 1; i <= 3; i++) guard.failed(client(`c${i}`, `2001:db8:0:1::${i}`), `guess-${i}`, 0)
    assert.strictEqual(guard.pauseOf(client("x", "2001:db8:0:1:ffff::1"), 1), "address")
    assert.isUndefined(guard.pauseOf(client("x", "2001:db8:0:2::1"), 1))
  })

  it("who comes in is forgiven by client id, not by address", () => {
    const guard = new FailureGuard(limits)
    guard.failed(client("a"), "guess-1", 0)
    guard.succeeded(client("a"))
    guard.failed(client("a"), "guess-2", 1)
    assert.isUndefined(guard.pauseOf(client("a"), 2))
    guard.failed(client("b"), "guess-3", 3)
    assert.strictEqual(guard.pauseOf(client("d"), 4), "address")
  })

  it("0 is any number; the tables are bounded", () => {
    const off = new FailureGuard({ ...limits, failuresPerAddress: 0, failuresPerClientId: 0 })
    for (let i = 0; i < 1_000; i++) off.failed(client(`c${i}`), `guess-${i}`, 0)
    assert.strictEqual(off.size, 0)
    const guard = new FailureGuard(limits)
    for (let i = 0; i < 10_000; i++) guard.failed(client(`c${i}`, `10.1.${i >> 8}.${i & 255}`), `${i}`, 0)
    assert.strictEqual(guard.size, 200)
  })
})

describe("the chain", () => {
  const chainOf = (check: AuthLink["check"], change: Partial<Settings["authentication"]> = {}) => {
    const settings = { ...defaultSettings.authentication, failuresPerClientId: 3, ...change }
    const counters = new Counters()
    const lines: Array<string> = []
    const clock = { now: 0 }
    const chain = new Authentication([{ name: "l", cacheable: true, check }], {
      ...settings,
      guard: new FailureGuard(settings),
      now: () => clock.now,
      nobodyKnows: () => "nobody",
      counters,
      log: new EventLog((_, message, fields) => void lines.push(`${message} ${JSON.stringify(fields)}`), () => 0, 1),
      fork: (effect) => {
        const fiber = Effect.runFork(effect)
        return () => fiber.interruptUnsafe()
      }
    })
    const ask = (change: Partial<Credentials> = {}) => {
      const answer = chain.ask(who(change), () => {})
      return answer._tag === "Deny" ? answer.reasonCode : answer._tag
    }
    return { ask, chain, clock, counters, lines }
  }
  const wrong: Answer = { _tag: "Deny", reasonCode: 0x86, reason: "wrong password" }
  const passwordIs = (password: string): AuthLink["check"] => ({ password: given }) =>
    new TextDecoder().decode(given) === password ? { _tag: "Allow", superuser: false } : wrong

  it("asks once for a client that comes back in time with the same password", () => {
    let asked = 0
    const { ask, chain, clock, counters } = chainOf((credentials) => {
      asked++
      return passwordIs("right")(credentials)
    })
    assert.deepStrictEqual([ask(), ask(), ask()], ["Allow", "Allow", "Allow"])
    assert.deepStrictEqual([asked, counters.authentication_cache_hits_total], [1, 2])
    assert.strictEqual(counters.authentications_allowed_total, 3)
    assert.strictEqual(ask({ password: bytes("wrong") }), 0x86)
    assert.strictEqual(asked, 2)
    clock.now = defaultSettings.authentication.cacheTtlMillis
    ask()
    assert.strictEqual(asked, 3)
    chain.forget()
    ask()
    assert.strictEqual(asked, 4)
  })

  it("does not listen to who guesses, but to who was in before; says so once", () => {
    const { ask, counters, lines } = chainOf(passwordIs("right"))
    assert.strictEqual(ask(), "Allow")
    for (let i = 0; i < 3; i++) assert.strictEqual(ask({ password: bytes(`${i}`) }), 0x86)
    assert.strictEqual(ask({ password: bytes("3") }), 0x89)
    assert.strictEqual(ask({ address: "10.0.0.7" }), 0x89, "the right password, from where nobody was in")
    assert.strictEqual(ask(), "Allow", "the right password again")
    assert.strictEqual(ask({ clientId: "c2" }), "Allow", "another client id")
    assert.strictEqual(counters.authentications_paused_total, 2)
    assert.deepStrictEqual(lines, [
      `not listened to for a while: too many wrong passwords ${
        JSON.stringify({ client_id: "c1", limit: "authentication.failures_per_client_id" })
      }`
    ])
  })

  it("a client that is refused for another reason has not guessed", () => {
    const { ask, counters } = chainOf(() => ({ _tag: "Deny", reasonCode: 0x88, reason: "away" }))
    for (let i = 0; i < 50; i++) assert.strictEqual(ask({ password: bytes(`${i}`) }), 0x88)
    const silent = chainOf(() => wrong)
    for (let i = 0; i < 50; i++) assert.strictEqual(silent.ask({ password: undefined }), 0x86)
    assert.strictEqual(counters.authentications_paused_total + silent.counters.authentications_paused_total, 0)
  })
})
