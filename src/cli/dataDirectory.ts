// The directory that the node keeps its state in: made if it is missing, and proved writable before a port is opened.
import { Data, Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"

export class DataDirectoryUnusable extends Data.TaggedError("DataDirectoryUnusable")<{
  readonly directory: string
  readonly code: string
}> {
  override get message(): string {
    const why = reasons.get(this.code) ?? this.code
    return `data directory ${this.directory}: ${why}; choose another with --data or node.data_dir`
  }
}

const reasons: ReadonlyMap<string, string> = new Map([
  ["EACCES", "permission denied"],
  ["EPERM", "permission denied"],
  ["EROFS", "the file system is read-only"],
  ["ENOSPC", "no space left on the device"],
  ["EDQUOT", "the disk quota is used up"],
  ["ENOTDIR", "a part of the path is not a directory"],
  ["EEXIST", "it is not a directory"],
  ["ENAMETOOLONG", "the name is too long"],
  ["ELOOP", "too many symbolic links"]
])

/**
 * Its absolute path. The proof is a file with one block, written and removed: an empty one can be made on a full disk.
 */
export const prepareDataDirectory = (directory: string): Effect.Effect<string, DataDirectoryUnusable> =>
  Effect.try({
    try: () => {
      const absolute = path.resolve(directory)
      // What clients left here is for this user and, as with the packages, its group to read.
      fs.mkdirSync(absolute, { recursive: true, mode: 0o750 })
      const probe = path.join(absolute, `.writable-${process.pid}`)
      try {
        fs.writeFileSync(probe, Buffer.alloc(4096))
      } finally {
        fs.rmSync(probe, { force: true })
      }
      return absolute
    },
    catch: (error) =>
      new DataDirectoryUnusable({
        directory,
        code: error instanceof Error && "code" in error ? String(error.code) : String(error)
      })
  })
