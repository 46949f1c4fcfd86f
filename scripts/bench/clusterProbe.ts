// Publishers on one node and subscribers on another: two brokers that are one cluster over a socket on loopback, against one alone. What counts
// is what a CPU second of all brokers together does.
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { emqttdCommand, freePort, listens, projectRoot, scratchFolder } from "./brokers.ts"
import { type Result, runLoadGenerator } from "./loadGenerator.ts"

const configuration = (folder: string, name: string, port: number): string => {
  const file = path.join(folder, `${name}.toml`)
  const socket = (node: string) => `unix:${path.join(folder, `${node}.sock`)}`
  fs.writeFileSync(
    file,
    [
      "[node]",
      `name = "${name}@bench"`,
      `data_dir = ${JSON.stringify(path.join(folder, name))}`,
      "[log]",
      'level = "info"',
      "[listeners.tcp]",
      'address = "127.0.0.1"',
      `port = ${port}`,
      "[queue]",
      "capacity = 1000000",
      "[cluster]",
      `listen = "${socket(name)}"`,
      `peers = ["${socket("a")}", "${socket("b")}"]`
    ].join("\n")
  )
  return file
}

/** `args` of the load generator's pubsub. */
export const runClusterProbe = async (args: ReadonlyArray<string>): Promise<Result> => {
  const folder = scratchFolder()
  const ports = [await freePort(), await freePort()] as const
  const quoted = (words: ReadonlyArray<string>) => words.map((word) => `'${word}'`).join(" ")
  const [a, b] = (["a", "b"] as const).map((name, index) =>
    `${
      quoted([...emqttdCommand(), "--config", configuration(folder, name, ports[index] ?? 0)])
    } 2> ${folder}/${name}.log`
  )
  // One process above both, so that the load generator counts what both cost.
  const both = `${a} & a=$!; ${b} & b=$!; trap "kill $a $b" TERM; wait; wait`
  const shell = spawn("sh", ["-c", both], { cwd: projectRoot, stdio: "ignore" })
  const pid = shell.pid ?? 0
  try {
    for (const port of ports) await listens(port, 15_000)
    const linked = Date.now() + 15_000
    while (!fs.readFileSync(path.join(folder, "a.log"), "utf8").includes("link up")) {
      if (Date.now() > linked) throw new Error("the two nodes did not find each other")
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    const stop = () => Promise.resolve({})
    return await runLoadGenerator([...args, "--sub-port", String(ports[1])], { pid, port: ports[0], stop })
  } finally {
    const ended = new Promise((resolve) => shell.once("close", resolve))
    if (shell.exitCode === null) {
      shell.kill("SIGTERM")
      await ended
    }
    fs.rmSync(folder, { recursive: true, force: true })
  }
}
