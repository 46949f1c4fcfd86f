// The compiled broker where a stranger first runs it: an empty folder, an empty environment, nothing of this project at hand.
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import packageJson from "../../package.json" with { type: "json" }
import { freePort } from "../support/freePort.ts"
import { MqttClient, versions } from "../e2e/support/MqttClient.ts"
import { brokerBinary } from "../support/brokerCommand.ts"

let folder = ""
let child: ChildProcess | undefined
beforeEach((context) => {
  context.skip(brokerBinary === undefined, "EMQTTD_BINARY is not set: make test-binary")
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-binary-"))
})
afterEach(async () => {
  await MqttClient.closeAll()
  child?.kill("SIGKILL")
  child = undefined
  if (folder !== "") fs.rmSync(folder, { recursive: true, force: true })
})

const binary = brokerBinary ?? ""

/** Its stderr until it says that it is ready. */
const started = (args: ReadonlyArray<string>, env: { readonly [name: string]: string } = {}): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = ""
    child = spawn(binary, args, { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] })
    child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk
      if (text.includes("is ready")) resolve(text)
    })
    child.once("close", () => reject(new Error(`ended before it was ready:\n${text}`)))
  })

describe("the compiled broker in an empty folder with an empty environment", () => {
  it("serves clients of every version and ends with 0", async () => {
    const port = await freePort()
    const text = await started(["--host", "127.0.0.1", "--port", String(port)])
    assert.include(text, "settings: defaults, no file")
    for (const version of versions) {
      const subscriber = await MqttClient.connect(port, version)
      await subscriber.client.subscribeAsync("plant/#", { qos: 1 })
      await subscriber.client.publishAsync("plant/boiler", version.name, { qos: 1 })
      assert.strictEqual(String((await subscriber.arrived.next()).payload), version.name)
      await MqttClient.closeAll()
    }
    const code = new Promise((resolve) => child?.once("close", resolve))
    child?.kill("SIGTERM")
    assert.strictEqual(await code, 0)
    assert.deepStrictEqual(fs.readdirSync(folder), ["data"])
  })

  it("is deaf to .env and bunfig.toml there: they are the user's, for other programs", async () => {
    fs.writeFileSync(path.join(folder, ".env"), "EMQTTD_LISTENERS__TCP__PORT=no\n")
    fs.writeFileSync(path.join(folder, "bunfig.toml"), 'preload = ["./first.ts"]\n')
    fs.writeFileSync(path.join(folder, "first.ts"), 'console.log("preloaded")\n')
    const { status, stderr, stdout } = spawnSync(binary, ["check"], { cwd: folder, env: {}, encoding: "utf8" })
    assert.deepStrictEqual({ status, stderr, stdout }, { status: 0, stderr: "", stdout: "ok: no file, the defaults\n" })
  })

  it("the container's health check: exit 0 while it runs, 69 when it does not, told where by the environment alone", async () => {
    const environment = { EMQTTD_NODE__DATA_DIR: path.join(folder, "elsewhere") }
    const status = () => spawnSync(binary, ["ctl", "status"], { cwd: "/", env: environment, encoding: "utf8" })
    await started(["--host", "127.0.0.1", "--port", "0"], environment)
    const running = status()
    assert.strictEqual(running.status, 0, running.stderr)
    assert.match(running.stdout, /^health +ok$/m)
    const closed = new Promise((resolve) => child?.once("close", resolve))
    child?.kill("SIGTERM")
    await closed
    assert.strictEqual(status().status, 69)
  })

  it("knows its version", () => {
    const { stdout } = spawnSync(binary, ["--version"], { cwd: folder, env: {}, encoding: "utf8" })
    assert.strictEqual(stdout, `emqttd ${packageJson.version}\n`)
  })
})
