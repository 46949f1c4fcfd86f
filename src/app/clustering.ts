// The cluster as a part of the broker: links, membership and the actor that runs them, made before the router and opened before the
// first client. Loaded only where there is a cluster. Invariant: a broker without one has nothing of this in memory.
import packageJson from "../../package.json" with { type: "json" }
import { Effect, type Scope } from "effect"
import { Cluster } from "../cluster/Cluster.ts"
import { discovering } from "../cluster/discovery.ts"
import { Introductions } from "../cluster/Introductions.ts"
import { Refusal } from "../cluster/links/handshake.ts"
import { Links } from "../cluster/links/Links.ts"
import { Membership } from "../cluster/membership/Membership.ts"
import { clusterAdvertises, clusterListensOn } from "../config/nodeAddresses.ts"
import { formatDuration } from "../config/Quantity.ts"
import { nodeAddressOf } from "../config/sections/cluster.ts"
import type { TreeNode } from "../otp/ChildSpec.ts"
import type { Supervisor } from "../otp/Supervisor.ts"
import type { TimerWheel } from "../otp/TimerWheel.ts"
import type { ClientTls } from "../platform/connect.ts"
import { tcp } from "../platform/runtimeTcp.ts"
import { hostPort, unixPath } from "../platform/Tcp.ts"
import type { Engine } from "../store/Engine.ts"
import type { Services, Timed } from "../session/Services.ts"
import { adminCluster } from "./adminCluster.ts"
import { ClusterFailed, nextEpoch, readClusterFiles, readSecrets, transportOf } from "./clusterFiles.ts"
import type { Clustering } from "./ClusteredNode.ts"
import { thisNode } from "./systemTopics.ts"
import { type ForwardingNeeds, makeForwarding, restoreForwarding } from "./forwarding.ts"

export type { Clustering } from "./ClusteredNode.ts"

type Needs = Pick<Services, "settings" | "scheduler" | "counters" | "log">

const tickMillis = 100

/** Nothing is listened on and nobody is called yet: parts can be added to its `cluster`. */
export const makeClustering = Effect.fnUntraced(function* (
  needs: ForwardingNeeds
): Effect.fn.Return<Clustering, ClusterFailed> {
  const { counters, log, scheduler, settings } = needs
  const secrets = yield* readSecrets(settings.cluster)
  const transport = yield* transportOf(settings.cluster, log, counters)
  const links = new Links({
    settings: settings.cluster,
    secrets,
    program: packageJson.version,
    name: settings.node.name,
    epoch: yield* nextEpoch(settings.node.dataDir, scheduler.refresh()),
    scheduler,
    counters,
    log,
    wake: () => cluster.wake(),
    tls: transport.tls
  })
  const cluster = new Cluster(scheduler, links)
  const membership = new Membership({
    ...settings.cluster,
    bus: links,
    address: "",
    now: scheduler.refresh(),
    random: Math.random,
    onAddress: (name, text) => {
      const address = text === undefined ? undefined : nodeAddressOf(text)
      links.dialer.member(name, address, scheduler.now)
    },
    onMajority: (seen) => {
      const { minority } = settings.cluster
      if (seen) log.info("cluster: more than half of the members are seen again", {})
      else log.warning("cluster: no more than half of the members are seen", { minority })
    },
    onFull: (name) => log.warning("cluster: node not taken in", { node: name, limit: "cluster.max_members" }),
    // What the parts do for a link that comes up is done again when it comes back.
    onBuried: (name) => links.drop(name, "no word from it in time"),
    onDouble: () => log.error("cluster: another node has this node's name (node.name)", { node: settings.node.name })
  })
  links.isMember = (name) => membership.status(name) !== undefined
  links.admits = (name) => membership.admits(name) ? undefined : Refusal.Full
  membership.listen({
    memberChanged: (node, status) => {
      if (status === "dead") {
        log.warning("cluster: member is dead", {
          node,
          forget_after: formatDuration(settings.cluster.forgetAfterMillis)
        })
      } else log.info(`cluster: member ${status === "left" ? "has left" : `is ${status}`}`, { node })
    }
  })
  const introductions = new Introductions({ bus: links, own: thisNode })
  membership.listen(introductions)
  cluster.add(membership, introductions)
  const handOver: Clustering["handOver"] = []
  let state: Clustering["state"] = "member"
  /** Done when the cluster has done it, and has written what it had to say. */
  const inItsTurn = (act: () => void): Effect.Effect<void> =>
    Effect.callback<void>((resume) => {
      const posted = cluster.post(() => {
        act()
        resume(Effect.void)
      })
      if (!posted) resume(Effect.void)
    }).pipe(Effect.andThen(Effect.sleep(0)))
  const clustered: Omit<Clustering, "admin"> = {
    cluster,
    links,
    membership,
    introductions,
    transport,
    routes: makeForwarding(needs, cluster, links, membership),
    handOver,
    later: {},
    get state() {
      return state
    },
    join: (address) => {
      if (state === "left") {
        state = "member"
        links.open()
        membership.rejoin()
        log.info("cluster: takes part again", {})
      }
      return links.dialer.callNow(address, scheduler.now)
    },
    leave: (notTo) =>
      Effect.suspend(() => {
        if (state !== "member") return Effect.void
        state = "leaving"
        log.info("cluster: leaving", {})
        return Effect.forEach(handOver, (part) => part(notTo), { discard: true }).pipe(
          Effect.andThen(inItsTurn(() => membership.leave())),
          Effect.andThen(inItsTurn(() => {
            links.withdraw("this node leaves the cluster")
            state = "left"
            log.info("cluster: left", {})
          }))
        )
      }),
    prepareStop: () => Effect.void,
    goAway: inItsTurn(() => membership.goAway()),
    reload: (next) =>
      Effect.gen(function* () {
        // Whether there is TLS and whether there is a secret at all is of the start.
        const found = yield* readClusterFiles({ ...next, tls: settings.cluster.tls })
        if (found.secrets.includes("") !== links.secrets.includes("")) {
          return log.warning("setting changed: needs a restart", { key: "cluster.secret" })
        }
        const { tls } = found
        if (tls !== undefined && !sameTls(tls, links.tls)) {
          yield* transport.exchange(tls)
          links.tls = tls
          log.info("cluster: certificates changed, for links from now on", {})
        }
        if (found.secrets.join("\n") === links.secrets.join("\n")) return
        yield* inItsTurn(() => {
          const anew = links.useSecrets(found.secrets)
          log.info("cluster: secret changed", { secrets: found.secrets.length, links_made_anew: anew })
        })
      })
  }
  return Object.assign(clustered, { admin: adminCluster(clustered, settings.cluster) })
})

