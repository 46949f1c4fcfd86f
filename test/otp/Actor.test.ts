import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { Actor } from "../../src/otp/Actor.ts"
import { ActorEnded, CallTimeout, MailboxActor, MailboxFull } from "../../src/otp/MailboxActor.ts"
import { Scheduler } from "../../src/otp/Scheduler.ts"
import { seeded, settle, settled, task } from "./turns.ts"

class Counter extends Actor {
  inbox: Array<string> = []
  batches: Array<ReadonlyArray<string>> = []
  hooks: Array<string> = []
  failInRestart = false

  tell(text: string): void {
    this.inbox.push(text)
    this.wake()
  }

  protected override receive(): void {
    const batch = this.inbox
    this.inbox = []
    this.batches.push(batch)
    if (batch.includes("crash")) throw new Error("crashed as told")
    if (batch.includes("stop")) this.stop()
  }

  protected override restarted(): void {
    this.hooks.push("restarted")
    if (this.failInRestart) throw new Error("cannot rebuild")
  }

  protected override closed(): void {
    this.hooks.push("closed")
  }
}

const counter = () => {
  const scheduler = new Scheduler(() => 1_000)
  return { scheduler, actor: new Counter("counter", scheduler) }
}

const defectOf = (exit: Exit.Exit<unknown, unknown>): string =>
  Exit.isFailure(exit) && Cause.hasDies(exit.cause) ? String(Cause.squash(exit.cause)) : "no defect"

