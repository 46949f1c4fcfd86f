// The unit's SystemCallFilter lets through what the broker calls, from its start through a client, a reload and ctl to its end.
import { afterEach, assert, beforeEach, it } from "@effect/vitest"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { freePort } from "../support/freePort.ts"
import { MqttClient, versions } from "../e2e/support/MqttClient.ts"
import { brokerBinary, projectRoot } from "../support/brokerCommand.ts"

const unit = fs.readFileSync(path.join(projectRoot, "packaging/emqttd.service"), "utf8")
const works = (command: string, ...args: ReadonlyArray<string>): boolean => spawnSync(command, args).status === 0

let folder = ""
let child: ChildProcess | undefined
beforeEach((context) => {
  context.skip(brokerBinary === undefined, "EMQTTD_BINARY is not set: make test-binary")
  context.skip(!works("strace", "-qq", "true"), "strace not found, or not permitted here")
  context.skip(!works("systemd-analyze", "--version"), "systemd-analyze not found")
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-calls-"))
})
afterEach(async () => {
  await MqttClient.closeAll()
  child?.kill("SIGKILL")
  if (folder !== "") fs.rmSync(folder, { recursive: true, force: true })
})

/** The calls of a group, those of the groups in it too. */
const callsOf = (group: string): ReadonlySet<string> => {
  const { stdout } = spawnSync("systemd-analyze", ["syscall-filter", group], { encoding: "utf8" })
  const calls = new Set<string>()
  for (const line of stdout.split("\n").slice(1).map((line) => line.trim())) {
    if (line.startsWith("@")) { for (const call of callsOf(line)) calls.add(call) }
    else if (line !== "" && !line.startsWith("#")) calls.add(line)
  }
  return calls
}

it("every system call is let through", async () => {
  assert.deepStrictEqual([...unit.matchAll(/^SystemCallFilter=(.*)$/gm)].map(([, filter]) => filter), [
    "@system-service",
    "~@privileged"
  ])
  const port = await freePort()
  const trace = path.join(folder, "trace")
  const args = ["-f", "-qq", "-o", trace, brokerBinary ?? "", "--host", "127.0.0.1", "--port", String(port)]
  child = spawn("strace", args, {
    cwd: folder,
    env: { PATH: process.env["PATH"] ?? "" },
    stdio: ["ignore", "ignore", "pipe"]
  })
  const closed = new Promise((resolve) => child?.once("close", resolve))
  let text = ""
  const told = (words: string) =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        if (text.includes(words)) resolve()
      }
      child?.stderr?.on("data", look)
      child?.once("close", () => reject(new Error(text)))
      look()
    })
  child.stderr?.on("data", (chunk: Buffer) => (text += chunk.toString()))
  await told("is ready")
  const pid = Number(/^\d+/.exec(fs.readFileSync(trace, "latin1"))?.[0]) // strace names its first process first
  for (const version of versions) {
    const client = await MqttClient.connect(port, version)
    await client.client.subscribeAsync("a/#", { qos: 2 })
    await client.client.publishAsync("a/b", "x", { qos: 2, retain: true })
    await client.arrived.next()
  }
  process.kill(pid, "SIGHUP")
  await told("settings read again")
  process.kill(pid, "SIGTERM")
  await closed
  const used = new Set(
    [...fs.readFileSync(trace, "latin1").matchAll(/^\d+ +([a-z_0-9]+)\(/gm)].map(([, call = ""]) => call)
  )
  assert.isAbove(used.size, 30)
  used.delete("fchown") // SQLite's, and only when it is root
  const allowed = callsOf("@system-service")
  const denied = callsOf("@privileged")
  const always = callsOf("@default")
  assert.deepStrictEqual(
    [...used].filter((call) => denied.has(call) || (!allowed.has(call) && !always.has(call))).toSorted(),
    []
  )
}, 60_000)
