import { assert, describe, it } from "@effect/vitest"
import { TopicName } from "../../src/mqtt/TopicTable.ts"
import { noRemoteRoutes, type RemoteRoutes } from "../../src/router/RemoteRoutes.ts"
import { RouteTable } from "../../src/router/RouteTable.ts"
import { Recorder, subscription } from "./recorder.ts"

const topic = (text: string): TopicName => new TopicName(text, text.split("/").length)

const whoGets = (table: RouteTable, text: string): ReadonlyArray<string> =>
  table.match(topic(text)).routes.map((route) => route.subscriber.clientId).sort()

describe("RouteTable", () => {
  it("[MQTT-3.3.5-1] one route per session with the highest QoS of its overlapping filters", () => {
    const table = new RouteTable()
    const a = new Recorder("a")
    const b = new Recorder("b")
    table.subscribe(a, [
      subscription("x/y", { qos: 0 }),
      subscription("x/+", { qos: 2 }),
      subscription("#", { qos: 1 })
    ])
    table.subscribe(b, [subscription("x/#", { qos: 1 })])
    const { routes } = table.match(topic("x/y"))
    assert.deepStrictEqual(routes.map((route) => [route.subscriber.clientId, route.qos, route.topicFilter]).sort(), [
      ["a", 2, "x/+"],
      ["b", 1, "x/#"]
    ])
    assert.deepStrictEqual(
      table.match(topic("x")).routes.map((route) => [route.subscriber.clientId, route.qos]).sort(),
      [
        ["a", 1],
        ["b", 1]
      ]
    )
  })

  it("[MQTT5-3.3.4-3] [MQTT5-3.3.4-4] a merged route has the identifiers of all matching subscriptions that have one", () => {
    const table = new RouteTable()
    const a = new Recorder("a")
    table.subscribe(a, [
      subscription("x/y", { subscriptionIdentifier: 7 }),
      subscription("x/+", { subscriptionIdentifier: 9 }),
      subscription("x/#"),
      subscription("+/y", { subscriptionIdentifier: 7 }),
      subscription("z", { subscriptionIdentifier: 5 })
    ])
    const [route] = table.match(topic("x/y")).routes
    assert.deepStrictEqual([...route?.subscriptionIdentifiers ?? []].sort(), [7, 7, 9])
    assert.isUndefined(table.match(topic("x/q/r")).routes[0]?.subscriptionIdentifiers)
    assert.deepStrictEqual(table.match(topic("z")).routes[0]?.subscriptionIdentifiers, [5])
  })

  it("retain as published holds when any of the merged subscriptions asks for it", () => {
    const table = new RouteTable()
    const a = new Recorder("a")
    table.subscribe(a, [
      subscription("x", { retainAsPublished: false, qos: 2 }),
      subscription("+", { retainAsPublished: true, qos: 0 })
    ])
    assert.isTrue(table.match(topic("x")).routes[0]?.retainAsPublished)
    table.unsubscribe(a, ["+"])
    assert.isFalse(table.match(topic("x")).routes[0]?.retainAsPublished)
  })

  it("[MQTT5-3.8.3-3] for a message of the session's own the No Local subscriptions are left out", () => {
    const table = new RouteTable()
    const a = new Recorder("a")
    table.subscribe(a, [
      subscription("x", { noLocal: true, qos: 2, subscriptionIdentifier: 1 }),
      subscription("+", { qos: 0, subscriptionIdentifier: 2 }),
      subscription("#", { qos: 1, subscriptionIdentifier: 3, retainAsPublished: true }),
      subscription("y/z", { noLocal: true })
    ])
    const own = table.match(topic("x")).routes[0]?.forOwn
    assert.strictEqual(own?.qos, 1)
    assert.deepStrictEqual([...own?.subscriptionIdentifiers ?? []].sort(), [2, 3])
    assert.isTrue(own?.retainAsPublished)
    table.unsubscribe(a, ["#"])
    const alone = table.match(topic("y/z")).routes[0]
    assert.isUndefined(alone?.forOwn)
    assert.isTrue(alone?.noLocal)
    table.unsubscribe(a, ["x"])
    const merged = table.match(topic("x")).routes[0]
    assert.strictEqual(merged?.forOwn, merged)
  })

  it("[MQTT-3.8.4-3] [MQTT5-3.8.4-3] the same filter again replaces its options in the same place", () => {
    for (const others of [0, 1, 20]) {
      const table = new RouteTable()
      const a = new Recorder("a")
      for (let n = 0; n < others; n++) table.subscribe(new Recorder(`other${n}`), [subscription("x/y")])
      assert.deepStrictEqual(table.subscribe(a, [subscription("x/y", { qos: 0 })]), [false])
      for (let n = 0; n < others; n++) table.subscribe(new Recorder(`another${n}`), [subscription("x/y")])
      const place = table.match(topic("x/y")).routes.findIndex((route) => route.subscriber === a)
      assert.deepStrictEqual(table.subscribe(a, [subscription("x/y", { qos: 2, subscriptionIdentifier: 4 })]), [true])
      const { routes } = table.match(topic("x/y"))
      assert.strictEqual(routes.length, 2 * others + 1)
      assert.strictEqual(routes[place]?.subscriber, a)
      assert.strictEqual(routes[place]?.qos, 2)
      assert.deepStrictEqual(routes[place]?.subscriptionIdentifiers, [4])
      assert.strictEqual(table.size, 2 * others + 1)
    }
  })

  it("[MQTT-3.10.4-1] [MQTT-3.10.4-2] unsubscribing is per session and exact filter, and says whether there was one", () => {
    const table = new RouteTable()
    const a = new Recorder("a")
    const b = new Recorder("b")
    table.subscribe(a, [subscription("x/+"), subscription("x/y")])
    table.subscribe(b, [subscription("x/y")])
    assert.deepStrictEqual(table.unsubscribe(a, ["x/y", "x/y", "X/y", "x/#", "$share/g/x/y", "$local/x/y"]), [
      true,
      false,
      false,
      false,
      false,
      false
    ])
    assert.deepStrictEqual(whoGets(table, "x/y"), ["a", "b"])
    assert.deepStrictEqual(table.unsubscribe(b, ["x/+"]), [false])
    assert.deepStrictEqual(table.unsubscribe(a, ["x/+"]), [true])
    assert.deepStrictEqual(whoGets(table, "x/y"), ["b"])
  })

  it("a '$local/' subscription stands beside the one without, and both are merged", () => {
    const table = new RouteTable()
    const a = new Recorder("a")
    table.subscribe(a, [
      subscription("x", { qos: 0 }),
      subscription("$local/x", { qos: 1 }),
      subscription("$local/$share/g/x")
    ])
    const matches = table.match(topic("x"))
    assert.deepStrictEqual(matches.routes.map((route) => route.qos), [1])
    assert.strictEqual(matches.groups.length, 1)
    assert.deepStrictEqual(table.unsubscribe(a, ["$local/x"]), [true])
    assert.deepStrictEqual(table.match(topic("x")).routes.map((route) => route.qos), [0])
    assert.deepStrictEqual(table.unsubscribe(a, ["$share/g/x", "$local/$share/g/x", "x"]), [false, true, true])
    assert.isTrue(table.match(topic("x")).isEmpty)
    assert.strictEqual(table.filterCount, 0)
  })

  it("removing a session takes all its routes, and the filters and nodes that nobody else has", () => {
    const table = new RouteTable()
    const a = new Recorder("a")
    const b = new Recorder("b")
    const filters = ["x", "x/+", "#", "$share/g/x/+", "$queue/q", "$local/l/#"]
    table.subscribe(a, filters.map((filter) => subscription(filter)))
    table.subscribe(b, [subscription("x/+")])
    table.removeSubscriber(a, [...filters, "never/subscribed"])
    assert.strictEqual(table.size, 1)
    assert.strictEqual(table.sharedSize, 0)
    assert.deepStrictEqual(whoGets(table, "x/y"), ["b"])
    table.removeSubscriber(b, ["x/+"])
    assert.deepStrictEqual([table.size, table.filterCount, table.nodeCount], [0, 0, 0])
  })
})

