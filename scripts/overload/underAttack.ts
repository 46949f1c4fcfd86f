// One measurement: a broker of its own, an attacker of its own, and in this process the clients whose service is measured.
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { Effect } from "effect"
import type { Status } from "../../src/admin/Api.ts"
import { requestHttpSocket } from "../../src/platform/HttpSocket.ts"
import { brokerProgram, type Program, sourceProgram } from "../../test/support/brokerCommand.ts"
import type { AttackName, AttackReport } from "./attacks.ts"
import { Service, type ServiceReport } from "./Service.ts"

export interface Measured {
  readonly attack: AttackReport | undefined
  readonly service: ServiceReport
  /** As the broker has it at the end of the attack. */
  readonly status: Status
}

export interface Conditions {
  /** Undefined: nobody attacks, for comparison. */
  readonly attack: AttackName | undefined
  readonly seconds: number
  /** Connections that the attacker has at a time. */
  readonly connections: number
  /** `key=value` settings of the broker. */
  readonly settings: ReadonlyArray<string>
  /** More of the settings file, for listeners of other types. */
  readonly file?: string
}

/** A settings file with a TLS listener that gives up on a handshake after a second. */
export const tlsListener = (certificate: string, key: string): string =>
  [
    "[listeners.tls]",
    'address = "127.0.0.1"',
    "port = 0",
    `certificate = ${JSON.stringify(certificate)}`,
    `key = ${JSON.stringify(key)}`,
    'handshake_timeout = "1s"',
    ""
  ].join("\n")

const pairs = 10
const perSecond = 20
const warmUpMillis = 500

const run = ({ args: first, command }: Program, args: ReadonlyArray<string>): ChildProcess =>
  spawn(command, [...first, ...args], { stdio: ["ignore", "pipe", "pipe"] })

const portTold = (broker: ChildProcess, type: string): Promise<number> =>
  new Promise((resolve, reject) => {
    let told = ""
    broker.stderr?.on("data", (chunk: Buffer) => {
      told += chunk.toString()
      const port = new RegExp(`listening: ${type}://[^ "]*:(\\d+)`).exec(told)?.[1]
      if (port !== undefined && told.includes("is ready")) resolve(Number(port))
    })
    broker.on("close", () => reject(new Error(`the broker did not start:\n${told}`)))
  })

const output = (child: ChildProcess): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = ""
    let faults = ""
    child.stdout?.on("data", (chunk: Buffer) => (text += chunk.toString()))
    child.stderr?.on("data", (chunk: Buffer) => (faults += chunk.toString()))
    child.on("close", (code) => code === 0 ? resolve(text) : reject(new Error(`the attacker failed:\n${faults}`)))
  })

const statusOf = async (folder: string): Promise<Status> => {
  const response = await Effect.runPromise(
    requestHttpSocket(path.join(folder, "data/emqttd.sock"), new URL("http://localhost/api/v1/status"), {
      method: "GET",
      headers: {}
    })
  )
  return await response.json() as Status
}

export const underAttack = async ({ attack, connections, file, seconds, settings }: Conditions): Promise<Measured> => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-overload-"))
  fs.writeFileSync(path.join(folder, "emqttd.toml"), file ?? "")
  const broker = run(brokerProgram, [
    ...["--config", path.join(folder, "emqttd.toml"), "--data", path.join(folder, "data")],
    ...["--host", "127.0.0.1", "--port", "0"],
    ...settings.flatMap((one) => ["--set", one])
  ])
  let attacker: ChildProcess | undefined
  try {
    const [port, attacked] = await Promise.all([
      portTold(broker, "tcp"),
      portTold(broker, attack === "half-open-tls" ? "tls" : "tcp")
    ])
    const service = await Service.start(port, pairs)
    const work = async (): Promise<readonly [AttackReport | undefined, Status]> => {
      if (attack === undefined) {
        await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
        return [undefined, await statusOf(folder)]
      }
      attacker = run(sourceProgram("scripts/overload/attacker.ts"), [
        attack,
        String(attacked),
        String(connections),
        String(seconds)
      ])
      return [JSON.parse(await output(attacker)) as AttackReport, await statusOf(folder)]
    }
    await service.during(new Promise((resolve) => setTimeout(resolve, warmUpMillis)), perSecond)
    service.forgetLatencies()
    const [report, status] = await service.during(work(), perSecond)
    return { attack: report, service: await service.end(), status }
  } finally {
    attacker?.kill("SIGKILL")
    broker.kill("SIGKILL")
    fs.rmSync(folder, { recursive: true, force: true })
  }
}
