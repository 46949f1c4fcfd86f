// Password files with the programs that others know: mosquitto_passwd, mosquitto_pub, and Mosquitto itself as the reader of ours.
import { afterAll, afterEach, assert, beforeAll, beforeEach, describe, it } from "@effect/vitest"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { run } from "../cli/EmqttdProcess.ts"
import { BrokerProcess } from "./support/BrokerProcess.ts"
import { freePort } from "../support/freePort.ts"

const programs = ["mosquitto_passwd", "mosquitto_pub"]
const absent = programs.find((program) => spawnSync(program, ["--help"]).error !== undefined)
const missing = absent === undefined ? undefined : `${absent} not found (apt-get install mosquitto mosquitto-clients)`
const mosquitto = ["mosquitto", "/usr/sbin/mosquitto"].find((program) => spawnSync(program, ["-h"]).error === undefined)

let directory = ""
beforeAll(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-passwords-"))
})
beforeEach((context) => context.skip(missing !== undefined, missing))
const ends: Array<() => void> = []
afterEach(() => {
  for (const end of ends.splice(0)) end()
})
afterAll(() => fs.rmSync(directory, { recursive: true, force: true }))

const at = (name: string): string => path.join(directory, name)
const mosquittoPasswd = (...args: ReadonlyArray<string>): void => {
  const { status, stderr } = spawnSync("mosquitto_passwd", args, { cwd: directory, encoding: "utf8" })
  assert.strictEqual(status, 0, stderr)
}

/** What CONNACK said, as mosquitto_pub tells it; "" is yes. */
const publish = (port: number, ...args: ReadonlyArray<string>): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawn("mosquitto_pub", ["-p", `${port}`, "-t", "t", "-m", "x", "-q", "1", ...args])
    let told = ""
    child.stderr.on("data", (chunk: Buffer) => (told += chunk.toString()))
    child.once("error", reject)
    child.once("close", (code) => resolve(code === 0 ? "" : told))
  })
const user = (name: string, password: string): ReadonlyArray<string> => ["-u", name, "-P", password]

describe("a file of mosquitto_passwd", () => {
  it("lets in whom it names; SIGHUP reads it again; nothing of it is in the log", async () => {
    mosquittoPasswd("-c", "-b", "users", "ann", "sesame-1")
    mosquittoPasswd("-H", "sha512", "-b", "users", "bob", "sesame-2")
    const broker = await BrokerProcess.start(
      `[authentication]\nlinks = ["password_file", "anonymous"]\n[auth_password_file]\npath = "${at("users")}"\n` +
        `[log]\nlevel = "debug"\nformat = "logfmt"\n`
    )
    ends.push(() => void broker.stop())
    const { port } = broker
    assert.strictEqual(await publish(port, ...user("ann", "sesame-1")), "")
    assert.strictEqual(await publish(port, ...user("bob", "sesame-2")), "")
    assert.match(await publish(port, ...user("bob", "sesame-1")), /user name or password/i)
    assert.match(await publish(port, ...user("eve", "sesame-1")), /user name or password/i)
    assert.match(await publish(port, "-V", "mqttv5", ...user("eve", "sesame-1")), /Bad (?:user ?name|User)/i)
    assert.strictEqual(await publish(port), "", "nobody, from loopback")
    mosquittoPasswd("-b", "users", "ann", "sesame-3")
    broker.kill("SIGHUP")
    await broker.logged(/settings read again/)
    assert.strictEqual(await publish(port, ...user("ann", "sesame-3")), "")
    assert.match(await publish(port, ...user("ann", "sesame-1")), /user name or password/i)
    fs.appendFileSync(at("users"), "eve:sesame-4\n")
    broker.kill("SIGHUP")
    await broker.logged(/authentication not changed.*users:3: no hash/)
    assert.strictEqual(await publish(port, ...user("ann", "sesame-3")), "")
    assert.notInclude(broker.errorOutput, "sesame")
    assert.notMatch(broker.errorOutput, /\$[67]\$/)
    assert.match(broker.errorOutput, /connection refused.*user_name=eve/)
    assert.match(broker.errorOutput, /client authenticated.*user_name=ann/)
  })
})

describe("emqttd passwd --algorithm mosquitto", () => {
  it("Mosquitto reads it", async (context) => {
    if (mosquitto === undefined) return context.skip("mosquitto not found (apt-get install mosquitto)")
    const { code } = await run(["passwd", "--algorithm", "mosquitto", "-b", "ours", "ann", "sesame"], {
      cwd: directory
    })
    assert.strictEqual(code, 0)
    const port = await freePort()
    const root = process.getuid?.() === 0 ? "user root\n" : ""
    fs.writeFileSync(at("m.conf"), `listener ${port} 127.0.0.1\npassword_file ${at("ours")}\n${root}`)
    const child: ChildProcess = spawn(mosquitto, ["-c", at("m.conf")])
    ends.push(() => child.kill("SIGKILL"))
    await new Promise<void>((resolve, reject) => {
      let told = ""
      child.stderr?.on("data", (chunk: Buffer) => {
        told += chunk.toString()
        if (told.includes("running")) resolve()
      })
      child.once("close", () => reject(new Error(told)))
    })
    assert.strictEqual(await publish(port, ...user("ann", "sesame")), "")
    assert.match(await publish(port, ...user("ann", "sesam")), /not authori[sz]ed|user name/i)
  })
})
