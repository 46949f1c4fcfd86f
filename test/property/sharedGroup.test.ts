import { assert, describe, it } from "@effect/vitest"
import type { SharedStrategy } from "../../src/config/Settings.ts"
import { SharedGroup } from "../../src/router/SharedGroup.ts"
import { holds, messageOn, randomOf, Recorder, subscription } from "../router/recorder.ts"

const strategies: ReadonlyArray<SharedStrategy> = [
  "random",
  "round_robin",
  "sticky",
  "hash_clientid",
  "hash_topic",
  "local"
]
const messages = Array.from({ length: 40 }, (_, n) => messageOn(`x/${n % 8}`, { publisher: `p${n % 5}` }))

const groupBy = (random: (n: number) => number, strategy: SharedStrategy): SharedGroup =>
  new SharedGroup("g", "x/+", strategy, () => random(1 << 30) / (1 << 30))

describe("SharedGroup, whatever its members do", () => {
  it("[MQTT-4.8.2-3] every message goes to one member, to a connected one if there is one, never to who was excepted (1,200 runs)", () => {
    for (let seed = 1; seed <= 1_200; seed++) {
      const random = randomOf(seed)
      const strategy = strategies[seed % strategies.length] ?? "random"
      const group = groupBy(random, strategy)
      const sessions = Array.from({ length: 1 + random(8) }, (_, n) => new Recorder(`m${n}`))
      const members = new Set<Recorder>()
      for (let step = 0; step < 60; step++) {
        const session = sessions[random(sessions.length)]
        const message = messages[random(messages.length)]
        if (session === undefined || message === undefined) return
        const label = () => `seed ${seed} ${strategy} step ${step}`
        switch (random(6)) {
          case 0:
            holds(group.join(session, subscription("$share/g/x/+")) === (members.has(session)), label)
            members.add(session)
            break
          case 1:
            holds(group.leave(session) === (members.delete(session)), label)
            break
          case 2:
            session.connected = !session.connected
            break
          case 3: {
            const before = sessions.map(({ got }) => got.length)
            const able = [...members].some((member) => member !== session && member.connected)
            holds(group.redispatch(message, session) === able, label)
            const after = sessions.map(({ got }) => got.length)
            const changed = sessions.filter((_, n) => after[n] !== before[n])
            holds(changed.length === (able ? 1 : 0), label)
            holds(
              changed.every((member) => members.has(member) && member.connected && member !== session),
              label
            )
            break
          }
          default: {
            const except = random(2) === 0 ? session : undefined
            const candidates = [...members].filter((member) => member !== except)
            const connected = candidates.filter((member) => member.connected)
            const route = group.pick(message, except)
            const allowed = connected.length > 0 ? connected : candidates
            holds(
              allowed.length === 0 ? route === undefined : allowed.some((member) => member === route?.subscriber),
              label
            )
          }
        }
        holds(group.size === (members.size), label)
        for (const session of sessions) holds(group.has(session) === (members.has(session)), label)
      }
    }
  })

  it("round_robin: between two messages to a connected member each other connected one has had one (1,000 runs)", () => {
    for (let seed = 1; seed <= 1_000; seed++) {
      const random = randomOf(seed)
      const group = groupBy(random, "round_robin")
      const sessions = Array.from({ length: 2 + random(10) }, (_, n) => new Recorder(`m${n}`))
      for (const session of sessions) {
        group.join(session, subscription("$share/g/x/+"))
        session.connected = random(4) > 0
      }
      for (const session of sessions) if (random(5) === 0) group.leave(session)
      const rest = sessions.filter((session) => group.has(session))
      const turns = rest.some((session) => session.connected) ? rest.filter((session) => session.connected) : rest
      const counts = new Map<string, number>(turns.map(({ clientId }) => [clientId, 0]))
      for (const message of messages) {
        const id = group.pick(message)?.subscriber.clientId
        if (id === undefined) break
        counts.set(id, (counts.get(id) ?? 0) + 1)
        const values = [...counts.values()]
        holds(Math.max(...values) - Math.min(...values) <= 1, () => `seed ${seed}: ${values.join()}`)
      }
      assert.strictEqual(counts.size, turns.length, `seed ${seed}: somebody else got one`)
    }
  })

  it("hash strategies: while the members stay, what has the same key has the same member (1,000 runs)", () => {
    for (let seed = 1; seed <= 1_000; seed++) {
      const random = randomOf(seed)
      const strategy = seed % 2 === 0 ? "hash_clientid" : "hash_topic"
      const group = groupBy(random, strategy)
      const sessions = Array.from({ length: 1 + random(10) }, (_, n) => new Recorder(`m${n}`))
      for (const session of sessions) {
        group.join(session, subscription("$share/g/x/+"))
        session.connected = random(3) > 0
      }
      const chosen = new Map<string, string | undefined>()
      for (const message of [...messages, ...messages]) {
        const key = strategy === "hash_topic" ? message.topic : message.publisher
        const id = group.pick(message)?.subscriber.clientId
        holds(id !== undefined && (!chosen.has(key) || chosen.get(key) === id), () => `seed ${seed}: ${key}`)
        chosen.set(key, id)
      }
      // Somebody joining last and leaving again changes nothing for the others.
      const guest = new Recorder("guest")
      group.join(guest, subscription("$share/g/x/+"))
      group.leave(guest)
      for (const message of messages) {
        const key = strategy === "hash_topic" ? message.topic : message.publisher
        holds(group.pick(message)?.subscriber.clientId === chosen.get(key), () => `seed ${seed}: ${key}`)
      }
    }
  })
})
