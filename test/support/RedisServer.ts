// A Redis for tests, on a socket in a folder of its own and, where it has certificates, on a free port of loopback; nothing is
// kept, nothing is left behind.
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { ended, programAt, type ServerCertificates, untilSocket } from "./serverProcess.ts"
import { freePort } from "./freePort.ts"

const server = programAt("redis-server")
const client = programAt("redis-cli")

/** Why there is none. */
export const missingRedis = server === undefined || client === undefined
  ? "Redis is missing: apt-get install redis-server"
  : undefined

export class RedisServer {
  readonly socket: string
  private readonly directory: string
  private readonly tls: ReadonlyArray<string>
  /** Of TLS. */
  readonly port: number
  private process: ChildProcess | undefined

  private constructor(directory: string, port: number, certificates: ServerCertificates | undefined) {
    this.directory = directory
    this.port = port
    this.tls = certificates === undefined ? [] : [
      ...["--tls-port", `${port}`, "--bind", "127.0.0.1", "--tls-auth-clients", "no"],
      ...["--tls-ca-cert-file", certificates.ca, "--tls-cert-file", certificates.cert],
      ...["--tls-key-file", certificates.key]
    ]
    this.socket = path.join(directory, "socket")
  }

  static async start(certificates?: ServerCertificates): Promise<RedisServer> {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-redis-"))
    const running = new RedisServer(directory, certificates === undefined ? 0 : await freePort(), certificates)
    await running.resume()
    return running
  }

  url(user = ""): string {
    return `redis://${user === "" ? "" : `${user}@`}localhost/0?socket=${encodeURIComponent(this.socket)}`
  }

  /** Empty, as after each start. */
  async resume(): Promise<void> {
    this.process = spawn(server ?? "", [
      "--port",
      "0",
      "--unixsocket",
      this.socket,
      "--save",
      "",
      "--appendonly",
      "no",
      "--dir",
      this.directory,
      ...this.tls
    ], { stdio: "ignore" })
    await untilSocket(this.process, this.socket)
  }

  /** Stopped and gone on with: no answer meanwhile. */
  freeze(): void {
    this.signal("SIGSTOP")
  }

  thaw(): void {
    this.signal("SIGCONT")
  }

  /** Deno's ChildProcess takes one signal alone. */
  private signal(signal: NodeJS.Signals): void {
    const pid = this.process?.pid
    if (pid !== undefined) process.kill(pid, signal)
  }

  async kill(): Promise<void> {
    await ended(this.process, "SIGKILL")
  }

  command(...words: ReadonlyArray<string>): string {
    const { status, stderr, stdout } = spawnSync(client ?? "", ["-s", this.socket, ...words], {
      encoding: "utf8",
      timeout: 10_000
    })
    if (status !== 0) throw new Error(`redis-cli ${words.join(" ")}: status ${status}\n${stderr}`)
    return stdout.trim()
  }

  async stop(): Promise<void> {
    await this.kill()
    fs.rmSync(this.directory, { recursive: true, force: true })
  }
}
