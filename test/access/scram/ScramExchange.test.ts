// The examples of RFC 5802 and RFC 7677 byte by byte, and what an attacker would try.
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type FindKeys, ScramExchange, type ScramStep } from "../../../src/access/scram/ScramExchange.ts"
import {
  keysOfNobody,
  makeScramKeys,
  type ScramKeys,
  type ScramMechanism,
  scramMechanisms
} from "../../../src/access/scram/ScramKeys.ts"
import { clientFinal } from "../../support/scramClient.ts"

const bytes = (text: string) => new TextEncoder().encode(text)
const text = (data: Uint8Array) => new TextDecoder().decode(data)
const base64 = (encoded: string) => new Uint8Array(Buffer.from(encoded, "base64"))

const told = (step: ScramStep): string =>
  step._tag === "Failure" ? `failed: ${step.reason}` : `${step._tag} ${text(step.data)}`

const always = (keys: ScramKeys): FindKeys => () => ({ keys, known: true })

interface Example {
  readonly mechanism: ScramMechanism
  readonly salt: string
  readonly clientNonce: string
  readonly serverNonce: string
  readonly proof: string
  readonly verifier: string
}

const examples: ReadonlyArray<Example> = [
  // RFC 5802, section 5
  {
    mechanism: "SCRAM-SHA-1",
    salt: "QSXCR+Q6sek8bf92",
    clientNonce: "fyko+d2lbbFgONRv9qkxdawL",
    serverNonce: "3rfcNHYJY1ZVvWVs7j",
    proof: "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
    verifier: "rmF9pqV8S7suAoZWja4dJRkFsKQ="
  },
  // RFC 7677, section 3
  {
    mechanism: "SCRAM-SHA-256",
    salt: "W22ZaJ0SNY7soEsUEjb6gQ==",
    clientNonce: "rOprNGfwEbeRWgbNEkqO",
    serverNonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
    proof: "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    verifier: "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
  }
]

const bare = "n=user,r=clientnonce"
const serverNonce = "servernonce"

const keys = (mechanism: ScramMechanism = "SCRAM-SHA-256", iterations = 64) =>
  makeScramKeys(mechanism, "pencil", iterations, bytes("0123456789abcdef"))

/** An exchange that has got its first message, and the answer to it. */
const challenged = Effect.fnUntraced(function* (first = `n,,${bare}`, mechanism: ScramMechanism = "SCRAM-SHA-256") {
  const exchange = new ScramExchange(mechanism, always(yield* keys(mechanism)), serverNonce)
  const step = exchange.take(bytes(first))
  assert.strictEqual(step._tag, "Challenge", told(step))
  return { exchange, serverFirst: step._tag === "Challenge" ? text(step.data) : "" }
})

const firstFails = (first: string | Uint8Array | undefined, reason: string) =>
  Effect.map(keys(), (made) => {
    const exchange = new ScramExchange("SCRAM-SHA-256", always(made), serverNonce)
    assert.strictEqual(told(exchange.take(typeof first === "string" ? bytes(first) : first)), `failed: ${reason}`)
    // And no second try.
    assert.strictEqual(told(exchange.take(bytes(`n,,${bare}`))), "failed: the exchange is over")
  })

