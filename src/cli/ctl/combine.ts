// What the workers of one node have answered, as the answer of the node. Pure. Invariant: what each has of its own is added up; what all have alike
// is taken from the first.
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

export const combinedTree = (all: All<TreePart>): TreePart => ({
  name: "workers",
  kind: "supervisor",
  restart: "permanent",
  status: "running",
  restarts: 0,
  children: all.map((tree, index) => ({ ...tree, name: `worker ${index + 1}` }))
})
