// What a session has taken of sessions that other nodes had for its client, and that it is not taken twice: alone, and in a broker that is started again.
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import type { SessionState } from "../../src/session/RemoteSessions.ts"
import { TakenNotes } from "../../src/session/TakenNotes.ts"
import { DeliveryState, type StoredDelivery } from "../../src/store/Engine.ts"
import { contentOf } from "../../src/store/storedMessage.ts"
import { Message } from "../../src/mqtt/Message.ts"
import { DurableBroker } from "../support/durableBroker.ts"

/** The message is its number. */
const row = (sequence: number): StoredDelivery => {
  const message = Message.make({
    topic: "q",
    payload: new TextEncoder().encode(String(sequence)),
    qos: 2,
    retain: false,
    publisher: "p",
    properties: null,
    now: 0
  })
  return {
    session: 0,
    sequence,
    message: 0,
    qos: 2,
    retain: false,
    topicFilter: "q",
    subscriptionIdentifiers: [],
    state: DeliveryState.Queued,
    packetIdentifier: 0,
    stored: { message: 0, ...contentOf(message) }
  }
}

describe("TakenNotes", () => {
  it("knows for each session of each node how far it was taken, the sixteen newest", () => {
    const notes = new TakenNotes([])
    notes.add({ node: "a", session: 0 }, 5, true)
    expect(notes.all).toEqual([])
    notes.add({ node: "a", session: 1 }, 5, true)
    notes.add({ node: "b", session: 1 }, 9, true)
    notes.add({ node: "a", session: 1 }, 3, true)
    const rows = [row(4), row(5), row(6)]
    expect(notes.unknown({ node: "a", session: 1 }, rows)).toEqual([rows[2]])
    expect(notes.unknown({ node: "a", session: 2 }, rows)).toEqual(rows)
    expect(notes.unknown({ node: "b", session: 1 }, rows)).toEqual([])
    // What it has got since its node started again has come here as well.
    notes.offered({ node: "d", session: 1 }, 5)
    expect(notes.unknown({ node: "d", session: 1 }, rows)).toEqual(rows)
    notes.add({ node: "d", session: 1 }, 4, true)
    notes.offered({ node: "d", session: 1 }, 5)
    expect(notes.unknown({ node: "d", session: 1 }, rows)).toEqual([rows[1]])
    // One that was merged into this one may have got what this one has not.
    notes.add({ node: "e", session: 1 }, 4, false)
    notes.offered({ node: "e", session: 1 }, 5)
    expect(notes.unknown({ node: "e", session: 1 }, rows)).toEqual([rows[1], rows[2]])
    notes.forget({ node: "e", session: 1 })
    notes.add({ node: "d", session: 1 }, 5, true)
    expect(notes.unknown({ node: "d", session: 1 }, rows)).toEqual([])
    notes.forget({ node: "d", session: 1 })
    expect(notes.forget({ node: "b", session: 1 })).toBe(true)
    expect(notes.forget({ node: "b", session: 1 })).toBe(false)
    for (let session = 10; session < 30; session++) notes.add({ node: "c", session }, 1, true)
    expect(notes.all.map(({ session }) => session)).toEqual(Array.from({ length: 16 }, (_, index) => 14 + index))
  })
})

describe("a session that is offered again by the node that it was taken from", () => {
  let durable: DurableBroker
  beforeEach(() => {
    durable = new DurableBroker()
  })
  afterEach(() => durable.stop())

  const state = (from: number, to: number): SessionState => ({
    row: {
      clientId: "s",
      expiryMillis: 1_000_000,
      expiresAt: durable.broker.services.scheduler.now + 1e6,
      connected: false,
      will: null
    },
    subscriptions: [],
    awaitingPubrel: [],
    restored: 0,
    seen: [],
    taken: [{ node: "c", session: 4, sequence: 2, descends: false }],
    deliveries: Array.from({ length: to - from + 1 }, (_, index) => row(from + index)),
    from: { node: "a", session: 7 }
  })
  const take = (given: SessionState) =>
    new Promise<number>((resolve) => durable.broker.sessions.adopt(given, resolve)).then(() => settled())
  const settled = () =>
    new Promise<void>((resolve) => durable.broker.sessions.with("s", (session) => (session?.release(), resolve())))
  const owed = () => durable.broker.sessions.get("s")?.owed
  /** Its client takes what it is owed, to the end. */
  const received = async (count: number) => {
    const client = await durable.durable(5, "s")
    expect(client.connack.sessionPresent).toBe(true)
    const packets = await client.receivePublishes(count)
    for (const { messageId = 0 } of packets) {
      client.send({ cmd: "pubrec", messageId })
      await client.receive("pubrel", { messageId })
      client.send({ cmd: "pubcomp", messageId })
    }
    await client.disconnect()
    return packets.map(({ payload }) => String(payload))
  }

  it("gives only what is new of it, also after a restart", async () => {
    await durable.start()
    await take(state(1, 3))
    expect(await received(3)).toEqual(["1", "2", "3"])
    await durable.restart()
    await take(state(1, 5))
    expect(owed()).toBe(2)
    // Known from the node that it came from; another session of that node is not.
    await take({ ...state(1, 2), from: { node: "c", session: 4 } })
    expect(owed()).toBe(2)
    await take({ ...state(1, 2), from: { node: "c", session: 5 } })
    expect(owed()).toBe(4)
    expect(await received(4)).toEqual(["4", "5", "1", "2"])
  })

  it("is forgotten once it has ended there, and with the session here", async () => {
    await durable.start()
    await take(state(1, 3))
    const { journal } = durable.broker.services
    const deleted: Array<string> = []
    journal.onRecord = (kind, key, value) => value === null && deleted.push(`${kind} ${key}`)
    const number = durable.broker.sessions.get("s")?.durable?.number
    for (const from of [{ node: "a", session: 7 }, { node: "c", session: 4 }]) {
      durable.broker.sessions.with("s", (session) => session?.forgetTaken(from))
    }
    await settled()
    expect(deleted).toEqual([`session_taken ${number}`])
    await take({ ...state(4, 5), from: { node: "b", session: 1 } })
    await (await durable.connect(5, { clientId: "s", clean: true })).disconnect()
    expect(deleted.length).toBe(2)
  })
})
