// What one session counts of messages that it sends and gives up, and what it says of the latter. Plain state of one Outgoing. Invariants: each
// one is counted, but for those under `$SYS`, which would tell of themselves; of a socket that is full there is one line for each time that it
// fills.
import type { Counters } from "../metrics/Counters.ts"
import type { Message } from "../mqtt/Message.ts"
import type { Services } from "./Services.ts"

export const countSent = (counters: Counters, { topicName }: Message, qos: number): void => {
  if (topicName.isSystem) return
  if (qos === 0) counters.messages_sent_qos0_total++
  else if (qos === 1) counters.messages_sent_qos1_total++
  else counters.messages_sent_qos2_total++
}

export class Drops {
  private readonly services: Services
  private readonly clientId: string
  private congestionLogged = false

  constructor(services: Services, clientId: string) {
    this.services = services
    this.clientId = clientId
  }

  queueFull(message: Message): void {
    if (!message.topicName.isSystem) this.services.counters.deliveries_dropped_queue_full_total++
    const fields = { client_id: this.clientId, topic: message.topic, limit: "queue.capacity" }
    this.services.log.warning("queue full: message dropped", fields)
  }

  /** QoS 0, which is not kept for a client that is away. */
  offline(message: Message): void {
    if (!message.topicName.isSystem) this.services.counters.deliveries_dropped_offline_qos0_total++
  }

  congested(message: Message): void {
    if (!message.topicName.isSystem) this.services.counters.deliveries_dropped_congested_total++
    if (this.congestionLogged) return
    this.congestionLogged = true
    const fields = { client_id: this.clientId, topic: message.topic, limit: "connection.write_high_watermark" }
    this.services.log.warning("slow consumer: its socket is full, QoS 0 messages are dropped", fields)
  }

  /** The socket has room again. */
  relieved(): void {
    this.congestionLogged = false
  }

  tooLarge(message: Message, bytes: number): void {
    if (!message.topicName.isSystem) this.services.counters.deliveries_dropped_too_large_total++
    const fields = { client_id: this.clientId, topic: message.topic, bytes }
    this.services.log.info("message larger than the client takes: not sent", fields)
  }
}
