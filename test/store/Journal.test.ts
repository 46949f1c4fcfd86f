import { assert, describe, it } from "@effect/vitest"
import { Counters } from "../../src/metrics/Counters.ts"
import { Message } from "../../src/mqtt/Message.ts"
import { TopicTable } from "../../src/mqtt/TopicTable.ts"
import { Scheduler } from "../../src/otp/Scheduler.ts"
import { type Changes, DeliveryState, noChanges, type SessionRow, type StoreFailure } from "../../src/store/Engine.ts"
import { Journal } from "../../src/store/Journal.ts"
import { messageOf } from "../../src/store/storedMessage.ts"
import { settle } from "../otp/turns.ts"

const messageOn = (topic: string, payload = "x") =>
  Message.make({
    topic,
    payload: Buffer.from(payload),
    qos: 1,
    retain: false,
    publisher: "p",
    properties: null,
    now: 1
  })

const rowOf = (session: number): SessionRow => ({
  session,
  clientId: `c${session}`,
  expiryMillis: 1000,
  expiresAt: Infinity,
  connected: true,
  will: null
})

/** A journal whose writer is this test: it takes a group when it says so. */
const setup = (enabled = true) => {
  const clock = { now: 1_000_000 }
  const scheduler = new Scheduler({ clock: () => clock.now })
  const alarms: Array<string | undefined> = []
  const journal = new Journal({
    scheduler,
    counters: new Counters(),
    enabled,
    onAlarm: (failure) => alarms.push(failure?.message)
  })
  const groups: Array<Changes> = []
  const park = () => journal.park((changes) => groups.push(changes))
  let sequence = 0
  const deliver = (message: Message, session = 1) =>
    journal.deliver(session, ++sequence, message, 1, false, "a/+", undefined)
  return { journal, scheduler, groups, park, deliver, alarms, clock, settle: () => settle(scheduler) }
}

const waiter = () => {
  const waiting = { woken: 0, wake: () => void waiting.woken++ }
  return waiting
}

