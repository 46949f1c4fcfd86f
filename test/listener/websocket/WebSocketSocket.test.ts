// The socket between two others: what it writes, how it passes back-pressure on, and how it ends. The platform's socket is played here,
// so that the kernel takes exactly what a test says.
import { assert, describe, it } from "@effect/vitest"
import {
  lingeringAtATime,
  webSocketHandlers,
  type WebSocketOptions
} from "../../../src/listener/websocket/WebSocketSocket.ts"
import type { TcpHandlers, TcpSocket } from "../../../src/platform/Tcp.ts"
import { upgradeRequest } from "../../support/Wire.ts"
import { clientFrame } from "../../support/wsPackage.ts"

class PlayedSocket implements TcpSocket {
  readonly remoteAddress = "192.0.2.1"
  readonly remotePort = 4711
  bufferedBytes = 0
  readonly calls: Array<string> = []
  readonly written: Array<Buffer> = []
  /** Whether the kernel takes anything. */
  blocked = false

  write(buffer: Buffer, start: number, end: number): boolean {
    this.calls.push("write")
    this.written.push(Buffer.from(buffer.subarray(start, end)))
    if (this.blocked) this.bufferedBytes += end - start
    return this.bufferedBytes === 0
  }
  end(): void {
    this.calls.push("end")
  }
  destroy(): void {
    this.calls.push("destroy")
  }
  pause(): void {
    this.calls.push("pause")
  }
  resume(): void {
    this.calls.push("resume")
  }
}

/** The listener's side. */
class Inner implements TcpHandlers<TcpSocket> {
  readonly events: Array<string> = []
  open(socket: TcpSocket): TcpSocket {
    return socket
  }
  data(_: TcpSocket, chunk: Buffer): void {
    this.events.push(chunk.toString())
  }
  drain(): void {
    this.events.push("drain")
  }
  close(_: TcpSocket, error: string | undefined): void {
    this.events.push(`close ${error ?? ""}`)
  }
}

const set = () => {
  const inner = new Inner()
  const timers = new Set<{ onTimer(): void }>()
  const options: WebSocketOptions = {
    rules: {
      path: "/mqtt",
      requireSubprotocol: true,
      allowedOrigins: [],
      trustForwardedFor: false,
      favoursLoopback: false
    },
    isLoopback: () => false,
    maxMessageSize: 100_000,
    maxHeaderSize: 1_000,
    onRefused: () => {},
    onFault: () => {},
    linger: (timed) => {
      timers.add(timed)
      return () => timers.delete(timed)
    }
  }
  const handlers = webSocketHandlers(options, inner)
  const open = () => {
    const raw = new PlayedSocket()
    return { raw, socket: handlers.open(raw) }
  }
  const upgraded = () => {
    const opened = open()
    handlers.data(opened.socket, Buffer.from(upgradeRequest()))
    opened.raw.calls.length = opened.raw.written.length = 0
    return opened
  }
  return { inner, timers, handlers, open, upgraded }
}

