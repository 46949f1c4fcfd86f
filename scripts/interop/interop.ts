// Runs the Eclipse Paho interoperability suite (client_test.py and client_test5.py) against the broker with etc/paho.toml.
// The suite is not part of this project: interop.ts <folder>, a clone of eclipse/paho.mqtt.testing. PORT=1883 and PYTHON=python3 may be set.
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"

const projectRoot = path.resolve(import.meta.dirname, "../..")
const python = process.env["PYTHON"] ?? "python3"
const port = Number(process.env["PORT"] ?? 1883)
const limitMillis = 300_000 // some of the tests wait in a loop without an end for a message

const fail = (message: string): never => {
  console.error(`interop: ${message}`)
  process.exit(1)
}

/** The folder that holds client_test.py: the one given, or its interoperability/. */
const suiteFolder = (given: string): string => {
  const found = [given, path.join(given, "interoperability")].find((folder) =>
    fs.existsSync(path.join(folder, "client_test5.py"))
  )
  return found === undefined
    ? fail(`no client_test5.py in ${given}; the suite is the repository eclipse/paho.mqtt.testing`)
    : path.resolve(found)
}

const answers = (): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1")
    socket.once("connect", () => {
      socket.destroy()
      resolve(true)
    })
    socket.once("error", () => resolve(false))
  })

const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null

const startBroker = async (folder: string): Promise<ChildProcess> => {
  if (await answers()) fail(`port ${port} is taken by another program; PORT=1884 make interop … uses another`)
  const settings = path.join(projectRoot, "etc/paho.toml")
  const args = ["src/main.ts", "--config", settings, "--port", String(port), "--data", path.join(folder, "data")]
  const child = spawn(process.execPath, args, { cwd: projectRoot, stdio: ["ignore", "pipe", "pipe"] })
  let printed = ""
  child.stdout.on("data", (chunk: Buffer) => (printed += chunk.toString()))
  child.stderr.on("data", (chunk: Buffer) => (printed += chunk.toString()))
  const deadline = Date.now() + 15_000
  while (!(await answers())) {
    if (hasEnded(child) || Date.now() > deadline) {
      child.kill("SIGKILL")
      fail(`the broker did not start\n${printed}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return child
}

// The suite reads host and port itself and leaves them to unittest, which knows no such options: unittest gets a command line of its own.
const launcher = `
import runpy, sys, unittest
suite, host, port = sys.argv[1:4]
sys.path.insert(0, "")
main = unittest.main
unittest.main = lambda *args, **options: main(*args, **{**options, "argv": [suite], "verbosity": 2})
sys.argv = [suite, "--hostname", host, "--port", port]
runpy.run_path(suite, run_name="__main__")
`

interface Outcome {
  readonly passed: number
  readonly failed: ReadonlyArray<string>
}

const runSuite = async (folder: string, suite: string): Promise<Outcome> => {
  console.log(`== ${suite}`)
  const child = spawn(python, ["-u", "-c", launcher, suite, "127.0.0.1", String(port)], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"]
  })
  let printed = ""
  const show = (chunk: Buffer) => {
    printed += chunk.toString()
    process.stdout.write(chunk)
  }
  child.stdout.on("data", show)
  child.stderr.on("data", show)
  const impatient = setTimeout(() => child.kill("SIGKILL"), limitMillis)
  const status = await new Promise<number | string>((resolve) => {
    child.once("error", (error) => resolve(error.message))
    child.once("close", (code, signal) => resolve(code ?? signal ?? "no status"))
  })
  clearTimeout(impatient)
  const ran = Number(/^Ran (\d+) tests?/m.exec(printed)?.[1] ?? NaN)
  if (Number.isNaN(ran)) {
    const last = [...printed.matchAll(/^(test_\w+) /gm)].at(-1)?.[1] ?? "none"
    return { passed: 0, failed: [`${suite} did not end (${status}); the last test started: ${last}`] }
  }
  const failed = [...printed.matchAll(/^(?:FAIL|ERROR): (\S+)/gm)].map((match) => `${suite} ${match[1]}`)
  if (failed.length === 0 && status !== 0) failed.push(`${suite} ended with status ${status}`)
  return { passed: Math.max(0, ran - failed.length), failed }
}

const folder = suiteFolder(process.argv[2] ?? fail("usage: interop.ts <clone of eclipse/paho.mqtt.testing>"))
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-interop-"))
const broker = await startBroker(scratch)
const outcomes: Array<Outcome> = []
try {
  for (const suite of ["client_test.py", "client_test5.py"]) outcomes.push(await runSuite(folder, suite))
} finally {
  const ended = new Promise((resolve) => broker.once("close", resolve))
  const wasRunning = !hasEnded(broker)
  if (wasRunning) {
    broker.kill("SIGTERM")
    await ended
  } else {
    outcomes.push({ passed: 0, failed: ["the broker did not survive the suite"] })
  }
  fs.rmSync(scratch, { recursive: true, force: true })
}
const failed = outcomes.flatMap((outcome) => outcome.failed)
for (const name of failed) console.log(`failed: ${name}`)
console.log(`${outcomes.reduce((sum, outcome) => sum + outcome.passed, 0)} passed, ${failed.length} failed`)
process.exitCode = failed.length === 0 ? 0 : 1
