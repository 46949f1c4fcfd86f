// Chunks are an accident of the network: however bytes are cut, the same packets come out, and memory stays within its bound.
import { assert, describe, it } from "@effect/vitest"
import { FrameReader } from "../../src/mqtt/FrameReader.ts"
import { ProtocolError } from "../../src/mqtt/ProtocolError.ts"
import { versions } from "../mqtt/codec.ts"
import { Random, somePacket } from "../mqtt/generators.ts"

const runs = 2_000

const drain = (reader: FrameReader, into: Array<string>): void => {
  while (reader.next()) {
    assert.strictEqual(reader.header, reader.buffer[reader.start])
    into.push(`${reader.bodyStart - reader.start}:${reader.buffer.toString("hex", reader.start, reader.end)}`)
  }
}

const cut = (r: Random, data: Buffer): Array<Buffer> => {
  const chunks: Array<Buffer> = []
  const largest = r.one([1, 2, 3, 5, 20, 200, 5_000])
  for (let at = 0; at < data.length;) {
    const size = Math.min(data.length - at, r.chance(10) ? 0 : 1 + r.below(largest))
    // Each chunk has memory of its own, which is overwritten once the reader is through with it.
    chunks.push(Buffer.from(data.subarray(at, at + size)))
    at += size
  }
  return chunks
}

describe("FrameReader", () => {
  it(`any chunking gives what the whole gives, whenever it is drained (${runs} runs)`, () => {
    for (let seed = 0; seed < runs; seed++) {
      const r = new Random(seed)
      const version = r.one(versions)
      const packets = Array.from({ length: 1 + r.below(12) }, () => somePacket(r, version))
      const expected = packets.map((packet) =>
        `${packet.length <= 129 ? 2 : packet.length <= 16_386 ? 3 : 4}:${packet.toString("hex")}`
      )
      const reader = new FrameReader(20_000)
      const frames: Array<string> = []
      for (const chunk of cut(r, Buffer.concat(packets))) {
        reader.push(chunk)
        if (r.chance(4)) continue
        drain(reader, frames)
        chunk.fill(0xee)
      }
      drain(reader, frames)
      assert.deepStrictEqual(frames, expected, `seed ${seed}`)
      assert.strictEqual(reader.pendingBytes, 0, `seed ${seed}`)
    }
  })

  it(`holds at most the maximum packet size, or a fixed header, of any bytes (${runs} runs)`, () => {
    for (let seed = 0; seed < runs; seed++) {
      const r = new Random(seed)
      const maximum = r.one([2, 5, 100, 1_000])
      const reader = new FrameReader(maximum)
      try {
        for (const chunk of cut(r, r.bytes(400))) {
          reader.push(chunk)
          while (reader.next()) assert.isTrue(reader.end - reader.start <= maximum, `seed ${seed}`)
          assert.isTrue(reader.pendingBytes < Math.max(maximum, 5), `seed ${seed}`)
        }
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error
        assert.isTrue(error.reasonCode === 0x95 || error.reasonCode === 0x81)
      }
    }
  })
})
