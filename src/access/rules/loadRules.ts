// Reads the files of [authorization] and gives the rules, or every fault of all of them. Used at the start, by a reload and by the command
// line. Invariant: rules with a fault are never in force, not even those without.
import { Data, Effect, type FileSystem } from "effect"
import type { RuleSourceType, Settings } from "../../config/Settings.ts"
import { readText } from "../readText.ts"
import type { AskedSource } from "./AskedRules.ts"
import { Authorization } from "./Authorization.ts"
import { defaultRules, defaultRulesName } from "./defaultRules.ts"
import type { SourceParts } from "./HttpRules.ts"
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
export type RuleTextType = Exclude<RuleSourceType, "built_in" | "http">

const parsers: { readonly [Type in RuleTextType]: (file: string, text: string) => ParsedRules } = {
  default: parseAclConfig,
  acl_config: parseAclConfig,
  mosquitto: parseMosquittoAcl,
  toml: parseTomlRules
}

export const parseRules = (type: RuleTextType, file: string, text: string): ParsedRules => parsers[type](file, text)

export const loadRules = Effect.fn("loadRules")(function* (
  settings: Pick<Settings, "authorization" | "auth_http">,
  parts: SourceParts
) {
  const { authorization } = settings
  const files: Array<RuleFile | AskedSource> = []
  const faults: Array<string> = []
  const noted = (fault: string) => {
    faults.push(fault)
    return Effect.void
  }
  for (const { path, type } of authorization.sources) {
    if (type === "built_in") {
      // Put in place by who has them (Authorization.replacing).
      files.push(noRules)
      continue
    }
    if (type === "http") {
      const source = yield* Effect.catch(httpRules(settings, parts), noted)
      if (source !== undefined) files.push(source)
      continue
    }
    const file = type === "default" ? defaultRulesName : path
    const text = type === "default" ? defaultRules : yield* Effect.catch(readText("authorization.sources", path), noted)
    if (text === undefined) continue
    const parsed = parseRules(type, file, text)
    files.push(parsed.rules)
    faults.push(...parsed.faults.map((fault) => formatRuleFault(file, fault)))
  }
  if (faults.length > 0) return yield* new RulesInvalid({ faults })
  return new Authorization(files, authorization)
})

const noRules: RuleFile = { file: builtIn, rules: [], dialect: "first_match" }

const httpRules = Effect.fnUntraced(function* (
  { auth_http: http, authorization }: Pick<Settings, "authorization" | "auth_http">,
  parts: SourceParts
): Effect.fn.Return<AskedSource, string, FileSystem.FileSystem> {
  if (http.aclReq === "") {
    return yield* Effect.fail(`auth_http.acl_req: needed by authorization.sources { type = "http" }`)
  }
  // An HTTP client costs start-up time: only who has such a source pays for it.
  const { makeHttpRules } = yield* Effect.promise(() => import("./makeHttpRules.ts"))
  return yield* makeHttpRules(http, authorization, parts)
})
