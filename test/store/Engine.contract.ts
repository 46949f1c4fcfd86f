// What every engine of the store does, in tests that each of them passes: `engineContract("sqlite", makeHarness)`.
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import {
  type Changes,
  DeliveryState,
  type Engine,
  type OpenEngine,
  type StoredDelivery,
  type StoredSession,
  type StoreFailure
} from "../../src/store/Engine.ts"
import { bytes, changes, delivery, message, session, subscription, whole } from "./rows.ts"

export interface EngineHarness {
  /** Opens the same store each time it is run. */
  readonly open: OpenEngine
  /** False: nothing survives the end of the scope. */
  readonly survives: boolean
}

type Run<A> = Effect.Effect<A, StoreFailure, Scope.Scope>

const allDeliveries = Effect.fnUntraced(function* (engine: Engine, number: number, limit = 100) {
  const all: Array<StoredDelivery> = []
  while (true) {
    const page = yield* engine.readDeliveries(number, all.at(-1)?.sequence ?? 0, limit)
    if (page.length === 0) return all
    assert.isAtMost(page.length, limit)
    all.push(...page)
  }
})

const allSessions = Effect.fnUntraced(function* (engine: Engine, limit = 100) {
  const all: Array<StoredSession> = []
  while (true) {
    const page = yield* engine.readSessions(all.at(-1)?.row.session ?? 0, limit)
    if (page.length === 0) return all
    assert.isAtMost(page.length, limit)
    all.push(...page)
  }
})

const counts = (engine: Engine) =>
  Effect.map(
    engine.stats,
    ({ deliveries, messages, records, retained, sessions, subscriptions }) => ({
      sessions,
      subscriptions,
      messages,
      deliveries,
      retained,
      records
    })
  )

const empty = { sessions: 0, subscriptions: 0, messages: 0, deliveries: 0, retained: 0, records: 0 }

