import { assert, describe, it } from "@effect/vitest"
import { matches } from "../../src/mqtt/Topic.ts"
import { TopicName } from "../../src/mqtt/TopicTable.ts"
import { RouteTable } from "../../src/router/RouteTable.ts"
import type { Subscription } from "../../src/router/Subscription.ts"
import { holds, randomOf, Recorder, subscription } from "../router/recorder.ts"

const topics = ["a", "a/b", "a/b/c", "b", "/", "/a", "a/", "$SYS/a", "b/b/b"]
const filters = ["a", "a/b", "a/+", "a/#", "+", "+/b", "#", "+/+/+", "$SYS/#", "b/+/b", "/+", "a/", "$SYS/a", "b"]
const prefixes = ["", "", "", "$share/g/", "$share/h/", "$queue/", "$local/", "$local/$share/g/"]

interface Delivery {
  readonly clientId: string
  readonly qos: number
  readonly identifiers: ReadonlyArray<number>
  readonly retainAsPublished: boolean
}

const sorted = (deliveries: ReadonlyArray<Delivery>): ReadonlyArray<string> =>
  deliveries.map((d) => JSON.stringify(d)).sort()

/** What section 3.3.4 says, without any structure. */
const expectedOf = (
  model: ReadonlyMap<string, { readonly subscriber: Recorder; readonly subscription: Subscription }>,
  topic: string,
  publisher: string
): ReadonlyArray<Delivery> => {
  const bySession = new Map<Recorder, Array<Subscription>>()
  for (const entry of model.values()) {
    if (entry.subscription.group !== undefined || !matches(entry.subscription.filter, topic)) continue
    if (entry.subscription.noLocal && entry.subscriber.clientId === publisher) continue
    const list = bySession.get(entry.subscriber) ?? []
    list.push(entry.subscription)
    bySession.set(entry.subscriber, list)
  }
  return [...bySession].map(([subscriber, list]) => ({
    clientId: subscriber.clientId,
    qos: Math.max(...list.map(({ qos }) => qos)),
    identifiers: list.map((one) => one.subscriptionIdentifier).filter((id) => id !== 0).sort(),
    retainAsPublished: list.some((one) => one.retainAsPublished)
  }))
}

const actualOf = (table: RouteTable, name: TopicName, publisher: string): ReadonlyArray<Delivery> =>
  table.match(name).routes.flatMap((route) => {
    const given = route.subscriber.clientId === publisher ? route.forOwn : route
    if (given === undefined) return []
    return [{
      clientId: given.subscriber.clientId,
      qos: given.qos,
      identifiers: [...given.subscriptionIdentifiers ?? []].sort(),
      retainAsPublished: given.retainAsPublished
    }]
  })

/** The groups that a message on this topic goes to, each with its members. */
const expectedGroups = (
  model: ReadonlyMap<string, { readonly subscriber: Recorder; readonly subscription: Subscription }>,
  topic: string
): ReadonlyArray<string> => {
  const groups = new Map<string, Array<string>>()
  for (const { subscriber, subscription: { filter, group, local } } of model.values()) {
    if (group === undefined || !matches(filter, topic)) continue
    const key = `${local} ${group} ${filter}`
    groups.set(key, [...groups.get(key) ?? [], subscriber.clientId])
  }
  return [...groups].map(([key, members]) => `${key.slice(key.indexOf(" ") + 1)}: ${members.sort().join()}`).sort()
}

const same = (given: ReadonlyArray<string>, expected: ReadonlyArray<string>, label: () => string): void => {
  if (given.length !== expected.length || given.some((one, n) => one !== expected[n])) {
    assert.deepStrictEqual(given, expected, label())
  }
}

describe("RouteTable against a list of subscriptions", () => {
  it("[MQTT-3.3.5-1] [MQTT5-3.3.4-3] [MQTT5-3.8.3-3] [MQTT-3.8.4-3] who gets a message, and how (1,000 runs)", () => {
    for (let seed = 1; seed <= 1_000; seed++) {
      const random = randomOf(seed)
      const table = new RouteTable({ topicCache: 1 + random(12) })
      const count = random(4) === 0 ? 40 : 4
      const sessions = Array.from({ length: count }, (_, n) => new Recorder(`c${n}`))
      const model = new Map<string, { readonly subscriber: Recorder; readonly subscription: Subscription }>()
      const names = topics.map((text) => new TopicName(text, text.split("/").length))
      const pick = <A>(list: ReadonlyArray<A>): A => list[random(list.length)] as A
      for (let step = 0; step < (count === 4 ? 40 : 150); step++) {
        const subscriber = pick(sessions)
        const topicFilter = pick(prefixes) + pick(count === 4 ? filters : filters.slice(0, 7))
        const key = `${subscriber.clientId} ${topicFilter}`
        const action = random(10)
        if (action < 6) {
          const wanted = subscription(topicFilter, {
            qos: pick([0, 1, 2] as const),
            noLocal: random(3) === 0,
            retainAsPublished: random(3) === 0,
            subscriptionIdentifier: random(4)
          })
          holds(table.subscribe(subscriber, [wanted])[0] === model.has(key), () => `seed ${seed}: ${key}`)
          model.set(key, { subscriber, subscription: wanted })
        } else if (action < 9) {
          holds(table.unsubscribe(subscriber, [topicFilter])[0] === model.delete(key), () => `seed ${seed}: ${key}`)
        } else {
          const own = [...model].filter(([, entry]) => entry.subscriber === subscriber)
          table.removeSubscriber(subscriber, own.map(([, entry]) => entry.subscription.topicFilter))
          for (const [ownKey] of own) model.delete(ownKey)
        }
        holds(table.size === model.size, () => `seed ${seed}`)
        // Sometimes under another TopicName with the same text, as after an eviction from the topic table.
        const known = pick(names)
        const name = random(4) === 0 ? new TopicName(known.text, known.levels) : known
        const publisher = pick(sessions).clientId
        const given = actualOf(table, name, publisher)
        same(
          sorted(given),
          sorted(expectedOf(model, name.text, publisher)),
          () => `seed ${seed}: ${name.text} from ${publisher}`
        )
        const groups = table.match(name).groups.map(({ filter, name: group, routes }) =>
          `${group} ${filter}: ${routes.map((route) => route.subscriber.clientId).sort().join()}`
        )
        same(groups.sort(), expectedGroups(model, name.text), () => `seed ${seed}: groups of ${name.text}`)
      }
      const shared = [...model.values()].filter((entry) => entry.subscription.group !== undefined).length
      assert.strictEqual(table.sharedSize, shared, `seed ${seed}`)
      for (const { subscriber, subscription: { topicFilter } } of model.values()) {
        holds(table.unsubscribe(subscriber, [topicFilter])[0] === true, () => `seed ${seed}: ${topicFilter}`)
      }
      assert.deepStrictEqual(
        [table.size, table.filterCount, table.nodeCount],
        [0, 0, 0],
        `seed ${seed}: something is left`
      )
      for (const name of names) assert.isTrue(table.match(name).isEmpty, `seed ${seed}: ${name.text}`)
    }
  })
})
