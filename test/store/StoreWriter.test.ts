// A group on which the engine fails for ever, because of one part of it: the part is left out and named, the rest is committed.
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { Counters } from "../../src/metrics/Counters.ts"
import { Message } from "../../src/mqtt/Message.ts"
import { Scheduler } from "../../src/otp/Scheduler.ts"
import { type Changes, storeFailure } from "../../src/store/Engine.ts"
import { describePart, type Part } from "../../src/store/groupParts.ts"
import { Journal } from "../../src/store/Journal.ts"
import { openMemory } from "../../src/store/MemoryEngine.ts"
import { writing } from "../../src/store/StoreWriter.ts"
import { settled } from "../otp/turns.ts"
import { engineWith } from "../support/engineWith.ts"
import { session, subscription } from "./rows.ts"

const messageOn = (topic: string, qos: 0 | 1 = 1) =>
  Message.make({ topic, payload: Buffer.from("x"), qos, retain: false, publisher: "p", properties: null, now: 1 })

const sequencesIn = ({ deliveries }: Changes) => deliveries.map(({ sequence }) => sequence)

/** A writer of an engine that judges each group before it takes it. */
const setup = (judge: (changes: Changes) => Effect.Effect<void, ReturnType<typeof storeFailure>>) =>
  Effect.gen(function* () {
    const memory = yield* openMemory
    const engine = engineWith(memory, {
      commit: (changes, now) => Effect.andThen(Effect.suspend(() => judge(changes)), memory.commit(changes, now))
    })
    const scheduler = new Scheduler()
    const alarms: Array<string> = []
    const unstorable: Array<string> = []
    const journal = new Journal({
      scheduler,
      counters: new Counters(),
      enabled: true,
      onAlarm: (failure) => alarms.push(failure === undefined ? "over" : failure.message),
      onUnstorable: (topic) => unstorable.push(topic)
    })
    const setAside: Array<Part> = []
    const fiber = yield* Effect.forkScoped(
      writing(journal, engine, { retryMillis: 1_000, onSetAside: (part) => setAside.push(part) })
    )
    const pass = (seconds: number) =>
      Effect.replicateEffect(Effect.andThen(TestClock.adjust(1_000), settled(scheduler)), seconds, { discard: true })
    let sequence = 0
    const deliver = (message: Message, to = 1) => journal.deliver(to, ++sequence, message, 1, false, "a/+", undefined)
    const stored = Effect.map(memory.readDeliveries(1, 0, 100), (rows) => rows.map((row) => row.sequence))
    return { alarms, deliver, fiber, journal, memory, pass, setAside, stored, unstorable }
  })

describe("the store's writer", () => {
  it.effect("a part that makes the engine throw is found, left out and named; what is beside it is committed", () =>
    Effect.gen(function* () {
      const { alarms, deliver, fiber, journal, memory, pass, setAside, stored } = yield* setup((changes) => {
        if (sequencesIn(changes).includes(3)) throw new Error("poison")
        return changes.retained.some(({ topic }) => topic === "r/bad")
          ? Effect.fail(storeFailure("other", "value too long"))
          : Effect.void
      })
      journal.session(session(1))
      journal.subscription(subscription(1, "a/+"))
      for (let count = 0; count < 6; count++) deliver(messageOn("a/b"))
      journal.retain("r/good", messageOn("r/good"))
      journal.retain("r/bad", messageOn("r/bad"))
      yield* pass(15)
      assert.strictEqual(journal.committed, 1)
      assert.isUndefined(fiber.pollUnsafe())
      assert.deepStrictEqual(yield* stored, [1, 2, 4, 5, 6])
      assert.deepStrictEqual((yield* memory.readRetained("", 9)).map(({ topic }) => topic), ["r/good"])
      assert.strictEqual((yield* memory.readSessions(0, 9))[0]?.subscriptions.length, 1)
      assert.deepStrictEqual(setAside.map(({ kind }) => kind), ["messages", "retained"])
      const [message, retained] = setAside.map(describePart)
      assert.deepInclude(message, { part: "messages", message: 3, publisher: "p" })
      assert.deepInclude(retained, { part: "retained", topic: "r/bad" })
      assert.deepStrictEqual(alarms, ["the store's writer failed: Error: poison", "over"])
      // What comes later is committed as ever.
      deliver(messageOn("a/b"))
      yield* pass(1)
      assert.strictEqual(journal.committed, 2)
    }))

  it.effect("a store that takes nothing loses no part of the group, whatever it says", () =>
    Effect.gen(function* () {
      let broken = true
      const { deliver, journal, pass, setAside, stored } = yield* setup(() =>
        broken ? Effect.fail(storeFailure("other", "permission denied")) : Effect.void
      )
      journal.session(session(1))
      for (let count = 0; count < 6; count++) deliver(messageOn("a/b"))
      yield* pass(60)
      assert.strictEqual(journal.failing?.message, "permission denied")
      assert.strictEqual(journal.committed, 0)
      broken = false
      yield* pass(2)
      assert.deepStrictEqual(yield* stored, [1, 2, 3, 4, 5, 6])
      assert.deepStrictEqual(setAside, [])
    }))

  it.effect("a part that fails once more, and is taken then, is not left out", () =>
    Effect.gen(function* () {
      let failures = 7
      const { deliver, journal, pass, setAside, stored } = yield* setup((changes) =>
        sequencesIn(changes).includes(3) && failures-- > 0
          ? Effect.fail(storeFailure("other", "deadlock"))
          : Effect.void
      )
      journal.session(session(1))
      for (let count = 0; count < 6; count++) deliver(messageOn("a/b"))
      yield* pass(20)
      assert.isBelow(failures, 0)
      assert.deepStrictEqual(yield* stored, [1, 2, 3, 4, 5, 6])
      assert.deepStrictEqual(setAside, [])
    }))

  it.effect("a full disk in the middle of it is waited for", () =>
    Effect.gen(function* () {
      let full = false
      let times = 0
      const { deliver, journal, pass, setAside, stored } = yield* setup((changes) => {
        if (sequencesIn(changes).includes(3)) {
          full = times++ === 3
          throw new Error("poison")
        }
        return full ? Effect.fail(storeFailure("full", "no space left")) : Effect.void
      })
      journal.session(session(1))
      for (let count = 0; count < 6; count++) deliver(messageOn("a/b"))
      yield* pass(60)
      assert.strictEqual(journal.failing?.kind, "full")
      assert.deepStrictEqual(setAside, [])
      full = false
      yield* pass(6)
      assert.deepStrictEqual(yield* stored, [1, 2, 4, 5, 6])
      assert.strictEqual(journal.committed, 1)
      assert.strictEqual(setAside.length, 1)
    }))

  it.effect("a message that makes no row is left out with its deliveries, before the group goes", () =>
    Effect.gen(function* () {
      const { deliver, journal, pass, stored, unstorable } = yield* setup(() => Effect.void)
      const broken = messageOn("a/broken")
      Object.defineProperty(broken, "shape", {
        get: () => {
          throw new Error("a defect")
        }
      })
      journal.session(session(1))
      deliver(messageOn("a/b"))
      deliver(broken)
      deliver(messageOn("a/b"))
      journal.retain("a/broken", broken)
      yield* pass(2)
      assert.strictEqual(journal.committed, 1)
      assert.deepStrictEqual(yield* stored, [1, 3])
      assert.deepStrictEqual(unstorable, ["a/broken", "a/broken"])
    }))
})
