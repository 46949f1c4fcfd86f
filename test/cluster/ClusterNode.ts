// Nodes of a cluster as real processes, on ports that the system chooses. Waits on what they log and on the exit, never on time.
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { EmqttdProcess, type Ended, run } from "../cli/EmqttdProcess.ts"

export class NodeFarm {
  readonly directory = mkdtempSync(join(tmpdir(), "emqttd-cluster-"))
  readonly nodes: Array<ClusterNode> = []

  /** Ready when it returns: it listens for nodes and clients. */
  async start(name: string, ...args: ReadonlyArray<string>): Promise<ClusterNode> {
    const node = new ClusterNode(this.directory, name, args)
    this.nodes.push(node)
    await node.process.told(/is ready/)
    return node
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

  constructor(directory: string, name: string, args: ReadonlyArray<string>) {
    this.name = name
    this.data = join(directory, name)
    const named = args.includes("--node-name") ? [] : ["--node-name", name]
    const own = ["--data", this.data, ...named, "--host", "127.0.0.1", "--port", "0"]
    const listen = args.includes("--cluster-listen") ? [] : ["--cluster-listen", "127.0.0.1:0"]
    // Deadlines are as they are for users, but for those that a test has to wait for.
    const soon = ["--set", "cluster.suspicion_timeout=1s", "--set", "cluster.max_backoff=500ms"]
    this.process = new EmqttdProcess([...own, ...listen, ...soon, "--log-format", "logfmt", ...args], {
      cwd: directory
    })
  }

  /** host:port for other nodes. */
  get address(): string {
    return /"cluster: listening".* address=(\S+)/.exec(this.process.stderr)?.[1] ?? ""
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

  ctl(...args: ReadonlyArray<string>): Promise<Ended> {
    return run(["ctl", ...args, "--data", this.data])
  }

  async kill(): Promise<void> {
    this.process.signal("SIGKILL")
    await this.process.ended
  }
}