export const engineContract = (
  name: string,
  harness: Effect.Effect<EngineHarness, never, Scope.Scope>,
  skipped?: string
): void => {
  /** Each test has a store of its own. */
  const test = (title: string, run: (engine: Engine, harness: EngineHarness) => Run<void>) =>
    it.live(title, (context) => {
      context.skip(skipped !== undefined, skipped)
      return Effect.gen(function* () {
        const made = yield* harness
        yield* run(yield* made.open, made)
      }).pipe(Effect.scoped)
    })

  /** Commits, then looks at the same store opened anew where it survives that; else as it is. */
  const reopening = (title: string, groups: ReadonlyArray<Changes>, look: (engine: Engine) => Run<void>) =>
    it.live(title, (context) => {
      context.skip(skipped !== undefined, skipped)
      return Effect.gen(function* () {
        const made = yield* harness
        const write = Effect.gen(function* () {
          const engine = yield* made.open
          for (const group of groups) yield* engine.commit(group, 1_700_000_000_500)
          yield* look(engine)
        })
        yield* Effect.scoped(write)
        if (made.survives) yield* Effect.scoped(Effect.flatMap(made.open, look))
      }).pipe(Effect.scoped)
    })

  describe(`engine ${name}`, () => {
    test("a new store is empty", (engine) =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* counts(engine), empty)
        assert.deepStrictEqual(engine.highest, { session: 0, message: 0, committedAt: 0 })
        assert.isEmpty(yield* engine.readSessions(0, 10))
        assert.isEmpty(yield* engine.readDeliveries(1, 0, 10))
        assert.isEmpty(yield* engine.readRetained("", 10))
      }))

    const plain = session(9, { clientId: "", expiryMillis: 0, expiresAt: Infinity })
    const subscriptions = [
      subscription(7, "a/+/ü", {
        qos: 2,
        noLocal: true,
        retainAsPublished: true,
        retainHandling: 2,
        subscriptionIdentifier: 268_435_455
      }),
      subscription(7, "b", { qos: 0, retainHandling: 1 })
    ]
    reopening(
      "every field of a session, its will and its subscriptions comes back",
      [changes({ sessions: [whole, plain], subscriptions })],
      (engine) =>
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* engine.readSessions(0, 10), [
            { row: whole, subscriptions, awaitingPubrel: [], owed: 0, lastSequence: 0 },
            { row: plain, subscriptions: [], awaitingPubrel: [], owed: 0, lastSequence: 0 }
          ])
        })
    )

    const binary = Uint8Array.from({ length: 70_000 }, (_, index) => (index * 31) & 255)
    const odd = message(2 ** 40 + 1, {
      packet: binary,
      shape: 63,
      publisher: "ä".repeat(300),
      receivedAt: 1_700_000_000_123,
      expiresAt: 1_800_000_000_321
    })
    const small = message(2 ** 40 + 2, { packet: new Uint8Array(0), publisher: "" })
    const owed = [
      delivery(1, 5, odd.message, {
        qos: 2,
        retain: true,
        topicFilter: "$share/g/ü/#",
        subscriptionIdentifiers: [1, 268_435_455],
        state: DeliveryState.AwaitingPubcomp,
        packetIdentifier: 65_535
      }),
      delivery(1, 2 ** 40, small.message, { topicFilter: "" })
    ]
    reopening(
      "every field of a message and of a delivery comes back, bytes of any kind and size too",
      [changes({ sessions: [session(1)], messages: [odd, small], deliveries: owed })],
      (engine) =>
        Effect.gen(function* () {
          assert.deepStrictEqual(
            yield* engine.readDeliveries(1, 0, 10),
            owed.map((row, index) => ({ ...row, stored: index === 0 ? odd : small }))
          )
          const [stored] = yield* engine.readSessions(0, 10)
          assert.strictEqual(stored?.owed, 2)
          assert.strictEqual(stored?.lastSequence, 2 ** 40)
        })
    )

    reopening(
      "the same key again replaces",
      [
        changes({ sessions: [session(1)], subscriptions: [subscription(1, "a")] }),
        changes({
          sessions: [session(1, { connected: false, expiresAt: 5 })],
          subscriptions: [subscription(1, "a", { qos: 2 })]
        })
      ],
      (engine) =>
        Effect.gen(function* () {
          const stored = yield* engine.readSessions(0, 10)
          assert.lengthOf(stored, 1)
          assert.deepStrictEqual(stored[0]?.row, session(1, { connected: false, expiresAt: 5 }))
          assert.deepStrictEqual(stored[0]?.subscriptions, [subscription(1, "a", { qos: 2 })])
        })
    )

    reopening(
      "the parts of a group are applied in their order",
      [
        changes({
          sessions: [session(1)],
          subscriptions: [subscription(1, "old")],
          messages: [message(1)],
          deliveries: [delivery(1, 1, 1)],
          awaitingPubrel: [{ session: 1, packetIdentifier: 9, since: 5 }]
        }),
        changes({
          sessionsEnded: [1],
          sessions: [session(1, { clientId: "again" }), session(2)],
          unsubscriptions: [{ session: 2, topicFilter: "kept" }],
          subscriptions: [subscription(2, "kept")],
          messages: [message(2), message(3)],
          deliveries: [delivery(2, 1, 2), delivery(2, 2, 3)],
          deliveryStates: [
            { session: 2, sequence: 1, state: DeliveryState.AwaitingPuback, packetIdentifier: 3 },
            { session: 2, sequence: 2, state: DeliveryState.AwaitingPuback, packetIdentifier: 4 }
          ],
          deliveriesDone: [{ session: 2, sequence: 1 }],
          awaitingPubrel: [
            { session: 2, packetIdentifier: 1, since: 77 },
            { session: 2, packetIdentifier: 2, since: 78 },
            { session: 2, packetIdentifier: 1, since: 0 }
          ],
          retained: [{ topic: "t", message: retainedOf(1) }, { topic: "t", message: null }]
        })
      ],
      (engine) =>
        Effect.gen(function* () {
          const [first, second] = yield* engine.readSessions(0, 10)
          assert.deepStrictEqual(first, {
            row: session(1, { clientId: "again" }),
            subscriptions: [],
            awaitingPubrel: [],
            owed: 0,
            lastSequence: 0
          })
          assert.deepStrictEqual(second?.subscriptions, [subscription(2, "kept")])
          assert.deepStrictEqual(second?.awaitingPubrel, [{ packetIdentifier: 2, since: 78 }])
          assert.deepStrictEqual(yield* engine.readDeliveries(2, 0, 10), [
            {
              ...delivery(2, 2, 3, { state: DeliveryState.AwaitingPuback, packetIdentifier: 4 }),
              stored: message(3)
            }
          ])
          assert.deepStrictEqual(yield* counts(engine), {
            sessions: 2,
            subscriptions: 1,
            messages: 1,
            deliveries: 1,
            retained: 0,
            records: 0
          })
        })
    )

    reopening(
      "of what a group says of one thing the last counts",
      [
        changes({
          sessions: [session(1, { connected: true }), session(1, { connected: false })],
          subscriptions: [subscription(1, "a", { qos: 0 }), subscription(1, "a", { qos: 2 })],
          messages: [message(1), message(1)],
          deliveries: [delivery(1, 1, 1, { topicFilter: "first" }), delivery(1, 1, 1, { topicFilter: "second" })],
          deliveryStates: [
            { session: 1, sequence: 1, state: DeliveryState.AwaitingPubrec, packetIdentifier: 3 },
            { session: 1, sequence: 1, state: DeliveryState.AwaitingPubcomp, packetIdentifier: 3 }
          ],
          awaitingPubrel: [
            { session: 1, packetIdentifier: 9, since: 1 },
            { session: 1, packetIdentifier: 9, since: 2 }
          ],
          retained: [{ topic: "t", message: retainedOf(1) }, { topic: "t", message: retainedOf(2) }]
        })
      ],
      (engine) =>
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* engine.readSessions(0, 10), [{
            row: session(1, { connected: false }),
            subscriptions: [subscription(1, "a", { qos: 2 })],
            awaitingPubrel: [{ packetIdentifier: 9, since: 2 }],
            owed: 1,
            lastSequence: 1
          }])
          assert.deepStrictEqual(yield* engine.readDeliveries(1, 0, 10), [{
            ...delivery(1, 1, 1, { topicFilter: "second", state: DeliveryState.AwaitingPubcomp, packetIdentifier: 3 }),
            stored: message(1)
          }])
          assert.deepStrictEqual(yield* engine.readRetained("", 10), [{ topic: "t", message: retainedOf(2) }])
          assert.strictEqual((yield* engine.stats).messages, 1)
        })
    )

    test("a session that ended takes everything of its own with it, and leaves what others are owed", (engine) =>
      Effect.gen(function* () {
        yield* engine.commit(
          changes({
            sessions: [session(1), session(2)],
            subscriptions: [subscription(1, "a"), subscription(2, "a")],
            messages: [message(1), message(2)],
            deliveries: [delivery(1, 1, 1), delivery(1, 2, 2), delivery(2, 1, 1)],
            awaitingPubrel: [{ session: 1, packetIdentifier: 1, since: 1 }]
          }),
          1
        )
        yield* engine.commit(changes({ sessionsEnded: [1] }), 2)
        assert.deepStrictEqual(yield* counts(engine), {
          ...empty,
          sessions: 1,
          subscriptions: 1,
          messages: 1,
          deliveries: 1
        })
        assert.isEmpty(yield* engine.readDeliveries(1, 0, 10))
        yield* engine.commit(changes({ sessions: [session(1)] }), 3)
        const [again] = yield* engine.readSessions(0, 1)
        assert.deepStrictEqual(again, {
          row: session(1),
          subscriptions: [],
          awaitingPubrel: [],
          owed: 0,
          lastSequence: 0
        })
      }))

    test("a message for many sessions goes with the last delivery that needs it", (engine) =>
      Effect.gen(function* () {
        const numbers = Array.from({ length: 50 }, (_, index) => index + 1)
        yield* engine.commit(changes({ sessions: numbers.map((number) => session(number)) }), 1)
        yield* engine.commit(
          changes({
            messages: [message(1), message(2)],
            deliveries: numbers.flatMap((number) => [delivery(number, 1, 1), delivery(number, 2, 2)])
          }),
          1
        )
        assert.strictEqual((yield* engine.stats).messages, 2)
        yield* engine.commit(changes({ deliveriesDone: numbers.slice(1).map((number) => done(number, 1)) }), 2)
        assert.strictEqual((yield* engine.stats).messages, 2)
        assert.deepStrictEqual((yield* engine.readDeliveries(1, 0, 1))[0]?.stored, message(1))
        yield* engine.commit(changes({ deliveriesDone: [done(1, 1)] }), 3)
        assert.strictEqual((yield* engine.stats).messages, 1)
        yield* engine.commit(changes({ sessionsEnded: numbers }), 4)
        assert.deepStrictEqual(yield* counts(engine), empty)
      }))

    test("a later group may owe an earlier message to one more session", (engine) =>
      Effect.gen(function* () {
        yield* engine.commit(
          changes({
            sessions: [session(1), session(2)],
            messages: [message(1)],
            deliveries: [delivery(1, 1, 1)]
          }),
          1
        )
        yield* engine.commit(changes({ messages: [message(1)], deliveries: [delivery(2, 1, 1)] }), 1)
        yield* engine.commit(changes({ deliveriesDone: [done(1, 1)] }), 1)
        assert.deepStrictEqual((yield* engine.readDeliveries(2, 0, 1))[0]?.stored, message(1))
        yield* engine.commit(changes({ deliveriesDone: [done(2, 1)] }), 1)
        assert.deepStrictEqual(yield* counts(engine), { ...empty, sessions: 2 })
      }))

    test("what is not there can be ended, unsubscribed, done and released", (engine) =>
      Effect.gen(function* () {
        yield* engine.commit(
          changes({
            sessionsEnded: [3],
            unsubscriptions: [{ session: 3, topicFilter: "a" }],
            deliveryStates: [{ session: 3, sequence: 1, state: DeliveryState.AwaitingPuback, packetIdentifier: 1 }],
            deliveriesDone: [done(3, 1)],
            awaitingPubrel: [{ session: 3, packetIdentifier: 1, since: 0 }],
            retained: [{ topic: "t", message: null }]
          }),
          1
        )
        assert.deepStrictEqual(yield* counts(engine), empty)
      }))

    test("pages of deliveries follow one another in order, done ones left out, and only of this session", (engine) =>
      Effect.gen(function* () {
        const sequences = Array.from({ length: 1_000 }, (_, index) => index + 1)
        yield* engine.commit(
          changes({
            sessions: [session(1), session(2), session(3)],
            messages: sequences.flatMap((number) => [message(number), message(number + 10_000)]),
            deliveries: sequences.flatMap((
              number
            ) => [delivery(2, number, number), delivery(1, number, number + 10_000)])
          }),
          1
        )
        yield* engine.commit(
          changes({ deliveriesDone: sequences.filter((number) => number % 3 === 0).map((number) => done(2, number)) }),
          1
        )
        const left = sequences.filter((number) => number % 3 !== 0)
        const read = yield* allDeliveries(engine, 2, 64)
        assert.deepStrictEqual(read.map((row) => row.sequence), left)
        assert.deepStrictEqual(read.map((row) => row.stored.message), left)
        assert.deepStrictEqual((yield* allDeliveries(engine, 1)).map((row) => row.message).slice(0, 2), [
          10_001,
          10_002
        ])
        assert.isEmpty([...yield* engine.readDeliveries(3, 0, 10), ...yield* engine.readDeliveries(2, 1_000, 10)])
        assert.deepStrictEqual([yield* engine.nextDelivery(2, 2), yield* engine.nextDelivery(2, 1_000)], [4, 0])
      }))

    test("pages of sessions follow one another, each with what it is owed", (engine) =>
      Effect.gen(function* () {
        const numbers = Array.from({ length: 250 }, (_, index) => index * 2 + 1)
        yield* engine.commit(
          changes({
            sessions: numbers.map((number) => session(number)),
            subscriptions: numbers.map((number) => subscription(number, `s/${number}`)),
            messages: numbers.map((number) => message(number)),
            deliveries: numbers.filter((number) => number % 3 === 0)
              .flatMap((number) => [delivery(number, 4, number), delivery(number, 6, number)]),
            awaitingPubrel: numbers.map((number) => ({ session: number, packetIdentifier: number, since: 5 }))
          }),
          1
        )
        const read = yield* allSessions(engine, 64)
        assert.deepStrictEqual(read.map(({ row }) => row.session), numbers)
        for (const { awaitingPubrel, lastSequence, owed, row, subscriptions } of read) {
          assert.deepStrictEqual(subscriptions, [subscription(row.session, `s/${row.session}`)])
          assert.deepStrictEqual(awaitingPubrel, [{ packetIdentifier: row.session, since: 5 }])
          assert.deepStrictEqual([owed, lastSequence], row.session % 3 === 0 ? [2, 6] : [0, 0])
        }
      }))

    reopening(
      "retained messages by topic: kept, replaced, removed, read in pages",
      [
        changes({ retained: ["a", "b", "c", "d", "ü/\u{1F600}"].map((topic) => ({ topic, message: retainedOf(1) })) }),
        changes({ retained: [{ topic: "b", message: retainedOf(2) }, { topic: "c", message: null }] })
      ],
      (engine) =>
        Effect.gen(function* () {
          const first = yield* engine.readRetained("", 2)
          assert.deepStrictEqual(first, [{ topic: "a", message: retainedOf(1) }, {
            topic: "b",
            message: retainedOf(2)
          }])
          const second = yield* engine.readRetained("b", 10)
          assert.deepStrictEqual(second.map(({ topic }) => topic), ["d", "ü/\u{1F600}"])
          assert.isEmpty(yield* engine.readRetained("ü/\u{1F600}", 10))
        })
    )

    test("what was read or given belongs to the reader: bytes are copies or never written again", (engine) =>
      Effect.gen(function* () {
        yield* engine.commit(
          changes({
            sessions: [session(1)],
            messages: [message(1), message(2)],
            deliveries: [delivery(1, 1, 1), delivery(1, 2, 2)]
          }),
          1
        )
        const read = yield* engine.readDeliveries(1, 0, 10)
        yield* engine.commit(changes({ deliveriesDone: [done(1, 1), done(1, 2)] }), 1)
        yield* engine.readDeliveries(1, 0, 10)
        assert.deepStrictEqual(read.map(({ stored }) => stored.packet), [bytes("packet 1"), bytes("packet 2")])
      }))

    test("a group of nothing is a group, tidying ends, and a big group goes whole", (engine) =>
      Effect.gen(function* () {
        yield* engine.commit(changes({}), 1)
        const sequences = Array.from({ length: 5_000 }, (_, index) => index + 1)
        yield* engine.commit(
          changes({
            sessions: [session(1)],
            messages: sequences.map((number) => message(number)),
            deliveries: sequences.map((number) => delivery(1, number, number))
          }),
          1
        )
        assert.strictEqual((yield* engine.stats).deliveries, 5_000)
        yield* engine.commit(changes({ deliveriesDone: sequences.map((number) => done(1, number)) }), 1)
        assert.deepStrictEqual(yield* counts(engine), { ...empty, sessions: 1 })
        let steps = 0
        while (yield* engine.tidy) assert.isBelow(++steps, 1_000)
      }))

    it.live("the highest numbers and the time of the last group outlast what had them", (context) => {
      context.skip(skipped !== undefined, skipped)
      return Effect.gen(function* () {
        const made = yield* harness
        const groups = [
          changes({ sessions: [session(41)], messages: [message(2 ** 40)], deliveries: [delivery(41, 1, 2 ** 40)] }),
          changes({ sessionsEnded: [41] }),
          changes({ sessions: [session(4)], messages: [message(5)], deliveries: [delivery(4, 1, 5)] })
        ]
        yield* Effect.scoped(Effect.gen(function* () {
          const engine = yield* made.open
          let now = 1_700_000_000_000
          for (const group of groups) yield* engine.commit(group, now++)
        }))
        const { highest } = yield* made.open
        assert.deepStrictEqual(
          highest,
          made.survives
            ? { session: 41, message: 2 ** 40, committedAt: 1_700_000_000_002 }
            : { session: 0, message: 0, committedAt: 0 }
        )
      }).pipe(Effect.scoped)
    })
  })
}

const done = (number: number, sequence: number) => ({ session: number, sequence })

const retainedOf = (number: number) => {
  const { message: _, ...rest } = message(number, { packet: bytes(`retained ${number}`), expiresAt: 1_900_000_000_000 })
  return rest
}
