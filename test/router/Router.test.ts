import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TopicName } from "../../src/mqtt/TopicTable.ts"
import { Scheduler } from "../../src/otp/Scheduler.ts"
import { Supervisor } from "../../src/otp/Supervisor.ts"
import { noRemoteRoutes } from "../../src/router/RemoteRoutes.ts"
import type { Route, Subscriber } from "../../src/router/Route.ts"
import { Router, type RouterOptions } from "../../src/router/Router.ts"
import { RouteTable } from "../../src/router/RouteTable.ts"
import type { Subscription } from "../../src/router/Subscription.ts"
import { messageOn, Recorder, subscription } from "./recorder.ts"

/** The defect to inject: a table that throws on some filters and topics. */
class Poisoned extends RouteTable {
  static poison: Set<string> = new Set()
  /** Breaks the table for good when it throws. */
  damaged = false

  override subscribe(subscriber: Subscriber, subscriptions: ReadonlyArray<Subscription>): Array<boolean> {
    for (const { topicFilter } of subscriptions) {
      if (!Poisoned.poison.has(topicFilter)) continue
      this.damaged = true
      throw new Error(`poison: ${topicFilter}`)
    }
    return super.subscribe(subscriber, subscriptions)
  }

  override match(topicName: TopicName): ReturnType<RouteTable["match"]> {
    if (Poisoned.poison.has(topicName.text)) throw new Error(`poison: ${topicName.text}`)
    return super.match(topicName)
  }
}

/** Sessions as the router knows them: what they have recorded. */
class Sessions {
  readonly recorded = new Map<Subscriber, Map<string, Subscription>>()

  record(subscriber: Subscriber, ...filters: ReadonlyArray<string>): ReadonlyArray<Subscription> {
    const own = this.recorded.get(subscriber) ?? new Map<string, Subscription>()
    this.recorded.set(subscriber, own)
    return filters.map((filter) => {
      const one = subscription(filter)
      own.set(filter, one)
      return one
    })
  }

  *all(): Iterable<readonly [Subscriber, Iterable<Subscription>]> {
    for (const [subscriber, own] of this.recorded) yield [subscriber, own.values()]
  }
}

const turns = (scheduler: Scheduler): Effect.Effect<void> =>
  Effect.promise(async () => {
    do await new Promise((resolve) => setImmediate(resolve))
    while (scheduler.busy)
  })

const supervised = (options: Partial<RouterOptions> = {}) =>
  Effect.gen(function* () {
    Poisoned.poison = new Set()
    let now = 1_000
    const scheduler = new Scheduler({ clock: () => now })
    const sessions = new Sessions()
    const rebuilt: Array<{ readonly subscriptions: number; readonly failed: number; readonly defect: unknown }> = []
    const crashes: Array<string> = []
    const router = new Router({
      scheduler,
      subscriptionsOfSessions: () => sessions.all(),
      makeTable: (table) => new Poisoned(table),
      onRebuild: (report) => rebuilt.push(report),
      ...options
    })
    const supervisor = yield* Supervisor.make({
      name: "test",
      strategy: "one-for-one",
      intensity: { times: 10, withinMillis: 60_000 },
      onCrash: ({ child, cause }) => crashes.push(`${child}: ${cause}`)
    })
    supervisor.startChild({ id: "router", kind: "worker", restart: "permanent", start: router })
    const answers: Array<ReadonlyArray<boolean> | undefined> = []
    const reply = (existed: ReadonlyArray<boolean> | undefined) => {
      answers.push(existed)
    }
    return { router, scheduler, sessions, rebuilt, crashes, answers, reply, later: (millis: number) => now += millis }
  })

