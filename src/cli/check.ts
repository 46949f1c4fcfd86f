// `emqttd check`: says whether the settings are good, without starting anything.
import { Console, Effect } from "effect"
import type { LoadedSettings } from "../config/loadSettings.ts"

/** Faults have been told by the time this is reached; what is left is good news. */
export const check = ({ file }: LoadedSettings): Effect.Effect<void> =>
  Console.log(`ok: ${file ?? "no file, the defaults"}`)
