// One run of the crash test: a broker process on one folder, killed and started again under load, and the books that are kept of what
// it has acknowledged. Invariant: the seed decides everything that this side decides.
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { seeded } from "../otp/turns.ts"
import { brokerProgram } from "../support/brokerCommand.ts"
import { freePort } from "../support/freePort.ts"
import { Publisher, RetainedUpdater, Subscriber } from "./clients.ts"
import { MiniClient } from "./MiniClient.ts"

export interface Findings {
  readonly lost: ReadonlyArray<string>
  readonly duplicates: ReadonlyArray<string>
  readonly sessions: ReadonlyArray<string>
  readonly subscriptions: ReadonlyArray<string>
  readonly retained: ReadonlyArray<string>
  readonly refused: ReadonlyArray<string>
}

export class CrashRun {
  readonly publishers = [new Publisher("one-a", 1), new Publisher("one-b", 1), new Publisher("two", 2)]
  readonly online = [new Subscriber("online-1"), new Subscriber("online-2")]
  readonly offline = [new Subscriber("offline-1"), new Subscriber("offline-2")]
  readonly churn = new Subscriber("churn")
  readonly updater: RetainedUpdater
  /** Of each filter that comes and goes; undefined: its last request was not answered. */
  readonly filters = new Map<string, boolean | undefined>()
  kills = 0
  private readonly random: (below: number) => number
  private readonly folder = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-crash-"))
  private readonly store: string
  private readonly careless: boolean
  private readonly patienceMillis: number
  private port = 0
  private kill: () => Promise<void> = () => Promise.resolve()
  private printed = ""
  private round = 0

  /** `store`: the table of the settings; `careless`: nothing is expected to survive, so nothing is left to chance and little waited for. */
  constructor(seed: number, store: string, careless = false) {
    this.random = seeded(seed)
    this.careless = careless
    this.patienceMillis = careless ? 1_000 : 15_000
    this.updater = new RetainedUpdater(!careless)
    this.store = store
  }

  async begin(): Promise<void> {
    await this.startBroker()
    for (const [at, subscriber] of [...this.online, ...this.offline].entries()) {
      await subscriber.connect(this.port)
      await subscriber.subscribe("load/#", at % 2 === 0 ? 1 : 2)
    }
    await this.churn.connect(this.port)
    await this.churn.subscribe("load/mark", 1)
    for (const subscriber of this.offline) subscriber.client?.drop()
    for (const publisher of this.publishers) await publisher.connect(this.port)
  }

  /** Load, until it is killed at some moment, and started again. */
  async crash(): Promise<void> {
    this.round++
    this.updater.running = true
    await this.updater.connect(this.port)
    for (const publisher of this.publishers) {
      publisher.running = true
      publisher.fill()
    }
    const churning = { on: true }
    void this.churnOn(churning)
    await new Promise((resolve) => setTimeout(resolve, 20 + this.random(700)))
    while (this.careless && !this.hasSomethingOfAll) await new Promise((resolve) => setTimeout(resolve, 5)) // until it has
    churning.on = false
    this.updater.running = false
    for (const publisher of this.publishers) publisher.running = false
    await this.kill()
    this.kills++
    // What was on its way to a client counts; nothing comes after this.
    const everyone = [...this.publishers, ...this.online, this.churn, this.updater]
    await Promise.all(everyone.map(({ client }) => client?.ended))
    await this.startBroker()
  }

  /** What should not be, after all that was owed has been delivered. */
  async check(): Promise<Findings> {
    for (const subscriber of [...this.online, ...this.offline, this.churn]) await subscriber.connect(this.port)
    for (const publisher of this.publishers) await publisher.connect(this.port)
    for (const publisher of this.publishers) await publisher.idle()
    const everyone = [...this.online, ...this.offline]
    const lost: Array<string> = [...await this.mark(everyone)]
    const duplicates: Array<string> = []
    for (const { acknowledged, qos } of this.publishers) {
      for (const [at, { name, received }] of everyone.entries()) {
        for (const payload of acknowledged) {
          const times = received.get(payload) ?? 0
          if (times === 0) lost.push(`${payload} for ${name}`)
          if (times > 1 && qos === 2 && at % 2 === 1) duplicates.push(`${payload} for ${name}: ${times} times`)
        }
      }
    }
    const sessions = [...everyone, this.churn, ...this.publishers].filter(({ sessionLost }) => sessionLost)
    const refused = this.publishers.flatMap((publisher) => publisher.refused)
    const findings = {
      lost,
      duplicates,
      sessions: sessions.map(({ name }) => name),
      subscriptions: await this.checkFilters(),
      retained: await this.checkRetained(),
      refused
    }
    for (const subscriber of this.offline) subscriber.client?.drop()
    return findings
  }

  async end(): Promise<void> {
    await this.kill()
    fs.rmSync(this.folder, { recursive: true, force: true })
  }

  get log(): string {
    return this.printed
  }

  private get hasSomethingOfAll(): boolean {
    return this.publishers.every(({ acknowledged }) => acknowledged.size > 0) &&
      this.updater.topics.every(({ acknowledged }) => acknowledged > 0) && [...this.filters.values()].includes(true)
  }

