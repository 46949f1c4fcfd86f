// Which of a resumed session's subscriptions the access rules deny to who comes back: another user with its client id, or the same one
// after a reload. Plain function; the session removes them.
import { Permissions } from "../access/rules/Permissions.ts"
import type { ClientLink } from "./ClientLink.ts"
import { unmountedFilter } from "./mountpoint.ts"
import type { Subscriptions } from "./Subscriptions.ts"

/** Another listener's clients are not to be met through a session that began there. */
const outside = { allowed: false, by: "the mount point of the listener" }

export const deniedNow = (
  { mountpoint, services, subject }: ClientLink,
  subscriptions: Subscriptions
): ReadonlyArray<string> => {
  const permissions = new Permissions(services.rules, subject, 0)
  const denied: Array<string> = []
  for (const { qos, topicFilter } of subscriptions.values()) {
    const filter = unmountedFilter(mountpoint, topicFilter)
    const { allowed, by } = filter === undefined ? outside : permissions.subscribe(filter, qos)
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
