// Which node serves a message of a shared group: in proportion to its members, the same for all nodes where a hash decides, and never nobody
// while somebody is there.
import { assert, describe, it } from "@effect/vitest"
import { RemoteGroup } from "../../src/cluster/routes/RemoteGroup.ts"
import { groupState } from "../../src/cluster/routes/routeKey.ts"
import { here, SharedPick } from "../../src/cluster/routes/SharedPick.ts"
import type { SharedStrategy } from "../../src/config/Settings.ts"
import { messageOn, randomOf } from "../router/recorder.ts"

/** Three nodes, "a" to "c", each with its own view of one group. */
const setup = (
  strategy: SharedStrategy,
  states: Readonly<Record<string, number>>,
  down: ReadonlyArray<string> = []
) => {
  const names = ["a", "b", "c"]
  const random = randomOf(7)
  const views = names.map((self) => {
    const others = names.filter((name) => name !== self)
    const group = new RemoteGroup("$share/g/t", "g", "t")
    others.forEach((name, number) => {
      const state = states[name] ?? 0
      if (state !== 0) group.set(number, state, false)
    })
    const pick = new SharedPick(strategy, () => random(1_000_000) / 1_000_000, {
      nameOf: (number) => number === here ? self : others[number] ?? "",
      isUp: (number) => !down.includes(others[number] ?? "")
    })
    return { self, group, pick, nameOf: (node: number) => node === here ? self : others[node] ?? "" }
  })
  const chosen = (self: string, publisher = "p", topic = "t"): string | undefined => {
    const view = views.find((one) => one.self === self)
    const node = view?.pick.node(view.group, states[self] ?? 0, messageOn(topic, { publisher }))
    return node === undefined ? undefined : view?.nameOf(node)
  }
  const counts = (self: string, messages: number): Record<string, number> => {
    const found: Record<string, number> = {}
    for (let n = 0; n < messages; n++) {
      const name = chosen(self, `p${n}`, `t/${n}`) ?? "nobody"
      found[name] = (found[name] ?? 0) + 1
    }
    return found
  }
  return { chosen, counts }
}

const three = { a: groupState(1, 1), b: groupState(2, 2), c: groupState(3, 5) }

describe("SharedPick", () => {
  it("round_robin: each node in proportion to its connected members, wherever the message came in", () => {
    for (const self of ["a", "b", "c"]) {
      assert.deepStrictEqual(setup("round_robin", three).counts(self, 60), { a: 10, b: 20, c: 30 })
    }
  })

  it("random, hash_clientid and hash_topic: about in that proportion", () => {
    for (const strategy of ["random", "hash_clientid", "hash_topic"] as const) {
      const { a = 0, b = 0, c = 0 } = setup(strategy, three).counts("a", 6_000)
      assert.strictEqual(a + b + c, 6_000)
      assert.closeTo(a, 1_000, 150, strategy)
      assert.closeTo(b, 2_000, 150, strategy)
    }
  })

  it("hash_clientid and hash_topic: all nodes choose the same, and one that goes moves only its share", () => {
    for (const strategy of ["hash_clientid", "hash_topic"] as const) {
      const all = setup(strategy, three)
      const without = setup(strategy, { ...three, c: 0 })
      let moved = 0
      for (let n = 0; n < 500; n++) {
        const [publisher, topic] = strategy === "hash_topic" ? [`x${n}`, `t/${n}`] : [`p${n}`, `x/${n}`]
        const first = all.chosen("a", publisher, topic)
        assert.strictEqual(all.chosen("b", publisher, topic), first)
        assert.strictEqual(all.chosen("c", publisher, topic), first)
        const then = without.chosen("a", publisher, topic)
        if (first === "c") moved++
        else assert.strictEqual(then, first)
      }
      assert.isAbove(moved, 150)
    }
  })

  it("sticky stays, local stays here where it can", () => {
    const sticky = setup("sticky", three)
    const first = sticky.chosen("a")
    for (let n = 0; n < 50; n++) assert.strictEqual(sticky.chosen("a", `p${n}`), first)
    assert.deepStrictEqual(setup("local", three).counts("b", 20), { b: 20 })
    assert.deepStrictEqual(setup("local", { ...three, b: groupState(0, 2) }).counts("b", 20), { a: 5, c: 15 })
  })

  it("nodes with nobody there come last, nodes that are down after them, and nobody is nobody", () => {
    const away = { a: groupState(0, 1), b: groupState(0, 9), c: groupState(1, 1) }
    assert.deepStrictEqual(setup("round_robin", away).counts("a", 9), { c: 9 })
    assert.deepStrictEqual(setup("round_robin", { ...away, c: 0 }).counts("a", 9), { a: 9 })
    assert.deepStrictEqual(setup("round_robin", { b: away.b, c: groupState(0, 9) }, ["b"]).counts("a", 9), { c: 9 })
    assert.deepStrictEqual(setup("round_robin", { b: groupState(9, 9) }, ["b"]).counts("a", 9), { b: 9 })
    assert.deepStrictEqual(setup("round_robin", {}).counts("a", 9), { nobody: 9 })
  })
})
