// What the management API may ask of this broker, read from its parts as they are. Invariant: nothing here changes a part's state but by
// the message that the part takes from anybody.
import packageJson from "../../package.json" with { type: "json" }
import { Effect } from "effect"
import type { RulesInvalid } from "../access/rules/loadRules.ts"
import type { AdminCluster, AdminNode } from "../admin/AdminNode.ts"
import type { Client, ListenerStatus, Reloaded } from "../admin/Api.ts"
import type { Refused } from "../admin/faults.ts"
import { adminBans } from "./banning.ts"
import type { Connection } from "../connection/Connection.ts"
import type { Listeners } from "../listener/Listeners.ts"
import type { Overload } from "../listener/Overload.ts"
import { ReasonCode } from "../mqtt/ReasonCode.ts"
import type { TreeNode } from "../otp/ChildSpec.ts"
import { memoryLimit } from "../platform/memoryLimit.ts"
import { runtimeName } from "../platform/runtimeName.ts"
import type { Services } from "../session/Services.ts"
import type { Sessions } from "../session/Sessions.ts"

import { adminRules, adminUsers } from "./adminAccess.ts"
import type { KeptAccess } from "./keptAccess.ts"

/** The broker, as far as an administrator sees it. */
export interface AdministeredBroker {
  readonly services: Services
  readonly sessions: Sessions
  readonly doors: Listeners
  readonly overload: Overload
  readonly kept: KeptAccess
  readonly cluster: AdminCluster | undefined
  readonly isClosing: boolean
  /** From where they came; whoever has started the broker knows where. */
  readonly reloadSettings: Effect.Effect<Reloaded, Refused>
  readonly reloadRules: () => Effect.Effect<void, RulesInvalid>
  readonly tree: (limit: number) => TreeNode
}

export const adminNode = (broker: AdministeredBroker): AdminNode => {
  const { bans, counters, retainer, router, scheduler, settings } = broker.services
  const startedAt = scheduler.refresh()

  const listeners = (): ReadonlyArray<ListenerStatus> =>
    broker.doors.list().map(({ maxConnections, status, ...rest }) => ({
      ...rest,
      state: status,
      max_connections: maxConnections
    }))

  /** Why a load balancer or a supervisor of the process should not count on this node. */
  const ailments = (): ReadonlyArray<string> => [
    ...(broker.isClosing ? ["the node is shutting down"] : []),
    ...broker.tree(0).children
      .filter(({ restart, status }) => restart === "permanent" && status !== "running")
      .map(({ name, status }) => `${name} is ${status}`)
  ]

  return {
    cluster: broker.cluster,
    status: () => {
      const reasons = ailments()
      return {
        version: packageJson.version,
        node: settings.node.name,
        runtime: runtimeName,
        process: process.pid,
        uptime_seconds: Math.max(0, Math.floor((scheduler.refresh() - startedAt) / 1000)),
        health: { ok: reasons.length === 0, reasons },
        connections: broker.doors.connections,
        sessions: broker.sessions.size,
        subscriptions: router.subscriptionCount,
        retained: { messages: retainer.count, bytes: retainer.payloadBytes },
        memory: { resident_bytes: process.memoryUsage.rss(), limit_bytes: memoryLimit() },
        handshakes: broker.overload.handshakes.size,
        event_loop_lag_ms: Math.round(broker.overload.eventLoopLagMillis),
        overload: [...broker.overload.marks],
        store: {
          failure: broker.services.journal.failing?.message ?? "",
          pending_bytes: broker.services.journal.pendingBytes
        },
        listeners: listeners()
      }
    },
    users: adminUsers(
      broker.kept.users,
      () => broker.kept.scram.settings,
      broker.services.journal,
      broker.services.log,
      (name) => sendUserAway(broker, name)
    ),
    rules: adminRules(broker.kept.rules, broker.services.rules, broker.services, broker.reloadRules()),
    tree: (limit) => broker.tree(limit),
    counters: () => ({ ...counters.snapshot() }),
    reload: Effect.suspend(() => broker.reloadSettings),
    listeners,
    startListener: (name) => broker.doors.start(name),
    stopListener: (name) => broker.doors.stop(name),
    clients: (limit) => {
      const clients: Array<Client> = []
      for (const [listener, connection] of connected(broker)) {
        if (clients.length >= limit) break
        const session = broker.sessions.get(connection.clientId)
        clients.push({
          client_id: connection.clientId,
          user_name: connection.subject.userName ?? null,
          peer: connection.peer,
          listener,
          protocol: connection.version,
          subscriptions: session?.subscriptions?.size ?? 0,
          owed: session?.owed ?? 0
        })
      }
      return { total: broker.doors.connections, clients }
    },
    ...adminBans(bans, broker.services.journal, () => scheduler.refresh()),
    kick: (clientId) => {
      const isThere = sendAway(broker, (connection) => connection.clientId === clientId) > 0
      if (isThere) broker.services.log.info("client sent away by the administrator", { client_id: clientId })
      return isThere
    }
  }
}

/** How many were sent away. */
const sendAway = (broker: AdministeredBroker, concerns: (connection: Connection) => boolean): number => {
  let count = 0
  for (const [, connection] of connected(broker)) {
    if (!concerns(connection)) continue
    count++
    const reason = "disconnected by the administrator"
    connection.post({ _tag: "Close", reasonCode: ReasonCode.AdministrativeAction, reason })
  }
  return count
}

const sendUserAway = (broker: AdministeredBroker, name: string): number => {
  const byClientId = broker.kept.settings().auth_users.key === "client_id"
  return sendAway(broker, ({ clientId, subject }) => (byClientId ? clientId : subject.userName) === name)
}

function* connected(broker: AdministeredBroker): Iterable<readonly [listener: string, connection: Connection]> {
  for (const { connections, settings } of broker.doors.open) {
    for (const connection of connections) if (connection.connected) yield [settings.name, connection]
  }
}