describe("Router", () => {
  it.effect("subscribes and unsubscribes by message, answers each, and never in the sender's stack", () =>
    Effect.gen(function* () {
      const { answers, reply, router, scheduler } = yield* supervised()
      const a = new Recorder("a")
      assert.isTrue(router.subscribe(a, [subscription("x"), subscription("y/+")], reply))
      assert.isTrue(router.subscribe(a, [subscription("x")], reply))
      assert.isTrue(router.unsubscribe(a, ["x", "z"], reply))
      assert.deepStrictEqual(answers, [])
      yield* turns(scheduler)
      assert.deepStrictEqual(answers, [[false, false], [true], [true, false]])
      assert.strictEqual(router.publish(messageOn("x")), 0)
      assert.strictEqual(router.publish(messageOn("y/1")), 1)
      router.removeSubscriber(a, ["y/+"])
      yield* turns(scheduler)
      assert.strictEqual(router.publish(messageOn("y/1")), 0)
      assert.deepStrictEqual([router.subscriptionCount, router.filterCount], [0, 0])
    }))

  it.effect("[MQTT5-3.8.3-3] publish delivers once to each session, leaves out No Local, and says how many got it", () =>
    Effect.gen(function* () {
      const { reply, router, scheduler } = yield* supervised()
      const a = new Recorder("a")
      const b = new Recorder("b")
      router.subscribe(a, [subscription("x", { noLocal: true }), subscription("+", { noLocal: true })], reply)
      router.subscribe(b, [subscription("x", { noLocal: true, qos: 2 }), subscription("#", { qos: 0 })], reply)
      yield* turns(scheduler)
      assert.strictEqual(router.publish(messageOn("x", { publisher: "c" })), 2)
      assert.strictEqual(router.publish(messageOn("x", { publisher: "a" })), 1)
      assert.strictEqual(router.publish(messageOn("x", { publisher: "b" })), 2)
      assert.deepStrictEqual(a.got.map(({ message }) => message.publisher), ["c", "b"])
      assert.deepStrictEqual(b.got.map(({ route }) => route.qos), [2, 2, 0])
    }))

  it.effect("one member of each shared group, beside the normal subscription of the same session", () =>
    Effect.gen(function* () {
      const { reply, router, scheduler } = yield* supervised()
      const sessions = ["a", "b", "c"].map((id) => new Recorder(id))
      for (const session of sessions) {
        router.subscribe(
          session,
          [subscription("$share/g/x"), subscription("$share/h/+"), subscription("$queue/x")],
          reply
        )
      }
      const [a] = sessions
      if (a === undefined) return
      router.subscribe(a, [subscription("x")], reply)
      yield* turns(scheduler)
      for (let n = 0; n < 6; n++) assert.strictEqual(router.publish(messageOn("x")), 4)
      assert.deepStrictEqual(sessions.map(({ got }) => got.length), [12, 6, 6])
      const groupsOf = (got: ReadonlyArray<{ readonly route: Route }>) =>
        got.map(({ route }) => route.group?.name ?? "").sort()
      assert.deepStrictEqual(groupsOf(a.got), ["", "", "", "", "", "", "$queue", "$queue", "g", "g", "h", "h"])
    }))

  it.effect("peers are handed the message and counted", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const { router } = yield* supervised({
        remote: {
          ...noRemoteRoutes,
          publish: (message) => {
            seen.push(message.topic)
            return 2
          }
        }
      })
      assert.strictEqual(router.publish(messageOn("x")), 2)
      assert.deepStrictEqual(seen, ["x"])
    }))

  it.effect("a full mailbox refuses to subscribe, never to take away, and keeps the order", () =>
    Effect.gen(function* () {
      const { answers, reply, router, scheduler } = yield* supervised({ mailboxCapacity: 2 })
      const a = new Recorder("a")
      const b = new Recorder("b")
      assert.isTrue(router.subscribe(a, [subscription("x")], reply))
      assert.isTrue(router.subscribe(b, [subscription("x")], reply))
      assert.isFalse(router.subscribe(b, [subscription("y")], reply))
      assert.isTrue(router.unsubscribe(a, ["x"], reply))
      router.removeSubscriber(b, ["x"])
      assert.isFalse(router.subscribe(a, [subscription("x")], reply), "would overtake")
      yield* turns(scheduler)
      assert.deepStrictEqual(answers, [[false], [false], [true]])
      assert.strictEqual(router.subscriptionCount, 0)
      assert.isTrue(router.subscribe(a, [subscription("x")], reply))
      yield* turns(scheduler)
      assert.strictEqual(router.subscriptionCount, 1)
    }))
})

