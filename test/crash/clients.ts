// The clients of the crash test: what they know has been acknowledged, and what they have received, across all lives of the broker.
import type { Packet } from "mqtt-packet"
import { type Door, MiniClient } from "./MiniClient.ts"

const day = 86_400
/** Messages in flight. */
const window = 20

/** QoS 1 and 2, each payload once. */
export class Publisher {
  readonly name: string
  readonly qos: 1 | 2
  readonly acknowledged = new Set<string>()
  readonly refused: Array<string> = []
  sessionLost = false
  /** No new message while false. */
  running = false
  client: MiniClient | undefined
  private readonly inFlight = new Map<number, { readonly payload: string; released: boolean }>()
  serial = 0
  private identifier = 0
  private whenIdle: (() => void) | undefined

  constructor(name: string, qos: 1 | 2) {
    this.name = name
    this.qos = qos
  }

  /** QoS 2: goes on with what was in flight. QoS 1: what was in flight may have been delivered or not, and is forgotten. */
  async connect(door: Door): Promise<void> {
    const expected = this.client !== undefined && this.qos === 2
    const client = await MiniClient.connect(door, {
      clientId: this.name,
      expiry: this.qos === 2 ? day : 0,
      onPacket: (packet, from) => this.onPacket(packet, from)
    })
    this.client = client
    const lost = expected && !client.sessionPresent
    if (lost) this.sessionLost = true
    // Without its session nobody knows what its packet identifiers stood for.
    if (this.qos === 1 || lost) this.inFlight.clear()
    for (const [messageId, { payload, released }] of this.inFlight) {
      if (released) client.send({ cmd: "pubrel", messageId })
      else this.publish(messageId, payload, true)
    }
    this.fill()
  }

  fill(): void {
    while (this.running && this.inFlight.size < window) this.one()
  }

  /** One more message. */
  one(): void {
    do this.identifier = this.identifier % 65_535 + 1
    while (this.inFlight.has(this.identifier))
    const payload = `${this.name}:${++this.serial}`
    this.inFlight.set(this.identifier, { payload, released: false })
    this.publish(this.identifier, payload, false)
  }

  /** Exchanges that are not over. */
  get open(): number {
    return this.inFlight.size
  }

  idle(): Promise<void> {
    if (this.inFlight.size === 0) return Promise.resolve()
    return new Promise((resolve) => (this.whenIdle = resolve))
  }

  private publish(messageId: number, payload: string, dup: boolean): void {
    this.client?.send({
      cmd: "publish",
      topic: `load/${this.name}`,
      payload,
      qos: this.qos,
      dup,
      retain: false,
      messageId
    })
  }

  private onPacket(packet: Packet, client: MiniClient): void {
    if (packet.cmd !== "puback" && packet.cmd !== "pubrec" && packet.cmd !== "pubcomp") return
    const { messageId = 0 } = packet
    const exchange = this.inFlight.get(messageId)
    if (exchange === undefined) return
    // PUBCOMP 0x92: the PUBREL came again after a crash, its release had been committed.
    if (packet.cmd !== "pubcomp" && (packet.reasonCode ?? 0) >= 0x80) {
      this.refused.push(`${exchange.payload}: ${packet.cmd} ${packet.reasonCode}`)
    } else if (packet.cmd !== "pubcomp") this.acknowledged.add(exchange.payload)
    if (packet.cmd === "pubrec" && (packet.reasonCode ?? 0) < 0x80) {
      exchange.released = true
      return client.send({ cmd: "pubrel", messageId })
    }
    this.inFlight.delete(messageId)
    this.fill()
    if (this.inFlight.size > 0) return
    this.whenIdle?.()
    this.whenIdle = undefined
  }
}

/** A durable subscriber; QoS 2 exactly once on its side of the wire. */
export class Subscriber {
  readonly name: string
  readonly received = new Map<string, number>()
  /** As they came, repetitions too. */
  readonly order: Array<string> = []
  sessionLost = false
  client: MiniClient | undefined
  /** Sessions that were not there any more, or not yet, when it came. */
  losses = 0
  /** QoS 2 exchanges that a lost session has left open: whoever had them may have to send the message again. Once for each time. */
  readonly unsure: Array<string> = []
  /** What is subscribed to anew in a new session. */
  private readonly filters = new Map<string, 1 | 2>()
  /** QoS 2 whose PUBREL has not come: payloads by identifier. */
  private readonly pending = new Map<number, string>()
  private answers = new Map<number, (packet: Packet) => void>()
  private identifier = 0
  private wanted: { readonly payloads: Set<string>; readonly resolve: () => void } | undefined

  constructor(name: string) {
    this.name = name
  }

  async connect(door: Door): Promise<void> {
    const expected = this.client !== undefined
    this.answers.clear()
    const onPacket = (packet: Packet, from: MiniClient) => this.onPacket(packet, from)
    const onSession = (present: boolean) => {
      if (expected && !present) this.forget()
    }
    this.client = await MiniClient.connect(door, { clientId: this.name, expiry: day, onPacket, onSession })
  }

