// The built-in rules: their order, their numbers, and that a database read back from its records is the same.
import { assert, describe, it } from "vitest"
import { Authorization } from "../../../src/access/rules/Authorization.ts"
import type { RuleFile } from "../../../src/access/rules/Rule.ts"
import { Permissions } from "../../../src/access/rules/Permissions.ts"
import { nobodyKnown } from "../../../src/access/rules/Rule.ts"
import { RuleDatabase } from "../../../src/access/rules/RuleDatabase.ts"
import { Counters } from "../../../src/metrics/Counters.ts"
import { Scheduler } from "../../../src/otp/Scheduler.ts"
import type { Changes } from "../../../src/store/Engine.ts"
import { Journal } from "../../../src/store/Journal.ts"

const setup = () => {
  const scheduler = new Scheduler({ clock: () => 1, onDefect: (defect) => assert.fail(String(defect)) })
  const journal = new Journal({ scheduler, counters: new Counters(), enabled: true })
  const records = new Map<string, Uint8Array>()
  journal.park(function take(changes: Changes) {
    for (const { key, kind, value } of changes.records) {
      assert.strictEqual(kind, "rule")
      if (value === null) records.delete(key)
      else records.set(key, value)
    }
    journal.groupCommitted()
    journal.park(take)
  })
  const seen: Array<RuleFile> = []
  const maximum = { value: 100 }
  const rules = new RuleDatabase(journal, () => maximum.value, (file) => seen.push(file))
  const settle = () => new Promise((resolve) => journal.whenIdle(() => resolve(undefined)))
  const again = () => {
    const read = new RuleDatabase(journal, () => 100, () => {})
    for (const [key, value] of [...records].sort(([a], [b]) => a < b ? -1 : 1)) assert.isTrue(read.load(key, value))
    return read
  }
  return { rules, seen, maximum, records, settle, again }
}

const numbers = (rules: RuleDatabase) => rules.list.map(({ number }) => number)
const rule = (topic: string) => ({ effect: "allow", user: "bob", topics: [topic] })

describe("built-in rules", () => {
  it("come last, or before one that is named, and keep their numbers", async () => {
    const { again, rules, seen, settle } = setup()
    rules.add(rule("a"), undefined)
    rules.add(rule("b"), undefined)
    rules.add(rule("c"), 1)
    rules.add(rule("d"), 2)
    assert.deepStrictEqual(numbers(rules), [3, 1, 4, 2])
    assert.isDefined(rules.remove(1))
    assert.isUndefined(rules.remove(1))
    assert.deepStrictEqual(numbers(rules), [3, 4, 2])
    assert.deepStrictEqual(rules.file.rules.map(({ line }) => line), [3, 4, 2])
    assert.lengthOf(seen, 5)
    assert.deepStrictEqual(seen.at(-1), rules.file)
    await settle()
    const read = again()
    assert.deepStrictEqual(read.list, rules.list)
    // A number is not given again while a later one is there.
    assert.deepInclude(read.add(rule("e"), undefined), { number: 5 })
  })

  it("always before the same one: room is made when there is none left", async () => {
    const { again, records, rules, settle } = setup()
    rules.add(rule("last"), undefined)
    rules.add(rule("first"), 1)
    for (let count = 0; count < 60; count++) assert.isNotString(rules.add(rule(`t/${count}`), 1))
    const expected = [2, ...Array.from({ length: 60 }, (_, index) => index + 3), 1]
    assert.deepStrictEqual(numbers(rules), expected)
    await settle()
    assert.strictEqual(records.size, 62)
    assert.deepStrictEqual(again().list, rules.list)
  })

  it("a fault is named and changes nothing", () => {
    const { maximum, rules, seen } = setup()
    assert.match(String(rules.add({ effect: "maybe" }, undefined)), /^effect: expected "allow" or "deny"/)
    assert.match(String(rules.add({ effect: "deny", usr: "x" }, undefined)), /usr: unknown key; did you mean user\?/)
    assert.match(String(rules.add({ ...rule("a/#/b") }, undefined)), /topics: expected a topic filter/)
    assert.strictEqual(rules.add(rule("a"), 7), "there is no rule 7")
    maximum.value = 0
    assert.match(String(rules.add(rule("a"), undefined)), /max_built_in_rules/)
    assert.isEmpty(rules.list)
    assert.isEmpty(seen)
  })

  it("a record that is none is not taken", () => {
    const { rules } = setup()
    const bytes = (text: string) => new TextEncoder().encode(text)
    assert.isFalse(rules.load("0000000000000001", bytes("{")))
    assert.isFalse(rules.load("0000000000000001", bytes('{"number":1,"rule":{"effect":"what"}}')))
    assert.isFalse(rules.load("x", bytes('{"number":1,"rule":{"effect":"allow"}}')))
    assert.isTrue(rules.load("0000000000000001", bytes('{"number":1,"rule":{"effect":"allow"}}')))
  })

  it("decide by user, by client id and for all, and the decision names the rule", () => {
    const { rules } = setup()
    rules.add({ effect: "deny", topics: ["secret/#"] }, undefined)
    rules.add({ effect: "allow", client: "c1", action: "publish", topics: ["secret/c1"] }, 1)
    rules.add({ effect: "allow", user: "bob", topics: ["home/%u/#"] }, undefined)
    const authorization = new Authorization([rules.file], { noMatch: "deny", denyCovers: true })
    const ask = (clientId: string, userName: string | undefined) =>
      new Permissions({ authorization }, { ...nobodyKnown(clientId), userName }, 0)
    assert.deepInclude(ask("c1", undefined).publish("secret/c1", 0, false), { allowed: true, by: "built_in:2" })
    assert.deepInclude(ask("c2", undefined).publish("secret/c1", 0, false), { allowed: false, by: "built_in:1" })
    assert.deepInclude(ask("c2", "bob").subscribe("home/bob/#", 0), { allowed: true, by: "built_in:3" })
    assert.deepInclude(ask("c2", "eve").subscribe("home/bob/#", 0), {
      allowed: false,
      by: 'authorization.no_match = "deny"'
    })
  })
})
