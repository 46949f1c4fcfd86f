import { assert, describe, it } from "@effect/vitest"
import { Mailbox } from "../../src/otp/Mailbox.ts"
import { seeded } from "./turns.ts"

describe("Mailbox", () => {
  it("gives everything there is, oldest first, and is empty then", () => {
    const mailbox = new Mailbox<number>(10)
    assert.isEmpty(mailbox.takeAll())
    for (const message of [1, 2, 3]) assert.isTrue(mailbox.offer(message))
    assert.strictEqual(mailbox.size, 3)
    assert.deepStrictEqual(mailbox.takeAll(), [1, 2, 3])
    assert.strictEqual(mailbox.size, 0)
    assert.isEmpty(mailbox.takeAll())
  })

  it("is bounded; what it refuses is counted", () => {
    const mailbox = new Mailbox<number>(2)
    assert.isTrue(mailbox.offer(1))
    assert.isFalse(mailbox.isFull)
    assert.isTrue(mailbox.offer(2))
    assert.isTrue(mailbox.isFull)
    assert.isFalse(mailbox.offer(3))
    assert.isFalse(mailbox.offer(4))
    assert.strictEqual(mailbox.rejected, 2)
    assert.deepStrictEqual(mailbox.takeAll(), [1, 2])
    assert.isTrue(mailbox.offer(5))
    assert.isFalse(new Mailbox<number>(0).offer(1))
  })

  it("a batch stays what it is while others offer", () => {
    const mailbox = new Mailbox<number>(10)
    mailbox.offer(1)
    const batch = mailbox.takeAll()
    mailbox.offer(2)
    assert.deepStrictEqual(batch, [1])
    assert.deepStrictEqual(mailbox.takeAll(), [2])
  })

  it("keeps nothing alive that has been released", () => {
    const mailbox = new Mailbox<object>(10)
    mailbox.offer({})
    const batch = mailbox.takeAll()
    mailbox.release()
    assert.isEmpty(batch)
    mailbox.release()
  })

  it("the two arrays change places: no allocation per batch", () => {
    const mailbox = new Mailbox<number>(10)
    const seen = new Set<ReadonlyArray<number>>()
    for (let round = 0; round < 20; round++) {
      mailbox.offer(round)
      mailbox.offer(round)
      seen.add(mailbox.takeAll())
      mailbox.release()
    }
    assert.strictEqual(seen.size, 2)
  })

  it("gives an array back that a burst has made long", () => {
    const mailbox = new Mailbox<number>(1000)
    const burst = () => {
      for (let message = 0; message < 1000; message++) mailbox.offer(message)
      const batch = mailbox.takeAll()
      mailbox.release()
      return batch
    }
    const seen = new Set([burst(), burst(), burst(), burst()])
    assert.strictEqual(seen.size, 4)
  })

  it("puts the rest of a batch back before what has come since", () => {
    const mailbox = new Mailbox<number>(4)
    for (const message of [1, 2, 3, 4]) mailbox.offer(message)
    const batch = mailbox.takeAll()
    mailbox.offer(5)
    mailbox.putBack(batch, 2)
    mailbox.release()
    assert.deepStrictEqual(mailbox.peekAll(), [3, 4, 5])
    assert.strictEqual(mailbox.size, 3)
    assert.deepStrictEqual(mailbox.takeAll(), [3, 4, 5])
    mailbox.putBack(mailbox.takeAll(), 0)
    assert.strictEqual(mailbox.size, 0)
  })

  it("is a bounded list, in 1,000 random programs", () => {
    for (let seed = 0; seed < 1000; seed++) {
      const random = seeded(seed)
      const capacity = 1 + random(100)
      const mailbox = new Mailbox<number>(capacity)
      let model: Array<number> = []
      let refused = 0
      for (let step = 0; step < 200; step++) {
        const what = random(20)
        if (what < 17) {
          const fits = model.length < capacity
          assert.strictEqual(mailbox.offer(step), fits)
          if (fits) model.push(step)
          else refused++
        } else if (what < 19) {
          const batch = mailbox.takeAll()
          assert.deepStrictEqual(batch, model)
          const from = batch.length - random(3)
          if (what === 18 && from >= 0) {
            const rest = model.slice(from)
            mailbox.offer(-step)
            mailbox.putBack(batch, from)
            model = [...rest, -step]
          } else model = []
          mailbox.release()
        } else {
          mailbox.clear()
          model = []
        }
        assert.strictEqual(mailbox.size, model.length)
        assert.deepStrictEqual(mailbox.peekAll(), model)
      }
      assert.strictEqual(mailbox.rejected, refused)
    }
  })
})
