import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { anonymousLink } from "../../../src/access/authentication/anonymousLink.ts"
import {
  Authentication,
  type AuthenticationOptions,
  type Verdict
} from "../../../src/access/authentication/Authentication.ts"
import {
  allow,
  type Answer,
  type AuthLink,
  type Credentials,
  ignore,
  linkFailure
} from "../../../src/access/authentication/AuthLink.ts"
import { FailureGuard } from "../../../src/access/authentication/FailureGuard.ts"
import { makeLinks, nobodyKnows } from "../../../src/access/authentication/makeLinks.ts"
import { defaultSettings, type LinkType, type Settings } from "../../../src/config/Settings.ts"
import { Counters } from "../../../src/metrics/Counters.ts"
import { EventLog } from "../../../src/metrics/EventLog.ts"
import { linkParts } from "../../support/linkParts.ts"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"

export const credentials = (change: Partial<Credentials> = {}): Credentials => ({
  clientId: "c1",
  userName: undefined,
  password: undefined,
  address: "127.0.0.1",
  listener: "tcp",
  certificateName: undefined,
  certificateSubject: undefined,
  protocolVersion: 5,
  ...change
})

const link = (name: string, check: AuthLink["check"]): AuthLink => ({ name, cacheable: false, check })
const deny = (reason: string): Answer => ({ _tag: "Deny", reasonCode: 0x86, reason })

const chainOf = (links: ReadonlyArray<AuthLink>, change: Partial<AuthenticationOptions> = {}) =>
  Effect.gen(function* () {
    const run = Effect.runForkWith(yield* Effect.context<never>())
    const lines: Array<string> = []
    const counters = new Counters()
    const log = new EventLog(
      (_, message, fields) => void lines.push(`${message} ${JSON.stringify(fields)}`),
      () => 0,
      1
    )
    const chain = new Authentication(links, {
      ...defaultSettings.authentication,
      maxWaiting: 10,
      guard: new FailureGuard(defaultSettings.authentication),
      now: () => 0,
      nobodyKnows: () => "unknown",
      counters,
      log,
      fork: (effect) => {
        const fiber = run(effect)
        return () => fiber.interruptUnsafe()
      },
      ...change
    })
    return { chain, counters, lines }
  })

const never = (): void => {
  throw new Error("answered at once, and then again")
}

/** The verdict, however long it takes. */
const verdict = (chain: Authentication, who: Credentials): Effect.Effect<Verdict> =>
  Effect.callback<Verdict>((resume) => {
    const answer = chain.ask(who, (late) => resume(Effect.succeed(late)))
    if (answer._tag !== "Awaited") resume(Effect.succeed(answer))
  })

