// The pool by itself, with sessions of the test's: bounds, the breaker, one more try on a new session, who leaves before the answer.
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { backendFailure } from "../../../src/access/backends/Backend.ts"
import { type PoolSettings, type Session, SessionPool } from "../../../src/access/backends/SessionPool.ts"
import { defaultSettings } from "../../../src/config/Settings.ts"
import { host, pooled } from "./backendLog.ts"

const away = backendFailure("away", "db: gone")
const refused = backendFailure("refused", "db: no such table")

/** A database that is there or not. */
class Database {
  there = true
  opened = 0
  ended = 0
  now = 0
  readonly host = host(() => this.now)

  pool(settings: Partial<PoolSettings> = {}): SessionPool<Session & { readonly number: number }> {
    return new SessionPool({
      name: "db",
      settings: { ...defaultSettings.auth_redis, ...pooled, ...settings },
      host: this.host,
      open: Effect.suspend(() => {
        if (!this.there) return Effect.fail(away)
        const number = ++this.opened
        return Effect.acquireRelease(
          Effect.succeed({ number, isOpen: () => true }),
          () => Effect.sync(() => void this.ended++)
        )
      })
    })
  }
}

const kindOf = <A>(effect: Effect.Effect<A, { readonly kind: string }>) =>
  Effect.match(effect, { onFailure: ({ kind }) => kind, onSuccess: () => "answer" })

describe("SessionPool", () => {
  it.effect("a session is used again; at most poolSize of them, the rest wait, and more than maxWaiting are refused", () =>
    Effect.gen(function* () {
      const database = new Database()
      const pool = database.pool({ poolSize: 2, maxWaiting: 3 })
      yield* pool.use(() => Effect.void)
      yield* pool.use(() => Effect.void)
      assert.strictEqual(database.opened, 1)
      const gate = yield* Deferred.make<void>()
      const asking = () => Effect.forkChild(kindOf(pool.use(() => Deferred.await(gate))))
      const fibers = [yield* asking(), yield* asking()]
      yield* Effect.yieldNow
      for (let i = 0; i < 3; i++) fibers.push(yield* asking())
      yield* Effect.yieldNow
      assert.strictEqual(yield* kindOf(pool.use(() => Effect.void)), "busy")
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual(yield* Effect.forEach(fibers, Fiber.join), Array(5).fill("answer"))
      assert.strictEqual(database.opened, 2)
    }))

  it.effect("what takes too long is away, and its session is ended", () =>
    Effect.gen(function* () {
      const database = new Database()
      const pool = database.pool({ poolSize: 1, timeoutMillis: 1_000 })
      const slow = yield* Effect.forkChild(Effect.flip(pool.use(() => Effect.never)))
      yield* TestClock.adjust(1_000)
      assert.deepStrictEqual(yield* Fiber.join(slow), backendFailure("away", "db: no answer in 1000 ms"))
      assert.strictEqual(database.ended, 1)
    }))

  it.effect("after breakerFailures it is not asked for a while, then once; one line out, one line in", () =>
    Effect.gen(function* () {
      const database = new Database()
      const pool = database.pool()
      database.there = false
      for (let i = 0; i < 5; i++) assert.strictEqual(yield* kindOf(pool.use(() => Effect.void)), "away")
      database.there = true
      assert.strictEqual(yield* kindOf(pool.use(() => Effect.void)), "away", "not asked yet")
      assert.strictEqual(database.opened, 0)
      database.there = false
      database.now = 10_000
      yield* kindOf(pool.use(() => Effect.void))
      database.there = true
      assert.strictEqual(yield* kindOf(pool.use(() => Effect.void)), "away", "that try failed")
      database.now = 20_000
      assert.strictEqual(yield* kindOf(pool.use(() => Effect.void)), "answer")
      assert.strictEqual(yield* kindOf(pool.use(() => Effect.void)), "answer")
      assert.deepStrictEqual(database.host.lines, [
        "warning back end is away: not asked for a while: db: gone",
        "info back end is there again: db"
      ])
    }))

  it.effect("what the database refuses opens no breaker and ends no session", () =>
    Effect.gen(function* () {
      const database = new Database()
      const pool = database.pool()
      for (let i = 0; i < 10; i++) assert.strictEqual(yield* kindOf(pool.use(() => Effect.fail(refused))), "refused")
      assert.strictEqual(yield* kindOf(pool.use(() => Effect.void)), "answer")
      assert.strictEqual(database.opened, 1)
      assert.deepStrictEqual(database.host.lines, [])
    }))

  it.effect("a session that had gone meanwhile: the request is asked once more on a new one, and only once", () =>
    Effect.gen(function* () {
      const database = new Database()
      const pool = database.pool()
      yield* pool.use(() => Effect.void)
      const numbers: Array<number> = []
      yield* pool.use(({ number }) => {
        numbers.push(number)
        return number === 1 ? Effect.fail(away) : Effect.void
      })
      assert.deepStrictEqual(numbers, [1, 2])
      let asked = 0
      const answer = yield* kindOf(pool.use(() => {
        asked++
        return Effect.fail(away)
      }))
      assert.deepStrictEqual([answer, asked, database.opened, database.ended], ["away", 2, 3, 3])
    }))

  it.effect("who leaves before the answer costs no session", () =>
    Effect.gen(function* () {
      const database = new Database()
      const pool = database.pool({ poolSize: 1 })
      const begun = yield* Deferred.make<void>()
      const gate = yield* Deferred.make<void>()
      const leaving = yield* Effect.forkChild(
        pool.use(() => Effect.andThen(Deferred.succeed(begun, undefined), Deferred.await(gate)))
      )
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(leaving)
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* pool.use(({ number }) => Effect.succeed(number)), 1)
      assert.strictEqual(database.ended, 0)
    }))

  it.effect("closed, it ends its sessions, those in use with their answer", () =>
    Effect.gen(function* () {
      const database = new Database()
      const pool = database.pool()
      const gate = yield* Deferred.make<void>()
      yield* pool.use(() => Effect.void)
      const held = yield* Effect.forkChild(pool.use(() => Deferred.await(gate)))
      yield* Effect.yieldNow
      yield* pool.close
      assert.strictEqual(yield* kindOf(pool.use(() => Effect.void)), "away")
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(held)
      assert.strictEqual(database.ended, database.opened)
    }))
})
