import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { FixedKeySet, keySetOfPem, parseKeySet } from "../../../src/access/authentication/jwt/KeySet.ts"
import { JwtLink } from "../../../src/access/authentication/jwt/JwtLink.ts"
import { keyAlgorithms } from "../../../src/config/sections/authJwt.ts"
import { certificates, opensslMissing } from "../../support/certificates.ts"
import { ask, askLink, bySecret, defaults, forge, type KeyPair, keyPair, secret, sign, told } from "./tokens.ts"

const setOf = (...keys: ReadonlyArray<KeyPair>) => new FixedKeySet({ keys: keys.map(({ jwk }) => jwk) })
const setOfPem = (pem: string) => {
  const set = keySetOfPem(pem)
  assert.isDefined(set)
  return new FixedKeySet(set)
}
const tokenOf = (...args: Parameters<typeof sign>) => Effect.promise(() => sign(...args))

describe("a JWT that is good", () => {
  it.effect("HS256, HS384, HS512 with the secret", () =>
    Effect.gen(function* () {
      for (const algorithm of ["HS256", "HS384", "HS512"]) {
        const long = Buffer.alloc(64, "k")
        const token = yield* tokenOf({ algorithm, privateKey: long })
        assert.strictEqual(told(yield* ask({ secret: long }, token)), "Allow bob", algorithm)
      }
    }))

  for (const algorithm of keyAlgorithms) {
    it.effect(`${algorithm} with a public key, as PEM and as JWK`, () =>
      Effect.gen(function* () {
        const key = yield* Effect.promise(() => keyPair(algorithm))
        const token = yield* tokenOf(key)
        assert.strictEqual(told(yield* ask({ keys: setOfPem(key.pem) }, token)), "Allow bob")
        assert.strictEqual(told(yield* ask({ keys: setOf(key) }, token)), "Allow bob")
        const other = yield* Effect.promise(() => keyPair(algorithm))
        assert.strictEqual(
          told(yield* ask({ keys: setOf(other) }, token)),
          "Deny 134 jwt: the signature is not by our key"
        )
      }))
  }

  it.skipIf(opensslMissing !== undefined)("the key of a certificate", () => {
    assert.strictEqual(keySetOfPem(certificates().text("client.crt"))?.keys[0]?.crv, "P-256")
    assert.isUndefined(keySetOfPem(certificates().text("client.key")), "a private key is not for here")
  })

  it.effect("in the user name, where the settings say so", () =>
    Effect.gen(function* () {
      const token = yield* tokenOf(bySecret)
      const asked = ask({ secret, from: "user_name" }, undefined, { userName: token })
      assert.strictEqual(told(yield* asked), "Allow bob")
      assert.strictEqual(told(yield* ask({ secret, from: "user_name" }, token)), "Ignore", "not in the password then")
      assert.strictEqual(told(yield* ask({ secret }, undefined, { userName: token })), "Ignore")
    }))

  it.effect("no token is for another link", () =>
    Effect.gen(function* () {
      for (const password of [undefined, "", "secret", "a.b", "a.b.c.d", "a b.c.d", "ä.b.c", "YWJj.YWJj.YWJj"]) {
        assert.strictEqual(told(yield* ask({ secret }, password)), "Ignore", password)
      }
    }))
})

