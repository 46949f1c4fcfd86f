// `emqttd ctl reload` as a process, against a broker as a process: what came of it is its answer.
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { EmqttdProcess, type Ended, run } from "./EmqttdProcess.ts"

let directory = ""
let broker: EmqttdProcess | undefined
const write = (file: string, ...lines: ReadonlyArray<string>) =>
  fs.writeFileSync(path.join(directory, file), lines.join("\n") + "\n")

const settings = (...more: ReadonlyArray<string>) =>
  write(
    "emqttd.toml",
    ...["[node]", 'data_dir = "node"', "[listeners.tcp]", 'address = "127.0.0.1"', "port = 0"],
    ...["[listeners.ws]", "enabled = false"],
    ...["[authorization]", 'sources = [{ type = "acl_config", path = "acl.config" }]', ...more]
  )

beforeAll(async () => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-reload-"))
  write("acl.config", "{allow, all}.")
  settings()
  broker = new EmqttdProcess([], { cwd: directory })
  await broker.told(/is ready/)
})
afterAll(() => {
  broker?.kill()
  fs.rmSync(directory, { recursive: true, force: true })
})

/** By its socket: the settings that ctl itself would read may be wrong. */
const reload = (...args: ReadonlyArray<string>): Promise<Ended> =>
  run(["ctl", "reload", "--socket", "node/emqttd.sock", ...args], { cwd: directory })

describe("emqttd ctl reload", () => {
  it("exit 0, and what needs a restart is named", async () => {
    assert.deepInclude(await reload(), { code: 0, stdout: "settings read again\n", stderr: "" })
    settings("[router]", "topic_cache = 1024", "[session]", "max_inflight = 7")
    assert.deepInclude(await reload(), {
      code: 0,
      stdout: "settings read again\nchanged, from the next start on: router.topic_cache\n"
    })
    const json = JSON.parse((await reload("--json")).stdout)
    assert.deepStrictEqual(json, { faults: [], need_restart: ["router.topic_cache"] })
  })

  it("faults are printed with their place, exit 1, and all of it is in the log as well", async () => {
    settings("[session]", "max_inflight = 70000")
    const broken = await reload()
    assert.deepInclude(broken, { code: 1, stdout: "" })
    assert.match(broken.stderr, /^emqttd: settings not changed: .*emqttd\.toml:11: session\.max_inflight: /)
    settings()
    write("acl.config", "{allow, all}.", "{deny, all, publish, [}.")
    const rules = await reload()
    assert.deepInclude(rules, { code: 1, stdout: "" })
    assert.match(rules.stderr, /^emqttd: access rules not changed: .*acl\.config:2: /)
    await broker?.told(/access rules not changed/)
    // Without --socket it reads them itself.
    settings("nonsense")
    assert.deepInclude(await run(["ctl", "reload"], { cwd: directory }), { code: 78, stdout: "" })
  })
})
