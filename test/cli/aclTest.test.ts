import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as http from "node:http"
import * as os from "node:os"
import * as path from "node:path"
import { run } from "./EmqttdProcess.ts"

let directory = ""
beforeAll(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-acl-"))
  const write = (name: string, text: string): void => fs.writeFileSync(path.join(directory, name), text)
  write("acl.config", `{allow, {user, "bob"}, pubsub, ["plant/#"]}.\n{deny, {ipaddr, "10.0.0.0/8"}, publish, ["#"]}.\n`)
  write("rules.toml", `[[rules]]\neffect = "deny"\naction = "publish"\nqos = 2\ntopics = "big/#"\nlistener = "tls"\n`)
  write(
    "good.toml",
    `[authorization]\nno_match = "deny"\nsources = [{ type = "acl_config", path = "acl.config" }, { type = "toml", path = "rules.toml" }, { type = "default" }]\n`
  )
  write("bad.config", `{allow, al}.\n{deny, all}.\n{deny, all, publish, ["a/#/b"]}.\n`)
})
afterAll(() => fs.rmSync(directory, { recursive: true, force: true }))

const ask = (...args: ReadonlyArray<string>) => run(["acl", "test", ...args], { cwd: directory })
const good = ["--config", "good.toml"]

describe("emqttd acl test", () => {
  const answers: ReadonlyArray<readonly [args: ReadonlyArray<string>, answer: string]> = [
    [[...good, "--user", "bob", "--address", "10.0.0.1", "publish", "plant/a"], "allow: acl.config:1"],
    [[...good, "--user", "eve", "--address", "10.0.0.1", "publish", "plant/a"], "deny: acl.config:2"],
    [[...good, "--listener", "tls", "--qos", "2", "publish", "big/a"], "deny: rules.toml:1"],
    [[...good, "--listener", "tls", "--qos", "1", "--retain", "publish", "big/a"], "allow: default rules:2"],
    [[...good, "--address", "11.0.0.1", "--client", "c", "subscribe", "$share/g/+/#"], "deny: default rules:3"],
    [
      ["--set", "authorization.sources=", "--set", "authorization.no_match=deny", "subscribe", "a"],
      `deny: authorization.no_match = "deny"`
    ],
    [["subscribe", "#"], "allow: default rules:2"]
  ]
  it("a service that is asked", async () => {
    const server = http.createServer(({ url = "" }, response) => {
      response.statusCode = url.endsWith("/acl?access=2&username=bob&clientid=c&ipaddr=127.0.0.1&topic=a%2Fb")
        ? 200
        : 403
      response.end()
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    const service = ["--set", `auth_http.acl_req=http://127.0.0.1:${port}/acl`, "--set", "authorization.sources=http"]
    const asked = [...service, "--user", "bob", "--client", "c", "publish"]
    const allowed = await ask(...asked, "a/b")
    assert.deepStrictEqual([allowed.stdout, allowed.stderr, allowed.code], ["allow: http\n", "", 0])
    const denied = await ask(...asked, "a/c")
    assert.deepStrictEqual([denied.stdout, denied.code], ["deny: http\n", 1])
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    const away = await ask(...asked, "a/b")
    assert.deepStrictEqual([away.stdout, away.code], [
      `deny: http cannot answer (auth_http.acl_on_failure = "deny")\n`,
      1
    ])
    const invalid = await ask("--set", "authorization.sources=http", "publish", "a")
    assert.deepStrictEqual([invalid.code, invalid.stderr.includes("auth_http.acl_req: needed by")], [78, true])
  })

  it.each(answers)("%j: %s", async (args, answer) => {
    const { code, stderr, stdout } = await ask(...args)
    assert.deepStrictEqual([stdout, stderr, code], [`${answer}\n`, "", answer.startsWith("allow") ? 0 : 1])
  })

  it("files with faults: every one of them, exit 78; `emqttd check` says the same", async () => {
    const sources = ["--set", "authorization.sources=acl_config:bad.config,toml:none.toml"]
    const [asked, checked] = await Promise.all([
      ask(...sources, "publish", "a"),
      run(["check", ...sources], { cwd: directory })
    ])
    for (const { code, stderr, stdout } of [asked, checked]) {
      assert.deepStrictEqual(stderr.trimEnd().split("\n"), [
        "bad.config:1: expected {allow|deny, all} or {allow|deny, Who, publish|subscribe|pubsub, [Topic, ...]}, got {allow, al}",
        `bad.config:3: "a/#/b" is no topic filter`,
        "none.toml: no such file (authorization.sources)"
      ])
      assert.deepStrictEqual([code, stdout], [78, ""])
    }
  })

  it.each([
    [["publish", "a/#"], "a/#: no topic name"],
    [["subscribe", "a#"], "a#: no topic filter"],
    [["subscribe", "$share/g"], "$share/g: no topic filter"],
    [["--address", "10.0.0.0/8", "publish", "a"], "--address 10.0.0.0/8: no IP address"]
  ])("%j is bad usage", async (args, line) => {
    const { code, stderr, stdout } = await ask(...args)
    assert.deepStrictEqual([code, stdout, stderr], [2, "", `emqttd: ${line}\nTry 'emqttd --help'.\n`])
  })

  it.each([
    ["authorization.sources=acl_config"],
    ["authorization.sources=default:x"],
    ["authorization.sources=sql:x"]
  ])("%s is no source", async (setting) => {
    const { code, stderr } = await ask("--set", setting, "publish", "a")
    assert.strictEqual(code, 2)
    assert.include(
      stderr,
      `expected a list of { type = "default" }, { type = "built_in", `
    )
  })
})
