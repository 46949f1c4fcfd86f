// The original's password_hash: known digests of other programs, and what must never match.
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { linkParts } from "../../support/linkParts.ts"
import { parsePasswordForm, verifyStored } from "../../../src/access/backends/passwordHash.ts"

const { passwords } = linkParts()

const verify = (form: string, password: string | null, salt: string | null, given: string) => {
  const hash = parsePasswordForm(form)
  if (hash === undefined || hash._tag === "InQuery") return Effect.die(`not a form: ${form}`)
  return Effect.mapError(
    verifyStored(hash, { password, salt, userName: undefined }, Buffer.from(given), passwords),
    ({ message }) => message
  )
}

// printf 'public' | sha256sum, printf 'saltpublic' | sha256sum, …; PBKDF2: RFC 6070 and RFC 7914
const table: ReadonlyArray<readonly [form: string, password: string, salt: string | null, given: string]> = [
  ["plain", "public", null, "public"],
  // crypt(3)
  ["bcrypt", "$2b$04$abcdefghijklmnopqrstuuaNoRgelGRsJ2Tm9Zn/HHRlHib6lnzBu", null, "public"],
  ["md5", "4c9184f37cff01bcdc32dc486ec36961", null, "public"],
  ["sha", "61c9b2b17db77a27841bbeeabff923448b0f6388", null, "public"],
  ["sha256", "efa1f375d76194fa51a3556a97e641e61685f914d446979da50a551a4333ffd7", null, "public"],
  ["sha256", "EFA1F375D76194FA51A3556A97E641E61685F914D446979DA50A551A4333FFD7", null, "public"],
  ["salt,sha256", "f2ef7f9aedb2c3b5040bc16691a1177758a92ad91e1ee77770215a332bf6099f", "salt", "public"],
  ["sha256,salt", "f4a8615be301fbaf6213df33cfe5f22953aafc0c31beb8f2daef55b127444d27", "salt", "public"],
  [
    "sha512,salt",
    "7ffaf674fc0b94835d6cdba9f3e80b7d7dc8efe5fe7cfe9f01d38d309718cef339fc3014fb007d2133d65d6fea8e904817670aeb69ca47a74554804c15e1bd4f",
    "salt",
    "public"
  ],
  ["pbkdf2,sha,2,20", "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957", "salt", "password"],
  [
    "pbkdf2,sha256,1,64",
    "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783",
    "salt",
    "passwd"
  ]
]

describe("password_hash", () => {
  it("forms", () => {
    for (
      const form of [
        "plain",
        "md5",
        "sha",
        "sha256",
        "sha512",
        "salt,sha256",
        "sha256,salt",
        "salt, md5",
        "pbkdf2,sha256,1000,20",
        "bcrypt",
        "passwd",
        "in_query",
        "salt,bcrypt"
      ]
    ) {
      assert.isDefined(parsePasswordForm(form), form)
    }
    for (
      const form of [
        "",
        "Plain",
        "sha3",
        "salt",
        "salt,plain",
        "plain,salt",
        "sha256,pepper",
        "salt,sha256,salt",
        "pbkdf2",
        "pbkdf2,sha256",
        "pbkdf2,sha256,0,20",
        "pbkdf2,sha256,1000,4",
        "pbkdf2,sha256,1e9,20",
        "pbkdf2,sha256,1000,20,1"
      ]
    ) {
      assert.isUndefined(parsePasswordForm(form), form)
    }
  })

  it.effect("what other programs made is taken, a wrong password is not", () =>
    Effect.forEach(table, ([form, password, salt, given]) =>
      Effect.gen(function* () {
        assert.strictEqual(true, yield* verify(form, password, salt, given), form)
        assert.strictEqual(false, yield* verify(form, password, salt, `${given} `), form)
        assert.strictEqual(false, yield* verify(form, password, salt, ""), form)
        if (salt !== null) assert.strictEqual(false, yield* verify(form, password, "pepper", given), form)
      })))

  it.effect("nothing is let in by an empty password, or without one", () =>
    Effect.gen(function* () {
      assert.strictEqual(false, yield* verify("plain", "", null, ""))
      assert.strictEqual(false, yield* verify("plain", null, null, "null"))
      assert.isFalse(
        yield* verify("sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", null, "")
      )
    }))

  it.effect("a column that holds something else is a fault, not a match", () =>
    Effect.gen(function* () {
      assert.match(yield* Effect.flip(verify("sha256", "efa1", null, "public")), /64 hexadecimal digits/)
      assert.match(yield* Effect.flip(verify("md5", "public", null, "public")), /32 hexadecimal digits/)
      assert.match(yield* Effect.flip(verify("salt,md5", "4c9184f37cff01bcdc32dc486ec36961", null, "public")), /salt/)
    }))
})
