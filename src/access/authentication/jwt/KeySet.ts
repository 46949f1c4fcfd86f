// The public keys that tokens are verified with, by the header of the token. From a file they are fixed; RemoteKeySet.ts has those of a URL.
// Invariant: only public keys of RSA, EC and OKP are ever used: a shared secret stands nowhere here, so no public key can pass for one.
import { createPublicKey } from "node:crypto"
import { Data, Effect, Predicate } from "effect"
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWK, type JWSHeaderParameters } from "jose"
import type { LinkFailure } from "../AuthLink.ts"

/** What jose takes for verifying with a public key. */
export type VerifyingKey = Awaited<ReturnType<ReturnType<typeof createLocalJWKSet>>>

/** None of the keys there are is meant: the token is not good. */
export class NoKey extends Data.TaggedError("NoKey")<{ readonly reason: string }> {}

export interface KeySet {
  keyFor(header: JWSHeaderParameters): Effect.Effect<VerifyingKey, NoKey | LinkFailure>
}

/** Keys of one document. */
const atMost = 100

/** Undefined: it is no set of public keys. */
export const parseKeySet = (text: string): JSONWebKeySet | undefined => {
  const document = parseJson(text)
  if (!Predicate.isObject(document) || !("keys" in document) || !Array.isArray(document.keys)) return undefined
  const given: ReadonlyArray<unknown> = document.keys
  if (given.length > atMost || !given.every(isKey)) return undefined
  // What else is published there (encryption keys, kinds we do not know) is passed over; secrets are not for this place.
  return { keys: given.filter((key) => publicKinds.has(key.kty) && key["d"] === undefined) }
}

const publicKinds: ReadonlySet<string> = new Set(["RSA", "EC", "OKP"])

const isKey = (value: unknown): value is JWK & { readonly kty: string } =>
  Predicate.isObject(value) && "kty" in value && typeof value.kty === "string"

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** PEM, a public key or a certificate, as a set of one. Undefined: it is neither, or it is a private key. */
export const keySetOfPem = (pem: string): JSONWebKeySet | undefined => {
  if (pem.includes("PRIVATE KEY")) return undefined
  try {
    const { crv, e, kty, n, x, y } = createPublicKey(pem).export({ format: "jwk" })
    if (kty === undefined || !publicKinds.has(kty)) return undefined
    return {
      keys: [Object.fromEntries(
        Object.entries({ kty, crv, e, n, x, y }).filter(([, value]) => value !== undefined)
      ) as JWK]
    } // the fields of a public key
  } catch {
    return undefined
  }
}

export class FixedKeySet implements KeySet {
  private readonly find: ReturnType<typeof createLocalJWKSet>
  readonly size: number

  constructor(set: JSONWebKeySet) {
    this.find = createLocalJWKSet(set)
    this.size = set.keys.length
  }

  keyFor(header: JWSHeaderParameters): Effect.Effect<VerifyingKey, NoKey> {
    return Effect.tryPromise({ try: () => this.find(header), catch: noKeyFor })
  }
}

const noKeyFor = (error: unknown): NoKey =>
  new NoKey({
    reason: error instanceof errors.JWKSMultipleMatchingKeys
      ? "several keys fit and the token names none (kid)"
      : error instanceof errors.JWKSNoMatchingKey
      ? "no key for this token (kid, alg)"
      : "the key for this token cannot be used"
  })
