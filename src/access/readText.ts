// A file that a setting names. Invariant: a fault is one line with the file, why, and the setting.
import { Effect, FileSystem } from "effect"

/** Undefined: the setting is "". */
export const readText = Effect.fnUntraced(function* (setting: string, path: string) {
  if (path === "") return undefined
  const fs = yield* FileSystem.FileSystem
  return yield* fs.readFileString(path).pipe(Effect.mapError(({ reason }) => {
    const why = reason._tag === "NotFound"
      ? "no such file"
      : reason._tag === "PermissionDenied"
      ? "permission denied"
      : "cannot be read"
    return `${path}: ${why} (${setting})`
  }))
})
