import { assert, describe, it } from "@effect/vitest"
import { Authorization, type InForce, ownRules } from "../../../src/access/rules/Authorization.ts"
import { Permissions } from "../../../src/access/rules/Permissions.ts"
import { permissionsOf, rulesOf, subjectOf } from "./asking.ts"

const options = { noMatch: "allow", denyCovers: true } as const

describe("Permissions", () => {
  it("the first source with a rule that matches decides", () => {
    const files = [
      rulesOf("acl_config", `{deny, all, publish, ["a"]}.`, "one"),
      rulesOf("toml", `[[rules]]\neffect = "allow"\ntopics = ["a", "b"]`, "two"),
      rulesOf("mosquitto", "topic c", "three"),
      rulesOf("acl_config", "{allow, all}.", "four")
    ]
    const permissions = permissionsOf(files)
    assert.deepStrictEqual(["a", "b", "c", "d"].map((topic) => permissions.publish(topic, 0, false).by), [
      "one:1",
      "two:1",
      "three:1",
      "three: no rule grants it"
    ])
    assert.isFalse(permissions.publish("d", 0, false).allowed)
  })

  it("rules of the client's own: before all sources, or where jwt stands among them", () => {
    const deny = rulesOf("acl_config", `{deny, all, publish, ["a"]}.`, "first")
    const last = rulesOf("acl_config", "{allow, all}.", "last")
    const own = rulesOf("toml", `[[rules]]\neffect = "allow"\ntopics = ["a"]\n[[rules]]\neffect = "deny"`, "own")
    const by = (sources: ConstructorParameters<typeof Authorization>[0], rules: typeof own | undefined) => {
      const inForce: InForce = { authorization: new Authorization(sources, options) }
      assert.isFalse(inForce.authorization.awaits)
      const permissions = new Permissions(inForce, { ...subjectOf(), rules }, 8)
      return ["a", "b"].map((topic) => permissions.publish(topic, 0, false).by)
    }
    assert.deepStrictEqual(by([deny, last], own), ["own:1", "own:4"])
    assert.deepStrictEqual(by([deny, ownRules, last], own), ["first:1", "own:4"])
    assert.deepStrictEqual(by([deny, last, ownRules], own), ["first:1", "last:1"])
    assert.deepStrictEqual(by([deny, ownRules, last], undefined), ["first:1", "last:1"])
  })

  it("no rule: authorization.no_match", () => {
    for (const noMatch of ["allow", "deny"] as const) {
      const permissions = permissionsOf([], {}, { noMatch })
      const expected = {
        allowed: noMatch === "allow",
        file: undefined,
        line: 0,
        by: `authorization.no_match = "${noMatch}"`
      }
      assert.deepStrictEqual(permissions.publish("a", 0, false), expected)
      assert.deepStrictEqual(permissions.subscribe("#", 0), expected)
    }
  })

  it("a superuser is asked nothing", () => {
    const permissions = permissionsOf([rulesOf("acl_config", "{deny, all}.")], { superuser: true })
    assert.deepStrictEqual([permissions.publish("a", 0, false).by, permissions.subscribe("#", 0).by], [
      "superuser",
      "superuser"
    ])
  })

  it("new rules hold from the next question on, whatever is remembered", () => {
    const rules = (text: string) => new Authorization([rulesOf("acl_config", text)], options)
    const inForce: InForce = { authorization: rules("{allow, all}.") }
    const permissions = new Permissions(inForce, subjectOf(), 8)
    assert.isTrue(permissions.publish("a", 0, false).allowed)
    assert.isTrue(permissions.publish("b", 0, false).allowed)
    assert.isTrue(permissions.subscribe("a", 0).allowed)
    inForce.authorization = rules("{deny, all}.")
    assert.isFalse(permissions.publish("b", 0, false).allowed)
    assert.isFalse(permissions.publish("a", 0, false).allowed)
    assert.isFalse(permissions.subscribe("a", 0).allowed)
  })

  it("remembers as many answers as it may, and gives the right one all the same", () => {
    const permissions = permissionsOf([rulesOf("acl_config", `{allow, all, publish, ["a/#"]}.\n{deny, all}.`)], {}, {
      cacheSize: 3
    })
    for (let round = 0; round < 3; round++) {
      for (let n = 0; n < 10; n++) {
        assert.isTrue(permissions.publish(`a/${n}`, 0, false).allowed)
        assert.isFalse(permissions.publish(`b/${n}`, 0, false).allowed)
        assert.isAtMost(permissions.remembered, 3)
      }
    }
    assert.strictEqual(permissions.remembered, 3)
  })

  it("an answer that depends on QoS or RETAIN is not taken for another packet's", () => {
    const permissions = permissionsOf([
      rulesOf(
        "toml",
        `[[rules]]\neffect = "deny"\naction = "publish"\nqos = 0\n[[rules]]\neffect = "deny"\naction = "publish"\nretain = true`
      )
    ])
    assert.deepStrictEqual(
      [[0, false], [1, false], [0, true], [1, true], [2, false]].map(([qos, retain]) =>
        permissions.publish("a", Number(qos), retain === true).allowed
      ),
      [false, true, false, false, true]
    )
  })

  it("clients to whom the same rules apply share them", () => {
    const authorization = new Authorization([
      rulesOf("acl_config", `{allow, {user, "a"}, publish, ["%c"]}.\n{allow, all}.`)
    ], options)
    const rulesFor = (clientId: string, userName: string) =>
      authorization.rulesFor(subjectOf({ clientId, userName }))[0]
    assert.strictEqual(rulesFor("c1", "b"), rulesFor("c2", "d"))
    assert.notStrictEqual(rulesFor("c1", "a"), rulesFor("c2", "a"))
    assert.notStrictEqual(rulesFor("c1", "a"), rulesFor("c1", "b"))
  })

  it("among a thousand rules, with a trie, the first still decides", () => {
    const lines = Array.from(
      { length: 1_000 },
      (_, n) => `{${n % 2 === 0 ? "allow" : "deny"}, all, publish, ["d/${n}/#"]}.`
    )
    lines[700] = `{deny, all, publish, ["d/+/x", "same"]}.`
    lines[701] = `{allow, all, publish, ["same", "d/800/x"]}.`
    const permissions = permissionsOf([rulesOf("acl_config", [...lines, "{deny, all}."].join("\n"))])
    for (
      const [topic, line] of [["d/0/a", 1], ["d/699/x", 700], ["d/800/x", 701], ["d/800/y", 801], ["same", 701], [
        "q",
        1001
      ], ["$x", 1001]] as const
    ) {
      assert.strictEqual(permissions.publish(topic, 0, false).line, line, topic)
    }
  })

  it("more topics than are remembered for all: each answer is its own, for one client and the next", () => {
    const rules = Array.from({ length: 20 }, (_, n) => `{deny, all, publish, ["t/+/${n}"]}.`).join("\n")
    const file = rulesOf("acl_config", `${rules}\n{allow, all, publish, ["t/#"]}.`)
    const inForce = { authorization: new Authorization([file], { noMatch: "deny", denyCovers: true }) }
    for (const clientId of ["a", "b"]) {
      const permissions = new Permissions(inForce, subjectOf({ clientId }), 0)
      for (let round = 0; round < 2; round++) {
        for (let n = 0; n < 5_000; n++) {
          const { by } = permissions.publish(`t/${n}/${n % 30}`, 0, false)
          assert.strictEqual(by, n % 30 < 20 ? `f:${n % 30 + 1}` : "f:21")
          assert.isFalse(permissions.publish(`u/${n}`, 0, false).allowed)
        }
      }
    }
  })
})
