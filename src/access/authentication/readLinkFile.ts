// Reads a file that a link stands on, at the start and at each reload. Invariants: what is wrong with it is told by file and line; nobody waits
// for a long one.
import { Effect, FileSystem } from "effect"
import { LinksInvalid } from "./MakeLink.ts"
import { type FileFault, type LineParser, linesOfFile } from "./parsePasswordFile.ts"

/** A few ms; then others have their turn, for a file may have a hundred thousand lines. */
const linesAtATime = 500

/** `key`: the setting that names the file. */
export const readLinkFile = Effect.fnUntraced(function* <A extends { readonly faults: ReadonlyArray<FileFault> }>(
  key: string,
  path: string,
  { parsed, take }: LineParser<A>
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
  const lines = linesOfFile(text)
  for (let index = 0; index < lines.length; index++) {
    take(lines[index] ?? "", index + 1)
    if (index % linesAtATime === linesAtATime - 1) yield* Effect.yieldNow
  }
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
