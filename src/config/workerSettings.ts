// What one of several processes on this machine is told: the settings of all, with a name, a data directory and a place among the others of its own. Plain
// functions. Invariants: the first worker has the data directory itself, so that a node that is given workers keeps what it has; the others
// are found by each without asking.
import * as path from "node:path"
import { clusterListensOn, nodeNameOf } from "./nodeAddresses.ts"
import { type NodeAddress, nodeAddressOf } from "./sections/cluster.ts"
import type { ClusterSettings, Settings } from "./Settings.ts"

/** Where a worker keeps its state. `worker`: from 1 on. */
export const workerDirectory = (dataDir: string, worker: number): string =>
  worker === 1 ? dataDir : path.join(dataDir, `worker-${worker}`)

/** Names how many there are, for `emqttd ctl`; it is there while they run. */
export const workersFile = (dataDir: string): string => path.join(dataDir, "workers")

const nameOf = (name: string, worker: number): string => name.replace("@", `-${worker}@`)

/** The node whose worker has this name; undefined: no worker has such a one. */
export const nodeOfWorker = (name: string): string | undefined => {
  const [, before, after] = /^(.+)-\d+@(.*)$/.exec(name) ?? []
  return before === undefined || after === undefined ? undefined : `${before}@${after}`
}

const isOnNetwork = ({ advertise, discovery, listen, peers }: ClusterSettings): boolean =>
  advertise !== "" || discovery !== "" || peers.length > 0 || (listen !== "" && !listen.startsWith("unix:"))

/** Worker n is n - 1 ports above the first, or has a socket file of its own beside it. */
const placeOf = ({ host, port }: NodeAddress, worker: number): string => {
  if (host.startsWith("unix:")) return worker === 1 ? host : `${host}-${worker}`
  return `${host.includes(":") ? `[${host}]` : host}:${port + worker - 1}`
}

/** On the network a port of its own; else a socket in its data directory. */
const listenOf = ({ cluster, node }: Settings, worker: number): string => {
  if (!isOnNetwork(cluster)) return `unix:${path.join(workerDirectory(node.dataDir, worker), "cluster.sock")}`
  return placeOf(clusterListensOn(cluster), worker)
}

/** Where this machine reaches it: a peer of the node's other workers. */
const peerOf = (settings: Settings, worker: number): string => {
  const listen = listenOf(settings, worker)
  const { host, port } = nodeAddressOf(listen) ?? { host: "", port: 0 }
  return host === "0.0.0.0" ? `127.0.0.1:${port}` : host === "::" ? `[::1]:${port}` : listen
}

const advertiseOf = ({ advertise }: ClusterSettings, worker: number): string => {
  const given = nodeAddressOf(advertise)
  return given === undefined ? "" : placeOf(given, worker)
}

/** A text: why there cannot be workers. */
export const workersFault = ({ cluster, listeners, node }: Settings): string | undefined => {
  const anyPort = listeners.find(({ address, enabled, port }) => enabled && port === 0 && !address.startsWith("unix:"))
  if (anyPort !== undefined) {
    return `node.workers: listeners.${anyPort.name}.port = 0 cannot be shared by several processes; give it a port`
  }
  if (!isOnNetwork(cluster)) return undefined
  for (
    const [key, address] of [["listen", clusterListensOn(cluster)], [
      "advertise",
      nodeAddressOf(cluster.advertise)
    ]] as const
  ) {
    if (address === undefined || address.host.startsWith("unix:")) continue
    if (address.port === 0 || address.port + node.workers - 1 > 65_535) {
      return `node.workers: each worker has the port after the one before, and cluster.${key} begins at ${address.port}`
    }
  }
  return undefined
}

/** Of the worker that `settings.node.worker` names. */
export const workerSettings = (settings: Settings): Settings => {
  const { cluster, listeners, node } = settings
  const { worker, workers } = node
  if (worker === 0) return settings
  const others = Array.from({ length: workers }, (_, index) => index + 1).filter((one) => one !== worker)
  return {
    ...settings,
    // On the network the name comes of the address, as without workers: so it differs from machine to machine.
    node: { ...node, name: nameOf(nodeNameOf(settings), worker), dataDir: workerDirectory(node.dataDir, worker) },
    cluster: {
      ...cluster,
      listen: listenOf(settings, worker),
      advertise: advertiseOf(cluster, worker),
      peers: [...cluster.peers, ...others.map((other) => peerOf(settings, other))]
    },
    // A Unix socket has one owner.
    listeners: listeners.map((one) => worker > 1 && one.address.startsWith("unix:") ? { ...one, enabled: false } : one)
  }
}
