// Which of a resumed session's subscriptions the access rules deny to who comes back: another user with its client id, or the same one
// after a reload. Plain function; the session removes them.
import { Permissions } from "../access/rules/Permissions.ts"
import type { ClientLink } from "./ClientLink.ts"
import type { Subscriptions } from "./Subscriptions.ts"

export const deniedNow = ({ services, subject }: ClientLink, subscriptions: Subscriptions): ReadonlyArray<string> => {
  const permissions = new Permissions(services.rules, subject, 0)
  const denied: Array<string> = []
  for (const { qos, topicFilter } of subscriptions.values()) {
    const { allowed, by } = permissions.subscribe(topicFilter, qos)
    if (allowed) continue
    denied.push(topicFilter)
    services.counters.subscriptions_denied_total++
    services.log.warning("subscription of a resumed session denied", {
      client_id: subject.clientId,
      topic_filter: topicFilter,
      by
    })
  }
  return denied
}
