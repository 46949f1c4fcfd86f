// MQTT.js with its events turned into inboxes. A client does not reconnect by itself; closeAll() ends all that a test opened.
import mqtt, {
  type IClientOptions,
  type IConnackPacket,
  type IDisconnectPacket,
  type IPublishPacket,
  type MqttClient as Client
} from "mqtt"
import { Inbox } from "./Inbox.ts"

export interface Version {
  readonly name: "3.1" | "3.1.1" | "5"
  readonly level: 3 | 4 | 5
}
export const versions: ReadonlyArray<Version> = [
  { name: "3.1", level: 3 },
  { name: "3.1.1", level: 4 },
  { name: "5", level: 5 }
]
export const qualities = [0, 1, 2] as const

export interface Arrived {
  readonly topic: string
  readonly payload: string
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
  readonly packet: IPublishPacket
}

const open = new Set<MqttClient>()

export class MqttClient {
  readonly client: Client
  readonly arrived = new Inbox<Arrived>()
  readonly disconnected = new Inbox<IDisconnectPacket>()
  readonly closed: Promise<void>
  connack!: IConnackPacket

  private constructor(client: Client) {
    this.client = client
    open.add(this)
    client.on(
      "message",
      (topic, payload, packet) =>
        this.arrived.put({ topic, payload: payload.toString(), qos: packet.qos, retain: packet.retain, packet })
    )
    client.on("disconnect", this.disconnected.put)
    client.on("error", () => {}) // a refused connect rejects connect(); later ones close the connection
    this.closed = new Promise((resolve) => client.once("close", () => resolve()))
  }

  static connect(port: number, version: Version, options: IClientOptions = {}): Promise<MqttClient> {
    const client = mqtt.connect({
      host: "127.0.0.1",
      port,
      protocolVersion: version.level,
      ...(version.level === 3 && { protocolId: "MQIsdp" }),
      clientId: uniqueName("client"),
      reconnectPeriod: 0,
      connectTimeout: 10_000,
      resubscribe: false,
      ...options
    })
    const self = new MqttClient(client)
    return new Promise((resolve, reject) => {
      client.once("connect", (connack) => {
        self.connack = connack
        resolve(self)
      })
      client.once("error", reject)
      client.once("close", () => reject(new Error("closed before CONNACK")))
    })
  }

  /** DISCONNECT, then the end of the connection. */
  async end(): Promise<void> {
    open.delete(this)
    if (!this.client.disconnected || this.client.connected) await this.client.endAsync()
  }

  /** The connection breaks without DISCONNECT. */
  async breakOff(): Promise<void> {
    open.delete(this)
    this.client.stream.destroy()
    await this.closed
    this.client.end(true)
  }

  static async closeAll(): Promise<void> {
    for (const client of open) await client.client.endAsync(true)
    open.clear()
  }
}

let names = 0
/** A topic or client identifier that no other test uses; at most 23 characters, as MQTT 3.1 wants. */
export const uniqueName = (prefix: string): string => `${prefix}-${process.pid.toString(36)}-${++names}`
