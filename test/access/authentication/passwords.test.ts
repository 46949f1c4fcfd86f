import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { PasswordChecks } from "../../../src/access/authentication/passwords/PasswordChecks.ts"
import {
  algorithms,
  decoyOf,
  formatPasswordHash,
  parsePasswordHash,
  type PasswordHash
} from "../../../src/access/authentication/passwords/PasswordHash.ts"
import {
  hasArgon2id,
  hashPassword,
  verifyPassword
} from "../../../src/access/authentication/passwords/verifyPassword.ts"
import { Counters } from "../../../src/metrics/Counters.ts"

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

const parsed = (text: string): PasswordHash => {
  const hash = parsePasswordHash(text)
  if (hash === undefined) throw new Error(`no hash: ${text}`)
  return hash
}

/** Of other programs: mosquitto_passwd 2.0.11, Python 3.11, the test vectors of crypt_blowfish. */
const known: ReadonlyArray<readonly [what: string, hash: string, password: string]> = [
  [
    "mosquitto_passwd",
    "$7$101$GN3WqJbtEBl6CS0d$JAM8Pagg3xDGHxV/s6AQRPCXDaIwFOPpfvDaCaNLeZsqeMYBR0wWja1JBFKUSeSUr6xRNElEXOs47OR/PSo/lQ==",
    "pw1"
  ],
  [
    "mosquitto_passwd -H sha512",
    "$6$yLN5QWLwOmn7F8Qs$6TXEDD12vKI7Z3dY2erCbsS2GFNRofrHEKQuwXEeU701sYKtVtyaGUDTeGw9j2l6SdqgNEgvI+GwZATUKTxZnA==",
    "pw2"
  ],
  [
    "mosquitto_passwd -I 1000",
    "$7$1000$Cfl7H8vMk8mSTbnR$m7pdrO9aOGw8JlI0XwHFuWkzOW/C8uHLnlYRYCPCdDXJqTwNJZ5L7spiMVJa2aq/Xm/ypPo59kY+ARB0DCb4Kg==",
    "pw3"
  ],
  [
    "Python's hashlib, as passlib writes it",
    "$pbkdf2-sha256$6400$AAECAwQFBgcICQoLDA0ODw$tPOMD/grGsIamqYFYSZfmAdFVLhjOwI3BJ.ZUfspFNM",
    "password"
  ],
  [
    "scrypt of Python's hashlib",
    "$scrypt$ln=10,r=8,p=2$AAECAwQFBgcICQoLDA0ODw$2fs6JV7IbiGgyjyPIxLxLLy5vXNrhQ+FJbFF9Dg9WqE",
    "password"
  ],
  ["bcrypt", "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"],
  ["bcrypt of PHP", "$2y$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK", "U*U*"]
]

describe("hashes of other programs", () => {
  it.effect.each(known)("%s", ([, text, password]) =>
    Effect.gen(function* () {
      const hash = parsed(text)
      assert.isTrue(yield* verifyPassword(hash, bytes(password)))
      assert.isFalse(yield* verifyPassword(hash, bytes(`${password}x`)))
      assert.isFalse(yield* verifyPassword(hash, new Uint8Array(0)))
      assert.isFalse(yield* verifyPassword(hash, new Uint8Array([0xff, 0xfe])))
    }))
})

describe("our own", () => {
  for (const algorithm of algorithms) {
    it(algorithm, async (context) => {
      if (algorithm === "argon2id" && !hasArgon2id) return context.skip("argon2id is not known to this runtime")
      await Effect.runPromise(Effect.gen(function* () {
        const hash = yield* hashPassword(algorithm, bytes("päss:word"), 1_000)
        const text = formatPasswordHash(hash)
        assert.notInclude(text, "word")
        assert.deepStrictEqual(formatPasswordHash(parsed(text)), text)
        assert.isTrue(yield* verifyPassword(parsed(text), bytes("päss:word")))
        assert.isFalse(yield* verifyPassword(parsed(text), bytes("pass:word")))
        const again = formatPasswordHash(yield* hashPassword(algorithm, bytes("päss:word"), 1_000))
        assert.notStrictEqual(again, text)
        const decoy = decoyOf(hash)
        assert.strictEqual(formatPasswordHash(decoy).length, text.length)
        assert.isFalse(yield* verifyPassword(decoy, bytes("päss:word")))
      }))
    })
  }
})

describe("what is no hash, or costs too much", () => {
  const salt = "AAAAAAAAAAAAAAAA"
  const long = "A".repeat(86)
  for (
    const text of [
      "",
      "secret",
      "$",
      "$$$",
      "$1$abc$def",
      "$5$abc$def",
      "$6$$",
      `$6$${salt}$AAAA`,
      `$7$0$${salt}$${long}`,
      `$7$10000001$${salt}$${long}`,
      `$7$1e3$${salt}$${long}`,
      `$7$101$${salt}$${long}$more`,
      `$7$101$${salt}$`,
      `$pbkdf2-sha256$i=99999999$${salt}$${long}`,
      `$pbkdf2-sha1$i=1000$${salt}$${long}`,
      `$scrypt$ln=21,r=8,p=1$${salt}$${long}`,
      `$scrypt$ln=20,r=32,p=1$${salt}$${long}`,
      `$scrypt$r=8,p=1$${salt}$${long}`,
      `$argon2id$v=19$m=9999999,t=2,p=1$${salt}$${long}`,
      `$argon2id$v=16$m=19456,t=2,p=1$${salt}$${long}`,
      `$argon2i$v=19$m=19456,t=2,p=1$${salt}$${long}`,
      `$2b$31$${"A".repeat(53)}`,
      `$2b$10$${"A".repeat(52)}`
    ]
  ) it(text === "" ? "nothing" : text, () => assert.strictEqual(parsePasswordHash(text), undefined))
})

describe("PasswordChecks", () => {
  it.effect("so many at a time, so many that wait, the rest is told that there is no room", () =>
    Effect.gen(function* () {
      const counters = new Counters()
      const checks = new PasswordChecks({ hashesAtATime: 2, hashesWaiting: 1 }, counters)
      const gate = yield* Deferred.make<void>()
      let running = 0
      const work = Effect.gen(function* () {
        running++
        yield* Deferred.await(gate)
        running--
        return true
      })
      const fibers = [
        yield* Effect.forkChild(checks.run(work)),
        yield* Effect.forkChild(checks.run(work)),
        yield* Effect.forkChild(checks.run(work))
      ]
      yield* Effect.yieldNow
      assert.deepStrictEqual([running, checks.size], [2, 3])
      assert.strictEqual(yield* checks.run(work), "busy")
      assert.strictEqual(counters.password_checks_refused_total, 1)
      yield* Deferred.succeed(gate, undefined)
      for (const fiber of fibers) assert.isTrue(yield* Fiber.join(fiber))
      assert.deepStrictEqual([checks.size, counters.password_checks_total], [0, 3])
    }))

  it.effect("who goes while it is checked keeps the place until it is done: nobody burns more than their number", () =>
    Effect.gen(function* () {
      const checks = new PasswordChecks({ hashesAtATime: 1, hashesWaiting: 0 }, new Counters())
      const gate = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkChild(checks.run(Deferred.await(gate)))
      yield* Effect.yieldNow
      fiber.interruptUnsafe()
      yield* Effect.yieldNow
      assert.strictEqual(yield* checks.run(Effect.void), "busy")
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.await(fiber)
      assert.strictEqual(yield* checks.run(Effect.succeed(1)), 1)
    }))
})
