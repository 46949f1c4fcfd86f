// A user of the built-in database, made of a password: its hash, and the keys for each mechanism of SCRAM that is offered.
// Invariant: the CPU that it takes is spent beside the event loop; the password goes no further than here.
import { Effect } from "effect"
import { type LinkFailure, linkFailure } from "../authentication/AuthLink.ts"
import { hashPassword } from "../authentication/passwords/verifyPassword.ts"
import type { ScramSettings } from "../scram/Scram.ts"
import { makeScramKeys } from "../scram/ScramKeys.ts"
import type { User } from "./User.ts"

/** What OWASP asks for of PBKDF2-SHA256 is more; this is what a node can check for thousands of clients that come back at once. */
export const iterations = 100_000

/** Bytes of UTF-8: what MQTT can say, and what a check may have to go through. */
const longestName = 65_535
const longestPassword = 1_024

/** What is wrong with them; undefined: nothing. */
export const userFault = (name: string, password: string): string | undefined => {
  if (name === "") return "an empty name"
  if (Buffer.byteLength(name) > longestName) return "a name has at most 65,535 bytes"
  // Neither can come in a CONNECT.
  if (name.includes("\0") || !name.isWellFormed()) return "a name is text without U+0000"
  if (password === "") return "an empty password"
  return Buffer.byteLength(password) > longestPassword ? "a password has at most 1,024 bytes" : undefined
}

export const makeUser = (
  name: string,
  password: string,
  superuser: boolean,
  scram: ScramSettings
): Effect.Effect<User, LinkFailure> =>
  Effect.gen(function* () {
    const passwordHash = yield* hashPassword("pbkdf2-sha256", new TextEncoder().encode(password), iterations)
    const keys = yield* Effect.forEach(
      scram.mechanisms,
      (mechanism) =>
        Effect.map(makeScramKeys(mechanism, password, scram.iterations), (made) => [mechanism, made] as const)
    ).pipe(Effect.catchDefect((defect) => Effect.fail(linkFailure(String(defect)))))
    return { name, passwordHash, superuser, scram: new Map(keys) }
  })
