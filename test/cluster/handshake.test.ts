// The handshake of two nodes, step by step, without a socket.
import { assert, describe, it } from "@effect/vitest"
import { randomBytes } from "node:crypto"
import {
  agreedVersion,
  challengeBody,
  firstSight,
  type Identity,
  identityBody,
  isProof,
  peerOf,
  proofOf,
  readChallenge,
  readHello,
  readRefused,
  Refusal,
  refusedBody,
  versionsOf
} from "../../src/cluster/links/handshake.ts"

const identity = (name: string, given: Partial<Identity> = {}): Identity => ({
  versions: { lowest: 1, highest: 1 },
  cluster: "home",
  name,
  epoch: 1_700_000_000_000,
  instance: randomBytes(16),
  nonce: randomBytes(32),
  window: 4_194_304,
  program: "0.1.0",
  ...given
})

describe("the handshake", () => {
  it("what one has said of itself the other reads", () => {
    const a = identity("a@10.0.0.1", { versions: { lowest: 2, highest: 7 } })
    assert.deepStrictEqual(readHello(identityBody(a)), a)
    const said = identityBody(a)
    const proof = randomBytes(32)
    assert.deepStrictEqual(readChallenge(challengeBody(said, [proof])), { said, identity: a, proofs: [proof] })
    const two = [proof, randomBytes(32)]
    assert.deepStrictEqual(readChallenge(challengeBody(said, two)).proofs, two)
    assert.deepStrictEqual(readChallenge(challengeBody(said, [...two, randomBytes(32)])).proofs, two)
    assert.deepStrictEqual(readRefused(refusedBody(Refusal.Name, "é")), { code: 4, detail: "é" })
  })

  it("a later version may say more: what stands behind is passed over", () => {
    const a = identity("a@h")
    assert.deepStrictEqual(readHello(Buffer.concat([identityBody(a), Buffer.from("more")])), a)
    const [hello, proof] = [identityBody(a), randomBytes(32)]
    const challenge = Buffer.concat([challengeBody(hello, [proof]), Buffer.from("more")])
    assert.deepStrictEqual(readChallenge(challenge).proofs, [proof])
  })

  it("a version that says all but its versions otherwise is told so, not that its bytes are none of ours", () => {
    const later = Buffer.concat([
      identityBody(identity("a@h", { versions: { lowest: 7, highest: 9 } })).subarray(0, 8),
      Buffer.alloc(3, 0xff)
    ])
    assert.deepStrictEqual(versionsOf(later), { lowest: 7, highest: 9 })
    assert.throws(() => readHello(later), RangeError)
  })

  it("bytes of something else throw", () => {
    assert.throws(() => readHello(Buffer.from("GET / HTTP/1.1\r\n\r\n")), "no Hello")
    assert.throws(() => readHello(identityBody(identity("a@h")).subarray(0, 40)), RangeError)
    assert.throws(() => readChallenge(Buffer.alloc(20, 0xff)), RangeError)
  })

  it("a proof holds for its secret, its role and what both have said, and for nothing else", () => {
    const [hello, answer] = [identityBody(identity("a@h")), identityBody(identity("b@h"))]
    const proof = proofOf("s3cret", "acceptor", hello, answer)
    assert.strictEqual(proof.length, 32)
    assert.isTrue(isProof(proof, proofOf("s3cret", "acceptor", hello, answer)))
    for (
      const other of [
        proofOf("s3creT", "acceptor", hello, answer),
        proofOf("s3cret", "initiator", hello, answer),
        proofOf("s3cret", "acceptor", answer, hello),
        proofOf("s3cret", "acceptor", hello, identityBody(identity("b@h"))),
        proofOf("s3cret", "acceptor", Buffer.concat([hello, answer.subarray(0, 1)]), answer.subarray(1)),
        proof.subarray(0, 31)
      ]
    ) assert.isFalse(isProof(other, proof))
  })

  it("the highest common version is taken", () => {
    assert.strictEqual(agreedVersion({ lowest: 1, highest: 3 }, { lowest: 2, highest: 5 }), 3)
    assert.strictEqual(agreedVersion({ lowest: 1, highest: 1 }, { lowest: 2, highest: 5 }), undefined)
    const [a, b] = [identity("a@h", { versions: { lowest: 1, highest: 2 } }), identity("b@h", { epoch: 5 })]
    assert.deepStrictEqual(peerOf(a, b), { name: "b@h", epoch: 5, version: 1 })
  })

  it("at first sight: cluster, the own name", () => {
    const a = identity("a@h")
    assert.strictEqual(firstSight(a, identity("b@h")), undefined)
    assert.strictEqual(firstSight(a, identity("b@h", { cluster: "other" })), Refusal.Cluster)
    assert.strictEqual(firstSight(a, identity("a@h")), Refusal.Name)
    assert.strictEqual(firstSight(a, { ...a, nonce: randomBytes(32) }), Refusal.Myself)
  })
})
