// Starts and stops the brokers under test: each alone, on loopback, on a free port, with a configuration written for the run.
// A broker is a fresh process for each measurement, so that memory figures are its own; stop() waits until it has gone.
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { pbkdf2Sync, randomBytes } from "node:crypto"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { benchUser, type Door, type Keeping, type Users } from "./scenarios.ts"

export const projectRoot = path.resolve(import.meta.dirname, "../..")

export interface RunningBroker {
  readonly pid: number
  readonly port: number
  /** What it had to say when it ended, if anything: loopDelay.ts. */
  readonly stop: () => Promise<Readonly<Record<string, number>>>
}

export interface Broker {
  readonly id: "mosquitto" | "emqttd" | "flashmq"
  readonly title: string
  /** `seconds`: how long it is measured. */
  readonly start: (door: Door, keeping: Keeping, seconds: number, users: Users) => Promise<RunningBroker>
  /** What it cannot be measured over. */
  readonly lacks: ReadonlyArray<Door>
}

export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = net.createServer()
    server.once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1")
    socket.once("connect", () => {
      socket.destroy()
      resolve(true)
    })
    socket.once("error", () => resolve(false))
  })

const pause = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis))

const lastLines = (text: string): string => text.trim().split("\n").slice(-12).join("\n")

const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null

/** Fails when nobody answers on this port in time. */
export const listens = async (port: number, millis: number): Promise<void> => {
  for (const deadline = Date.now() + millis; !(await answers(port));) {
    if (Date.now() > deadline) throw new Error(`nobody listens on port ${port}`)
    await pause(20)
  }
}

/** Runs a broker's command until its port answers; fails with what it printed when it ends before or takes 15 seconds. */
export const startProcess = async (
  command: ReadonlyArray<string>,
  port: number,
  folder: string,
  seconds = 3
): Promise<RunningBroker> => {
  const [program = "", ...args] = command
  const said = path.join(folder, "loop.json")
  const env = { ...process.env, LOOP_DELAY_FILE: said, LOOP_DELAY_SECONDS: String(seconds) }
  const child = spawn(program, args, { cwd: projectRoot, stdio: ["ignore", "pipe", "pipe"], env })
  let printed = ""
  let failure: string | undefined
  const keep = (chunk: Buffer) => {
    printed = (printed + chunk.toString()).slice(-8192)
  }
  child.stdout.on("data", keep)
  child.stderr.on("data", keep)
  child.on("error", (error) => {
    failure = error.message
  })
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()))
  const deadline = Date.now() + 15_000
  while (!(await answers(port))) {
    if (failure !== undefined || hasEnded(child) || Date.now() > deadline) {
      child.kill("SIGKILL")
      throw new Error(
        `${command.join(" ")}: ${failure ?? "did not listen on port " + port}\n${lastLines(printed)}`.trimEnd()
      )
    }
    await pause(20)
  }
  const stop = async () => {
    if (!hasEnded(child)) {
      child.kill("SIGTERM")
      const killer = setTimeout(() => child.kill("SIGKILL"), 15_000)
      await ended
      clearTimeout(killer)
    }
    const text = fs.existsSync(said) ? fs.readFileSync(said, "utf8") : "{}"
    fs.rmSync(folder, { recursive: true, force: true })
    return JSON.parse(text) as Record<string, number>
  }
  return { pid: child.pid ?? 0, port, stop }
}

export const scratchFolder = (): string => fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-bench-"))

const written = (folder: string, name: string, lines: ReadonlyArray<string>): string => {
  const file = path.join(folder, name)
  fs.writeFileSync(file, lines.join("\n") + "\n")
  return file
}

/** As mosquitto_passwd writes it, which both brokers read. */
const passwordFile = (folder: string, users: Users): string => {
  const iterations = users === "cheap" ? 101 : 100_000
  const salt = randomBytes(12)
  const hash = pbkdf2Sync(benchUser.password, salt, iterations, 64, "sha512")
  const line = `${benchUser.name}:$7$${iterations}$${salt.toString("base64")}$${hash.toString("base64")}`
  const file = written(folder, "passwords", [line])
  fs.chmodSync(file, 0o644)
  return file
}

