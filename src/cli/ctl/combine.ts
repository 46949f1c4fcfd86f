// What the workers of one node have answered, as the answer of the node. Pure. Invariant: what each has of its own is added up; what all have alike
// is taken from the first.
import type { ClusterMember, ClusterStatus } from "../../admin/clusterApi.ts"
import type { ClientsPage, Counts, ListenerStatus, Status, TreePart } from "../../admin/Api.ts"

type All<A> = readonly [A, ...Array<A>]

const sum = (numbers: ReadonlyArray<number>): number => numbers.reduce((total, one) => total + one, 0)

export const combinedListeners = (all: All<ReadonlyArray<ListenerStatus>>): ReadonlyArray<ListenerStatus> =>
  all[0].map((first) => {
    const same = all.flatMap((listeners) => listeners.filter(({ name }) => name === first.name))
    return {
      ...first,
      state: same.every(({ state }) => state === "running") ? "running" : first.state,
      connections: sum(same.map(({ connections }) => connections)),
      max_connections: sum(same.map(({ max_connections }) => max_connections))
    }
  })

export const combinedStatus = (all: All<Status>): Status => ({
  ...all[0],
  health: {
    ok: all.every(({ health }) => health.ok),
    reasons: all.flatMap(({ health, node }) => health.reasons.map((reason) => `${node}: ${reason}`))
  },
  connections: sum(all.map(({ connections }) => connections)),
  sessions: sum(all.map(({ sessions }) => sessions)),
  subscriptions: sum(all.map(({ subscriptions }) => subscriptions)),
  memory: {
    resident_bytes: sum(all.map(({ memory }) => memory.resident_bytes)),
    limit_bytes: all[0].memory.limit_bytes
  },
  handshakes: sum(all.map(({ handshakes }) => handshakes)),
  event_loop_lag_ms: Math.max(...all.map(({ event_loop_lag_ms }) => event_loop_lag_ms)),
  overload: all.flatMap(({ overload }) => overload),
  store: {
    failure: all.map(({ store }) => store.failure).find((failure) => failure !== "") ?? "",
    pending_bytes: sum(all.map(({ store }) => store.pending_bytes))
  },
  listeners: combinedListeners([all[0].listeners, ...all.slice(1).map(({ listeners }) => listeners)])
})

export const combinedCounts = (all: All<Counts>): Counts =>
  Object.fromEntries(Object.keys(all[0]).map((name) => [name, sum(all.map((counts) => counts[name] ?? 0))]))

export const combinedClients = (all: All<ClientsPage>): ClientsPage => ({
  ...all[0],
  total: sum(all.map(({ total }) => total)),
  clients: all.flatMap(({ clients }) => clients)
})

/** With each worker's number. */
export const combinedTree = (all: ReadonlyArray<readonly [worker: number, tree: TreePart]>): TreePart => ({
  name: "workers",
  kind: "supervisor",
  restart: "permanent",
  status: "running",
  restarts: 0,
  children: all.map(([worker, tree]) => ({ ...tree, name: `worker ${worker}` }))
})

/** A link is there when every worker has one, but for a worker's to itself. */
const combinedMember = (all: All<ClusterMember>): ClusterMember => {
  const down = all.find(({ link }) => link === "down")
  return {
    ...all[0],
    ...(down === undefined
      ? all.some(({ link }) => link === "self") ? { link: "self" as const, link_since: null } : {}
      : { link: "down" as const, link_since: down.link_since, link_fault: down.link_fault }),
    owed_messages: sum(all.map(({ owed_messages }) => owed_messages)),
    owed_bytes: sum(all.map(({ owed_bytes }) => owed_bytes)),
    queued_bytes: sum(all.map(({ queued_bytes }) => queued_bytes))
  }
}

export const combinedCluster = (all: All<ClusterStatus>): ClusterStatus => {
  const members = new Map<string, Array<ClusterMember>>()
  for (const member of all.flatMap(({ members }) => members)) {
    members.set(member.name, [...members.get(member.name) ?? [], member])
  }
  const unreachable = new Map(all.flatMap(({ unreachable }) => unreachable.map((one) => [one.address, one])))
  return {
    ...all[0],
    state: all.find(({ state }) => state !== "member")?.state ?? "member",
    majority: all.every(({ majority }) => majority),
    members: [...members.values()].flatMap(([first, ...rest]) =>
      first === undefined ? [] : combinedMember([first, ...rest])
    ),
    sessions: {
      held: sum(all.map(({ sessions }) => sessions.held)),
      known: sum(all.map(({ sessions }) => sessions.known)),
      moving: sum(all.map(({ sessions }) => sessions.moving))
    },
    unreachable: [...unreachable.values()]
  }
}
