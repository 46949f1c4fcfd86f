// What a node says of itself, as the topics and payloads of the original: statistics with their highest values, and the totals since the
// start. Pure. Invariant: every name under `stats/` and `metrics/` stands here, once, with where its figure comes from (docs/sys.md lists them).
import type { Counters } from "../metrics/Counters.ts"
import { PacketType } from "../mqtt/Packet.ts"

/** Counts of now. */
export interface Gauges {
  /** Clients that are connected to this node. */
  readonly clients: number
  /** Of this node, with a client or without. */
  readonly sessions: number
  /** Of this node's sessions, shared ones among them. */
  readonly subscriptions: number
  readonly sharedSubscriptions: number
  /** Filters of all nodes, one that two nodes have counted twice. */
  readonly routes: number
  /** The same on all nodes. */
  readonly retained: number
}

export type Figures = ReadonlyArray<readonly [name: string, value: number]>

const statNames: ReadonlyArray<readonly [name: string, gauge: keyof Gauges]> = [
  ["clients", "clients"],
  ["connections", "sessions"],
  ["live_connections", "clients"],
  ["sessions", "sessions"],
  ["topics", "routes"],
  ["routes", "routes"],
  ["subscribers", "subscriptions"],
  ["subscriptions", "subscriptions"],
  ["subscriptions/shared", "sharedSubscriptions"],
  ["suboptions", "subscriptions"],
  ["retained", "retained"]
]

const gaugeNames: ReadonlyArray<keyof Gauges> = [
  "clients",
  "sessions",
  "subscriptions",
  "sharedSubscriptions",
  "routes",
  "retained"
]

/** The highest values that were seen. */
export class Peaks {
  private highest: Readonly<Record<keyof Gauges, number>> = {
    clients: 0,
    sessions: 0,
    subscriptions: 0,
    sharedSubscriptions: 0,
    routes: 0,
    retained: 0
  }

  look(now: Gauges): void {
    const { highest } = this
    if (gaugeNames.every((name) => now[name] <= highest[name])) return
    const higher = { ...highest }
    for (const name of gaugeNames) higher[name] = Math.max(now[name], highest[name])
    this.highest = higher
  }

  of(gauge: keyof Gauges): number {
    return this.highest[gauge]
  }

  /** `…/count` and `…/max`, below `stats/`. */
  stats(now: Gauges): Figures {
    this.look(now)
    return statNames.flatMap(([name, gauge]) => [
      [`${name}/count`, now[gauge]] as const,
      [`${name}/max`, this.highest[gauge]] as const
    ])
  }
}

const at = (counts: Float64Array, type: number): number => counts[type] ?? 0

/** With the one direction that the original counts; its DISCONNECT came from clients alone. */
const oneWay: ReadonlyArray<readonly [name: string, type: number, way: "received" | "sent"]> = [
  ["connect", PacketType.Connect, "received"],
  ["connack", PacketType.Connack, "sent"],
  ["subscribe", PacketType.Subscribe, "received"],
  ["suback", PacketType.Suback, "sent"],
  ["unsubscribe", PacketType.Unsubscribe, "received"],
  ["unsuback", PacketType.Unsuback, "sent"],
  ["pingreq", PacketType.Pingreq, "received"],
  ["pingresp", PacketType.Pingresp, "sent"],
  ["disconnect", PacketType.Disconnect, "received"]
]

const bothWays: ReadonlyArray<
  readonly [name: string, type: number, ways: ReadonlyArray<"received" | "sent" | "missed">]
> = [
  ["puback", PacketType.Puback, ["received", "sent", "missed"]],
  ["pubrec", PacketType.Pubrec, ["received", "sent", "missed"]],
  ["pubrel", PacketType.Pubrel, ["received", "sent", "missed"]],
  ["pubcomp", PacketType.Pubcomp, ["received", "sent", "missed"]],
  ["disconnect", PacketType.Disconnect, ["received", "sent"]],
  ["auth", PacketType.Auth, ["received", "sent"]]
]

export const droppedOf = (counters: Counters): number =>
  counters.deliveries_dropped_queue_full_total + counters.deliveries_dropped_congested_total +
  counters.deliveries_dropped_offline_qos0_total + counters.deliveries_dropped_mailbox_full_total +
  counters.deliveries_dropped_too_large_total + counters.deliveries_dropped_expired_total +
  counters.deliveries_dropped_denied_total + counters.deliveries_dropped_session_ended_total

export const receivedOf = (counters: Counters): number =>
  counters.messages_received_qos0_total + counters.messages_received_qos1_total + counters.messages_received_qos2_total

/** Below `metrics/`: totals since the start, but `messages/retained`, which is how many there are. */
export const metricsOf = (counters: Counters, { retained }: Gauges): Figures => {
  const { received } = counters
  return [
    ["bytes/received", counters.bytes_received_total],
    ["bytes/sent", counters.bytes_sent_total],
    ["packets/received", counters.packets_received_total],
    ["packets/sent", counters.packets_sent_total],
    ["packets/publish/received", at(received, PacketType.Publish)],
    ["packets/publish/sent", counters.publishesSent],
    ["packets/publish/auth_error", counters.messages_denied_total],
    ["packets/publish/dropped", counters.messages_refused_total],
    ["packets/connack/auth_error", counters.authentications_denied_total],
    ["packets/subscribe/auth_error", counters.subscriptions_denied_total],
    ...oneWay.map(([name, type, way]) => [`packets/${name}`, at(counters[way], type)] as const),
    ...bothWays.flatMap(([name, type, ways]) =>
      ways.map((way) => [`packets/${name}/${way}`, at(counters[way], type)] as const)
    ),
    ["messages/received", receivedOf(counters)],
    ["messages/sent", counters.publishesSent],
    ["messages/qos0/received", counters.messages_received_qos0_total],
    ["messages/qos0/sent", counters.messages_sent_qos0_total],
    ["messages/qos1/received", counters.messages_received_qos1_total],
    ["messages/qos1/sent", counters.messages_sent_qos1_total],
    ["messages/qos2/received", counters.messages_received_qos2_total],
    ["messages/qos2/sent", counters.messages_sent_qos2_total],
    ["messages/qos2/dropped", counters.messages_duplicate_total],
    ["messages/retained", retained],
    ["messages/dropped", droppedOf(counters) + counters.messages_no_subscribers_total],
    ["messages/dropped/expired", counters.deliveries_dropped_expired_total],
    ["messages/dropped/no_subscribers", counters.messages_no_subscribers_total],
    ["messages/dropped/queue_full", counters.deliveries_dropped_queue_full_total],
    ["messages/forward", counters.forward_sent_total],
    ["messages/acked", at(received, PacketType.Puback) + at(received, PacketType.Pubcomp)]
  ]
}

/** As the original writes it: "1 days,2 hours, 3 minutes, 4 seconds", with nothing before the first that is not 0. */
export const uptimeText = (millis: number): string => {
  const seconds = Math.max(0, Math.floor(millis / 1000))
  const minutes = Math.floor(seconds / 60)
  const hours = Math.floor(minutes / 60)
  const days = Math.floor(hours / 24)
  return (days > 0 ? `${days} days,` : "") + (hours > 0 ? `${hours % 24} hours, ` : "") +
    (minutes > 0 ? `${minutes % 60} minutes, ` : "") + `${seconds % 60} seconds`
}

/** Local time: "2026-11-25 17:38:09". */
export const datetimeText = (now: number): string => {
  const date = new Date(now)
  const two = (value: number) => String(value).padStart(2, "0")
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ` +
    `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
}
