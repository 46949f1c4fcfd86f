// What one of several processes on this machine is told: the settings of all, with a name, a data directory and a place among the others of its own. Plain
// functions. Invariants: the first worker has the data directory itself, so that a node that is given workers keeps what it has; the others
// are found by each without asking.
import * as path from "node:path"
import { clusterPort, nodeAddressOf } from "./sections/cluster.ts"
import type { ClusterSettings, Settings } from "./Settings.ts"

/** Where a worker keeps its state. `worker`: from 1 on. */
export const workerDirectory = (dataDir: string, worker: number): string =>
  worker === 1 ? dataDir : path.join(dataDir, `worker-${worker}`)

/** Names how many there are, for `emqttd ctl`; it is there while they run. */
export const workersFile = (dataDir: string): string => path.join(dataDir, "workers")

const nameOf = (name: string, worker: number): string => name.replace("@", `-${worker}@`)

const isOnNetwork = ({ advertise, discovery, listen, peers }: ClusterSettings): boolean =>
  advertise !== "" || discovery !== "" || peers.length > 0 || (listen !== "" && !listen.startsWith("unix:"))

/** On the network worker n listens n - 1 ports above the first; else on a socket in its data directory. */
const listenOf = ({ cluster, node }: Settings, worker: number): string => {
  if (!isOnNetwork(cluster)) return `unix:${path.join(workerDirectory(node.dataDir, worker), "cluster.sock")}`
  const { host, port } = nodeAddressOf(cluster.listen) ?? { host: "127.0.0.1", port: clusterPort }
  return `${host.includes(":") ? `[${host}]` : host}:${port + worker - 1}`
}

/** A text: why there cannot be workers. */
export const workersFault = ({ listeners }: Settings): string | undefined => {
  const anyPort = listeners.find(({ address, enabled, port }) => enabled && port === 0 && !address.startsWith("unix:"))
  return anyPort === undefined
    ? undefined
    : `node.workers: listeners.${anyPort.name}.port = 0 cannot be shared by several processes; give it a port`
}

/** Of the worker that `settings.node.worker` names. */
export const workerSettings = (settings: Settings): Settings => {
  const { cluster, listeners, node } = settings
  const { worker, workers } = node
  if (worker === 0) return settings
  const others = Array.from({ length: workers }, (_, index) => index + 1).filter((one) => one !== worker)
  return {
    ...settings,
    node: { ...node, name: nameOf(node.name, worker), dataDir: workerDirectory(node.dataDir, worker) },
    cluster: {
      ...cluster,
      listen: listenOf(settings, worker),
      peers: [...cluster.peers, ...others.map((other) => listenOf(settings, other))]
    },
    // A Unix socket has one owner.
    listeners: listeners.map((one) => worker > 1 && one.address.startsWith("unix:") ? { ...one, enabled: false } : one)
  }
}
