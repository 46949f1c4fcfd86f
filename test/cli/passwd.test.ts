import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { parsePasswordFile } from "../../src/access/authentication/parsePasswordFile.ts"
import { verifyPassword } from "../../src/access/authentication/passwords/verifyPassword.ts"
import { run } from "./EmqttdProcess.ts"

let directory = ""
beforeAll(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-passwd-"))
})
afterAll(() => fs.rmSync(directory, { recursive: true, force: true }))

const passwd = (args: ReadonlyArray<string>, input?: string) =>
  run(["passwd", ...args], { cwd: directory, ...input === undefined ? {} : { input } })
const at = (name: string): string => path.join(directory, name)
const usersOf = (name: string) => {
  const { faults, users } = parsePasswordFile(fs.readFileSync(at(name), "utf8"))
  assert.deepStrictEqual(faults, [])
  return users
}
const fits = async (file: string, user: string, password: string): Promise<boolean> => {
  const entry = usersOf(file).get(user)
  return entry !== undefined && await Effect.runPromise(verifyPassword(entry.hash, new TextEncoder().encode(password)))
}
const mosquittoPasswd = spawnSync("mosquitto_passwd", ["--help"]).error === undefined

describe("emqttd passwd", () => {
  it("makes the file, for its owner alone, with a password of standard input", async () => {
    const { code, stderr, stdout } = await passwd(["one", "ann"], "open sesame\nnot this\n")
    assert.deepStrictEqual([code, stderr, stdout], [0, "", "ann is new in one, which is new\n"])
    assert.isTrue(await fits("one", "ann", "open sesame"))
    assert.strictEqual(fs.statSync(at("one")).mode & 0o777, 0o600)
    assert.deepStrictEqual(fs.readdirSync(directory).filter((name) => name.startsWith("one")), ["one"])
    assert.notInclude(fs.readFileSync(at("one"), "utf8"), "sesame")
  })

  it("changes one user and leaves the rest of the file as it is", async () => {
    fs.writeFileSync(at("two"), "# ours\n", { mode: 0o644 })
    await passwd(["-b", "two", "ann", "1"])
    await passwd(["--superuser", "-b", "two", "bob", "2"])
    const bob = fs.readFileSync(at("two"), "utf8").split("\n")[2] ?? ""
    const { stdout } = await passwd(["--algorithm", "scrypt", "-b", "two", "ann", "3"])
    assert.strictEqual(stdout, "ann has a new password in two\n")
    const lines = fs.readFileSync(at("two"), "utf8").split("\n")
    assert.deepStrictEqual([lines[0], lines[2], lines[3]], ["# ours", bob, ""])
    assert.isTrue(usersOf("two").get("bob")?.superuser)
    assert.deepStrictEqual([await fits("two", "ann", "3"), await fits("two", "ann", "1")], [true, false])
    assert.strictEqual(fs.statSync(at("two")).mode & 0o777, 0o600)
    const removed = await passwd(["-D", "two", "ann"])
    assert.deepStrictEqual([removed.code, removed.stdout], [0, "ann is out of two\n"])
    assert.deepStrictEqual([...usersOf("two").keys()], ["bob"])
  })

  it("writes through a link, which stays one", async () => {
    fs.writeFileSync(at("real"), "")
    fs.symlinkSync("real", at("link"))
    assert.strictEqual((await passwd(["-b", "link", "ann", "1"])).code, 0)
    assert.isTrue(fs.lstatSync(at("link")).isSymbolicLink())
    assert.isTrue(await fits("real", "ann", "1"))
  })

  const bad: ReadonlyArray<
    readonly [args: ReadonlyArray<string>, input: string | undefined, code: number, line: string]
  > = [
    [["-D", "none", "ann"], undefined, 1, `emqttd: none: no user "ann"`],
    [["none", "a:b"], "x\n", 2, `emqttd: a user name cannot contain ":"`],
    [["none", ""], "x\n", 2, "emqttd: an empty user name"],
    [["none", "ann", "secret"], undefined, 2, "emqttd: a password in the command line needs -b"],
    [["-b", "none", "ann"], undefined, 2, "emqttd: -b needs a password after the user"],
    [["none", "ann"], "", 2, "emqttd: no password given"],
    [["none", "ann"], "\n", 2, "emqttd: an empty password"],
    [["--iterations", "5", "none", "ann"], "x", 2, "emqttd: --iterations: from 1,000 to 10,000,000"],
    [["nowhere/none", "ann"], "x", 74, "emqttd: nowhere/none: cannot be written (ENOENT)"],
    [["broken", "ann"], "x", 78, "emqttd: broken:2: not a line of a password file"],
    [["held", "ann"], "x", 74, `emqttd: held: cannot be written`]
  ]
  it.each(bad)("%j: exit %s", async (args, input, code, line) => {
    fs.writeFileSync(at("broken"), "# ours\nann:plain\n")
    fs.rmSync(at("held.new"), { force: true })
    fs.writeFileSync(at("held.new"), "")
    const ended = await passwd(args, input)
    assert.strictEqual(ended.code, code, ended.stderr)
    if (args[0] === "held") assert.include(ended.stderr, "held.new is there: another passwd runs")
    else assert.strictEqual(ended.stderr, `${line}\n`)
    assert.isFalse(fs.existsSync(at("none")))
    assert.strictEqual(fs.readFileSync(at("broken"), "utf8"), "# ours\nann:plain\n")
  })

  it("and mosquitto_passwd change the same file", async (context) => {
    if (!mosquittoPasswd) return context.skip("mosquitto_passwd is not installed (apt-get install mosquitto)")
    await passwd(["--algorithm", "mosquitto", "-b", "both", "ann", "1"])
    const theirs = spawnSync("mosquitto_passwd", ["-b", "both", "bob", "2"], { cwd: directory, encoding: "utf8" })
    assert.strictEqual(theirs.status, 0, theirs.stderr)
    await passwd(["-b", "both", "cyd", "3"])
    assert.deepStrictEqual([...usersOf("both").keys()], ["ann", "bob", "cyd"])
    assert.isTrue(await fits("both", "ann", "1"))
    assert.isTrue(await fits("both", "bob", "2"))
    assert.isTrue(await fits("both", "cyd", "3"))
  })
})
