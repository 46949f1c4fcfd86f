// `emqttd --workers N`: several processes that are one broker. The real program, started and stopped as a user would.
import { afterEach, describe, expect, it } from "vitest"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { once } from "node:events"
import { defaultSettings, type Settings } from "../../src/config/Settings.ts"
import { nodeOfWorker, workerSettings, workersFault } from "../../src/config/workerSettings.ts"
import { run } from "./EmqttdProcess.ts"
import { isAlive, until, WorkerNode } from "./WorkerNode.ts"

let node: WorkerNode | undefined
let directory = ""
afterEach(() => {
  node?.close()
  fs.rmSync(directory, { recursive: true, force: true })
})

const start = async (...args: ReadonlyArray<string>): Promise<WorkerNode> => (node = await WorkerNode.start(...args))

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
    const everywhere = settings(3, { peers: ["10.0.0.2"], secretFile: "secret", advertise: "203.0.113.1:4370" })
    expect(everywhere.cluster).toMatchObject({ listen: "0.0.0.0:4372", advertise: "203.0.113.1:4372" })
    expect(everywhere.cluster.peers).toEqual(["10.0.0.2", "127.0.0.1:4370", "127.0.0.1:4371"])
  })

  it("without a name of its own it has one of its machine's address, so that those of two machines differ", () => {
    const named = (listen: string, name = "emqttd@127.0.0.1") =>
      workerSettings({
        ...defaultSettings,
        node: { ...defaultSettings.node, name, workers: 2, worker: 2 },
        cluster: { ...defaultSettings.cluster, listen }
      }).node.name
    expect([named("10.0.0.1:4370"), named("10.0.0.2:5000"), named("")]).toEqual([
      "emqttd-2@10.0.0.1",
      "emqttd-2@10.0.0.2:5000",
      "emqttd-2@127.0.0.1"
    ])
    expect(named("10.0.0.1:4370", "n@host")).toBe("n-2@host")
    expect([nodeOfWorker("emqttd-2@10.0.0.1"), nodeOfWorker("n@host")]).toEqual(["emqttd@10.0.0.1", undefined])
  })

  it("a port that the system chooses cannot be shared", () => {
    const listeners = defaultSettings.listeners.map((one) => ({ ...one, port: 0 }))
    expect(workersFault({ ...defaultSettings, listeners })).toMatch(/listeners\.tcp\.port = 0/)
    expect(workersFault(defaultSettings)).toBeUndefined()
    const fault = (listen: string) =>
      workersFault({
        ...defaultSettings,
        node: { ...defaultSettings.node, workers: 4 },
        cluster: { ...defaultSettings.cluster, listen }
      })
    expect(fault("127.0.0.1:0")).toMatch(/cluster\.listen begins at 0/)
    expect(fault("127.0.0.1:65533")).toMatch(/cluster\.listen begins at 65533/)
    expect(fault("127.0.0.1:65532")).toBeUndefined()
  })
})

