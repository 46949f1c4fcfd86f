// What a session is owed in the store and in memory at once: pages that are read while new deliveries come in.
import { assert, describe, it } from "@effect/vitest"
import { Counters } from "../../src/metrics/Counters.ts"
import { Message } from "../../src/mqtt/Message.ts"
import { Scheduler } from "../../src/otp/Scheduler.ts"
import { Route } from "../../src/router/Route.ts"
import { Backlog } from "../../src/session/Backlog.ts"
import { DurableState } from "../../src/session/DurableState.ts"
import type { StoredDelivery } from "../../src/store/Engine.ts"
import { Journal } from "../../src/store/Journal.ts"
import { type DeliveriesWanted, StoreReads } from "../../src/store/StoreReads.ts"
import { delivery, message as row } from "../store/rows.ts"

const setup = (stored: number) => {
  const journal = new Journal({ scheduler: new Scheduler(), counters: new Counters(), enabled: true })
  const asked: Array<DeliveriesWanted> = []
  const reads = new StoreReads()
  reads.request = (wanted) => void asked.push(wanted)
  const durable = new DurableState(journal, 1, stored)
  const backlog = new Backlog(journal, reads, durable, stored, { wake: () => {} })
  const subscriber = { clientId: "c", connected: true, deliver: () => {} }
  const route = Route.stored(subscriber, delivery(1, 1, 1))
  const come = () => {
    const message = Message.make({
      topic: "a",
      payload: Buffer.from("x"),
      qos: 1,
      retain: false,
      publisher: "p",
      properties: null,
      now: 1
    })
    const record = durable.deliver(message, route, false)
    if (record === null) throw new Error("not recorded")
    return { message, route, record }
  }
  const page = (...sequences: ReadonlyArray<number>): ReadonlyArray<StoredDelivery> =>
    sequences.map((sequence) => ({ ...delivery(1, sequence, sequence), stored: row(sequence) }))
  return { backlog, asked, come, page }
}

describe("Backlog", () => {
  it("deliveries that leave memory while a page is being read are read with the next one", () => {
    const { asked, backlog, come, page } = setup(2)
    backlog.readOn(0, true)
    for (let count = 0; count < 257; count++) backlog.add(come())
    // As it was when the page was asked for: nothing of the 257 is in it.
    asked[0]?.reply(page(1, 2))
    assert.deepStrictEqual(backlog.take()?.map(({ sequence }) => sequence), [1, 2])
    assert.isNull(backlog.rest)
    assert.strictEqual(backlog.size, 257)
  })

  it("a delivery that its session has not looked at yet is not taken from a page too", () => {
    const { asked, backlog, come, page } = setup(2)
    const waiting = come()
    backlog.readOn(0, true)
    asked[0]?.reply(page(1, 2, waiting.record.sequence))
    assert.deepStrictEqual(backlog.take()?.map(({ sequence }) => sequence), [1, 2])
    backlog.add(waiting)
    assert.deepStrictEqual(backlog.rest, [waiting])
  })
})