describe("answers are remembered", () => {
  it("the same object until something changes", () => {
    const table = new RouteTable()
    const x = topic("x")
    const y = topic("y")
    table.subscribe(new Recorder("a"), [subscription("x"), subscription("y")])
    const forX = table.match(x)
    const forY = table.match(y)
    assert.strictEqual(table.match(x), forX)
    assert.strictEqual(table.match(topic("x")), forX, "another TopicName with the same text")
    assert.strictEqual(table.match(x).routes[0], forX.routes[0])

    table.subscribe(new Recorder("b"), [subscription("x")])
    assert.isFalse(forX.valid)
    assert.strictEqual(table.match(y), forY, "an exact filter concerns its own topic alone")
    assert.strictEqual(table.match(x).routes.length, 2)

    table.subscribe(new Recorder("c"), [subscription("z/+")])
    assert.isFalse(forY.valid, "one with wildcards concerns all")
    assert.strictEqual(table.match(y).routes.length, 1)
  })

  it("a topic that nobody had subscribed to is answered anew when somebody does", () => {
    const table = new RouteTable()
    const name = topic("x")
    assert.isTrue(table.match(name).isEmpty)
    table.subscribe(new Recorder("a"), [subscription("x")])
    assert.strictEqual(table.match(name).routes.length, 1)
    table.subscribe(new Recorder("b"), [subscription("$share/g/x")])
    assert.strictEqual(table.match(name).groups.length, 1)
  })

  it("asking again for what one has changes nothing", () => {
    const table = new RouteTable()
    const a = new Recorder("a")
    const name = topic("x/y")
    table.subscribe(a, [subscription("x/+", { subscriptionIdentifier: 3 })])
    const before = table.match(name)
    assert.deepStrictEqual(table.subscribe(a, [subscription("x/+", { subscriptionIdentifier: 3 })]), [true])
    assert.strictEqual(table.match(name), before)
    for (
      const options of [{ qos: 2 }, { noLocal: true }, { retainAsPublished: true }, {
        subscriptionIdentifier: 4
      }] as const
    ) {
      const known = table.match(name)
      assert.deepStrictEqual(table.subscribe(a, [subscription("x/+", options)]), [true])
      assert.isFalse(known.valid, JSON.stringify(options))
    }
  })

  it("who joins or leaves a shared group changes no answer, a group that comes or goes does", () => {
    const table = new RouteTable()
    const a = new Recorder("a")
    const b = new Recorder("b")
    const name = topic("x")
    table.subscribe(a, [subscription("$share/g/x")])
    const before = table.match(name)
    table.subscribe(b, [subscription("$share/g/x")])
    table.unsubscribe(a, ["$share/g/x"])
    assert.strictEqual(table.match(name), before)
    assert.strictEqual(before.groups[0]?.size, 1)
    table.unsubscribe(b, ["$share/g/x"])
    assert.isTrue(table.match(name).isEmpty)
  })

  it("what was handed out does not change under its reader, and a stale answer holds nobody", () => {
    const table = new RouteTable()
    const sessions = Array.from({ length: 30 }, (_, n) => new Recorder(`s${n}`))
    for (const session of sessions) table.subscribe(session, [subscription("x")])
    const matches = table.match(topic("x"))
    const routes = matches.routes
    const [first] = sessions
    if (first === undefined) return
    table.unsubscribe(first, ["x"])
    assert.strictEqual(routes.length, 30)
    assert.strictEqual(matches.routes.length, 0)
    assert.isUndefined(routes.find((route) => route.subscriber === first), "a route that left keeps its session")
    assert.strictEqual(table.match(topic("x")).routes.length, 29)
  })

  it("are bounded: the oldest goes", () => {
    const table = new RouteTable({ topicCache: 10 })
    table.subscribe(new Recorder("a"), [subscription("t/#")])
    const names = Array.from({ length: 100 }, (_, n) => topic(`t/${n}`))
    const answers = names.map((name) => table.match(name))
    assert.strictEqual(table.answerCount, 10)
    assert.deepStrictEqual(answers.map((answer) => answer.valid), names.map((_, n) => n >= 90))
    for (const name of names) assert.strictEqual(table.match(name).routes.length, 1)
    // exact changes and evictions together
    for (let n = 0; n < 1_000; n++) {
      const text = `t/${n % 37}`
      table.match(topic(text))
      if (n % 3 === 0) table.subscribe(new Recorder(`b${n}`), [subscription(text)])
      assert.isAtMost(table.answerCount, 10)
      const expected = 1 + [...Array(n + 1).keys()].filter((m) => m % 3 === 0 && m % 37 === n % 37).length
      assert.strictEqual(table.match(topic(text)).routes.length, expected)
    }
  })

  it("of a table that was retired are not taken by the next one", () => {
    const old = new RouteTable()
    const next = new RouteTable()
    const name = topic("x")
    old.subscribe(new Recorder("a"), [subscription("x")])
    assert.strictEqual(old.match(name).routes.length, 1)
    assert.strictEqual(next.match(name).routes.length, 0)
    assert.strictEqual(old.match(name).routes.length, 1)
    const answer = old.match(name)
    old.retire()
    assert.isFalse(answer.valid)
  })
})

