import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { Actor } from "../../src/otp/Actor.ts"
import { MailboxActor } from "../../src/otp/MailboxActor.ts"
import { Scheduler } from "../../src/otp/Scheduler.ts"
import { IntensityExceeded, Supervisor } from "../../src/otp/Supervisor.ts"
import { Journal } from "./Journal.ts"
import { settled } from "./turns.ts"

const noRestart = { intensity: { times: 0, withinMillis: 1000 } }

describe("restart kinds", () => {
  it.effect("children start in plain code, at once", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const supervisor = yield* journal.supervisor()
      const plain = () => {
        assert.isTrue(supervisor.startChild(journal.child("a")))
        assert.isTrue(supervisor.startChild(journal.child("b", "temporary")))
      }
      plain()
      assert.deepStrictEqual(journal.news, ["+a", "+b"])
      assert.strictEqual(supervisor.children, 2)
      assert.isTrue(supervisor.has("a"))
      assert.throws(() => supervisor.startChild(journal.child("a")), "sup has a child a already")
    }))

  it.effect("permanent: restarted after a crash, a failure and a normal end", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const supervisor = yield* journal.supervisor({ backoff: { firstMillis: 0, maxMillis: 0, jitter: 0 } })
      supervisor.startChild(journal.child("a"))
      yield* journal.crash("a")
      yield* TestClock.adjust(1)
      yield* journal.fail("a")
      yield* TestClock.adjust(1)
      yield* journal.finishNormally("a")
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(journal.news, ["+a", "-a", "+a", "-a", "+a", "-a", "+a"])
      assert.deepStrictEqual(journal.reports.map((report) => report.restarts), [1, 2, 3])
      assert.match(journal.reports[0]?.cause ?? "", /a has a bug/)
      assert.strictEqual(journal.reports[1]?.defect, "a failed")
      assert.strictEqual(journal.reports[2]?.cause, "ended, although it is permanent")
    }))

  it.effect("transient: restarted after a crash, forgotten after a normal end", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const supervisor = yield* journal.supervisor()
      supervisor.startChild(journal.child("a", "transient"))
      yield* journal.fail("a")
      assert.deepStrictEqual(journal.news, ["+a", "-a", "+a"])
      yield* journal.finishNormally("a")
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(journal.news, ["-a"])
      assert.strictEqual(supervisor.children, 0)
      assert.deepStrictEqual(journal.actions, ["a restarted"])
      assert.isTrue(supervisor.startChild(journal.child("a", "transient")))
    }))

  it.effect("temporary: never restarted, forgotten, reported when it crashed", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const supervisor = yield* journal.supervisor(noRestart)
      for (const id of ["a", "b"]) supervisor.startChild(journal.child(id, "temporary"))
      yield* journal.crash("a")
      yield* journal.finishNormally("b")
      assert.deepStrictEqual(journal.news, ["+a", "+b", "-a", "-b"])
      assert.strictEqual(supervisor.children, 0)
      assert.deepStrictEqual(journal.actions, ["a ended"])
    }))

  it.effect("who is interrupted by others has ended normally", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const supervisor = yield* journal.supervisor()
      supervisor.startChild({ ...journal.child("a", "transient"), start: Effect.interrupt })
      assert.strictEqual(supervisor.children, 0)
      assert.isEmpty(journal.reports)
    }))

  it.effect("a report that throws stops no restart", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const supervisor = yield* journal.supervisor({
        onCrash: () => {
          throw new Error("no log")
        }
      })
      supervisor.startChild(journal.child("a"))
      yield* journal.crash("a")
      assert.deepStrictEqual(journal.news, ["+a", "-a", "+a"])
    }))
})

