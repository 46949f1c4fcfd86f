// Clients that hop between nodes under load: nothing that was acknowledged is lost, no QoS 2 message comes twice, order is kept.
import { afterEach, assert, describe, it } from "@effect/vitest"
import { ClusterRun } from "./ClusterRun.ts"
import { check, nothing } from "./History.ts"

let run: ClusterRun | undefined
afterEach(() => run?.close())

describe("the history checker", () => {
  it("finds what is lost, doubled and out of order", () => {
    const published = [
      { name: "a", qos: 1 as const, acknowledged: new Set(["a:1", "a:2"]) },
      { name: "b", qos: 2 as const, acknowledged: new Set(["b:1"]) }
    ]
    const received = (payloads: ReadonlyArray<string>) => check(published, [{ name: "s", payloads, grantedQoS: 2 }])
    assert.deepStrictEqual(received(["a:1", "b:1", "a:1", "a:2"]), nothing)
    assert.deepStrictEqual(received(["a:1", "b:1"]).lost, ["s: a:2"])
    assert.deepStrictEqual(received(["a:1", "a:2", "b:1", "b:1"]).doubled, ["s: b:1 x 2"])
    assert.deepStrictEqual(received(["a:2", "a:1", "b:1"]).disordered, ["s: a:1 after 2"])
    const merged = { name: "s", payloads: ["b:1", "a:2", "a:1", "b:1"], grantedQoS: 2 as const }
    assert.deepStrictEqual(check(published, [{ ...merged, streams: 2, unsure: ["b:1"] }]), nothing)
    assert.deepStrictEqual(check(published, [{ ...merged, streams: 2 }]).doubled, ["s: b:1 x 2"])
    assert.deepStrictEqual(check(published, [{ ...merged, unsure: ["b:1"] }]).disordered, ["s: a:1 after 2"])
  })
})

describe("hopping", { timeout: 120_000 }, () => {
  it.each([1, 2])("between three nodes, in and out of their sessions (%i)", async (seed) => {
    run = new ClusterRun(seed)
    await run.begin(3)
    run.run()
    for (let hops = 0; hops < 40; hops++) await run.hop()
    assert.deepStrictEqual(await run.findings(), nothing)
    for (const { name, sessionLost } of [...run.publishers, ...run.subscribers]) assert.isFalse(sessionLost, name)
    const acknowledged = run.publishers.reduce((sum, one) => sum + one.acknowledged.size, 0)
    assert.isAbove(acknowledged, 200)
  })
})
