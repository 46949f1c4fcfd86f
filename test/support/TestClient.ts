// A byte-level MQTT client: it sends what a test says, right or wrong, and hands back every packet whole, in order, never answering by
// itself. Packets are awaited one by one, so an unexpected one fails the test at once with what came instead.
// Invariant: nothing is dropped; a packet that no test asked for is found by expectNothing or expectClosed.

import { generate, type IConnackPacket, type IConnectPacket, type Packet, parser } from "mqtt-packet"
import { bytes, shown } from "./bytes.ts"
import { openWire, type Wire, type WireEvents, type WireType, wireType } from "./Wire.ts"

export type Version = 3 | 4 | 5
export type Command = Packet["cmd"]
export type PacketOf<C extends Command> = Extract<Packet, { cmd: C }>
export type ConnectOptions = Partial<Omit<IConnectPacket, "cmd" | "protocolVersion">>

/** Another broker is tried (see broker.ts): it may close without saying why, or say it with another code, as the standard allows. */
const lenient = process.env["EMQTTD_TEST_PORT"] !== undefined

/** The generous bound of every wait; a test that hits it fails with what the client has seen. */
const patience = lenient ? 4_500 : 6_000

interface Waiter {
  readonly resolve: () => void
}

const cut = (buffer: Buffer): { frame: Buffer; rest: Buffer } | undefined => {
  let length = 0
  let at = 1
  for (let shift = 0; shift < 28; shift += 7, at++) {
    const byte = buffer[at]
    if (byte === undefined) return undefined
    length |= (byte & 0x7f) << shift
    if (byte < 0x80) break
  }
  const end = at + 1 + length
  return buffer.length < end ? undefined : { frame: buffer.subarray(0, end), rest: buffer.subarray(end) }
}

const parsed = (frame: Buffer, version: Version): Packet => {
  const reader = parser({ protocolVersion: version })
  let result: Packet | Error | undefined
  reader.on("packet", (packet: Packet) => (result = packet))
  reader.on("error", (error: Error) => (result = error))
  reader.parse(frame)
  if (result === undefined || result instanceof Error) {
    throw new Error(`the broker sent a packet that does not parse: ${shown(frame)} ${result?.message ?? ""}`)
  }
  return result
}

/** What a test compares: buffers that hold text become text. */
const view = (value: unknown): unknown => {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("latin1")
  if (Array.isArray(value)) return value.map(view)
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, view(inner)]))
  }
  return value
}

const differs = (actual: unknown, expected: unknown, path: string): string | undefined => {
  if (typeof expected === "object" && expected !== null && typeof actual === "object" && actual !== null) {
    for (const [key, inner] of Object.entries(expected)) {
      const difference = differs(Reflect.get(actual, key), inner, path === "" ? key : `${path}.${key}`)
      if (difference !== undefined) return difference
    }
    return Array.isArray(expected) && Array.isArray(actual) && expected.length !== actual.length
      ? `${path} has ${actual.length} instead of ${expected.length}`
      : undefined
  }
  return Object.is(actual, expected)
    ? undefined
    : `${path} is ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`
}

export class TestClient {
  #socket: Wire | undefined
  readonly version: Version
  clientId = ""
  connack: IConnackPacket = { cmd: "connack", sessionPresent: false }
  readonly #frames: Array<Buffer> = []
  readonly #seen: Array<string> = []
  #pending: Buffer = Buffer.alloc(0)
  #closed = false
  #waiter: Waiter | undefined
  #packetIdentifier = 0

  private constructor(version: Version) {
    this.version = version
  }

  /** A connection, over what the run is over (Wire.ts); nothing of MQTT sent yet. */
  static open(port: number, version: Version, type: WireType = wireType): Promise<TestClient> {
    return TestClient.over((events) => openWire(port, events, type), version)
  }

