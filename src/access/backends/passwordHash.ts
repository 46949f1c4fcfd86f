// The original's `password_hash`: how a password stands in a database. Pure but for PBKDF2, which runs in the runtime's thread pool.
// Invariant: comparison takes the same time whatever is wrong; what cannot be compared is a fault of the table, not a match.
import { Effect } from "effect"
import { createHash, pbkdf2, timingSafeEqual } from "node:crypto"
import type { UserRow } from "./Backend.ts"

export type PasswordDigest = "md5" | "sha1" | "sha256" | "sha512"

export type PasswordHash =
  | { readonly _tag: "Plain" }
  | { readonly _tag: "Digest"; readonly digest: PasswordDigest; readonly salt: "none" | "before" | "after" }
  | { readonly _tag: "Pbkdf2"; readonly digest: PasswordDigest; readonly iterations: number; readonly length: number }
  | { readonly _tag: "Bcrypt"; readonly salted: boolean }

export const passwordHashForms =
  '"plain", "md5", "sha", "sha256", "sha512", one of these four as "salt,sha256" or "sha256,salt", "pbkdf2,sha256,ITERATIONS,BYTES" or "bcrypt"'

const digests: ReadonlyMap<string, PasswordDigest> = new Map([
  ["md5", "md5"],
  ["sha", "sha1"],
  ["sha1", "sha1"],
  ["sha256", "sha256"],
  ["sha512", "sha512"]
])

const mostIterations = 10_000_000

/** Undefined: none of `passwordHashForms`. */
export const parsePasswordHash = (text: string): PasswordHash | undefined => {
  const [first = "", second, third, fourth, ...more] = text.split(",").map((part) => part.trim())
  if (more.length > 0) return undefined
  if (first === "pbkdf2") {
    const digest = digests.get(second ?? "")
    const iterations = Number(third)
    const length = Number(fourth)
    const fits = Number.isInteger(iterations) && iterations >= 1 && iterations <= mostIterations &&
      Number.isInteger(length) && length >= 8 && length <= 128
    return digest !== undefined && fits ? { _tag: "Pbkdf2", digest, iterations, length } : undefined
  }
  if (third !== undefined) return undefined
  if (first === "plain") return second === undefined ? { _tag: "Plain" } : undefined
  // The salt is in the hash itself; the original has it in a column as well.
  if (first === "bcrypt" && second === undefined) return { _tag: "Bcrypt", salted: false }
  if (first === "salt" && second === "bcrypt") return { _tag: "Bcrypt", salted: true }
  const digest = digests.get(first === "salt" ? second ?? "" : first)
  if (digest === undefined) return undefined
  if (first === "salt") return { _tag: "Digest", digest, salt: "before" }
  if (second === undefined) return { _tag: "Digest", digest, salt: "none" }
  return second === "salt" ? { _tag: "Digest", digest, salt: "after" } : undefined
}

/** Whether the column `salt` is needed. */
export const needsSalt = (hash: PasswordHash): boolean =>
  hash._tag === "Pbkdf2" || (hash._tag === "Digest" && hash.salt !== "none")

/** Fails with what is wrong in the table. Bcrypt is not for here. */
export const verifyPassword = (
  hash: Exclude<PasswordHash, { readonly _tag: "Bcrypt" }>,
  { password: stored, salt }: UserRow,
  given: Uint8Array
): Effect.Effect<boolean, string> => {
  // Nobody comes in with an empty password, whatever is stored.
  if (stored === null || stored === "" || given.length === 0) return Effect.succeed(false)
  if (needsSalt(hash) && salt === null) return Effect.fail("no column salt, or nothing in it")
  const saltBytes = Buffer.from(salt ?? "", "utf8")
  switch (hash._tag) {
    case "Plain": {
      // Digests have one length, so the time says nothing of the password's.
      const digestOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest()
      return Effect.succeed(timingSafeEqual(digestOf(given), digestOf(Buffer.from(stored, "utf8"))))
    }
    case "Digest": {
      const hashing = createHash(hash.digest)
      if (hash.salt === "before") hashing.update(saltBytes)
      hashing.update(given)
      if (hash.salt === "after") hashing.update(saltBytes)
      return equalsHex(hashing.digest(), stored)
    }
    case "Pbkdf2":
      return Effect.flatMap(
        Effect.callback<Buffer>((resume) => {
          pbkdf2(given, saltBytes, hash.iterations, hash.length, hash.digest, (error, key) => {
            resume(error === null ? Effect.succeed(key) : Effect.die(error))
          })
        }),
        (key) => equalsHex(key, stored)
      )
    default:
      return hash satisfies never
  }
}

const equalsHex = (computed: Buffer, stored: string): Effect.Effect<boolean, string> => {
  const text = stored.trim()
  if (!/^[0-9a-fA-F]+$/.test(text) || text.length !== computed.length * 2) {
    return Effect.fail(`the column password does not hold ${computed.length * 2} hexadecimal digits (password_hash)`)
  }
  return Effect.succeed(timingSafeEqual(computed, Buffer.from(text, "hex")))
}
