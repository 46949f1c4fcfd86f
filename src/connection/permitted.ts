// What a connection asks the access rules: who it is to them, and what of a SUBSCRIBE they leave. Plain functions.
// Topics are judged as the client writes them, before its mount point is put in front, as in the original. Invariant: a denied filter is marked and answered with 0x87 (3.1.1: 0x80); its neighbours are as they came.
import { awaited } from "../access/rules/AskedRules.ts"
import { Permissions } from "../access/rules/Permissions.ts"
import type { Subject } from "../access/rules/Rule.ts"
import type { Subscribe } from "../mqtt/Packet.ts"
import { mountSubscribe } from "../session/mountpoint.ts"
import type { Services } from "../session/Services.ts"

interface Asking {
  readonly subject: Subject
  readonly services: Services
  readonly mountpoint: string
  /** Kept by the connection: where an answer may have to be waited for. */
  readonly asking: { readonly permissions: Permissions }
}

export const permissionsOf = (
  { services: { rules, settings }, subject }: Pick<Asking, "services" | "subject">
): Permissions => new Permissions(rules, subject, settings.authorization.cacheSize)

/** What of it the rules leave, with whole topics; undefined: answers are awaited. `known`: who has asked already. */
export const permitted = (
  packet: Subscribe,
  asking: Asking,
  known: { readonly permissions: Permissions } | null
): Subscribe | undefined => {
  const { mountpoint, services: { counters, log, rules, settings }, subject } = asking
  const { awaits } = rules.authorization
  const permissions = awaits ? asking.asking.permissions : known?.permissions ?? permissionsOf(asking)
  if (awaits) {
    // All of them, so that they are fetched together.
    const open = packet.subscriptions.filter(({ qos, topicFilter }) =>
      permissions.subscribe(topicFilter, qos) === awaited
    )
    if (open.length > 0) return undefined
  }
  let denied = false
  const subscriptions = packet.subscriptions.map((request) => {
    const { allowed, by } = permissions.subscribe(request.topicFilter, request.qos)
    if (allowed) return request
    denied = true
    counters.subscriptions_denied_total++
    log.warning("subscription denied", {
      client_id: subject.clientId,
      user_name: subject.userName,
      topic_filter: request.topicFilter,
      by
    })
    return { ...request, denied } as const
  })
  return mountSubscribe(settings, mountpoint, denied ? { ...packet, subscriptions } : packet)
}
