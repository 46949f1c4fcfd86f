import { assert, describe, it } from "@effect/vitest"
import { FrameReader, headerLength } from "../../src/mqtt/FrameReader.ts"
import { bytes, frame, variableByteInteger } from "../support/bytes.ts"
import { refuses } from "./codec.ts"

const take = (reader: FrameReader): Buffer => Buffer.from(reader.buffer.subarray(reader.start, reader.end))

const drain = (reader: FrameReader): Array<string> => {
  const frames: Array<string> = []
  while (reader.next()) {
    assert.strictEqual(reader.header, reader.buffer[reader.start])
    frames.push(take(reader).toString("hex"))
  }
  return frames
}

const hex = (...frames: ReadonlyArray<Buffer>): Array<string> => frames.map((one) => one.toString("hex"))

describe("FrameReader", () => {
  const ping = bytes("c0 00")
  const small = frame(0x30, '"a"', "'x'")
  const large = frame(0x30, '"a"', Buffer.alloc(300, 0x78))

  it("says false for nothing", () => {
    const reader = new FrameReader(100)
    assert.isFalse(reader.next())
    reader.push(Buffer.alloc(0))
    assert.isFalse(reader.next())
    assert.strictEqual(reader.pendingBytes, 0)
  })

  it("a whole packet is read where it lies, with its body's start", () => {
    const reader = new FrameReader(1000)
    const chunk = Buffer.concat([ping, large])
    reader.push(chunk)
    assert.isTrue(reader.next())
    assert.strictEqual(reader.bodyStart - reader.start, 2)
    assert.isTrue(reader.next())
    assert.strictEqual(reader.buffer, chunk)
    assert.deepStrictEqual([reader.header, reader.start, reader.bodyStart, reader.end], [0x30, 2, 5, 2 + large.length])
    assert.isFalse(reader.next())
    assert.strictEqual(reader.pendingBytes, 0)
  })

  it("keeps no chunk once it is drained", () => {
    const reader = new FrameReader(1000)
    reader.push(Buffer.concat([ping, large.subarray(0, 10)]))
    drain(reader)
    assert.strictEqual(reader.buffer.length, 0)
    assert.strictEqual(reader.pendingBytes, 10)
  })

  for (const size of [1, 2, 3, 7, 100]) {
    it(`chunks of ${size} give what one chunk gives`, () => {
      const all = Buffer.concat([ping, small, large, ping, large, small])
      const reader = new FrameReader(1000)
      const frames: Array<string> = []
      for (let i = 0; i < all.length; i += size) {
        reader.push(all.subarray(i, i + size))
        frames.push(...drain(reader))
      }
      assert.deepStrictEqual(frames, hex(ping, small, large, ping, large, small))
      assert.strictEqual(reader.pendingBytes, 0)
    })
  }

  it("takes chunks that were pushed before the last was drained", () => {
    const reader = new FrameReader(1000)
    reader.push(Buffer.concat([ping, small]))
    assert.isTrue(reader.next())
    reader.push(large.subarray(0, 50))
    reader.push(large.subarray(50))
    assert.deepStrictEqual(drain(reader), hex(small, large))
  })

  it("takes a plain Uint8Array that is a view", () => {
    const memory = new Uint8Array([9, 9, 0xc0, 0x00, 9])
    const reader = new FrameReader(10)
    reader.push(memory.subarray(2, 4))
    assert.deepStrictEqual(drain(reader), ["c000"])
  })

  it("a joined packet owns its memory: the chunks may go", () => {
    const reader = new FrameReader(1000)
    const first = Buffer.from(large.subarray(0, 20))
    reader.push(first)
    drain(reader)
    first.fill(0)
    reader.push(large.subarray(20))
    assert.deepStrictEqual(drain(reader), hex(large))
  })

  it("a large packet in small chunks is whole", () => {
    const payload = Buffer.alloc(300_000, 0x61)
    payload.writeUInt32BE(0xdeadbeef, 299_990)
    const packet = frame(0x30, '"topic"', payload)
    const reader = new FrameReader(1_000_000)
    let found = 0
    for (let i = 0; i < packet.length; i += 1000) {
      reader.push(packet.subarray(i, i + 1000))
      while (reader.next()) {
        found++
        assert.isTrue(take(reader).equals(packet))
      }
    }
    assert.strictEqual(found, 1)
  })

  it("memory grows with what has come, not with what a header promises", () => {
    const reader = new FrameReader(268_435_460)
    reader.push(bytes("30 ff ff ff 7f 00"))
    assert.isFalse(reader.next())
    assert.strictEqual(reader.pendingBytes, 6)
    const joined: unknown = Reflect.get(reader, "joined")
    assert.isTrue(joined instanceof Uint8Array && joined.buffer.byteLength <= 8192)
  })

  describe("the maximum packet size is judged on the header", () => {
    const cases: ReadonlyArray<[string, number, string, boolean]> = [
      ["a packet of exactly the limit", 12, "30 0a", true],
      ["one byte more", 11, "30 0a", false],
      ["PINGREQ with a limit of 1", 1, "c0 00", false],
      ["a length of two bytes, at the limit", 131, "30 80 01", true],
      ["a length of two bytes, beyond it", 130, "30 80 01", false],
      ["a length of four bytes", 1_048_576, "30 ff ff ff 7f", false],
      ["the largest that there is", 268_435_460, "30 ff ff ff 7f", true]
    ]
    for (const [name, limit, header, allowed] of cases) {
      for (const whole of [true, false]) {
        it(`${name}, ${whole ? "at once" : "byte by byte"}: ${allowed ? "read on" : "0x95 before a byte of the body"}`, () => {
          const reader = new FrameReader(limit)
          const data = bytes(header)
          const feed = (): void => {
            for (const part of whole ? [data] : [...data].map((byte) => Buffer.of(byte))) {
              reader.push(part)
              drain(reader)
            }
          }
          if (allowed) feed()
          else refuses(feed, 0x95, "MQTT5-3.2.2.3.6")
        })
      }
    }

    it("holds no more of a packet than the limit, with a chunk that goes on", () => {
      const reader = new FrameReader(50)
      reader.push(frame(0x30, Buffer.alloc(40)).subarray(0, 30))
      drain(reader)
      assert.strictEqual(reader.pendingBytes, 30)
      reader.push(Buffer.concat([Buffer.alloc(12), ping, bytes("30 7f 00")]))
      refuses(() => drain(reader), 0x95, "MQTT5-3.2.2.3.6")
    })

    it("the limit may change between packets", () => {
      const reader = new FrameReader(10)
      reader.push(ping)
      assert.isTrue(reader.next())
      reader.maximumPacketSize = 1000
      reader.push(large)
      assert.isTrue(reader.next())
    })
  })

  describe("lengths that are none", () => {
    const cases: ReadonlyArray<[string, string, string]> = [
      ["[MQTT-1.5.5-1] 0 in two bytes", "c0 80 00", "MQTT-1.5.5-1"],
      ["[MQTT-1.5.5-1] 127 in two bytes", "30 ff 00", "MQTT-1.5.5-1"],
      ["[MQTT-1.5.5-1] 128 in three bytes", "30 80 81 00", "MQTT-1.5.5-1"],
      ["[MQTT-1.5.5-1] 0 in four bytes", "30 80 80 80 00", "MQTT-1.5.5-1"],
      ["five bytes", "30 ff ff ff ff 7f", "MQTT5-1.5.5"],
      ["four bytes that say there is a fifth", "30 80 80 80 80", "MQTT5-1.5.5"]
    ]
    for (const [name, data, clause] of cases) {
      it(`0x81 for ${name}, at once and byte by byte`, () => {
        const whole = new FrameReader(268_435_460)
        whole.push(bytes(data))
        refuses(() => whole.next(), 0x81, clause)
        const single = new FrameReader(268_435_460)
        refuses(
          () => {
            for (const byte of bytes(data)) {
              single.push(Buffer.of(byte))
              single.next()
            }
          },
          0x81,
          clause
        )
      })
    }
  })

  it("headerLength follows from the size of the packet", () => {
    for (const remaining of [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455]) {
      const header = 1 + variableByteInteger(remaining).length
      assert.strictEqual(headerLength(header + remaining), header, `${remaining}`)
    }
  })
})
