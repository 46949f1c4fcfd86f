// A session as frames: all of it comes out as it went in, with the times that are left by the clock of the other node.
import { assert, describe, it } from "@effect/vitest"
import { readSessionPart, sessionFrame, type SessionPart } from "../../src/cluster/sessions/sessionFrames.ts"
import type { StoredDelivery } from "../../src/store/Engine.ts"

const delivery = (sequence: number, size: number, expiresAt: number): StoredDelivery => ({
  session: 0,
  sequence,
  message: sequence,
  qos: sequence % 2 === 0 ? 1 : 2,
  retain: sequence === 3,
  topicFilter: "$share/g/a/+",
  subscriptionIdentifiers: [7, 268_435_455],
  state: 2,
  packetIdentifier: 65_535,
  stored: {
    message: sequence,
    packet: new Uint8Array(size).fill(sequence),
    shape: 9,
    publisher: "p",
    receivedAt: 900,
    expiresAt
  }
})

const subscription = (topicFilter: string) => ({
  topicFilter,
  qos: 2 as const,
  noLocal: true,
  retainAsPublished: true,
  retainHandling: 2 as const,
  subscriptionIdentifier: 7
})

const part: SessionPart = {
  clientId: "c\u{1f600}",
  token: 2 ** 52 + 1,
  session: 3,
  none: false,
  late: false,
  last: true,
  head: {
    row: {
      clientId: "c\u{1f600}",
      expiryMillis: Infinity,
      expiresAt: 5_000,
      connected: false,
      will: null
    },
    awaitingPubrel: [{ packetIdentifier: 77, since: 950 }],
    restored: 0,
    seen: [{ node: "n2", epoch: 5, sequence: 9 }],
    taken: [{ node: "n1", session: 7, sequence: 12, descends: true }]
  },
  subscriptions: [subscription("a/+")],
  deliveries: [delivery(1, 10, 0), delivery(2, 70_000, 4_000), delivery(3, 20, 0), delivery(4, 20, 0)]
}

const through = (given: SessionPart, hereAhead: number): ReadonlyArray<SessionPart> => {
  const parts: Array<SessionPart> = []
  let from = 0
  do {
    const { body, next } = sessionFrame(given, from, 1_000)
    parts.push(readSessionPart(Uint8Array.from(body), 1_000 + hereAhead))
    from = next
  } while (from < given.subscriptions.length + given.deliveries.length)
  return parts
}

describe("a session as frames", () => {
  it("comes out as it went in, large deliveries in frames of their own, the last frame alone says so", () => {
    const parts = through(part, 0)
    assert.strictEqual(parts.length, 2)
    assert.deepStrictEqual(parts.map(({ last }) => last), [false, true])
    assert.isNull(parts[1]?.head)
    assert.deepStrictEqual(
      parts[0]?.subscriptions.map((one) => ({ ...one })),
      [subscription("a/+")].map((one) => ({ session: 0, ...one }))
    )
    assert.deepStrictEqual({ ...parts[0]?.head?.row }, { ...part.head?.row })
    assert.deepStrictEqual(parts[0]?.head?.awaitingPubrel, part.head?.awaitingPubrel)
    assert.deepStrictEqual(parts.flatMap(({ deliveries }) => deliveries), part.deliveries)
  })

  it("times are those that are left, by a clock that is ten minutes ahead", () => {
    const [first, second] = through(part, 600_000)
    assert.strictEqual(first?.head?.row.expiresAt, 605_000)
    assert.strictEqual(first?.head?.awaitingPubrel[0]?.since, 600_950)
    assert.strictEqual(first?.deliveries[0]?.stored.expiresAt, 0)
    assert.strictEqual(first?.deliveries[1]?.stored.expiresAt, 604_000)
    assert.strictEqual(second?.deliveries[0]?.stored.receivedAt, 600_900)
  })

  it("nothing to move is one frame, and bytes that end too early throw", () => {
    const parts = through({ ...part, none: true, head: null, subscriptions: [], deliveries: [] }, 0)
    assert.deepStrictEqual(parts.map(({ last, none }) => ({ last, none })), [{ last: true, none: true }])
    const { body } = sessionFrame(part, 0, 0)
    assert.throws(() => readSessionPart(body.slice(0, body.length - 3), 0))
  })

  it("thousands of long filters go in frames of their own size, before the deliveries", () => {
    const filters = Array.from({ length: 300 }, (_, index) => `${"x".repeat(1_000)}/${index}`)
    const parts = through({ ...part, subscriptions: filters.map(subscription) }, 0)
    assert.isAbove(parts.length, 4)
    assert.deepStrictEqual(parts.map(({ head }) => head !== null), parts.map((_, index) => index === 0))
    assert.deepStrictEqual(
      parts.flatMap(({ subscriptions }) => subscriptions.map(({ topicFilter }) => topicFilter)),
      filters
    )
    assert.deepStrictEqual(parts.flatMap(({ deliveries }) => deliveries), part.deliveries)
    assert.deepStrictEqual(parts.map(({ last }) => last), parts.map((_, index) => index === parts.length - 1))
  })
})
