// Rows of mqtt_acl and hashes of Redis as rules: what each decides, and what is a fault.
import { assert, describe, it } from "@effect/vitest"
import { type AclRow, rowsOfHash, rulesOfRows } from "../../../src/access/backends/rowRules.ts"
import { Authorization } from "../../../src/access/rules/Authorization.ts"
import { Permissions } from "../../../src/access/rules/Permissions.ts"
import { nobodyKnown } from "../../../src/access/rules/Rule.ts"

const asked = (rows: ReadonlyArray<AclRow>, userName: string | undefined = "bob", address = "10.0.0.7") => {
  const rules = rulesOfRows("postgres", rows)
  if (typeof rules === "string") throw new Error(rules)
  const authorization = new Authorization([rules], { noMatch: "deny", denyCovers: true })
  const subject = { ...nobodyKnown("c1"), userName, address }
  return new Permissions({ authorization }, subject, 0)
}
const row = (
  allow: unknown,
  ipaddr: unknown,
  username: unknown,
  clientid: unknown,
  access: unknown,
  topic: unknown
) => ({
  allow,
  ipaddr,
  username,
  clientid,
  access,
  topic
})

describe("rows", () => {
  it("the original's table: who, access, topic, in order, and which row decides", () => {
    const permissions = asked([
      row(0, null, "$all", null, 1, "eq #"),
      row(1, null, "alice", null, 3, "#"),
      row(1, "10.0.0.0/8", null, null, 1, "$SYS/#"),
      row("1", "", "bob", "c2", 3, "secret"),
      row(true, null, "bob", "", "2", "out/%u/%c"),
      row(false, null, null, "c1", 2, "in/+"),
      row(1, null, null, "c1", 3, "in/#")
    ])
    const by = (answer: { allowed: boolean; by: string }) => `${answer.allowed ? "allow" : "deny"} ${answer.by}`
    assert.strictEqual(by(permissions.subscribe("#", 0)), "deny postgres:1")
    assert.strictEqual(by(permissions.subscribe("$SYS/#", 0)), "allow postgres:3")
    assert.strictEqual(by(permissions.publish("secret", 0, false)), `deny authorization.no_match = "deny"`)
    assert.strictEqual(by(permissions.publish("out/bob/c1", 0, false)), "allow postgres:5")
    assert.strictEqual(by(permissions.publish("in/x", 0, false)), "deny postgres:6")
    assert.strictEqual(by(permissions.publish("in/x/y", 0, false)), "allow postgres:7")
    assert.strictEqual(by(permissions.subscribe("in/#", 0)), "allow postgres:7")
  })

  it("all that is filled in has to hold", () => {
    const both = row(1, "10.0.0.0/8", "bob", "c1", 3, "a")
    assert.isTrue(asked([both]).publish("a", 0, false).allowed)
    assert.isFalse(asked([both], "eve").publish("a", 0, false).allowed)
    assert.isFalse(asked([both], "bob", "192.168.0.1").publish("a", 0, false).allowed)
  })

  it("a query that gives no column of who is about the client that asks", () => {
    assert.isTrue(asked([{ allow: 1, access: 3, topic: "a" }], undefined).publish("a", 0, false).allowed)
  })

  it("a client whose name is $all is not everyone", () => {
    assert.isFalse(asked([row(1, null, "bob", null, 3, "a")], "$all").publish("a", 0, false).allowed)
  })

  it("what cannot be read is a fault that names the row and the column", () => {
    const faults: ReadonlyArray<readonly [AclRow, RegExp]> = [
      [row(2, null, "bob", null, 1, "a"), /row 1: allow: expected 1 or 0, got 2/],
      [row(null, null, "bob", null, 1, "a"), /allow: expected 1 or 0, got null/],
      [{ access: 1, topic: "a" }, /allow: expected 1 or 0, got nothing/],
      [row(1, null, "bob", null, 4, "a"), /access: expected 1 \(subscribe\), 2 \(publish\) or 3 \(both\), got 4/],
      [row(1, null, "bob", null, 1, "a#"), /topic: "a#" is no topic filter/],
      [row(1, null, "bob", null, 1, null), /topic: null is no topic filter/],
      [row(1, null, "bob", null, 1, "eq "), /topic: "eq " is no topic filter/],
      [row(1, "10.0.0.0/40", "bob", null, 1, "a"), /ipaddr: "10.0.0.0\/40" is no address/],
      [row(0, null, null, "", 1, "a"), /none of ipaddr, username and clientid is filled/]
    ]
    for (const [one, fault] of faults) assert.match(String(rulesOfRows("postgres", [one])), fault)
  })

  it("Redis: topics with 1, 2 or 3, all of which allow", () => {
    const permissions = asked(rowsOfHash([["a/+", "1"], ["b", "2"], ["c/%c", "3"]]))
    assert.deepStrictEqual(
      [permissions.subscribe("a/+", 0), permissions.publish("a/x", 0, false), permissions.publish("b", 0, false)].map(
        ({ allowed }) => allowed
      ),
      [true, false, true]
    )
    assert.isTrue(permissions.publish("c/c1", 0, false).allowed)
    assert.match(String(rulesOfRows("redis", rowsOfHash([["a", "7"]]))), /row 1: access/)
  })
})
