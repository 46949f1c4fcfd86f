// `emqttd check`: says whether the settings and the files they name are good, without starting anything.
import { Console, Effect } from "effect"
import { loadRules } from "../access/rules/loadRules.ts"
import type { LoadedSettings } from "../config/loadSettings.ts"
import { exitWith } from "./Exit.ts"

/** Faults of the settings have been told by the time this is reached; those of the rules come here. */
export const check = ({ file, settings }: LoadedSettings) =>
  loadRules(settings.authorization).pipe(
    Effect.catchTag("RulesInvalid", ({ exitCode, faults }) => exitWith(exitCode, faults)),
    Effect.andThen(Console.log(`ok: ${file ?? "no file, the defaults"}`))
  )