  private async churnOn(churning: { readonly on: boolean }): Promise<void> {
    while (churning.on) {
      const filter = `churn/${this.random(20)}`
      const subscribe = this.filters.get(filter) !== true
      this.filters.set(filter, undefined)
      await (subscribe ? this.churn.subscribe(filter, 1) : this.churn.unsubscribe(filter))
      this.filters.set(filter, subscribe)
    }
  }

  /** All that was accepted before it has been delivered when it comes: QoS 1 and QoS 2 each in their order. */
  private async mark(subscribers: ReadonlyArray<Subscriber>): Promise<ReadonlyArray<string>> {
    const marks = [1, 2].map((qos) => ({ qos: qos as 1 | 2, payload: `mark ${this.round} ${qos}` }))
    await this.send(marks.map(({ payload, qos }) => ({ topic: "load/mark", payload, qos })))
    const payloads = marks.map(({ payload }) => payload)
    const late = await Promise.all(
      [...subscribers, this.churn].map(async (subscriber) =>
        (await subscriber.seen(payloads, this.patienceMillis)) ? [] : [`the marks for ${subscriber.name}`]
      )
    )
    return late.flat()
  }

  private async send(
    messages: ReadonlyArray<{ readonly topic: string; readonly payload: string; readonly qos: 1 | 2 }>
  ): Promise<void> {
    let left = messages.length
    let done = () => {}
    const finished = new Promise<void>((resolve) => (done = resolve))
    const client = await MiniClient.connect(this.port, {
      clientId: "checker",
      expiry: 0,
      onPacket: (packet) => {
        if (packet.cmd === "pubrec") client.send({ cmd: "pubrel", messageId: packet.messageId ?? 0 })
        if ((packet.cmd === "puback" || packet.cmd === "pubcomp") && --left === 0) done()
      }
    })
    for (const [at, message] of messages.entries()) {
      client.send({ cmd: "publish", ...message, retain: false, dup: false, messageId: at + 1 })
    }
    await finished
    client.drop()
  }

  private async checkFilters(): Promise<ReadonlyArray<string>> {
    const { received } = this.churn
    const payloadOf = (filter: string) => `${filter} in round ${this.round}`
    const filters = [...this.filters.keys()]
    await this.send(filters.map((topic) => ({ topic, payload: payloadOf(topic), qos: 1 })))
    await this.send([{ topic: "load/mark", payload: `filters ${this.round}`, qos: 1 }])
    await this.churn.seen([`filters ${this.round}`], this.patienceMillis)
    const wrong: Array<string> = []
    for (const [filter, subscribed] of this.filters) {
      const there = received.has(payloadOf(filter))
      if (subscribed === undefined) this.filters.set(filter, there)
      else if (subscribed !== there) wrong.push(`${filter}: ${there ? "there, and unsubscribed" : "lost"}`)
    }
    return wrong
  }

  private async checkRetained(): Promise<ReadonlyArray<string>> {
    const found = new Map<string, string>()
    let answered = () => {}
    const subscribed = new Promise<void>((resolve) => (answered = resolve))
    const client = await MiniClient.connect(this.port, {
      clientId: "reader",
      expiry: 0,
      onPacket: (packet) => {
        if (packet.cmd === "publish") found.set(packet.topic, packet.payload.toString())
        if (packet.cmd === "pingresp") answered()
      }
    })
    client.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "retained/#", qos: 0 }] })
    client.send({ cmd: "pingreq" })
    await subscribed
    client.drop()
    return this.updater.topics.flatMap((one) => {
      const { topic } = one
      const payload = found.get(topic)
      const wrong = this.updater.judge(topic, payload)
      // From now on it is known.
      if (wrong === undefined) one.acknowledged = one.sent = this.settled(one, payload)
      return wrong ?? []
    })
  }

  private settled(one: { readonly sent: number; readonly acknowledged: number }, payload: string | undefined): number {
    for (let version = one.sent; version >= one.acknowledged; version--) {
      if (this.updater.payloadOf(version) === (payload ?? "")) return version
    }
    return one.sent
  }

  private async startBroker(): Promise<void> {
    this.port = await freePort()
    const settings = path.join(this.folder, "emqttd.toml")
    fs.writeFileSync(settings, `[queue]\ncapacity = 1_000_000\n[log]\nlevel = "warning"\n${this.store}\n`)
    const data = path.join(this.folder, "data")
    const args = ["--host", "127.0.0.1", "--port", String(this.port), "--data", data, "--config", settings]
    const child = spawn(brokerProgram.command, [...brokerProgram.args, ...args], {
      cwd: this.folder,
      stdio: ["ignore", "ignore", "pipe"]
    })
    child.stderr.on("data", (chunk: Buffer) => (this.printed += chunk.toString()))
    let over = false
    const ended = once(child, "exit").then(() => void (over = true))
    this.kill = async () => {
      if (child.pid !== undefined && !over) process.kill(child.pid, "SIGKILL")
      await ended
    }
    const deadline = Date.now() + 20_000
    while (!(await answers(this.port))) {
      if (over || Date.now() > deadline) throw new Error(`the broker does not listen\n${this.printed}`)
      await new Promise((resolve) => setTimeout(resolve, 20)) // between two attempts to connect
    }
  }
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1")
    socket.once("connect", () => {
      socket.destroy()
      resolve(true)
    })
    socket.once("error", () => resolve(false))
  })
