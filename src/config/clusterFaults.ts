// What no single setting of `[cluster]` shows. Pure; used by decodeSettings alone.
import { isIP } from "node:net"
import type { FaultAcross } from "./listenerFaults.ts"
import { clusterListensOn, hasSecret, isLoopback } from "./nodeAddresses.ts"
import { isClustered, nodeAddressOf } from "./sections/cluster.ts"
import type { Settings } from "./Settings.ts"

/** What a message has around it in a frame between nodes, at most: topics, names of groups, properties that are added. */
const aroundMessage = 256 * 1024

export const clusterFaults = ({ cluster, connection }: Settings): ReadonlyArray<FaultAcross> => {
  const found: Array<FaultAcross> = []
  const fault = (key: string, message: string) => found.push({ paths: [["cluster", key], ["cluster"]], message })
  if (!isClustered(cluster)) return found
  if (cluster.secret !== "" && cluster.secretFile !== "") {
    fault("secret_file", "there is a secret as well: take one of both")
  }
  const { host } = clusterListensOn(cluster)
  if (!hasSecret(cluster) && !isLoopback(host)) {
    fault("listen", `${host} can be reached from other machines: that needs cluster.secret_file (or cluster.secret)`)
  }
  const elsewhere = cluster.peers.map((peer) => nodeAddressOf(peer)?.host ?? "")
    .find((host) => isIP(host) !== 0 && !isLoopback(host))
  if (!hasSecret(cluster) && elsewhere !== undefined) {
    fault("peers", `${elsewhere} is not loopback: nodes there want cluster.secret_file (or cluster.secret)`)
  }
  if (cluster.tls) {
    for (const key of ["certificate", "key", "ca"] as const) {
      if (cluster[key] === "") fault(key, "missing: cluster.tls needs it")
    }
  }
  if (cluster.maxFrameBytes < connection.maxPacketSize + aroundMessage) {
    fault("max_frame", "has to be 256 KiB above connection.max_packet_size at least")
  }
  return found
}
