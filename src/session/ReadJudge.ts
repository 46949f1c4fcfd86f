// Whether a session's client may still read what the session was owed before: asked of each such message as it goes out, after somebody
// else has resumed the session or the rules have changed. Plain; owned by one Outgoing until nothing from before is left.
// Invariant: what is read is either brought by a subscription that is allowed now, or its topic may be subscribed to by itself.
import type { Permissions } from "../access/rules/Permissions.ts"
import { matchesName } from "../access/rules/topicRelations.ts"
import type { Message } from "../mqtt/Message.ts"
import type { ClientLink } from "./ClientLink.ts"
import { unmountedFilter } from "./mountpoint.ts"
import type { Subscriptions } from "./Subscriptions.ts"

/** Topics whose answer is remembered. */
const remembered = 1_024

export class ReadJudge {
  private readonly link: ClientLink
  private readonly permissions: Permissions
  /** Those that were denied have been removed. */
  private readonly subscriptions: () => Subscriptions | null
  private readonly answers = new Map<string, boolean>()
  /** False until the router knows of the subscriptions that were removed: what it still gives is judged like what was there before. */
  settled = true

  /** `permissions`: of the link's client. */
  constructor(link: ClientLink, permissions: Permissions, subscriptions: () => Subscriptions | null) {
    this.link = link
    this.permissions = permissions
    this.subscriptions = subscriptions
  }

  /** True: it is given up, counted and logged. */
  refuses({ topic }: Message, qos: number): boolean {
    if (this.mayRead(topic, qos)) return false
    const { services: { counters, log }, subject: { clientId } } = this.link
    counters.deliveries_dropped_denied_total++
    log.warning("message owed from before is not delivered: its client may not read it", { client_id: clientId, topic })
    return true
  }

  private mayRead(topic: string, qos: number): boolean {
    const key = `${qos}${topic}`
    const known = this.answers.get(key)
    if (known !== undefined) return known
    const answer = this.isBrought(topic) || this.isAllowed(topic, qos)
    if (this.answers.size >= remembered) this.answers.clear()
    this.answers.set(key, answer)
    return answer
  }

  private isBrought(topic: string): boolean {
    for (const { filter } of this.subscriptions()?.values() ?? []) if (matchesName(filter, topic)) return true
    return false
  }

  /** What has to be asked elsewhere first is not allowed. */
  private isAllowed(topic: string, qos: number): boolean {
    const own = unmountedFilter(this.link.mountpoint, topic)
    return own !== undefined && own !== "" && this.permissions.subscribe(own, qos).allowed
  }
}