describe("strategies", () => {
  const three = (strategy: "one-for-one" | "rest-for-one" | "one-for-all") =>
    Effect.gen(function* () {
      const journal = new Journal()
      const supervisor = yield* journal.supervisor({ strategy })
      for (const id of ["a", "b", "c"]) supervisor.startChild(journal.child(id))
      assert.deepStrictEqual(journal.news, ["+a", "+b", "+c"])
      return { journal, supervisor }
    })

  it.effect("one-for-one restarts the one", () =>
    Effect.gen(function* () {
      const { journal } = yield* three("one-for-one")
      yield* journal.crash("b")
      assert.deepStrictEqual(journal.news, ["-b", "+b"])
    }))

  it.effect("rest-for-one restarts it and those after it: stopped last first, started in order", () =>
    Effect.gen(function* () {
      const { journal } = yield* three("rest-for-one")
      yield* journal.crash("b")
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(journal.news, ["-b", "-c", "+b", "+c"])
      yield* journal.crash("a")
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(journal.news, ["-a", "-c", "-b", "+a", "+b", "+c"])
      assert.deepStrictEqual(journal.actions, ["b restarted", "a restarted"])
    }))

  it.effect("one-for-all restarts all", () =>
    Effect.gen(function* () {
      const { journal, supervisor } = yield* three("one-for-all")
      yield* journal.crash("b")
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(journal.news, ["-b", "-c", "-a", "+a", "+b", "+c"])
      assert.deepStrictEqual(supervisor.tree().children.map((child) => [child.name, child.restarts]), [["a", 0], [
        "b",
        1
      ], ["c", 0]])
    }))

  it.effect("a group: temporary ones are not started again, transient ones are, even when they had ended", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const supervisor = yield* journal.supervisor({ strategy: "one-for-all" })
      supervisor.startChild(journal.child("once", "temporary"))
      supervisor.startChild(journal.child("done", "transient"))
      supervisor.startChild(journal.child("a"))
      yield* journal.finishNormally("done")
      assert.strictEqual(supervisor.tree().children[1]?.status, "ended")
      assert.deepStrictEqual(journal.news, ["+once", "+done", "+a", "-done"])
      yield* journal.crash("a")
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(journal.news, ["-a", "-once", "+done", "+a"])
      assert.isFalse(supervisor.has("once"))
    }))

  it.effect("a group waits for slow children to end before it starts any", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const supervisor = yield* journal.supervisor({ strategy: "one-for-all" })
      supervisor.startChild(journal.child("a"))
      supervisor.startChild(journal.slowChild("slow"))
      yield* journal.crash("a")
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(journal.news, ["+a", "+slow", "-a"])
      assert.deepStrictEqual(supervisor.tree().children.map((child) => child.status), ["restarting", "stopping"])
      yield* journal.letGo("slow")
      assert.deepStrictEqual(journal.news, ["-slow", "+a", "+slow"])
    }))

  it.effect("a crash while a group restarts is dealt with after it", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const supervisor = yield* journal.supervisor({ strategy: "rest-for-one" })
      supervisor.startChild(journal.child("a"))
      supervisor.startChild(journal.child("b"))
      supervisor.startChild(journal.slowChild("slow"))
      yield* journal.crash("b")
      yield* journal.crash("a")
      assert.deepStrictEqual(journal.news, ["+a", "+b", "+slow", "-b", "-a"])
      yield* journal.letGo("slow")
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(journal.news, ["-slow", "+a", "+b", "+slow"])
      assert.strictEqual(supervisor.children, 3)
      assert.isTrue(supervisor.tree().children.every((child) => child.status === "running"))
    }))

  it.effect("of several crashes while a group restarts the first in order takes the others along", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const supervisor = yield* journal.supervisor({ strategy: "rest-for-one" })
      for (const id of ["a", "b", "c"]) supervisor.startChild(journal.child(id))
      supervisor.startChild(journal.slowChild("slow"))
      for (const id of ["c", "b", "a"]) yield* journal.crash(id)
      assert.deepStrictEqual(journal.news, ["+a", "+b", "+c", "+slow", "-c", "-b", "-a"])
      yield* journal.letGo("slow")
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(journal.news, ["-slow", "+a", "+b", "+c", "+slow"])
    }))

  it.effect("an abandoned life that ends at last is not the end of the next", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const supervisor = yield* journal.supervisor({ strategy: "one-for-all" })
      supervisor.startChild(journal.child("a"))
      supervisor.startChild(journal.slowChild("stuck", { shutdownMillis: 300 }))
      yield* journal.crash("a")
      yield* TestClock.adjust("300 millis")
      assert.deepStrictEqual(journal.news, ["+a", "+stuck", "-a", "+a", "+stuck"])
      yield* journal.letGo("stuck")
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(journal.news, ["-stuck"])
      assert.deepStrictEqual(journal.actions, ["a restarted", "stuck abandoned"])
      assert.isTrue(supervisor.tree().children.every((child) => child.status === "running"))
    }))

  it.effect("a child that crashes as it starts keeps those after it from starting until it has come up", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      let broken = false
      const supervisor = yield* journal.supervisor({ strategy: "rest-for-one" })
      supervisor.startChild({
        ...journal.child("a"),
        start: Effect.suspend(() => broken ? Effect.die("cannot start") : journal.life("a"))
      })
      supervisor.startChild(journal.child("b"))
      broken = true
      yield* journal.crash("a")
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(journal.news, ["+a", "+b", "-a", "-b"])
      broken = false
      yield* TestClock.adjust("99 millis")
      assert.isEmpty(journal.news)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(journal.news, ["+a", "+b"])
      assert.deepStrictEqual(journal.actions, ["a restarted", "a restart-later"])
    }))
})

