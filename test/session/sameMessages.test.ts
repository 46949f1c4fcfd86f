// Which messages count as one that came by two ways.
import { assert, describe, it } from "@effect/vitest"
import { Message } from "../../src/mqtt/Message.ts"
import { doubled, SameMessages } from "../../src/session/Arrival.ts"

const message = (payload: string, now: number, publisher = "p") =>
  Message.make({
    topic: "t",
    payload: new TextEncoder().encode(payload),
    qos: 1,
    retain: false,
    publisher,
    properties: null,
    now
  })

describe("SameMessages", () => {
  it("one that came by two ways is found once, whatever the ways took", () => {
    const came = new SameMessages()
    for (const at of [1_000, 1_500, 9_000]) came.add(message("on", at))
    assert.isTrue(came.take(message("on", 1_700)))
    assert.isTrue(came.take(message("on", 0)))
    assert.isFalse(came.take(message("on", 1_000)), "there were two of that time")
    assert.isTrue(came.take(message("on", 9_900)))
  })

  it("equal payloads of another time, of another client or with other bytes are other messages", () => {
    const came = new SameMessages()
    came.add(message("on", 10_000))
    for (
      const other of [message("on", 12_001), message("on", 7_999), message("on", 10_000, "q"), message("off", 10_000)]
    ) {
      assert.isFalse(came.take(other))
    }
    assert.deepStrictEqual([...doubled([message("on", 20_000), message("on", 10_001), message("on", 10_002)], came)], [
      1
    ])
  })
})
