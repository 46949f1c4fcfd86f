import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { defaultSettings, type RetainSettings } from "../../src/config/Settings.ts"
import { Counters } from "../../src/metrics/Counters.ts"
import type { Message } from "../../src/mqtt/Message.ts"
import { Scheduler } from "../../src/otp/Scheduler.ts"
import { Supervisor } from "../../src/otp/Supervisor.ts"
import { TimerWheel } from "../../src/otp/TimerWheel.ts"
import { RetainedTree } from "../../src/retain/RetainedTree.ts"
import { Retainer, type RetainerOptions } from "../../src/retain/Retainer.ts"
import { Journal } from "../../src/store/Journal.ts"
import { messageOn } from "../router/recorder.ts"

/** The defects to inject: one before anything is touched, one in the middle of a change. */
class Poisoned extends RetainedTree {
  override set(message: Message, expiresAt?: number): Message | undefined {
    if (message.topic !== "poison") return super.set(message, expiresAt)
    super.set(messageOn("half/done"))
    this.size += 100
    throw new Error("poison")
  }
}

const turns = (scheduler: Scheduler): Effect.Effect<void> =>
  Effect.promise(async () => {
    do await new Promise((resolve) => setImmediate(resolve))
    while (scheduler.busy)
  })

const supervised = (settings: Partial<RetainSettings> = {}, options: Partial<RetainerOptions> = {}) =>
  Effect.gen(function* () {
    let now = 1_000
    const scheduler = new Scheduler({ clock: () => now })
    const wheel = new TimerWheel<{ onTimer(): void }>(100, 64, now)
    const limits: Array<string> = []
    const crashes: Array<string> = []
    const retainer = new Retainer({
      scheduler,
      settings: { ...defaultSettings.retain, ...settings },
      wheel,
      onLimit: (limit, rejected, message) => limits.push(`${limit} ${rejected} ${message.topic}`),
      ...options
    })
    const supervisor = yield* Supervisor.make({
      name: "test",
      strategy: "one-for-one",
      intensity: { times: 10, withinMillis: 60_000 },
      onCrash: ({ cause }) => crashes.push(cause)
    })
    supervisor.startChild({ id: "retainer", kind: "worker", restart: "permanent", start: retainer })
    const pass = (millis: number) =>
      Effect.gen(function* () {
        const end = now + millis
        while (now < end) {
          now = Math.min(end, now + 100)
          scheduler.refresh()
          wheel.advance(now, (item) => item.onTimer())
          yield* turns(scheduler)
        }
      })
    return { retainer, scheduler, limits, crashes, wheel, pass }
  })

const topicsOf = (retainer: Retainer, filter = "#"): ReadonlyArray<string> => {
  const topics: Array<string> = []
  const cursor = retainer.cursor(filter)
  for (let message = cursor.next(); message !== undefined; message = cursor.next()) topics.push(message.topic)
  return topics.sort()
}

