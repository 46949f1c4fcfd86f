// Under which names and terms a CONNECT comes in through the door of its listener. Before anybody is asked who it is: the names of its
// certificate, what can be judged at once. After: what the authentication chain says of it, its mount point. Plain functions of the
// packet, the settings and the socket; the connection does what they say.
import { randomUUID } from "node:crypto"
import type { Verdict } from "../access/authentication/Authentication.ts"
import type { Credentials } from "../access/authentication/AuthLink.ts"
import type { Subject } from "../access/rules/Rule.ts"
import type { ListenerSettings } from "../config/Settings.ts"
import type { Connect } from "../mqtt/Packet.ts"
import { ReasonCode, reasonName } from "../mqtt/ReasonCode.ts"
import type { TcpSocket } from "../platform/Tcp.ts"
import { mountedConnect, mountpointFor } from "../session/mountpoint.ts"
import type { Services } from "../session/Services.ts"
import { judgeConnect, type Refusal, type Terms, termsOf } from "./handshake.ts"

/** Nothing is against it yet, and nobody vouches for it. */
export interface Applicant {
  /** With the names of the certificate. */
  readonly connect: Connect
  readonly credentials: Credentials
}

export interface Admission {
  /** As it holds: with the names that the chain gave, and with whole topics. */
  readonly connect: Connect
  readonly terms: Terms
  readonly mountpoint: string
  readonly subject: Subject
}

type Peer = Pick<TcpSocket, "remoteAddress" | "peerCertificate">

/** It went before anybody could ask: no rule about addresses or certificates is to be got around so. */
const nameless: Refusal = {
  reasonCode: ReasonCode.NotAuthorized,
  reason: "the client certificate is not known any more"
}
const fromNowhere: Refusal = { reasonCode: ReasonCode.NotAuthorized, reason: "its address is not known any more" }

/** The name in the client's certificate goes before what the client says of itself. */
const named = (listener: ListenerSettings, connect: Connect, socket: Peer): Connect | Refusal => {
  const { certificateAs } = listener
  if (certificateAs === "none") return connect
  const peer = socket.peerCertificate
  if (peer === undefined) return listener.clientCertificate === "required" ? nameless : connect
  const name = certificateAs.endsWith("_cn") ? peer.commonName : peer.distinguishedName
  if (name === undefined || name === "") {
    return { reasonCode: ReasonCode.NotAuthorized, reason: `no name in the client certificate for ${certificateAs}` }
  }
  return certificateAs.startsWith("user_name") ? { ...connect, username: name } : { ...connect, clientId: name }
}

/** What is asked of the node. */
type Asked = Pick<Services, "settings" | "bans">

export const applicantOf = (
  { bans, settings }: Asked,
  listener: ListenerSettings,
  packet: Connect,
  socket: Peer
): Applicant | Refusal => {
  if (socket.remoteAddress === "") return fromNowhere
  const connect = named(listener, packet, socket)
  if ("reasonCode" in connect) return connect
  const against = judgeConnect(settings, connect)
  if (against !== undefined) return against
  const certificate = socket.peerCertificate
  const credentials: Credentials = {
    // [MQTT-3.1.3-6] [MQTT5-3.1.3-6] [MQTT5-3.1.3-7]
    clientId: connect.clientId === "" ? `emqttd-${randomUUID()}` : connect.clientId,
    assigned: connect.clientId === "",
    userName: connect.username,
    password: connect.password,
    address: socket.remoteAddress,
    listener: listener.name,
    certificateName: certificate?.commonName,
    certificateSubject: certificate?.distinguishedName,
    protocolVersion: connect.protocolVersion
  }
  return bans.refusal(credentials) ?? { connect, credentials }
}

export const admit = (
  { bans, settings }: Asked,
  listener: ListenerSettings,
  { connect: asked, credentials }: Applicant,
  verdict: Verdict
): Admission | Refusal => {
  // [MQTT-3.1.4-2] [MQTT5-3.1.4-2]
  // A stranger learns nothing of names, links and settings.
  if (verdict._tag === "Deny") return { ...verdict, told: reasonName(verdict.reasonCode) }
  const clientId = verdict.clientId ?? credentials.clientId
  const userName = verdict.userName ?? credentials.userName
  if (clientId === "" || Buffer.byteLength(clientId) > settings.connection.maxClientIdLength) {
    const reason = `${verdict.by} gives it a client id that is empty or longer than connection.max_client_id_length`
    return { reasonCode: ReasonCode.ClientIdentifierNotValid, reason }
  }
  // Under the names that hold, and as it is now: the answer may have taken its time.
  const banned = bans.refusal({ clientId, userName, address: credentials.address })
  if (banned !== undefined) return banned
  const connect = userName === asked.username ? asked : { ...asked, username: userName }
  const mountpoint = mountpointFor(listener.mountpoint, clientId, userName)
  if (mountpoint === undefined) {
    const reasonCode = listener.mountpoint.includes("%u")
      ? ReasonCode.BadUserNameOrPassword
      : ReasonCode.ClientIdentifierNotValid
    return {
      reasonCode,
      reason: `no name for listeners.${listener.name}.mountpoint: empty, with /, + or #, or with $ in front`
    }
  }
  if (Buffer.byteLength(mountpoint + (connect.will?.topic ?? "")) > 65_535) {
    return { reasonCode: ReasonCode.TopicNameInvalid, reason: "the will topic is too long for the mount point" }
  }
  const { address, certificateName } = credentials
  return {
    connect: mountedConnect(mountpoint, connect),
    terms: termsOf(settings, connect, { clientId, endsAt: verdict.expiresAt ?? Infinity }),
    mountpoint,
    subject: {
      clientId,
      userName,
      address,
      listener: listener.name,
      certificateName,
      superuser: verdict.superuser,
      rules: verdict.rules,
      by: verdict.by
    }
  }
}