describe("back-off", () => {
  it.effect("the first restart is at once, the next wait longer and longer, up to the most", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const supervisor = yield* journal.supervisor()
      supervisor.startChild(journal.child("a"))
      const waits: Array<number> = []
      for (let crash = 0; crash < 6; crash++) {
        yield* journal.crash("a")
        let waited = 0
        while (supervisor.tree().children[0]?.status !== "running") {
          yield* TestClock.adjust(1)
          waited++
        }
        waits.push(waited)
      }
      assert.deepStrictEqual(waits, [0, 100, 200, 400, 800, 1000])
      assert.deepStrictEqual(journal.reports.map((report) => report.delayMillis), waits)
    }))

  it.effect("jitter moves the delay either way", () =>
    Effect.gen(function* () {
      for (const [random, delay] of [[0, 80], [0.5, 100], [0.999999, 120]] as const) {
        const journal = new Journal()
        const supervisor = yield* journal.supervisor({
          backoff: { firstMillis: 100, maxMillis: 1000, jitter: 0.2 },
          random: () => random
        })
        supervisor.startChild(journal.child("a"))
        yield* journal.crash("a")
        yield* journal.crash("a")
        assert.strictEqual(journal.reports[1]?.delayMillis, delay)
      }
    }))

  it.effect("a life that has lasted is forgiven", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const supervisor = yield* journal.supervisor()
      supervisor.startChild(journal.child("a"))
      yield* journal.crash("a")
      yield* journal.crash("a")
      yield* TestClock.adjust("11 seconds")
      yield* journal.crash("a")
      assert.deepStrictEqual(journal.actions, ["a restarted", "a restart-later", "a restarted"])
    }))
})

