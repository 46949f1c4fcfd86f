// A node of several workers as a real process, for tests: clients on each of them, what ctl says of it, kills. Waits on what it logs, never on time.
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import type { Status } from "../../src/admin/Api.ts"
import { freePort } from "../support/freePort.ts"
import { type ConnectOptions, TestClient } from "../support/TestClient.ts"
import { EmqttdProcess, type Ended, run } from "./EmqttdProcess.ts"

export type WorkersStatus = Status & {
  readonly workers: ReadonlyArray<Status & { readonly worker: number }>
  readonly missing: ReadonlyArray<{ readonly worker: number; readonly reason: string }>
}

export const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** `wanted`: has the next turn of the event loop a try, until it holds. */
export const until = async (wanted: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await wanted())) await new Promise((resolve) => setImmediate(resolve))
}

export class WorkerNode {
  readonly directory: string
  readonly port: number
  readonly process: EmqttdProcess
  readonly clients: Array<TestClient> = []

  private readonly args: ReadonlyArray<string>

  private constructor(port: number, directory: string, args: ReadonlyArray<string>) {
    this.args = args
    this.port = port
    this.directory = directory
    const listen = ["--host", "127.0.0.1", "--port", `${port}`, "--set", "listeners.ws.enabled=false"]
    this.process = new EmqttdProcess(["--log-format", "logfmt", ...listen, "--data", directory, ...args], {
      cwd: directory
    })
  }

  /** Two workers, ready and linked to each other when it returns. */
  static async start(...args: ReadonlyArray<string>): Promise<WorkerNode> {
    const node = await WorkerNode.begin(...args)
    await node.process.told(/all workers are ready/)
    await node.process.told(/cluster: link up/)
    return node
  }

  /** Once it has ended: with its directory, its port and its settings. */
  async again(): Promise<WorkerNode> {
    const node = new WorkerNode(this.port, this.directory, this.args)
    await node.process.told(/all workers are ready/)
    return node
  }

  /** Two workers that start. */
  static async begin(...args: ReadonlyArray<string>): Promise<WorkerNode> {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-workers-"))
    return new WorkerNode(await freePort(), directory, ["--workers", "2", ...args])
  }

  /** Processes of its workers, those that start among them. */
  get processes(): ReadonlyArray<number> {
    const { pid } = this.process
    const file = `/proc/${pid}/task/${pid}/children`
    if (!fs.existsSync(file)) return []
    return fs.readFileSync(file, "utf8").split(" ").filter((text) => text !== "").map(Number)
  }

  ctl(...args: ReadonlyArray<string>): Promise<Ended> {
    return run(["ctl", ...args, "--data", this.directory])
  }

  async status(): Promise<WorkersStatus> {
    const { stderr, stdout } = await this.ctl("status", "--json")
    if (stdout === "") throw new Error(stderr)
    return JSON.parse(stdout)
  }

  async connect(clientId: string, options: ConnectOptions = {}): Promise<TestClient> {
    const client = await TestClient.open(this.port, 5)
    this.clients.push(client)
    return client.connect({ clientId, ...options })
  }

  durable(clientId: string): Promise<TestClient> {
    return this.connect(clientId, { clean: false, properties: { sessionExpiryInterval: 1_000 } })
  }

  /** Clients on both workers, as the system spreads them. */
  async spread(connect: (clientId: string) => Promise<TestClient> = (id) => this.connect(id)): Promise<
    ReadonlyArray<TestClient>
  > {
    const all: Array<TestClient> = []
    for (;;) {
      for (let more = 0; more < 4; more++) all.push(await connect(`client-${all.length}`))
      const { workers } = await this.status()
      if (workers.every(({ connections }) => connections > 0)) return all
    }
  }

  close(): void {
    for (const client of this.clients.splice(0)) client.drop()
    this.process.kill()
    fs.rmSync(this.directory, { recursive: true, force: true })
  }
}
