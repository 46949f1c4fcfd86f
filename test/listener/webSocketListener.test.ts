// A WebSocket listener of a real broker, byte by byte: what clients get that are wrong here, and what the operator reads of them.
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { defaultWebSocketListener } from "../../src/config/Settings.ts"
import { Effect } from "effect"
import { generate } from "mqtt-packet"
import { createServer, type Server } from "node:net"
import { RawClient } from "../platform/RawClient.ts"
import { connectBytes, publishBytes, subscribeBytes } from "../support/packets.ts"
import { type InnerBroker, startInnerBroker } from "../support/innerBroker.ts"
import { serverFrame, upgradeRequest } from "../support/Wire.ts"
import { clientFrame } from "../support/wsPackage.ts"

/** A WebSocket whose every byte the test sees. */
class RawWebSocket {
  readonly raw: RawClient
  private taken = 0

  private constructor(raw: RawClient) {
    this.raw = raw
  }

  static async open(port: number, ...request: ReadonlyArray<string | Buffer>): Promise<RawWebSocket> {
    const client = new RawWebSocket(await RawClient.connect(port))
    for (const part of request) client.raw.socket.write(part)
    return client
  }

  /** The head of the answer, its empty line left out. */
  async head(): Promise<string> {
    await this.raw.until(() => this.raw.bytes.includes("\r\n\r\n") || this.raw.ended || this.raw.closed)
    const end = this.raw.bytes.indexOf("\r\n\r\n")
    this.taken = end + 4
    return this.raw.bytes.toString("latin1", 0, end)
  }

  /** The next frame: its opcode and its payload in hex. */
  async frame(): Promise<readonly [number, string]> {
    const next = () => serverFrame(this.raw.bytes.subarray(this.taken))
    await this.raw.until(() => next() !== undefined || this.raw.ended || this.raw.closed)
    const frame = next()
    if (frame === undefined) throw new Error(`ended after ${this.raw.bytes.toString("hex")}`)
    this.taken += frame.size
    return [frame.opcode, frame.payload.toString("hex")]
  }

  /** All that came, once the broker has ended. */
  async whole(): Promise<string> {
    await this.raw.until(() => this.raw.ended || this.raw.closed)
    return this.raw.bytes.toString("latin1")
  }

  send(...parts: ReadonlyArray<Buffer>): void {
    this.raw.socket.write(Buffer.concat(parts))
  }

  async close(): Promise<void> {
    this.raw.socket.end()
    await this.raw.until(() => this.raw.closed)
  }
}

/** The port is in use: by this, or already. */
const holding = (port: number): Promise<Server | undefined> =>
  new Promise((resolve) => {
    const server = createServer().listen(port, "0.0.0.0", () => resolve(server))
    server.once("error", () => resolve(undefined))
  })

const connect = clientFrame(2, connectBytes(4, { clientId: "c" }))
const connack = "20020000"
const close = (code: number, reason = ""): string =>
  Buffer.concat([Buffer.of(code >> 8, code & 0xff), Buffer.from(reason)]).toString("hex")

