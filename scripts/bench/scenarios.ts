// What is measured: each scenario is one run of the load generator (or of subscribeProbe.ts) and the figures read from its result.
// The bars are the project's own promises; the marks are FlashMQ 1.26.2's figures, measured elsewhere with the same load generator.

export type Bar =
  | { readonly kind: "times"; readonly least: number } // of Mosquitto's figure in the same run
  | { readonly kind: "at least"; readonly least: number }
  | { readonly kind: "at most"; readonly most: number }
  | { readonly kind: "no worse" } // than Mosquitto's
  /** Our own figure in another scenario, times or plus something. */
  | { readonly kind: "own"; readonly scenario: string; readonly times: number; readonly plus: number }

/** What the clients of a scenario connect over. */
export type Door = "tcp" | "tls" | "ws"

/** What becomes of durable state. By default each as it comes: emqttd keeps it, Mosquitto does not. */
export type Keeping = "default" | "kept" | "nothing"

/**
 * Whether clients have a name and a password, in one file for all brokers: with the iterations that mosquitto_passwd takes, or with
 * 100,000, which nothing remembers, or ours does.
 */
export type Users = "none" | "cheap" | "costly" | "remembered"

export interface Figure {
  readonly key: string
  readonly title: string
  readonly better: "higher" | "lower"
  readonly unit: "" | "µs" | "ms" | "bytes"
  readonly bar?: Bar
  readonly flashmq?: number
}

export interface Scenario {
  readonly id: string
  readonly title: string
  /** Arguments of the load generator, or a program of its own. */
  readonly load: ReadonlyArray<string> | "subscribe" | "recovery"
  /** Publishers on one node, subscribers on another. */
  readonly nodes?: 2
  /** Processes of our broker; of another one there is no such thing. */
  readonly workers?: 2
  /** Our scenario that the ratio is to, run by run. */
  readonly beside?: string
  readonly timed: boolean // takes --secs
  /** By default tcp. */
  readonly door?: Door
  readonly keeping?: Keeping
  readonly users?: Users
  readonly figures: ReadonlyArray<Figure>
}

export const benchUser = { name: "ann", password: "sesame" }

const perCpu = (bar?: Bar, flashmq?: number): ReadonlyArray<Figure> => [
  {
    key: "msgs_per_broker_cpu_s",
    title: "messages per broker-CPU-second",
    better: "higher",
    unit: "",
    ...(bar && { bar }),
    ...(flashmq && { flashmq })
  },
  { key: "delivered_per_s", title: "messages per second", better: "higher", unit: "" }
]

const pubsub = (
  id: string,
  title: string,
  options: string,
  bar: Bar | undefined,
  flashmq: number | undefined
): Scenario => ({ id, title, load: ["pubsub", ...options.split(" ")], timed: true, figures: perCpu(bar, flashmq) })

/** The same on two nodes, against our own figure on one. */
const acrossNodes = (id: "qos0" | "qos1" | "qos2", options: string): Scenario => ({
  ...pubsub(
    `cluster-${id}`,
    `100 pairs, Q${id.slice(1, 3)} ${id.slice(3)}, publishers on one node, subscribers on another`,
    options,
    undefined,
    undefined
  ),
  nodes: 2,
  figures: perCpu({ kind: "own", scenario: id, times: 0.6, plus: 0 })
})

/** The same load on two workers. */
const onWorkers = (scenario: Scenario): Scenario => ({
  ...scenario,
  id: `workers-${scenario.id}`,
  title: `${scenario.title}; two workers`,
  workers: 2,
  beside: scenario.id,
  figures: scenario.figures.map(({ better, key, title, unit }) => ({ better, key, title, unit }))
})

const times = (least: number): Bar => ({ kind: "times", least })

/** loopDelay.ts; of emqttd alone. */
const loopFigures: ReadonlyArray<Figure> = [
  { key: "loop_max_ms", title: "event loop late, most", better: "lower", unit: "ms" },
  { key: "loop_own_p99_9_ms", title: "for its own work, p99.9", better: "lower", unit: "ms" },
  {
    key: "loop_own_max_ms",
    title: "for its own work, most",
    better: "lower",
    unit: "ms",
    bar: { kind: "at most", most: 20 }
  }
]