describe("intensity", () => {
  it.effect("one restart too many stops all children, last first, and fails upward", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const supervisor = yield* journal.supervisor({ intensity: { times: 1, withinMillis: 1000 } })
      const fiber = yield* Effect.forkChild(Effect.flip(supervisor.run), { startImmediately: true })
      for (const id of ["a", "b", "c"]) supervisor.startChild(journal.child(id))
      yield* journal.crash("b")
      assert.isUndefined(fiber.pollUnsafe())
      assert.deepStrictEqual(journal.news, ["+a", "+b", "+c", "-b", "+b"])
      yield* journal.crash("a")
      const error = yield* Fiber.join(fiber)
      assert.instanceOf(error, IntensityExceeded)
      assert.strictEqual(error.supervisor, "sup")
      assert.strictEqual(error.child, "a")
      assert.match(error.message, /^sup gave up: more than 1 restarts within 1000 ms, the last of a: .*a has a bug/s)
      assert.deepStrictEqual(journal.news, ["-a", "-c", "-b"])
      assert.deepStrictEqual(journal.actions, ["b restarted", "a gave-up"])
      assert.isFalse(supervisor.startChild(journal.child("d")))
    }))

  it.effect("restarts longer ago do not count", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const supervisor = yield* journal.supervisor({ intensity: { times: 2, withinMillis: 1000 } })
      supervisor.startChild(journal.child("a"))
      for (let crash = 0; crash < 10; crash++) {
        yield* journal.crash("a")
        yield* TestClock.adjust("501 millis")
        while (supervisor.tree().children[0]?.status !== "running") yield* TestClock.adjust("100 millis")
      }
      assert.notInclude(journal.actions, "a gave-up")
    }))

  it.effect("exactly `times` are allowed within the window", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const supervisor = yield* journal.supervisor({ intensity: { times: 3, withinMillis: 1000 } })
      for (const id of ["a", "b", "c", "d"]) supervisor.startChild(journal.child(id))
      for (const id of ["a", "b", "c"]) yield* journal.crash(id)
      yield* TestClock.adjust("1000 millis")
      assert.strictEqual(supervisor.tree().status, "running")
      yield* journal.crash("d")
      assert.deepStrictEqual(journal.actions, ["a restarted", "b restarted", "c restarted", "d gave-up"])
    }))

  it.effect("what gave up before anybody ran it is told when somebody does", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const supervisor = yield* journal.supervisor(noRestart)
      supervisor.startChild(journal.child("a"))
      yield* journal.crash("a")
      assert.instanceOf(yield* Effect.flip(supervisor.run), IntensityExceeded)
    }))

  it.effect("a child that cannot start gives up in the end, without growing the stack", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const supervisor = yield* journal.supervisor({
        intensity: { times: 500, withinMillis: 1_000_000 },
        backoff: { firstMillis: 0, maxMillis: 0, jitter: 0 }
      })
      const fiber = yield* Effect.forkChild(Effect.flip(supervisor.run), { startImmediately: true })
      supervisor.startChild({ ...journal.child("a"), start: Effect.die("cannot start") })
      while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust(1)
      assert.strictEqual(journal.reports.length, 501)
    }))

  it.effect("run again, it counts anew", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const supervisor = yield* journal.supervisor({ intensity: { times: 1, withinMillis: 1000 } })
      supervisor.startChild(journal.child("a"))
      for (let life = 0; life < 3; life++) {
        const fiber = yield* Effect.forkChild(Effect.flip(supervisor.run), { startImmediately: true })
        yield* journal.crash("a")
        yield* TestClock.adjust("100 millis")
        assert.isUndefined(fiber.pollUnsafe())
        yield* journal.crash("a")
        assert.instanceOf(yield* Fiber.join(fiber), IntensityExceeded)
      }
    }))

  it.effect("a parent restarts a supervisor that gave up; that starts its children again", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const root = yield* journal.supervisor({ name: "root" })
      const inner = yield* journal.supervisor({ name: "inner", ...noRestart })
      inner.startChild(journal.child("a"))
      inner.startChild(journal.child("b", "transient"))
      inner.startChild(journal.child("once", "temporary"))
      root.startChild({
        id: "inner",
        kind: "supervisor",
        restart: "permanent",
        start: inner.run,
        inspect: (limit) => inner.tree(limit, limit)
      })
      assert.deepStrictEqual(journal.news, ["+a", "+b", "+once"])
      yield* journal.crash("b")
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(journal.news, ["-b", "-once", "-a", "+a", "+b"])
      assert.deepStrictEqual(journal.actions, ["b gave-up", "inner restarted"])
      assert.match(journal.reports[1]?.cause ?? "", /inner gave up/)
      assert.strictEqual(root.tree().children[0]?.restarts, 1)
      assert.lengthOf(root.tree().children[0]?.children ?? [], 2)
    }))

  it.effect("a supervisor made in a life of its own is made anew by each life", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const root = yield* journal.supervisor({ name: "root" })
      root.startChild({
        id: "inner",
        kind: "supervisor",
        restart: "permanent",
        start: Effect.gen(function* () {
          const inner = yield* journal.supervisor({ name: "inner", ...noRestart })
          inner.startChild(journal.child("a"))
          return yield* inner.run
        })
      })
      yield* journal.crash("a")
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(journal.news, ["+a", "-a", "+a"])
    }))

  it.effect("giving up goes up, floor by floor", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const root = yield* journal.supervisor({ name: "root", ...noRestart })
      const inner = yield* journal.supervisor({ name: "inner", ...noRestart })
      root.startChild(journal.child("other"))
      root.startChild({ id: "inner", kind: "supervisor", restart: "permanent", start: inner.run })
      inner.startChild(journal.child("a"))
      const fiber = yield* Effect.forkChild(Effect.flip(root.run), { startImmediately: true })
      yield* journal.crash("a")
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error.supervisor, "root")
      assert.deepStrictEqual(journal.news, ["+other", "+a", "-a", "-other"])
    }))
})

