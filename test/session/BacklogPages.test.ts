// When a backlog is read: page by page, as its client takes them, and never what is not committed.
import { describe, expect, it } from "vitest"
import { Counters } from "../../src/metrics/Counters.ts"
import { Message } from "../../src/mqtt/Message.ts"
import { Scheduler } from "../../src/otp/Scheduler.ts"
import { Route } from "../../src/router/Route.ts"
import { Backlog } from "../../src/session/Backlog.ts"
import { DurableState } from "../../src/session/DurableState.ts"
import type { StoredDelivery } from "../../src/store/Engine.ts"
import { Journal } from "../../src/store/Journal.ts"
import { contentOf } from "../../src/store/storedMessage.ts"
import { type DeliveriesWanted, StoreReads } from "../../src/store/StoreReads.ts"

const message = Message.make({
  topic: "q",
  payload: Buffer.from("x"),
  qos: 1,
  retain: false,
  publisher: "p",
  properties: null,
  now: 1
})
const row = (sequence: number): StoredDelivery => ({
  session: 1,
  sequence,
  message: sequence,
  qos: 1,
  retain: false,
  topicFilter: "q",
  subscriptionIdentifiers: [],
  state: 0,
  packetIdentifier: 0,
  stored: { message: sequence, ...contentOf(message) }
})
const rows = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => row(from + at))

/** A backlog whose store is this test. */
const setup = (unread: number) => {
  const journal = new Journal({ scheduler: new Scheduler(), counters: new Counters(), enabled: true })
  const asked: Array<DeliveriesWanted> = []
  const reads = new StoreReads()
  reads.request = (wanted) => void asked.push(wanted)
  const owner = { woken: 0, wake: () => void owner.woken++ }
  const backlog = new Backlog(journal, reads, new DurableState(journal, 1, unread), unread, owner)
  let sequence = unread
  const subscriber = { clientId: "s", connected: true, deliver: () => {} }
  const route = Route.stored(subscriber, row(0))
  const add = () =>
    backlog.add({ message, route, record: journal.deliver(1, ++sequence, message, 1, false, "q", undefined) })
  const commit = () => {
    journal.park(() => {})
    journal.run()
    journal.groupCommitted()
  }
  return { backlog, asked, owner, add, commit }
}

const sequencesOf = (page: ReadonlyArray<StoredDelivery> | null) => page?.map(({ sequence }) => sequence) ?? []

describe("the pages of a backlog", () => {
  it("is read in pages, one at a time, when the client is there and the queue runs low", () => {
    const { asked, backlog, owner } = setup(300)
    backlog.readOn(0, false)
    backlog.readOn(128, true)
    expect(asked.length).toBe(0)
    backlog.readOn(127, true)
    backlog.readOn(0, true)
    expect(asked.map(({ after, limit }) => [after, limit])).toEqual([[0, 256]])
    asked[0]?.reply(rows(1, 256))
    expect(owner.woken).toBe(1)
    backlog.readOn(0, true)
    expect(asked.length).toBe(1)
    expect(sequencesOf(backlog.take()).length).toBe(256)
    expect(backlog.take()).toBe(null)
    expect(backlog.rest).toBe(null)
    backlog.readOn(0, true)
    expect(asked[1]?.after).toBe(256)
    asked[1]?.reply(rows(257, 300))
    expect(sequencesOf(backlog.take()).at(-1)).toBe(300)
    expect(backlog.rest).toEqual([])
    expect(backlog.size).toBe(0)
  })

  it("new deliveries follow what is on disk, each once, whether they were read with it or not", () => {
    const { add, asked, backlog, commit } = setup(10)
    add()
    add()
    expect(backlog.size).toBe(12)
    commit()
    backlog.readOn(0, true)
    asked[0]?.reply(rows(1, 12))
    expect(sequencesOf(backlog.take())).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    expect(backlog.rest?.map(({ record }) => record.sequence)).toEqual([11, 12])
  })

  it("beyond 256 new ones they are read back too, once they are committed", () => {
    const { add, asked, backlog, commit, owner } = setup(1)
    for (let i = 0; i < 257; i++) add()
    expect(backlog.size).toBe(258)
    backlog.readOn(0, true)
    asked[0]?.reply(rows(1, 1))
    expect(sequencesOf(backlog.take())).toEqual([1])
    expect(backlog.rest).toBe(null)
    // What is not committed cannot be read: it waits for a commit.
    backlog.readOn(0, true)
    expect(asked.length).toBe(1)
    commit()
    expect(owner.woken).toBe(2)
    backlog.readOn(0, true)
    expect(asked[1]?.after).toBe(1)
    asked[1]?.reply(rows(2, 257))
    expect(sequencesOf(backlog.take()).length).toBe(256)
    backlog.readOn(0, true)
    asked[2]?.reply(rows(258, 258))
    expect(sequencesOf(backlog.take())).toEqual([])
    expect(backlog.rest?.map(({ record }) => record.sequence)).toEqual([258])
  })

  it("what is counted and not there is not owed", () => {
    const { asked, backlog } = setup(5)
    backlog.readOn(0, true)
    asked[0]?.reply(rows(1, 3))
    expect(sequencesOf(backlog.take())).toEqual([1, 2, 3])
    expect(backlog.rest).toEqual([])
  })

  it("what is to be dropped is read without its client", () => {
    const { asked, backlog } = setup(5)
    backlog.excess = 1
    backlog.readOn(0, false)
    expect(asked.length).toBe(1)
  })
})