describe("workers", { timeout: 60_000 }, () => {
  it("are one broker: messages cross, ctl shows all of it, SIGTERM ends all of them with exit code 0", async () => {
    const node = await start()
    const all = await node.spread()
    for (const client of all) await client.subscribe("t", 1)
    const writer = await node.connect("writer")
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
    const list = await node.ctl("clients", "list")
    for (const client of all) expect(list.stdout).toContain(client.clientId)
    expect((await node.ctl("clients", "kick", all.at(-1)?.clientId ?? "")).code).toBe(0)
    expect(await node.ctl("clients", "kick", "nobody")).toMatchObject({ code: 1 })
    const joined = await node.ctl("cluster", "join", "127.0.0.1:4370")
    expect(joined.code).toBe(1)
    expect(joined.stderr).toMatch(/a cluster on the network needs cluster\.listen/)
    expect((await node.ctl("status")).stdout).toMatch(/WORKER +NODE +PROCESS/)
    const pids = (await node.status()).workers.map((one) => one.process)
    node.process.signal("SIGTERM")
    expect((await node.process.ended).code).toBe(0)
    expect(pids.filter(isAlive)).toEqual([])
    expect(fs.existsSync(path.join(node.directory, "workers"))).toBe(false)
  })

  it("--kick sends the clients of a user away from all of them", async () => {
    const node = await start("--set", "authentication.links=users")
    const data = ["--data", node.directory]
    const added = await run(["ctl", "users", "add", "bob", ...data], { input: "sesame\n" })
    expect(added).toMatchObject({ code: 0, stdout: "added: bob\n" })
    const second = ["--socket", path.join(node.directory, "worker-2", "emqttd.sock")]
    await until(async () => (await run(["ctl", "users", "list", ...second])).stdout.includes("bob"))
    const all = await node.spread((id) => node.connect(id, { username: "bob", password: Buffer.from("sesame") }))
    const changed = await run(["ctl", "users", "password", "bob", "--kick", ...data], { input: "open\n" })
    expect(changed).toMatchObject({ code: 0, stdout: "new password: bob\n" })
    for (const client of all) await client.receive("disconnect", { reasonCode: 0x98 })
    const again = await node.spread((id) => node.connect(id, { username: "bob", password: Buffer.from("open") }))
    expect(await node.ctl("users", "delete", "bob", "--kick")).toMatchObject({ code: 0, stdout: "deleted: bob\n" })
    for (const client of again) await client.receive("disconnect", { reasonCode: 0x98 })
    expect(await node.ctl("users", "delete", "bob", "--kick")).toMatchObject({ code: 1 })
  })

  it("one that is killed is started again, and costs the clients of the other nothing", async () => {
    const node = await start()
    await node.spread()
    const [, second] = (await node.status()).workers
    if (second === undefined) throw new Error("no second worker")
    process.kill(second.process, "SIGKILL")
    await node.process.told(/worker ended, it is started again" worker=2 signal=SIGKILL/)
    await node.process.told(/is ready" worker=2[^]*is ready" worker=2/)
    const { workers } = await node.status()
    expect(workers[1]?.process).not.toBe(second.process)
    expect(workers[0]?.connections).toBeGreaterThan(0)
  })

  it("while one is away ctl answers for the others and names it; when the parent is killed they end", async () => {
    const node = await start()
    const clients = await node.spread()
    const pids = (await node.status()).workers.map((one) => one.process)
    for (const away of [1, 2]) {
      const folder = away === 1 ? node.directory : path.join(node.directory, `worker-${away}`)
      fs.renameSync(path.join(folder, "emqttd.sock"), path.join(folder, "away"))
      const reason = new RegExp(
        `^emqttd: worker ${away} of the node does not answer on .*: it starts, or is started again`
      )
      const status = await node.ctl("status")
      expect(status).toMatchObject({ code: 0 })
      expect(status.stderr).toMatch(reason)
      expect(status.stdout).toMatch(/^health +ok$/m)
      expect(status.stdout).toMatch(new RegExp(`^${away} +does not answer `, "m"))
      // What all have alike any of them says; what all have to do wants all.
      expect(await node.ctl("bans", "list")).toMatchObject({ code: 0, stderr: "" })
      if (away === 2) {
        const { missing, workers } = await node.status()
        expect(missing).toMatchObject([{ worker: away }])
        expect(workers).toMatchObject([{ worker: 3 - away }])
        const list = await node.ctl("clients", "list", "--json")
        expect(list.stderr).toMatch(reason)
        const there = JSON.parse(list.stdout).clients.length
        expect(there).toBeGreaterThan(0)
        expect(there).toBeLessThan(clients.length)
        const stopped = await node.ctl("listeners", "stop", "tcp")
        expect(stopped.code).toBe(69)
        expect(stopped.stderr).toMatch(reason)
      }
      fs.renameSync(path.join(folder, "away"), path.join(folder, "emqttd.sock"))
    }
    node.process.signal("SIGKILL")
    await until(() => !pids.some(isAlive))
    const nobody = await node.ctl("status")
    expect(nobody).toMatchObject({ code: 69, stdout: "" })
    expect(nobody.stderr).toMatch(/^emqttd: no node answers on .*emqttd\.sock; is it running/)
  })

  it.skipIf(process.platform !== "linux")(
    "SIGHUP reaches all of them, also one that has only just been started",
    async () => {
      const node = await start()
      const { process: parent } = node
      parent.signal("SIGHUP")
      for (const worker of [1, 2]) await parent.told(new RegExp(`settings read again".* worker=${worker}`))
      expect(await node.ctl("reload")).toMatchObject({ code: 0, stdout: "settings read again\n" })
      for (const worker of [1, 2]) {
        await parent.told(new RegExp(`(?:settings read again".* worker=${worker}[^]*){2}`))
      }
      const [, second] = (await node.status()).workers
      const before = new Set(node.processes)
      process.kill(second?.process ?? 0, "SIGKILL")
      await until(() => node.processes.some((pid) => !before.has(pid)))
      parent.signal("SIGHUP")
      await parent.told(/settings read again"[^]*is ready" worker=2[^]*settings read again".* worker=2/)
      expect(parent.stderr.match(/worker ended/g)).toHaveLength(1)
    }
  )

  it.skipIf(process.platform !== "linux")(
    "a parent that is killed while its workers start leaves none behind",
    async () => {
      node = await WorkerNode.begin()
      const { process: parent } = node
      await until(() => node?.processes.length === 2)
      const pids = node.processes
      parent.signal("SIGKILL")
      await parent.ended
      await until(() => !pids.some(isAlive))
    }
  )

  it("SIGTERM ends one that does not answer after node.shutdown_timeout and two seconds, with a line in the log", async () => {
    const node = await start("--set", "node.shutdown_timeout=1s")
    const pids = (await node.status()).workers.map((one) => one.process)
    process.kill(pids[1] ?? 0, "SIGSTOP")
    node.process.signal("SIGTERM")
    await node.process.ended
    expect(node.process.stderr).toMatch(
      /workers have not stopped within node\.shutdown_timeout, they are killed" workers=2/
    )
    await until(() => !pids.some(isAlive))
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
