// One broker a folder: who holds the lock file beside the database may write it.
import { DatabaseSync } from "node:sqlite"
import { StoreTrouble, troubleOpening } from "./failures.ts"
import type { OpenOptions } from "./protocol.ts"

/** A transaction that never ends on a database of its own: the system releases it with the process, however that ends. */
export const takeLock = ({ file, name }: Pick<OpenOptions, "file" | "name">): DatabaseSync => {
  let lock: DatabaseSync | undefined
  try {
    lock = new DatabaseSync(`${file}.lock`)
    lock.exec("PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE")
    return lock
  } catch (error) {
    lock?.close()
    const trouble = troubleOpening(name, `${file}.lock`, error)
    throw trouble.kind === "locked"
      ? new StoreTrouble(
        "locked",
        `store ${name}: another emqttd uses it; stop that one or give this one another --data`
      )
      : trouble
  }
}
