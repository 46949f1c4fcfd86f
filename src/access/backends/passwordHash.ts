// The original's `password_hash`: how a password stands in a database. What burns CPU happens beside the event loop.
// Invariant: comparison takes the same time whatever is wrong; what cannot be compared is a fault of the table, not a match.
import { Effect } from "effect"
import { createHash, pbkdf2, timingSafeEqual } from "node:crypto"
import { type LinkFailure, linkFailure } from "../authentication/AuthLink.ts"
import type { PasswordChecks } from "../authentication/passwords/PasswordChecks.ts"
import {
  decoyOf,
  formatPasswordHash,
  parsePasswordHash as parseWhole
} from "../authentication/passwords/PasswordHash.ts"
import { unsupported } from "../authentication/passwords/verifyPassword.ts"
import type { UserRow } from "./Backend.ts"

export type PasswordDigest = "md5" | "sha1" | "sha256" | "sha512"

export type PasswordHash =
  | { readonly _tag: "Plain" }
  | { readonly _tag: "Digest"; readonly digest: PasswordDigest; readonly salt: "none" | "before" | "after" }
  | { readonly _tag: "Pbkdf2"; readonly digest: PasswordDigest; readonly iterations: number; readonly length: number }
  /** The salt is in the hash itself: what `emqttd passwd` writes, bcrypt among it. */
  | { readonly _tag: "Whole" }
  /** The query compares: it finds nobody by a wrong password. */
  | { readonly _tag: "InQuery" }

export const passwordHashForms =
  '"plain", "md5", "sha", "sha256", "sha512", one of these four as "salt,sha256" or "sha256,salt", "pbkdf2,sha256,ITERATIONS,BYTES", "bcrypt", "passwd" or "in_query"'

const digests: ReadonlyMap<string, PasswordDigest> = new Map([
  ["md5", "md5"],
  ["sha", "sha1"],
  ["sha1", "sha1"],
  ["sha256", "sha256"],
  ["sha512", "sha512"]
])

const mostIterations = 10_000_000

/** Undefined: none of `passwordHashForms`. */
export const parsePasswordForm = (text: string): PasswordHash | undefined => {
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
  if (first === "in_query") return second === undefined ? { _tag: "InQuery" } : undefined
  if (first === "bcrypt" || first === "passwd") return second === undefined ? { _tag: "Whole" } : undefined
  // The original has bcrypt's salt in a column as well.
  if (first === "salt" && second === "bcrypt") return { _tag: "Whole" }
  const digest = digests.get(first === "salt" ? second ?? "" : first)
  if (digest === undefined) return undefined
  if (first === "salt") return { _tag: "Digest", digest, salt: "before" }
  if (second === undefined) return { _tag: "Digest", digest, salt: "none" }
  return second === "salt" ? { _tag: "Digest", digest, salt: "after" } : undefined
}

/** Whether the column `salt` is needed. */
export const needsSalt = (hash: PasswordHash): boolean =>
  hash._tag === "Pbkdf2" || (hash._tag === "Digest" && hash.salt !== "none")

/** Fails with what is wrong in the table. `checks`: where what burns CPU goes through. */
export const verifyStored = (
  hash: Exclude<PasswordHash, { readonly _tag: "InQuery" }>,
  { password: stored, salt }: UserRow,
  given: Uint8Array,
  checks: PasswordChecks
): Effect.Effect<boolean | "busy", LinkFailure> => {
  if (stored === undefined) return Effect.fail(linkFailure("no column password"))
  // Nobody comes in with an empty password, whatever is stored.
  if (stored === null || stored === "" || given.length === 0) return Effect.succeed(false)
  if (needsSalt(hash) && salt === null) return Effect.fail(linkFailure("no column salt, or nothing in it"))
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
      return checks.run(Effect.flatMap(
        Effect.callback<Buffer>((resume) => {
          pbkdf2(given, saltBytes, hash.iterations, hash.length, hash.digest, (error, key) => {
            resume(error === null || error === undefined ? Effect.succeed(key) : Effect.die(error))
          })
        }),
        (key) => equalsHex(key, stored)
      ))
    case "Whole": {
      const parsed = parseWhole(stored.trim())
      const fault = parsed === undefined ? "the column password holds no hash that we know" : unsupported(parsed)
      return parsed === undefined || fault !== undefined
        ? Effect.fail(linkFailure(`${fault} (password_hash)`))
        : checks.check(parsed, given)
    }
    default:
      return hash satisfies never
  }
}

/** What a user is checked against who is not there, so that the answer takes as long; `like`: one who was. Undefined: it takes no time anyway. */
export const decoyFor = (hash: PasswordHash, like: UserRow | undefined): UserRow | undefined => {
  const decoy = (password: string): UserRow => ({ password, salt: "decoy", userName: undefined })
  if (hash._tag === "Pbkdf2") return decoy("00".repeat(hash.length))
  const whole = hash._tag === "Whole" ? parseWhole(like?.password?.trim() ?? "") : undefined
  return whole === undefined ? undefined : decoy(formatPasswordHash(decoyOf(whole)))
}

const equalsHex = (computed: Buffer, stored: string): Effect.Effect<boolean, LinkFailure> => {
  const text = stored.trim()
  if (!/^[0-9a-fA-F]+$/.test(text) || text.length !== computed.length * 2) {
    return Effect.fail(
      linkFailure(`the column password does not hold ${computed.length * 2} hexadecimal digits (password_hash)`)
    )
  }
  return Effect.succeed(timingSafeEqual(computed, Buffer.from(text, "hex")))
}
