// The attackers of the overload test: what strangers do to a port, each kept up for as long as it is told. They follow no rule but that a
// connection which the broker closes is opened anew, from another loopback address.
import { generate } from "mqtt-packet"
import { connect, type Socket } from "node:net"

export const attackNames = ["flood", "half-open", "half-open-tls", "slow-loris"] as const
export type AttackName = (typeof attackNames)[number]

export interface AttackReport {
  readonly opened: number
  /** CONNACK with success. */
  readonly accepted: number
  /** CONNACK with another reason, by reason. */
  readonly refused: Readonly<Record<string, number>>
  /** Those that have come to an end before the attack did. */
  readonly closed: number
  /** The longest that one of these was open, ms. */
  readonly longestMillis: number
}

interface Attack {
  readonly port: number
  /** Connections at a time. */
  readonly count: number
}

class Attacker {
  opened = 0
  accepted = 0
  closed = 0
  longestMillis = 0
  readonly refused = new Map<string, number>()
  readonly sockets = new Set<Socket>()
  private readonly attack: Attack
  private over = false

  constructor(attack: Attack) {
    this.attack = attack
  }

  /** `use` decides what is done with it; `again` says whether another one takes its place when it is closed. */
  open(use: (socket: Socket, serial: number) => void, again: () => boolean): void {
    if (this.over) return
    const serial = this.opened++
    const startedAt = performance.now()
    const socket = connect({
      port: this.attack.port,
      host: "127.0.0.1",
      localAddress: `127.0.0.${2 + serial % 200}`,
      noDelay: true
    })
    let connected = false
    this.sockets.add(socket)
    socket.on("connect", () => {
      connected = true
      use(socket, serial)
    })
    socket.on("error", () => {})
    socket.on("close", () => {
      this.sockets.delete(socket)
      if (this.over) return
      if (connected) {
        this.closed++
        this.longestMillis = Math.max(this.longestMillis, performance.now() - startedAt)
      }
      if (again()) this.open(use, again)
    })
  }

  end(): AttackReport {
    this.over = true
    for (const socket of this.sockets) socket.destroy()
    return {
      opened: this.opened,
      accepted: this.accepted,
      refused: Object.fromEntries(this.refused),
      closed: this.closed,
      longestMillis: Math.round(this.longestMillis)
    }
  }
}

const connectPacket = (clientId: string): Buffer =>
  generate({ cmd: "connect", protocolId: "MQTT", protocolVersion: 5, clean: true, keepalive: 0, clientId })

/** As many CONNECTs a second as go: those that are accepted stay, those that are refused try again at once. */
const flood = (attacker: Attacker, count: number): void => {
  for (let parallel = 0; parallel < count; parallel++) {
    let next = true
    attacker.open((socket, serial) => {
      next = true
      socket.once("data", (answer: Buffer) => {
        // 20 len flags reason
        const reason = answer[3] ?? 0
        if (reason === 0) {
          attacker.accepted++
          next = false
          // It stays, and another one goes on in its place.
          flood(attacker, 1)
          return
        }
        const name = `0x${reason.toString(16)}`
        attacker.refused.set(name, (attacker.refused.get(name) ?? 0) + 1)
        socket.destroy()
      })
      socket.write(connectPacket(`flood-${process.pid}-${serial}`))
    }, () => next)
  }
}

/** Opens and waits: not a byte of a CONNECT, or of a TLS handshake no more than its beginning. */
const halfOpen = (attacker: Attacker, count: number, beginning: Buffer | undefined): void => {
  for (let parallel = 0; parallel < count; parallel++) {
    attacker.open((socket) => {
      socket.resume()
      if (beginning !== undefined) socket.write(beginning)
    }, () => true)
  }
}

/** A record header that promises a ClientHello of 508 bytes, and its first bytes. */
const beginningOfTls = Buffer.from("1603010200010001fc0303", "hex")

/** A CONNECT that comes a byte a second and never ends. Half-open itself, so that only the broker can end it. */
const slowLoris = (attacker: Attacker, count: number): NodeJS.Timeout => {
  const packet = connectPacket("slow".repeat(2_000))
  const sent = new Map<Socket, number>()
  for (let parallel = 0; parallel < count; parallel++) {
    attacker.open((socket) => {
      sent.set(socket, 0)
      socket.resume()
      socket.on("close", () => sent.delete(socket))
    }, () => true)
  }
  return setInterval(() => {
    for (const [socket, at] of sent) {
      socket.write(packet.subarray(at, at + 1))
      sent.set(socket, at + 1)
    }
  }, 1_000)
}

/** Attacks for so long, and until the broker has closed as many connections as came first (a flood: refused one). */
export const attack = async (name: AttackName, target: Attack, seconds: number): Promise<AttackReport> => {
  const attacker = new Attacker(target)
  let dribble: NodeJS.Timeout | undefined
  switch (name) {
    case "flood":
      flood(attacker, target.count)
      break
    case "half-open":
      halfOpen(attacker, target.count, undefined)
      break
    case "half-open-tls":
      halfOpen(attacker, target.count, beginningOfTls)
      break
    case "slow-loris":
      dribble = slowLoris(attacker, target.count)
      break
    default:
      name satisfies never
  }
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
  const fended = () => name === "flood" ? attacker.refused.size > 0 : attacker.closed >= target.count
  while (!fended()) await new Promise((resolve) => setTimeout(resolve, 100))
  clearInterval(dribble)
  return attacker.end()
}
