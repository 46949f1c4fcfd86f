import { afterAll, assert, describe, it } from "@effect/vitest"
import { defaultRules } from "../../../src/access/rules/defaultRules.ts"
import { blocks } from "./decisionTable.ts"
import { permissionsOf, rulesOf } from "./asking.ts"

let rows = 0
afterAll(() => assert.isAtLeast(rows, 300, "rows of the table"))

const line = /^(\S+) (\S+) (\S+) (pubr?|sub)([012]) (none|(?:allow|deny) \d+): (.+)$/

describe("the table of decisions", () => {
  for (const block of blocks) {
    const { certificateName, denyCovers, listener, questions, rules, title, type } = block
    it(title, () => {
      const file = rulesOf(type, type === "default" ? defaultRules : rules)
      for (const question of questions.split("\n").map((text) => text.trim()).filter((text) => text !== "")) {
        const parts = line.exec(question)
        assert.isNotNull(parts, question)
        const [, clientId = "", userName = "", address = "", action = "", qos = "", expected = "", topics = ""] = parts
        const permissions = permissionsOf([file], {
          clientId,
          userName: userName === "-" ? undefined : userName,
          address,
          listener: listener ?? "tcp",
          certificateName
        }, { denyCovers: denyCovers ?? true })
        for (const topic of topics.split(" ")) {
          rows++
          const decision = action === "sub"
            ? permissions.subscribe(topic, Number(qos))
            : permissions.publish(topic, Number(qos), action === "pubr")
          const found = decision.by.startsWith("authorization.")
            ? "none"
            : `${decision.allowed ? "allow" : "deny"} ${decision.line}`
          assert.strictEqual(found, expected, `${question.split(":")[0]}: ${topic} (${decision.by})`)
        }
      }
    })
  }
})