const single: ReadonlyArray<Scenario> = [
  pubsub("qos0", "100 pairs, QoS 0", "--pubs 100 --subs 100 --qos 0 --outstanding 20", times(5), 957_000),
  pubsub(
    "qos0-1k",
    "100 pairs, QoS 0, 1 KiB",
    "--pubs 100 --subs 100 --qos 0 --outstanding 20 --size 1024",
    undefined,
    601_000
  ),
  pubsub("qos1", "100 pairs, QoS 1", "--pubs 100 --subs 100 --qos 1 --window 20 --outstanding 20", times(4), 449_000),
  pubsub("qos2", "100 pairs, QoS 2", "--pubs 100 --subs 100 --qos 2 --window 20 --outstanding 20", times(5), 276_000),
  acrossNodes("qos0", "--pubs 100 --subs 100 --qos 0 --outstanding 20"),
  acrossNodes("qos1", "--pubs 100 --subs 100 --qos 1 --window 20 --outstanding 20"),
  acrossNodes("qos2", "--pubs 100 --subs 100 --qos 2 --window 20 --outstanding 20"),
  pubsub(
    "fanout",
    "fan-out, 1 to 1,000, QoS 0",
    "--layout fanout --pubs 1 --subs 1000 --outstanding 20",
    times(8),
    542_000
  ),
  pubsub(
    "fanout-qos1",
    "fan-out, 1 to 1,000, QoS 1",
    "--layout fanout --pubs 1 --subs 1000 --outstanding 20 --qos 1 --window 20",
    undefined,
    404_000
  ),
  pubsub(
    "fanin",
    "fan-in, 1,000 to 1, QoS 0",
    "--layout fanin --pubs 1000 --subs 1 --outstanding 2",
    times(1.5),
    365_000
  ),
  pubsub(
    "shared",
    "fan-in, 1,000 to a shared subscription of 4, QoS 0",
    "--layout shared --pubs 1000 --subs 4 --outstanding 2",
    undefined,
    263_000
  ),
  pubsub(
    "wildcard",
    "1,000 subscribers with wildcards, QoS 0",
    "--layout wild --pubs 10 --subs 1000 --outstanding 200",
    times(2),
    262_000
  ),
  // Publishers that nothing but TCP slows down: what a broker does when far more comes in than its subscribers can read.
  pubsub(
    "fanin-flood",
    "fan-in, 1,000 to 1, QoS 0, publishers without a limit",
    "--layout fanin --pubs 1000 --subs 1",
    times(1.5),
    365_000
  ),
  pubsub(
    "wildcard-flood",
    "1,000 subscribers with wildcards, QoS 0, publishers without a limit",
    "--layout wild --pubs 10 --subs 1000",
    times(2),
    262_000
  ),
  // What emqttd acknowledges is on disk, but for what the subscribers acknowledge first. Mosquitto, with persistence, acknowledges at once and writes
  // all of its state every second.
  {
    id: "durable",
    title: "1,000 persistent sessions, 100 publishers, QoS 1, kept on disk",
    keeping: "kept",
    load: ["pubsub", ..."--pubs 100 --subs 1000 --persistent --qos 1 --window 20".split(" ")],
    timed: true,
    figures: [
      {
        key: "delivered_per_s",
        title: "messages per second",
        better: "higher",
        unit: "",
        bar: { kind: "at least", least: 50_000 }
      },
      { key: "ack_p99_us", title: "PUBACK, p99", better: "lower", unit: "µs" },
      ...loopFigures
    ]
  },
  {
    id: "durable-off",
    title: "the same, kept in memory only",
    keeping: "nothing",
    load: ["pubsub", ..."--pubs 100 --subs 1000 --persistent --qos 1 --window 20".split(" ")],
    timed: true,
    figures: [
      { key: "delivered_per_s", title: "messages per second", better: "higher", unit: "" },
      { key: "ack_p99_us", title: "PUBACK, p99", better: "lower", unit: "µs" },
      ...loopFigures
    ]
  },
  {
    id: "offline",
    title: "1,000 persistent sessions that are away, 100 messages each, QoS 1, kept on disk; then they come",
    keeping: "kept",
    load: ["offline", ..."--conns 1000 --count 100 --qos 1 --window 2000".split(" ")],
    timed: false,
    figures: [
      { key: "store_per_s", title: "messages stored per second", better: "higher", unit: "" },
      {
        key: "drain_per_s",
        title: "messages drained per second",
        better: "higher",
        unit: "",
        bar: { kind: "at least", least: 200_000 }
      }
    ]
  },
  {
    id: "recovery",
    title: "a start on 1,000,000 queued messages of 100,000 sessions",
    load: "recovery",
    timed: false,
    figures: [
      {
        key: "ready_ms",
        title: "until it listens",
        better: "lower",
        unit: "ms",
        bar: { kind: "at most", most: 10_000 }
      },
      {
        key: "peak_rss_bytes",
        title: "memory, at most",
        better: "lower",
        unit: "bytes",
        bar: { kind: "at most", most: 1024 ** 3 }
      }
    ]
  },
  {
    id: "latency",
    title: "latency at 10,000 messages a second, 100 pairs, QoS 1",
    load: ["pubsub", "--pubs", "100", "--subs", "100", "--qos", "1", "--rate", "10000", "--warmup", "2"],
    timed: true,
    figures: [
      { key: "latency_p50_us", title: "p50", better: "lower", unit: "µs", bar: { kind: "no worse" }, flashmq: 183 },
      { key: "latency_p99_us", title: "p99", better: "lower", unit: "µs", bar: { kind: "no worse" }, flashmq: 45_000 },
      { key: "latency_p99_9_us", title: "p99.9", better: "lower", unit: "µs", flashmq: 47_000 }
    ]
  },
  {
    id: "idle",
    title: "15,000 idle connections, each with a session and a subscription",
    load: ["conn", "--conns", "15000", "--per-conn", "1", "--hold", "5", "--keepalive", "60"],
    timed: false,
    figures: [
      {
        key: "rss_bytes_per_conn",
        title: "memory per connection",
        better: "lower",
        unit: "bytes",
        bar: { kind: "at most", most: 6 * 1024 },
        flashmq: 5_500
      },
      {
        key: "conns_per_broker_cpu_s",
        title: "connects per broker-CPU-second",
        better: "higher",
        unit: "",
        flashmq: 32_000
      }
    ]
  },
  // Over TLS 1.3 with an ECDSA certificate (P-256), as both brokers and OpenSSL agree on by themselves.
  {
    ...pubsub(
      "tls-qos0",
      "100 pairs, QoS 0, over TLS",
      "--tls --pubs 100 --subs 100 --qos 0 --outstanding 20",
      undefined,
      undefined
    ),
    door: "tls"
  },
  {
    id: "tls-idle",
    title: "5,000 idle connections over TLS, each with a session and a subscription",
    load: ["conn", "--tls", "--conns", "5000", "--per-conn", "1", "--hold", "5", "--keepalive", "60"],
    timed: false,
    door: "tls",
    figures: [
      { key: "rss_bytes_per_conn", title: "memory per connection", better: "lower", unit: "bytes" },
      { key: "conns_per_broker_cpu_s", title: "connects per broker-CPU-second", better: "higher", unit: "" }
    ]
  },
  // Over WebSocket; Debian's Mosquitto has none, so the bars are our own figures over TCP.
  {
    ...pubsub(
      "ws-qos0",
      "100 pairs, QoS 0, over WebSocket, one frame for each write of a client",
      "--ws /mqtt --pubs 100 --subs 100 --qos 0 --outstanding 20",
      { kind: "own", scenario: "qos0", times: 0.6, plus: 0 },
      undefined
    ),
    door: "ws"
  },
  {
    ...pubsub(
      "ws-qos0-each",
      "100 pairs, QoS 0, over WebSocket, one frame for each packet of a client",
      "--ws /mqtt --ws-each --pubs 100 --subs 100 --qos 0 --outstanding 20",
      { kind: "own", scenario: "qos0", times: 0.6, plus: 0 },
      undefined
    ),
    door: "ws"
  },
  {
    id: "ws-idle",
    title: "15,000 idle connections over WebSocket, each with a session and a subscription",
    load: ["conn", "--ws", "/mqtt", "--conns", "15000", "--per-conn", "1", "--hold", "5", "--keepalive", "60"],
    timed: false,
    door: "ws",
    figures: [
      {
        key: "rss_bytes_per_conn",
        title: "memory per connection",
        better: "lower",
        unit: "bytes",
        bar: { kind: "own", scenario: "idle", times: 1, plus: 1024 }
      },
      { key: "conns_per_broker_cpu_s", title: "connects per broker-CPU-second", better: "higher", unit: "" }
    ]
  },
  {
    id: "subscribe",
    title: "SUBSCRIBE of 500 filters beside 100,000 subscriptions",
    load: "subscribe",
    timed: false,
    figures: [
      {
        key: "suback_worst_ms",
        title: "to the SUBACK, worst of 20",
        better: "lower",
        unit: "ms",
        bar: { kind: "at most", most: 50 }
      },
      { key: "suback_p50_ms", title: "to the SUBACK, median of 20", better: "lower", unit: "ms" },
      { key: "subscribe_per_s", title: "subscriptions added per second", better: "higher", unit: "" }
    ]
  },
  {
    id: "retained",
    title: "100,000 retained messages",
    load: ["retain", "--count", "100000", "--qos", "1", "--sub-qos", "0", "--window", "100"],
    timed: false,
    figures: [
      {
        key: "replay_per_s",
        title: "replayed per second",
        better: "higher",
        unit: "",
        bar: { kind: "at least", least: 400_000 },
        flashmq: 216_000
      },
      { key: "store_per_s", title: "stored per second", better: "higher", unit: "", flashmq: 394_000 }
    ]
  },
  {
    id: "churn",
    title: "connect, subscribe, disconnect",
    load: ["churn", "--conns", "50"],
    timed: true,
    figures: [
      {
        key: "cycles_per_broker_cpu_s",
        title: "cycles per broker-CPU-second",
        better: "higher",
        unit: "",
        bar: { kind: "at least", least: 10_000 },
        flashmq: 19_000
      },
      { key: "cycles_per_s", title: "cycles per second", better: "higher", unit: "" }
    ]
  },
  {
    id: "tls-churn",
    title: "connect, subscribe, disconnect, over TLS",
    load: ["churn", "--tls", "--conns", "50"],
    timed: true,
    door: "tls",
    figures: [
      { key: "cycles_per_broker_cpu_s", title: "cycles per broker-CPU-second", better: "higher", unit: "" },
      { key: "cycles_per_s", title: "cycles per second", better: "higher", unit: "" }
    ]
  },
  {
    id: "churn-users",
    title: "as churn, with names and passwords, 101 iterations of PBKDF2",
    load: ["churn", "--conns", "50", "--user", benchUser.name, "--password", benchUser.password],
    timed: true,
    users: "cheap",
    figures: [
      { key: "cycles_per_broker_cpu_s", title: "cycles per broker-CPU-second", better: "higher", unit: "" },
      { key: "cycles_per_s", title: "cycles per second", better: "higher", unit: "" }
    ]
  },
  {
    id: "churn-costly",
    title: "as churn, with names and passwords, 100,000 iterations",
    load: ["churn", "--conns", "50", "--user", benchUser.name, "--password", benchUser.password],
    timed: true,
    users: "costly",
    figures: [
      { key: "cycles_per_broker_cpu_s", title: "cycles per broker-CPU-second", better: "higher", unit: "" },
      { key: "cycles_per_s", title: "cycles per second", better: "higher", unit: "" }
    ]
  },
  {
    id: "churn-remembered",
    title: "as churn-costly, of clients that come back",
    load: ["churn", "--conns", "8", "--user", benchUser.name, "--password", benchUser.password, "--same-ids"],
    timed: true,
    users: "remembered",
    figures: [
      { key: "cycles_per_broker_cpu_s", title: "cycles per broker-CPU-second", better: "higher", unit: "" },
      { key: "cycles_per_s", title: "cycles per second", better: "higher", unit: "" }
    ]
  },
  {
    id: "offline",
    title: "1,000 persistent sessions with 100 queued messages each, QoS 1",
    load: ["offline", "--conns", "1000", "--count", "100", "--qos", "1", "--window", "100"],
    timed: false,
    figures: [
      { key: "store_per_s", title: "stored per second", better: "higher", unit: "", flashmq: 312_000 },
      { key: "drain_per_s", title: "drained per second", better: "higher", unit: "", flashmq: 484_000 }
    ]
  }
]

/** What two workers are measured with against one process. */
const withWorkers: ReadonlySet<string> = new Set(["qos0", "qos1", "tls-qos0", "churn", "tls-churn"])

/** Each on two workers right behind the same on one process. */
export const scenarios: ReadonlyArray<Scenario> = single.flatMap((scenario) =>
  withWorkers.has(scenario.id) ? [scenario, onWorkers(scenario)] : [scenario]
)

/** Results that must be 0 in a sound run. */
// `given_up` is none of them: messages that took longer than half a second, lost or not.
export const faultKeys: ReadonlyArray<string> = [
  "lost",
  "duplicates",
  "out_of_order",
  "conn_refused",
  "conn_lost",
  "sub_failures",
  "rejected",
  "bad_acks",
  "failures"
]

export const scenarioNamed = (id: string): Scenario => {
  const found = scenarios.find((scenario) => scenario.id === id)
  if (found === undefined) {
    throw new Error(`no scenario "${id}"; there are ${scenarios.map((scenario) => scenario.id).join(", ")}`)
  }
  return found
}
