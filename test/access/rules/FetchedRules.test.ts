// The rules of one client that are fetched: once, for all that ask about it; again after their time and after a reload; and what holds when
// they cannot be.
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { awaited } from "../../../src/access/rules/AskedRules.ts"
import { Authorization, type InForce } from "../../../src/access/rules/Authorization.ts"
import { FetchedSource, type FetchedSourceOptions, type KnownRules } from "../../../src/access/rules/FetchedRules.ts"
import { rulesOfRows } from "../../../src/access/backends/rowRules.ts"
import { Permissions } from "../../../src/access/rules/Permissions.ts"
import { nobodyKnown, type RuleFile, type Subject } from "../../../src/access/rules/Rule.ts"
import { Counters } from "../../../src/metrics/Counters.ts"
import { EventLog } from "../../../src/metrics/EventLog.ts"

/** A database that answers when the test says so. */
class Database {
  time = 1_000
  topics: ReadonlyArray<string> = ["a"]
  failure: string | undefined
  readonly asked: Array<string> = []
  readonly lines: Array<string> = []
  readonly inForce: InForce
  private readonly known: KnownRules = new WeakMap()
  private readonly options: Partial<FetchedSourceOptions>

  constructor(options: Partial<FetchedSourceOptions> = {}) {
    this.options = options
    this.inForce = { authorization: this.made() }
  }

  reload(): void {
    this.inForce.authorization = this.made()
  }

  private made(): Authorization {
    const log = new EventLog((_, message, { reason }) => this.lines.push(`${message}: ${String(reason)}`), () => 0, 1)
    const source = new FetchedSource({
      name: "postgres",
      find: (subject) => Effect.suspend(() => this.answer(subject)),
      onFailure: "deny",
      refreshMillis: Infinity,
      fetches: 2,
      known: this.known,
      parts: {
        log,
        counters: new Counters(),
        now: () => this.time,
        fork: (effect) => {
          const fiber = Effect.runFork(effect)
          return () => fiber.interruptUnsafe()
        }
      },
      ...this.options
    })
    return new Authorization([source], { noMatch: "deny", denyCovers: true })
  }

  private answer({ clientId }: Subject): Effect.Effect<RuleFile, { readonly message: string }> {
    this.asked.push(clientId)
    if (this.failure !== undefined) return Effect.fail({ message: this.failure })
    const rules = rulesOfRows("postgres", this.topics.map((topic) => ({ allow: 1, access: 3, topic })))
    return typeof rules === "string" ? Effect.fail({ message: rules }) : Effect.succeed(rules)
  }
}

const fetched = (permissions: Permissions): Effect.Effect<void> =>
  Effect.callback((resume) => Effect.sync(permissions.fetch(() => resume(Effect.void))))
/** As a connection does: asks, waits, asks again. */
const publish = (permissions: Permissions, topic: string) =>
  Effect.gen(function* () {
    if (permissions.publish(topic, 0, false) === awaited) {
      yield* fetched(permissions)
      const decision = permissions.publish(topic, 0, false)
      permissions.settle()
      return decision.allowed ? "allow, fetched" : `deny, fetched: ${decision.by}`
    }
    return permissions.publish(topic, 0, false).allowed ? "allow" : "deny"
  })

