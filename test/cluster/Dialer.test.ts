// Whom a node calls, and when, without a socket.
import { assert, describe, it } from "@effect/vitest"
import { Dialer, type Target } from "../../src/cluster/links/Dialer.ts"

const at = (host: string) => ({ host, port: 4370 })

const make = (self = "m") => {
  const calls: Array<string> = []
  const cancelled: Array<string> = []
  const up = new Set<string>()
  const members = new Set<string>()
  const targets: Array<Target> = []
  const dialer = new Dialer({
    self,
    maxBackoffMillis: 1_000,
    recheckMillis: 30_000,
    random: () => 0.5,
    dial: (target) => {
      calls.push(target.address.host)
      targets.push(target)
      return () => void cancelled.push(target.address.host)
    },
    isUp: (name) => up.has(name),
    isMember: (name) => members.has(name)
  })
  const last = (): Target => {
    const target = targets.at(-1)
    if (target === undefined) throw new Error("nobody was called")
    return target
  }
  return { calls, cancelled, dialer, last, members, up }
}

describe("Dialer", () => {
  it("calls an address once at a time, and again after pauses that double up to their limit", () => {
    const { calls, dialer, last } = make()
    dialer.add([at("a"), at("a")], 0)
    for (let now = 0; now <= 5_000; now += 100) dialer.tick(now)
    assert.deepStrictEqual(calls, ["a"])
    const tries: Array<number> = []
    let before = 0
    dialer.failed(last(), "refused", 0)
    for (let now = 0; now <= 6_000; now += 10) {
      dialer.tick(now)
      if (calls.length === tries.length + 1) continue
      tries.push(now - before)
      before = now
      dialer.failed(last(), "refused", now)
    }
    assert.deepStrictEqual(tries.slice(0, 6), [100, 200, 400, 800, 1_000, 1_000])
  })

  it("tells a reason once, until it is another one or there was a link", () => {
    const { dialer, last } = make()
    dialer.add([at("a")], 0)
    dialer.tick(0)
    assert.deepStrictEqual(["x", "x", "y", "x"].map((reason) => dialer.failed(last(), reason, 0)), [
      true,
      false,
      true,
      true
    ])
    dialer.reached(last(), 0)
    assert.isTrue(dialer.failed(last(), "x", 0))
  })

  it("a member is called while there is no link to it, the later name waiting a little; an address that is a member's is not", () => {
    const { calls, dialer, last, members, up } = make("m")
    dialer.member("z", at("z"), 0)
    dialer.member("b", at("b"), 0)
    dialer.tick(0)
    assert.deepStrictEqual(calls, ["z"])
    dialer.tick(200)
    assert.deepStrictEqual(calls, ["z"])
    dialer.tick(250)
    assert.deepStrictEqual(calls, ["z", "b"])
    up.add("b")
    members.add("b")
    dialer.reached(last(), 250)
    dialer.add([at("other")], 300)
    dialer.tick(300)
    last().name = "b"
    dialer.reached(last(), 300)
    for (let now = 400; now < 100_000; now += 100) dialer.tick(now)
    assert.deepStrictEqual(calls, ["z", "b", "other"])
    up.delete("b")
    dialer.lost("b", 100_000, "closed")
    dialer.tick(100_200)
    assert.deepStrictEqual(calls, ["z", "b", "other"])
    dialer.tick(100_300)
    assert.deepStrictEqual(calls, ["z", "b", "other", "b"])
  })

  it("who is no member any more, or no address, is called no more, and a call under way is given up", () => {
    const { calls, cancelled, dialer } = make()
    dialer.member("z", at("z"), 0)
    dialer.add([at("a")], 0)
    dialer.tick(0)
    dialer.member("z", undefined, 10)
    dialer.remove([at("a")])
    assert.deepStrictEqual(cancelled.toSorted(), ["a", "z"])
    dialer.tick(60_000)
    assert.deepStrictEqual(calls.toSorted(), ["a", "z"])
    dialer.member("z", at("z2"), 70_000)
    dialer.tick(70_000)
    assert.deepStrictEqual(calls.at(-1), "z2")
  })

  it("no more than 32 calls at a time", () => {
    const { calls, dialer, last } = make()
    dialer.add(Array.from({ length: 100 }, (_, index) => at(`h${index}`)), 0)
    dialer.tick(0)
    assert.strictEqual(calls.length, 32)
    dialer.failed(last(), "x", 0)
    dialer.tick(1)
    assert.strictEqual(calls.length, 33)
  })
})
