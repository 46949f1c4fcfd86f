import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { defaultRules } from "../../../src/access/rules/defaultRules.ts"
import { rulesOf } from "./asking.ts"

const shipped = fs.readFileSync(path.resolve(import.meta.dirname, "../../../etc/acl.config"), "utf8")

describe("the default rules", () => {
  it("are those of etc/acl.config", () => {
    const rules = (text: string) => rulesOf("acl_config", text).rules.map((rule) => ({ ...rule, line: 0 }))
    assert.strictEqual(rules(defaultRules).length, 4)
    assert.deepStrictEqual(rules(defaultRules), rules(shipped))
  })
})
