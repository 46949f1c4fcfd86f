// The service that connected clients get, measured: pairs of a publisher and a subscriber, QoS 1, at a steady pace, whatever happens
// around them. Invariant: what is counted as lost was sent and had not come when everything else had been waited for.
import { generate, type Packet, parser } from "mqtt-packet"
import { connect, type Socket } from "node:net"

export interface ServiceReport {
  readonly sent: number
  readonly received: number
  readonly lost: number
  /** PUBACKs and PINGRESPs that did not come. */
  readonly unanswered: number
  /** Connections of ours that the broker closed. */
  readonly broken: number
  /** From the publisher's write to the subscriber's read, ms. */
  readonly p50: number
  readonly p99: number
  readonly max: number
}

const patienceMillis = 10_000

const client = (port: number, clientId: string, onPacket: (packet: Packet, socket: Socket) => void) =>
  new Promise<Socket>((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true })
    const reader = parser({ protocolVersion: 5 })
    reader.on("packet", (packet) => {
      if (packet.cmd === "connack" && packet.reasonCode === 0) resolve(socket)
      else onPacket(packet, socket)
    })
    socket.on("data", (chunk: Buffer) => reader.parse(chunk))
    socket.on("error", reject)
    socket.write(
      generate({ cmd: "connect", protocolId: "MQTT", protocolVersion: 5, clean: true, keepalive: 30, clientId })
    )
  })

export class Service {
  private readonly latencies: Array<number> = []
  private sent = 0
  private turn = 0
  private owedAnswers = 0
  private broken = 0
  private readonly seen = new Set<string>()
  private readonly publishers: Array<Socket> = []
  private readonly subscribers: Array<Socket> = []
  private changed: () => void = () => {}

  /** All connected and subscribed when it resolves. */
  static async start(port: number, pairs: number): Promise<Service> {
    const service = new Service()
    for (let pair = 0; pair < pairs; pair++) await service.addPair(port, pair)
    await service.until(() => service.owedAnswers === 0)
    return service
  }

  /** What was sent so far is not timed: the first messages find code that no runtime has compiled yet. */
  forgetLatencies(): void {
    this.latencies.length = 0
  }

  private async addPair(port: number, pair: number): Promise<void> {
    const subscriber = await client(
      port,
      `service-subscriber-${pair}`,
      (packet, socket) => this.onPacket(packet, socket)
    )
    const publisher = await client(port, `service-publisher-${pair}`, (packet, socket) => this.onPacket(packet, socket))
    for (const socket of [subscriber, publisher]) socket.on("close", () => this.broken++)
    this.owedAnswers++
    subscriber.write(
      generate({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: `service/${pair}`, qos: 1 }] }, {
        protocolVersion: 5
      })
    )
    this.subscribers.push(subscriber)
    this.publishers.push(publisher)
  }

  private onPacket(packet: Packet, socket: Socket): void {
    switch (packet.cmd) {
      case "publish": {
        const [id = "", at] = packet.payload.toString().split(" ")
        this.latencies.push(performance.now() - Number(at))
        this.seen.add(`${packet.topic} ${id}`)
        if (packet.messageId !== undefined) {
          socket.write(generate({ cmd: "puback", messageId: packet.messageId }, { protocolVersion: 5 }))
        }
        break
      }
      case "puback":
      case "pingresp":
      case "suback":
        this.owedAnswers--
        break
      default:
        this.broken++
    }
    this.changed()
  }

  /** Each publisher sends so many messages a second while `work` is under way, and a PINGREQ now and then. */
  async during<A>(work: Promise<A>, perSecond: number): Promise<A> {
    const pace = setInterval(() => {
      const turn = ++this.turn
      for (const [pair, publisher] of this.publishers.entries()) {
        this.sent++
        this.owedAnswers++
        publisher.write(
          generate({
            cmd: "publish",
            dup: false,
            retain: false,
            qos: 1,
            messageId: turn % 60_000 + 1,
            topic: `service/${pair}`,
            payload: `${turn} ${performance.now()}`
          }, { protocolVersion: 5 })
        )
        if (turn % perSecond > 0) continue
        this.owedAnswers++
        publisher.write(generate({ cmd: "pingreq" }))
      }
    }, 1_000 / perSecond)
    try {
      return await work
    } finally {
      clearInterval(pace)
    }
  }

  async end(): Promise<ServiceReport> {
    await this.until(() => this.owedAnswers === 0 && this.seen.size === this.sent)
    const { broken } = this
    for (const socket of [...this.publishers, ...this.subscribers]) socket.destroy()
    const sorted = this.latencies.toSorted((left, right) => left - right)
    const at = (share: number) => Math.round((sorted[Math.floor((sorted.length - 1) * share)] ?? 0) * 100) / 100
    return {
      sent: this.sent,
      received: this.seen.size,
      lost: this.sent - this.seen.size,
      unanswered: this.owedAnswers,
      broken,
      p50: at(0.5),
      p99: at(0.99),
      max: at(1)
    }
  }

  /** Or until patience ends: what is missing then is missing. */
  private until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, patienceMillis)
      this.changed = () => {
        if (!condition()) return
        clearTimeout(timer)
        resolve()
      }
      this.changed()
    })
  }
}