describe("a listener of type ws", () => {
  let inner: InnerBroker
  let port: number
  const clients: Array<RawWebSocket> = []

  const start = async (changes: Partial<typeof defaultWebSocketListener> = {}): Promise<void> => {
    const listener = { ...defaultWebSocketListener, address: "127.0.0.1", port: 0, ...changes }
    inner = await startInnerBroker((settings) => ({ ...settings, listeners: [listener] }))
    port = inner.broker.addresses[0]?.port ?? 0
  }
  beforeEach(() => start())
  afterEach(async () => {
    for (const client of clients.splice(0)) client.raw.socket.destroy()
    await inner.stop()
  })

  const open = async (...request: ReadonlyArray<string | Buffer>): Promise<RawWebSocket> => {
    const client = await RawWebSocket.open(port, ...request)
    clients.push(client)
    return client
  }

  const upgraded = async (): Promise<RawWebSocket> => {
    const client = await open(upgradeRequest())
    assert.match(await client.head(), /^HTTP\/1.1 101 /)
    return client
  }

  const connected = async (clientId = "c"): Promise<RawWebSocket> => {
    const client = await upgraded()
    client.send(clientFrame(2, connectBytes(4, { clientId })))
    assert.deepStrictEqual(await client.frame(), [2, connack])
    return client
  }

  const lineWith = (text: string): string => inner.lines.find((line) => line.includes(text)) ?? inner.lines.join("\n")

  it("[MQTT-6.0.0-1] [MQTT5-6.0.0-1] a packet comes and goes in a binary frame", async () => {
    const client = await connected()
    client.send(clientFrame(2, Buffer.from("c000", "hex")))
    assert.deepStrictEqual(await client.frame(), [2, "d000"])
  })

  it("[MQTT-6.0.0-2] [MQTT5-6.0.0-2] packets are cut and joined over frames, from the request on", async () => {
    const packets = Buffer.concat([
      connectBytes(4, { clientId: "c" }),
      subscribeBytes(4, "t", { qos: 0 }),
      publishBytes(4, 0x30, "t", { payload: "1" }),
      publishBytes(4, 0x30, "t", { payload: "2" })
    ])
    const frames = [
      clientFrame(2, packets.subarray(0, 1), false),
      clientFrame(0, ""),
      clientFrame(2, packets.subarray(1, 20)),
      clientFrame(2, packets.subarray(20))
    ]
    const client = await open(upgradeRequest(), ...frames)
    await client.head()
    let all = ""
    while (!all.endsWith("32")) all += (await client.frame())[1]
    assert.match(all, /^20020000(?:9003[0-9a-f]{4}00)(?:3004000174)(?:31)(?:3004000174)(?:32)$/)
  })

  it("all that one turn sends is one frame, and a large one is whole", async () => {
    const client = await connected()
    client.send(clientFrame(2, subscribeBytes(4, "t", { qos: 0 })))
    await client.frame()
    const small = Array.from({ length: 50 }, (_, i) => publishBytes(4, 0x30, "t", { payload: String(i) }))
    client.send(clientFrame(2, Buffer.concat(small)))
    assert.deepStrictEqual(await client.frame(), [2, Buffer.concat(small).toString("hex")])
    const large = publishBytes(4, 0x30, "t", { payload: Buffer.alloc(300_000, "abc") })
    client.send(clientFrame(2, large))
    let all = ""
    while (all.length < 2 * large.length) all += (await client.frame())[1]
    assert.isTrue(all === large.toString("hex"))
  })

  it("a client that does not read for a while gets whole frames, in order, and QoS 0 is dropped meanwhile", async () => {
    const client = await connected()
    client.send(clientFrame(2, subscribeBytes(4, "t", { qos: 0 })))
    await client.frame()
    client.raw.socket.pause()
    const sender = await connected("sender")
    const { counters } = inner.broker
    const messages = (from: number): Buffer =>
      Buffer.concat(Array.from({ length: 40 }, (_, i) => {
        const payload = Buffer.alloc(3_000, from + i)
        payload.writeUInt32BE(from + i)
        return publishBytes(4, 0x30, "t", { payload })
      }))
    let sent = 0
    for (; counters.deliveries_dropped_congested_total === 0; sent += 40) {
      sender.send(clientFrame(2, messages(sent)), clientFrame(2, Buffer.from("c000", "hex")))
      assert.deepStrictEqual(await sender.frame(), [2, "d000"])
    }
    const dropped = counters.deliveries_dropped_congested_total
    client.raw.socket.resume()
    const parts: Array<Buffer> = []
    let bytes = 0
    const size = publishBytes(4, 0x30, "t", { payload: Buffer.alloc(3_000) }).length
    while (bytes < (sent - dropped) * size) {
      const part = Buffer.from((await client.frame())[1], "hex")
      parts.push(part)
      bytes += part.length
    }
    const all = Buffer.concat(parts)
    for (let i = 0; i < sent - dropped; i++) {
      const payload = all.subarray((i + 1) * size - 3_000, (i + 1) * size)
      assert.strictEqual(payload.readUInt32BE(), i)
      assert.isTrue(payload.subarray(4).every((byte) => byte === (i & 0xff)), `message ${i}`)
    }
  })

  it("another path at run time: it holds for the next client, and who is there stays", async () => {
    const client = await connected()
    const { settings } = inner.broker.services
    const listeners = settings.listeners.map((one) => ({ ...one, path: "/elsewhere" }))
    assert.deepStrictEqual(await Effect.runPromise(inner.broker.doors.apply({ ...settings, listeners })), [])
    port = inner.broker.addresses[0]?.port ?? 0
    assert.match(await (await open(upgradeRequest())).whole(), /^HTTP\/1.1 404 [^]*at \/elsewhere/)
    assert.match(await (await open(upgradeRequest("/elsewhere"))).head(), /^HTTP\/1.1 101 /)
    client.send(clientFrame(2, Buffer.from("c000", "hex")))
    assert.deepStrictEqual(await client.frame(), [2, "d000"])
  })

  it("a Ping is answered with its payload, while a message is in fragments", async () => {
    const client = await connected()
    client.send(clientFrame(2, "\u0000", false), clientFrame(9, "there?"))
    assert.deepStrictEqual(await client.frame(), [10, Buffer.from("there?").toString("hex")])
  })

  it("DISCONNECT is answered with a Close frame of 1000 and the end", async () => {
    const client = await connected()
    client.send(clientFrame(2, Buffer.from("e000", "hex")))
    assert.deepStrictEqual(await client.frame(), [8, close(1000)])
    await client.whole()
    client.send(clientFrame(8, Buffer.from(close(1000), "hex")))
    await client.close()
    assert.isUndefined(client.raw.error)
  })

  it("a Close frame is answered with its code, and the client's will goes out", async () => {
    const watcher = await connected()
    watcher.send(clientFrame(2, subscribeBytes(4, "gone", { qos: 0 })))
    await watcher.frame()
    const client = await upgraded()
    const will = { topic: "gone", payload: Buffer.from("x"), qos: 0 as const, retain: false }
    client.send(clientFrame(2, generate({ cmd: "connect", clientId: "w", clean: true, keepalive: 0, will })))
    assert.deepStrictEqual(await client.frame(), [2, connack])
    client.send(clientFrame(8, Buffer.from("0fa0", "hex")))
    assert.deepStrictEqual(await client.frame(), [8, "0fa0"])
    assert.deepStrictEqual(await watcher.frame(), [2, publishBytes(4, 0x30, "gone", { payload: "x" }).toString("hex")])
    await client.whole()
    await client.close()
  })

  it.each<readonly [string, () => Buffer, number, RegExp]>([
    ["[MQTT-6.0.0-1] [MQTT5-6.0.0-1] a text frame", () => clientFrame(1, "hello"), 1003, /a text frame/],
    ["a frame without a mask", () => Buffer.from("8200", "hex"), 1002, /a frame without a mask/],
    ["a frame above ws_max_frame_size", () => Buffer.from("82ff000000007fffffff00000000", "hex"), 1009, /is the limit/]
  ])("%s: the code, the end, a line for the operator", async (_, bytes, code, reason) => {
    const client = await connected()
    client.send(bytes())
    const [opcode, payload] = await client.frame()
    assert.strictEqual(opcode, 8)
    assert.strictEqual(Buffer.from(payload, "hex").readUInt16BE(), code)
    assert.match(Buffer.from(payload, "hex").toString("latin1", 2), reason)
    await client.whole()
    assert.match(
      lineWith("websocket error"),
      /^websocket error .*"listener":"ws","peer":"127.0.0.1:\d+","code":\d+,"reason"/
    )
    assert.match(lineWith("websocket error"), reason)
    assert.strictEqual(inner.broker.counters.websocket_errors_total, 1)
    assert.strictEqual(inner.broker.connections, 0)
    await client.close()
    assert.isUndefined(client.raw.error)
  })

  it.each<readonly [string, string | Buffer, RegExp, RegExp]>([
    ["a wrong path", upgradeRequest("/ws"), /^HTTP\/1.1 404 [^]*at \/mqtt/, /"status":404,"reason":"path \/ws"/],
    ["plain HTTP", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", /^HTTP\/1.1 426 [^]*MQTT over WebSocket/, /426.*plain HTTP/],
    ["no subprotocol", upgradeRequest("/mqtt", ["X: y"]), /^HTTP\/1.1 400 [^]*"mqtt"/, /400.*no subprotocol/],
    [
      "a page from elsewhere in a browser on this machine",
      upgradeRequest("/mqtt", ["Sec-WebSocket-Protocol: mqtt", "Origin: https://example.com"]),
      /^HTTP\/1.1 403 /,
      /origin https:\/\/example.com: it is not in ws_allowed_origins/
    ],
    ["MQTT over TCP", connectBytes(4, { clientId: "c" }), /^HTTP\/1.1 400 /, /MQTT without WebSocket/],
    [
      "a head without an end",
      `GET / HTTP/1.1\r\nX: ${"x".repeat(9000)}`,
      /^HTTP\/1.1 431 /,
      /431.*more than 8192 bytes/
    ]
  ])("%s: an answer in words, the end, a line for the operator", async (_, request, text, line) => {
    const client = await open(request)
    assert.match(await client.whole(), text)
    assert.match(lineWith("websocket refused"), /^websocket refused .*"listener":"ws","peer":"127.0.0.1:\d+"/)
    assert.match(lineWith("websocket refused"), line)
    assert.strictEqual(inner.broker.counters.websocket_refused_total, 1)
    assert.strictEqual(inner.broker.connections, 0)
    await client.close()
    assert.isUndefined(client.raw.error)
  })

  it("a request that does not end is closed with 408 after connect_timeout", async () => {
    await inner.stop()
    const listener = { ...defaultWebSocketListener, address: "127.0.0.1", port: 0 }
    inner = await startInnerBroker((settings) => ({
      ...settings,
      connection: { ...settings.connection, connectTimeoutMillis: 100 },
      listeners: [listener]
    }))
    port = inner.broker.addresses[0]?.port ?? 0
    const client = await open("GET /mqtt HTTP/1.1\r\n")
    assert.match(await client.whole(), /^HTTP\/1.1 408 /)
  })

  it("the default one that nobody has asked for costs a line where its port is in use, not the start", async () => {
    const [held] = await Promise.all([holding(defaultWebSocketListener.port), inner.stop()])
    inner = await startInnerBroker((settings) => ({
      ...settings,
      listeners: [...settings.listeners, defaultWebSocketListener]
    }))
    assert.deepStrictEqual(inner.broker.addresses.map(({ name }) => name), ["tcp"])
    assert.match(lineWith("no WebSocket"), /cannot listen on 0.0.0.0:8083: the address is in use.*listeners.ws.port/)
    const asked = startInnerBroker((settings) => ({ ...settings, listeners: [{ ...defaultWebSocketListener }] }))
    assert.match(await asked.then(() => "started", String), /listener ws: cannot listen on 0.0.0.0:8083/)
    held?.close()
  })

  it("X-Forwarded-For is who the client is, where it is trusted", async () => {
    const request = upgradeRequest("/mqtt", ["Sec-WebSocket-Protocol: mqtt", "X-Forwarded-For: 192.0.2.7"])
    const untrusted = await open(request, connect)
    await untrusted.head()
    assert.deepStrictEqual(await untrusted.frame(), [2, connack])
    await inner.stop()
    await start({ trustForwardedFor: true })
    const client = await open(request, connect)
    await client.head()
    // access.anonymous = "loopback": it is not on this machine.
    assert.deepStrictEqual(await client.frame(), [2, "20020005"])
    assert.match(lineWith("connection refused"), /"peer":"192.0.2.7:0"/)
  })
})
