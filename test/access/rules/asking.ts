// What the tests of the rules share: rules from a text, subjects, and answers as short texts.
import { assert } from "@effect/vitest"
import { Authorization } from "../../../src/access/rules/Authorization.ts"
import { parseRules, type RuleTextType } from "../../../src/access/rules/loadRules.ts"
import { Permissions } from "../../../src/access/rules/Permissions.ts"
import type { RuleFile, Subject } from "../../../src/access/rules/Rule.ts"

export const subjectOf = (given: Partial<Subject> = {}): Subject => ({
  clientId: "c1",
  userName: undefined,
  address: "10.0.0.1",
  listener: "tcp",
  certificateName: undefined,
  superuser: false,
  ...given
})

export const rulesOf = (type: RuleTextType, text: string, file = "f"): RuleFile => {
  const { faults, rules } = parseRules(type, file, text)
  assert.deepStrictEqual(faults, [])
  return rules
}

export const faultsOf = (type: RuleTextType, text: string): ReadonlyArray<string> =>
  parseRules(type, "f", text).faults.map(({ line, message }) => `${line}: ${message}`)

export const permissionsOf = (
  files: ReadonlyArray<RuleFile>,
  given: Partial<Subject> = {},
  options: { readonly denyCovers?: boolean; readonly noMatch?: "allow" | "deny"; readonly cacheSize?: number } = {}
): Permissions => {
  const authorization = new Authorization(files, {
    noMatch: options.noMatch ?? "allow",
    denyCovers: options.denyCovers ?? true
  })
  return new Permissions({ authorization }, subjectOf(given), options.cacheSize ?? 8)
}