describe("a router that crashes", () => {
  it.effect("lets nobody overtake what met a full mailbox before the crash", () =>
    Effect.gen(function* () {
      const a = new Recorder("a")
      const taken: Array<boolean> = []
      const attempt: { again?: () => boolean } = {}
      const { answers, reply, router, scheduler, sessions } = yield* supervised({
        mailboxCapacity: 2,
        onRebuild: () => {
          if (attempt.again !== undefined) taken.push(attempt.again())
        }
      })
      router.subscribe(a, sessions.record(a, "x"), reply)
      yield* turns(scheduler)
      Poisoned.poison.add("poison")
      router.subscribe(new Recorder("evil"), [subscription("poison")], reply)
      router.subscribe(new Recorder("b"), [subscription("y")], reply)
      sessions.recorded.clear()
      router.unsubscribe(a, ["x"], reply)
      attempt.again = () => router.subscribe(a, [subscription("x")], reply)
      yield* turns(scheduler)
      assert.isAtLeast(taken.length, 1)
      assert.isTrue(taken.every((one) => !one))
      assert.deepStrictEqual(answers, [[false], undefined, [false], [false]])
      assert.strictEqual(router.publish(messageOn("x")), 0)
    }))

  it.effect("is restarted with a table of all that the sessions recorded; what waited in the mailbox is handled", () =>
    Effect.gen(function* () {
      const { answers, crashes, rebuilt, reply, router, scheduler, sessions } = yield* supervised()
      const a = new Recorder("a")
      const b = new Recorder("b")
      router.subscribe(a, sessions.record(a, "x/+", "$share/g/s"), reply)
      router.subscribe(b, sessions.record(b, "x/#"), reply)
      yield* turns(scheduler)
      assert.strictEqual(router.publish(messageOn("x/y")), 2)

      Poisoned.poison.add("poison")
      const evil = new Recorder("evil")
      router.subscribe(evil, [subscription("poison")], reply)
      const c = new Recorder("c")
      router.subscribe(c, sessions.record(c, "x/y"), reply)
      sessions.recorded.get(b)?.delete("x/#")
      router.unsubscribe(b, ["x/#"], reply)
      // Readers go on while it is down.
      assert.strictEqual(router.publish(messageOn("x/y")), 2)
      yield* turns(scheduler)

      assert.strictEqual(crashes.length, 1)
      assert.include(crashes[0], "poison")
      assert.isAtLeast(rebuilt.length, 1)
      // b's filter was struck from the record before the rebuild: for the new table it did not exist any more.
      assert.deepStrictEqual(answers, [[false, false], [false], undefined, [true], [false]])
      assert.strictEqual(router.publish(messageOn("x/y")), 2)
      assert.deepStrictEqual([a, b, c].map(({ got }) => got.length), [3, 2, 1])
      assert.strictEqual(router.publish(messageOn("s")), 1)
      assert.strictEqual(router.subscriptionCount, 3)
      assert.isFalse(router.ended)
    }))

  it.effect("answers the request it crashed on, done, when it was not the request's fault", () =>
    Effect.gen(function* () {
      const { answers, crashes, reply, router, scheduler, sessions } = yield* supervised()
      const a = new Recorder("a")
      Poisoned.poison.add("x")
      router.subscribe(a, sessions.record(a, "x"), (existed) => {
        reply(existed)
      })
      // The fault goes away with the crash: the table was damaged, not the request.
      const poison = Poisoned.poison
      poison.has = (filter) => Set.prototype.has.call(poison, filter) && poison.delete(filter)
      yield* turns(scheduler)
      assert.strictEqual(crashes.length, 1)
      assert.strictEqual(answers.length, 1)
      assert.isDefined(answers[0])
      assert.strictEqual(router.publish(messageOn("x")), 1)
    }))

  it.effect("one recorded subscription that no table can take keeps none of the others out, and is reported", () =>
    Effect.gen(function* () {
      const { rebuilt, reply, router, scheduler, sessions } = yield* supervised()
      const a = new Recorder("a")
      const b = new Recorder("b")
      router.subscribe(a, sessions.record(a, "x", "y", "z"), reply)
      router.subscribe(b, sessions.record(b, "y"), reply)
      yield* turns(scheduler)
      Poisoned.poison.add("y")
      router.crash(new Error("injected"))
      yield* turns(scheduler)
      assert.deepStrictEqual(rebuilt.map(({ failed, subscriptions }) => [subscriptions, failed]), [[2, 2]])
      assert.include(String(rebuilt[0]?.defect), "poison: y")
      assert.strictEqual(router.publish(messageOn("x")), 1)
      assert.strictEqual(router.publish(messageOn("z")), 1)
    }))

  it.effect("answers of the table before are not used any more", () =>
    Effect.gen(function* () {
      const { reply, router, scheduler, sessions } = yield* supervised()
      const a = new Recorder("a")
      const name = new TopicName("x", 1)
      router.subscribe(a, sessions.record(a, "x"), reply)
      yield* turns(scheduler)
      const before = router.match(name)
      assert.strictEqual(router.match(name), before)
      sessions.recorded.clear()
      router.crash(new Error("injected"))
      yield* turns(scheduler)
      assert.isFalse(before.valid)
      assert.isTrue(router.match(name).isEmpty)
    }))

  it.effect("peers hear the whole set of filters again", () =>
    Effect.gen(function* () {
      const heard: Array<string> = []
      const { reply, router, scheduler, sessions } = yield* supervised({
        remote: {
          ...noRemoteRoutes,
          changed: (filter) => heard.push(`${filter}=${router.levelOf(filter)}`),
          replaced: () => heard.push(`=${[...router.filters()].sort().join(" ")}`)
        }
      })
      const a = new Recorder("a")
      router.subscribe(a, sessions.record(a, "x", "y/#"), reply)
      yield* turns(scheduler)
      router.crash(new Error("injected"))
      yield* turns(scheduler)
      router.unsubscribe(a, ["x"], reply)
      yield* turns(scheduler)
      assert.deepStrictEqual(heard, ["x=2", "y/#=2", "=x y/#", "x=0"])
    }))
})

describe("a table that throws at a reader", () => {
  it.effect("is made anew once; a topic that no table can answer costs its publisher alone", () =>
    Effect.gen(function* () {
      const { crashes, later, rebuilt, reply, router, scheduler, sessions } = yield* supervised()
      const a = new Recorder("a")
      router.subscribe(a, sessions.record(a, "x"), reply)
      yield* turns(scheduler)
      Poisoned.poison.add("bad")
      assert.throws(() => router.publish(messageOn("bad")), "poison: bad")
      assert.throws(() => router.publish(messageOn("bad")), "poison: bad")
      assert.strictEqual(rebuilt.length, 1)
      assert.include(String(rebuilt[0]?.defect), "poison: bad")
      later(60_000)
      scheduler.refresh()
      assert.throws(() => router.publish(messageOn("bad")), "poison: bad")
      assert.strictEqual(rebuilt.length, 2)
      assert.strictEqual(router.publish(messageOn("x")), 1)
      yield* turns(scheduler)
      assert.deepStrictEqual(crashes, [])
    }))
})
