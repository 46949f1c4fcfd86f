// `deno task start` from a checkout: the permissions that deno.json names are enough to serve, to keep and to answer ctl.
import { afterEach, assert, beforeEach, it } from "@effect/vitest"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { freePort } from "../support/freePort.ts"
import { MqttClient, versions } from "../e2e/support/MqttClient.ts"
import { projectRoot } from "../support/brokerCommand.ts"

const deno = path.join(projectRoot, "node_modules/.bin/deno")
let folder = ""
let child: ChildProcess | undefined
beforeEach((context) => {
  context.skip(spawnSync(deno, ["--version"]).status !== 0, "node_modules/.bin/deno does not run here")
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-deno-"))
})
afterEach(async () => {
  await MqttClient.closeAll()
  // The task runner hands the signal on to the broker.
  const closed = new Promise((resolve) => child?.once("close", resolve))
  if (child?.kill("SIGTERM") === true) await closed
  fs.rmSync(folder, { recursive: true, force: true })
})

const task = JSON.parse(fs.readFileSync(path.join(projectRoot, "deno.json"), "utf8")).tasks.start as string

it("deno task start serves with the permissions that it names, and they are not all", async () => {
  assert.notMatch(task, /\s(?:-A|--allow-all|--allow-run|--allow-ffi|--allow-sys|--allow-import)\s/)
  const port = await freePort()
  const data = path.join(folder, "data")
  child = spawn(deno, ["task", "start", "--host", "127.0.0.1", "--port", String(port), "--data", data], {
    cwd: projectRoot,
    stdio: ["ignore", "ignore", "pipe"]
  })
  let text = ""
  await new Promise<void>((resolve, reject) => {
    child?.once("close", () => reject(new Error(text)))
    child?.stderr?.on("data", (chunk: Buffer) => {
      text += chunk.toString()
      if (text.includes("is ready")) resolve()
    })
  })
  for (const version of versions) {
    const client = await MqttClient.connect(port, version)
    await client.client.subscribeAsync("a/#", { qos: 1 })
    await client.client.publishAsync("a/b", version.name, { qos: 1 })
    assert.strictEqual((await client.arrived.next()).payload, version.name)
    client.client.end()
  }
  const ctl = task.split(" ").slice(1)
  const { status, stderr, stdout } = spawnSync(deno, [...ctl, "ctl", "status", "--data", data], {
    cwd: projectRoot,
    encoding: "utf8"
  })
  assert.strictEqual(status, 0, stderr)
  assert.match(stdout, /on deno \d/)
  assert.notMatch(text, /NotCapable|level=(?:error|warning)/)
})
