// A configuration text as a layer of settings: TOML, or YAML when the file's name says so. Pure.
// Invariants: a text that does not parse gives one fault with the line where the parser stopped; what stands there is not repeated, for it may be a secret.
import { Result } from "effect"
import * as Toml from "effect/encoding/Toml"
import * as Yaml from "effect/encoding/Yaml"
import type { SettingFault } from "./decodeSettings.ts"
import { describeValue } from "./settingCodecs.ts"
import { fileSource, isTree, type SettingsSource, type Tree } from "./SettingsSource.ts"
import { tomlPositions } from "./tomlPositions.ts"
import { yamlPositions } from "./yamlPositions.ts"

export const parseSettings = (file: string, text: string): Result.Result<SettingsSource, SettingFault> =>
  /\.ya?ml$/i.test(file) ? parseYaml(file, text) : parseToml(file, text)

const parseToml = (file: string, text: string): Result.Result<SettingsSource, SettingFault> =>
  Toml.parse(text).pipe(
    Result.map((tree) => fileSource(file, tree, () => tomlPositions(text))),
    Result.mapError(({ message }) => {
      const found = /^(.*) at line (\d+), column (\d+)$/s.exec(message)
      return found === null
        ? syntaxFault(file, undefined, message)
        : syntaxFault(file, Number(found[2]), `${found[1]} (column ${found[3]})`)
    })
  )

const parseYaml = (file: string, text: string): Result.Result<SettingsSource, SettingFault> => {
  const parsed = tryYaml(text)
  if (Result.isFailure(parsed)) return Result.fail(yamlFault(file, text, parsed.failure))
  const tree = parsed.success ?? {} // an empty file says nothing, and that is fine
  return isTree(tree)
    ? Result.succeed(fileSource(file, withoutEmptyTables(tree), () => yamlPositions(text)))
    : Result.fail({ origin: `${file}:1`, path: "", message: `expected tables of settings, got ${describeValue(tree)}` })
}

/** A YAML table with all its keys commented out is null: it says nothing, like an empty one in TOML. */
const withoutEmptyTables = (tree: Tree, depth = 0): Tree =>
  Object.fromEntries(
    Object.entries(tree).map(([key, value]) => [
      key,
      value === null ? {} : key === "listeners" && depth === 0 && isTree(value) ? withoutEmptyTables(value, 1) : value
    ])
  )

const tryYaml = (text: string): Result.Result<unknown, string> =>
  Result.try({
    try: () => Yaml.parse(text),
    catch: (error) => error instanceof Error ? error.message : String(error)
  })

/** Where the parser names no line, it is the one after the longest beginning that parses. */
const yamlFault = (file: string, text: string, message: string): SettingFault => {
  const found = /^(.*) at (?:YAML )?line (\d+)$/s.exec(message)
  if (found !== null) return syntaxFault(file, Number(found[2]), found[1] ?? message)
  const lines = text.split("\n")
  let good = lines.length - 1
  while (good > 0 && Result.isFailure(tryYaml(lines.slice(0, good).join("\n")))) good--
  return syntaxFault(file, good + 1, message.replace(/ at flow offset \d+$/, ""))
}

/** The parsers' messages that repeat a value, and what is said in their place. */
const repeated: ReadonlyArray<readonly [message: RegExp, instead: string]> = [
  [/^Invalid value '.*'/s, "invalid value; a text stands in quotes"],
  [/^(Invalid date-time|Integer out of range) '.*'/s, "$1"],
  [/^Unknown (?:YAML )?alias '.*'/s, "unknown alias; a text that begins with * stands in quotes"]
]

const withoutValue = (message: string): string =>
  repeated.reduce((text, [pattern, instead]) => text.replace(pattern, instead), message)

const syntaxFault = (file: string, line: number | undefined, found: string): SettingFault => {
  const message = withoutValue(found)
  return {
    origin: line === undefined ? file : `${file}:${line}`,
    path: "",
    message: `syntax: ${message.charAt(0).toLowerCase()}${message.slice(1)}`
  }
}