describe("FetchedRules", () => {
  it.live("are fetched once, for all that ask about one client", () =>
    Effect.gen(function* () {
      const database = new Database()
      const subject = nobodyKnown("c")
      const permissions = new Permissions(database.inForce, subject, 8)
      const will = new Permissions(database.inForce, subject, 0)
      assert.strictEqual(will.publish("a", 0, false), awaited)
      assert.strictEqual(permissions.subscribe("a", 0), awaited)
      yield* Effect.all([fetched(permissions), fetched(will)], { concurrency: "unbounded" })
      assert.isTrue(will.publish("a", 0, false).allowed)
      assert.isTrue(permissions.subscribe("a", 0).allowed)
      assert.isFalse(permissions.subscribe("#", 0).allowed)
      assert.strictEqual(yield* publish(permissions, "a"), "allow")
      assert.strictEqual(yield* publish(permissions, "b"), "deny")
      assert.strictEqual(yield* publish(new Permissions(database.inForce, nobodyKnown("d"), 8), "a"), "allow, fetched")
      assert.deepStrictEqual(database.asked, ["c", "d"])
      assert.strictEqual(permissions.publish("a", 0, false).by, "postgres:1")
    }))

  it.live("are not fetched for a superuser", () =>
    Effect.sync(() => {
      const database = new Database()
      assert.isTrue(
        new Permissions(database.inForce, { ...nobodyKnown("c"), superuser: true }, 8).publish("x", 0, false).allowed
      )
      assert.deepStrictEqual(database.asked, [])
    }))

  it.live("are fetched again after a reload and after their time; what was there stays where that fails", () =>
    Effect.gen(function* () {
      const database = new Database({ refreshMillis: 60_000 })
      const permissions = new Permissions(database.inForce, nobodyKnown("c"), 8)
      assert.strictEqual(yield* publish(permissions, "a"), "allow, fetched")
      database.topics = ["b"]
      assert.strictEqual(yield* publish(permissions, "a"), "allow")
      database.reload()
      assert.strictEqual(yield* publish(permissions, "a"), `deny, fetched: authorization.no_match = "deny"`)
      database.topics = ["c"]
      database.time += 60_000
      assert.strictEqual(yield* publish(permissions, "c"), "allow, fetched")
      database.failure = "postgres: away"
      database.reload()
      assert.strictEqual(yield* publish(permissions, "c"), "allow, fetched")
      assert.strictEqual(yield* publish(permissions, "c"), "allow")
      database.failure = undefined
      database.topics = []
      database.time += 10_000
      assert.match(yield* publish(permissions, "c"), /^deny, fetched/)
      assert.deepStrictEqual(database.lines, ["access rules not fetched again: those from before stay: postgres: away"])
    }))

  it.live("that cannot be fetched are a denial until they can be, and not asked for all the time", () =>
    Effect.gen(function* () {
      const database = new Database()
      database.failure = "postgres: away"
      const permissions = new Permissions(database.inForce, nobodyKnown("c"), 8)
      const denial = `deny, fetched: postgres cannot answer (auth_postgres.acl_on_failure = "deny")`
      assert.strictEqual(yield* publish(permissions, "a"), denial)
      assert.strictEqual(yield* publish(permissions, "a"), "deny")
      assert.strictEqual(database.asked.length, 1)
      database.time += 1_000
      database.failure = undefined
      assert.strictEqual(yield* publish(permissions, "a"), "allow, fetched")
      assert.deepStrictEqual(database.lines, ["access rules not fetched: postgres: away"])
    }))

  it.live('"ignore": the next source is asked; a defect is a failure too', () =>
    Effect.gen(function* () {
      const database = new Database({ onFailure: "ignore", find: () => Effect.die("broken") })
      const permissions = new Permissions(database.inForce, nobodyKnown("c"), 8)
      assert.strictEqual(yield* publish(permissions, "a"), `deny, fetched: authorization.no_match = "deny"`)
      assert.deepStrictEqual(database.lines, ["access rules not fetched: a fault of ours: broken"])
    }))

  it.live("of more clients than may be fetched at a time wait; who has gone is not called", () =>
    Effect.gen(function* () {
      let open = () => {}
      const gate = new Promise<void>((resolve) => open = resolve)
      let under = 0
      let most = 0
      const database = new Database({
        find: () =>
          Effect.promise(async () => {
            most = Math.max(most, ++under)
            if (under === 2) open()
            await gate
            under--
            return { file: "postgres", rules: [], dialect: "first_match" } as const
          })
      })
      const many = Array.from({ length: 5 }, (_, i) => new Permissions(database.inForce, nobodyKnown(`c${i}`), 8))
      const gone = new Permissions(database.inForce, nobodyKnown("gone"), 8)
      gone.publish("a", 0, false)
      gone.fetch(() => assert.fail("called"))()
      assert.deepStrictEqual(
        yield* Effect.forEach(many, (one) => publish(one, "a"), { concurrency: "unbounded" }),
        Array(5).fill(`deny, fetched: authorization.no_match = "deny"`)
      )
      assert.strictEqual(most, 2)
    }))
})
