// Reads the files of [authorization] and gives the rules, or every fault of all of them. Used at the start, by a reload and by the command
// line. Invariant: rules with a fault are never in force, not even those without.
import { Data, Effect, FileSystem } from "effect"
import type { RuleSource, RuleSourceType } from "../../config/Settings.ts"
import { Authorization, type RuleOptions } from "./Authorization.ts"
import { defaultRules, defaultRulesName } from "./defaultRules.ts"
import { parseAclConfig } from "./parseAclConfig.ts"
import { parseMosquittoAcl } from "./parseMosquittoAcl.ts"
import { parseTomlRules } from "./parseTomlRules.ts"
import { builtIn } from "./RuleDatabase.ts"
import { formatRuleFault, type ParsedRules, type RuleFile } from "./Rule.ts"

/** One line a fault. */
export class RulesInvalid extends Data.TaggedError("RulesInvalid")<{ readonly faults: ReadonlyArray<string> }> {
  /** EX_CONFIG of sysexits.h. */
  readonly exitCode = 78
  override get message(): string {
    return this.faults.join("\n")
  }
}

/** Sources that are text. */
export type RuleTextType = Exclude<RuleSourceType, "built_in">

const parsers: { readonly [Type in RuleTextType]: (file: string, text: string) => ParsedRules } = {
  default: parseAclConfig,
  acl_config: parseAclConfig,
  mosquitto: parseMosquittoAcl,
  toml: parseTomlRules
}

export const parseRules = (type: RuleTextType, file: string, text: string): ParsedRules => parsers[type](file, text)

export const loadRules = Effect.fn("loadRules")(function* (
  settings: RuleOptions & { readonly sources: ReadonlyArray<RuleSource> }
) {
  const files: Array<RuleFile> = []
  const faults: Array<string> = []
  for (const { path, type } of settings.sources) {
    if (type === "built_in") {
      // Put in place by who has them (Authorization.replacing).
      files.push(noRules)
      continue
    }
    const file = type === "default" ? defaultRulesName : path
    const text = type === "default" ? defaultRules : yield* readText(path).pipe(
      Effect.catch((fault) => {
        faults.push(fault)
        return Effect.void
      })
    )
    if (text === undefined) continue
    const parsed = parseRules(type, file, text)
    files.push(parsed.rules)
    faults.push(...parsed.faults.map((fault) => formatRuleFault(file, fault)))
  }
  if (faults.length > 0) return yield* new RulesInvalid({ faults })
  return new Authorization(files, settings)
})

const noRules: RuleFile = { file: builtIn, rules: [], dialect: "first_match" }

const readText = Effect.fnUntraced(function* (path: string) {
  const fs = yield* FileSystem.FileSystem
  return yield* fs.readFileString(path).pipe(
    Effect.mapError(({ reason }) =>
      reason._tag === "NotFound"
        ? `${path}: no such file (authorization.sources)`
        : reason._tag === "PermissionDenied"
        ? `${path}: permission denied (authorization.sources)`
        : `${path}: cannot be read (authorization.sources)`
    )
  )
})
