// What the broker counts. Plain integers that the owners of the events add to and that somebody reads when asked:
// a counter costs one addition on the packet path. Names are those of the metrics, without the prefix `emqttd_`.
import { PacketType } from "../mqtt/Packet.ts"

/** Of which type, and whether clients and the broker send it. */
const packets: ReadonlyArray<readonly [name: string, type: number, byClients: boolean, byBroker: boolean]> = [
  ["connect", PacketType.Connect, true, false],
  ["connack", PacketType.Connack, false, true],
  ["publish", PacketType.Publish, true, true],
  ["puback", PacketType.Puback, true, true],
  ["pubrec", PacketType.Pubrec, true, true],
  ["pubrel", PacketType.Pubrel, true, true],
  ["pubcomp", PacketType.Pubcomp, true, true],
  ["subscribe", PacketType.Subscribe, true, false],
  ["suback", PacketType.Suback, false, true],
  ["unsubscribe", PacketType.Unsubscribe, true, false],
  ["unsuback", PacketType.Unsuback, false, true],
  ["pingreq", PacketType.Pingreq, true, false],
  ["pingresp", PacketType.Pingresp, false, true],
  ["disconnect", PacketType.Disconnect, true, true],
  ["auth", PacketType.Auth, true, true]
]

/** All totals since the start; each is a count unless its name says bytes. */
export class Counters {
  connections_opened_total = 0
  connections_closed_total = 0
  /** Clients that had their CONNACK, and those of them that have gone. */
  clients_connected_total = 0
  clients_disconnected_total = 0
  /** Refused at the door or in CONNACK. */
  connections_refused_total = 0
  /** A mark of [overload] or a limit of a listener was reached, once until it is left. */
  overload_entered_total = 0
  /** New sockets that were refused for such a mark. */
  overload_refused_total = 0
  /** Closed unanswered by allow or deny of their listener. */
  connections_denied_total = 0
  /** Above a connection rate, of a listener or of one address; among the refused. */
  connections_rate_exceeded_total = 0
  /** Closed at the door or refused with 0x8A. */
  connections_banned_total = 0
  /** Client ids that came and went too often. */
  flapping_detected_total = 0
  /** Sent away after a reload: not allowed any more. */
  connections_revoked_total = 0
  connections_timed_out_total = 0
  connections_crashed_total = 0
  tls_handshakes_failed_total = 0
  /** Above max_handshakes. */
  tls_handshakes_refused_total = 0
  proxy_headers_failed_total = 0
  protocol_errors_total = 0
  /** Answers of the authentication chain to a CONNECT. */
  authentications_allowed_total = 0
  authentications_denied_total = 0
  /** Denied because authentication.max_waiting waited already. */
  authentications_busy_total = 0
  /** Times that a link failed or took too long. */
  authentication_failures_total = 0
  /** Requests to HTTP services that are asked about clients, keys of JWT among them. */
  http_backend_requests_total = 0
  http_backend_failures_total = 0
  /** Times that a packet waited for an answer of a rule source that is asked. */
  rule_answers_awaited_total = 0
  /** Not made: too many waited already, or the service was given up for a while. */
  http_backend_refused_total = 0
  /** CONNECTs that were allowed as the same one had been a moment before. */
  authentication_cache_hits_total = 0
  /** Not listened to, after too many wrong passwords from there or for that client id. */
  authentications_paused_total = 0
  password_checks_total = 0
  /** Above authentication.hashes_waiting. */
  password_checks_refused_total = 0
  /** Requests to the databases that know users and rules; those that failed; those that were not made. */
  database_requests_total = 0
  database_failures_total = 0
  database_requests_refused_total = 0
  /** Requests to a WebSocket listener that were answered with an HTTP status. */
  websocket_refused_total = 0
  /** WebSockets closed for frames against the rules, a text frame among them. */
  websocket_errors_total = 0

  bytes_received_total = 0
  bytes_sent_total = 0
  /** Packets by their type. */
  readonly received = new Float64Array(16)
  /** Packets by their type, but PUBLISH, which is counted by its QoS below. */
  readonly sent = new Float64Array(16)
  /** Acknowledgements of what is not under way, by their type. */
  readonly missed = new Float64Array(16)

  messages_received_qos0_total = 0
  messages_received_qos1_total = 0
  messages_received_qos2_total = 0
  messages_sent_qos0_total = 0
  messages_sent_qos1_total = 0
  messages_sent_qos2_total = 0
  messages_no_subscribers_total = 0
  /** Well-formed, but neither delivered nor retained: payload format, retained limits. */
  messages_refused_total = 0
  /** By the access rules: neither delivered nor retained. */
  messages_denied_total = 0
  /** Above a rate of [limits]: neither delivered nor retained; among the refused. */
  messages_rate_refused_total = 0
  /** A client above its rate was read no more until it was within it again, or was sent away. */
  publishers_rate_exceeded_total = 0
  /** QoS 2 PUBLISH packets that came again and were not published again. */
  messages_duplicate_total = 0

