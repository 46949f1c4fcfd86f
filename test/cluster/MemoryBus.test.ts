// The network that the parts of the cluster are tested on keeps what Bus.ts promises.
import { assert, describe, it } from "@effect/vitest"
import { type BusPart, FrameKind, type Peer } from "../../src/cluster/Bus.ts"
import { MemoryNetwork } from "./MemoryBus.ts"

class Recorder implements BusPart {
  readonly kinds = [FrameKind.Messages]
  readonly seen: Array<string> = []
  linkUp(peer: Peer): void {
    this.seen.push(`up ${peer.name} ${peer.epoch}`)
  }
  linkDown(peer: Peer): void {
    this.seen.push(`down ${peer.name}`)
  }
  receive(peer: Peer, _: FrameKind, body: Buffer): void {
    this.seen.push(`${peer.name}: ${body}`)
  }
  writable(peer: Peer): void {
    this.seen.push(`writable ${peer.name}`)
  }
}

const pair = (options: ConstructorParameters<typeof MemoryNetwork>[0] = {}) => {
  const network = new MemoryNetwork(options)
  const [one, other] = [new Recorder(), new Recorder()]
  const a = network.node("a").add(one)
  const b = network.node("b").add(other)
  network.connect("a", "b")
  return { network, a, b, one, other }
}

const bytes = (text: string): Uint8Array => Buffer.from(text)

describe("MemoryNetwork", () => {
  it("delivers in order after the delay, and the body is copied", () => {
    const { a, network, other } = pair({ delayMillis: 5, jitterMillis: 20, seed: 7 })
    const body = Buffer.from("0")
    for (let index = 0; index < 9; index++) {
      body[0] = 0x30 + index
      assert.isTrue(a.send("b", FrameKind.Messages, body))
    }
    network.advance(4)
    assert.deepStrictEqual(other.seen, ["up a 1"])
    network.advance(30)
    assert.deepStrictEqual(other.seen.slice(1), [..."012345678"].map((one) => `a: ${one}`))
  })

  it("loses what was under way when the link breaks, also when it comes back at once", () => {
    const { a, network, one, other } = pair({ delayMillis: 5 })
    a.send("b", FrameKind.Messages, bytes("lost"))
    network.disconnect("a", "b")
    assert.isFalse(a.send("b", FrameKind.Messages, bytes("no link")))
    network.connect("b", "a")
    a.send("b", FrameKind.Messages, bytes("kept"))
    network.advance(100)
    assert.deepStrictEqual(other.seen, ["up a 1", "down a", "up a 1", "a: kept"])
    assert.deepStrictEqual(one.seen, ["up b 1", "down b", "up b 1"])
  })

  it("a stalled link holds frames back and goes on where it was", () => {
    const { a, network, other } = pair()
    network.stall("a", "b")
    a.send("b", FrameKind.Messages, bytes("1"))
    a.send("b", FrameKind.Messages, bytes("2"))
    network.advance(1_000)
    assert.deepStrictEqual(other.seen, ["up a 1"])
    network.resume("a", "b")
    a.send("b", FrameKind.Messages, bytes("3"))
    network.advance(10)
    assert.deepStrictEqual(other.seen.slice(1), ["a: 1", "a: 2", "a: 3"])
  })

  it("a queue that is full refuses, and tells when there is room", () => {
    const { a, network, one } = pair({ queueBytes: 4 })
    assert.isTrue(a.send("b", FrameKind.Messages, bytes("123")))
    assert.isTrue(a.isCongested("b"))
    assert.isFalse(a.send("b", FrameKind.Messages, bytes("45")))
    network.advance(10)
    assert.deepStrictEqual(one.seen, ["up b 1", "writable b"])
    network.congest("a", "b", true)
    assert.isFalse(a.send("b", FrameKind.Messages, bytes("6")))
    network.congest("a", "b", false)
    assert.deepStrictEqual(one.seen.slice(2), ["writable b"])
  })

  it("a node that was killed comes back as another, and its old frames do not arrive", () => {
    const { a, network, other } = pair({ delayMillis: 5 })
    a.send("b", FrameKind.Messages, bytes("old"))
    network.kill("a")
    network.node("a", 2)
    network.connect("a", "b")
    network.advance(50)
    assert.deepStrictEqual(other.seen, ["up a 1", "down a", "up a 2"])
  })
})
