// How long a cluster takes on loopback: the answer to a CONNECT whose session is on another node, and a node that joins when there are 100,000 retained
// messages and 100,000 routes. Prints a table; docs/cluster.md has the figures of a quiet machine..
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { generate, type Packet, parser } from "mqtt-packet"
import { emqttdCommand, freePort, listens, projectRoot, scratchFolder } from "./brokers.ts"

const hops = Number(process.env["HOPS"] ?? 600)
const many = 100_000

class Client {
  readonly socket: net.Socket
  readonly packets: Array<Packet> = []
  private wake: () => void = () => {}

  private constructor(socket: net.Socket) {
    this.socket = socket
    const incoming = parser({ protocolVersion: 5 })
    incoming.on("packet", (packet) => {
      this.packets.push(packet)
      this.wake()
    })
    socket.on("data", (chunk) => void incoming.parse(Buffer.from(chunk)))
    socket.on("error", () => {})
  }

  static async connect(
    port: number,
    clientId: string,
    expiry: number
  ): Promise<{ client: Client; millis: number; present: boolean }> {
    const socket = net.connect({ host: "127.0.0.1", port, noDelay: true })
    await new Promise((resolve) => socket.once("connect", resolve))
    const client = new Client(socket)
    const began = performance.now()
    client.send({
      cmd: "connect",
      protocolId: "MQTT",
      protocolVersion: 5,
      clean: expiry === 0,
      keepalive: 0,
      clientId,
      properties: { sessionExpiryInterval: expiry, receiveMaximum: 65_535 }
    })
    const connack = await client.next("connack")
    const millis = performance.now() - began
    if (connack.cmd !== "connack" || connack.reasonCode !== 0) throw new Error(JSON.stringify(connack))
    return { client, millis, present: connack.sessionPresent }
  }

  send(packet: Packet): void {
    this.socket.write(generate(packet, { protocolVersion: 5 }))
  }

  async next(cmd: Packet["cmd"]): Promise<Packet> {
    for (;;) {
      const at = this.packets.findIndex((packet) => packet.cmd === cmd)
      const found = this.packets[at]
      if (found !== undefined) {
        this.packets.splice(at, 1)
        return found
      }
      await new Promise<void>((resolve) => (this.wake = resolve))
    }
  }
}

const folder = scratchFolder()
const running: Array<ReturnType<typeof spawn>> = []

const startNode = async (name: string, peers: ReadonlyArray<string>): Promise<number> => {
  const port = await freePort()
  const socket = (node: string) => `unix:${path.join(folder, `${node}.sock`)}`
  const settings = [
    `node.data_dir=${path.join(folder, name)}`,
    `node.name=${name}@bench`,
    "listeners.tcp.address=127.0.0.1",
    `listeners.tcp.port=${port}`,
    "listeners.ws.enabled=false",
    `cluster.listen=${socket(name)}`,
    `cluster.peers=${peers.map(socket).join(",")}`,
    "retain.max_messages=1000000"
  ]
  const [program = "", ...args] = emqttdCommand()
  const log = fs.openSync(path.join(folder, `${name}.log`), "w")
  running.push(spawn(program, [...args, ...settings.flatMap((one) => ["--set", one])], {
    cwd: projectRoot,
    stdio: ["ignore", log, log]
  }))
  await listens(port, 15_000)
  return port
}

const logged = async (name: string, pattern: RegExp): Promise<void> => {
  while (!pattern.test(fs.readFileSync(path.join(folder, `${name}.log`), "utf8"))) {
    await new Promise((r) => setTimeout(r, 20))
  }
}

const percentile = (values: ReadonlyArray<number>, share: number): string => {
  const sorted = values.toSorted((a, b) => a - b)
  return `${(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(1)} ms`
}

