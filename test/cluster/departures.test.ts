// A session on its way out, and all sessions of a node that leaves: what is waited for before they end here. Pure, over a network in memory.
import { assert, describe, it } from "@effect/vitest"
import { FrameKind } from "../../src/cluster/Bus.ts"
import { Departures } from "../../src/cluster/sessions/Departures.ts"
import { HandOver } from "../../src/cluster/sessions/HandOver.ts"
import { readSessionPart } from "../../src/cluster/sessions/sessionFrames.ts"
import type { SessionDeparture } from "../../src/session/RemoteSessions.ts"
import { MemoryNetwork } from "./MemoryBus.ts"

const routes = { epoch: 1, version: 7 }
const order = { clientId: "c", token: 9, to: "b", wanted: 0 } as const

const departing = (...others: ReadonlyArray<string>) => {
  const network = new MemoryNetwork({ delayMillis: 1 })
  const [a, b] = [network.node("a"), network.node("b")]
  for (const other of others) network.node(other)
  const said: Array<string> = []
  b.add({
    kinds: [FrameKind.SessionPart],
    linkUp: () => {},
    linkDown: () => {},
    receive: (_, __, body) => {
      const { late, last } = readSessionPart(body, 0)
      said.push(`part${late ? " late" : ""}${last ? " last" : ""}`)
    }
  })
  const departure: SessionDeparture = {
    head: {
      row: { clientId: "c", expiryMillis: 1, expiresAt: 1, connected: false, will: null },
      subscriptions: [],
      awaitingPubrel: [],
      restored: 0,
      seen: [],
      taken: []
    },
    session: 3,
    read: (reply) => reply([], false),
    mark: () => said.push("mark"),
    accepts: (origin) => said.push(`accepts ${["", "a", "b", "c", "d"].filter(origin).join()}`),
    finish: (done) => {
      said.push("finish")
      done?.(7)
    },
    abort: (done) => {
      said.push("abort")
      done()
    }
  }
  const departures = new Departures({
    bus: a,
    members: { present: ["a", "b", ...others] },
    ask: (peer, _, { version }) => said.push(`asks ${peer} for ${version}`),
    now: () => network.now,
    moveMillis: 2_000,
    post: (task) => task(),
    onStayed: (clientId, token) => said.push(`${clientId} stays under ${token}`),
    onEnded: ({ to }, session, group) => said.push(`${session} ended in ${group} for ${to}`)
  })
  a.add({ kinds: [], linkUp: () => {}, linkDown: ({ name }) => departures.linkDown(name), receive: () => {} })
  network.connectAll()
  departures.begin(order, departure, 4)
  network.advance(10)
  const take = () => said.splice(0)
  return { network, departures, take }
}

describe("Departures", () => {
  it("a session ends once the other node has what came late too, and tells it so", () => {
    const { departures, network, take } = departing()
    assert.deepStrictEqual(take(), ["part", "part last"])
    departures.taken("c", 8, routes)
    departures.taken("c", 9, routes)
    network.advance(10)
    assert.deepStrictEqual(take(), ["accepts a,c,d", "accepts ", "mark", "part late last"])
    assert.strictEqual(departures.size, 1)
    departures.taken("c", 9, routes)
    assert.deepStrictEqual([take(), departures.size], [["finish", "3 ended in 7 for b"], 0])
  })

  it("who does not give its word holds nobody up: what it sends follows, until it has", () => {
    const { departures, network, take } = departing("c")
    take()
    departures.taken("c", 9, routes)
    network.advance(10)
    departures.tick(network.now + 900)
    // A member without a link that comes meanwhile, d, is taken in too.
    assert.deepStrictEqual([take(), departures.has("c")], [["accepts a,c,d"], true])
    departures.tick(network.now + 1_100)
    network.advance(10)
    assert.deepStrictEqual(take(), ["accepts c", "mark", "part late last"])
    departures.taken("c", 9, routes)
    assert.deepStrictEqual([take(), departures.has("c"), departures.size], [[], false, 1])
    departures.tick(network.now + 1_100)
    network.advance(10)
    assert.deepStrictEqual(take(), ["asks c for 7", "mark"], "nothing has come: nothing is sent")
    departures.tick(network.now + 60_000)
    assert.deepStrictEqual(take(), ["asks c for 7", "mark"], "it goes on")
    departures.fencePassed("c", "c", 9)
    departures.tick(network.now)
    network.advance(10)
    assert.deepStrictEqual(take(), ["accepts ", "mark", "part late last"])
    departures.taken("c", 9, routes)
    assert.deepStrictEqual([take(), departures.size], [["finish", "3 ended in 7 for b"], 0])
  })

  it("the rest is for the session that has come back, and is looked for anew where that has moved on", () => {
    for (const how of ["recall", "refused"] as const) {
      const { departures, network, take } = departing("c")
      departures.taken("c", 9, routes)
      if (how === "recall") departures.recall("c")
      assert.strictEqual(departures.size, 1)
      departures.tick(network.now + 1_100)
      network.advance(10)
      take()
      if (how === "recall") departures.recall("c")
      else departures.refused("c", 9)
      assert.deepStrictEqual([take(), departures.size], [["abort", "c stays under 4"], 0])
    }
  })

  it("it stays, whole, where the other node goes away before that, or takes too long", () => {
    for (const taken of [false, true]) {
      for (const how of ["link", "time"]) {
        const { departures, network, take } = departing()
        if (taken) departures.taken("c", 9, routes)
        network.advance(10)
        take()
        if (how === "link") network.disconnect("a", "b")
        else departures.tick(network.now + 6_000)
        assert.deepStrictEqual([take(), departures.size], [["abort", "c stays under 4"], 0], `${taken} ${how}`)
      }
    }
  })
})

describe("HandOver", () => {
  const leaving = (count: number, refusing: ReadonlyArray<string> = []) => {
    const here = new Set(Array.from({ length: count }, (_, index) => `c${index}`))
    const offers: Array<readonly [string, string]> = []
    let result: unknown
    const handOver = new HandOver({
      clientIds: here,
      takers: () => ["b", "c"],
      isHere: (clientId) => here.has(clientId),
      offer: (clientId, to) => {
        if (refusing.includes(to)) return false
        offers.push([clientId, to])
        return true
      },
      now: () => 0,
      offerMillis: 1_000,
      done: (moved) => (result = moved)
    })
    handOver.begin()
    const go = (clientId: string) => {
      here.delete(clientId)
      handOver.look(clientId)
    }
    return { handOver, offers, go, result: () => result }
  }

  it("a bounded number at a time, to one member each, until none is left", () => {
    const { go, offers, result } = leaving(300)
    assert.strictEqual(offers.length, 128)
    for (let at = 0; at < offers.length; at++) go(offers[at]?.[0] ?? "")
    assert.deepStrictEqual(result(), { moved: 300, stayed: 0 })
    assert.isAbove(offers.filter(([, to]) => to === "b").length, 100)
  })

  it("who does not take it is passed over, and after three offers it stays", () => {
    const { go, handOver, offers, result } = leaving(2, ["b"])
    assert.deepStrictEqual(offers.map(([, to]) => to), ["c", "c"])
    handOver.tick(999)
    assert.strictEqual(offers.length, 2)
    go("c0")
    for (let round = 0; round < 3; round++) handOver.tick(1_000)
    assert.deepStrictEqual(result(), { moved: 1, stayed: 1 })
  })
})
