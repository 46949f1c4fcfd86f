// `emqttd config dump`: the settings that would be in force, as a file that would give them.
import { Console, type Effect } from "effect"
import type { LoadedSettings } from "../config/loadSettings.ts"
import { renderJson, renderToml } from "../config/renderSettings.ts"

export const configDump = ({ settings }: LoadedSettings, asJson: boolean): Effect.Effect<void> =>
  Console.log((asJson ? renderJson(settings) : renderToml(settings)).trimEnd())
