// A file of users and password hashes, one a line: `user:hash`, as mosquitto_passwd and `emqttd passwd` write it; `:superuser` may follow.
// Pure. Invariants: a fault names its line and never quotes what stands there behind the name; a file with a fault is not used.
import { parsePasswordHash, type PasswordHash } from "./passwords/PasswordHash.ts"

export interface PasswordEntry {
  readonly hash: PasswordHash
  readonly superuser: boolean
  readonly line: number
}

export interface FileFault {
  readonly line: number
  readonly message: string
}

export interface ParsedPasswordFile {
  readonly users: ReadonlyMap<string, PasswordEntry>
  readonly faults: ReadonlyArray<FileFault>
}

/** Why this cannot be a user name in such a file; undefined: it can. */
export const userNameFault = (name: string): string | undefined =>
  name === ""
    ? "an empty user name"
    : name.includes(":")
    ? `a user name cannot contain ":"`
    : /^[#\s]|\p{Cc}|\s$/u.test(name)
    ? `a user name cannot begin with "#", nor with or in a space, nor contain control characters`
    : Buffer.byteLength(name) > 65_535
    ? "a user name has at most 65,535 bytes"
    : undefined

const isComment = (line: string): boolean => line.trim() === "" || line.startsWith("#")

/** The name on this line; undefined: it is a comment, or has none. */
export const userOnLine = (line: string): string | undefined =>
  isComment(line) || !line.includes(":") ? undefined : line.slice(0, line.indexOf(":"))

export const parsePasswordFile = (text: string): ParsedPasswordFile => {
  const users = new Map<string, PasswordEntry>()
  const faults: Array<FileFault> = []
  for (const [index, given] of text.replace(/^\uFEFF/, "").split("\n").entries()) {
    const line = index + 1
    const content = given.replace(/\r$/, "")
    if (isComment(content)) continue
    const name = userOnLine(content)
    if (name === undefined) {
      faults.push({ line, message: "expected user:hash" })
      continue
    }
    const [hashText = "", ...flags] = content.slice(name.length + 1).split(":")
    const nameFault = userNameFault(name)
    const hash = parsePasswordHash(hashText.trim())
    const before = users.get(name)
    if (nameFault !== undefined) faults.push({ line, message: nameFault })
    else if (before !== undefined) faults.push({ line, message: `this user is there already, on line ${before.line}` })
    else if (hash === undefined) faults.push({ line, message: noHash(hashText) })
    else if (flags.length > 1 || (flags.length === 1 && flags[0]?.trim() !== "superuser")) {
      faults.push({ line, message: `after the hash only ":superuser" may follow` })
    } else users.set(name, { hash, superuser: flags.length === 1, line })
  }
  return { users, faults }
}

const noHash = (text: string): string =>
  text.startsWith("$")
    ? "a hash of an unknown kind, damaged, or costlier than is taken"
    : "no hash (passwords in the clear are not taken: emqttd passwd, or mosquitto_passwd -U)"
