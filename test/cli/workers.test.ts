// `emqttd --workers N`: several processes that are one broker. The real program, started and stopped as a user would.
import { afterEach, describe, expect, it } from "vitest"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { once } from "node:events"
import { defaultSettings, type Settings } from "../../src/config/Settings.ts"
import { workerSettings, workersFault } from "../../src/config/workerSettings.ts"
import { freePort } from "../support/freePort.ts"
import { TestClient } from "../support/TestClient.ts"
import { EmqttdProcess, run } from "./EmqttdProcess.ts"

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

let broker: EmqttdProcess | undefined
let directory = ""
const clients: Array<TestClient> = []
afterEach(() => {
  for (const client of clients.splice(0)) client.drop()
  broker?.kill()
  fs.rmSync(directory, { recursive: true, force: true })
})

const start = async (): Promise<
  {
    readonly port: number
    readonly status: () => Promise<{ workers: Array<{ process: number; connections: number }> }>
  }
> => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-workers-"))
  const port = await freePort()
  const args = ["--host", "127.0.0.1", "--port", `${port}`, "--set", "listeners.ws.enabled=false", "--data", directory]
  broker = new EmqttdProcess(["--workers", "2", "--log-format", "logfmt", ...args], { cwd: directory })
  await broker.told(/all workers are ready/)
  await broker.told(/cluster: link up/)
  const status = async () => JSON.parse((await run(["ctl", "status", "--json", "--data", directory])).stdout)
  return { port, status }
}

const connect = async (port: number, clientId: string): Promise<TestClient> => {
  const client = await TestClient.open(port, 5)
  clients.push(client)
  return client.connect({ clientId })
}

/** Clients on both, as the system spreads them. */
const spread = async (
  port: number,
  status: Awaited<ReturnType<typeof start>>["status"]
): Promise<ReadonlyArray<TestClient>> => {
  const all: Array<TestClient> = []
  for (;;) {
    for (let more = 0; more < 4; more++) all.push(await connect(port, `client-${all.length}`))
    const { workers } = await status()
    if (workers.every(({ connections }) => connections > 0)) return all
  }
}

describe("the settings of a worker", () => {
  const settings = (worker: number, change: Partial<Settings["cluster"]> = {}): Settings =>
    workerSettings({
      ...defaultSettings,
      node: { ...defaultSettings.node, name: "n@host", dataDir: "data", workers: 3, worker },
      cluster: { ...defaultSettings.cluster, ...change }
    })

  it("a name, a directory and a socket of its own, and the sockets of the others; the first keeps the data directory", () => {
    expect(settings(1).node).toMatchObject({ name: "n-1@host", dataDir: "data" })
    expect(settings(3).node).toMatchObject({ name: "n-3@host", dataDir: "data/worker-3" })
    expect(settings(2).cluster.listen).toBe("unix:data/worker-2/cluster.sock")
    expect(settings(2).cluster.peers).toEqual(["unix:data/cluster.sock", "unix:data/worker-3/cluster.sock"])
  })

  it("in a cluster on the network each has the port after the one before", () => {
    const { listen, peers } = settings(2, { listen: "10.0.0.1:5000", peers: ["10.0.0.2:5000"] }).cluster
    expect(listen).toBe("10.0.0.1:5001")
    expect(peers).toEqual(["10.0.0.2:5000", "10.0.0.1:5000", "10.0.0.1:5002"])
  })

  it("a port that the system chooses cannot be shared", () => {
    const listeners = defaultSettings.listeners.map((one) => ({ ...one, port: 0 }))
    expect(workersFault({ ...defaultSettings, listeners })).toMatch(/listeners\.tcp\.port = 0/)
    expect(workersFault(defaultSettings)).toBeUndefined()
  })
})

describe("workers", { timeout: 60_000 }, () => {
  it("are one broker: messages cross, ctl shows all of it, SIGTERM ends all of them with exit code 0", async () => {
    const { port, status } = await start()
    const all = await spread(port, status)
    for (const client of all) await client.subscribe("t", 1)
    const writer = await connect(port, "writer")
    // A subscription is known to the other worker once a message has come by it.
    const missing = new Set(all)
    for (let round = 0; missing.size > 0; round++) {
      await writer.publish("t", `${round}`, { qos: 1 })
      for (const client of [...missing]) {
        client.send({ cmd: "pingreq" })
        for (let packet = await client.next(); packet.cmd !== "pingresp"; packet = await client.next()) {
          if (packet.cmd !== "publish") continue
          missing.delete(client)
          client.send({ cmd: "puback", messageId: packet.messageId ?? 0 })
        }
      }
    }
    const list = await run(["ctl", "clients", "list", "--data", directory])
    for (const client of all) expect(list.stdout).toContain(client.clientId)
    const kicked = await run(["ctl", "clients", "kick", all.at(-1)?.clientId ?? "", "--data", directory])
    expect(kicked.code).toBe(0)
    expect((await run(["ctl", "clients", "kick", "nobody", "--data", directory])).code).toBe(1)
    const text = (await run(["ctl", "status", "--data", directory])).stdout
    expect(text).toMatch(/WORKER +NODE +PROCESS/)
    const pids = (await status()).workers.map((one) => one.process)
    broker?.signal("SIGTERM")
    expect((await broker?.ended)?.code).toBe(0)
    expect(pids.filter(isAlive)).toEqual([])
    expect(fs.existsSync(path.join(directory, "workers"))).toBe(false)
  })

  it("one that is killed is started again, and costs the clients of the other nothing", async () => {
    const { port, status } = await start()
    await spread(port, status)
    const [, second] = (await status()).workers
    if (second === undefined) throw new Error("no second worker")
    process.kill(second.process, "SIGKILL")
    await broker?.told(/worker ended, it is started again" worker=2 signal=SIGKILL/)
    await broker?.told(/is ready" worker=2[^]*is ready" worker=2/)
    const { workers } = await status()
    expect(workers[1]?.process).not.toBe(second.process)
    expect(workers[0]?.connections).toBeGreaterThan(0)
  })

  it("when the parent is killed they end; ctl names one that does not answer", async () => {
    const { status } = await start()
    fs.renameSync(path.join(directory, "worker-2", "emqttd.sock"), path.join(directory, "worker-2", "away"))
    const asked = await run(["ctl", "status", "--data", directory])
    expect(asked.code).toBe(69)
    expect(asked.stderr).toMatch(/^emqttd: worker 2 of the node does not answer on .*: it starts, or is started again/)
    fs.renameSync(path.join(directory, "worker-2", "away"), path.join(directory, "worker-2", "emqttd.sock"))
    const pids = (await status()).workers.map((one) => one.process)
    broker?.signal("SIGKILL")
    while (pids.some(isAlive)) await new Promise((resolve) => setImmediate(resolve))
  })

  it("a listener without a port of its own, and a port in use, end it with their exit codes", async () => {
    directory = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-workers-"))
    const anyPort = await run(["--workers", "2", "--port", "0", "--data", directory])
    expect(anyPort.code).toBe(78)
    expect(anyPort.stderr).toMatch(/listeners\.tcp\.port = 0 cannot be shared/)
    const taken = net.createServer().listen(0, "127.0.0.1")
    await once(taken, "listening")
    const address = taken.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    const inUse = await run(["--workers", "2", "--host", "127.0.0.1", "--port", `${port}`, "--data", directory])
    taken.close()
    expect(inUse.code).toBe(69)
    expect(inUse.stderr).toMatch(/listener tcp/)
  })
})
