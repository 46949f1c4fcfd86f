// A MariaDB of Debian's binaries for tests, on a socket in a folder of its own and, where it has certificates, on a free port of loopback;
// nothing is left behind.
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { ended, programAt, type ServerCertificates, untilSocket } from "./serverProcess.ts"
import { freePort } from "./freePort.ts"

const server = programAt("mariadbd")
const install = programAt("mariadb-install-db")
const client = programAt("mariadb")
const isRoot = process.getuid?.() === 0

/** Why there is none. */
export const missingMariaDb = server === undefined || install === undefined || client === undefined
  ? "MariaDB is missing: apt-get install mariadb-server"
  : undefined

export class MariaDbServer {
  readonly socket: string
  private readonly directory: string
  private readonly network: ReadonlyArray<string>
  /** Of TLS. */
  readonly port: number
  private process: ChildProcess | undefined

  private constructor(directory: string, port: number, certificates: ServerCertificates | undefined) {
    this.directory = directory
    this.port = port
    this.network = certificates === undefined ? ["--skip-networking"] : [
      ...[`--port=${port}`, "--bind-address=127.0.0.1", "--skip-name-resolve"],
      ...[`--ssl-ca=${certificates.ca}`, `--ssl-cert=${certificates.cert}`, `--ssl-key=${certificates.key}`]
    ]
    this.socket = path.join(directory, "socket")
  }

  static async start(certificates?: ServerCertificates): Promise<MariaDbServer> {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-my-"))
    const data = path.join(directory, "data")
    const installing = spawn(install ?? "", [
      "--no-defaults",
      `--datadir=${data}`,
      "--auth-root-authentication-method=normal",
      "--skip-test-db",
      "--skip-name-resolve",
      ...(isRoot ? ["--user=root"] : [])
    ], { stdio: "ignore" })
    const status = await new Promise((resolve) => installing.once("exit", resolve))
    if (status !== 0) throw new Error(`mariadb-install-db: status ${String(status)}`)
    const running = new MariaDbServer(directory, certificates === undefined ? 0 : await freePort(), certificates)
    await running.resume()
    running.query("CREATE DATABASE emqttd CHARACTER SET utf8mb4")
    return running
  }

  url(user = "root"): string {
    return `mysql://${user}@localhost/emqttd?socket=${encodeURIComponent(this.socket)}`
  }

  async resume(): Promise<void> {
    this.process = spawn(server ?? "", [
      "--no-defaults",
      `--datadir=${path.join(this.directory, "data")}`,
      `--socket=${this.socket}`,
      ...this.network,
      "--skip-log-bin",
      "--innodb-flush-log-at-trx-commit=0",
      "--innodb-buffer-pool-size=8M",
      ...(isRoot ? ["--user=root"] : [])
    ], { stdio: "ignore" })
    await untilSocket(this.process, this.socket)
  }

  /** As if its machine had lost power. */
  async kill(): Promise<void> {
    await ended(this.process, "SIGKILL")
  }

  query(sql: string): string {
    const { status, stderr, stdout } = spawnSync(client ?? "", [
      "--no-defaults",
      `--socket=${this.socket}`,
      "--user=root",
      "--default-character-set=utf8mb4",
      "--batch",
      "--skip-column-names",
      "--execute",
      sql
    ], { encoding: "utf8" })
    if (status !== 0) throw new Error(`mariadb: ${sql}: status ${status}\n${stderr}`)
    return stdout.trim()
  }

  async stop(): Promise<void> {
    await this.kill()
    fs.rmSync(this.directory, { recursive: true, force: true })
  }
}
