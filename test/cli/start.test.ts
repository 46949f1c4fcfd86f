import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { EmqttdProcess, run, type SpawnOptions } from "./EmqttdProcess.ts"

let directory = ""
beforeAll(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-start-"))
})
afterAll(() => fs.rmSync(directory, { recursive: true, force: true }))

const withProcess = async <A>(
  args: ReadonlyArray<string>,
  options: SpawnOptions,
  use: (process: EmqttdProcess) => Promise<A>
): Promise<A> => {
  const process = new EmqttdProcess(args, { cwd: directory, ...options })
  try {
    return await use(process)
  } finally {
    process.kill()
  }
}

const connects = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1", () => {
      socket.destroy()
      resolve(true)
    })
    socket.on("error", () => resolve(false))
  })

const loopback = ["--host", "127.0.0.1", "--port", "0"]

describe("a start", () => {
  it("says where it listens, who may come in, where its data are, where the settings came from; SIGTERM ends it with 0", () =>
    withProcess([...loopback, "--data", "deep/er/data"], {}, async (emqttd) => {
      await emqttd.told(/is ready/)
      const messages = [...emqttd.stderr.matchAll(/^ts=\S+ level=info msg="([^"]*)"/gm)].map(([, message]) => message)
      const port = Number(/listening: tcp:\/\/127\.0\.0\.1:(\d+)/.exec(emqttd.stderr)?.[1])
      assert.deepStrictEqual(messages, [
        "settings: defaults, no file",
        `data: ${path.join(fs.realpathSync(directory), "deep/er/data")}`,
        "anonymous clients: from loopback only (access.anonymous)",
        `listening: tcp://127.0.0.1:${port} (listeners.tcp)`,
        messages.at(-1)
      ])
      assert.match(messages.at(-1) ?? "", /^emqttd \S+ is ready$/)
      assert.isTrue(await connects(port))
      assert.deepStrictEqual(
        fs.readdirSync(path.join(directory, "deep/er/data")).filter((name) => /writable/.test(name)),
        []
      )
      if (process.platform !== "win32") {
        assert.strictEqual(fs.statSync(path.join(directory, "deep/er/data")).mode & 0o007, 0)
      }
      emqttd.signal("SIGTERM")
      const { code, stderr, stdout } = await emqttd.ended
      assert.strictEqual(code, 0, stderr)
      assert.strictEqual(stdout, "")
      assert.match(stderr, /stopping.*\n.*stopped/)
      assert.isFalse(await connects(port))
    }))

  it("SIGINT ends it with 0 too; the file and the access it tells are those in force; log.format json", () => {
    fs.writeFileSync(
      path.join(directory, "mine.yaml"),
      "listeners: { tcp: { port: 0, address: 127.0.0.1 } }\nlog: { format: json }"
    )
    const environment = { EMQTTD_ACCESS__ANONYMOUS: "nowhere", EMQTTD_CONFIG: "mine.yaml" }
    return withProcess([], { environment }, async (emqttd) => {
      await emqttd.told(/is ready/)
      const lines = emqttd.stderr.trimEnd().split("\n").map((line) => JSON.parse(line))
      assert.include(lines.map(({ msg }) => msg), "settings: mine.yaml")
      assert.include(lines.map(({ msg }) => msg), "anonymous clients: refused (access.anonymous)")
      assert.deepStrictEqual(lines.map(({ level }) => level), lines.map(() => "info"))
      emqttd.signal("SIGINT")
      assert.strictEqual((await emqttd.ended).code, 0)
    })
  })

  it("a secret for a cluster that nothing asks for is told", () =>
    withProcess([...loopback, "--set", "cluster.secret=a long enough secret"], {}, async (emqttd) => {
      await emqttd.told(/is ready/)
      assert.match(emqttd.stderr, /level=warning msg="cluster: there is a secret and no cluster: /)
    }))

  it("what workers of an earlier start have kept is named", () => {
    fs.mkdirSync(path.join(directory, "before/worker-2"), { recursive: true })
    return withProcess([...loopback, "--data", "before"], {}, async (emqttd) => {
      await emqttd.told(/is ready/)
      assert.match(emqttd.stderr, /there were more workers: .*before\/worker-2/)
    })
  })

  it("log.level decides what is told", () =>
    withProcess([...loopback, "--log-level", "error", "--set", "listeners.tcp.enabled=false"], {}, async (emqttd) => {
      emqttd.signal("SIGTERM") // whenever it comes: an orderly end
      const { stderr } = await emqttd.ended
      assert.strictEqual(stderr, "")
    }))
})

describe("no start", () => {
  it("a port in use: one clear line, exit 69", async () => {
    const server = net.createServer()
    const port = await new Promise<number>((resolve) =>
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        resolve(typeof address === "object" && address !== null ? address.port : 0)
      })
    )
    try {
      const { code, stderr, stdout } = await run(["--host", "127.0.0.1", "--port", String(port)], { cwd: directory })
      assert.strictEqual(code, 69, stderr)
      assert.strictEqual(stdout, "")
      assert.match(stderr, new RegExp(`^emqttd: .*127\\.0\\.0\\.1:${port}.*in use.*\\n$`, "i"))
    } finally {
      server.close()
    }
  })

  it("an address that is not this machine's: exit 69", async () => {
    const { code, stderr } = await run(["--host", "203.0.113.7", "--port", "0"], { cwd: directory })
    assert.strictEqual(code, 69, stderr)
    assert.match(stderr, /^emqttd: .*203\.0\.113\.7.*\n$/)
  })

  it("a data directory that cannot be: one clear line, exit 74", async () => {
    fs.writeFileSync(path.join(directory, "file"), "")
    const [below, itself] = await Promise.all([
      run([...loopback, "--data", "file/data"], { cwd: directory }),
      run([...loopback, "--data", "file"], { cwd: directory })
    ])
    assert.deepStrictEqual([below, itself], [
      {
        code: 74,
        stdout: "",
        stderr:
          "emqttd: data directory file/data: a part of the path is not a directory; choose another with --data or node.data_dir\n"
      },
      {
        code: 74,
        stdout: "",
        stderr: "emqttd: data directory file: it is not a directory; choose another with --data or node.data_dir\n"
      }
    ])
  })

  it("a disk that is full, as the broker says: its line, its exit code", async () => {
    const { code, stderr } = await run(["has-no-disk", directory], { program: "test/cli/stubborn.ts" })
    assert.strictEqual(code, 74)
    assert.strictEqual(stderr, "emqttd: the disk is full\n")
  })

  it("faults: exit 78, and nothing is made", async () => {
    const cwd = fs.mkdtempSync(path.join(directory, "clean-"))
    const { code, stderr } = await run([], { cwd, environment: { EMQTTD_LISTENERS__TCP__PORT: "no" } })
    assert.strictEqual(code, 78)
    assert.match(stderr, /^EMQTTD_LISTENERS__TCP__PORT: .*\n$/)
    assert.deepStrictEqual(fs.readdirSync(cwd), [])
  })
})