describe("Journal", () => {
  it("once there was a group one goes every 10 s, so that a quiet broker is not taken for a dead one", async () => {
    const { clock, groups, journal, park, scheduler, settle } = setup()
    const later = async (millis: number) => {
      clock.now += millis
      scheduler.refresh()
      journal.tick()
      await settle()
    }
    park()
    await later(20_000)
    assert.strictEqual(groups.length, 0)
    journal.session(rowOf(1))
    await settle()
    journal.groupCommitted()
    park()
    await later(9_999)
    assert.strictEqual(groups.length, 1)
    await later(1)
    assert.deepStrictEqual(groups[1], noChanges)
    assert.strictEqual(journal.committed, 1)
    journal.groupCommitted()
    assert.strictEqual(journal.committed, 2)
  })

  it("one turn is one group, and a message is written once for all who are owed it", async () => {
    const { deliver, groups, journal, park, settle } = setup()
    park()
    const message = messageOn("a/b")
    deliver(message, 1)
    deliver(message, 2)
    deliver(messageOn("a/c"), 1)
    assert.strictEqual(groups.length, 0)
    await settle()
    assert.strictEqual(groups.length, 1)
    assert.deepStrictEqual(groups[0]?.messages.map((row) => row.message), [1, 2])
    assert.deepStrictEqual(groups[0]?.deliveries.map((row) => [row.session, row.sequence, row.message]), [
      [1, 1, 1],
      [2, 2, 1],
      [1, 3, 2]
    ])
    assert.strictEqual(journal.committed, 0)
    journal.groupCommitted()
    assert.strictEqual(journal.committed, 1)
  })

  it("what comes while the writer is busy is the next group", async () => {
    const { deliver, groups, journal, park, settle } = setup()
    park()
    deliver(messageOn("a/1"))
    await settle()
    assert.strictEqual(journal.group, 2)
    const message = messageOn("a/2")
    deliver(message)
    await settle()
    deliver(message)
    await settle()
    assert.strictEqual(groups.length, 1)
    journal.groupCommitted()
    park()
    await settle()
    assert.strictEqual(groups.length, 2)
    assert.strictEqual(groups[1]?.deliveries.length, 2)
    assert.strictEqual(groups[1]?.messages.length, 1)
  })

  it("a delivery that is done before its group went is never written, nor its message", async () => {
    const { deliver, groups, journal, park, settle } = setup()
    const message = messageOn("a/b")
    const first = deliver(message, 1)
    deliver(message, 2)
    const alone = deliver(messageOn("a/c"), 1)
    journal.done(first)
    journal.done(alone)
    park()
    await settle()
    assert.deepStrictEqual(groups[0]?.deliveries.map((row) => row.session), [2])
    assert.deepStrictEqual(groups[0]?.messages.map((row) => row.message), [1])
    assert.deepStrictEqual(groups[0]?.deliveriesDone, [])
  })

  it("a group of which nothing is left is committed without the writer", async () => {
    const { deliver, groups, journal, park, settle } = setup()
    const waiting = waiter()
    journal.wait(waiting)
    journal.done(deliver(messageOn("a/b")))
    park()
    await settle()
    assert.strictEqual(groups.length, 0)
    assert.strictEqual(journal.committed, 1)
    assert.strictEqual(waiting.woken, 1)
  })

  it("a message that many struck deliveries shared is written for one that comes after", async () => {
    const { deliver, groups, journal, park, settle } = setup()
    const message = messageOn("a/b")
    for (let i = 0; i < 1_100; i++) journal.done(deliver(message))
    deliver(message)
    park()
    await settle()
    assert.strictEqual(groups[0]?.deliveries.length, 1)
    assert.deepStrictEqual(groups[0]?.messages.map((row) => row.message), [groups[0]?.deliveries[0]?.message])
  })

  it("a delivery that has gone is done, or changes its state, in a later group", async () => {
    const { deliver, groups, journal, park, settle } = setup()
    park()
    const one = deliver(messageOn("a/b"))
    const other = deliver(messageOn("a/b"))
    journal.exchange(one, DeliveryState.AwaitingPuback, 7)
    await settle()
    assert.deepStrictEqual(groups[0]?.deliveries.map((row) => [row.state, row.packetIdentifier]), [[1, 7], [0, 0]])
    journal.groupCommitted()
    park()
    journal.exchange(other, DeliveryState.AwaitingPuback, 8)
    journal.done(one)
    journal.done(one)
    // Nobody waits for these: they go with the tick.
    await settle()
    assert.strictEqual(groups.length, 1)
    journal.tick()
    await settle()
    assert.deepStrictEqual(groups[1]?.deliveryStates, [{ session: 1, sequence: 2, state: 1, packetIdentifier: 8 }])
    assert.deepStrictEqual(groups[1]?.deliveriesDone, [{ session: 1, sequence: 1 }])
  })

  it("an ended session takes along what the same group says of it", async () => {
    const { deliver, groups, journal, park, settle } = setup()
    journal.session(rowOf(1))
    journal.session(rowOf(2))
    journal.awaitingPubrel(1, 5, 99)
    deliver(messageOn("a/b"), 1)
    journal.sessionEnded(1)
    park()
    await settle()
    assert.deepStrictEqual(groups[0]?.sessionsEnded, [1])
    assert.deepStrictEqual(groups[0]?.sessions.map((row) => row.session), [2])
    assert.deepStrictEqual(groups[0]?.deliveries, [])
    assert.deepStrictEqual(groups[0]?.messages, [])
    assert.deepStrictEqual(groups[0]?.awaitingPubrel, [])
  })

  it("the last word on a subscription and on a retained topic is what goes", async () => {
    const { groups, journal, park, settle } = setup()
    const row = {
      session: 1,
      topicFilter: "a/+",
      qos: 1,
      noLocal: false,
      retainAsPublished: false,
      retainHandling: 0,
      subscriptionIdentifier: 0
    } as const
    journal.subscription(row)
    journal.subscription({ ...row, topicFilter: "b" })
    journal.unsubscription(1, "b")
    journal.retain("r", messageOn("r", "old"))
    journal.retain("r", messageOn("r", "new"))
    journal.retain("gone", messageOn("gone"))
    journal.retain("gone", null)
    journal.putRecord("user", "a", Uint8Array.of(1))
    journal.putRecordLazily("user", "b", Uint8Array.of(1))
    journal.deleteRecord("user", "a")
    journal.putRecord("user", "b", Uint8Array.of(2))
    park()
    await settle()
    assert.deepStrictEqual(groups[0]?.subscriptions, [row])
    assert.deepStrictEqual(groups[0]?.unsubscriptions, [{ session: 1, topicFilter: "b" }])
    assert.deepStrictEqual(groups[0]?.records, [
      { kind: "user", key: "a", value: null },
      { kind: "user", key: "b", value: Uint8Array.of(2) }
    ])
    const [retained, gone] = groups[0]?.retained ?? []
    assert.deepStrictEqual(gone, { topic: "gone", message: null })
    if (retained === undefined || retained.message === null) throw new Error("nothing retained")
    const message = messageOf(retained.message, new TopicTable())
    assert.strictEqual(message.topic, "r")
    assert.strictEqual(message.payload.toString(), "new")
  })

  it("a group that fails is given again, its waiters are woken, and the alarm is raised and ended once", async () => {
    const { alarms, deliver, groups, journal, park, settle } = setup()
    const full: StoreFailure = { _tag: "StoreFailure", kind: "full", message: "no space" }
    park()
    deliver(messageOn("a/b"))
    await settle()
    const waiting = waiter()
    journal.wait(waiting)
    journal.groupFailed(full)
    journal.groupFailed(full)
    assert.strictEqual(waiting.woken, 1)
    assert.strictEqual(journal.failing, full)
    assert.strictEqual(journal.committed, 0)
    // The writer has crashed: its next life gets the same group.
    park()
    assert.strictEqual(groups.length, 2)
    assert.strictEqual(groups[1], groups[0])
    journal.groupCommitted()
    assert.strictEqual(journal.failing, null)
    assert.deepStrictEqual(alarms, ["no space", undefined])
  })

  it("what is withdrawn while its group fails is not in the next attempt, and is taken away where the last one had succeeded", async () => {
    const { deliver, groups, journal, park, settle } = setup()
    const full: StoreFailure = { _tag: "StoreFailure", kind: "full", message: "no space" }
    const messages = [messageOn("a/1"), messageOn("a/2"), messageOn("a/3")]
    park()
    for (const message of messages) deliver(message)
    const recorded = messages.map((message) => message.recorded)
    await settle()
    const forming = deliver(messageOn("a/4"))
    journal.groupFailed(full)
    if (recorded[1] === undefined || recorded[2] === undefined) throw new Error("not recorded")
    journal.withdraw(recorded[1])
    journal.withdraw(forming.recorded)
    assert.deepStrictEqual(journal.underWay.deliveries.map(({ sequence }) => sequence), [1, 3])
    assert.deepStrictEqual(journal.underWay.messages.map(({ message }) => message), [1, 3])
    assert.deepStrictEqual(journal.underWay.deliveriesDone.map(({ sequence }) => sequence), [2])
    // Refused while the attempt is under way that succeeds.
    journal.withdraw(recorded[2])
    journal.groupCommitted()
    park()
    journal.tick()
    await settle()
    assert.deepStrictEqual(groups[1]?.deliveries, [])
    assert.deepStrictEqual(groups[1]?.messages, [])
    assert.deepStrictEqual(groups[1]?.deliveriesDone, [{ session: 1, sequence: 3 }])
  })

  it("of many sessions that end at once some go with each group, oldest first, and those that somebody waits for at once", async () => {
    const { clock, groups, journal, park, scheduler, settle } = setup()
    for (let session = 1; session <= 600; session++) journal.sessionExpired(session)
    assert.strictEqual(journal.sessionEnded(1_000), 1)
    for (let group = 0; group < 3; group++) {
      park()
      clock.now += 100
      scheduler.refresh()
      journal.tick()
      await settle()
      journal.groupCommitted()
    }
    const ended = groups.map(({ sessionsEnded }) => sessionsEnded)
    assert.deepStrictEqual(ended.map(({ length }) => length), [257, 256, 88])
    assert.deepStrictEqual(
      ended.flat().filter((session) => session < 1_000),
      Array.from({ length: 600 }, (_, at) => at + 1)
    )
    let idle = 0
    journal.whenIdle(() => idle++)
    assert.strictEqual(idle, 1)
  })

  it("whenIdle calls back once all that was changed is committed", async () => {
    const { deliver, groups, journal, park, settle } = setup()
    let idle = 0
    journal.whenIdle(() => idle++)
    assert.strictEqual(idle, 1)
    park()
    const delivery = deliver(messageOn("a/b"))
    await settle()
    journal.done(delivery)
    journal.whenIdle(() => idle++)
    journal.groupCommitted()
    park()
    await settle()
    assert.strictEqual(groups.length, 2)
    assert.strictEqual(idle, 1)
    journal.groupCommitted()
    assert.strictEqual(idle, 2)
  })

  it("without a store nothing is recorded and nobody waits", () => {
    const { journal } = setup(false)
    assert.strictEqual(journal.committed, Infinity)
    assert.strictEqual(journal.retain("a", messageOn("a")), 0)
    assert.strictEqual(journal.putRecord("user", "a", Uint8Array.of(1)), 0)
    assert.strictEqual(journal.deleteRecord("user", "a"), 0)
    assert.strictEqual(journal.changes, 0)
  })
})
