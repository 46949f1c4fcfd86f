// What the management API may ask of the cluster, and tell it. Reads are plain; what changes something runs in the cluster's own turn.
import { Effect, Fiber } from "effect"
import type { AdminCluster } from "../admin/AdminNode.ts"
import type { ClusterMember } from "../admin/clusterApi.ts"
import { Refused } from "../admin/faults.ts"
import { keyOf } from "../cluster/links/Dialer.ts"
import type { ClusterRoutes } from "../cluster/routes/ClusterRoutes.ts"
import type { Links } from "../cluster/links/Links.ts"
import type { Member } from "../cluster/membership/MemberTable.ts"
import { clusterListensOn } from "../config/nodeAddresses.ts"
import { unixPath } from "../platform/Tcp.ts"
import { nodeAddressOf } from "../config/sections/cluster.ts"
import type { ClusterSettings } from "../config/Settings.ts"
import type { Clustering } from "./ClusteredNode.ts"

export const adminCluster = (clustering: Omit<Clustering, "admin">, settings: ClusterSettings): AdminCluster => {
  const { cluster, later, links, membership, routes } = clustering
  const { self, table } = membership

  /** In the cluster's turn; what it answers. */
  const told = <A>(act: () => A): Effect.Effect<A, Refused> =>
    Effect.callback((resume) => {
      if (!cluster.post(() => resume(Effect.succeed(act())))) {
        resume(Effect.fail(new Refused({ message: "the cluster is not running at present" })))
      }
    })

  return {
    status: () => ({
      cluster: settings.name,
      node: self,
      address: table.get(self)?.address ?? "",
      state: clustering.state,
      program: links.identity.program,
      protocol: links.identity.versions,
      secrets: links.secrets.filter((secret) => secret !== "").length,
      majority: membership.seesMajority,
      minority: settings.minority,
      members: [...table.members.values()]
        .filter(({ name, status }) => status !== "left" || name === self)
        .sort((one, other) => one.name < other.name ? -1 : 1)
        .map((member) => memberOf(member, links, self, routes)),
      sessions: {
        held: later.takeover?.directory.heldCount ?? 0,
        known: later.takeover?.directory.table.size ?? 0,
        moving: later.takeover?.moving ?? 0
      },
      retained_digest: later.retained === undefined ? "" : folded(later.retained.stamps.digest),
      unreachable: [...links.dialer.targets].flatMap(({ address, isMember, lastReason }) =>
        lastReason === "" || isMember ? [] : [{ address: keyOf(address), reason: lastReason }]
      )
    }),
    join: (text) =>
      Effect.gen(function* () {
        const address = nodeAddressOf(text)
        if (address === undefined) {
          return yield* new Refused({ message: `${text}: expected host:port, as in 10.0.0.1:4370` })
        }
        if (unixPath(clusterListensOn(settings).host) !== undefined && unixPath(address.host) === undefined) {
          return yield* new Refused({
            message:
              "this node listens for others on a socket file alone: a cluster on the network needs cluster.listen"
          })
        }
        const target = yield* told(() => clustering.join(address))
        for (let left = Math.min(settings.connectTimeoutMillis, longestMillis); left > 0; left -= patienceMillis) {
          if (target.name === self) return yield* new Refused({ message: `${text}: that is this node itself` })
          if (target.name !== undefined && links.peers.has(target.name)) return { node: target.name }
          if (target.failures > 0) return yield* new Refused({ message: `${text}: ${target.lastReason}` })
          yield* Effect.sleep(patienceMillis)
        }
        return yield* new Refused({ message: `${text}: no answer in time; it is tried on` })
      }),
    leave: (notTo) =>
      Effect.gen(function* () {
        const leaving = yield* Effect.forkDetach(clustering.leave(notTo))
        const done = yield* Effect.timeoutOption(Fiber.join(leaving), longestMillis)
        if (done._tag === "Some") return
        return yield* new Refused({
          message: "it is leaving: sessions are still being handed over (emqttd ctl cluster status)"
        })
      }),
    remove: (name) =>
      Effect.flatMap(
        told(() => membership.remove(name)),
        (fault) => fault === undefined ? Effect.void : Effect.fail(new Refused({ message: `${name}: ${fault}` }))
      )
  }
}

const folded = (sums: Uint32Array): string => {
  let one = 0x811c9dc5
  let two = 0x9747b28c
  for (const sum of sums) {
    one = Math.imul(one ^ sum, 0x01000193)
    two = Math.imul(two ^ sum, 0x85ebca6b)
  }
  return hex(one) + hex(two)
}

const hex = (number: number): string => (number >>> 0).toString(16).padStart(8, "0")

const patienceMillis = 50
/** `ctl` waits no longer than ten seconds for an answer. */
const longestMillis = 8_000

const memberOf = (
  { address, epoch, name, since, status }: Member,
  links: Links,
  self: string,
  { forwarder, routes }: ClusterRoutes
): ClusterMember => {
  const link = links.links.get(name)
  const target = links.dialer.ofMember(name)
  const { program, versions } = links.identity
  const known = routes.digestOf(name)
  return {
    name,
    status,
    address,
    since,
    started: epoch,
    ...(name === self
      ? { link: "self", link_since: null, link_fault: "", program, protocol: versions.highest }
      : link === undefined
      ? {
        link: "down",
        link_since: target?.lostAt || null,
        link_fault: (target?.lastReason || target?.lostBecause) ?? "",
        program: "",
        protocol: 0
      }
      : {
        link: "up",
        link_since: link.upAt,
        link_fault: "",
        program: link.theirs?.program ?? "",
        protocol: link.peer?.version ?? 0
      }),
    owed_messages: forwarder.owedTo(name).messages,
    owed_bytes: forwarder.owedTo(name).bytes,
    queued_bytes: link?.queue.bytes ?? 0,
    routes: known?.rows ?? 0,
    routes_digest: known === undefined ? "" : hex(known.a) + hex(known.b)
  }
}
