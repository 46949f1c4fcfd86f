// `[cluster]`: the other nodes that this one makes one broker with. Off as long as `listen`, `peers` and `discovery` are empty.
import { choice, duration, hiddenText, integer, size, text, textList, truth } from "../settingCodecs.ts"
import type { Fields } from "../table.ts"

export interface ClusterSettings {
  /** 1 to 255 characters. Nodes of another name are not let in. */
  readonly name: string
  /** host:port where the other nodes reach this one, or unix:/path; "": see `listensOn`. */
  readonly listen: string
  /** host:port that the others are told; "": where it listens, or this machine's first address. */
  readonly advertise: string
  /** host:port of any members, host alone for port 4370, or unix:/path. */
  readonly peers: ReadonlyArray<string>
  /** A DNS name whose addresses are members: `host:port` (A, AAAA) or `_service._tcp.name` (SRV); "": none. */
  readonly discovery: string
  /** 1 s to 1 h. How often it is asked, and the peers of the settings that are no members are tried. */
  readonly discoveryIntervalMillis: number
  /** All members have the same. "": only nodes of this machine. Secret. */
  readonly secret: string
  /** A file that has it, instead of `secret`. */
  readonly secretFile: string
  /** TLS between the nodes, both sides with a certificate that `ca` has signed. */
  readonly tls: boolean
  readonly certificate: string
  readonly key: string
  readonly ca: string
  /** What a node does for clients while it sees no more than half of the members. */
  readonly minority: "serve" | "refuse"
  /** 1 min to 3650 d. How long a dead member is remembered, and what it is owed is kept. */
  readonly forgetAfterMillis: number
  /** 2 to 10,000 members, dead ones among them; one more is not let in. */
  readonly maxMembers: number
  /** 100 ms to 1 min. */
  readonly probeIntervalMillis: number
  /** 50 ms to 1 min. An answer that takes longer is asked for by way of others. */
  readonly probeTimeoutMillis: number
  /** 500 ms to 10 min. So long has a suspected member to be heard of before it counts as dead. */
  readonly suspicionTimeoutMillis: number
  /** 500 ms to 1 min. A link that is silent for five of them is closed. */
  readonly heartbeatIntervalMillis: number
  /** 500 ms to 1 min. TCP, TLS and the handshake of a link. */
  readonly connectTimeoutMillis: number
  /** 100 ms to 1 h. The longest pause between two attempts to reach a member. */
  readonly maxBackoffMillis: number
  /** 256 KiB to 512 MiB. A longer frame ends its link. */
  readonly maxFrameBytes: number
  /** 100 ms to 1 min. A CONNECT that no member answers for is served without asking the others. */
  readonly claimTimeoutMillis: number
  /** 1 s to 10 min. A step of a session's move to another node that takes longer is given up; the session stays where it was. */
  readonly takeoverTimeoutMillis: number
  /** 0 s to 5 min. So long at most a node that stops stays in the cluster for the sessions of clients that come back elsewhere. */
  readonly drainTimeoutMillis: number
  /** 1 MiB to 4 GiB. What waits for one peer; beyond it the senders' own policies hold. */
  readonly maxSendQueueBytes: number
  /** 100 ms to 10 min. A QoS 1 or 2 message that a node has not acknowledged is kept for it after this, and its publisher answered. */
  readonly forwardTimeoutMillis: number
  /** 1 to 10,000,000 messages, and 1 MiB to 64 GiB, that are kept for one node. */
  readonly outboxMessages: number
  readonly outboxBytes: number
  readonly outboxWhenFull: "drop_oldest" | "drop_newest"
}

const SECOND = 1_000
const DAY = 24 * 60 * 60 * SECOND
const MEBIBYTE = 1024 * 1024

export const clusterDefaults: ClusterSettings = {
  name: "emqttd",
  listen: "",
  advertise: "",
  peers: [],
  discovery: "",
  discoveryIntervalMillis: 30 * SECOND,
  secret: "",
  secretFile: "",
  tls: false,
  certificate: "",
  key: "",
  ca: "",
  minority: "serve",
  forgetAfterMillis: DAY,
  maxMembers: 1_000,
  probeIntervalMillis: SECOND,
  probeTimeoutMillis: SECOND / 2,
  suspicionTimeoutMillis: 5 * SECOND,
  heartbeatIntervalMillis: 2 * SECOND,
  connectTimeoutMillis: 5 * SECOND,
  maxBackoffMillis: 10 * SECOND,
  claimTimeoutMillis: 5 * SECOND,
  takeoverTimeoutMillis: 10 * SECOND,
  drainTimeoutMillis: 3 * SECOND,
  maxFrameBytes: 8 * MEBIBYTE,
  maxSendQueueBytes: 64 * MEBIBYTE,
  forwardTimeoutMillis: 5 * SECOND,
  outboxMessages: 100_000,
  outboxBytes: 128 * MEBIBYTE,
  outboxWhenFull: "drop_oldest"
}