describe("an end that is not easy", () => {
  const stubborn = (misbehaviour: string, use: (process: EmqttdProcess) => Promise<void>) =>
    withProcess([misbehaviour, directory], { program: "test/cli/stubborn.ts" }, use)

  it("a second SIGINT: gone at once, exit 130", () =>
    stubborn("never-ends", async (emqttd) => {
      await emqttd.told(/is ready/)
      emqttd.signal("SIGINT")
      await emqttd.told(/stopping/)
      emqttd.signal("SIGINT")
      assert.strictEqual((await emqttd.ended).code, 130)
    }))

  it("a shutdown that does not end: left after node.shutdown_timeout, exit 0", () =>
    stubborn("never-shuts-down", async (emqttd) => {
      await emqttd.told(/is ready/)
      emqttd.signal("SIGTERM")
      const { code, stderr } = await emqttd.ended
      assert.strictEqual(code, 0, stderr)
      assert.match(stderr, /level=warning msg="not all was done within node\.shutdown_timeout"/)
    }))

  it("a finalizer that does not end: left all the same, exit 1", () =>
    stubborn("never-ends", async (emqttd) => {
      await emqttd.told(/is ready/)
      emqttd.signal("SIGTERM")
      const { code, stderr } = await emqttd.ended
      assert.strictEqual(code, 1, stderr)
      assert.match(stderr, /emqttd: not stopped within node\.shutdown_timeout/)
    }))

  it("a signal while it starts: exit 0", () =>
    stubborn("waits-to-start", async (emqttd) => {
      await emqttd.told(/waiting/)
      emqttd.signal("SIGTERM")
      assert.strictEqual((await emqttd.ended).code, 0)
    }))

  it("a part that crashed too often: told, exit 1", () =>
    stubborn("crashes", async (emqttd) => {
      const { code, stderr } = await emqttd.ended
      assert.strictEqual(code, 1)
      assert.match(stderr, /level=fatal msg="cannot go on" .*router crashed 11 times/)
    }))
})
