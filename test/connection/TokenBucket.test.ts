import { assert, describe, it } from "@effect/vitest"
import { TokenBucket } from "../../src/connection/TokenBucket.ts"
import { randomOf } from "../router/recorder.ts"

describe("TokenBucket", () => {
  it("gives the burst at once, then as much as comes in", () => {
    const bucket = new TokenBucket(10, 5, 0)
    for (let n = 0; n < 5; n++) assert.isTrue(bucket.take(1, 0))
    assert.isFalse(bucket.take(1, 0))
    assert.strictEqual(bucket.waitMillis(0), 100)
    assert.isFalse(bucket.take(1, 99))
    assert.isTrue(bucket.take(1, 100))
    assert.isFalse(bucket.take(1, 100))
    for (let n = 0; n < 5; n++) assert.isTrue(bucket.take(1, 60_000), `${n}`)
    assert.isFalse(bucket.take(1, 60_000))
  })

  it("a burst of 0 is one second's worth, and none is less than a fifth of it or than one", () => {
    assert.deepStrictEqual(
      [[10, 0], [10, 1], [1000, 1], [1, 0]].map(([a = 0, b = 0]) => new TokenBucket(a, b, 0).capacity),
      [
        10,
        2,
        200,
        1
      ]
    )
  })

  it("what is larger than the burst passes and is paid for afterwards", () => {
    const bucket = new TokenBucket(100, 50, 0)
    assert.isTrue(bucket.take(1_050, 0))
    assert.strictEqual(bucket.waitMillis(0), 10_010)
    assert.isFalse(bucket.take(1, 10_000))
    assert.isTrue(bucket.take(1, 10_010))
  })

  it("never gives more than the burst and what has come in, whatever is asked when, and a clock set back gives nothing (500 runs)", () => {
    for (let seed = 1; seed <= 500; seed++) {
      const random = randomOf(seed)
      const [rate, burst] = [1 + random(100), random(200)]
      const bucket = new TokenBucket(rate, burst, 0)
      let [now, passed, taken] = [0, 0, 0]
      for (let n = 0; n < 300; n++) {
        const step = random(10) === 0 ? -random(500) : random(50)
        now += step
        passed += Math.max(0, step)
        if (bucket.take(1, now)) taken++
        assert.isAtMost(taken, bucket.capacity + passed / 1000 * rate + 1e-6, `seed ${seed}`)
      }
      const wait = bucket.waitMillis(now)
      assert.isTrue(bucket.take(1, now + wait), `seed ${seed}: after ${wait} ms`)
    }
  })
})
