// The answers of a node as lines for people. Pure. Invariant: what a client chose (its id) cannot steer the terminal.
import type { Client, ClientsPage, Counts, ListenerStatus, Status, TreePart } from "../../admin/Api.ts"
import { hostPort } from "../../platform/Tcp.ts"

/** Control characters as escapes. */
export const plain = (text: string): string =>
  text.replace(/\p{Cc}/gu, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`)

/** Columns as wide as their widest cell; the last one is left ragged. */
export const aligned = (rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd())
}

const bytes = (count: number): string => {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"]
  const power = Math.min(units.length - 1, count < 1 ? 0 : Math.floor(Math.log2(count) / 10))
  const value = count / 1024 ** power
  return `${power > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[power] ?? ""}`
}

const span = (seconds: number): string => {
  const parts = [[86_400, "d"], [3_600, "h"], [60, "min"], [1, "s"]] as const
  const at = parts.findIndex(([size]) => seconds >= size)
  if (at < 0) return "0 s"
  let left = seconds
  return parts.slice(at, at + 2).flatMap(([size, unit]) => {
    const count = Math.floor(left / size)
    left -= count * size
    return count > 0 ? [`${count} ${unit}`] : []
  }).join(" ")
}

export const listenerLines = (listeners: ReadonlyArray<ListenerStatus>): ReadonlyArray<string> =>
  aligned([
    ["NAME", "ADDRESS", "STATE", "CONNECTIONS"],
    ...listeners.map(({ address, connections, max_connections, name, port, state, type }) => [
      name,
      address.startsWith("unix:") ? `${type} ${address}` : `${type}://${hostPort(address, port)}`,
      state,
      `${connections} of ${max_connections}`
    ])
  ])

export const statusLines = (status: Status): ReadonlyArray<string> => {
  const { memory, overload, retained, store } = status
  return [
    ...aligned([
      ["node", `${status.node}, emqttd ${status.version} on ${status.runtime}, process ${status.process}`],
      ["health", status.health.ok ? "ok" : `not ok: ${status.health.reasons.join("; ")}`],
      ["up", span(status.uptime_seconds)],
      ["connections", `${status.connections}, ${status.handshakes} not accepted yet`],
      ["sessions", String(status.sessions)],
      ["subscriptions", String(status.subscriptions)],
      ["retained", `${retained.messages} messages, ${bytes(retained.bytes)}`],
      ["memory", `${bytes(memory.resident_bytes)} of ${bytes(memory.limit_bytes)}`],
      ["event loop", `${status.event_loop_lag_ms} ms late`],
      ["store", store.failure === "" ? "ok" : `takes no changes: ${store.failure}`],
      ["overload", overload.length === 0 ? "none" : "new clients are being refused:"],
      ...overload.map(({ refused, setting, since }) => [
        "",
        `${setting} reached, since ${new Date(since).toISOString()}, ${refused} refused`
      ])
    ]),
    "",
    ...listenerLines(status.listeners)
  ]
}

/** `missing`: numbers of those that have not answered. */
export const workerLines = (
  workers: ReadonlyArray<Status & { readonly worker: number }>,
  missing: ReadonlyArray<number>
): ReadonlyArray<string> =>
  aligned([
    ["WORKER", "NODE", "PROCESS", "UP", "CONNECTIONS", "SESSIONS", "MEMORY"],
    ...workers.map((one) => [
      String(one.worker),
      one.node,
      String(one.process),
      span(one.uptime_seconds),
      String(one.connections),
      String(one.sessions),
      bytes(one.memory.resident_bytes)
    ]),
    ...missing.map((worker) => [String(worker), "does not answer", "-", "-", "-", "-", "-"])
  ])

export const treeLines = (root: TreePart): ReadonlyArray<string> => {
  const rows: Array<ReadonlyArray<string>> = [["NAME", "RESTART", "STATUS", "RESTARTS"]]
  const add = (part: TreePart, indent: string, branch: string): void => {
    rows.push([indent + branch + plain(part.name), part.restart, part.status, String(part.restarts)])
    const below = branch === "" ? "" : indent + (branch === "└─ " ? "   " : "│  ")
    const omitted = part.omitted ?? 0
    for (const [at, child] of part.children.entries()) {
      add(child, below, at === part.children.length - 1 && omitted === 0 ? "└─ " : "├─ ")
    }
    if (omitted > 0) rows.push([`${below}└─ and ${omitted} more`, "", "", ""])
  }
  add(root, "", "")
  return aligned(rows)
}

const clientRow = (
  { client_id, listener, owed, peer, protocol, subscriptions, user_name }: Client
): ReadonlyArray<string> => [
  plain(client_id),
  user_name === null ? "-" : plain(user_name),
  peer,
  listener,
  protocols.get(protocol) ?? String(protocol),
  String(subscriptions),
  String(owed)
]

const protocols: ReadonlyMap<number, string> = new Map([[3, "3.1"], [4, "3.1.1"], [5, "5"]])

export const clientLines = ({ clients, total }: ClientsPage): ReadonlyArray<string> => [
  ...aligned([["CLIENT ID", "USER", "PEER", "LISTENER", "MQTT", "SUBSCRIPTIONS", "OWED"], ...clients.map(clientRow)]),
  ...(total > clients.length ? [`${clients.length} of ${total} connections`] : [])
]

export const counterLines = (counts: Counts): ReadonlyArray<string> =>
  aligned(Object.entries(counts).map(([name, count]) => [name, String(count)]))