describe("Retainer", () => {
  it.effect("[MQTT-3.3.1-5] [MQTT-3.3.1-7] [MQTT-3.3.1-10] [MQTT-3.3.1-11] stores, replaces whatever the QoS, and deletes on an empty payload", () =>
    Effect.gen(function* () {
      const { retainer, scheduler } = yield* supervised()
      assert.isTrue(retainer.store(messageOn("a", { payload: "1", qos: 2 })))
      assert.isTrue(retainer.store(messageOn("b")))
      yield* turns(scheduler)
      const zero = messageOn("a", { payload: "22", qos: 0 })
      retainer.store(zero)
      retainer.store(messageOn("b", { payload: "" }))
      retainer.store(messageOn("c", { payload: "" }))
      yield* turns(scheduler)
      assert.strictEqual(retainer.get("a"), zero)
      assert.deepStrictEqual(topicsOf(retainer), ["a"])
      assert.deepStrictEqual([retainer.count, retainer.payloadBytes], [1, 2])
      const { deleted, replaced, stored } = retainer.counters
      assert.deepStrictEqual({ deleted, replaced, stored }, { deleted: 1, replaced: 1, stored: 2 })
    }))

  it.effect("max_messages: a new topic is refused, a known one replaced, room made by deleting is used", () =>
    Effect.gen(function* () {
      const { limits, retainer, scheduler } = yield* supervised({ maxMessages: 2 })
      for (const topic of ["a", "b", "c"]) retainer.store(messageOn(topic))
      yield* turns(scheduler)
      assert.deepStrictEqual(topicsOf(retainer), ["a", "b"])
      assert.isTrue(retainer.isFull(messageOn("c")))
      assert.isFalse(retainer.isFull(messageOn("a")))
      assert.isFalse(retainer.isFull(messageOn("c", { payload: "" })))
      const again = messageOn("a", { payload: "again" })
      retainer.store(again)
      retainer.store(messageOn("b", { payload: "" }))
      retainer.store(messageOn("c"))
      yield* turns(scheduler)
      assert.deepStrictEqual(topicsOf(retainer), ["a", "c"])
      assert.strictEqual(retainer.get("a"), again)
      assert.strictEqual(retainer.counters.rejectedMaxMessages, 1)
      assert.deepStrictEqual(limits, ["max_messages 1 c"])
    }))

  it.effect("max_payload: larger is refused, exactly as large is not", () =>
    Effect.gen(function* () {
      const { limits, retainer, scheduler } = yield* supervised({ maxPayloadBytes: 4 })
      retainer.store(messageOn("a", { payload: "1234" }))
      retainer.store(messageOn("b", { payload: "12345" }))
      yield* turns(scheduler)
      assert.deepStrictEqual(topicsOf(retainer), ["a"])
      assert.isTrue(retainer.isFull(messageOn("a", { payload: "12345" })))
      assert.strictEqual(retainer.counters.rejectedMaxPayload, 1)
      assert.deepStrictEqual(limits, ["max_payload 1 b"])
    }))

  it.effect("max_total: counts the payloads, and a replacement by its difference", () =>
    Effect.gen(function* () {
      const { retainer, scheduler } = yield* supervised({ maxTotalBytes: 10 })
      retainer.store(messageOn("a", { payload: "12345" }))
      retainer.store(messageOn("b", { payload: "12345" }))
      retainer.store(messageOn("c", { payload: "1" }))
      retainer.store(messageOn("a", { payload: "123456" }))
      retainer.store(messageOn("b", { payload: "123" }))
      retainer.store(messageOn("a", { payload: "1234567" }))
      yield* turns(scheduler)
      assert.deepStrictEqual(topicsOf(retainer), ["a", "b"])
      assert.strictEqual(retainer.payloadBytes, 10)
      assert.strictEqual(retainer.counters.rejectedMaxTotal, 2)
      assert.isTrue(retainer.isFull(messageOn("c")))
    }))

  it.effect("a full mailbox is counted and said; the log line comes once a while for each limit, with the count", () =>
    Effect.gen(function* () {
      const { limits, pass, retainer, scheduler } = yield* supervised({ mailboxCapacity: 2, maxMessages: 1 }, {
        warnMillis: 1_000
      })
      assert.deepStrictEqual([1, 2, 3, 4].map((n) => retainer.store(messageOn(`${n}`))), [true, true, false, false])
      assert.isTrue(retainer.isFull(messageOn("1")))
      yield* turns(scheduler)
      assert.strictEqual(retainer.counters.rejectedMailbox, 2)
      retainer.store(messageOn("5"))
      yield* turns(scheduler)
      assert.deepStrictEqual(limits, ["mailbox 1 3", "max_messages 1 2"])
      yield* pass(1_000)
      retainer.store(messageOn("6"))
      yield* turns(scheduler)
      assert.deepStrictEqual(limits.slice(2), ["max_messages 2 6"])
    }))

  it.effect("[MQTT5-3.3.2-5] what has expired is not given out any more and its memory is swept; the default expiry is for those without one", () =>
    Effect.gen(function* () {
      const { pass, retainer, scheduler, wheel } = yield* supervised({ expiryMillis: 20_000 })
      retainer.store(messageOn("own", { expirySeconds: 10, now: 1_000 }))
      retainer.store(messageOn("default", { now: 1_000 }))
      retainer.store(messageOn("long", { expirySeconds: 3_600, now: 1_000 }))
      yield* turns(scheduler)
      yield* pass(9_900)
      assert.deepStrictEqual(topicsOf(retainer), ["default", "long", "own"])
      yield* pass(100)
      assert.deepStrictEqual(topicsOf(retainer), ["default", "long"])
      yield* pass(10_000)
      assert.deepStrictEqual(topicsOf(retainer), ["long"])
      yield* pass(6_000)
      assert.strictEqual(retainer.count, 1)
      assert.strictEqual(retainer.counters.expired, 2)
      // An expiry set anew counts from the new message.
      retainer.store(messageOn("long", { expirySeconds: 1, now: 27_000 }))
      yield* turns(scheduler)
      yield* pass(12_000)
      assert.strictEqual(retainer.count, 0)
      assert.strictEqual(wheel.size, 0, "nothing expires: no timer is left")
      retainer.store(messageOn("one more", { expirySeconds: 1, now: 39_000 }))
      yield* turns(scheduler)
      yield* pass(8_000)
      assert.strictEqual(retainer.count, 0)
    }))

  it.effect("what is kept does not keep the chunk it came in, and one timer is enough for all", () =>
    Effect.gen(function* () {
      const { retainer, scheduler, wheel } = yield* supervised({ maxMessages: 3 })
      const detached: Array<string> = []
      for (const topic of ["a", "b", "c", "refused"]) {
        const message = messageOn(topic, { expirySeconds: 60, now: 1_000 })
        message.detach = () => detached.push(topic)
        retainer.store(message)
      }
      yield* turns(scheduler)
      assert.deepStrictEqual(detached, ["a", "b", "c"])
      assert.strictEqual(wheel.size, 1)
    }))

  it.effect("many are swept in small steps", () =>
    Effect.gen(function* () {
      const { pass, retainer, scheduler } = yield* supervised()
      for (let n = 0; n < 5_000; n++) retainer.store(messageOn(`t/${n}`, { expirySeconds: 1, now: 1_000 }))
      yield* turns(scheduler)
      yield* pass(5_000)
      assert.isAbove(retainer.count, 2_000)
      assert.isBelow(retainer.count, 5_000)
      yield* pass(300)
      assert.strictEqual(retainer.count, 0)
    }))
})

