// What systemd hears from the broker as a process, over a real datagram socket: python3 receives, as Node's dgram has no AF_UNIX.
import { afterAll, afterEach, assert, beforeAll, beforeEach, describe, it } from "@effect/vitest"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { serviceEnvironment } from "../../src/config/environment.ts"
import { socketAddress } from "../../src/platform/notifySocket.ts"
import { EmqttdProcess } from "./EmqttdProcess.ts"

const receiver = `
import socket, sys
name = sys.argv[1]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("\\0" + name[1:] if name[0] == "@" else name)
print("bound", flush=True)
while True: print(s.recv(4096).decode().replace("\\n", "|"), flush=True)
`

const missing = process.platform !== "linux"
  ? "systemd is Linux's"
  : spawnSync("python3", ["--version"]).status === 0
  ? undefined
  : "python3 not found"

let directory = ""
beforeAll(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-notify-"))
})
afterAll(() => fs.rmSync(directory, { recursive: true, force: true }))

const opened: Array<{ kill(): void }> = []
afterEach(() => {
  for (const process of opened.splice(0)) process.kill()
})

/** What arrives at the socket, in its order. */
class Datagrams {
  readonly #child: ChildProcess
  #text = ""
  #watch = () => {}
  constructor(name: string) {
    this.#child = spawn("python3", ["-c", receiver, name], { stdio: ["ignore", "pipe", "ignore"] })
    opened.push(this)
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.#text += text
      this.#watch()
    })
  }
  get all(): ReadonlyArray<string> {
    return this.#text.split("\n").slice(1, -1)
  }
  /** `isThere` sees whole lines: a line may come in two pieces. */
  until(isThere: (text: string) => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#watch = () => {
        if (isThere(this.#text.slice(0, this.#text.lastIndexOf("\n") + 1))) resolve()
      }
      this.#watch()
    })
  }
  kill(): void {
    this.#child.kill("SIGKILL")
  }
}

const start = (environment: { readonly [name: string]: string }) => {
  const emqttd = new EmqttdProcess(["--host", "127.0.0.1", "--port", "0", "--data", path.join(directory, "data")], {
    environment
  })
  opened.push(emqttd)
  return emqttd
}

describe("the service manager's socket", () => {
  beforeEach((context) => context.skip(missing !== undefined, missing))

  it.each(["a path", "an abstract name"])(
    "%s: READY once it listens, WATCHDOG while it runs, STOPPING at the end",
    async (kind) => {
      const name = kind === "a path" ? path.join(directory, "notify") : `@emqttd-test-${process.pid}`
      const datagrams = new Datagrams(name)
      await datagrams.until((text) => text === "bound\n")
      const emqttd = start({ NOTIFY_SOCKET: name, WATCHDOG_USEC: "20000" })
      await datagrams.until((text) => text.split("WATCHDOG=1").length > 3)
      emqttd.signal("SIGTERM")
      const { code, stderr } = await emqttd.ended
      assert.strictEqual(code, 0, stderr)
      await datagrams.until((text) => text.includes("STOPPING=1"))
      assert.deepStrictEqual(datagrams.all.filter((text) => text !== "WATCHDOG=1"), [
        "READY=1|STATUS=emqttd@127.0.0.1 listens",
        "STOPPING=1|STATUS=stopping"
      ])
    }
  )

  it("SIGHUP: RELOADING, and READY again when that is done", async () => {
    const name = path.join(directory, "reload")
    const datagrams = new Datagrams(name)
    await datagrams.until((text) => text === "bound\n")
    const emqttd = start({ NOTIFY_SOCKET: name })
    await datagrams.until((text) => text.includes("READY=1"))
    emqttd.signal("SIGHUP")
    await datagrams.until((text) => text.split("READY=1").length > 2)
    assert.deepStrictEqual(datagrams.all.map((text) => text.split("|")[0]), ["READY=1", "RELOADING=1", "READY=1"])
    emqttd.signal("SIGTERM")
    assert.strictEqual((await emqttd.ended).code, 0)
  })

  it("without a watchdog only READY and STOPPING", async () => {
    const name = path.join(directory, "plain")
    const datagrams = new Datagrams(name)
    await datagrams.until((text) => text === "bound\n")
    const emqttd = start({ NOTIFY_SOCKET: name })
    await datagrams.until((text) => text.includes("READY=1"))
    emqttd.signal("SIGTERM")
    await emqttd.ended
    await datagrams.until((text) => text.includes("STOPPING=1"))
    assert.strictEqual(datagrams.all.length, 2)
  })

  it("a socket that is not there: warnings, and the broker runs", async () => {
    const emqttd = start({ NOTIFY_SOCKET: path.join(directory, "nobody") })
    await emqttd.told(/is ready/)
    emqttd.signal("SIGTERM")
    const { code, stderr } = await emqttd.ended
    assert.strictEqual(code, 0, stderr)
    assert.match(stderr, /level=warning msg="the service manager was not told".*READY=1/)
  })

  it("an address that is none: one warning, and the broker runs", async () => {
    const emqttd = start({ NOTIFY_SOCKET: "vsock:2:1" })
    await emqttd.told(/is ready/)
    emqttd.signal("SIGTERM")
    const { code, stderr } = await emqttd.ended
    assert.strictEqual(code, 0, stderr)
    assert.strictEqual(stderr.match(/level=warning/g)?.length, 1, stderr)
  })
})

describe("what systemd passes", () => {
  it("a path ends with a NUL, an abstract name begins with one; others are none", () => {
    assert.deepStrictEqual([...socketAddress("/a") ?? []], [1, 0, 47, 97, 0])
    assert.deepStrictEqual([...socketAddress("@a") ?? []], [1, 0, 0, 97])
    assert.strictEqual(socketAddress("a"), undefined)
    assert.strictEqual(socketAddress(`/${"a".repeat(106)}`)?.length, 110)
    assert.strictEqual(socketAddress(`/${"a".repeat(107)}`), undefined)
  })

  it("a watchdog for this process, in microseconds", () => {
    const watchdog = (environment: { readonly [name: string]: string }) =>
      serviceEnvironment(environment, 7).watchdogMillis
    assert.strictEqual(watchdog({ WATCHDOG_USEC: "30000000" }), 30_000)
    assert.strictEqual(watchdog({ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "7" }), 30_000)
    assert.strictEqual(watchdog({ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "8" }), undefined)
    assert.strictEqual(watchdog({ WATCHDOG_USEC: "soon" }), undefined)
    assert.strictEqual(watchdog({}), undefined)
  })
})
