// `$SYS` as a part of the broker: the messages about clients, made before the first connection, and the actor that reports, joined to what it counts
// and to the other nodes. Invariant: where `sys.interval` is 0 there is no such actor.
import packageJson from "../../package.json" with { type: "json" }
import type { Settings } from "../config/Settings.ts"
import type { Scheduler } from "../otp/Scheduler.ts"
import type { Supervisor } from "../otp/Supervisor.ts"
import { runtimeName } from "../platform/runtimeName.ts"
import type { Router } from "../router/Router.ts"
import type { Presence } from "../session/Presence.ts"
import type { Services } from "../session/Services.ts"
import type { Sessions } from "../session/Sessions.ts"
import { ClientPresence } from "../sys/clientPresence.ts"
import type { Gauges } from "../sys/Report.ts"
import { nodePrefix, Sys } from "../sys/Sys.ts"
import type { Clustering } from "./ClusteredNode.ts"

/** What this node is, to its clients and to other nodes. */
export const thisNode = {
  version: packageJson.version,
  description: `emqttd, an MQTT broker, on ${runtimeName}`
}

export const presenceOf = ({ node, sys }: Settings, router: Router, scheduler: Scheduler): Presence | null =>
  sys.presence ? new ClientPresence({ router, scheduler, prefix: nodePrefix(node.name), qos: sys.presenceQoS }) : null

/** Before the first link to another node. */
export const startSystemTopics = (
  root: Supervisor,
  { counters, retainer, router, scheduler, settings, wheel }: Services,
  sessions: Sessions,
  clustering: Clustering | undefined
): void => {
  if (settings.sys.intervalMillis === 0) return
  const { name } = settings.node
  /** Alone once this node has left. */
  const running = (): ReadonlyArray<string> => {
    const present = clustering?.membership.present
    return present?.includes(name) === true ? present : [name]
  }
  const gauges = (): Gauges => ({
    clients: counters.clients_connected_total - counters.clients_disconnected_total,
    sessions: sessions.size,
    subscriptions: router.subscriptionCount,
    sharedSubscriptions: router.sharedSubscriptionCount,
    routes: router.filterCount + (clustering?.routes.routes.table.size ?? 0),
    retained: retainer.count
  })
  const sys = new Sys({
    ...thisNode,
    scheduler,
    wheel,
    router,
    retainer,
    counters,
    settings: settings.sys,
    node: name,
    gauges,
    heapBytes: () => process.memoryUsage().heapUsed,
    running,
    clustered: clustering !== undefined
  })
  if (clustering !== undefined) {
    clustering.introductions.onChange = (node, introduction) => sys.learned(node, introduction)
    clustering.membership.listen({ memberChanged: () => sys.membersChanged() })
  }
  root.startChild({ id: "sys", kind: "worker", restart: "permanent", start: sys })
}
