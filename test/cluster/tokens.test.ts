// Which of two sessions of one client id is the later one is known across restarts of their nodes. Whole brokers, with their stores.
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { BrokerCluster, type ClusteredBroker, until } from "./BrokerCluster.ts"

let cluster = new BrokerCluster()
beforeEach(() => {
  cluster = new BrokerCluster()
})
afterEach(() => cluster.stop())

const filtersOf = ({ broker }: ClusteredBroker) => broker.sessions.get("s")?.subscriptions?.topicFilters()

describe("a token is kept with its session", { timeout: 60_000 }, () => {
  it("a client that went on elsewhere keeps its session when that node was restarted and the first one is back", async () => {
    const [, b, c] = await cluster.start("a", "b", "c")
    if (b === undefined || c === undefined) throw new Error()
    const first = await c.durable("s")
    await first.subscribe("old", 1)
    await first.disconnect()
    await cluster.kill("c")
    await cluster.sees("b", "c", false)
    await cluster.sees("a", "c", false)
    const second = await b.durable("s")
    assert.isFalse(second.connack.sessionPresent)
    await second.subscribe("new", 1)
    await second.disconnect()
    await cluster.kill("b")
    const again = await cluster.startOne("b")
    await cluster.sees("a", "b", true)
    const third = await again.durable("s")
    assert.isTrue(third.connack.sessionPresent)
    const back = await cluster.startOne("c")
    assert.isAbove(again.broker.sessions.get("s")?.token ?? 0, back.broker.sessions.get("s")?.token ?? 0)
    await until("one has it", () => [again, back].filter((node) => filtersOf(node) !== undefined).length === 1)
    await cluster.settled()
    assert.isTrue(again.broker.sessions.get("s")?.connected)
    assert.deepStrictEqual(filtersOf(again), ["new"])
    await third.expectNothing()
  })
})
