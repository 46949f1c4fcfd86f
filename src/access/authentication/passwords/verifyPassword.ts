// Derives and compares password hashes, beside the event loop: on the runtime's own threads, bcrypt on one of ours. Invariant: what is
// compared is compared in constant time.
import * as crypto from "node:crypto"
import { Effect } from "effect"
import { type LinkFailure, linkFailure } from "../AuthLink.ts"
import { bcryptThread } from "./askBcrypt.ts"
import { type Algorithm, type PasswordHash, templateFor } from "./PasswordHash.ts"

type Done = (error: Error | null, derived: Uint8Array) => void

type Argon2 = (
  algorithm: "argon2id",
  parameters: {
    readonly message: Uint8Array
    readonly nonce: Uint8Array
    readonly parallelism: number
    readonly tagLength: number
    readonly memory: number
    readonly passes: number
  },
  done: Done
) => void

/** Not every runtime has it. */
const argon2: Argon2 | undefined = Reflect.get(crypto, "argon2")

export const hasArgon2id = argon2 !== undefined

/** What this runtime cannot check; undefined: it can. */
export const unsupported = (hash: PasswordHash): string | undefined =>
  hash._tag === "Argon2id" && !hasArgon2id ? "argon2id is not known to this runtime" : undefined

const derive = (start: (done: Done) => void): Effect.Effect<Uint8Array, LinkFailure> =>
  Effect.callback((resume) =>
    start((error, derived) =>
      resume(error === null || error === undefined ? Effect.succeed(derived) : Effect.fail(linkFailure(error.message)))
    )
  )

/** The bytes that this password gives with this hash's salt and costs. */
const derived = (
  hash: Exclude<PasswordHash, { readonly _tag: "Bcrypt" }>,
  password: Uint8Array,
  length: number
): Effect.Effect<Uint8Array, LinkFailure> => {
  const { salt } = hash
  switch (hash._tag) {
    case "Sha512":
      return Effect.sync(() => crypto.createHash("sha512").update(password).update(salt).digest())
    case "Pbkdf2":
      return derive((done) => crypto.pbkdf2(password, salt, hash.iterations, length, hash.digest, done))
    case "Scrypt": {
      const N = 2 ** hash.logN
      const r = hash.blockSize
      const p = hash.parallelism
      return derive((done) => crypto.scrypt(password, salt, length, { N, r, p, maxmem: 256 * r * (N + p) }, done))
    }
    case "Argon2id": {
      if (argon2 === undefined) return Effect.fail(linkFailure("argon2id is not known to this runtime"))
      const { memoryKiB: memory, parallelism, passes } = hash
      const parameters = { message: password, nonce: salt, parallelism, tagLength: length, memory, passes }
      return derive((done) => argon2("argon2id", parameters, done))
    }
    default:
      return hash satisfies never
  }
}

export const verifyPassword = (hash: PasswordHash, password: Uint8Array): Effect.Effect<boolean, LinkFailure> =>
  hash._tag === "Bcrypt" ? bcryptThread.verify(hash.text, password) : Effect.map(
    derived(hash, password, hash.hash.length),
    (bytes) => bytes.length === hash.hash.length && crypto.timingSafeEqual(bytes, hash.hash)
  )

export const hashPassword = (
  algorithm: Algorithm,
  password: Uint8Array,
  iterations: number
): Effect.Effect<PasswordHash, LinkFailure> => {
  const template = templateFor(algorithm, iterations)
  if (template._tag === "Bcrypt") return Effect.fail(linkFailure("bcrypt is only read"))
  const length = algorithm === "mosquitto" || algorithm === "pbkdf2-sha512" ? 64 : 32
  return Effect.map(derived(template, password, length), (hash) => ({ ...template, hash }))
}