describe("stopping", () => {
  it.effect("terminateChild stops it for good, whatever its kind", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const supervisor = yield* journal.supervisor()
      supervisor.startChild(journal.child("a"))
      yield* supervisor.terminateChild("a")
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(journal.news, ["+a", "-a"])
      assert.isFalse(supervisor.has("a"))
      assert.isEmpty(journal.reports)
      yield* supervisor.terminateChild("a")
      assert.isTrue(supervisor.startChild(journal.child("a")))
    }))

  it.effect("terminateChild waits for the end, and cancels a restart that waits", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const supervisor = yield* journal.supervisor()
      supervisor.startChild(journal.slowChild("slow"))
      supervisor.startChild(journal.child("a"))
      const fiber = yield* Effect.forkChild(supervisor.terminateChild("slow"), { startImmediately: true })
      yield* TestClock.adjust("4 seconds")
      assert.isUndefined(fiber.pollUnsafe())
      assert.throws(() => supervisor.startChild(journal.child("slow")))
      yield* journal.letGo("slow")
      yield* Fiber.join(fiber)
      assert.isFalse(supervisor.has("slow"))

      yield* journal.crash("a")
      yield* journal.crash("a")
      assert.strictEqual(supervisor.tree().children[0]?.status, "restarting")
      yield* supervisor.terminateChild("a")
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(journal.news, ["+slow", "+a", "-slow", "-a", "+a", "-a"])
    }))

  it.effect("terminateChild while its group restarts: it stays away", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const supervisor = yield* journal.supervisor({ strategy: "one-for-all" })
      for (const id of ["a", "b", "c"]) supervisor.startChild(journal.child(id))
      yield* journal.crash("a")
      yield* TestClock.adjust(0)
      yield* journal.crash("a")
      yield* TestClock.adjust("50 millis")
      yield* supervisor.terminateChild("b")
      assert.isEmpty(journal.news.slice(-3).filter((entry) => entry.startsWith("+")))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(journal.news, ["+a", "+c"])
    }))

  it.effect("the end of the scope stops all, last first, each ended before the next is asked", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const scope = yield* Scope.make()
      const supervisor = yield* Scope.provide(journal.supervisor(), scope)
      supervisor.startChild(journal.child("a"))
      supervisor.startChild(journal.slowChild("slow"))
      supervisor.startChild(journal.child("c", "temporary"))
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      assert.isFalse(supervisor.startChild(journal.child("d")))
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(journal.news, ["+a", "+slow", "+c", "-c"])
      yield* journal.letGo("slow")
      assert.deepStrictEqual(journal.news, ["-slow", "-a"])
      yield* Fiber.join(closing)
      assert.isEmpty(journal.reports)
      assert.strictEqual(supervisor.children, 0)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(supervisor.run)))
    }))

  it.effect("together: all are asked at once, and waited for", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const scope = yield* Scope.make()
      const supervisor = yield* Scope.provide(journal.supervisor({ shutdown: "together" }), scope)
      for (const id of ["a", "b", "c"]) {
        supervisor.startChild(journal.slowChild(id))
      }
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      for (const id of ["b", "c"]) yield* journal.letGo(id)
      assert.deepStrictEqual(journal.news, ["+a", "+b", "+c", "-b", "-c"])
      assert.isUndefined(closing.pollUnsafe())
      yield* journal.letGo("a")
      yield* Fiber.join(closing)
    }))

  it.effect("one that does not end within its time is left to itself, and said so", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const scope = yield* Scope.make()
      const supervisor = yield* Scope.provide(journal.supervisor(), scope)
      supervisor.startChild(journal.child("a"))
      supervisor.startChild({
        ...journal.child("stuck", "permanent", { shutdownMillis: 300 }),
        start: Effect.uninterruptible(Effect.never)
      })
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* TestClock.adjust("299 millis")
      assert.deepStrictEqual(journal.news, ["+a"])
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(closing)
      assert.deepStrictEqual(journal.news, ["-a"])
      assert.deepStrictEqual(journal.actions, ["stuck abandoned"])
      assert.match(journal.reports[0]?.cause ?? "", /did not end within 300 ms/)
    }))

  it.effect("5 seconds are the default for a worker", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const supervisor = yield* journal.supervisor()
      supervisor.startChild({ ...journal.child("stuck"), start: Effect.uninterruptible(Effect.never) })
      const fiber = yield* Effect.forkChild(supervisor.terminateChild("stuck"), { startImmediately: true })
      yield* TestClock.adjust("4999 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(fiber)
      assert.isFalse(supervisor.has("stuck"))
    }))

  it.effect("a crash on the way out is reported and restarts nothing", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const scope = yield* Scope.make()
      const supervisor = yield* Scope.provide(journal.supervisor({ strategy: "one-for-all" }), scope)
      supervisor.startChild(journal.child("a"))
      supervisor.startChild({
        ...journal.child("b"),
        start: Effect.onExit(journal.life("b"), () => Effect.die("cannot clean up"))
      })
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(journal.news, ["+a", "+b", "-b", "-a"])
      assert.deepStrictEqual(journal.actions, ["b ended"])
    }))

  it.effect("interrupting run stops the children; run again starts them again", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const supervisor = yield* journal.supervisor()
      supervisor.startChild(journal.child("a"))
      supervisor.startChild(journal.child("b", "temporary"))
      const fiber = yield* Effect.forkChild(supervisor.run, { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(journal.news, ["+a", "+b", "-b", "-a"])
      assert.strictEqual(supervisor.tree().status, "ended")
      yield* Effect.forkChild(supervisor.run, { startImmediately: true })
      assert.deepStrictEqual(journal.news, ["+a"])
      assert.isTrue(supervisor.startChild(journal.child("c")))
    }))

  it.effect("a restart that waits does not happen while the others are being stopped", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const supervisor = yield* journal.supervisor()
      supervisor.startChild(journal.child("a"))
      supervisor.startChild(journal.slowChild("slow", { shutdownMillis: Infinity }))
      const fiber = yield* Effect.forkChild(supervisor.run, { startImmediately: true })
      yield* journal.crash("a")
      yield* journal.crash("a")
      assert.deepStrictEqual(journal.news, ["+a", "+slow", "-a", "+a", "-a"])
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(fiber), { startImmediately: true })
      yield* TestClock.adjust("1 minute")
      assert.isEmpty(journal.news)
      yield* journal.letGo("slow")
      yield* Fiber.join(interrupting)
      yield* Effect.forkChild(supervisor.run, { startImmediately: true })
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(journal.news, ["-slow", "+a", "+slow"])
    }))

  it.effect("a group's restart that waits ends with the life in which it was asked for", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const supervisor = yield* journal.supervisor({ strategy: "rest-for-one" })
      supervisor.startChild(journal.child("a"))
      const fiber = yield* Effect.forkChild(supervisor.run, { startImmediately: true })
      yield* journal.crash("a")
      yield* TestClock.adjust(0)
      yield* journal.crash("a")
      yield* Fiber.interrupt(fiber)
      yield* Effect.forkChild(supervisor.run, { startImmediately: true })
      assert.deepStrictEqual(journal.news, ["+a", "-a", "+a", "-a", "+a"])
      // Were the old one still waiting, this crash would wait behind it.
      yield* journal.crash("a")
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(journal.news, ["-a", "+a"])
    }))

  it.effect("a scope that ends while a group restarts, and while a restart waits, stops both", () =>
    Effect.gen(function* () {
      for (const strategy of ["one-for-one", "one-for-all"] as const) {
        const journal = new Journal()
        const scope = yield* Scope.make()
        const supervisor = yield* Scope.provide(journal.supervisor({ strategy }), scope)
        supervisor.startChild(journal.child("a"))
        supervisor.startChild(journal.child("b"))
        yield* journal.crash("a")
        yield* TestClock.adjust(0)
        yield* journal.crash("a")
        yield* TestClock.adjust("50 millis")
        yield* Scope.close(scope, Exit.void)
        const begun = journal.entries.filter((entry) => entry.startsWith("+"))
        const ended = journal.entries.filter((entry) => entry.startsWith("-"))
        assert.lengthOf(ended, begun.length)
        yield* TestClock.adjust("1 minute")
        assert.lengthOf(journal.entries, begun.length + ended.length)
      }
    }))
})