describe("other nodes", () => {
  it("are told of every change, '$local/' left out, and see what is there then", () => {
    const heard: Array<string> = []
    const remote: RemoteRoutes = {
      ...noRemoteRoutes,
      changed: (filter) => heard.push(`${filter}=${table.levelOf(filter)}`),
      groupChanged: ({ filter, name, size }) => heard.push(`${name} ${filter}=${size}`)
    }
    const table: RouteTable = new RouteTable({ remote })
    const a = new Recorder("a")
    const b = Object.assign(new Recorder("b"), { durable: {} })
    table.subscribe(a, [
      subscription("x", { qos: 0 }),
      subscription("$share/g/x"),
      subscription("$local/x"),
      subscription("$local/$share/g/x"),
      subscription("y/#")
    ])
    assert.deepStrictEqual(heard.splice(0), ["x=1", "g x=1", "y/#=2"])
    table.subscribe(b, [subscription("x"), subscription("$share/g/x"), subscription("$queue/z")])
    assert.deepStrictEqual(heard.splice(0), ["x=3", "g x=2", "$queue z=1"])
    assert.deepStrictEqual([...table.filters()].sort(), ["x", "y/#", "z"])
    assert.deepStrictEqual([...table.sharedGroups()].map(({ name }) => name).sort(), ["$queue", "g"])
    table.subscribe(b, [subscription("x", { qos: 0 })])
    table.subscribe(a, [subscription("x", { qos: 0 })])
    assert.deepStrictEqual(heard.splice(0), ["x=1"])
    table.unsubscribe(a, ["x", "$local/x", "y/#"])
    assert.deepStrictEqual(heard.splice(0), ["x=1", "y/#=0"])
    table.unsubscribe(b, ["x", "$queue/z"])
    assert.deepStrictEqual(heard.splice(0), ["x=0", "$queue z=0"])
    table.unsubscribe(a, ["$share/g/x"])
    table.unsubscribe(b, ["$share/g/x"])
    assert.deepStrictEqual(heard.splice(0), ["g x=1", "g x=0"])
  })

  it("of a filter with many sessions only few are looked at: it counts as owed", () => {
    const table = new RouteTable()
    for (let n = 0; n < 17; n++) table.subscribe(new Recorder(`s${n}`), [subscription("x", { qos: 0 })])
    assert.strictEqual(table.levelOf("x"), 3)
    assert.strictEqual(table.levelOf("y"), 0)
  })
})

describe("a filter with 100,000 sessions", () => {
  it("is not copied for an answer, only once for a change that follows one", () => {
    const table = new RouteTable()
    const sessions = Array.from({ length: 100_000 }, (_, n) => new Recorder(`s${n}`))
    for (const session of sessions) table.subscribe(session, [subscription("news/+")])
    const one = table.match(topic("news/1")).routes
    assert.strictEqual(one.length, 100_000)
    assert.strictEqual(table.match(topic("news/2")).routes, one, "two topics, one array")
    for (const session of sessions.slice(0, 1_000)) table.unsubscribe(session, ["news/+"])
    assert.strictEqual(one.length, 100_000)
    const other = table.match(topic("news/1")).routes
    assert.strictEqual(other.length, 99_000)
    for (const session of sessions) table.unsubscribe(session, ["news/+"])
    assert.deepStrictEqual([table.size, table.filterCount, table.nodeCount], [0, 0, 0])
  })
})
