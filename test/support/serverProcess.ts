// The processes of servers that tests start: where a program is, when its socket takes connections, when it has ended.
import type { ChildProcess } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { setTimeout as delay } from "node:timers/promises"

/** Of PATH, and where Debian keeps servers. */
export const programAt = (name: string): string | undefined =>
  [...(process.env["PATH"] ?? "").split(path.delimiter), "/usr/sbin", "/sbin"]
    .map((folder) => path.join(folder, name))
    .find((file) => fs.existsSync(file))

const connects = (socket: string): Promise<boolean> =>
  new Promise((resolve) => {
    const tried = net.connect(socket)
    tried.once("connect", () => {
      tried.destroy()
      resolve(true)
    })
    tried.once("error", () => resolve(false))
  })

/** Rejects when the process ends before. */
export const untilSocket = async (server: ChildProcess, socket: string): Promise<void> => {
  while (!await connects(socket)) {
    if (server.exitCode !== null || server.signalCode !== null) {
      throw new Error(`${server.spawnfile} ended with ${server.exitCode ?? server.signalCode} before it listened`)
    }
    await delay(20)
  }
}

export const ended = async (server: ChildProcess | undefined, signal: NodeJS.Signals): Promise<void> => {
  if (server === undefined || server.exitCode !== null || server.signalCode !== null) return
  const exit = new Promise((resolve) => server.once("exit", resolve))
  server.kill(signal)
  await exit
}

/** What a server shows, and whose it is. */
export interface ServerCertificates {
  readonly ca: string
  readonly cert: string
  readonly key: string
}