  /** Over a wire of the test's own. */
  static async over(open: (events: WireEvents) => Wire | Promise<Wire>, version: Version): Promise<TestClient> {
    const client = new TestClient(version)
    client.#socket = await open({
      data: (chunk) => client.#onData(chunk),
      closed: () => client.#onClosed()
    })
    return client
  }

  /** Sends CONNECT (clean, keep alive 60) and awaits a successful CONNACK, which stays in `connack`. */
  async connect(options: ConnectOptions = {}): Promise<this> {
    this.sendConnect(options)
    this.connack = await this.receive("connack", this.version === 5 ? { reasonCode: 0 } : { returnCode: 0 })
    return this
  }

  sendConnect(options: ConnectOptions = {}): void {
    const packet: IConnectPacket = {
      cmd: "connect",
      protocolId: this.version === 3 ? "MQIsdp" : "MQTT",
      protocolVersion: this.version,
      clean: true,
      keepalive: 60,
      clientId: "",
      ...options
    }
    this.clientId = packet.clientId
    this.send(packet)
  }

  send(...what: ReadonlyArray<Packet | Uint8Array | string>): void {
    this.#socket?.write(
      Buffer.concat(
        what.map((one) =>
          typeof one === "string"
            ? bytes(one)
            : one instanceof Uint8Array
            ? one
            : generate(one, { protocolVersion: this.version })
        )
      )
    )
  }

  /** The next packet, whatever it is, as it came. */
  async nextFrame(what = "a packet"): Promise<Buffer> {
    await this.#until(() => this.#frames.length > 0 || this.#closed, what)
    const frame = this.#frames.shift()
    if (frame === undefined) throw this.#failure(`expected ${what}, but the broker closed the connection`)
    return frame
  }

  /** The next packet, or undefined when the broker closes without one. */
  async nextOrClosed(): Promise<Buffer | undefined> {
    await this.#until(() => this.#frames.length > 0 || this.#closed, "a packet or the end")
    return this.#frames.shift()
  }

  async next(what?: string): Promise<Packet> {
    return parsed(await this.nextFrame(what), this.version)
  }

  /** The next packet must be this one; `expected` names the fields that matter, buffers written as text. */
  async receive<C extends Command>(cmd: C, expected: object = {}): Promise<PacketOf<C>> {
    const what = `${cmd} ${JSON.stringify(expected)}`
    const packet = await this.next(what)
    if (packet.cmd !== cmd) throw this.#failure(`expected ${what}, but came ${JSON.stringify(view(packet))}`)
    const difference = differs(view(packet), view(expected), "")
    if (difference !== undefined) {
      throw this.#failure(`${cmd}: ${difference} in ${JSON.stringify(view(packet))}`)
    }
    return packet as PacketOf<C>
  }

  /** The next packets in any order; each must be a PUBLISH. */
  async receivePublishes(count: number): Promise<Array<PacketOf<"publish">>> {
    const found: Array<PacketOf<"publish">> = []
    while (found.length < count) found.push(await this.receive("publish"))
    return found
  }

  /** The next packets are exactly these bytes. */
  async receiveBytes(...expected: ReadonlyArray<string | Uint8Array>): Promise<void> {
    let left = bytes(...expected)
    while (left.length > 0) {
      const frame = await this.nextFrame(shown(left))
      if (!left.subarray(0, frame.length).equals(frame)) {
        throw this.#failure(`expected ${shown(left)}, but came ${shown(frame)}`)
      }
      left = left.subarray(frame.length)
    }
  }

  /** The broker closes, and sends nothing before it does. */
  async expectClosed(): Promise<void> {
    await this.#until(() => this.#frames.length > 0 || this.#closed, "the broker to close the connection")
    const frame = this.#frames[0]
    if (frame !== undefined) throw this.#failure(`expected the broker to close, but came ${shown(frame)}`)
    this.#socket?.destroy()
  }

  /** A refusal on an accepted connection: DISCONNECT with (one of) the reason codes for MQTT 5, then closed; closed at once for 3.x. */
  async expectRefused(...reasonCodes: ReadonlyArray<number>): Promise<void> {
    if (this.version === 5) await this.#receiveRefusal("disconnect", reasonCodes)
    await this.expectClosed()
  }

  /** A refused CONNECT: CONNACK with the reason code for MQTT 5, with the return code for 3.x (closed at once if undefined), then closed. */
  async expectConnectRefused(reasonCodes: number | ReadonlyArray<number>, returnCode?: number): Promise<void> {
    if (this.version === 5) await this.#receiveRefusal("connack", [reasonCodes].flat())
    else if (returnCode !== undefined) await this.receiveBytes(Buffer.of(0x20, 2, 0, returnCode))
    await this.expectClosed()
  }

  /** Nothing is on its way: the answer to a PINGREQ is the next packet. */
  async expectNothing(): Promise<void> {
    await this.ping()
  }

  /** Also a barrier: all that was sent before has been processed. */
  async ping(): Promise<void> {
    this.send("c0 00")
    await this.receiveBytes("d0 00")
  }

  nextPacketIdentifier(): number {
    this.#packetIdentifier = this.#packetIdentifier % 65_535 + 1
    return this.#packetIdentifier
  }

  /** SUBSCRIBE to one filter; resolves with its reason code. */
  async subscribe(
    topic: string,
    qos: 0 | 1 | 2 = 0,
    options: { nl?: boolean; rap?: boolean; rh?: 0 | 1 | 2; identifier?: number } = {}
  ): Promise<number> {
    const messageId = this.nextPacketIdentifier()
    const { identifier, ...flags } = options
    this.send({
      cmd: "subscribe",
      messageId,
      subscriptions: [{ topic, qos, ...flags }],
      ...(identifier === undefined ? {} : { properties: { subscriptionIdentifier: identifier } })
    })
    const suback = await this.receive("suback", { messageId })
    return Number(suback.granted[0])
  }

  /** PUBLISH and the whole handshake of its QoS; QoS 0 is followed by a ping, so that it has been processed. */
  async publish(
    topic: string,
    payload: string | Buffer = "",
    options: Partial<Omit<PacketOf<"publish">, "cmd" | "topic" | "payload">> = {}
  ): Promise<void> {
    const qos = options.qos ?? 0
    const messageId = options.messageId ?? this.nextPacketIdentifier()
    this.send({
      cmd: "publish",
      dup: false,
      retain: false,
      topic,
      payload,
      ...options,
      qos,
      ...(qos > 0 ? { messageId } : {})
    })
    if (qos === 0) return this.ping()
    if (qos === 1) {
      await this.receive("puback", { messageId })
      return
    }
    await this.receive("pubrec", { messageId })
    this.send({ cmd: "pubrel", messageId })
    await this.receive("pubcomp", { messageId })
  }

  /** Answers a PUBLISH that came in, with the whole handshake of its QoS. */
  async acknowledge(packet: PacketOf<"publish">): Promise<void> {
    const { messageId } = packet
    if (messageId === undefined) return
    if (packet.qos === 1) return this.send({ cmd: "puback", messageId })
    this.send({ cmd: "pubrec", messageId })
    await this.receive("pubrel", { messageId })
    this.send({ cmd: "pubcomp", messageId })
  }

  /** DISCONNECT, and the broker has closed when this resolves: what it does with the session and the will is decided. */
  async disconnect(packet: Partial<PacketOf<"disconnect">> = {}): Promise<void> {
    this.send({ cmd: "disconnect", ...packet })
    await this.expectClosed()
  }

  /** No more bytes from this side; the other direction stays open. */
  end(): void {
    this.#socket?.end()
  }

  /** The network fails: no DISCONNECT, the TCP connection is gone. */
  drop(): void {
    this.#socket?.destroy()
  }

  async #receiveRefusal(cmd: "connack" | "disconnect", reasonCodes: ReadonlyArray<number>): Promise<void> {
    if (lenient) await this.#until(() => this.#frames.length > 0 || this.#closed, cmd)
    if (lenient && this.#frames.length === 0) return
    const packet = await this.receive(cmd, cmd === "connack" ? { sessionPresent: false } : {})
    const reasonCode = packet.reasonCode ?? 0
    if (lenient ? reasonCode < 0x80 : !reasonCodes.includes(reasonCode)) {
      const hex = (code: number): string => `0x${code.toString(16)}`
      throw this.#failure(`${cmd} with ${hex(reasonCode)} instead of ${reasonCodes.map(hex).join(" or ")}`)
    }
  }

  #onData(chunk: Buffer): void {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk])
    for (let found = cut(this.#pending); found !== undefined; found = cut(this.#pending)) {
      this.#frames.push(found.frame)
      this.#seen.push(shown(found.frame))
      this.#pending = found.rest
    }
    this.#waiter?.resolve()
  }

  #onClosed(): void {
    this.#closed = true
    this.#waiter?.resolve()
  }

  async #until(condition: () => boolean, what: string): Promise<void> {
    const deadline = Date.now() + patience
    while (!condition()) {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(
          () => reject(this.#failure(`waited ${patience} ms in vain for ${what}`)),
          deadline - Date.now()
        )
        this.#waiter = {
          resolve: () => {
            clearTimeout(timer)
            resolve()
          }
        }
      })
    }
  }

  #failure(message: string): Error {
    const seen = this.#seen.slice(-6).map((one) => `\n  ${one}`).join("")
    return new Error(
      `client "${this.clientId}" (level ${this.version}): ${message}\nthe last packets it received:${seen || " none"}` +
        (this.#closed ? "\nthe connection is closed" : "")
    )
  }
}
