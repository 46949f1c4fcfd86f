// A PostgreSQL of Debian's binaries for tests, on a socket in a folder of its own and, where it has certificates, on a port of loopback;
// nothing is left behind.
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import type { ServerCertificates } from "./serverProcess.ts"

const installed = "/usr/lib/postgresql"
const versions = fs.existsSync(installed) ? fs.readdirSync(installed).sort((a, b) => Number(b) - Number(a)) : []
const binaries = versions.map((version) => path.join(installed, version, "bin"))
  .find((folder) => fs.existsSync(path.join(folder, "initdb")))
const isRoot = process.getuid?.() === 0
/** It refuses to be run by root. */
const unprivileged = isRoot ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] : []
const hasUser = !isRoot || spawnSync("id", ["postgres"]).status === 0

/** Why there is none. */
export const missingPostgres = binaries === undefined || !hasUser
  ? "PostgreSQL is missing: apt-get install postgresql"
  : undefined

export class PostgresServer {
  private readonly directory: string
  private readonly data: string
  private network = "-c listen_addresses="

  private constructor(directory: string) {
    this.directory = directory
    this.data = path.join(directory, "data")
  }

  /** `tls`: on this port as well. */
  static start(tls?: ServerCertificates & { readonly port: number }): PostgresServer {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-pg-"))
    if (isRoot) {
      const [uid = "0", gid = "0"] = ["-u", "-g"].map((flag) => spawnSync("id", [flag, "postgres"]).stdout.toString())
      fs.chownSync(directory, Number(uid), Number(gid))
    }
    const server = new PostgresServer(directory)
    server.run("initdb", ["-D", server.data, "-U", "emqttd", "-A", "trust", "-E", "UTF8", "--no-sync"])
    if (tls !== undefined) {
      const { gid, uid } = fs.statSync(directory)
      // It takes no key that others could read.
      const [key = "", cert = ""] = [tls.key, tls.cert].map((file) => {
        const copy = path.join(directory, path.basename(file))
        fs.copyFileSync(file, copy)
        fs.chmodSync(copy, 0o600)
        fs.chownSync(copy, uid, gid)
        return copy
      })
      server.network =
        `-c listen_addresses=127.0.0.1 -p ${tls.port} -c ssl=on -c ssl_cert_file=${cert} -c ssl_key_file=${key}`
    }
    server.resume()
    return server
  }

  /** `schema`: a store of its own. */
  url(schema: string): string {
    return `postgres://emqttd@localhost/postgres?host=${encodeURIComponent(this.directory)}&schema=${schema}`
  }

  /** Started again after `pause`, with what it had. */
  resume(): void {
    const options = `-k ${this.directory} ${this.network} -c fsync=off -c max_connections=50`
    this.run("pg_ctl", [
      "start",
      "-w",
      "-t",
      "60",
      "-D",
      this.data,
      "-o",
      options,
      "-l",
      path.join(this.directory, "log")
    ])
  }

  /** As if its machine had lost power. */
  pause(): void {
    this.run("pg_ctl", ["stop", "-w", "-m", "immediate", "-D", this.data])
  }

  query(sql: string): string {
    return this.run("psql", ["-h", this.directory, "-U", "emqttd", "-d", "postgres", "-Atc", sql]).trim()
  }

  stop(): void {
    this.pause()
    fs.rmSync(this.directory, { recursive: true, force: true })
  }

  private run(program: string, args: ReadonlyArray<string>): string {
    const [command = "", ...before] = [...unprivileged, path.join(binaries ?? "", program)]
    // Inherited output would be held open by the server that pg_ctl leaves running.
    const detached = program === "pg_ctl"
    const { status, stderr, stdout } = spawnSync(command, [...before, ...args], {
      cwd: this.directory,
      encoding: "utf8",
      stdio: detached ? "ignore" : "pipe"
    })
    if (status !== 0) throw new Error(`${program} ${args.join(" ")}: status ${status}\n${stdout ?? ""}${stderr ?? ""}`)
    return stdout ?? ""
  }
}
