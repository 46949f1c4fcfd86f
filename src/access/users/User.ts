// A user of the built-in database, and how one stands in the store: as JSON, so that `emqttd store export` shows what there is.
// Invariant: a password itself is never in here.
import { Result, Schema } from "effect"
import { formatPasswordHash, parsePasswordHash, type PasswordHash } from "../authentication/passwords/PasswordHash.ts"
import { type ScramKeys, type ScramMechanism, scramMechanisms } from "../scram/ScramKeys.ts"

export interface User {
  /** The user name, or the client id where `auth_users.key` says so. */
  readonly name: string
  readonly passwordHash: PasswordHash
  readonly superuser: boolean
  /** By mechanism; those that were in `auth_scram.mechanisms` when the password was set. */
  readonly scram: ReadonlyMap<ScramMechanism, ScramKeys>
}

/** The kind of their records. */
export const userKind = "user"

const Keys = Schema.Struct({
  salt: Schema.String,
  iterations: Schema.Int,
  stored_key: Schema.String,
  server_key: Schema.String
})

const Stored = Schema.fromJsonString(Schema.Struct({
  password: Schema.String,
  superuser: Schema.Boolean,
  scram: Schema.Record(Schema.String, Keys)
}))

const decode = Schema.decodeUnknownResult(Stored)

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64")
const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "base64"))

export const storedUser = ({ passwordHash, scram, superuser }: User): Uint8Array =>
  new TextEncoder().encode(JSON.stringify({
    password: formatPasswordHash(passwordHash),
    superuser,
    scram: Object.fromEntries(
      [...scram].map(([mechanism, { iterations, salt, serverKey, storedKey }]) => [mechanism, {
        salt: base64(salt),
        iterations,
        stored_key: base64(storedKey),
        server_key: base64(serverKey)
      }])
    )
  }))

/** Undefined: it is not what `storedUser` writes. */
export const userOf = (name: string, value: Uint8Array): User | undefined => {
  const found = decode(new TextDecoder().decode(value))
  if (Result.isFailure(found)) return undefined
  const { password, scram, superuser } = found.success
  const passwordHash = parsePasswordHash(password)
  if (passwordHash === undefined) return undefined
  const keys = new Map<ScramMechanism, ScramKeys>()
  for (const mechanism of scramMechanisms) {
    const one = scram[mechanism]
    if (one === undefined) continue
    keys.set(mechanism, {
      salt: bytesOf(one.salt),
      iterations: one.iterations,
      storedKey: bytesOf(one.stored_key),
      serverKey: bytesOf(one.server_key)
    })
  }
  return { name, passwordHash, superuser, scram: keys }
}
