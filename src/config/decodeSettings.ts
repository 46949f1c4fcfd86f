// From layers of settings to `Settings`, or to every fault there is, each with the place it comes from. Pure.
// Invariant: no fault hides another: what is wrong is taken out and the rest is decoded again, up to the checks across
// tables.
import { Result, Schema, SchemaIssue } from "effect"
import { clusterFaults } from "./clusterFaults.ts"
import { namesListeners, withListenerDefaults } from "./listenerDefaults.ts"
import { type FaultAcross, listenerFaults } from "./listenerFaults.ts"
import { describeValue } from "./settingCodecs.ts"
import { defaultListener, defaultSettings, type Settings } from "./Settings.ts"
import { knownKeys, SettingsSchema } from "./SettingsSchema.ts"
import { mergeTrees, type Path, type SettingsSource, type Tree, valueAt, withoutPath } from "./SettingsSource.ts"
import { nearest } from "./suggest.ts"
import { zonedSettings } from "./zonedSettings.ts"

export interface SettingFault {
  /** "emqttd.toml:12", "EMQTTD_NODE__NAME", "--port"; undefined when no layer says anything about it. */
  readonly origin: string | undefined
  readonly path: string
  readonly message: string
}

/** One line: `emqttd.toml:12: listeners.tcp.port: expected …`. */
export const formatFault = ({ message, origin, path }: SettingFault): string =>
  [origin, path, message].filter((part) => part !== undefined && part !== "").join(": ")

const decode = Schema.decodeUnknownResult(SettingsSchema, {
  errors: "all",
  onExcessProperty: "error"
})

const UNKNOWN = "unknown key"
const NO_TABLE = "no table"

const issuesOf = SchemaIssue.makeFormatterStandardSchemaV1({
  leafHook: (issue) =>
    issue._tag === "UnexpectedKey" ? UNKNOWN : issue._tag === "InvalidValue"
      ? SchemaIssue.defaultLeafHook(issue) // our codecs' own words
      : NO_TABLE
})

const keyText = (key: unknown): string =>
  typeof key === "object" && key !== null && "key" in key ? String(key.key) : String(key)

/** Where an unknown key may have been meant to stand. */
export const suggestionFor = (path: Path): string | undefined => {
  const key = path.at(-1) ?? ""
  const table = path[0] === "listeners" && path.length > 1
    ? "listeners.*"
    : path.slice(path[0] === "zones" ? 2 : 0, -1).join(".")
  const here = table === "" ? [...knownKeys.keys()].map((name) => name.replace(".*", "")) : knownKeys.get(table) ?? []
  const prefix = path.slice(0, -1).map((level) => `${level}.`).join("")
  const near = nearest(key, here)
  if (near !== undefined) return `${prefix}${near}`
  for (const [other, keys] of knownKeys) {
    if (keys.includes(key)) return `${other.replace("*", defaultListener.name)}.${key}`
  }
  return undefined
}

interface FoundFault {
  readonly path: Path
  readonly message: string
}

const faultsOf = (error: Schema.SchemaError, tree: Tree): ReadonlyArray<FoundFault> =>
  issuesOf(error.issue).issues.map((issue) => {
    const path = (issue.path ?? []).map(keyText)
    // Whatever is not the fault of a single value is a value where the schema wants a table.
    if (!/^(?:expected|unknown)/.test(issue.message)) {
      return { path, message: `expected a table, got ${describeValue(valueAt(tree, path))}` }
    }
    if (issue.message !== UNKNOWN) return { path, message: issue.message }
    const suggestion = suggestionFor(path)
    return { path, message: suggestion === undefined ? UNKNOWN : `${UNKNOWN}; did you mean ${suggestion}?` }
  })

/** What no single value can show. */
const faultsAcross = (settings: Settings): ReadonlyArray<FaultAcross> => {
  const found = [...listenerFaults(settings), ...clusterFaults(settings)]
  for (const zone of ["", ...settings.zones.map(({ name }) => name)]) {
    const { receiveMaximum } = zonedSettings(settings, zone).connection
    const { maxAwaitingPubrel } = zonedSettings(settings, zone).session
    if (receiveMaximum <= maxAwaitingPubrel) continue
    const table = zone === "" ? [] : ["zones", zone]
    const own = [[...table, "connection", "receive_maximum"], [...table, "session", "max_awaiting_pubrel"]]
    found.push({
      paths: zone === "" ? own : [...own, table],
      message:
        `${receiveMaximum} is more than session.max_awaiting_pubrel (${maxAwaitingPubrel}): a client within the one could break the other`
    })
  }
  return found
}

/** Later sources win. Fails with all faults, those of the file first and by line. */
export const decodeSettings = (
  sources: ReadonlyArray<SettingsSource>
): Result.Result<Settings, ReadonlyArray<SettingFault>> => {
  const lastFirst = sources.toReversed()
  const originOf = (path: Path): string | undefined => {
    for (const source of lastFirst) {
      const origin = source.originOf(path)
      if (origin !== undefined) return origin
    }
    return undefined
  }
  const nearestOrigin = (path: Path): string | undefined => {
    for (let length = path.length; length > 0; length--) {
      const origin = originOf(path.slice(0, length))
      if (origin !== undefined) return origin
    }
    return undefined
  }

  const given = sources.reduce((under, { tree }) => mergeTrees(under, tree), {} as Tree)
  let tree = withListenerDefaults(given)
  const faults: Array<SettingFault> = []
  const faulty: Array<Path> = []
  for (;;) {
    const decoded = decode(tree)
    if (Result.isFailure(decoded)) {
      const found = faultsOf(decoded.failure, tree).filter(({ path }) => path.length > 0)
      if (found.length === 0) return Result.fail([{ origin: undefined, path: "", message: decoded.failure.message }])
      for (const { message, path } of found) {
        faults.push({ origin: nearestOrigin(path), path: path.join("."), message })
        faulty.push(path)
        tree = withoutPath(tree, path)
      }
      // Without its type or its port a listener would be a fault of our own making.
      tree = withListenerDefaults(tree)
      continue
    }
    for (const { message, paths } of faultsAcross(decoded.success)) {
      if (paths.some((path) => faulty.some((other) => other.join(".") === path.join(".")))) continue
      const blamed = paths.find((path) => originOf(path) !== undefined) ?? paths[0] ?? []
      faults.push({ origin: originOf(blamed), path: (paths[0] ?? []).join("."), message })
    }
    if (faults.length === 0) {
      // The very objects: who opens them can tell that nobody has asked for them.
      return Result.succeed(
        namesListeners(given) ? decoded.success : { ...decoded.success, listeners: defaultSettings.listeners }
      )
    }
    return Result.fail(faults.toSorted(byOrigin))
  }
}

/** Lines of the file first, in their order; then the others as they were found. */
const byOrigin = (a: SettingFault, b: SettingFault): number => {
  const [left, right] = [lineOf(a), lineOf(b)]
  return left === right ? 0 : left - right
}
const lineOf = ({ origin }: SettingFault): number => Number(/:(\d+)$/.exec(origin ?? "")?.[1] ?? Infinity)
