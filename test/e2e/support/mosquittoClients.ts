// mosquitto_pub and mosquitto_sub as processes. Where they are not installed, tests skip and say so.
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { Inbox } from "./Inbox.ts"
import type { Version } from "./MqttClient.ts"

export type Program = "mosquitto_pub" | "mosquitto_sub"

const isThere = (program: string): boolean => spawnSync(program, ["--help"]).error === undefined

/** The reason to skip, or nothing when all programs are there. */
export const missing: string | undefined = ["mosquitto_pub", "mosquitto_sub", "stdbuf"]
  .filter((program) => !isThere(program)).map((program) => `${program} not found`)[0]

const versionOption = (version: Version): string => `mqttv${version.name.replaceAll(".", "")}`

const running = new Set<ChildProcess>()

export const endAll = (): void => {
  for (const child of running) child.kill("SIGKILL")
  running.clear()
}

interface Ended {
  readonly code: number | null
  readonly output: string
}

class ClientProcess {
  readonly lines = new Inbox<string>()
  readonly subscribed: Promise<void>
  readonly ended: Promise<Ended>
  private readonly child: ChildProcess
  private output = ""

  constructor(program: Program, args: ReadonlyArray<string>) {
    // into a pipe, mosquitto_sub would keep its lines for itself until there are 4 KB of them
    const child = spawn("stdbuf", ["-oL", program, ...args], { stdio: ["ignore", "pipe", "pipe"] })
    this.child = child
    running.add(child)
    let unfinished = ""
    let confirm: () => void = () => {}
    this.subscribed = new Promise((resolve) => (confirm = resolve))
    const receive = (chunk: Buffer) => {
      this.output += chunk.toString()
      const lines = (unfinished + chunk.toString()).split("\n")
      unfinished = lines.pop() ?? ""
      for (const line of lines) {
        if (line.startsWith("Subscribed ")) confirm()
        else if (line.startsWith("> ")) this.lines.put(line.slice(2))
      }
    }
    child.stdout.on("data", receive)
    child.stderr.on("data", (chunk: Buffer) => (this.output += chunk.toString()))
    this.ended = new Promise((resolve, reject) => {
      child.once("error", reject)
      child.once("close", (code) => {
        running.delete(child)
        resolve({ code, output: this.output })
      })
    })
  }

  kill(): void {
    this.child.kill("SIGKILL")
  }
}

/** Runs mosquitto_sub; its messages are the inbox `lines`, each as `format` says. Resolves once the SUBACK is there. */
export const mosquittoSub = async (
  port: number,
  version: Version,
  args: ReadonlyArray<string>,
  format = "%t %q %r %p"
): Promise<ClientProcess> => {
  const common = ["-h", "127.0.0.1", "-p", `${port}`, "-V", versionOption(version), "-d", "-F", `> ${format}`]
  const client = new ClientProcess("mosquitto_sub", [...common, ...args])
  await Promise.race([
    client.subscribed,
    client.ended.then(({ code, output }) => {
      if (code !== 0) throw new Error(`mosquitto_sub ended with ${code}: ${output}`)
    })
  ])
  return client
}

/** Runs mosquitto_pub to its end, which is after the acknowledgement. */
export const mosquittoPub = async (port: number, version: Version, args: ReadonlyArray<string>): Promise<void> => {
  const client = new ClientProcess("mosquitto_pub", [
    "-h",
    "127.0.0.1",
    "-p",
    `${port}`,
    "-V",
    versionOption(version),
    ...args
  ])
  const { code, output } = await client.ended
  if (code !== 0) throw new Error(`mosquitto_pub ended with ${code}: ${output}`)
}
