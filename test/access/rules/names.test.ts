import { assert, describe, it } from "@effect/vitest"
import { AddressRange } from "../../../src/access/rules/AddressRange.ts"
import { maxJudgedLength, NamePattern } from "../../../src/access/rules/NamePattern.ts"
import { permissionsOf, rulesOf } from "./asking.ts"

describe("AddressRange", () => {
  const cases: ReadonlyArray<readonly [range: string, inside: ReadonlyArray<string>, outside: ReadonlyArray<string>]> =
    [
      ["127.0.0.1", ["127.0.0.1", "::ffff:127.0.0.1", "::ffff:7f00:1"], ["127.0.0.2", "::1", "127.0.0.1.1", "", "x"]],
      ["10.0.0.0/8", ["10.0.0.0", "10.255.255.255"], ["9.255.255.255", "11.0.0.0", "a00::"]],
      ["10.1.2.3/8", ["10.0.0.0"], ["11.0.0.0"]],
      ["192.168.1.128/25", ["192.168.1.128", "192.168.1.255"], ["192.168.1.127", "192.168.2.128"]],
      ["0.0.0.0/0", ["1.2.3.4", "::ffff:1.2.3.4"], ["::1", "fe80::1"]],
      ["::/0", ["::1", "fe80::1%eth0"], ["1.2.3.4", "::ffff:1.2.3.4"]],
      ["fe80::/10", ["fe80::1%eth0", "febf:ffff::"], ["fec0::1"]],
      ["2001:db8:0:1::/64", ["2001:db8:0:1::", "2001:db8:0:1:ffff:ffff:ffff:ffff"], ["2001:db8:0:2::"]],
      ["::ffff:10.0.0.0/104", ["10.1.1.1", "::ffff:10.1.1.1"], ["11.1.1.1"]],
      ["64:ff9b::192.0.2.33", ["64:ff9b::c000:221"], ["192.0.2.33"]]
    ]
  it.each(cases)("%s", (text, inside, outside) => {
    const range = AddressRange.parse(text)
    assert.isDefined(range)
    for (const address of inside) assert.isTrue(range?.contains(address), address)
    for (const address of outside) assert.isFalse(range?.contains(address), address)
  })

  it.each([
    "",
    "10.0.0",
    "10.0.0.256",
    "10.0.0.0/33",
    "::/129",
    "10.0.0.0/",
    "10.0.0.0/-1",
    "10.0.0.0/8/8",
    "host",
    ":::"
  ])(
    "%s is none",
    (text) => assert.isUndefined(AddressRange.parse(text))
  )
})

describe("NamePattern", () => {
  const patternOf = (source: string): NamePattern => {
    const pattern = NamePattern.parse(source)
    if (typeof pattern === "string") throw new Error(`${source}: ${pattern}`)
    return pattern
  }

  const sources = [
    "abc",
    "a*",
    "a+b?",
    "(ab|c)*",
    "[a-c]{2,3}",
    "^a.c$",
    "(?:a|b|)c",
    "\\d+\\.\\w*",
    "[^ab]+",
    "a{2}",
    "a{1,}",
    "(a{0,2}b){2}",
    "[]a]+",
    "[a\\-z]+",
    "\\S\\s\\W",
    "a|b|c{3}",
    "((a)|(b))+c?",
    "",
    "x{0}",
    "(a*)*b",
    "(a+)+",
    "[\\d_]+"
  ]
  const names = [
    "",
    "a",
    "b",
    "ab",
    "abc",
    "aab",
    "abab",
    "cab",
    "aaa",
    "aa",
    "ccc",
    "c",
    "axc",
    "1.x",
    "12.a_",
    "a-z",
    "]",
    "a]",
    "x",
    "xyz",
    "b!",
    "x !",
    "aabb",
    "bab",
    "_1"
  ]

  it("agrees with the runtime's expressions, anchored", () => {
    for (const source of sources) {
      const pattern = patternOf(source)
      // The runtime takes "[]" for an empty class; here, as in POSIX, a bracket that comes first is itself.
      const oracle = new RegExp(`^(?:${source.replace("[]a]", "[\\]a]").replace(/^\^|\$$/g, "")})$`, "s")
      for (const name of names) assert.strictEqual(pattern.matches(name), oracle.test(name), `${source} on ${name}`)
    }
  })

  it("an expression that takes others for ever takes steps in proportion to the name", () => {
    const pattern = patternOf("(a|a)*(a|a)*(a*)*b")
    assert.isFalse(pattern.matches("a".repeat(maxJudgedLength)))
    assert.isTrue(pattern.matches("a".repeat(maxJudgedLength - 1) + "b"))
  })

  it.each([
    ["(a", `"(" without ")"`],
    ["a)", `")" without "("`],
    ["*a", `nothing to repeat before "*"`],
    ["a**", `"*" after a repetition`],
    ["[a", `"[" without "]"`],
    ["[b-a]", `the range "b-a"`],
    ["(?=a)", `"(?" other than "(?:"`],
    ["\\1", `"\\1"`],
    ["\\b", `"\\b"`],
    ["a{2,1}", "{2,1} counts backwards"],
    ["a{x}", `"{" that is not {n}, {n,} or {n,m}`],
    ["a^b", `"^" anywhere but at the beginning`],
    ["a{1000}{2}", `"{" after a repetition`],
    ["(a{100}){100}", "its repetitions come to more than 1000 characters"],
    ["x".repeat(257), "longer than 256 characters"],
    ["(".repeat(20) + ")".repeat(20), "groups nested deeper than 16"]
  ])("%s is refused", (source, fault) => assert.strictEqual(NamePattern.parse(source), fault))

  it("a name that is too long to be judged is denied, and allowed nothing", () => {
    const rules = (effect: string) =>
      rulesOf("toml", `[[rules]]\neffect = "${effect}"\nclient_regex = "b.*"\nuser_regex = "b.*"`)
    const long = { clientId: "a".repeat(2_000), userName: "a".repeat(2_000) }
    assert.strictEqual(permissionsOf([rules("deny")], long).publish("t", 0, false).by, "f:1")
    assert.isFalse(permissionsOf([rules("allow")], long, { noMatch: "deny" }).publish("t", 0, false).allowed)
  })
})
