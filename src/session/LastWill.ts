// The Will Message of one session: kept while the client is connected, published when the connection ends without a
// DISCONNECT 0x00, after the Will Delay Interval or when the session ends, whichever is first. Plain state of one Session.
// Invariant: a will is published at most once, and never after it was cancelled.
import { Message } from "../mqtt/Message.ts"
import type { Will } from "../mqtt/Packet.ts"
import { publish, type Services } from "./Services.ts"

export class LastWill {
  /** Undefined once it was published. */
  private will: Will | undefined
  /** ms; Infinity: nothing is due. */
  dueAt = Infinity

  constructor(will: Will) {
    this.will = will
  }

  /** The connection has ended without DISCONNECT 0x00; `expiryMillis`: how long its session lives on; 0 publishes at once. */
  arm(services: Services, clientId: string, now: number, expiryMillis: number): void {
    if (this.will === undefined) return
    const delay = Math.min(this.will.delayIntervalSeconds * 1000, services.settings.will.maxDelayMillis, expiryMillis)
    if (delay <= 0) this.publish(services, clientId)
    else this.dueAt = now + delay
  }

  publish(services: Services, clientId: string): void {
    const will = this.will
    if (will === undefined) return
    this.will = undefined
    this.dueAt = Infinity
    services.counters.wills_published_total++
    publish(
      services,
      Message.make({
        topic: services.topics.of(will.topic),
        payload: will.payload,
        qos: will.qos,
        retain: will.retain, // [MQTT-3.1.2-16] [MQTT-3.1.2-17] [MQTT5-3.1.2-14] [MQTT5-3.1.2-15]
        publisher: clientId,
        properties: will.properties,
        now: services.scheduler.now
      })
    )
  }
}
