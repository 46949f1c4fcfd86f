// Our frames against those of the package `ws`: what it sends we read, however it is cut; what we send it reads; and where it finds a
// fault in a stream, so do we, with the same code.
import { assert, describe, it } from "@effect/vitest"
import { createHash } from "node:crypto"
import { FrameDecoder } from "../../src/listener/websocket/FrameDecoder.ts"
import { closeFrame, longestFrameHeader, pongFrame, putHeaderBefore } from "../../src/listener/websocket/encodeFrame.ts"
import { Random } from "../mqtt/generators.ts"
import { clientFrame, WsReceiver } from "../support/wsPackage.ts"

const runs = 500

/** What a stream came to: its payload (as a digest and as it is), and how it ended. */
interface Outcome {
  readonly payload: string
  readonly bytes: Buffer
  readonly code: number | undefined
}

const statusOf = (error: object): number =>
  Number(Reflect.get(error, Object.getOwnPropertySymbols(error).find((one) => one.description === "status-code") ?? ""))

const digest = (bytes: ReadonlyArray<Buffer>): string => createHash("sha1").update(Buffer.concat(bytes)).digest("hex")

const ofWs = async (
  stream: Buffer,
  maximum: number,
  isServer = true
): Promise<Outcome & { readonly controls: Array<string> }> => {
  const receiver = new WsReceiver({ isServer, maxPayload: maximum, allowSynchronousEvents: true })
  const messages: Array<Buffer> = []
  const controls: Array<string> = []
  let code: number | undefined
  receiver.on("message", (data: Buffer, isBinary: boolean) => {
    if (!isBinary) code ??= 1003
    messages.push(data)
  })
  receiver.on("ping", (data: Buffer) => controls.push(`ping ${data.toString("hex")}`))
  receiver.on("pong", (data: Buffer) => controls.push(`pong ${data.toString("hex")}`))
  receiver.on("conclude", (given: number, reason: Buffer) => {
    code ??= given === 1005 ? 1000 : given
    controls.push(`close ${given} ${reason.toString()}`)
  })
  receiver.on("error", (error: Error) => (code ??= statusOf(error)))
  // It unmasks in place, and tells of errors in a later turn.
  await new Promise<void>((resolve) => receiver.write(Buffer.from(stream), () => resolve()))
  await new Promise<void>((resolve) => setImmediate(resolve))
  return { payload: digest(messages), bytes: Buffer.concat(messages), code, controls }
}

const ours = (r: Random, stream: Buffer, maximum: number): Outcome & { readonly ping: string | undefined } => {
  const decoder = new FrameDecoder(maximum)
  const largest = r.one(stream.length > 5_000 ? [200, 3_000, 100_000] : [1, 2, 3, 7, 20, 200])
  const parts: Array<Buffer> = []
  for (let at = 0; at < stream.length;) {
    const size = 1 + r.below(largest)
    const chunk = Buffer.from(stream.subarray(at, at + size))
    parts.push(chunk.subarray(0, decoder.decode(chunk)))
    at += size
  }
  return {
    payload: digest(parts),
    bytes: Buffer.concat(parts),
    code: decoder.end?.code,
    ping: decoder.ping === undefined ? undefined : `ping ${decoder.ping.toString("hex")}`
  }
}

/** Binary messages, in one frame or in fragments with control frames between them. */
const someFrames = (r: Random): Array<Buffer> => {
  const frames: Array<Buffer> = []
  for (let messages = 1 + r.below(6); messages > 0; messages--) {
    const fragments = r.one([1, 1, 2, 5])
    for (let fragment = 0; fragment < fragments; fragment++) {
      const size = r.one([0, 1, 3, 15, 16, 17, 125, 126, 1_000, 70_000])
      frames.push(clientFrame(fragment === 0 ? 2 : 0, Buffer.alloc(size, r.bytes(257)), fragment === fragments - 1))
      if (r.chance(3)) frames.push(clientFrame(r.one([9, 10]), r.bytes(r.below(126))))
    }
  }
  if (r.chance(4)) frames.push(clientFrame(8, r.one([Buffer.alloc(0), Buffer.from([0x03, 0xe9, 0x61])])))
  return frames
}

describe("WebSocket frames", () => {
  it(`what ws sends is read, however it is cut (${runs} runs)`, async () => {
    for (let seed = 0; seed < runs; seed++) {
      const r = new Random(seed)
      const stream = Buffer.concat(someFrames(r))
      const expected = await ofWs(stream, 1_000_000)
      const found = ours(r, stream, 1_000_000)
      const pings = expected.controls.filter((one) => one.startsWith("ping"))
      assert.strictEqual(found.payload, expected.payload, `seed ${seed}`)
      assert.deepStrictEqual([found.code, found.ping], [expected.code, pings.at(-1)], `seed ${seed}`)
    }
  })

  it(`what ws calls a fault is one, with the same code (${runs} runs)`, async () => {
    let faults = 0
    for (let seed = 0; seed < runs; seed++) {
      const r = new Random(seed)
      const frames = someFrames(r)
      const spoilt = frames[r.below(frames.length)] ?? Buffer.alloc(0)
      spoilt[0] = r.below(256)
      if (r.chance(2)) spoilt[1] = r.below(256)
      const stream = Buffer.concat(frames)
      const maximum = r.one([100, 80_000, 1_000_000])
      const expected = await ofWs(stream, maximum)
      const found = ours(r, stream, maximum)
      // Text that ws reads on: we do not take any. And ws asks for the whole 64 bits of a length where we say at once that it is too much.
      if (found.code === 1003) continue
      if (expected.code !== undefined) faults++
      assert.strictEqual(found.code, expected.code, `seed ${seed}`)
      assert.isTrue(found.bytes.subarray(0, expected.bytes.length).equals(expected.bytes), `seed ${seed}`)
    }
    assert.isAbove(faults, runs / 4)
  })

  it("what we send, ws reads", async () => {
    const r = new Random(1)
    for (const size of [1, 2, 125, 126, 127, 65_535, 65_536, 200_000]) {
      const frame = Buffer.alloc(longestFrameHeader + size)
      const payload = r.bytes(size)
      payload.copy(frame, longestFrameHeader)
      const outcome = await ofWs(frame.subarray(putHeaderBefore(frame, longestFrameHeader, size)), 1_000_000, false)
      // The shortest form of the length, RFC 6455 section 5.2.
      const header = longestFrameHeader - putHeaderBefore(frame, longestFrameHeader, size)
      assert.strictEqual(header, size < 126 ? 2 : size < 65_536 ? 4 : 10)
      assert.deepStrictEqual([outcome.payload, outcome.code, outcome.controls], [digest([payload]), undefined, []])
    }
    const pong = await ofWs(pongFrame(Buffer.from("there")), 1_000, false)
    assert.deepStrictEqual(pong.controls, [`pong ${Buffer.from("there").toString("hex")}`])
    const close = await ofWs(closeFrame(1003, "a text frame"), 1_000, false)
    assert.deepStrictEqual(close.controls, ["close 1003 a text frame"])
    assert.strictEqual((await ofWs(closeFrame(1009, "x".repeat(500)), 1_000, false)).code, 1009)
  })
})
