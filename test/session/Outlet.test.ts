// What leaves, in which order, in how many writes; with a socket that records.
import { assert, describe, it } from "@effect/vitest"
import { Counters } from "../../src/metrics/Counters.ts"
import { Output } from "../../src/mqtt/Output.ts"
import { Scheduler } from "../../src/otp/Scheduler.ts"
import { Arena, Outlet } from "../../src/session/Outlet.ts"

class RecordingSocket {
  readonly writes: Array<string> = []
  bufferedBytes = 0

  write(buffer: Buffer, start: number, end: number): boolean {
    this.writes.push(buffer.toString("latin1", start, end))
    return this.bufferedBytes === 0
  }
}

const setUp = (highWatermark = 1_000_000) => {
  const socket = new RecordingSocket()
  const scheduler = new Scheduler()
  const arena = new Arena(new Output(256))
  const counters = new Counters()
  const outlet = new Outlet(socket, scheduler, arena, counters, highWatermark)
  /** The end of the turn: flushes have run. */
  const turn = () => new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)))
  return { socket, arena, counters, outlet, turn }
}

describe("Outlet", () => {
  it("writes nothing before the end of the turn, then neighbouring ranges as one, without a copy", async () => {
    const { outlet, socket, turn, arena } = setUp()
    const chunk = Buffer.from("abcdef")
    outlet.append(chunk, 0, 2)
    outlet.append(chunk, 2, 5)
    assert.deepStrictEqual(socket.writes, [])
    await turn()
    assert.deepStrictEqual(socket.writes, ["abcde"])
    assert.strictEqual(arena.output.position, 0)
  })

  it("joins ranges of several buffers in their order into one write", async () => {
    const { outlet, socket, counters, turn } = setUp()
    const first = Buffer.from("0123456789")
    outlet.append(first, 0, 3)
    outlet.append(first, 7, 9)
    outlet.appendBytes(Buffer.from("xyz"))
    await turn()
    assert.deepStrictEqual(socket.writes, ["01278xyz"])
    assert.strictEqual(counters.bytes_sent_total, 8)
  })

  it("what is joined may be larger than the arena", async () => {
    const { outlet, socket, turn } = setUp()
    const long = Buffer.alloc(400, "a")
    outlet.append(long, 0, 400)
    outlet.append(Buffer.from("b"), 0, 1)
    await turn()
    assert.deepStrictEqual(socket.writes, ["a".repeat(400) + "b"])
  })

  it("ranges of the arena survive until the flush although joining uses the same arena", async () => {
    const { outlet, socket, arena, turn } = setUp()
    const { output } = arena
    const encode = (text: string) => {
      output.reserve(text.length)
      const start = output.position
      output.position += output.buffer.write(text, start, "latin1")
      outlet.append(output.buffer, start, output.position)
    }
    encode("one ")
    outlet.append(Buffer.from("two "), 0, 4)
    encode("three")
    await turn()
    assert.deepStrictEqual(socket.writes, ["one two three"])
  })

  it("the arena begins again only when every outlet of the turn has been flushed", async () => {
    const socketA = new RecordingSocket()
    const socketB = new RecordingSocket()
    const scheduler = new Scheduler()
    const arena = new Arena(new Output(256))
    const counters = new Counters()
    const a = new Outlet(socketA, scheduler, arena, counters, 1_000)
    const b = new Outlet(socketB, scheduler, arena, counters, 1_000)
    const { output } = arena
    for (const [outlet, text] of [[a, "for a"], [b, "for b"]] as const) {
      const start = output.position
      output.position += output.buffer.write(text, start, "latin1")
      outlet.append(output.buffer, start, output.position)
    }
    a.flush()
    assert.isAbove(output.position, 0)
    await new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)))
    assert.deepStrictEqual([socketA.writes, socketB.writes], [["for a"], ["for b"]])
    assert.strictEqual(output.position, 0)
  })

  it("a large burst is written at once, so that the turn is not mistaken for congestion; order holds", async () => {
    const { outlet, socket, turn } = setUp()
    const block = Buffer.alloc(100_000, "x")
    for (let i = 0; i < 3; i++) outlet.append(block, 0, block.length)
    outlet.append(Buffer.from("end"), 0, 3)
    assert.strictEqual(socket.writes.length, 1)
    await turn()
    assert.strictEqual(socket.writes.join(""), "x".repeat(300_000) + "end")
  })

  it("is congested while the socket holds more than the watermark", async () => {
    const { outlet, socket, turn } = setUp(10)
    socket.bufferedBytes = 11
    outlet.append(Buffer.from("a"), 0, 1)
    await turn()
    assert.isTrue(outlet.congested)
    socket.bufferedBytes = 0
    outlet.drained()
    assert.isFalse(outlet.congested)
  })

  it("after close nothing leaves, and the arena is given back", async () => {
    const { outlet, socket, arena, turn } = setUp()
    outlet.append(Buffer.from("a"), 0, 1)
    outlet.append(arena.output.buffer, 0, 1)
    outlet.close()
    outlet.append(Buffer.from("b"), 0, 1)
    await turn()
    assert.deepStrictEqual(socket.writes, [])
    assert.strictEqual(arena.output.position, 0)
  })
})
