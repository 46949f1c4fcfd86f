// How a node leaves its cluster: no new client comes in, those who are in are sent to other nodes, then its sessions go there too. And how one stops: it
// stays for a moment for the sessions of its clients, who come back elsewhere. Plain wiring of what clustering.ts and Broker.ts do before they say
// good-bye. Invariant: a session that nobody has taken stays in the store of this node, and the log says how many.
import { Effect } from "effect"
import type { Takeover } from "../cluster/sessions/Takeover.ts"
import type { Listeners } from "../listener/Listeners.ts"
import { ReasonCode } from "../mqtt/ReasonCode.ts"
import type { Services } from "../session/Services.ts"
import type { Sessions } from "../session/Sessions.ts"
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
      const takers = () =>
        membership.present.filter((name) =>
          links.peers.has(name) && !takeover.closing.has(name) && !notTo.includes(name)
        )
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

const lookMillis = 20

/** After the store was read. */
export const prepareStopping = (
  clustering: Clustering,
  takeover: Takeover,
  sessions: Sessions,
  { log, settings }: Pick<Services, "log" | "settings">
): void => {
  const { cluster, links } = clustering
  const { drainTimeoutMillis } = settings.cluster
  clustering.prepareStop = () => {
    const awaited = sessions.keptOfClients()
    cluster.post(() => takeover.sayClosing())
    const looks = Math.ceil(Math.min(drainTimeoutMillis, settings.node.shutdownTimeoutMillis / 2) / lookMillis)
    let gone = 0
    const isDone = () => {
      while (gone < awaited.length && sessions.get(awaited[gone] ?? "") === undefined) gone++
      return gone === awaited.length && takeover.moving === 0 && sessions.departingCount === 0
    }
    const hasTakers = () => [...links.peers.keys()].some((name) => !takeover.closing.has(name))
    return Effect.gen(function* () {
      let look = 0
      for (; look < looks && hasTakers() && !isDone(); look++) yield* Effect.sleep(lookMillis)
      if (look > 0) log.info("cluster: sessions have followed their clients", { moved: gone, of: awaited.length })
    })
  }
}
