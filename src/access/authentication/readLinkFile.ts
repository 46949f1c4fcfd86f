// Reads a file that a link stands on, at the start and at each reload. Invariant: what is wrong with it is told by file and line.
import { Effect, FileSystem } from "effect"
import { LinksInvalid } from "./MakeLink.ts"
import type { FileFault } from "./parsePasswordFile.ts"

/** `key`: the setting that names the file. */
export const readLinkFile = Effect.fnUntraced(function* <A extends { readonly faults: ReadonlyArray<FileFault> }>(
  key: string,
  path: string,
  parse: (text: string) => A
) {
  if (path === "") return yield* new LinksInvalid({ faults: [`${key}: not set`] })
  const fs = yield* FileSystem.FileSystem
  const text = yield* fs.readFileString(path).pipe(Effect.mapError(({ reason }) => {
    const why = reason._tag === "NotFound"
      ? "no such file"
      : reason._tag === "PermissionDenied"
      ? "permission denied"
      : "cannot be read"
    return new LinksInvalid({ faults: [`${path}: ${why} (${key})`] })
  }))
  const parsed = parse(text)
  if (parsed.faults.length > 0) {
    return yield* new LinksInvalid({ faults: parsed.faults.map(({ line, message }) => `${path}:${line}: ${message}`) })
  }
  return parsed
})

/** Whether others than its owner and group may read it; false where that cannot be said. */
export const isReadableByAll = Effect.fnUntraced(function* (path: string) {
  const fs = yield* FileSystem.FileSystem
  return yield* fs.stat(path).pipe(
    Effect.map(({ mode }) => (mode & 0o004) !== 0),
    Effect.orElseSucceed(() => false)
  )
})
