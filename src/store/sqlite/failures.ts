// What went wrong in SQLite, as the broker's kinds of failure. By the text: Deno's node:sqlite gives no number.
import * as fs from "node:fs"
import type { StoreFailureKind } from "../Engine.ts"

/** A failure that already has its kind and its line. */
export class StoreTrouble extends Error {
  readonly kind: StoreFailureKind
  constructor(kind: StoreFailureKind, message: string) {
    super(message)
    this.kind = kind
  }
}

const kinds: ReadonlyArray<readonly [RegExp, StoreFailureKind, string]> = [
  [/database or disk is full/, "full", "no space left on the device"],
  [/readonly database|read-only/, "read_only", "it cannot be written (read-only)"],
  [/malformed|not a database|damaged/, "damaged", "the file is damaged"],
  [/database is locked/, "locked", "another process uses it"],
  [/disk I\/O error/, "other", "input/output error"],
  [/unable to open database file/, "other", "it cannot be opened"]
]

export const troubleOf = (name: string, error: unknown): StoreTrouble => {
  if (error instanceof StoreTrouble) return error
  const text = error instanceof Error ? error.message : String(error)
  for (const [pattern, kind, reason] of kinds) {
    if (pattern.test(text)) return new StoreTrouble(kind, `store ${name}: ${reason}`)
  }
  return new StoreTrouble("other", `store ${name}: ${text}`)
}

const openReasons: ReadonlyMap<string, readonly [kind: StoreFailureKind, reason: string]> = new Map([
  ["EROFS", ["read_only", "it cannot be written (read-only)"]],
  ["EACCES", ["read_only", "permission denied"]],
  ["EPERM", ["read_only", "permission denied"]],
  ["ENOSPC", ["full", "no space left on the device"]],
  ["EDQUOT", ["full", "the disk quota is used up"]],
  ["ENOENT", ["other", "its folder is not there"]],
  ["EISDIR", ["other", "it is a directory"]]
])

/** SQLite only says that it cannot open a file: the system knows why. */
export const troubleOpening = (name: string, file: string, error: unknown): StoreTrouble => {
  const trouble = troubleOf(name, error)
  if (!trouble.message.endsWith("it cannot be opened")) return trouble
  try {
    fs.closeSync(fs.openSync(file, "a"))
    return trouble
  } catch (reason) {
    const code = reason instanceof Error && "code" in reason ? String(reason.code) : ""
    const [kind, text] = openReasons.get(code) ?? ["other", `it cannot be opened (${code})`]
    return new StoreTrouble(kind, `store ${name}: ${text}`)
  }
}