describe("claims of a JWT", () => {
  it.effect("the connection ends with the token", () =>
    Effect.gen(function* () {
      const answer = yield* ask({ secret, leewayMillis: 5_000 }, yield* tokenOf(bySecret))
      assert.deepStrictEqual(answer, {
        _tag: "Allow",
        superuser: false,
        userName: "bob",
        clientId: undefined,
        rules: undefined,
        expiresAt: 65_000
      })
    }))

  it.effect("expired, not yet valid, and the leeway of both", () =>
    Effect.gen(function* () {
      const token = yield* tokenOf(bySecret, { sub: "bob", nbf: 100, exp: 200 })
      const at = (seconds: number, leewayMillis = 0) =>
        Effect.andThen(TestClock.setTime(seconds * 1000), Effect.map(ask({ secret, leewayMillis }, token), told))
      assert.strictEqual(yield* at(99), "Deny 134 jwt: claim nbf: check failed")
      assert.strictEqual(yield* at(95, 5_000), "Allow bob")
      assert.strictEqual(yield* at(100), "Allow bob")
      assert.strictEqual(yield* at(199), "Allow bob")
      assert.strictEqual(yield* at(200), "Deny 134 jwt: expired")
      assert.strictEqual(yield* at(204, 5_000), "Allow bob")
      assert.strictEqual(yield* at(205, 5_000), "Deny 134 jwt: expired")
    }))

  it.effect("without exp only where the settings allow it; exp that is no number never", () =>
    Effect.gen(function* () {
      const token = yield* tokenOf(bySecret, { sub: "bob" })
      assert.strictEqual(told(yield* ask({ secret }, token)), "Deny 134 jwt: claim exp: missing")
      const answer = yield* ask({ secret, requireExp: false }, token)
      assert.strictEqual(told(answer), "Allow bob")
      assert.isTrue(answer._tag === "Allow" && answer.expiresAt === undefined)
      const odd = forge({ alg: "HS256" }, { sub: "bob", exp: "60" }, secret)
      assert.strictEqual(told(yield* ask({ secret, requireExp: false }, odd)), "Deny 134 jwt: claim exp: invalid")
    }))

  it.effect("issuer and audience", () =>
    Effect.gen(function* () {
      const options = { secret, issuer: ["https://a", "https://b"], audience: ["mqtt"] }
      const told1 = (claims: Record<string, unknown>) =>
        Effect.flatMap(tokenOf(bySecret, { sub: "bob", exp: 60, ...claims }), (token) =>
          Effect.map(ask(options, token), told))
      assert.strictEqual(yield* told1({ iss: "https://b", aud: ["x", "mqtt"] }), "Allow bob")
      assert.strictEqual(yield* told1({ iss: "https://c", aud: "mqtt" }), "Deny 134 jwt: claim iss: check failed")
      assert.strictEqual(yield* told1({ iss: "https://a", aud: "x" }), "Deny 134 jwt: claim aud: check failed")
      assert.strictEqual(yield* told1({ aud: "mqtt" }), "Deny 134 jwt: claim iss: missing")
      assert.strictEqual(yield* told1({ iss: "https://a" }), "Deny 134 jwt: claim aud: missing")
    }))

  it.effect("the client id: another one is refused, an empty one becomes it", () =>
    Effect.gen(function* () {
      const token = yield* tokenOf(bySecret, { sub: "bob", device: "c1", exp: 60 })
      const options = { secret, claimClientId: "device" }
      assert.strictEqual(told(yield* ask(options, token)), "Allow bob")
      assert.strictEqual(
        told(yield* ask(options, token, { clientId: "c2" })),
        "Deny 133 jwt: the token is for another client id"
      )
      const empty = yield* ask(options, token, { clientId: "emqttd-1", assigned: true })
      assert.isTrue(empty._tag === "Allow" && empty.clientId === "c1")
      const without = yield* tokenOf(bySecret)
      assert.strictEqual(told(yield* ask(options, without)), "Deny 134 jwt: no claim device")
    }))

  it.effect("superuser is true and nothing else; a way into the token; what every object has is no claim", () =>
    Effect.gen(function* () {
      for (const [value, expected] of [[true, true], ["true", false], [1, false], [null, false]] as const) {
        const token = yield* tokenOf(bySecret, { sub: "bob", exp: 60, realm: { roles: { root: value } } })
        const answer = yield* ask({ secret, claimSuperuser: "/realm/roles/root" }, token)
        assert.isTrue(answer._tag === "Allow" && answer.superuser === expected, String(value))
      }
      const token = yield* tokenOf(bySecret)
      const odd = { secret, claimAcl: "constructor", claimSuperuser: "/constructor/name" }
      assert.strictEqual(told(yield* ask(odd, token)), "Allow bob")
      assert.strictEqual(
        told(yield* ask({ secret, claimUserName: "toString" }, token)),
        "Deny 134 jwt: no claim toString"
      )
    }))

  it.effect("rules that cannot be read let nobody in", () =>
    Effect.gen(function* () {
      for (
        const [acl, fault] of [
          ["a/b", "expected lists of topics by action, or a list of rules"],
          [null, "expected lists of topics by action, or a list of rules"],
          [{ publsh: ["a"] }, `unknown key "publsh"; expected publish, pub, subscribe, sub, all, pubsub`],
          [{ pub: "a" }, "pub: expected a list of topic filters"],
          [{ pub: ["a/#/b"] }, `pub: expected a topic filter, got "a/#/b"`],
          [{ pub: ["a/x%c"] }, `pub: expected a topic filter, got "a/x%c"`],
          [{ pub: Array.from({ length: 1_001 }, () => "a") }, "more than 1000 topics"],
          [[{ topics: ["a"] }], `rule 1: effect: expected "allow" or "deny", got nothing`],
          [[{ effect: "allow", topic: "a", quality: 1 }], "rule 1: quality: unknown key"]
        ] as const
      ) {
        const token = yield* tokenOf(bySecret, { sub: "bob", exp: 60, acl })
        assert.strictEqual(told(yield* ask({ secret }, token)), `Deny 134 jwt: claim acl: ${fault}`)
      }
    }))
})