describe("tree", () => {
  it.effect("shows name, kind, restart, status and restarts, down to the leaves", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const root = yield* journal.supervisor({ name: "emqttd" })
      const inner = yield* journal.supervisor({ name: "sessions" })
      root.startChild(journal.child("store"))
      root.startChild({
        id: "sessions",
        kind: "supervisor",
        restart: "permanent",
        start: inner.run,
        inspect: (limit) => inner.tree(limit, limit)
      })
      inner.startChild({ ...journal.child("x", "transient"), id: 17 })
      yield* journal.crash("store")
      yield* journal.crash("store")
      const leaf = { name: "17", kind: "worker", restart: "transient", status: "running", restarts: 0, children: [] }
      assert.deepStrictEqual<unknown>(root.tree(), {
        name: "emqttd",
        kind: "supervisor",
        restart: "permanent",
        status: "running",
        restarts: 0,
        children: [
          { name: "store", kind: "worker", restart: "permanent", status: "restarting", restarts: 2, children: [] },
          {
            name: "sessions",
            kind: "supervisor",
            restart: "permanent",
            status: "running",
            restarts: 0,
            children: [leaf]
          }
        ]
      })
    }))
})

class Greeter extends MailboxActor<string> {
  said: Array<string> = []
  ends = 0
  protected override handle(message: string): void {
    if (message === "crash") throw new Error("rude")
    this.said.push(message)
  }
  protected override closed(): void {
    this.ends++
  }
}

