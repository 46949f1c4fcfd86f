// A setting that must not be seen: a password, a key, a token. It stands in the settings, or in a file of its own that the settings name,
// as `file://PATH` or by a second setting that ends in `_file`. Invariant: what is printed of it is ********, or where it stands.
import { Data, Effect, FileSystem, Redacted } from "effect"

/** As the settings say it: the secret itself, or `file://PATH`. "" is none. */
export type Secret = Redacted.Redacted<string>

export const isSecret = (value: unknown): value is Secret => Redacted.isRedacted(value)

export const noSecret: Secret = Redacted.make("")

const fileSign = "file://"

/** Addresses in a text, as in postgres://user:password@host, without their passwords. */
export const withoutPassword = (text: string): string =>
  text.replace(/([a-z][a-z0-9+.-]*:\/\/[^\s/:@"]*):[^\s/"]*@/gi, "$1:********@")

/** For `config dump`. */
export const shownSecret = (secret: Secret): string => {
  const text = Redacted.value(secret)
  return text === "" || text.startsWith(fileSign) ? text : "********"
}

/** One line; it names the setting and the file, never what stands there. */
export class SecretUnreadable extends Data.TaggedError("SecretUnreadable")<{ readonly message: string }> {}

/**
 * The secret itself; "" where none is given. `key`: names the setting in a fault, as in "auth_http.token". `file`: the value of its twin
 * `<key>_file`, which goes before; "" is none. One line end at the end of a file is not part of the secret.
 */
export const readSecret = Effect.fn("readSecret")(function* (key: string, secret: Secret, file = "") {
  const text = Redacted.value(secret)
  const isFile = text.startsWith(fileSign)
  if (file === "" && !isFile) return secret
  const path = file === "" ? text.slice(fileSign.length) : file
  const setting = file === "" ? key : `${key}_file`
  const fs = yield* FileSystem.FileSystem
  const read = yield* fs.readFileString(path).pipe(Effect.mapError(({ reason }) => {
    const why = reason._tag === "NotFound"
      ? "no such file"
      : reason._tag === "PermissionDenied"
      ? "permission denied"
      : "cannot be read"
    return new SecretUnreadable({ message: `${path}: ${why} (${setting})` })
  }))
  return Redacted.make(read.replace(/\r?\n$/, ""))
})
