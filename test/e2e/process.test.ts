// The broker as a process: what it prints, its exit codes, how it ends on a signal.
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { BrokerProcess } from "./support/BrokerProcess.ts"
import { freePort } from "../support/freePort.ts"
import { MqttClient, versions } from "./support/MqttClient.ts"

const started: Array<BrokerProcess> = []
const track = (broker: BrokerProcess): BrokerProcess => {
  started.push(broker)
  return broker
}
beforeEach((context) =>
  context.skip(process.env["E2E_PORT"] !== undefined, "E2E_PORT names a broker that is not ours to stop")
)
afterEach(async () => {
  await MqttClient.closeAll()
  for (const broker of started.splice(0)) await broker.stop()
})

const exited = async (args: ReadonlyArray<string>) => {
  const broker = track(BrokerProcess.run(args))
  const { code } = await broker.ended
  return { code, output: broker.output, errorOutput: broker.errorOutput }
}

const withFile = async <A>(content: string, use: (file: string) => Promise<A>): Promise<A> => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-e2e-"))
  try {
    const file = path.join(folder, "emqttd.toml")
    fs.writeFileSync(file, content)
    return await use(file)
  } finally {
    fs.rmSync(folder, { recursive: true, force: true })
  }
}

describe.each(["SIGTERM", "SIGINT"] as const)("%s", (signal) => {
  it.each(versions)("ends a connection of MQTT $name, MQTT 5 with DISCONNECT 0x8B, and exits 0", async (version) => {
    const broker = track(await BrokerProcess.start())
    const client = await MqttClient.connect(broker.port, version)
    await client.client.subscribeAsync("a/#", { qos: 1 })
    broker.kill(signal)
    await client.closed
    if (version.level === 5) {
      assert.strictEqual((await client.disconnected.next()).reasonCode, 0x8b)
    } else {
      assert.deepStrictEqual(client.disconnected.left, [])
    }
    assert.deepStrictEqual(await broker.ended, { code: 0, signal: null })
  })
})

describe("start", () => {
  it("says where it listens, and uses the port given", async () => {
    const broker = track(await BrokerProcess.start())
    await broker.logged(new RegExp(`listening: tcp://127\\.0\\.0\\.1:${broker.port}`)) // fails where it does not
  })

  it("a port in use: one clear line that names the port, exit 69", async () => {
    const server = net.createServer()
    const port = await freePort()
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve))
    try {
      const { code, output } = await exited(["--host", "127.0.0.1", "--port", String(port), "--data", "data"])
      assert.strictEqual(code, 69, output)
      const complaints = output.split("\n").filter((line) => line.includes(String(port)))
      assert.strictEqual(complaints.length, 1, output)
      assert.match(complaints[0] ?? "", /in use/)
      assert.notMatch(output, /^\s+at /m) // no stack trace
    } finally {
      server.close()
    }
  })

  it("a mistake in the configuration: all faults with their path and line, exit 78", async () => {
    await withFile(`[connection]\nconnect_timeout = "soon"\nmax_packet_sise = "1MiB"\n`, async (file) => {
      const { code, output } = await exited(["--config", file])
      assert.strictEqual(code, 78, output)
      assert.include(output, "connection.connect_timeout")
      assert.include(output, "connection.max_packet_sise")
      assert.match(output, /:2\b|line 2/)
      assert.match(output, /:3\b|line 3/)
    })
  })

  it("a configuration file that is not there: exit 78 and its name", async () => {
    const { code, output } = await exited(["--config", "/nowhere/emqttd.toml"])
    assert.strictEqual(code, 78, output)
    assert.include(output, "/nowhere/emqttd.toml")
  })

  it("check --config says that the file is good, and exits 0", async () => {
    await withFile(`[queue]\ncapacity = 10\n`, async (file) => {
      const { code, output } = await exited(["check", "--config", file])
      assert.strictEqual(code, 0, output)
    })
  })

  it("a wrong flag: exit 2", async () => {
    const { code, output } = await exited(["--prot", "1883"])
    assert.strictEqual(code, 2, output)
    assert.include(output, "--prot")
  })

  it("--help shows examples, --version the version", async () => {
    const help = await exited(["--help"])
    assert.strictEqual(help.code, 0)
    assert.match(help.output, /--port/)
    assert.match(help.output, /examples?/i)
    const { version } = JSON.parse(
      fs.readFileSync(path.resolve(import.meta.dirname, "../../package.json"), "utf8")
    ) as { version: string }
    const shown = await exited(["--version"])
    assert.strictEqual(shown.code, 0)
    assert.include(shown.output, version)
  })
})
