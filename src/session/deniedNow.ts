// Which of a resumed session's subscriptions the access rules deny to who comes back: another user with its client id, or the same one
// after a reload. Plain functions; the session removes them. Invariant: what has not been answered is denied.
import { awaited } from "../access/rules/AskedRules.ts"
import { Permissions } from "../access/rules/Permissions.ts"
import type { Decision } from "../access/rules/Rule.ts"
import type { ClientLink } from "./ClientLink.ts"
import { unmountedFilter } from "./mountpoint.ts"
import type { Subscriptions } from "./Subscriptions.ts"

/** Another listener's clients are not to be met through a session that began there. */
const outside: Decision = { allowed: false, file: undefined, line: 0, by: "the mount point of the listener" }

/** Of who comes in: its own, where an answer may have to be waited for. */
export const awaitedPermissions = ({ asking, services: { rules }, subject }: ClientLink): Permissions =>
  rules.authorization.awaits ? asking.permissions : new Permissions(rules, subject, 0)

/** Why they are judged, for the log. */
export type JudgedWhen = "the session was resumed" | "the rules have changed"

/**
 * Undefined: answers have to be fetched first; `answered` is called when they are there. Who comes back gets nothing that was not answered;
 * a client that is there loses nothing for it, or a reload on a busy node would cost what a service cannot answer all at once.
 */
export const deniedNow = (
  { mountpoint, services, subject }: ClientLink,
  subscriptions: Subscriptions,
  permissions: Permissions,
  why: JudgedWhen,
  answered: () => void
): ReadonlyArray<string> | undefined => {
  const { awaits } = services.rules.authorization
  const decisions: Array<readonly [topicFilter: string, decision: Decision]> = []
  for (const { qos, topicFilter } of subscriptions.values()) {
    const filter = unmountedFilter(mountpoint, topicFilter)
    const decision = filter === undefined ? outside : permissions.subscribe(filter, qos)
    const stays = why === "the rules have changed" && decision.unanswered === true
    if (!decision.allowed && !stays) decisions.push([topicFilter, decision])
  }
  if (awaits && decisions.some(([, decision]) => decision === awaited)) {
    services.counters.rule_answers_awaited_total++
    permissions.fetch(answered)
    return undefined
  }
  if (awaits) permissions.settle()
  return decisions.map(([topicFilter, { by }]) => {
    services.counters.subscriptions_denied_total++
    services.log.warning("subscription removed: denied now", {
      client_id: subject.clientId,
      user_name: subject.userName,
      topic_filter: topicFilter,
      by,
      why
    })
    return topicFilter
  })
}
