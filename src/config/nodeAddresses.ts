// Where a node of a cluster listens, what it tells the others, and what it is called when nobody has said. Invariant: without a secret no
// address is taken that another machine could reach.
import { networkInterfaces } from "node:os"
import { clusterPort, isClustered, type NodeAddress, nodeAddressOf } from "./sections/cluster.ts"
import { nodeDefaults } from "./sections/node.ts"
import type { ClusterSettings, Settings } from "./Settings.ts"

export const hasSecret = ({ secret, secretFile }: ClusterSettings): boolean => secret !== "" || secretFile !== ""

export const isLoopback = (host: string): boolean =>
  host.startsWith("unix:") || /^(?:::ffff:)?127\./i.test(host) || host === "::1" || host === "localhost"

const isEverywhere = (host: string): boolean => host === "0.0.0.0" || host === "::"

export const clusterListensOn = (settings: ClusterSettings): NodeAddress =>
  nodeAddressOf(settings.listen) ?? { host: hasSecret(settings) ? "0.0.0.0" : "127.0.0.1", port: clusterPort }

/** Of this machine; a process that may not ask for it (a sandbox without AF_NETLINK) has only loopback. */
const interfaces = (): ReturnType<typeof networkInterfaces> => {
  try {
    return networkInterfaces()
  } catch {
    return {}
  }
}

const firstAddress = (): string => {
  for (const addresses of Object.values(interfaces())) {
    const found = addresses?.find(({ family, internal }) => !internal && family === "IPv4")
    if (found !== undefined) return found.address
  }
  return "127.0.0.1"
}

/** `port`: the one in use. */
export const clusterAdvertises = (settings: ClusterSettings, port: number): NodeAddress => {
  const given = nodeAddressOf(settings.advertise)
  if (given !== undefined) return given
  const { host } = clusterListensOn(settings)
  return { host: isEverywhere(host) ? firstAddress() : host, port }
}

/** The name of `settings`; of a node of a cluster that has none, one made of its address, so that two of them differ. */
export const nodeNameOf = ({ cluster, node }: Pick<Settings, "cluster" | "node">): string => {
  if (!isClustered(cluster) || node.name !== nodeDefaults.name) return node.name
  const { host, port } = clusterAdvertises(cluster, clusterListensOn(cluster).port)
  if (host.startsWith("unix:")) return node.name
  return `emqttd@${host.replaceAll("%", "-")}${port === clusterPort || port === 0 ? "" : `:${port}`}`
}