/** A certificate for the brokers to show: scripts/test-ca.sh, readable for one that gives root away. */
const testCertificate = (folder: string): { readonly certificate: string; readonly key: string } => {
  const made = spawnSync("sh", [path.join(projectRoot, "scripts/test-ca.sh"), folder], { encoding: "utf8" })
  if (made.status !== 0) throw new Error(`scripts/test-ca.sh: ${made.stderr}`)
  const [certificate, key] = [path.join(folder, "server.crt"), path.join(folder, "server.key")]
  for (const file of [certificate, key]) fs.chmodSync(file, 0o644)
  return { certificate, key }
}

const firstMatch = (command: string, args: ReadonlyArray<string>, pattern: RegExp): string | undefined => {
  const done = spawnSync(command, [...args], { encoding: "utf8" })
  return pattern.exec(`${done.stdout ?? ""}${done.stderr ?? ""}`)?.[1]
}

const mosquitto = (): Broker => {
  const named = process.env["MOSQUITTO"]
  const candidates = named ? [named] : ["mosquitto", "/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"]
  for (const program of candidates) {
    const version = firstMatch(program, ["-h"], /mosquitto version (\S+)/)
    if (version === undefined) continue
    return {
      id: "mosquitto",
      title: `Mosquitto ${version}`,
      lacks: ["ws"], // Debian builds it without libwebsockets
      start: async (door, keeping, _, users) => {
        const port = await freePort()
        const folder = scratchFolder()
        const tls = door === "tls" ? testCertificate(folder) : undefined
        const file = written(folder, "mosquitto.conf", [
          `listener ${port} 127.0.0.1`,
          ...(tls === undefined ? [] : [`certfile ${tls.certificate}`, `keyfile ${tls.key}`]),
          ...(users === "none" ? ["allow_anonymous true"] : [`password_file ${passwordFile(folder, users)}`]),
          // All of its state is written at once; 1 s is the shortest interval that it has.
          ...(keeping === "kept"
            ? ["user root", "persistence true", `persistence_location ${folder}/`, "autosave_interval 1"]
            : ["persistence false"]),
          "log_dest none",
          // its default of 1,000 drops messages where the load generator keeps more of them on their way
          "max_queued_messages 1000000"
        ])
        fs.chmodSync(folder, 0o755) // it gives root away before it reads nothing more
        return startProcess([program, "-c", file], port, folder)
      }
    }
  }
  throw new Error(
    `${candidates.join(", ")}: not found; apt-get install mosquitto, or MOSQUITTO=path, or BROKERS=emqttd`
  )
}

/** Runs src/main.ts on this Bun; EMQTTD="node_modules/.bin/deno run -A src/main.ts" measures something else. */
export const emqttdCommand = (runtimeOptions: ReadonlyArray<string> = []): ReadonlyArray<string> =>
  process.env["EMQTTD"]?.split(" ") ?? [process.execPath, ...runtimeOptions, path.join(projectRoot, "src/main.ts")]

/** STORE_URL=postgres://… measures the broker on PostgreSQL. */
const storeLines = (keeping: Keeping): ReadonlyArray<string> => {
  const url = process.env["STORE_URL"]
  if (keeping === "nothing") return ["[store]", 'durability = "memory"']
  return keeping === "kept" && url !== undefined
    ? ["[store]", 'engine = "postgres"', `url = ${JSON.stringify(url)}`]
    : []
}