const takeovers = async (ports: ReadonlyArray<number>, queued: number): Promise<string> => {
  const clientId = `mover-${queued}`
  let { client } = await Client.connect(ports[0] ?? 0, clientId, 1_000)
  client.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: `for/${clientId}`, qos: 1 }] })
  await client.next("suback")
  client.socket.destroy()
  const writer = (await Client.connect(ports[0] ?? 0, `writer-${queued}`, 0)).client
  for (let index = 0; index < queued; index++) {
    writer.send({
      cmd: "publish",
      topic: `for/${clientId}`,
      payload: "x".repeat(64),
      qos: 1,
      messageId: index + 1,
      dup: false,
      retain: false
    })
    await writer.next("puback")
  }
  const times: Array<number> = []
  let lost = 0
  for (let hop = 0; hop < hops; hop++) {
    const answer = await Client.connect(ports[(hop + 1) % ports.length] ?? 0, clientId, 1_000)
    if (!answer.present) lost++
    times.push(answer.millis)
    client.socket.destroy()
    client = answer.client
  }
  client.socket.destroy()
  writer.socket.destroy()
  return `| take-over, ${queued} messages queued, ${hops} times | ${percentile(times, 0.5)} | ${
    percentile(times, 0.99)
  } | ${lost} without their session |`
}

const join = async (ports: ReadonlyArray<number>): Promise<string> => {
  const port = ports[0] ?? 0
  const owners: Array<Client> = []
  for (let first = 0; first < many; first += 100) {
    const { client } = await Client.connect(port, `owner-${first}`, 0)
    const subscriptions = Array.from(
      { length: 100 },
      (_, index) => ({ topic: `route/${first + index}`, qos: 1 as const })
    )
    client.send({ cmd: "subscribe", messageId: 1, subscriptions })
    await client.next("suback")
    owners.push(client)
  }
  const owner = (await Client.connect(port, "publisher", 0)).client
  for (let index = 0; index < many; index++) {
    owner.send({
      cmd: "publish",
      topic: `retained/${index}`,
      payload: "x".repeat(64),
      qos: 1,
      messageId: index % 60_000 + 1,
      dup: false,
      retain: true
    })
    if (index % 500 === 499) { for (let left = 0; left < 500; left++) await owner.next("puback") }
  }
  const began = performance.now()
  const joined = await startNode("joins", ["a", "b"])
  await logged("joins", /link up/)
  const linked = performance.now()
  const reader = (await Client.connect(joined, "reader", 0)).client
  // All retained messages are there once the last of a sample is.
  let seen = 0
  while (seen < 100) {
    reader.packets.length = 0
    reader.send({
      cmd: "subscribe",
      messageId: 2,
      subscriptions: Array.from(
        { length: 100 },
        (_, index) => ({ topic: `retained/${index * 1_000 + 999}`, qos: 0 as const })
      )
    })
    await reader.next("suback")
    reader.send({ cmd: "pingreq" })
    await reader.next("pingresp")
    seen = reader.packets.filter(({ cmd }) => cmd === "publish").length
  }
  const retained = performance.now()
  for (const [index, topic] of [0, 33_333, 66_666, 99_999].map((n) => `route/${n}`).entries()) {
    for (let came = false; !came;) {
      reader.send({ cmd: "publish", topic, payload: "x", qos: 1, messageId: 10 + index, dup: false, retain: false })
      const answer = await reader.next("puback")
      came = answer.cmd === "puback" && answer.reasonCode === 0
    }
  }
  const routes = performance.now()
  for (const { socket } of [...owners, owner, reader]) socket.destroy()
  return `| a node joins ${many} retained messages and ${many} routes | linked after ${
    (linked - began).toFixed(0)
  } ms (start of the process with it) | retained messages ${(retained - linked).toFixed(0)} ms later | routes at most ${
    (routes - linked).toFixed(0)
  } ms later |`
}

try {
  const ports = [await startNode("a", ["b", "c"]), await startNode("b", ["a", "c"]), await startNode("c", ["a", "b"])]
  for (const name of ["a", "b", "c"]) await logged(name, /(?:link up[^]*){2}/)
  console.log("| what | p50 | p99 | |\n|---|---|---|---|")
  for (const queued of [0, 100]) console.log(await takeovers(ports, queued))
  console.log(await join(ports))
} finally {
  for (const child of running) child.kill("SIGTERM")
  await Promise.all(
    running.map((child) =>
      new Promise((resolve) => child.exitCode !== null ? resolve(0) : child.once("close", resolve))
    )
  )
  fs.rmSync(folder, { recursive: true, force: true })
}