describe("Actor", () => {
  it.effect("receives once for all wakes, and not inside the sender's stack", () =>
    Effect.gen(function* () {
      const { actor, scheduler } = counter()
      yield* Effect.forkChild(actor.life, { startImmediately: true })
      for (const text of ["a", "b", "c"]) actor.tell(text)
      assert.isEmpty(actor.batches)
      yield* settled(scheduler)
      assert.deepStrictEqual(actor.batches, [["a", "b", "c"]])
      assert.strictEqual(scheduler.tasks, 1)
      actor.tell("d")
      yield* settled(scheduler)
      assert.lengthOf(actor.batches, 2)
    }))

  it.effect("wakeNext goes before others and does not run it twice", () =>
    Effect.gen(function* () {
      const scheduler = new Scheduler(() => 1_000)
      const first = new Counter("first", scheduler)
      const second = new Counter("second", scheduler)
      let firstRanBefore = -1
      second.inbox.push("x")
      first.wake()
      second.wake()
      second.wakeNext()
      second.wakeNext()
      scheduler.enqueueNext(task(() => firstRanBefore = first.batches.length))
      yield* settled(scheduler)
      assert.strictEqual(firstRanBefore, 0)
      assert.lengthOf(second.batches, 1)
      assert.lengthOf(first.batches, 1)
    }))

  it.effect("stop ends the life normally, at once", () =>
    Effect.gen(function* () {
      const { actor, scheduler } = counter()
      const fiber = yield* Effect.forkChild(actor.life, { startImmediately: true })
      actor.tell("stop")
      assert.isUndefined(fiber.pollUnsafe())
      yield* settled(scheduler)
      assert.deepStrictEqual(fiber.pollUnsafe(), Exit.void)
      assert.isTrue(actor.ended)
      assert.isTrue(actor.stopped)
      assert.deepStrictEqual(actor.hooks, ["closed"])
      actor.tell("too late")
      yield* settled(scheduler)
      assert.lengthOf(actor.batches, 1)
    }))

  it.effect("what receive throws is a defect of the fiber, and of nobody else", () =>
    Effect.gen(function* () {
      const { actor, scheduler } = counter()
      const other = new Counter("other", scheduler)
      const fiber = yield* Effect.forkChild(actor.life, { startImmediately: true })
      const otherFiber = yield* Effect.forkChild(other.life, { startImmediately: true })
      actor.tell("crash")
      other.tell("fine")
      yield* settled(scheduler)
      assert.strictEqual(defectOf(yield* Fiber.await(fiber)), "Error: crashed as told")
      assert.isTrue(actor.ended)
      assert.isFalse(actor.stopped)
      assert.isUndefined(otherFiber.pollUnsafe())
      assert.deepStrictEqual(other.batches, [["fine"]])
    }))

  it.effect("interrupting the fiber is a stop", () =>
    Effect.gen(function* () {
      const { actor, scheduler } = counter()
      const fiber = yield* Effect.forkChild(actor.life, { startImmediately: true })
      actor.tell("never received")
      yield* Fiber.interrupt(fiber)
      yield* settled(scheduler)
      assert.isTrue(actor.ended)
      assert.isEmpty(actor.batches)
      assert.deepStrictEqual(actor.hooks, ["closed"])
    }))

  it.effect("life run again is another life, which first receives what was left", () =>
    Effect.gen(function* () {
      const { actor, scheduler } = counter()
      yield* Effect.forkChild(actor.life, { startImmediately: true })
      actor.tell("crash")
      yield* settled(scheduler)
      actor.tell("between two lives")
      yield* settled(scheduler)
      assert.lengthOf(actor.batches, 1)
      const fiber = yield* Effect.forkChild(actor.life, { startImmediately: true })
      assert.isFalse(actor.ended)
      assert.deepStrictEqual(actor.hooks, ["closed", "restarted"])
      yield* settled(scheduler)
      assert.deepStrictEqual(actor.batches, [["crash"], ["between two lives"]])
      yield* Fiber.interrupt(fiber)
      yield* Effect.forkChild(actor.life, { startImmediately: true })
      assert.isFalse(actor.ended)
      assert.deepStrictEqual(actor.hooks, ["closed", "restarted", "closed", "restarted"])
    }))

  it.effect("a life that cannot be rebuilt ends as it begins, and the next may do", () =>
    Effect.gen(function* () {
      const { actor } = counter()
      yield* Effect.forkChild(actor.life, { startImmediately: true })
      actor.crash("x")
      actor.failInRestart = true
      assert.strictEqual(defectOf(yield* Effect.exit(actor.life)), "Error: cannot rebuild")
      assert.isTrue(actor.ended)
      actor.failInRestart = false
      const fiber = yield* Effect.forkChild(actor.life, { startImmediately: true })
      assert.isFalse(actor.ended)
      assert.isUndefined(fiber.pollUnsafe())
    }))

  it.effect("what ends before its life begins says so when it begins, once", () =>
    Effect.gen(function* () {
      const { actor, scheduler } = counter()
      actor.tell("crash")
      yield* settled(scheduler)
      assert.strictEqual(defectOf(yield* Effect.exit(actor.life)), "Error: crashed as told")
      const fiber = yield* Effect.forkChild(actor.life, { startImmediately: true })
      assert.isUndefined(fiber.pollUnsafe())

      const early = new Counter("early", scheduler)
      early.stop()
      assert.deepStrictEqual(yield* Effect.exit(early.life), Exit.void)
      const again = yield* Effect.forkChild(early.life, { startImmediately: true })
      assert.isUndefined(again.pollUnsafe())
      assert.isFalse(early.ended)
      early.tell("works")
      yield* settled(scheduler)
      assert.deepStrictEqual(early.batches.at(-1), ["works"])
    }))

  it.effect("has one life at a time", () =>
    Effect.gen(function* () {
      const { actor } = counter()
      const fiber = yield* Effect.forkChild(actor.life, { startImmediately: true })
      assert.strictEqual(defectOf(yield* Effect.exit(actor.life)), "Error: counter is alive already")
      assert.isUndefined(fiber.pollUnsafe())
      actor.stop()
      assert.deepStrictEqual(fiber.pollUnsafe(), Exit.void)
    }))

  it("no wake-up is lost and no mail is left, in 1,000 random conversations", async () => {
    class Gossip extends Actor {
      inbox = 0
      received = 0
      onReceive: () => void = () => {}
      get(): void {
        this.inbox++
        if (random(5) === 0) this.wakeNext()
        else this.wake()
      }
      protected override receive(): void {
        this.received += this.inbox
        this.inbox = 0
        this.onReceive()
      }
    }
    let random = seeded(0)
    for (let seed = 0; seed < 1000; seed++) {
      random = seeded(seed)
      const scheduler = new Scheduler({ turnGenerations: 1 + random(5) })
      const actors = Array.from({ length: 1 + random(6) }, (_, index) => new Gossip(String(index), scheduler))
      let sent = 0
      const sendSome = () => {
        for (let count = random(4); count > 0 && sent < 100; count--) {
          sent++
          actors[random(actors.length)]?.get()
        }
      }
      for (const actor of actors) actor.onReceive = sendSome
      for (let round = 0; round < 3; round++) {
        sendSome()
        await settle(scheduler)
        assert.strictEqual(actors.reduce((sum, actor) => sum + actor.received, 0), sent, `seed ${seed}`)
      }
    }
  })
})

