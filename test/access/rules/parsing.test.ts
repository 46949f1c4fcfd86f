import { assert, describe, it } from "@effect/vitest"
import { faultsOf, rulesOf } from "./asking.ts"

const summaryOf = (type: "acl_config" | "mosquitto" | "toml", text: string) =>
  rulesOf(type, text).rules.map((
    { action, effect, line, topics, who }
  ) => [line, effect, who._tag, action, topics?.map(({ filter }) => filter)])

describe("acl.config", () => {
  it("takes comments, terms over several lines, several on one line, binaries, escapes, joined strings", () => {
    assert.deepStrictEqual(
      summaryOf(
        "acl_config",
        `%% {deny, all}.
{allow, all, publish,   % to the end "of the line
   ["a/%", <<"b">>, <<"ö"/utf8>>, "c" "/d", "q\\"\\x41\\101\\s.", {eq,"#"}]}. {deny,
 {user,"a"}, pubsub, []}.
{ 'allow' , all , subscribe , "one" }.`
      ),
      [
        [2, "allow", "All", "publish", ["a/%", "b", "ö", "c/d", `q"AA .`, "#"]],
        [3, "deny", "User", "pubsub", []],
        [5, "allow", "All", "subscribe", ["one"]]
      ]
    )
  })

  it("a full stop ends a rule only before white space, a comment or the end", () => {
    assert.deepStrictEqual(faultsOf("acl_config", "{allow, all}.x\n{allow, all}.%c\n{deny, all}."), [
      `1: expected "." after the rule`
    ])
  })

  it("tells all faults at once, each with its line", () => {
    assert.deepStrictEqual(
      faultsOf(
        "acl_config",
        `{allow, all}.
{permit, all}.
{allow, {user, 7}, publish, ["a"]}.
{allow, all, publish, ["a/#/b", "+a", {eq, ""}, {like, "x"}]}.
{allow, {ipaddr, "10.0.0.0/33"}, receive, []}.
{allow, all, publish, ["x"]
{allow, all publish, ["x"]}.
{deny, {'and', {user, "a"}}, pubsub, ["x"]}.
{deny, somebody, pubsub, all}.
{deny}.
[allow].
{allow, all, publish, ["x"], more}.
{deny, all, subscribe, ["never closed]}.
{allow, all, publish, ["good"]}.
{allow, all, publish, ["x]}.
{allow, all`
      ),
      [
        `2: expected allow or deny, got permit`,
        `3: expected all or a "name" after user, got {user, 7}`,
        `4: "a/#/b" is no topic filter`,
        `4: "+a" is no topic filter`,
        `4: expected a "topic filter" or {eq, "text"}, got {eq, ""}`,
        `4: expected a "topic filter" or {eq, "text"}, got {like, "x"}`,
        `5: expected an address or a range as "10.0.0.0/8", got {ipaddr, "10.0.0.0/33"}`,
        `5: expected publish, subscribe or pubsub, got receive`,
        `7: expected "," or "}" (the rule begins on line 6)`,
        `7: expected "," or "}"`,
        `8: expected a list after 'and', got {'and', {user, "a"}}`,
        `9: expected all, {user, _}, {client, _}, {ipaddr, _}, {'and', [_]} or {'or', [_]}, got somebody`,
        `9: expected a list of topics, got all`,
        `10: expected {allow|deny, all} or {allow|deny, Who, publish|subscribe|pubsub, [Topic, ...]}, got {deny}`,
        `11: expected {allow|deny, all} or {allow|deny, Who, publish|subscribe|pubsub, [Topic, ...]}, got [allow]`,
        `12: expected {allow|deny, all} or {allow|deny, Who, publish|subscribe|pubsub, [Topic, ...]}, got {allow, all, publish, ["x"], more}`,
        `14: expected "," or "]" (the rule begins on line 13)`,
        `15: " is never closed`,
        `16: expected "," or "}", but the file ends`
      ]
    )
  })

  it("does not follow terms nested without end", () => {
    assert.deepStrictEqual(faultsOf("acl_config", `{allow, ${"{'and',[".repeat(5_000)}`), ["1: nested too deeply"])
  })
})

describe("Mosquitto's acl_file", () => {
  it("tells all faults at once, each with its line", () => {
    assert.deepStrictEqual(
      faultsOf(
        "mosquitto",
        `topic read a\r\nuser\ntopics read b\ntopic reed c\ntopic\npattern write +a/%u\n\n  # not at the beginning\n`
      ),
      [
        "2: user without a name",
        `3: expected user, topic or pattern, got "topics"`,
        `4: topic: expected read, write, readwrite or deny, got "reed"`,
        "5: topic: no topic filter",
        `6: pattern: "+a/%u" is no topic filter`,
        `8: expected user, topic or pattern, got "#"`
      ]
    )
  })

  it("denials stand first, patterns last", () => {
    assert.deepStrictEqual(
      summaryOf("mosquitto", "pattern read %u\ntopic a\nuser bob smith\ntopic deny b c\npattern deny %c\n"),
      [
        [4, "deny", "User", "pubsub", ["b c"]],
        [2, "allow", "Anonymous", "pubsub", ["a"]],
        [5, "deny", "All", "pubsub", ["%c"]],
        [1, "allow", "All", "subscribe", ["%u"]]
      ]
    )
  })
})

describe("our own form", () => {
  it("tells all faults at once, each with its line", () => {
    assert.deepStrictEqual(
      faultsOf(
        "toml",
        `title = "x"
[[rules]]
effect = "permit"
topics = ["a/#/b", 7, { eq = "x", and = 1 }, "dev-%c"]
[[rules]]
usr = "bob"
effect = "allow"
action = "read"
qos = [0, 3]
retain = true
[[rules]]
effect = "deny"
user = ["", "a"]
client_regex = "(a"
address = "10.0.0.1/x"
anonymous = false`
      ),
      [
        "1: unknown key title; a file of rules has [[rules]] alone",
        `3: effect: expected "allow" or "deny", got "permit"`,
        `4: topics: expected a topic filter or { eq = "text" }, got "a/#/b"`,
        `4: topics: expected a topic filter or { eq = "text" }, got 7`,
        `4: topics: expected a topic filter or { eq = "text" }, got {"eq":"x","and":1}`,
        `4: topics: %u and %c stand for a whole level, got "dev-%c"; { eq = "text" } takes them as they are`,
        `6: usr: unknown key; did you mean user?`,
        `8: action: expected "publish" or "subscribe" or "pubsub", got "read"`,
        `9: qos: expected 0, 1 or 2 or a list of these, got 3`,
        `10: retain: a SUBSCRIBE has no RETAIN: say action = "publish" as well`,
        `13: user: expected a user name, got ""`,
        `14: client_regex: expected a regular expression, got "(a": "(" without ")"`,
        `15: address: expected an address or a range as "10.0.0.0/8", got "10.0.0.1/x": no address and no range`,
        `16: anonymous: expected true, got false`
      ]
    )
  })

  it("a text that is no TOML: the line where reading stopped", () => {
    assert.match(faultsOf("toml", "[[rules]]\neffect = allow\n").join("\n"), /^2: syntax: /)
  })

  it("a rule without an effect is a fault", () => {
    assert.deepStrictEqual(faultsOf("toml", '[[rules]]\nuser = "x"\n'), [
      `1: effect: expected "allow" or "deny", got nothing`
    ])
  })
})
