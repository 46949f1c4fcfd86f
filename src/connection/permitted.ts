// What a connection asks the access rules: who it is to them, and what of a SUBSCRIBE they leave. Plain functions.
// Topics are as the client writes them, before its mount point is put in front, as in the original. Invariant: a denied filter is marked and answered with 0x87 (3.1.1: 0x80); its neighbours are as they came.
import { Permissions } from "../access/rules/Permissions.ts"
import type { Subject } from "../access/rules/Rule.ts"
import type { Connect, Subscribe } from "../mqtt/Packet.ts"
import type { TcpSocket } from "../platform/Tcp.ts"
import type { Services } from "../session/Services.ts"

interface Asking {
  readonly subject: Subject
  readonly services: Services
}

/** The user name as it holds: out of the certificate where the listener takes it from there, else what the client says. */
export const subjectOf = (connect: Connect, clientId: string, socket: TcpSocket, listener: string): Subject => ({
  clientId,
  userName: connect.username,
  address: socket.remoteAddress,
  listener,
  certificateName: socket.peerCertificate?.commonName,
  superuser: false
})

export const permissionsOf = ({ services: { rules, settings }, subject }: Asking): Permissions =>
  new Permissions(rules, subject, settings.authorization.cacheSize)

/** `known`: who has asked already. */
export const permitted = (
  packet: Subscribe,
  asking: Asking,
  known: { readonly permissions: Permissions } | null
): Subscribe => {
  const permissions = known?.permissions ?? permissionsOf(asking)
  const { services: { counters, log }, subject } = asking
  let denied = false
  const subscriptions = packet.subscriptions.map((request) => {
    const { allowed, by } = permissions.subscribe(request.topicFilter, request.qos)
    if (allowed) return request
    denied = true
    counters.subscriptions_denied_total++
    log.warning("subscription denied", { client_id: subject.clientId, topic_filter: request.topicFilter, by })
    return { ...request, denied } as const
  })
  return denied ? { ...packet, subscriptions } : packet
}