type Question =
  | { readonly _tag: "Add"; readonly number: number }
  | { readonly _tag: "Sum"; readonly reply: (sum: number) => void }
  | { readonly _tag: "Keep"; readonly reply: (sum: number) => void }
  | { readonly _tag: "Crash" }
  | { readonly _tag: "Stop" }

class Adder extends MailboxActor<Question> {
  sum = 0
  kept: Array<(sum: number) => void> = []
  handled: Array<string> = []

  protected override handle(message: Question): void {
    this.handled.push(message._tag)
    switch (message._tag) {
      case "Add":
        this.sum += message.number
        return
      case "Sum":
        return message.reply(this.sum)
      case "Keep":
        this.kept.push(message.reply)
        return
      case "Crash":
        throw new Error("bad question")
      case "Stop":
        return this.stop()
    }
  }
}

const adder = (capacity = 100) => {
  const scheduler = new Scheduler(() => 1_000)
  return { scheduler, actor: new Adder("adder", scheduler, capacity) }
}

const add = (number: number): Question => ({ _tag: "Add", number })
const crash: Question = { _tag: "Crash" }
const sum = (reply: (sum: number) => void): Question => ({ _tag: "Sum", reply })

describe("MailboxActor", () => {
  it.effect("cast leaves a message, call brings the answer back", () =>
    Effect.gen(function* () {
      const { actor } = adder()
      yield* Effect.forkChild(actor.life, { startImmediately: true })
      assert.isTrue(actor.cast(add(2)))
      actor.cast(add(3))
      assert.strictEqual(actor.sum, 0)
      assert.strictEqual(yield* actor.call(sum, "1 second"), 5)
    }))

  it.effect("the caller goes on outside the actor's stack", () =>
    Effect.gen(function* () {
      const { actor, scheduler } = adder()
      yield* Effect.forkChild(actor.life, { startImmediately: true })
      const caller = yield* Effect.forkChild(
        Effect.flatMap(actor.call(sum, "1 second"), () => Effect.sync(() => actor.handled.length)),
        { startImmediately: true }
      )
      actor.cast(add(1))
      actor.cast(add(2))
      yield* settled(scheduler)
      assert.strictEqual(yield* Fiber.join(caller), 3)
    }))

  it.effect("a full mailbox refuses, and asks for its owner to run next", () =>
    Effect.gen(function* () {
      const { actor, scheduler } = adder(2)
      yield* Effect.forkChild(actor.life, { startImmediately: true })
      let handledBefore = 0
      scheduler.enqueue(task(() => handledBefore = actor.handled.length))
      assert.isTrue(actor.cast(add(1)))
      assert.isTrue(actor.cast(add(2)))
      assert.isFalse(actor.cast(add(3)))
      const error = yield* Effect.flip(actor.call(sum, "1 second"))
      assert.instanceOf(error, MailboxFull)
      assert.strictEqual(error.message, "the mailbox of adder is full (2 messages)")
      yield* settled(scheduler)
      assert.strictEqual(handledBefore, 2)
      assert.strictEqual(actor.sum, 3)
      assert.strictEqual(actor.mailbox.rejected, 2)
    }))

  it.effect("CallTimeout when no answer comes; the late answer does no harm", () =>
    Effect.gen(function* () {
      const { actor, scheduler } = adder()
      yield* Effect.forkChild(actor.life, { startImmediately: true })
      const fiber = yield* Effect.forkChild(
        Effect.flip(actor.call<number>((reply) => ({ _tag: "Keep", reply }), "2 seconds")),
        { startImmediately: true }
      )
      yield* settled(scheduler)
      yield* TestClock.adjust("1999 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      const error = yield* Fiber.join(fiber)
      assert.instanceOf(error, CallTimeout)
      assert.strictEqual(error.message, "adder did not answer within 2000 ms")
      for (const reply of actor.kept) reply(1)
    }))

  it.effect("an answer may come in a later batch", () =>
    Effect.gen(function* () {
      const { actor, scheduler } = adder()
      yield* Effect.forkChild(actor.life, { startImmediately: true })
      const fiber = yield* Effect.forkChild(
        actor.call<number>((reply) => ({ _tag: "Keep", reply }), "2 seconds"),
        { startImmediately: true }
      )
      yield* settled(scheduler)
      for (const reply of actor.kept) reply(42)
      assert.strictEqual(yield* Fiber.join(fiber), 42)
    }))

  it.effect("ActorEnded for those who wait and those who come", () =>
    Effect.gen(function* () {
      const { actor, scheduler } = adder()
      yield* Effect.forkChild(actor.life, { startImmediately: true })
      const waiting = yield* Effect.forkChild(
        Effect.flip(actor.call<number>((reply) => ({ _tag: "Keep", reply }), "2 seconds")),
        { startImmediately: true }
      )
      actor.cast({ _tag: "Stop" })
      const behind = yield* Effect.forkChild(Effect.flip(actor.call(sum, "2 seconds")), { startImmediately: true })
      yield* settled(scheduler)
      assert.instanceOf(yield* Fiber.join(waiting), ActorEnded)
      assert.instanceOf(yield* Fiber.join(behind), ActorEnded)
      assert.instanceOf(yield* Effect.flip(actor.call(sum, "2 seconds")), ActorEnded)
      assert.isFalse(actor.cast(add(1)))
      assert.deepStrictEqual(actor.handled, ["Keep", "Stop"])
    }))

  it.effect("the message that crashed it is gone, the others are handled in the next life", () =>
    Effect.gen(function* () {
      const { actor, scheduler } = adder()
      const fiber = yield* Effect.forkChild(actor.life, { startImmediately: true })
      for (const message of [add(1), crash, add(10), crash, add(100)]) actor.cast(message)
      const answer = yield* Effect.forkChild(actor.call(sum, "1 second"), { startImmediately: true })
      yield* settled(scheduler)
      assert.strictEqual(defectOf(yield* Fiber.await(fiber)), "Error: bad question")
      assert.strictEqual(actor.sum, 1)
      assert.strictEqual(actor.mailbox.size, 4)
      actor.cast(add(1000))
      yield* settled(scheduler)
      assert.strictEqual(actor.sum, 1)

      const second = yield* Effect.forkChild(actor.life, { startImmediately: true })
      yield* settled(scheduler)
      assert.strictEqual(defectOf(yield* Fiber.await(second)), "Error: bad question")
      assert.strictEqual(actor.sum, 11)

      yield* Effect.forkChild(actor.life, { startImmediately: true })
      yield* settled(scheduler)
      assert.strictEqual(yield* Fiber.join(answer), 111)
      assert.strictEqual(actor.sum, 1111)
      assert.deepStrictEqual(actor.handled, ["Add", "Crash", "Add", "Crash", "Add", "Sum", "Add"])
    }))

  it.effect("a call that the crashed life had taken fails at once", () =>
    Effect.gen(function* () {
      const { actor, scheduler } = adder()
      yield* Effect.forkChild(actor.life, { startImmediately: true })
      const taken = yield* Effect.forkChild(
        Effect.flip(actor.call<number>((reply) => ({ _tag: "Keep", reply }), "2 seconds")),
        { startImmediately: true }
      )
      actor.cast(crash)
      yield* settled(scheduler)
      assert.instanceOf(yield* Fiber.join(taken), ActorEnded)
    }))

  it.effect("after a stop another life takes messages again", () =>
    Effect.gen(function* () {
      const { actor, scheduler } = adder()
      yield* Effect.forkChild(actor.life, { startImmediately: true })
      actor.cast({ _tag: "Stop" })
      yield* settled(scheduler)
      assert.isFalse(actor.cast(add(1)))
      yield* Effect.forkChild(actor.life, { startImmediately: true })
      assert.isTrue(actor.cast(add(2)))
      yield* settled(scheduler)
      assert.strictEqual(actor.sum, 2)
    }))
})
