// Networks of namespaces with wires that can be cut: hub.py as a child process, and where it can be had. Invariant: a command is in force when its
// promise resolves; nothing that was made has a name, and all of it goes with the hub and the processes in it, however they end.
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { join } from "node:path"
import { createInterface } from "node:readline"

const hub = join(import.meta.dirname, "hub.py")

/** Why there are no such networks here; undefined: there are. */
export const networkMissing: string | undefined = (() => {
  const wants = "networks of namespaces (root, /dev/net/tun, nsenter and python3)"
  const made = spawnSync("python3", [hub], { input: "node 10.99.0.1\n", encoding: "utf8", timeout: 20_000 })
  if (made.error !== undefined) return `${wants}: ${made.error.message}`
  if (!made.stdout.startsWith("ok")) return `${wants}: ${(made.stdout + made.stderr).trim()}`
  const entered = spawnSync("nsenter", ["--version"])
  return entered.error === undefined ? undefined : `${wants}: ${entered.error.message}`
})()

/** What is not named is as on a good wire. */
export interface WireQuality {
  readonly cut?: 1
  /** ms. */
  readonly delay?: number
  readonly jitter?: number
  /** Percent of packets. */
  readonly loss?: number
  readonly reorder?: number
  /** Bytes a second. */
  readonly rate?: number
}

export class Network {
  private readonly child: ChildProcess
  private readonly waiting: Array<(answer: string) => void> = []

  constructor() {
    this.child = spawn("python3", [hub], { stdio: ["pipe", "pipe", "inherit"] })
    const { stdout } = this.child
    if (stdout === null) throw new Error("no output of the hub")
    createInterface({ input: stdout }).on("line", (line) => this.waiting.shift()?.(line))
    this.child.on("close", () => {
      for (const answer of this.waiting.splice(0)) answer("error the hub has ended")
    })
  }

  /** A new namespace at this address; returns the command that runs something in it. */
  async node(address: string): Promise<ReadonlyArray<string>> {
    return ["nsenter", `--net=${await this.command(`node ${address}`)}`]
  }

  /** One way. "*" is every node. */
  async wire(from: string, to: string, quality: WireQuality = {}): Promise<void> {
    const pairs = Object.entries(quality).map(([key, value]) => `${key}=${value}`)
    await this.command(["wire", from, to, ...pairs].join(" "))
  }

  /** Of the chances that wires take. */
  async seed(number: number): Promise<void> {
    await this.command(`seed ${number}`)
  }

  async traffic(): Promise<{ readonly carried: number; readonly lost: number }> {
    const [carried, lost] = (await this.command("traffic")).split(" ").map(Number)
    return { carried: carried ?? 0, lost: lost ?? 0 }
  }

  close(): void {
    this.child.stdin?.end()
  }

  private command(line: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.waiting.push((answer) =>
        answer.startsWith("ok") ? resolve(answer.slice(3)) : reject(new Error(`${line}: ${answer}`))
      )
      this.child.stdin?.write(`${line}\n`)
    })
  }
}
