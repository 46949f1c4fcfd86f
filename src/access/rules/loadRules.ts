// Reads the files of [authorization] and gives the rules, or every fault of all of them. Used at the start, by a reload and by the command
// line. Invariant: rules with a fault are never in force, not even those without.
import { Data, Effect, type FileSystem, type Scope } from "effect"
import type { RuleSourceType, Settings } from "../../config/Settings.ts"
import { readText } from "../readText.ts"
import type { AskedSource } from "./AskedRules.ts"
import { Authorization, ownRules, type RuleSourceInForce } from "./Authorization.ts"
import { defaultRules, defaultRulesName } from "./defaultRules.ts"
import type { FetchedSource, KnownRules } from "./FetchedRules.ts"
import type { SourceParts } from "./HttpRules.ts"
import type { FetchedSettings, FetchedType } from "./makeFetchedRules.ts"
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
export type RuleTextType = Exclude<RuleSourceType, "built_in" | "jwt" | "http" | FetchedType>

const parsers: { readonly [Type in RuleTextType]: (file: string, text: string) => ParsedRules } = {
  default: parseAclConfig,
  acl_config: parseAclConfig,
  mosquitto: parseMosquittoAcl,
  toml: parseTomlRules
}

export const parseRules = (type: RuleTextType, file: string, text: string): ParsedRules => parsers[type](file, text)

export type RuleSettings = Pick<Settings, "authorization" | "auth_http"> & FetchedSettings

/** What those who are connected have of rules that were fetched: from one reload to the next. */
export type KnownByType = { readonly [Type in FetchedType]: KnownRules }

/** The sessions of its databases end with the scope. */
export const loadRules = Effect.fn("loadRules")(function* (
  settings: RuleSettings,
  parts: SourceParts,
  known: KnownByType
) {
  const { authorization } = settings
  const files: Array<RuleSourceInForce> = []
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
    if (type === "jwt") {
      files.push(ownRules)
      continue
    }
    if (type === "http") {
      const source = yield* Effect.catch(httpRules(settings, parts), noted)
      if (source !== undefined) files.push(source)
      continue
    }
    if (type === "postgres" || type === "mysql" || type === "redis") {
      yield* fetchedRules(type, settings, known[type], parts).pipe(
        Effect.map((source) => files.push(source)),
        Effect.catch((all) => Effect.sync(() => faults.push(...all)))
      )
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
  { auth_http: http, authorization }: RuleSettings,
  parts: SourceParts
): Effect.fn.Return<AskedSource, string, FileSystem.FileSystem | Scope.Scope> {
  if (http.aclReq === "") {
    return yield* Effect.fail(`auth_http.acl_req: needed by authorization.sources { type = "http" }`)
  }
  // An HTTP client costs start-up time: only who has such a source pays for it.
  const { makeHttpRules } = yield* Effect.promise(() => import("./makeHttpRules.ts"))
  return yield* makeHttpRules(http, authorization, parts)
})

const fetchedRules = (
  type: FetchedType,
  settings: FetchedSettings,
  known: KnownRules,
  parts: SourceParts
): Effect.Effect<FetchedSource, ReadonlyArray<string>, FileSystem.FileSystem | Scope.Scope> =>
  Effect.flatMap(
    Effect.promise(() => import("./makeFetchedRules.ts")),
    ({ makeFetchedRules }) => makeFetchedRules(type, settings, known, parts)
  )
