// How a node leaves its cluster: no new client comes in, those who are in are sent to other nodes, then its sessions go there too. Plain wiring of what
// clustering.ts does before it says good-bye. Invariant: a session that nobody has taken stays in the store of this node, and the log says how many.
import { Effect } from "effect"
import type { Takeover } from "../cluster/sessions/Takeover.ts"
import type { Listeners } from "../listener/Listeners.ts"
import { ReasonCode } from "../mqtt/ReasonCode.ts"
import type { Services } from "../session/Services.ts"
import type { Clustering } from "./ClusteredNode.ts"

const reason = "this node leaves its cluster"

/** At the door, while it leaves and once it has left: MQTT 5 clients are told 0x9D, with connection.server_reference where there is one. */
export const leavingRefusal = ({ state }: Pick<Clustering, "state">) =>
  state === "member" ? undefined : { reasonCode: ReasonCode.ServerMoved, reason }

/** After the listeners were made. */
export const prepareLeaving = (
  { cluster, handOver, links, membership }: Clustering,
  takeover: Takeover,
  listeners: Listeners,
  { log, settings }: Services
): void => {
  const sendAway = Effect.suspend(() => {
    for (const listener of listeners.open) listener.disconnectAll(ReasonCode.ServerMoved, reason)
    return Effect.forEach(listeners.open, (listener) => listener.emptied, { discard: true }).pipe(
      Effect.timeoutOption(settings.node.shutdownTimeoutMillis)
    )
  })
  const giveAway = (notTo: ReadonlyArray<string>) =>
    Effect.callback<void>((resume) => {
      const takers = () => membership.present.filter((name) => links.peers.has(name) && !notTo.includes(name))
      const posted = cluster.post(() =>
        takeover.handOver(takers, ({ moved, stayed }) => {
          const fields = { moved, stayed }
          if (stayed === 0) log.info("cluster: sessions handed over", fields)
          else log.warning("cluster: not all sessions were taken, the rest stays in the store of this node", fields)
          resume(Effect.void)
        })
      )
      if (!posted) resume(Effect.void)
    })
  handOver.push(() => Effect.asVoid(sendAway), giveAway)
}