export const clusterPort = 4370

export interface NodeAddress {
  readonly host: string
  /** 0 on a Unix socket, and where the system is to choose. */
  readonly port: number
}

/** host, host:port, [v6]:port, [v6], or unix:/path; undefined: none of them. */
export const nodeAddressOf = (text: string): NodeAddress | undefined => {
  if (text.startsWith("unix:")) {
    return text.length > "unix:".length && !text.includes("\0") ? { host: text, port: 0 } : undefined
  }
  const found = /^(?:\[([0-9a-fA-F:.]+)\]|([\w.-]+))(?::(\d{1,5}))?$/.exec(text)
  const port = found?.[3] === undefined ? clusterPort : Number(found[3])
  const host = found?.[1] ?? found?.[2]
  return host === undefined || port > 65_535 ? undefined : { host, port }
}

const isNodeAddress = (value: string): boolean => nodeAddressOf(value) !== undefined
const address = text(`host:port, or "" for the default`, (value) => value === "" || isNodeAddress(value))
const file = text("the path of a file", (value) => !value.includes("\0"))

export const cluster: Fields<ClusterSettings> = {
  name: ["name", text("a name of 1 to 255 characters", (value) => value !== "" && value.length <= 255)],
  listen: ["listen", address],
  advertise: ["advertise", address],
  peers: ["peers", textList("addresses, as in 10.0.0.1:4370", isNodeAddress)],
  discovery: ["discovery", text("a DNS name", (value) => /^(?:[\w.-]+(?::\d{1,5})?)?$/.test(value))],
  discoveryIntervalMillis: ["discovery_interval", duration({ minimum: "1s", maximum: "1h" })],
  secret: ["secret", hiddenText("a text of at most 1,024 characters", (value) => value.length <= 1_024)],
  secretFile: ["secret_file", file],
  tls: ["tls", truth],
  certificate: ["certificate", file],
  key: ["key", file],
  ca: ["ca", file],
  minority: ["minority", choice(["serve", "refuse"])],
  forgetAfterMillis: ["forget_after", duration({ minimum: "1m", maximum: "3650d" })],
  maxMembers: ["max_members", integer(2, 10_000)],
  probeIntervalMillis: ["probe_interval", duration({ minimum: "100ms", maximum: "1m" })],
  probeTimeoutMillis: ["probe_timeout", duration({ minimum: "50ms", maximum: "1m" })],
  suspicionTimeoutMillis: ["suspicion_timeout", duration({ minimum: "500ms", maximum: "10m" })],
  heartbeatIntervalMillis: ["heartbeat_interval", duration({ minimum: "500ms", maximum: "1m" })],
  connectTimeoutMillis: ["connect_timeout", duration({ minimum: "500ms", maximum: "1m" })],
  maxBackoffMillis: ["max_backoff", duration({ minimum: "100ms", maximum: "1h" })],
  claimTimeoutMillis: ["claim_timeout", duration({ minimum: "100ms", maximum: "1m" })],
  takeoverTimeoutMillis: ["takeover_timeout", duration({ minimum: "1s", maximum: "10m" })],
  drainTimeoutMillis: ["drain_timeout", duration({ minimum: "0s", maximum: "5m" })],
  maxFrameBytes: ["max_frame", size(256 * 1024, 512 * MEBIBYTE)],
  maxSendQueueBytes: ["max_send_queue", size(MEBIBYTE, 4096 * MEBIBYTE)],
  forwardTimeoutMillis: ["forward_timeout", duration({ minimum: "100ms", maximum: "10m" })],
  outboxMessages: ["outbox_messages", integer(1, 10_000_000)],
  outboxBytes: ["outbox_size", size(MEBIBYTE, 65_536 * MEBIBYTE)],
  outboxWhenFull: ["outbox_when_full", choice(["drop_oldest", "drop_newest"])]
}

/** Nothing of the cluster is started where this is false. */
export const isClustered = ({ discovery, listen, peers }: ClusterSettings): boolean =>
  listen !== "" || discovery !== "" || peers.length > 0
