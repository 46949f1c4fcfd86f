// Finds the configuration file, lays environment and flags over it, and gives the settings or every fault. Used by
// cli/. Invariant: defaults < file < environment < flags, each key by itself.
import { Data, Effect, FileSystem, type PlatformError, Result } from "effect"
import { decodeSettings, formatFault } from "./decodeSettings.ts"
import { type Environment, environmentFile, environmentSource, processEnvironment } from "./environment.ts"
import { parseSettings } from "./parseSettings.ts"
import type { Settings } from "./Settings.ts"
import { type Assignment, assignmentSource } from "./SettingsSource.ts"

export interface LoadedSettings {
  readonly settings: Settings
  /** The file they came from; undefined when there is none. */
  readonly file: string | undefined
}

/** One line a fault, as they go to stderr. */
export class SettingsInvalid extends Data.TaggedError("SettingsInvalid")<{ readonly faults: ReadonlyArray<string> }> {
  /** EX_CONFIG of sysexits.h. */
  readonly exitCode = 78
  override get message(): string {
    return this.faults.join("\n")
  }
}

/** Looked for in this order when neither --config nor EMQTTD_CONFIG names one; none of them is fine. */
export const usualFiles: ReadonlyArray<string> = ["emqttd.toml", "/etc/emqttd/emqttd.toml"]

export const loadSettings = Effect.fn("loadSettings")(function* (options: {
  /** Given by --config: it has to be there. */
  readonly file?: string | undefined
  readonly flags?: ReadonlyArray<Assignment>
  readonly environment?: Environment
}) {
  const environment = options.environment ?? processEnvironment()
  const named = options.file ?? environmentFile(environment)
  const file = named === undefined ? yield* firstUsualFile : yield* readFile(named)
  const parsed = file === undefined ? undefined : parseSettings(file.name, file.text)
  // Nothing else is told then: without the file's keys the overlays cannot be judged.
  if (parsed !== undefined && Result.isFailure(parsed)) {
    return yield* new SettingsInvalid({ faults: [formatFault(parsed.failure)] })
  }
  const decoded = decodeSettings([
    ...(parsed === undefined ? [] : [parsed.success]),
    environmentSource(environment),
    assignmentSource(options.flags ?? [])
  ])
  if (Result.isFailure(decoded)) return yield* new SettingsInvalid({ faults: decoded.failure.map(formatFault) })
  const loaded: LoadedSettings = { settings: decoded.success, file: file?.name }
  return loaded
})

const readFile = Effect.fnUntraced(function* (name: string) {
  const fs = yield* FileSystem.FileSystem
  const text = yield* fs.readFileString(name).pipe(
    Effect.mapError((error) => new SettingsInvalid({ faults: [`${name}: ${unreadable(error)}`] }))
  )
  return { name, text }
})

/**
 * A usual file that is not there is passed over; one that cannot be read is a fault, or a node would start with other
 * settings.
 */
const firstUsualFile = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  for (const name of usualFiles) {
    if (yield* fs.exists(name).pipe(Effect.orElseSucceed(() => true))) return yield* readFile(name)
  }
  return undefined
})

const unreadable = ({ reason }: PlatformError.PlatformError): string => {
  switch (reason._tag) {
    case "NotFound":
      return "no such file"
    case "PermissionDenied":
      return "permission denied"
    default: {
      const code = reason.cause instanceof Error && "code" in reason.cause ? String(reason.cause.code) : undefined
      return code === "EISDIR" ? "is a directory" : `cannot be read (${code ?? reason.message})`
    }
  }
}
