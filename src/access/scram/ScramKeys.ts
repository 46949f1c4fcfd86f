// What a server keeps of a password for SCRAM (RFC 5802 section 3): enough to check a proof, too little to make one.
// Invariant: the many rounds of the hash run beside the event loop; what runs on it is a handful of them.
import { Effect } from "effect"
import { createHash, createHmac, pbkdf2, randomBytes } from "node:crypto"
import type { ScramMechanism } from "../../config/sections/scramMechanisms.ts"
import { prepared } from "./saslprep.ts"

export { type ScramMechanism, scramMechanisms } from "../../config/sections/scramMechanisms.ts"

interface HashOf {
  /** As node:crypto calls it. */
  readonly name: string
  readonly size: number
}

export const hashOf: { readonly [Mechanism in ScramMechanism]: HashOf } = {
  "SCRAM-SHA-1": { name: "sha1", size: 20 },
  "SCRAM-SHA-256": { name: "sha256", size: 32 },
  "SCRAM-SHA-512": { name: "sha512", size: 64 }
}

export interface ScramKeys {
  readonly salt: Uint8Array
  readonly iterations: number
  readonly storedKey: Uint8Array
  readonly serverKey: Uint8Array
}

export const saltSize = 16

export const hmac = (hash: string, key: Uint8Array, message: string): Uint8Array =>
  new Uint8Array(createHmac(hash, key).update(message, "utf8").digest())

export const digest = (hash: string, bytes: Uint8Array): Uint8Array =>
  new Uint8Array(createHash(hash).update(bytes).digest())

/** `salt`: for tests; else a new one. */
export const makeScramKeys = (
  mechanism: ScramMechanism,
  password: string,
  iterations: number,
  salt: Uint8Array = new Uint8Array(randomBytes(saltSize))
): Effect.Effect<ScramKeys> => {
  const { name, size } = hashOf[mechanism]
  return Effect.map(
    Effect.callback<Uint8Array>((resume) => {
      pbkdf2(prepared(password), salt, iterations, size, name, (error, key) => {
        resume(error === null ? Effect.succeed(new Uint8Array(key)) : Effect.die(error))
      })
    }),
    (salted) => ({
      salt,
      iterations,
      storedKey: digest(name, hmac(name, salted, "Client Key")),
      serverKey: hmac(name, salted, "Server Key")
    })
  )
}

/**
 * For a user who is not there: the same salt each time, so that asking twice tells nothing, and keys that no password fits.
 * `secret`: of this node, kept from start to start.
 */
export const keysOfNobody = (
  mechanism: ScramMechanism,
  userName: string,
  iterations: number,
  secret: Uint8Array
): ScramKeys => {
  const { size } = hashOf[mechanism]
  return {
    salt: hmac("sha256", secret, `${mechanism} ${userName}`).subarray(0, saltSize),
    iterations,
    storedKey: new Uint8Array(randomBytes(size)),
    serverKey: new Uint8Array(randomBytes(size))
  }
}

export const newNonce = (): string => randomBytes(18).toString("base64")
