// What waits for one peer: order, lanes, credit and bound, against a socket that the test holds.
import { assert, describe, it } from "@effect/vitest"
import { FrameKind } from "../../src/cluster/Bus.ts"
import { FrameCutter } from "../../src/cluster/links/FrameCutter.ts"
import { SendQueue } from "../../src/cluster/links/SendQueue.ts"
import type { TcpSocket } from "../../src/platform/Tcp.ts"

class HeldSocket implements TcpSocket {
  readonly remoteAddress = "127.0.0.1"
  readonly remotePort = 1
  readonly bufferedBytes = 0
  readonly cutter = new FrameCutter(1_000_000)
  writes = 0
  takesAll = true
  write(buffer: Buffer, start: number, end: number): boolean {
    this.writes++
    this.cutter.push(Buffer.from(buffer.subarray(start, end)))
    return this.takesAll
  }
  end(): void {}
  destroy(): void {}
  pause(): void {}
  resume(): void {}
  get frames(): ReadonlyArray<string> {
    const found: Array<string> = []
    while (this.cutter.next()) {
      found.push(`${this.cutter.kind}:${this.cutter.body.length > 9 ? this.cutter.body.length : this.cutter.body}`)
    }
    return found
  }
}

const bytes = (text: string): Buffer => Buffer.from(text)

describe("SendQueue", () => {
  it("frames of a turn go in one write, those of links and membership first", () => {
    const [queue, socket] = [new SendQueue(1_000_000, 1_000_000), new HeldSocket()]
    for (const text of ["a", "b", "c"]) assert.isTrue(queue.push(FrameKind.Messages, bytes(text)))
    queue.flush(socket)
    assert.strictEqual(socket.writes, 1)
    queue.push(FrameKind.RoutesDelta, bytes("d"))
    queue.push(FrameKind.Probe, bytes("p"))
    queue.flush(socket)
    assert.deepStrictEqual(socket.frames, ["48:a", "48:b", "48:c", "16:p", "32:d"])
  })

  it("sends no more than the window and one block without the peer's word", () => {
    const [queue, socket] = [new SendQueue(10_000_000, 100_000), new HeldSocket()]
    for (let index = 0; index < 10; index++) queue.push(FrameKind.Messages, Buffer.alloc(60_000 - 5))
    queue.flush(socket)
    assert.strictEqual(socket.frames.length, 2)
    assert.strictEqual(queue.underWay, 120_000)
    queue.push(FrameKind.Probe, bytes("p"))
    queue.credit(20_000)
    queue.flush(socket)
    assert.deepStrictEqual(socket.frames, ["16:p"])
    queue.credit(60_000)
    queue.flush(socket)
    assert.strictEqual(socket.frames.length, 1)
    assert.strictEqual(queue.bytes, 7 * 60_000)
    assert.throws(() => queue.credit(180_001), "180000 were sent")
  })

  it("waits while the socket holds bytes back, but for the frames that hurry", () => {
    const [queue, socket] = [new SendQueue(10_000_000, 10_000_000), new HeldSocket()]
    socket.takesAll = false
    for (let index = 0; index < 3; index++) queue.push(FrameKind.Messages, Buffer.alloc(60_000))
    queue.flush(socket)
    queue.push(FrameKind.Credit, bytes("c"))
    queue.flush(socket)
    assert.deepStrictEqual(socket.frames, ["48:60000", "5:c"])
    socket.takesAll = true
    queue.drained()
    queue.flush(socket)
    assert.deepStrictEqual(socket.frames, ["48:60000", "48:60000"])
  })

  it("full it refuses, and tells once when there is room", () => {
    const [queue, socket] = [new SendQueue(100_000, 1_000_000), new HeldSocket()]
    assert.isTrue(queue.push(FrameKind.Messages, Buffer.alloc(40_000)))
    assert.isFalse(queue.isCongested)
    assert.isFalse(queue.takeRoom())
    assert.isTrue(queue.push(FrameKind.Messages, Buffer.alloc(40_000)))
    assert.isTrue(queue.isCongested)
    assert.isFalse(queue.push(FrameKind.Messages, Buffer.alloc(40_000)))
    assert.isTrue(queue.push(FrameKind.Probe, bytes("p")))
    assert.isFalse(queue.takeRoom())
    queue.flush(socket)
    assert.deepStrictEqual([queue.takeRoom(), queue.takeRoom()], [true, false])
    assert.isTrue(queue.push(FrameKind.Messages, Buffer.alloc(200_000)), "one frame always fits")
  })

  it("orders and answers about sessions find room where nothing else does", () => {
    const queue = new SendQueue(100_000, 1_000_000)
    queue.push(FrameKind.Messages, Buffer.alloc(99_990))
    for (const kind of [FrameKind.Messages, FrameKind.SessionPart, FrameKind.RetainedDelta, FrameKind.Announce]) {
      assert.isFalse(queue.push(kind, bytes("some bytes")), `${kind}`)
    }
    for (const kind of [FrameKind.Claim, FrameKind.SessionTaken, FrameKind.Fence, FrameKind.Closing]) {
      assert.isTrue(queue.push(kind, bytes("some bytes")), `${kind}`)
    }
    assert.isFalse(queue.push(FrameKind.Yield, Buffer.alloc(30_000)), "it has a bound too")
  })
})