describe("the chain", () => {
  it.effect("asks in order, and the first that allows or denies decides, at once", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const one = (name: string, answer: Answer) =>
        link(name, () => {
          asked.push(name)
          return answer
        })
      const { chain, counters } = yield* chainOf([
        one("a", ignore),
        one("b", { ...allow, superuser: true }),
        one("c", deny("c"))
      ])
      assert.deepStrictEqual(chain.ask(credentials(), never), { _tag: "Allow", superuser: true, by: "b" })
      const other = yield* chainOf([one("d", deny("wrong password")), one("e", allow)])
      assert.deepStrictEqual(other.chain.ask(credentials(), never), {
        _tag: "Deny",
        reasonCode: 0x86,
        reason: "wrong password",
        by: "d"
      })
      assert.deepStrictEqual(asked, ["a", "b", "d"])
      assert.strictEqual(counters.authentications_allowed_total, 1)
      assert.strictEqual(other.counters.authentications_denied_total, 1)
    }))

  it.effect("whom nobody knows stays out: 0x86 with a user name, else 0x87", () =>
    Effect.gen(function* () {
      const { chain } = yield* chainOf([link("a", () => ignore), link("b", () => Effect.succeed(ignore))])
      assert.deepInclude(yield* verdict(chain, credentials()), { _tag: "Deny", reasonCode: 0x87, reason: "unknown" })
      assert.deepInclude(yield* verdict(chain, credentials({ userName: "u" })), { _tag: "Deny", reasonCode: 0x86 })
    }))

  it.effect("an answer that takes time comes once, and the links after it are asked then", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<Answer>()
      const { chain } = yield* chainOf([link("slow", () => Deferred.await(gate)), link("next", () => allow)])
      const waiting = yield* Effect.forkChild(verdict(chain, credentials()))
      yield* Effect.yieldNow
      assert.strictEqual(chain.awaited, 1)
      yield* Deferred.succeed(gate, ignore)
      assert.deepInclude(yield* Fiber.join(waiting), { _tag: "Allow", by: "next" })
      assert.strictEqual(chain.awaited, 0)
    }))

  const failing: ReadonlyArray<readonly [what: string, check: AuthLink["check"]]> = [
    ["fails", () => Effect.fail(linkFailure("no route to host"))],
    ["throws", () => {
      throw new Error("a bug")
    }],
    ["dies", () => Effect.die("a bug")],
    ["does not answer", () => Effect.never]
  ]
  for (const [what, check] of failing) {
    it.effect(`a link that ${what}: nobody is let in, or the next link is asked`, () =>
      Effect.gen(function* () {
        for (const onFailure of ["deny", "ignore"] as const) {
          const { chain, counters, lines } = yield* chainOf([link("x", check), link("y", () => allow)], { onFailure })
          const waiting = yield* Effect.forkChild(verdict(chain, credentials()))
          yield* Effect.yieldNow
          yield* TestClock.adjust("5 seconds")
          const answer = yield* Fiber.join(waiting)
          if (onFailure === "deny") assert.deepInclude(answer, { _tag: "Deny", reasonCode: 0x88 })
          else assert.deepInclude(answer, { _tag: "Allow", by: "y" })
          assert.strictEqual(counters.authentication_failures_total, 1)
          assert.strictEqual(lines.length, 1)
          assert.include(lines[0], `"link":"x"`)
        }
      }))
  }

  it.effect("above max_waiting: 0x89; who is cancelled makes room and is not answered", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<Answer>()
      const { chain, counters } = yield* chainOf([link("slow", () => Deferred.await(gate))], { maxWaiting: 1 })
      const first = chain.ask(credentials(), never)
      if (first._tag !== "Awaited") throw new Error("answered")
      assert.deepInclude(chain.ask(credentials(), never), { _tag: "Deny", reasonCode: 0x89 })
      assert.strictEqual(counters.authentications_busy_total, 1)
      first.cancel()
      first.cancel()
      const second = yield* Effect.forkChild(verdict(chain, credentials()))
      yield* Effect.yieldNow
      assert.strictEqual(chain.awaited, 1)
      yield* Deferred.succeed(gate, allow)
      assert.deepInclude(yield* Fiber.join(second), { _tag: "Allow" })
    }))

  it.effect("two that wait with one client id: the third is told to come again, others are not", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<Answer>()
      const { chain, counters } = yield* chainOf([link("slow", () => Deferred.await(gate))])
      const fibers = [
        yield* Effect.forkChild(verdict(chain, credentials())),
        yield* Effect.forkChild(verdict(chain, credentials()))
      ]
      yield* Effect.yieldNow
      assert.deepInclude(chain.ask(credentials(), never), { _tag: "Deny", reasonCode: 0x89 })
      assert.strictEqual(counters.authentications_busy_total, 1)
      fibers.push(yield* Effect.forkChild(verdict(chain, credentials({ clientId: "other" }))))
      yield* Deferred.succeed(gate, allow)
      for (const fiber of fibers) assert.deepInclude(yield* Fiber.join(fiber), { _tag: "Allow" })
      assert.deepInclude(yield* verdict(chain, credentials()), { _tag: "Allow" })
    }))

  it.effect("one that is retired is idle when its last client has its answer", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<Answer>()
      const { chain } = yield* chainOf([link("slow", () => Deferred.await(gate))])
      const waiting = yield* Effect.forkChild(verdict(chain, credentials()))
      yield* Effect.yieldNow
      let idle = false
      chain.retire(() => {
        idle = true
      })
      assert.isFalse(idle)
      yield* Deferred.succeed(gate, allow)
      yield* Fiber.join(waiting)
      assert.isTrue(idle)
    }))
})

describe("anonymous", () => {
  const away = "192.0.2.1"
  const rows: ReadonlyArray<
    readonly [
      access: "loopback" | "anywhere" | "nowhere",
      alone: boolean,
      address: string,
      userName: string | undefined,
      expected: Answer["_tag"]
    ]
  > = [
    ["loopback", true, "127.0.0.1", undefined, "Allow"],
    ["loopback", true, "::1", "u", "Allow"],
    ["loopback", true, away, undefined, "Deny"],
    ["loopback", true, away, "u", "Deny"],
    ["anywhere", true, away, "u", "Allow"],
    ["nowhere", true, "127.0.0.1", undefined, "Deny"],
    ["loopback", false, "127.0.0.1", undefined, "Allow"],
    ["loopback", false, "127.0.0.1", "u", "Ignore"],
    ["anywhere", false, away, "u", "Ignore"],
    ["anywhere", false, away, "", "Ignore"],
    ["nowhere", false, "127.0.0.1", undefined, "Ignore"]
  ]
  for (const [access, alone, address, userName, expected] of rows) {
    it(`${access}, ${alone ? "alone" : "beside others"}: ${address} as ${userName ?? "nobody"} → ${expected}`, () => {
      const answer = anonymousLink(access, alone).check(credentials({ address, userName }))
      assert.strictEqual("_tag" in answer ? answer._tag : "", expected)
    })
  }
})

describe("makeLinks", () => {
  const settings = (links: ReadonlyArray<LinkType>): Settings => ({
    ...defaultSettings,
    authentication: { ...defaultSettings.authentication, links }
  })

  it("says for the log which settings keep a client out", () => {
    assert.strictEqual(
      nobodyKnows(settings(["jwt", "anonymous"]))(credentials()),
      `no link of authentication.links (jwt, anonymous) knows this client, and access.anonymous = "loopback" keeps this address out`
    )
    assert.strictEqual(
      nobodyKnows(settings(["jwt", "anonymous"]))(credentials({ userName: "u" })),
      "no link of authentication.links (jwt, anonymous) knows this client"
    )
  })

  it.effect("makes them in the order of the settings", () =>
    Effect.gen(function* () {
      const links = yield* makeLinks(settings(["anonymous"]), linkParts())
      assert.deepStrictEqual(links.map(({ name }) => name), ["anonymous"])
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer)))
})