describe("SCRAM", () => {
  for (const { clientNonce, mechanism, proof, salt, serverNonce, verifier } of examples) {
    it.effect(`${mechanism}: the example of its RFC`, () =>
      Effect.gen(function* () {
        const made = yield* makeScramKeys(mechanism, "pencil", 4096, base64(salt))
        const exchange = new ScramExchange(mechanism, always(made), serverNonce)
        assert.strictEqual(
          told(exchange.take(bytes(`n,,n=user,r=${clientNonce}`))),
          `Challenge r=${clientNonce}${serverNonce},s=${salt},i=4096`
        )
        const step = exchange.take(bytes(`c=biws,r=${clientNonce}${serverNonce},p=${proof}`))
        assert.strictEqual(told(step), `Success v=${verifier}`)
        assert.strictEqual(step._tag === "Success" ? step.userName : undefined, "user")
      }))
  }

  for (const mechanism of scramMechanisms) {
    it.effect(`${mechanism}: lets in with the password, and with no other`, () =>
      Effect.gen(function* () {
        for (const [password, expected] of [["pencil", "Success"], ["Pencil", "Failure"], ["", "Failure"]] as const) {
          const { exchange, serverFirst } = yield* challenged(`n,,${bare}`, mechanism)
          const final = clientFinal(mechanism, password, bare, serverFirst)
          assert.strictEqual(exchange.take(bytes(final))._tag, expected)
        }
      }))
  }

  it.effect("names with comma, equals sign and what is not ASCII come through as they are", () =>
    Effect.gen(function* () {
      const first = "n=a=2Cb=3D=2C\u{fc}/+#,r=clientnonce"
      const { exchange, serverFirst } = yield* challenged(`n,,${first}`)
      const step = exchange.take(bytes(clientFinal("SCRAM-SHA-256", "pencil", first, serverFirst)))
      assert.strictEqual(step._tag === "Success" ? step.userName : undefined, "a,b=,\u{fc}/+#")
    }))

  it.effect("a client that could do channel binding, its own name again, and extensions that may be left aside", () =>
    Effect.gen(function* () {
      const first = "n=user,r=clientnonce,x=anything"
      for (const header of ["y,,", "n,a=user,", "y,a=user,"]) {
        const { exchange, serverFirst } = yield* challenged(header + first)
        const final = clientFinal("SCRAM-SHA-256", "pencil", first, serverFirst, header)
        assert.strictEqual(exchange.take(bytes(final))._tag, "Success", header)
      }
    }))

  describe("a first message is refused", () => {
    const cases: ReadonlyArray<readonly [title: string, first: string | Uint8Array | undefined, reason: string]> = [
      ["that is not there", undefined, "no SCRAM message"],
      ["that is empty", "", "other-error"],
      ["that is not UTF-8", Uint8Array.of(0x6e, 0x2c, 0x2c, 0xff), "no SCRAM message"],
      ["that is longer than 4096 bytes", `n,,n=${"u".repeat(5_000)},r=x`, "no SCRAM message"],
      ["that asks for channel binding", `p=tls-unique,,${bare}`, "server-does-support-no-channel-binding"],
      ["with another flag", `x,,${bare}`, "other-error"],
      ["without a GS2 header", bare, "other-error"],
      ["of who wants to act for another", `n,a=admin,${bare}`, "it wants to act under another name"],
      ["with a bad authorization name", `n,a==2,${bare}`, "invalid-username-encoding"],
      ["with something else for the authorization name", `n,b=x,${bare}`, "other-error"],
      ["with a mandatory extension", `n,,m=x,${bare}`, "extensions-not-supported"],
      ["without a name", "n,,r=clientnonce", "other-error"],
      ["with an empty name", "n,,n=,r=clientnonce", "invalid-username-encoding"],
      ["with a bad escape in the name", "n,,n=a=2c,r=clientnonce", "invalid-username-encoding"],
      ["with U+0000 in the name", "n,,n=a\0,r=clientnonce", "invalid-username-encoding"],
      ["without a nonce", "n,,n=user", "other-error"],
      ["with an empty nonce", "n,,n=user,r=", "other-error"],
      ["with a space in the nonce", "n,,n=user,r=a b", "other-error"]
    ]
    for (const [title, first, reason] of cases) it.effect(title, () => firstFails(first, reason))
  })

  describe("a second message is refused", () => {
    const final = Effect.fnUntraced(function* (change: (final: string) => string) {
      const { exchange, serverFirst } = yield* challenged()
      return told(exchange.take(bytes(change(clientFinal("SCRAM-SHA-256", "pencil", bare, serverFirst)))))
    })
    const cases: ReadonlyArray<readonly [title: string, change: (final: string) => string, reason: string]> = [
      ["with the client's nonce alone", (it) => it.replace("clientnonceservernonce", "clientnonce"), "wrong nonce"],
      ["with another nonce", (it) => it.replace("servernonce", "servernoncf"), "wrong nonce"],
      ["with more nonce", (it) => it.replace("servernonce", "servernoncee"), "wrong nonce"],
      [
        "with a GS2 header that the first had not",
        (it) => it.replace("c=biws", "c=eSws"),
        "channel-bindings-dont-match"
      ],
      ["with channel binding data", (it) => it.replace("c=biws", "c=biwsAAAA"), "channel-bindings-dont-match"],
      ["with base64 that is none", (it) => it.replace("c=biws", "c=bi*s"), "invalid-encoding"],
      ["without channel binding", (it) => it.replace("c=biws,", ""), "other-error"],
      ["without a proof", (it) => it.replace(/,p=.*$/, ""), "other-error"],
      ["with an empty proof", (it) => it.replace(/,p=.*$/, ",p="), "invalid-proof"],
      ["with a short proof", (it) => it.replace(/,p=.*$/, ",p=AAAA"), "invalid-proof"],
      [
        "with a proof of zeros",
        (it) => it.replace(/,p=.*$/, `,p=${Buffer.alloc(32).toString("base64")}`),
        "invalid-proof"
      ],
      ["with a proof twice", (it) => `${it},p=AAAA`, "invalid-proof"],
      ["with an extension that the proof is not over", (it) => it.replace(",p=", ",x=1,p="), "invalid-proof"]
    ]
    for (const [title, change, reason] of cases) {
      it.effect(title, () => Effect.map(final(change), (step) => assert.strictEqual(step, `failed: ${reason}`)))
    }

    it.effect("that was right in another exchange", () =>
      Effect.gen(function* () {
        const { serverFirst } = yield* challenged()
        const overheard = clientFinal("SCRAM-SHA-256", "pencil", bare, serverFirst)
        const again = new ScramExchange("SCRAM-SHA-256", always(yield* keys()), "another")
        again.take(bytes(`n,,${bare}`))
        assert.strictEqual(told(again.take(bytes(overheard))), "failed: wrong nonce")
      }))

    it.effect("after a success and after a failure, whatever it is", () =>
      Effect.gen(function* () {
        const { exchange, serverFirst } = yield* challenged()
        const final = clientFinal("SCRAM-SHA-256", "pencil", bare, serverFirst)
        assert.strictEqual(exchange.take(bytes(final))._tag, "Success")
        assert.strictEqual(told(exchange.take(bytes(final))), "failed: the exchange is over")
        const second = yield* challenged()
        second.exchange.take(bytes("nonsense"))
        assert.strictEqual(told(second.exchange.take(bytes(final))), "failed: the exchange is over")
      }))

    it.effect("made with fewer rounds than were asked for", () =>
      Effect.gen(function* () {
        const { exchange, serverFirst } = yield* challenged()
        const fewer = clientFinal("SCRAM-SHA-256", "pencil", bare, serverFirst.replace("i=64", "i=1"))
        assert.strictEqual(told(exchange.take(bytes(fewer))), "failed: invalid-proof")
      }))
  })

  it.effect("a user who is not there looks as one who is: the same salt each time, and never in", () =>
    Effect.gen(function* () {
      const secret = bytes("secret of this node")
      const find: FindKeys = (name) => ({ keys: keysOfNobody("SCRAM-SHA-256", name, 64, secret), known: false })
      const challenge = (name: string) =>
        told(new ScramExchange("SCRAM-SHA-256", find, serverNonce).take(bytes(`n,,n=${name},r=x`)))
      assert.match(challenge("ghost"), /^Challenge r=xservernonce,s=[A-Za-z0-9+/]{22}==,i=64$/)
      assert.strictEqual(challenge("ghost"), challenge("ghost"))
      assert.notStrictEqual(challenge("ghost"), challenge("spook"))
      // Not even with a proof that fits: somebody who knew the keys.
      const made = yield* keys()
      const exchange = new ScramExchange("SCRAM-SHA-256", () => ({ keys: made, known: false }), serverNonce)
      const first = exchange.take(bytes(`n,,${bare}`))
      const serverFirst = first._tag === "Challenge" ? text(first.data) : ""
      const step = exchange.take(bytes(clientFinal("SCRAM-SHA-256", "pencil", bare, serverFirst)))
      assert.strictEqual(told(step), "failed: no such user with keys for this method")
    }))
})
