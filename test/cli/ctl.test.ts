// `emqttd ctl` as a process, against a broker as a process.
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { TestClient } from "../support/TestClient.ts"
import { EmqttdProcess, run } from "./EmqttdProcess.ts"

let directory = ""
let broker: EmqttdProcess | undefined
let port = 0
beforeAll(async () => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-ctl-"))
  broker = new EmqttdProcess(["--host", "127.0.0.1", "--port", "0", "--data", "node"], { cwd: directory })
  await broker.told(/is ready/)
  port = Number(/listening: tcp:\/\/127\.0\.0\.1:(\d+)/.exec(broker.stderr)?.[1])
})
afterAll(() => {
  broker?.kill()
  fs.rmSync(directory, { recursive: true, force: true })
})

const ctl = (...args: ReadonlyArray<string>) => run(["ctl", ...args], { cwd: directory })
const connected = async (clientId: string): Promise<TestClient> =>
  (await TestClient.open(port, 5)).connect({ clientId })

describe("emqttd ctl", () => {
  it("status: by --data and by --socket, for people and for programs", async () => {
    const [text, json] = await Promise.all([
      ctl("status", "--data", "node"),
      ctl("status", "--socket", "node/emqttd.sock", "--json")
    ])
    assert.strictEqual(text.code, 0, text.stderr)
    assert.match(text.stdout, /^health +ok$/m)
    assert.match(text.stdout, new RegExp(`^tcp +tcp://127\\.0\\.0\\.1:${port} +running +0 of \\d+$`, "m"))
    assert.strictEqual(json.code, 0, json.stderr)
    assert.deepNestedInclude(JSON.parse(json.stdout), { "health.ok": true, "listeners[0].port": port })
  })

  it("tree, listeners and counters", async () => {
    const [tree, listeners, counters] = await Promise.all([
      ctl("tree", "--data", "node"),
      ctl("listeners", "list", "--data", "node", "--json"),
      ctl("counters", "--data", "node")
    ])
    assert.match(tree.stdout, /^├─ router +permanent +running +0$/m)
    assert.match(tree.stdout, /^└─ admin +permanent +running +0$/m)
    assert.deepInclude(JSON.parse(listeners.stdout)[0], { name: "tcp", port })
    assert.match(counters.stdout, /^connections_opened_total +\d+$/m)
  })

  it("clients list and kick: what a client calls itself does not steer the terminal", async () => {
    const client = await connected("meter-\u001b[31m17")
    const list = await ctl("clients", "list", "--data", "node")
    assert.match(list.stdout, /^meter-\\u001b\[31m17 +- +127\.0\.0\.1:\d+ +tcp +5 +0 +0$/m)
    const kicked = await ctl("clients", "kick", "meter-\u001b[31m17", "--data", "node")
    assert.strictEqual(kicked.code, 0, kicked.stderr)
    await client.receive("disconnect", { reasonCode: 0x98 })
    await client.expectClosed()
    assert.match(broker?.stderr ?? "", /"client sent away by the administrator" client_id=/)
  })

  it("users: added, listed, changed and deleted; the password comes from standard input", async () => {
    const asked = (input: string, ...args: ReadonlyArray<string>) =>
      run(["ctl", "users", ...args, "--data", "node"], { cwd: directory, input })
    const users = (...args: ReadonlyArray<string>) => ctl("users", ...args, "--data", "node")
    assert.deepStrictEqual(await asked("pencil\n", "add", "bob"), { code: 0, stdout: "added: bob\n", stderr: "" })
    assert.strictEqual((await asked("x", "add", "\u001b[31mroot", "--superuser")).stdout, "added: \\u001b[31mroot\n")
    assert.deepStrictEqual((await users("list")).stdout.split("\n"), [
      "USER            SUPERUSER  SCRAM",
      "\\u001b[31mroot  yes        -",
      "bob             no         -",
      ""
    ])
    assert.deepStrictEqual(await asked("", "password", "bob"), {
      code: 2,
      stdout: "",
      stderr: "emqttd: no password given\n"
    })
    assert.strictEqual((await asked("brush\r\n", "password", "bob")).stdout, "new password: bob\n")
    assert.strictEqual((await asked("x\n", "add", "bob")).stderr, "emqttd: there is a user bob already\n")
    assert.strictEqual((await users("delete", "bob")).stdout, "deleted: bob\n")
    assert.deepStrictEqual(await users("delete", "bob"), {
      code: 1,
      stdout: "",
      stderr: "emqttd: there is no user bob\n"
    })
  })

  it("acl reload: the files are read again; with a fault it says no, with all of them", async () => {
    const again = await ctl("acl", "reload", "--data", "node")
    assert.deepStrictEqual(again, { code: 0, stdout: "access rules read again\n", stderr: "" })
    assert.include(broker?.stderr, "access rules read again")
  })

  it("acl: rules are added, listed in their order and removed", async () => {
    const notAsked = 'not asked: authorization.sources has no { type = "built_in" }'
    const first = await ctl("acl", "add", "deny", "pubsub", "--data", "node")
    assert.deepStrictEqual(first, { code: 0, stdout: `added: rule 1, ${notAsked}\n`, stderr: "" })
    const args = ["acl", "add", "allow", "publish", "a/%u/#", "b", "--user", "bob", "--address", "10.0.0.0/8"]
    const second = await ctl(...args, "--before", "1", "--data", "node")
    assert.deepStrictEqual(second, { code: 0, stdout: `added: rule 2, ${notAsked}\n`, stderr: "" })
    const list = await ctl("acl", "list", "--data", "node")
    assert.deepStrictEqual(list.stdout.split("\n"), [
      "RULE  EFFECT  ACTION   WHO                          TOPICS",
      "2     allow   publish  user=bob address=10.0.0.0/8  a/%u/# b",
      "1     deny    pubsub   all                          every topic",
      ""
    ])
    assert.strictEqual((await ctl("acl", "remove", "2", "--data", "node")).stdout, "removed: rule 2\n")
    assert.match(
      broker?.stderr ?? "",
      /"access rule added" rule=built_in:2\n(?:.*\n)*.*"access rule removed" rule=built_in:2/
    )
    assert.deepStrictEqual(await ctl("acl", "remove", "2", "--data", "node"), {
      code: 1,
      stdout: "",
      stderr: "emqttd: there is no rule 2\n"
    })
    const asked = await run([
      "acl",
      "test",
      "--data",
      "node",
      "--set",
      "authorization.sources=built_in",
      "publish",
      "a"
    ], {
      cwd: directory
    })
    assert.deepStrictEqual(asked, { code: 1, stdout: "deny: built_in:1\n", stderr: "" })
    const bad = await ctl("acl", "add", "allow", "publish", "a/#/b", "--data", "node")
    assert.strictEqual(bad.code, 1)
    assert.match(bad.stderr, /^emqttd: topics: expected a topic filter/)
  })

  it("bans: added, listed, removed; who is connected goes, and what is no ban is said", async () => {
    const client = await connected("bad/+\u001b")
    const added = await ctl(
      "bans",
      "add",
      "client",
      "bad/+\u001b",
      "--for",
      "1h",
      "--reason",
      "floods",
      "--data",
      "node"
    )
    assert.match(added.stdout, /^banned: client bad\/\+\\u001b, until 20\S+Z\n$/, added.stderr)
    await client.receive("disconnect", { reasonCode: 0x98 })
    assert.strictEqual((await ctl("bans", "add", "address", "10.1.2.3/8", "--data", "node")).code, 0)
    const list = await ctl("bans", "list", "--data", "node")
    assert.match(list.stdout, /^client +bad\/\+\\u001b +until \S+ +ctl +floods$/m)
    assert.match(list.stdout, /^address +10\.0\.0\.0\/8 +for ever +ctl$/m)
    const json = await ctl("bans", "list", "--limit", "1", "--data", "node", "--json")
    assert.deepInclude(JSON.parse(json.stdout), { total: 2 })
    for (const [kind, value] of [["client", "bad/+\u001b"], ["address", "10.0.0.0/8"]] as const) {
      assert.strictEqual((await ctl("bans", "remove", kind, value, "--data", "node")).code, 0)
    }
    const [none, wrong, span] = await Promise.all([
      ctl("bans", "remove", "client", "bad", "--data", "node"),
      ctl("bans", "add", "address", "10.0.0", "--data", "node"),
      ctl("bans", "add", "user", "eve", "--for", "soon", "--data", "node")
    ])
    assert.deepStrictEqual([none.code, none.stderr], [1, "emqttd: no ban of client_id bad\n"])
    assert.deepStrictEqual([wrong.code, wrong.stderr], [1, 'emqttd: "10.0.0" is no address or network\n'])
    assert.deepStrictEqual([span.code, span.stderr], [
      2,
      'emqttd: --for soon: expected a duration, as in "30m", "12h" or "7d"\n'
    ])
  })

  it("the node says no: exit 1 and its reason", async () => {
    assert.deepStrictEqual(await ctl("clients", "kick", "nobody", "--data", "node"), {
      code: 1,
      stdout: "",
      stderr: "emqttd: no client nobody is connected\n"
    })
  })

  it("no node: exit 69 and one clear line", async () => {
    fs.mkdirSync(path.join(directory, "empty"), { recursive: true })
    const [none, off] = await Promise.all([
      ctl("status", "--data", "empty"),
      ctl("status", "--set", "admin.socket=")
    ])
    assert.deepStrictEqual(none, {
      code: 69,
      stdout: "",
      stderr: `emqttd: no node answers on ${path.join(fs.realpathSync(directory), "empty/emqttd.sock")}; ` +
        "is it running, with this data directory? (--data, --socket)\n"
    })
    assert.deepStrictEqual([off.code, off.stderr], [
      69,
      `emqttd: these settings give the node no socket (admin.socket = "", or Windows)\n`
    ])
  })

  it("a second broker on the same data directory: exit 74 and one clear line", async () => {
    const { code, stderr } = await run(["--host", "127.0.0.1", "--port", "0", "--data", "node"], { cwd: directory })
    assert.strictEqual(code, 74)
    assert.match(
      stderr,
      /^emqttd: another emqttd runs on the data directory .*; choose another with --data or node\.data_dir\n$/
    )
  })
})