describe("actors as children", () => {
  it.effect("a crash restarts the actor, which handles what is left in its mailbox; others notice nothing", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const scheduler = new Scheduler()
      const supervisor = yield* journal.supervisor()
      const [one, two] = [new Greeter("one", scheduler, 10), new Greeter("two", scheduler, 10)]
      supervisor.startChild({ id: "one", kind: "worker", restart: "transient", start: one })
      supervisor.startChild({ id: "two", kind: "worker", restart: "transient", start: two })
      for (const message of ["hello", "crash", "goodbye"]) {
        one.cast(message)
        two.cast(message.replace("crash", "how are you"))
      }
      yield* settled(scheduler)
      assert.deepStrictEqual(one.said, ["hello", "goodbye"])
      assert.deepStrictEqual(two.said, ["hello", "how are you", "goodbye"])
      assert.deepStrictEqual(journal.actions, ["one restarted"])
      assert.match(journal.reports[0]?.cause ?? "", /rude[^]*Supervisor\.test/)
      assert.deepStrictEqual([one.ends, two.ends], [1, 0])
    }))

  it.effect("an actor that stops is forgotten; one that is terminated is stopped", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const scheduler = new Scheduler()
      const supervisor = yield* journal.supervisor()
      const [one, two] = [new Greeter("one", scheduler, 10), new Greeter("two", scheduler, 10)]
      supervisor.startChild({ id: 1, kind: "worker", restart: "transient", start: one })
      supervisor.startChild({ id: 2, kind: "worker", restart: "permanent", start: two })
      one.stop()
      yield* supervisor.terminateChild(2)
      assert.strictEqual(supervisor.children, 0)
      assert.isTrue(one.ended)
      assert.isTrue(two.ended)
      assert.deepStrictEqual([one.ends, two.ends], [1, 1])
      assert.isEmpty(journal.reports)
    }))

  it.effect("the router of a rest-for-one tree is restarted with its followers, its mail kept", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const scheduler = new Scheduler()
      const supervisor = yield* journal.supervisor({ strategy: "rest-for-one" })
      const [store, router] = [new Greeter("store", scheduler, 10), new Greeter("router", scheduler, 10)]
      supervisor.startChild({ id: "store", kind: "worker", restart: "permanent", start: store })
      supervisor.startChild({ id: "router", kind: "worker", restart: "permanent", start: router })
      store.cast("crash")
      router.cast("subscribe")
      yield* settled(scheduler)
      yield* TestClock.adjust(0)
      yield* settled(scheduler)
      assert.deepStrictEqual([store.ends, router.ends], [1, 1])
      assert.isFalse(router.ended)
      assert.deepStrictEqual(router.said, ["subscribe"])
    }))

  it.effect("20,000 of them start and stop within a second", () =>
    Effect.gen(function* () {
      class Idle extends Actor {
        protected override receive(): void {}
      }
      const scheduler = new Scheduler()
      const scope = yield* Scope.make()
      const supervisor = yield* Scope.provide(
        Supervisor.make({ name: "many", strategy: "one-for-one", ...noRestart, shutdown: "together" }),
        scope
      )
      const actors = Array.from({ length: 20_000 }, () => new Idle("idle", scheduler))
      const began = performance.now()
      actors.forEach((start, id) => supervisor.startChild({ id, kind: "worker", restart: "temporary", start }))
      assert.strictEqual(supervisor.children, 20_000)
      yield* Scope.close(scope, Exit.void)
      assert.isBelow(performance.now() - began, 1000)
      assert.isTrue(actors.every((actor) => actor.ended))
      assert.strictEqual(supervisor.children, 0)
    }))

  it.effect("a defect in a life is told by its cause, its scope closed", () =>
    Effect.gen(function* () {
      const journal = new Journal()
      const supervisor = yield* journal.supervisor()
      supervisor.startChild(journal.child("a", "temporary"))
      yield* journal.crash("a")
      assert.deepStrictEqual(journal.news, ["+a", "-a"])
      const defect = journal.reports[0]?.defect
      assert.instanceOf(defect, Error)
      assert.strictEqual(Cause.pretty(Cause.die(defect)).split("\n")[0], journal.reports[0]?.cause.split("\n")[0])
    }))
})