describe("what a retainer leaves in the journal", () => {
  it.effect("a rejected message does not overwrite what is recorded of the next one", () =>
    Effect.gen(function* () {
      const journal = new Journal({ scheduler: new Scheduler(), counters: new Counters(), enabled: true })
      const recorded: Array<string | null> = []
      journal.retain = (_topic, message) => recorded.push(message === null ? null : message.payload.toString())
      const { retainer, scheduler } = yield* supervised({ maxPayloadBytes: 3 }, { journal })
      retainer.store(messageOn("a", { payload: "too large" }))
      retainer.store(messageOn("a", { payload: "fit" }))
      yield* turns(scheduler)
      assert.strictEqual(retainer.get("a")?.payload.toString(), "fit")
      assert.strictEqual(recorded.at(-1), "fit")
      retainer.store(messageOn("a", { payload: "too large" }))
      retainer.store(messageOn("a", { payload: "" }))
      yield* turns(scheduler)
      assert.isNull(recorded.at(-1))
    }))
})

describe("a retainer that crashes", () => {
  it.effect("keeps what is retained, handles what waits, and makes a damaged tree anew", () =>
    Effect.gen(function* () {
      const clock = { now: 0 }
      const { crashes, retainer, scheduler } = yield* supervised({}, { tree: new Poisoned(() => clock.now) })
      const kept = messageOn("kept")
      retainer.store(kept)
      retainer.store(messageOn("gone"))
      yield* turns(scheduler)
      const cursor = retainer.cursor("#")
      retainer.store(messageOn("poison"))
      retainer.store(messageOn("gone", { payload: "" }))
      retainer.store(messageOn("after"))
      yield* turns(scheduler)
      assert.strictEqual(crashes.length, 1)
      assert.include(crashes[0], "poison")
      assert.strictEqual(retainer.rebuilds, 1)
      assert.deepStrictEqual(topicsOf(retainer), ["after", "half/done", "kept"])
      assert.strictEqual(retainer.get("kept"), kept)
      assert.strictEqual(retainer.count, 3, "the damaged sum is counted anew")
      assert.strictEqual(cursor.next(), kept, "an open cursor goes on")
    }))

  it.effect("keeps its very tree when that is not to blame", () =>
    Effect.gen(function* () {
      const { crashes, pass, retainer, scheduler } = yield* supervised()
      retainer.store(messageOn("a", { expirySeconds: 2, now: 1_000 }))
      yield* turns(scheduler)
      retainer.crash(new Error("injected"))
      assert.isTrue(retainer.store(messageOn("b")))
      yield* turns(scheduler)
      assert.strictEqual(crashes.length, 1)
      assert.strictEqual(retainer.rebuilds, 0)
      assert.deepStrictEqual(topicsOf(retainer), ["a", "b"])
      yield* pass(10_000)
      assert.strictEqual(retainer.count, 1, "the sweep goes on after a crash")
    }))
})
