// What a full queue refuses of a node's answers and orders is kept for it.
import { assert, describe, it } from "@effect/vitest"
import { FrameKind } from "../../src/cluster/Bus.ts"
import { Words } from "../../src/cluster/sessions/Words.ts"
import { MemoryNetwork } from "./MemoryBus.ts"

describe("Words", () => {
  it("wait up to a bound, what is beyond it is counted, and go in their order", () => {
    const network = new MemoryNetwork()
    const [a, b] = [network.node("a"), network.node("b")]
    const heard: Array<number> = []
    b.add({
      kinds: [FrameKind.Release],
      linkUp: () => {},
      linkDown: () => {},
      receive: (_, __, body) => void heard.push(body.readUInt32BE(0))
    })
    const counts = { cluster_words_dropped_total: 0 }
    const words = new Words(a, counts)
    const body = Buffer.alloc(4)
    const say = (word: number) => {
      body.writeUInt32BE(word, 0)
      return words.say("b", FrameKind.Release, body)
    }
    assert.isFalse(say(0), "no link")
    network.connect("a", "b")
    network.congest("a", "b", true)
    for (let word = 1; word <= 100_010; word++) say(word)
    assert.strictEqual(counts.cluster_words_dropped_total, 10)
    network.congest("a", "b", false)
    assert.isTrue(say(200_000), "behind those that wait")
    assert.strictEqual(counts.cluster_words_dropped_total, 11)
    words.tick()
    say(200_001)
    network.advance(10)
    assert.strictEqual(heard.length, 100_001)
    assert.isTrue(heard.every((word, at) => word === (at < 100_000 ? at + 1 : 200_001)))
  })
})