describe("attacks with a JWT", () => {
  const refused = "Deny 134 jwt: an algorithm that is not accepted here"

  it.effect("alg none, in any case, with and without a signature", () =>
    Effect.gen(function* () {
      const key = yield* Effect.promise(() => keyPair("RS256"))
      for (const alg of ["none", "None", "NONE", "nOnE", "", null, ["HS256"], { alg: "HS256" }, undefined]) {
        for (const signature of [undefined, secret]) {
          const token = forge({ typ: "JWT", alg }, { sub: "root", exp: 60 }, signature)
          for (const options of [{ secret }, { keys: setOf(key) }, { secret, keys: setOf(key) }, {}]) {
            assert.strictEqual(told(yield* ask(options, token)), refused, String(alg))
          }
        }
      }
    }))

  it.effect("HS256 with the public key as the secret", () =>
    Effect.gen(function* () {
      const key = yield* Effect.promise(() => keyPair("RS256", "k1"))
      const texts = [key.pem, key.pem.trim(), JSON.stringify(key.jwk), key.jwk.n ?? "", ""]
      for (const text of texts) {
        const token = forge({ alg: "HS256", kid: "k1" }, { sub: "root", exp: 60 }, text)
        assert.strictEqual(told(yield* ask({ keys: setOf(key) }, token)), refused)
        // Nor where the settings have both kinds.
        assert.strictEqual(
          told(yield* ask({ keys: setOf(key), secret }, token)),
          "Deny 134 jwt: the signature is not by our key"
        )
        // Nor where they name an algorithm for which there is no secret.
        assert.strictEqual(told(yield* ask({ keys: setOf(key), algorithms: ["HS256", "RS256"] }, token)), refused)
      }
    }))

  it.effect("an algorithm that the settings leave out; one of another kind of key", () =>
    Effect.gen(function* () {
      const rsa = yield* Effect.promise(() => keyPair("RS256"))
      const ec = yield* Effect.promise(() => keyPair("ES256"))
      const token = yield* tokenOf(rsa)
      assert.strictEqual(told(yield* ask({ keys: setOf(rsa), algorithms: ["PS256"] }, token)), refused)
      assert.strictEqual(told(yield* ask({ keys: setOf(ec) }, token)), "Deny 134 jwt: no key for this token (kid, alg)")
      assert.strictEqual(told(yield* ask({ secret }, token)), refused)
    }))

  it.effect("a key that the token brings itself (jwk, jku, x5c, x5u) counts for nothing", () =>
    Effect.gen(function* () {
      const ours = yield* Effect.promise(() => keyPair("ES256"))
      const theirs = yield* Effect.promise(() => keyPair("ES256"))
      for (const header of [{ jwk: theirs.jwk }, { jku: "http://127.0.0.1:1/" }, { x5u: "http://127.0.0.1:1/" }]) {
        const token = yield* tokenOf(theirs, { sub: "root", exp: 60 }, header)
        assert.strictEqual(
          told(yield* ask({ keys: setOf(ours) }, token)),
          "Deny 134 jwt: the signature is not by our key"
        )
      }
    }))

  it.effect("a token that was changed: claims, header, signature; each bit of the signature", () =>
    Effect.gen(function* () {
      const token = yield* tokenOf(bySecret)
      const [header = "", claims = "", signature = ""] = token.split(".")
      const root = Buffer.from(`{"sub":"root","exp":60}`).toString("base64url")
      const wrong = "Deny 134 jwt: the signature is not by our key"
      assert.strictEqual(told(yield* ask({ secret }, `${header}.${root}.${signature}`)), wrong)
      assert.strictEqual(told(yield* ask({ secret }, `${header}.${claims}.`)), wrong)
      const bytes = Buffer.from(signature, "base64url")
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const changed = Buffer.from(bytes)
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        const forged = `${header}.${claims}.${changed.toString("base64url")}`
        assert.strictEqual(told(yield* ask({ secret }, forged)), wrong)
      }
    }))

  it.effect("crit that nobody understands, and a payload that is not encoded", () =>
    Effect.gen(function* () {
      const claims = { sub: "root", exp: 60 }
      const unknown = forge({ alg: "HS256", crit: ["x"], x: 1 }, claims, secret)
      assert.strictEqual(told(yield* ask({ secret }, unknown)), "Deny 134 jwt: ERR_JOSE_NOT_SUPPORTED")
      for (const crit of [[], "x", ["exp"], [1]]) {
        const answer = yield* ask({ secret }, forge({ alg: "HS256", crit }, claims, secret))
        assert.match(told(answer), /^Deny 134 jwt: ERR_/)
      }
      const raw = forge({ alg: "HS256", b64: false, crit: ["b64"] }, claims, secret)
      assert.match(told(yield* ask({ secret }, raw)), /^Deny 134 jwt: /)
    }))

  it.effect("claims that are no object, and a claim that stands there twice: the last one counts, everywhere", () =>
    Effect.gen(function* () {
      for (const claims of ["[]", "null", "1", `"x"`, "{", ""]) {
        assert.match(told(yield* ask({ secret }, forge({ alg: "HS256" }, claims, secret))), /^Deny 134 jwt: /)
      }
      const twice = forge({ alg: "HS256" }, `{"sub":"root","exp":0,"sub":"bob","exp":60}`, secret)
      assert.strictEqual(told(yield* ask({ secret }, twice)), "Allow bob")
      const expired = forge({ alg: "HS256" }, `{"sub":"bob","exp":60,"exp":0}`, secret)
      assert.strictEqual(told(yield* ask({ secret }, expired)), "Deny 134 jwt: expired")
      const header = forge(`{"alg":"HS256","alg":"none"}`, { sub: "root", exp: 60 }, secret)
      assert.strictEqual(told(yield* ask({ secret }, header)), refused)
    }))

  it("a huge token is not even looked at", () => {
    const link = new JwtLink({ ...defaults, secret })
    const token = forge({ alg: "HS256" }, { sub: "bob", exp: 60, x: "y".repeat(10_000_000) }, secret)
    const answer = link.check({
      clientId: "c",
      userName: "u",
      password: Buffer.from(token),
      address: "127.0.0.1",
      listener: "tcp",
      certificateName: undefined,
      certificateSubject: undefined,
      protocolVersion: 4
    })
    assert.isTrue(
      "_tag" in answer && answer._tag === "Deny" && answer.reason === "jwt: longer than auth_jwt.max_token_length"
    )
  })

  it.effect("several keys and no kid; a kid of nobody", () =>
    Effect.gen(function* () {
      const one = yield* Effect.promise(() => keyPair("ES256", "one"))
      const two = yield* Effect.promise(() => keyPair("ES256", "two"))
      const link = new JwtLink({ ...defaults, keys: setOf(one, two) })
      const tell = (key: KeyPair, kid?: unknown) =>
        Effect.flatMap(tokenOf(key, undefined, kid === undefined ? {} : { kid }), (token) =>
          Effect.map(askLink(link, token), told))
      assert.strictEqual(yield* tell(two, "two"), "Allow bob")
      assert.strictEqual(yield* tell(two, "one"), "Deny 134 jwt: the signature is not by our key")
      assert.strictEqual(yield* tell(two), "Deny 134 jwt: several keys fit and the token names none (kid)")
      assert.strictEqual(yield* tell(two, "three"), "Deny 134 jwt: no key for this token (kid, alg)")
      assert.match(yield* tell(two, { toString: 1 }), /^Deny 134 /)
    }))

  it("a set of keys: secrets and private keys are passed over, what is no set is none", () => {
    const rsa = { kty: "RSA", n: "AQAB", e: "AQAB" }
    const set = (keys: unknown) => parseKeySet(JSON.stringify({ keys }))?.keys
    assert.deepStrictEqual(set([rsa, { kty: "oct", k: "AAAA" }, { ...rsa, d: "AQAB" }, { kty: "x" }]), [rsa])
    for (const keys of [undefined, "x", {}, [1], [{}], [{ kty: 1 }], Array.from({ length: 101 }, () => rsa)]) {
      assert.isUndefined(set(keys))
    }
    for (const text of ["", "x", "[]", "null", "{"]) assert.isUndefined(parseKeySet(text))
    for (const text of ["", "x", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"]) {
      assert.isUndefined(keySetOfPem(text))
    }
  })

  it.effect("nothing of a token stands in an answer", () =>
    Effect.gen(function* () {
      const claims = { sub: "very-secret-name", iss: "very-secret-issuer", exp: 60, acl: 1 }
      const other = { algorithm: "HS256", privateKey: Buffer.alloc(32, "x") }
      for (const options of [{ secret, issuer: ["a"] }, { secret }, { secret, claimUserName: "name" }]) {
        for (const key of [bySecret, other]) {
          assert.notInclude(told(yield* ask(options, yield* tokenOf(key, claims))), "very-secret")
        }
      }
    }))
})
