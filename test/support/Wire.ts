// What carries the bytes of a TestClient: TCP, or with EMQTTD_TEST_TRANSPORT=tls TLS, with ws WebSocket frames in which packets are cut
// and joined oddly, with wss both. Invariant: the bytes that come out are those of MQTT, in order, whatever the frames.
import { connect, type Socket } from "node:net"
import { connect as connectTls } from "node:tls"
import type { ListenerSettings } from "../../src/config/Settings.ts"
import { certificates } from "./certificates.ts"
import { clientFrame } from "./wsPackage.ts"

export type WireType = "tcp" | "tls" | "ws" | "wss"

const given = process.env["EMQTTD_TEST_TRANSPORT"] ?? "tcp"
if (given !== "tcp" && given !== "tls" && given !== "ws" && given !== "wss") {
  throw new Error(`EMQTTD_TEST_TRANSPORT=${given}: there are tcp, tls, ws and wss`)
}
/** What the tests of this run go over. */
export const wireType: WireType = given

const isEncrypted = (type: WireType): boolean => type === "tls" || type === "wss"

/** What a listener of this run needs beside the defaults. */
export const wireSettings = (type: WireType = wireType): Partial<ListenerSettings> => ({
  type,
  ...(isEncrypted(type)
    ? { certificate: certificates().file("server.crt"), key: certificates().file("server.key") }
    : {})
})

export interface WireEvents {
  readonly data: (bytes: Buffer) => void
  /** The other side has ended, in order or not; may come more than once. */
  readonly closed: () => void
}

export interface Wire {
  write(bytes: Uint8Array): void
  /** No more bytes from this side. */
  end(): void
  destroy(): void
}

const openTcp = (port: number): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, noDelay: true, allowHalfOpen: true })
    socket.once("connect", () => resolve(socket))
    socket.once("error", reject)
  })

const openTls = async (port: number): Promise<Socket> => {
  const ca = certificates().text("ca.crt")
  const options = { socket: await openTcp(port), ca, servername: "localhost", allowHalfOpen: true }
  const socket = connectTls(options)
  return new Promise((resolve, reject) => {
    socket.once("secureConnect", () => resolve(socket))
    socket.once("error", reject)
  })
}

export const upgradeRequest = (path = "/mqtt", headers: ReadonlyArray<string> = []): string =>
  [
    `GET ${path} HTTP/1.1`,
    "Host: 127.0.0.1",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ...(headers.length > 0 ? headers : ["Sec-WebSocket-Protocol: mqtt"]),
    "",
    ""
  ].join("\r\n")

/** A frame of the server at the beginning of the bytes, if it is whole. */
export const serverFrame = (bytes: Buffer): { opcode: number; payload: Buffer; size: number } | undefined => {
  const [first = 0, second = 0] = bytes
  const start = second === 126 ? 4 : second === 127 ? 10 : 2
  if (bytes.length < start) return undefined
  const length = second === 126 ? bytes.readUInt16BE(2) : second === 127 ? Number(bytes.readBigUInt64BE(2)) : second
  const size = start + length
  if (bytes.length < size) return undefined
  // Never masked, never in fragments, no reserved bits.
  if (second >= 0x80 || (first & 0xf0) !== 0x80) throw new Error(`a frame that begins with ${first} ${second}`)
  return { opcode: first & 0xf, payload: bytes.subarray(start, size), size }
}

/** Fragments of a few odd lengths, with a Ping among them, in pieces that have nothing to do with either. */
const oddly = (bytes: Uint8Array, turn: number): ReadonlyArray<Buffer> => {
  const cuts = [[bytes.length], [1, 1, 2], [3, 0, 7, 1], [5], [2, 90]][turn % 5] ?? []
  const frames: Array<Buffer> = []
  let at = 0
  for (let i = 0; at < bytes.length || i === 0; i++) {
    const length = Math.min(bytes.length - at, cuts[i] ?? 1000 * i)
    const fin = turn % 2 === 0 || at + length === bytes.length
    frames.push(clientFrame(turn % 2 === 1 && i > 0 ? 0 : 2, bytes.subarray(at, at + length), fin))
    if (i === 1) frames.push(clientFrame(9, "there?"))
    at += length
  }
  const all = Buffer.concat(frames)
  const middle = Math.floor(all.length / 3)
  return turn % 3 === 0 ? [all] : [all.subarray(0, middle), all.subarray(middle)]
}

/** A socket of whatever kind that is connected. */
export const socketWire = (socket: Socket, events: WireEvents): Wire => {
  for (const event of ["error", "end", "close"]) socket.on(event, events.closed)
  socket.on("data", (chunk) => events.data(Buffer.from(chunk)))
  return socket
}

/** Resolves when bytes can be sent: over ws, once the upgrade is answered. */
export const openWire = async (port: number, events: WireEvents, type: WireType = wireType): Promise<Wire> => {
  const socket = await (isEncrypted(type) ? openTls(port) : openTcp(port))
  if (type === "tcp" || type === "tls") return socketWire(socket, events)
  for (const event of ["error", "end", "close"]) socket.on(event, events.closed)
  let pending = Buffer.alloc(0)
  let turn = 0
  let upgraded: ((error?: Error) => void) | undefined
  const answered = new Promise<void>((resolve, reject) => {
    upgraded = (error) => error === undefined ? resolve() : reject(error)
    socket.once("close", () => reject(new Error("closed before the upgrade was answered")))
  })
  socket.on("data", (chunk) => {
    pending = Buffer.concat([pending, Buffer.from(chunk)])
    if (upgraded !== undefined) {
      const end = pending.indexOf("\r\n\r\n")
      if (end < 0) return
      const isGood = /^HTTP\/1.1 101 /.test(pending.toString("latin1", 0, end))
      upgraded(isGood ? undefined : new Error(pending.toString()))
      upgraded = undefined
      pending = pending.subarray(end + 4)
    }
    for (let frame = serverFrame(pending); frame !== undefined; frame = serverFrame(pending)) {
      pending = pending.subarray(frame.size)
      if (frame.opcode === 2) events.data(Buffer.from(frame.payload))
    }
  })
  socket.write(upgradeRequest())
  await answered
  return {
    write: (bytes) => {
      for (const piece of oddly(bytes, turn++)) socket.write(piece)
    },
    end: () => socket.end(),
    destroy: () => socket.destroy()
  }
}
