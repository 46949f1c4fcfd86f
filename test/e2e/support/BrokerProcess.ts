// The broker as a user runs it: a process of its own (`src/main.ts` on the runtime of the tests, or EMQTTD_BINARY), on a free loopback port, its data in a
// folder that goes with it. start() returns when the port answers and fails with what the process printed when it never does.
// With E2E_PORT=1883 the clients' tests talk to a broker that runs already: it tells a wrong test from a wrong broker.
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { brokerProgram } from "../../support/brokerCommand.ts"
import { freePort } from "../../support/freePort.ts"

export interface Ended {
  readonly code: number | null
  readonly signal: string | null
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1")
    socket.once("connect", () => {
      socket.destroy()
      resolve(true)
    })
    socket.once("error", () => resolve(false))
  })

export class BrokerProcess {
  readonly port: number
  readonly ended: Promise<Ended>
  private readonly child: ChildProcess | undefined
  private readonly folder: string
  private printed = ""
  private errors = ""
  private looks: () => void = () => {}

  private constructor(port: number, folder: string, args: ReadonlyArray<string> | undefined) {
    this.port = port
    this.folder = folder
    if (args === undefined) {
      this.ended = new Promise(() => {})
      return
    }
    const child = spawn(brokerProgram.command, [...brokerProgram.args, ...args], {
      cwd: folder,
      stdio: ["ignore", "pipe", "pipe"]
    })
    this.child = child
    child.stdout.on("data", (chunk: Buffer) => (this.printed += chunk.toString()))
    child.stderr.on("data", (chunk: Buffer) => {
      this.errors += chunk.toString()
      this.looks()
    })
    this.ended = new Promise((resolve, reject) => {
      child.once("error", reject)
      child.once("close", (code, signal) => resolve({ code, signal }))
    })
  }

  /** Runs it with exactly these arguments, in an empty folder; for those that end by themselves. */
  static run(args: ReadonlyArray<string>): BrokerProcess {
    return new BrokerProcess(0, fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-e2e-")), args)
  }

  static async start(settings: string = ""): Promise<BrokerProcess> {
    const given = process.env["E2E_PORT"]
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-e2e-"))
    if (given !== undefined) return new BrokerProcess(Number(given), folder, undefined)
    const port = await freePort()
    const args = ["--host", "127.0.0.1", "--port", String(port), "--data", path.join(folder, "data")]
    if (settings !== "") {
      const file = path.join(folder, "emqttd.toml")
      fs.writeFileSync(file, settings)
      args.push("--config", file)
    }
    const broker = new BrokerProcess(port, folder, args)
    let end: Ended | undefined
    void broker.ended.then((ended) => (end = ended), () => (end = { code: null, signal: null }))
    const deadline = Date.now() + 20_000
    while (!(await answers(port))) {
      if (end !== undefined || Date.now() > deadline) {
        await broker.stop()
        throw new Error(`the broker did not listen on port ${port}\n${broker.output}`)
      }
      await new Promise((resolve) => setTimeout(resolve, 20)) // between two attempts to connect
    }
    return broker
  }

  /** Everything it printed. */
  get output(): string {
    return this.printed + this.errors
  }

  /** Resolves once its log says so; fails after 10 seconds with what it says. */
  logged(pattern: RegExp): Promise<void> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`not in the log: ${pattern}\n${this.errors}`)), 10_000)
      this.looks = () => {
        if (!pattern.test(this.errors)) return
        clearTimeout(late)
        resolve()
      }
      this.looks()
    })
  }

  get pid(): number | undefined {
    return this.child?.pid
  }

  get errorOutput(): string {
    return this.errors
  }

  /** Not child.kill(): after that, Deno says of a child that exited by itself that the signal ended it. */
  kill(signal: "SIGTERM" | "SIGINT" | "SIGKILL" | "SIGHUP"): void {
    const child = this.child
    if (child?.pid !== undefined && child.exitCode === null && child.signalCode === null) {
      process.kill(child.pid, signal)
    }
  }

  async stop(): Promise<void> {
    if (this.child !== undefined) {
      this.kill("SIGTERM")
      const impatient = setTimeout(() => this.kill("SIGKILL"), 10_000)
      await this.ended
      clearTimeout(impatient)
    }
    fs.rmSync(this.folder, { recursive: true, force: true })
  }
}