  /** [MQTT5-3.2.2-5] */
  private forget(): void {
    this.sessionLost = true
    this.losses++
    this.unsure.push(...this.pending.values())
    this.pending.clear()
  }

  /** After its session was lost. */
  async subscribeAnew(): Promise<void> {
    for (const [topic, qos] of this.filters) await this.subscribe(topic, qos)
  }

  subscribe(topic: string, qos: 1 | 2): Promise<Packet> {
    this.filters.set(topic, qos)
    return this.ask((messageId) => ({ cmd: "subscribe", messageId, subscriptions: [{ topic, qos }] }))
  }

  unsubscribe(topic: string): Promise<Packet> {
    this.filters.delete(topic)
    return this.ask((messageId) => ({ cmd: "unsubscribe", messageId, unsubscriptions: [topic] }))
  }

  /** Resolves with true once all of these have come; with false when nothing at all has come for `patienceMillis`. */
  seen(payloads: ReadonlyArray<string>, patienceMillis: number): Promise<boolean> {
    return new Promise((resolve) => {
      const wanted = new Set(payloads.filter((payload) => !this.received.has(payload)))
      if (wanted.size === 0) return resolve(true)
      let before = this.received.size
      const watch = setInterval(() => {
        if (this.received.size === before) done(false)
        before = this.received.size
      }, patienceMillis)
      const done = (all: boolean) => {
        clearInterval(watch)
        resolve(all)
      }
      this.wanted = { payloads: wanted, resolve: () => done(true) }
    })
  }

  /** Never answered when the broker dies meanwhile. */
  private ask(make: (messageId: number) => Packet): Promise<Packet> {
    this.identifier = this.identifier % 65_535 + 1
    const { identifier } = this
    return new Promise((resolve) => {
      this.answers.set(identifier, resolve)
      this.client?.send(make(identifier))
    })
  }

  private onPacket(packet: Packet, client: MiniClient): void {
    switch (packet.cmd) {
      case "suback":
      case "unsuback":
        return this.answers.get(packet.messageId ?? 0)?.(packet)
      case "pubrel":
        this.pending.delete(packet.messageId ?? 0)
        return client.send({ cmd: "pubcomp", messageId: packet.messageId ?? 0 })
      case "publish": {
        const { messageId = 0, payload, qos } = packet
        if (qos < 2 || !this.pending.has(messageId)) this.take(payload.toString())
        if (qos === 2) this.pending.set(messageId, payload.toString())
        if (qos > 0) client.send({ cmd: qos === 1 ? "puback" : "pubrec", messageId })
      }
    }
  }

  private take(payload: string): void {
    this.received.set(payload, (this.received.get(payload) ?? 0) + 1)
    this.order.push(payload)
    const { wanted } = this
    if (wanted?.payloads.delete(payload) === true && wanted.payloads.size === 0) wanted.resolve()
  }
}

/** Retained topics and what has been said of them: each update a number, every fifth one a deletion. */
export class RetainedUpdater {
  readonly topics = Array.from({ length: 10 }, (_, at) => ({
    topic: `retained/${at}`,
    sent: 0,
    acknowledged: 0
  }))
  running = false
  client: MiniClient | undefined
  private readonly deletes: boolean

  constructor(deletes: boolean) {
    this.deletes = deletes
  }

  payloadOf(version: number): string {
    return version === 0 || (this.deletes && version % 5 === 0) ? "" : `v${version}`
  }

  async connect(door: Door): Promise<void> {
    this.client = await MiniClient.connect(door, {
      clientId: "retained",
      expiry: 0,
      onPacket: (packet) => {
        if (packet.cmd !== "puback" || (packet.reasonCode ?? 0) >= 0x80) return
        const found = this.topics[(packet.messageId ?? 0) - 1]
        if (found === undefined) return
        found.acknowledged = found.sent
        this.update((packet.messageId ?? 0) - 1)
      }
    })
    for (let at = 0; at < this.topics.length; at++) this.update(at)
  }

  /** Why what is retained now cannot be so; undefined: it can. */
  judge(topic: string, payload: string | undefined): string | undefined {
    const found = this.topics.find((one) => one.topic === topic)
    if (found === undefined) return `${topic} was never retained`
    const possible = []
    for (let version = found.acknowledged; version <= found.sent; version++) possible.push(this.payloadOf(version))
    return possible.includes(payload ?? "") ? undefined : `${topic} is ${payload}, not one of ${possible.join()}`
  }

  private update(at: number): void {
    const found = this.topics[at]
    if (!this.running || found === undefined) return
    found.sent++
    const { topic } = found
    const payload = this.payloadOf(found.sent)
    this.client?.send({ cmd: "publish", topic, payload, qos: 1, retain: true, dup: false, messageId: at + 1 })
  }
}
