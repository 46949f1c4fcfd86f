// Under which names and terms a CONNECT comes in through the door of its listener: the names of its certificate, the answer of
// judgeConnect, its mount point. Plain functions of the packet, the settings and the socket; the connection does what they say.
import { randomUUID } from "node:crypto"
import type { ListenerSettings, Settings } from "../config/Settings.ts"
import type { Connect } from "../mqtt/Packet.ts"
import { ReasonCode } from "../mqtt/ReasonCode.ts"
import type { TcpSocket } from "../platform/Tcp.ts"
import { mountedConnect, mountpointFor } from "../session/mountpoint.ts"
import { isRefusal, judgeConnect, type Refusal, type Terms } from "./handshake.ts"

export interface Admission {
  /** As it holds: with the names of the certificate, and with whole topics. */
  readonly connect: Connect
  readonly terms: Terms
  readonly mountpoint: string
}

/** The name in the client's certificate goes before what the client says of itself. */
const named = (listener: ListenerSettings, connect: Connect, socket: TcpSocket): Connect | Refusal => {
  const { certificateAs } = listener
  if (certificateAs === "none") return connect
  const peer = socket.peerCertificate
  if (peer === undefined) return connect
  const name = certificateAs.endsWith("_cn") ? peer.commonName : peer.distinguishedName
  if (name === undefined || name === "") {
    return { reasonCode: ReasonCode.NotAuthorized, reason: `no name in the client certificate for ${certificateAs}` }
  }
  return certificateAs.startsWith("user_name") ? { ...connect, username: name } : { ...connect, clientId: name }
}

export const admit = (
  settings: Settings,
  listener: ListenerSettings,
  packet: Connect,
  socket: TcpSocket
): Admission | Refusal => {
  const connect = named(listener, packet, socket)
  if ("reasonCode" in connect) return connect
  const terms = judgeConnect(settings, connect, socket.remoteAddress, () => `emqttd-${randomUUID()}`)
  if (isRefusal(terms)) return terms
  const mountpoint = mountpointFor(listener.mountpoint, terms.clientId, connect.username)
  if (mountpoint === undefined) {
    const reasonCode = listener.mountpoint.includes("%u")
      ? ReasonCode.BadUserNameOrPassword
      : ReasonCode.ClientIdentifierNotValid
    return { reasonCode, reason: `no name for listeners.${listener.name}.mountpoint: empty, or with /, + or #` }
  }
  if (Buffer.byteLength(mountpoint + (connect.will?.topic ?? "")) > 65_535) {
    return { reasonCode: ReasonCode.TopicNameInvalid, reason: "the will topic is too long for the mount point" }
  }
  return { connect: mountedConnect(mountpoint, connect), terms, mountpoint }
}
