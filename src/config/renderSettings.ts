// Settings as the text of a configuration file that would give them again, but for secrets, which are ********. Used by `emqttd config
// dump`. Pure.
import { Schema } from "effect"
import { withoutPassword } from "./Secret.ts"
import type { Settings } from "./Settings.ts"
import { SettingsSchema } from "./SettingsSchema.ts"
import { isTree, type Tree } from "./SettingsSource.ts"

const encode = Schema.encodeUnknownSync(SettingsSchema)

/** The tables and keys of the file, every one of them, with durations and sizes as texts. */
export const settingsTree = (settings: Settings): Tree => {
  const tree = encode(settings)
  return isTree(tree) ? tree : {}
}

export const renderToml = (settings: Settings): string => {
  const lines: Array<string> = []
  const render = (name: string, table: Tree) => {
    const entries = Object.entries(table)
    const values = entries.filter(([, value]) => !isTree(value))
    if (values.length > 0) {
      lines.push(...(lines.length === 0 ? [] : [""]), `[${name}]`)
      for (const [key, value] of values) lines.push(`${tomlKey(key)} = ${tomlValue(value)}`)
    }
    for (const [key, value] of entries) if (isTree(value)) render(`${name}.${tomlKey(key)}`, value)
  }
  for (const [name, table] of Object.entries(settingsTree(settings))) if (isTree(table)) render(name, table)
  return lines.join("\n") + "\n"
}

export const renderJson = (settings: Settings): string =>
  JSON.stringify(settingsTree(settings), (_, value: unknown) => isText(value) ? withoutPassword(value) : value, 2) +
  "\n"

const isText = (value: unknown): value is string => typeof value === "string"

const tomlKey = (key: string): string => /^[A-Za-z0-9_-]+$/.test(key) ? key : JSON.stringify(key)
const tomlValue = (value: unknown): string =>
  Array.isArray(value)
    ? `[${value.map(tomlValue).join(", ")}]`
    : isTree(value)
    ? `{ ${Object.entries(value).map(([key, below]) => `${tomlKey(key)} = ${tomlValue(below)}`).join(", ")} }`
    // JSON's escapes are TOML's, but for DEL, which TOML wants escaped and JSON leaves as it is.
    : JSON.stringify(isText(value) ? withoutPassword(value) : value).replaceAll("\u007f", "\\u007f")