  deliveries_dropped_queue_full_total = 0
  /** QoS 0 for a client whose socket holds more than its high watermark. */
  deliveries_dropped_congested_total = 0
  /** QoS 0 for a client that is away, where the queue does not keep QoS 0. */
  deliveries_dropped_offline_qos0_total = 0
  deliveries_dropped_mailbox_full_total = 0
  deliveries_dropped_too_large_total = 0
  deliveries_dropped_expired_total = 0
  /** Owed to a session whose client may not read it any more. */
  deliveries_dropped_denied_total = 0
  /** Owed to a session that ended. */
  deliveries_dropped_session_ended_total = 0
  /** Of messages that were refused with 0x97 after the store had failed on them. */
  deliveries_withdrawn_total = 0
  deliveries_resent_total = 0
  shared_redispatched_total = 0
  pubrel_timed_out_total = 0
  quota_exceeded_total = 0

  sessions_created_total = 0
  sessions_resumed_total = 0
  sessions_taken_over_total = 0
  sessions_claimed_total = 0
  sessions_moved_in_total = 0
  sessions_moved_out_total = 0
  sessions_ended_total = 0
  sessions_crashed_total = 0
  sessions_refused_total = 0
  /** Among the refused: the session of that client id is another user's. */
  takeovers_refused_total = 0
  subscriptions_refused_total = 0
  /** By the access rules, among the refused. */
  subscriptions_denied_total = 0
  wills_published_total = 0
  wills_denied_total = 0
  router_restarts_total = 0

  /** Times that a client was not read on until the store had taken what it waits for. */
  connections_held_total = 0
  /** Delivered and not retained: retain.mailbox_capacity, or store.max_pending while the store fails. */
  retained_rejected_total = 0
  /** Groups of changes that were committed, or of which nothing was left. */
  store_groups_total = 0
  /** Attempts to commit a group that failed; each is tried again. */
  store_failures_total = 0
  store_deliveries_total = 0
  /** Acknowledged before their group went, and not written. */
  store_deliveries_struck_total = 0
  /** Parts of a group on which the store failed again and again, so that they were left out: named in the log. */
  store_changes_set_aside_total = 0
  /** What a session was owed and could not be read back, or made no message: named in the log. */
  store_deliveries_unreadable_total = 0

  /** Links between nodes: handshakes that came through, ends of such links, nodes that were not let in. */
  cluster_links_opened_total = 0
  cluster_links_closed_total = 0
  cluster_links_refused_total = 0
  /** Each ends its link. */
  cluster_frames_bad_total = 0
  cluster_bytes_received_total = 0
  cluster_bytes_sent_total = 0
  /** Frames that found no room in the queue of their link (cluster.max_send_queue). */
  cluster_queue_full_total = 0
  /** Messages handed to other nodes, again after a reconnect, and kept on disk for a node that did not answer. */
  forward_sent_total = 0
  forward_resent_total = 0
  forward_stored_total = 0
  /** QoS 0 for a node without a link, or with a full one. */
  forward_dropped_qos0_total = 0
  /** The bounds of the outbox were reached (cluster.outbox_messages, cluster.outbox_size). */
  forward_dropped_full_total = 0
  /** QoS 1 and 2 for sessions of a dead node that end with their connections. */
  forward_dropped_dead_total = 0
  /** Longer than cluster.max_frame takes. */
  forward_dropped_too_long_total = 0
  /** Messages that other nodes have handed on, and those of them that were here before. */
  forward_received_total = 0
  forward_duplicates_total = 0
  /** Kept for a node from which the session had moved, and sent to where it was then. */
  forward_filled_total = 0
  /** Sessions that moved while more nodes than can be remembered were away: what those keep for them may be lost. */
  cluster_gaps_dropped_total = 0
  /** Answers and orders about sessions for a node that takes none, of more than 100,000. */
  cluster_words_dropped_total = 0
  /** Given up for a fault of this node: named in the log. */
  forward_failed_total = 0
  /** Of a shared group that has no member any more. */
  forward_nobody_total = 0

  /** Of a packet that came in whole. */
  packetReceived(type: number): void {
    this.received[type] = (this.received[type] ?? 0) + 1
  }

  /** Of one that goes out; a PUBLISH is counted by its QoS instead. */
  packetSent(type: number): void {
    this.sent[type] = (this.sent[type] ?? 0) + 1
  }

  acknowledgementMissed(type: number): void {
    this.missed[type] = (this.missed[type] ?? 0) + 1
  }

  get packets_received_total(): number {
    return this.received.reduce((sum, count) => sum + count, 0)
  }

  get packets_sent_total(): number {
    return this.sent.reduce((sum, count) => sum + count, this.publishesSent)
  }

  /** PUBLISH packets, those sent again among them. */
  get publishesSent(): number {
    return this.messages_sent_qos0_total + this.messages_sent_qos1_total + this.messages_sent_qos2_total
  }

  snapshot(): Readonly<Record<string, number>> {
    const byType: Array<readonly [string, number]> = [
      ["packets_received_total", this.packets_received_total],
      ["packets_sent_total", this.packets_sent_total]
    ]
    for (const [name, type, byClients, byBroker] of packets) {
      if (byClients) byType.push([`packets_received_${name}_total`, this.received[type] ?? 0])
      const sent = type === PacketType.Publish ? this.publishesSent : this.sent[type] ?? 0
      if (byBroker) byType.push([`packets_sent_${name}_total`, sent])
      if (type >= PacketType.Puback && type <= PacketType.Pubcomp) {
        byType.push([`packets_missed_${name}_total`, this.missed[type] ?? 0])
      }
    }
    return Object.fromEntries([
      ...Object.entries(this).filter((pair): pair is [string, number] => typeof pair[1] === "number"),
      ...byType
    ])
  }
}
