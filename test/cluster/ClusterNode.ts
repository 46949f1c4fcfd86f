// Nodes of a cluster as real processes, on ports that the system chooses. Waits on what they log and on the exit, never on time.
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Door } from "../crash/MiniClient.ts"
import { EmqttdProcess, type Ended, run } from "../cli/EmqttdProcess.ts"

/** Where a node runs, if it is not to share this machine's network. */
export interface Place {
  /** That runs it there. */
  readonly within: ReadonlyArray<string>
  readonly environment: { readonly [name: string]: string }
  /** Where the other nodes reach it. */
  readonly listen: string
  /** Arguments for every node of its farm. */
  readonly args: ReadonlyArray<string>
}

export class NodeFarm {
  readonly directory = mkdtempSync(join(tmpdir(), "emqttd-cluster-"))
  readonly nodes: Array<ClusterNode> = []

  /** Ready when it returns: it listens for nodes and clients. */
  async start(name: string, ...args: ReadonlyArray<string>): Promise<ClusterNode> {
    const node = new ClusterNode(this.directory, name, args, await this.place(name))
    this.nodes.push(node)
    await node.process.told(/is ready/)
    return node
  }

  /** Undefined: as any process of this machine. */
  protected place(_name: string): Promise<Place | undefined> {
    return Promise.resolve(undefined)
  }

  close(): void {
    for (const node of this.nodes) node.process.kill()
    rmSync(this.directory, { recursive: true, force: true })
  }
}

export class ClusterNode {
  readonly name: string
  readonly process: EmqttdProcess
  private readonly data: string
  private readonly socket: string | undefined

  constructor(directory: string, name: string, args: ReadonlyArray<string>, place?: Place) {
    this.name = name
    this.data = join(directory, name)
    this.socket = place && join(directory, `${name}.sock`)
    const named = args.includes("--node-name") ? [] : ["--node-name", name]
    const own = [
      "--data",
      this.data,
      ...named,
      "--host",
      this.socket === undefined ? "127.0.0.1" : `unix:${this.socket}`,
      "--port",
      "0"
    ]
    const listen = args.includes("--cluster-listen") ? [] : ["--cluster-listen", place?.listen ?? "127.0.0.1:0"]
    // Deadlines are as they are for users, but for those that a test has to wait for.
    const soon = ["--set", "cluster.suspicion_timeout=1s", "--set", "cluster.max_backoff=500ms"]
    const all = [...own, ...listen, ...soon, "--log-format", "logfmt", ...place?.args ?? [], ...args]
    this.process = new EmqttdProcess(all, { ...place, cwd: directory })
  }

  /** host:port for other nodes. */
  get address(): string {
    return /"cluster: listening".* address=(\S+)/.exec(this.process.stderr)?.[1] ?? ""
  }

  /** For clients. */
  get door(): Door {
    return this.socket ?? this.port
  }

  /** Of its tcp listener. */
  get port(): number {
    return Number(/listening: tcp:\/\/127\.0\.0\.1:(\d+)/.exec(this.process.stderr)?.[1])
  }

  /** So many lines of this kind are there. */
  async logged(line: string, fields: string, times = 1): Promise<void> {
    const one = `msg="${line}"[^\\n]*${fields}[^\\n]*\\n`
    await this.process.told(new RegExp(`(?:${one}[^]*?){${times}}`))
  }

  /** One more line of this kind than there are now; to be called before what brings it about. */
  next(line: string, fields: string): Promise<void> {
    return this.logged(line, fields, this.count(line, fields) + 1)
  }

  /** Its link to that node is up. */
  async linkedTo(name: string): Promise<void> {
    const isUp = () => this.count("cluster: link up", `node=${name}`) > this.count("cluster: link down", `node=${name}`)
    await this.process.until(`a link to ${name}`, () => isUp() || null)
  }

  count(line: string, fields: string): number {
    return [...this.process.stderr.matchAll(new RegExp(`msg="${line}"[^\\n]*${fields}[^\\n]*\\n`, "g"))].length
  }

  ctl(...args: ReadonlyArray<string>): Promise<Ended> {
    return run(["ctl", ...args, "--data", this.data])
  }

  async kill(): Promise<void> {
    this.process.signal("SIGKILL")
    await this.process.ended
  }
}