describe("WebSocketSocket", () => {
  it("a flush is one frame and, up to 32 KiB, one write; the caller's buffer is its own again at once", () => {
    const { raw, socket } = set().upgraded()
    const buffer = Buffer.from("-hello-")
    assert.isTrue(socket.write(buffer, 1, 6))
    buffer.fill(0)
    socket.write(Buffer.alloc(32_768), 0, 32_768)
    assert.deepStrictEqual(raw.written.map(({ length }) => length), [7, 32_772])
    assert.strictEqual(raw.written[0]?.toString("latin1"), "\x82\x05hello")
    socket.write(Buffer.alloc(70_000), 0, 70_000)
    assert.deepStrictEqual(raw.written.slice(2).map(({ length }) => length), [10, 70_000])
    assert.strictEqual(raw.written[2]?.toString("hex"), "827f0000000000011170")
  })

  it("back-pressure passes through both ways", () => {
    const { handlers, inner, upgraded } = set()
    const { raw, socket } = upgraded()
    raw.blocked = true
    assert.isFalse(socket.write(Buffer.from("x"), 0, 1))
    assert.strictEqual(socket.bufferedBytes, 3)
    raw.bufferedBytes = 0
    handlers.drain(socket)
    assert.deepStrictEqual(inner.events, ["drain"])
    socket.pause()
    socket.resume()
    assert.deepStrictEqual(raw.calls, ["write", "pause", "resume"])
  })

  it("one chunk comes as one chunk, whatever its frames", () => {
    const { handlers, inner, upgraded } = set()
    const { socket } = upgraded()
    handlers.data(socket, Buffer.concat([clientFrame(2, "a", false), clientFrame(9, "?"), clientFrame(0, "bc")]))
    handlers.data(socket, clientFrame(10, "nothing to hand on"))
    assert.deepStrictEqual(inner.events, ["abc"])
  })

  it("pongs do not pile up for a client that does not read", () => {
    const { handlers, upgraded } = set()
    const { raw, socket } = upgraded()
    raw.blocked = true
    handlers.data(socket, Buffer.concat([clientFrame(9, "1"), clientFrame(9, "2")]))
    for (const text of ["3", "4", "5"]) handlers.data(socket, clientFrame(9, text))
    assert.deepStrictEqual(raw.written.map((frame) => frame.toString("latin1")), ["\x8a\x012"])
    raw.bufferedBytes = 0
    raw.blocked = false
    handlers.drain(socket)
    assert.strictEqual(raw.written[1]?.toString("latin1"), "\x8a\x015")
    handlers.drain(socket)
    assert.lengthOf(raw.written, 2)
  })

  it("nothing is said after the end, and nothing heard", () => {
    const { handlers, inner, upgraded } = set()
    const { raw, socket } = upgraded()
    socket.end()
    socket.end()
    socket.write(Buffer.from("late"), 0, 4)
    handlers.data(socket, Buffer.concat([clientFrame(2, "late"), clientFrame(8, "")]))
    assert.deepStrictEqual(raw.written.map((frame) => frame.toString("hex")), ["880203e8"])
    assert.deepStrictEqual(raw.calls, ["write", "end"])
    handlers.close(socket, undefined)
    assert.deepStrictEqual(inner.events, ["close "])
  })

  it("a Close frame is the close, once; who then does not close is cut off", () => {
    const { handlers, inner, timers, upgraded } = set()
    const { raw, socket } = upgraded()
    handlers.data(socket, Buffer.concat([clientFrame(2, "last"), clientFrame(8, "")]))
    assert.deepStrictEqual(inner.events, ["last", "close "])
    assert.deepStrictEqual(raw.calls, ["write", "end"])
    for (const timed of timers) timed.onTimer()
    assert.deepStrictEqual(raw.calls, ["write", "end", "destroy"])
    handlers.drain(socket)
    handlers.close(socket, undefined)
    assert.deepStrictEqual(inner.events, ["last", "close "])
    assert.strictEqual(timers.size, 0)
  })

  it("who is waited for has a bound: those above it are closed at once", () => {
    const { handlers, open, timers } = set()
    const refused = Array.from({ length: lingeringAtATime + 2 }, () => {
      const opened = open()
      handlers.data(opened.socket, Buffer.from("GET / HTTP/1.1\r\n\r\n"))
      return opened
    })
    assert.strictEqual(timers.size, lingeringAtATime)
    assert.strictEqual(refused.filter(({ raw }) => raw.calls.includes("destroy")).length, 2)
    for (const { socket } of refused) handlers.close(socket, undefined)
    const next = open()
    handlers.data(next.socket, Buffer.from("GET / HTTP/1.1\r\n\r\n"))
    assert.deepStrictEqual(next.raw.calls, ["write", "end"])
  })
})
