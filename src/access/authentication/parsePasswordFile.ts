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

/** Takes a file line by line, so that a long one can be read beside other work. */
export interface LineParser<A extends { readonly faults: ReadonlyArray<FileFault> }> {
  /** From 1 on, without its end. */
  take(content: string, line: number): void
  readonly parsed: A
}

/** Lines of a file, whoever wrote it. */
export const linesOfFile = (text: string): ReadonlyArray<string> => text.replace(/^\uFEFF/, "").split(/\r?\n/)

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

export const passwordFileParser = (): LineParser<ParsedPasswordFile> => {
  const users = new Map<string, PasswordEntry>()
  const faults: Array<FileFault> = []
  const take = (content: string, line: number): void => {
    if (isComment(content)) return
    const fault = (message: string): void => void faults.push({ line, message })
    const name = userOnLine(content)
    if (name === undefined) return fault("expected user:hash")
    const [hashText = "", ...flags] = content.slice(name.length + 1).split(":")
    const nameFault = userNameFault(name)
    if (nameFault !== undefined) return fault(nameFault)
    const before = users.get(name)
    if (before !== undefined) return fault(`this user is there already, on line ${before.line}`)
    const hash = parsePasswordHash(hashText.trim())
    if (hash === undefined) return fault(noHash(hashText))
    if (flags.length > 1 || (flags.length === 1 && flags[0]?.trim() !== "superuser")) {
      return fault(`after the hash only ":superuser" may follow`)
    }
    users.set(name, { hash, superuser: flags.length === 1, line })
  }
  return { take, parsed: { users, faults } }
}

export const parsePasswordFile = (text: string): ParsedPasswordFile => {
  const { parsed, take } = passwordFileParser()
  for (const [index, content] of linesOfFile(text).entries()) take(content, index + 1)
  return parsed
}

const noHash = (text: string): string =>
  text.startsWith("$")
    ? "a hash of an unknown kind, damaged, or costlier than is taken"
    : "no hash (passwords in the clear are not taken: emqttd passwd, or mosquitto_passwd -U)"