/** Listens and calls from here on; the end of the scope ends both. */
export const startClustering = Effect.fnUntraced(function* (
  root: Supervisor,
  { cluster, links, membership, routes, transport }: Clustering,
  { log, scheduler, settings, wheel }: Needs & { readonly wheel: TimerWheel<Timed> },
  engine: Engine | undefined
): Effect.fn.Return<void, ClusterFailed, Scope.Scope> {
  if (engine !== undefined) {
    yield* restoreForwarding(engine, routes, log).pipe(
      Effect.mapError(({ message }) => new ClusterFailed({ message, exitCode: 74 }))
    )
  }
  const { host, port } = clusterListensOn(settings.cluster)
  const carrier = unixPath(host) === undefined ? transport.tcp : tcp
  const listener = yield* carrier.listen({ address: host, port, backlog: 511, unixMode: 0o600 }, links.handlers).pipe(
    Effect.mapError(({ message }) => new ClusterFailed({ message: `cluster.listen: ${message}`, exitCode: 69 }))
  )
  const advertised = clusterAdvertises(settings.cluster, listener.port)
  membership.announce(hostPort(advertised.host, advertised.port))
  const peers = settings.cluster.peers.map(nodeAddressOf).filter((address) => address !== undefined)
  links.dialer.add(peers, scheduler.now)
  const ticking: Timed = {
    onTimer: () => {
      wheel.schedule(scheduler.now + tickMillis, ticking)
      cluster.onTimer()
    }
  }
  ticking.onTimer()
  const { discovery, discoveryIntervalMillis } = settings.cluster
  if (discovery !== "") {
    const start = discovering(discovery, discoveryIntervalMillis, log, ({ added, gone }) => {
      links.dialer.add(added, scheduler.refresh())
      links.dialer.remove(gone)
    })
    root.startChild({ id: "cluster discovery", kind: "worker", restart: "permanent", start })
  }
  root.startChild({
    id: "cluster",
    kind: "worker",
    restart: "permanent",
    start: cluster,
    inspect: (limit) => linksAsTree(links, limit)
  })
  log.info("cluster: listening", {
    node: settings.node.name,
    cluster: settings.cluster.name,
    address: hostPort(host, listener.port),
    advertised: hostPort(advertised.host, advertised.port)
  })
})

const sameTls = (one: ClientTls, other: ClientTls | undefined): boolean =>
  one.certificate === other?.certificate && one.key === other.key && one.ca === other.ca

const linksAsTree = (links: Links, limit: number): Pick<TreeNode, "children" | "omitted"> => {
  const children: Array<TreeNode> = []
  for (const name of links.peers.keys()) {
    if (children.length >= limit) break
    children.push({
      name: `link to ${name}`,
      kind: "worker",
      restart: "temporary",
      status: "running",
      restarts: 0,
      children: []
    })
  }
  return links.peers.size > children.length ? { children, omitted: links.peers.size - children.length } : { children }
}
