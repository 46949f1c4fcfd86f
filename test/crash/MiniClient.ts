// An MQTT 5 client of the crash test: one connection, packets in and out as they are. What an exchange has come to is kept by whoever
// uses it, as a device would keep it on its own disk.
import { generate, type Packet, parser } from "mqtt-packet"
import { connect, type Socket } from "node:net"

/** Where a broker is reached: a port of this machine, or the path of a socket. */
export type Door = number | string

export interface MiniOptions {
  readonly clientId: string
  /** Seconds; 0: a clean session. */
  readonly expiry: number
  /** Called in the order in which they come, the first ones before `connect` has resolved. */
  readonly onPacket: (packet: Packet, client: MiniClient) => void
  /** Of CONNACK, before any other packet is looked at. */
  readonly onSession?: (present: boolean) => void
}

const patience = 20_000

export class MiniClient {
  sessionPresent = false
  closed = false
  readonly ended: Promise<void>
  private readonly socket: Socket

  private constructor(socket: Socket, onPacket: (packet: Packet) => void) {
    this.socket = socket
    const incoming = parser({ protocolVersion: 5 })
    incoming.on("packet", onPacket)
    socket.on("data", (chunk) => void incoming.parse(Buffer.from(chunk)))
    this.ended = new Promise((resolve) =>
      socket.once("close", () => {
        this.closed = true
        resolve()
      })
    )
  }

  static connect(door: Door, { clientId, expiry, onPacket, onSession }: MiniOptions): Promise<MiniClient> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`${clientId}: no CONNACK`)), patience)
      const socket = connect(
        typeof door === "number" ? { host: "127.0.0.1", port: door, noDelay: true } : { path: door }
      )
      socket.on("error", reject)
      socket.on("close", () => reject(new Error(`${clientId}: closed`)))
      let accepted = false
      const client = new MiniClient(socket, (packet) => {
        if (accepted) return onPacket(packet, client)
        clearTimeout(late)
        if (packet.cmd !== "connack" || packet.reasonCode !== 0) {
          return reject(new Error(`${clientId}: ${JSON.stringify(packet)}`))
        }
        accepted = true
        client.sessionPresent = packet.sessionPresent
        onSession?.(packet.sessionPresent)
        resolve(client)
      })
      socket.once("connect", () =>
        client.send({
          cmd: "connect",
          protocolId: "MQTT",
          protocolVersion: 5,
          clean: expiry === 0,
          keepalive: 0,
          clientId,
          properties: { sessionExpiryInterval: expiry }
        }))
    })
  }

  send(packet: Packet): void {
    if (!this.closed) this.socket.write(generate(packet, { protocolVersion: 5 }))
  }

  drop(): void {
    this.socket.destroy()
  }
}