export const startEmqttd = async (options: {
  readonly runtime?: ReadonlyArray<string>
  readonly door?: Door
  readonly keeping?: Keeping
  readonly seconds?: number
  readonly users?: Users
  readonly workers?: number
  /** Its data directory, which stays when it ends; by default one of its own. */
  readonly data?: string
  /** Lines at the end of its settings. */
  readonly more?: ReadonlyArray<string>
} = {}): Promise<RunningBroker> => {
  const { door = "tcp", keeping = "default", runtime = [], seconds = 3, users = "none", workers = 1 } = options
  const port = await freePort()
  const folder = scratchFolder()
  const tls = door === "tls" ? testCertificate(folder) : undefined
  const file = written(folder, "emqttd.toml", [
    "[node]",
    `data_dir = ${JSON.stringify(options.data ?? path.join(folder, "data"))}`,
    `workers = ${workers}`,
    ...storeLines(keeping),
    "[log]",
    'level = "warning"',
    ...(door === "tcp" ? [] : ["[listeners.tcp]", "enabled = false"]),
    `[listeners.${door}]`,
    ...(tls === undefined ? [] : [`certificate = "${tls.certificate}"`, `key = "${tls.key}"`]),
    'address = "127.0.0.1"',
    `port = ${port}`,
    ...(users === "none" ? [] : [
      "[authentication]",
      'links = ["password_file"]',
      `cache_ttl = "${users === "remembered" ? "10m" : "0s"}"`,
      "[auth_password_file]",
      `path = "${passwordFile(folder, users)}"`
    ]),
    "[queue]",
    "capacity = 1000000",
    ...options.more ?? []
  ])
  const running = await startProcess([...emqttdCommand(runtime), "--config", file], port, folder, seconds)
  if (workers > 1) await linked([...emqttdCommand(), "ctl", "cluster", "status", "--json", "--config", file], workers)
  return running
}

/** All of them listen, and have links to each other. */
const linked = async (command: ReadonlyArray<string>, workers: number): Promise<void> => {
  const [program = "", ...args] = command
  for (const deadline = Date.now() + 15_000;;) {
    const { stdout } = spawnSync(program, args, { cwd: projectRoot, encoding: "utf8" })
    const { members = [] } = JSON.parse(stdout || "{}") as { members?: ReadonlyArray<{ link: string }> }
    if (members.length === workers && members.every(({ link }) => link !== "down")) return
    if (Date.now() > deadline) throw new Error("the workers did not find each other")
    await pause(50)
  }
}

const emqttd = (): Broker => {
  const { version } = JSON.parse(fs.readFileSync(path.join(projectRoot, "package.json"), "utf8")) as { version: string }
  return {
    id: "emqttd",
    title: `emqttd ${version}`,
    lacks: [],
    start: (door, keeping, seconds, users) =>
      startEmqttd({
        door,
        keeping,
        seconds,
        users,
        // It costs a little, so only where its figures are asked for.
        runtime: keeping === "default" ? [] : ["--preload", path.join(import.meta.dirname, "loopDelay.ts")]
      })
  }
}

const flashmq = (program: string): Broker => {
  const version = firstMatch(program, ["--version"], /FlashMQ v?(\S+)/i) ?? "of unknown version"
  return {
    id: "flashmq",
    title: `FlashMQ ${version}`,
    lacks: ["tls", "ws"], // its TLS is not configured here
    start: async () => {
      const port = await freePort()
      const folder = scratchFolder()
      const file = written(folder, "flashmq.conf", [
        "listen {",
        "  protocol mqtt",
        `  port ${port}`,
        "  inet_protocol ip4",
        "  inet4_bind_address 127.0.0.1",
        "}",
        "allow_anonymous true",
        "quiet true",
        `log_file ${path.join(folder, "flashmq.log")}`
      ])
      return startProcess([program, "--config-file", file], port, folder)
    }
  }
}

/** BROKERS=mosquitto,emqttd (the default); FLASHMQ=path adds FlashMQ. */
export const chosenBrokers = (): ReadonlyArray<Broker> => {
  const flashmqProgram = process.env["FLASHMQ"]
  const wanted = (process.env["BROKERS"] ?? `mosquitto,emqttd${flashmqProgram ? ",flashmq" : ""}`).split(",")
  return wanted.map((name) => {
    switch (name) {
      case "mosquitto":
        return mosquitto()
      case "emqttd":
        return emqttd()
      case "flashmq":
        return flashmq(flashmqProgram ?? "flashmq")
      default:
        throw new Error(`BROKERS: no broker "${name}"; there are mosquitto, emqttd, flashmq`)
    }
  })
}
