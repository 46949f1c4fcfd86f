// An OpenLDAP server for tests, on a socket in a folder of its own and on a free port of loopback for TLS; nothing is left behind.
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { ended, programAt, type ServerCertificates, untilSocket } from "./serverProcess.ts"
import { freePort } from "./freePort.ts"

const server = programAt("slapd")
const schemas = "/etc/ldap/schema"

/** Why there is none. */
export const missingSlapd = server === undefined || !fs.existsSync(schemas)
  ? "OpenLDAP's server is missing: apt-get install slapd"
  : undefined

export const suffix = "dc=example,dc=org"
export const adminName = `cn=admin,${suffix}`
export const adminPassword = "admin's secret"

export class SlapdServer {
  readonly socket: string
  readonly port: number
  private readonly directory: string
  private process: ChildProcess | undefined

  private constructor(directory: string, port: number) {
    this.directory = directory
    this.socket = path.join(directory, "socket")
    this.port = port
  }

  /** `entries`: LDIF, below `suffix`. */
  static async start(entries: string, certificates?: ServerCertificates): Promise<SlapdServer> {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-ldap-"))
    const running = new SlapdServer(directory, await freePort())
    fs.mkdirSync(path.join(directory, "data"))
    const tls = certificates === undefined ? [] : [
      `TLSCACertificateFile ${certificates.ca}`,
      `TLSCertificateFile ${certificates.cert}`,
      `TLSCertificateKeyFile ${certificates.key}`
    ]
    fs.writeFileSync(
      path.join(directory, "slapd.conf"),
      [
        ...["core", "cosine", "inetorgperson"].map((name) => `include ${schemas}/${name}.schema`),
        "modulepath /usr/lib/ldap",
        "moduleload back_mdb",
        ...tls,
        `pidfile ${directory}/pid`,
        "database mdb",
        `suffix "${suffix}"`,
        `rootdn "${adminName}"`,
        `rootpw "${adminPassword}"`,
        `directory ${directory}/data`,
        "access to attrs=userPassword by anonymous auth by * none",
        'access to * by dn.exact="' + adminName + '" read by users none by anonymous none',
        ""
      ].join("\n")
    )
    fs.writeFileSync(
      path.join(directory, "entries.ldif"),
      `dn: ${suffix}\nobjectClass: dcObject\nobjectClass: organization\no: example\ndc: example\n\n${entries}`
    )
    const { status, stderr } = spawnSync(server ?? "", [
      "-Tadd",
      "-f",
      path.join(directory, "slapd.conf"),
      "-l",
      path.join(directory, "entries.ldif")
    ], { encoding: "utf8" })
    if (status !== 0) throw new Error(`slapadd: status ${status}\n${stderr}`)
    await running.resume()
    return running
  }

  get url(): string {
    return `ldapi://${encodeURIComponent(this.socket)}`
  }

  async resume(): Promise<void> {
    this.process = spawn(server ?? "", [
      "-f",
      path.join(this.directory, "slapd.conf"),
      "-h",
      `${this.url} ldap://127.0.0.1:${this.port}`,
      "-d",
      "0"
    ], { stdio: "ignore" })
    await untilSocket(this.process, this.socket)
  }

  async kill(): Promise<void> {
    await ended(this.process, "SIGKILL")
    fs.rmSync(this.socket, { force: true })
  }

  async stop(): Promise<void> {
    await this.kill()
    fs.rmSync(this.directory, { recursive: true, force: true })
  }
}
