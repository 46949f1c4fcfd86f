// The Will Message of one session: kept while the client is connected, published when the connection ends without a
// DISCONNECT 0x00, after the Will Delay Interval or when the session ends, whichever is first. Plain state of one Session.
// Invariant: a will is published at most once, and never after it was cancelled.
import { awaited } from "../access/rules/AskedRules.ts"
import { brokersOwn } from "../access/rules/Authorization.ts"
import { Permissions } from "../access/rules/Permissions.ts"
import { nobodyKnown, type Subject } from "../access/rules/Rule.ts"
import { Message } from "../mqtt/Message.ts"
import type { Will } from "../mqtt/Packet.ts"
import { Shape } from "../mqtt/publishLayout.ts"
import { isSystemTopic } from "../mqtt/Topic.ts"
import type { SessionRow } from "../store/Engine.ts"
import { contentOf, readableMessage } from "../store/storedMessage.ts"
import { unmountedTopic } from "./mountpoint.ts"
import { publish, type Services } from "./Services.ts"
import { storedSubject, subjectText } from "./storedSubject.ts"

/** Of the packets that `Message.make` makes, without an expiry: what a will says of it counts from when it is published. */
const willShape = (packet: Uint8Array): number => Shape.Version5 | ((packet[0] ?? 0) & (Shape.QoS | Shape.Retain))

export class LastWill {
  /** Undefined once it was published. */
  private will: Will | undefined
  /** ms; Infinity: nothing is due. */
  dueAt = Infinity

  private packet: Uint8Array | undefined

  private readonly subject: Subject | undefined

  private readonly mountpoint: string

  /** `subject`: whose it is, for the access rules; undefined: nothing is known but the client id. The topic has the mount point in it. */
  constructor(will: Will, subject: Subject | undefined, mountpoint: string) {
    this.will = will
    this.subject = subject
    this.mountpoint = mountpoint
  }

  /** From the store; it is due when it was. Null: its bytes make no message, which the log says. */
  static restore(row: NonNullable<SessionRow["will"]>, clientId: string, services: Services): LastWill | null {
    const content = { packet: row.packet, shape: willShape(row.packet), publisher: "", receivedAt: 0, expiresAt: 0 }
    const message = readableMessage(
      content,
      services.topics,
      (reason) =>
        services.log.error("store: a will cannot be read and will not be published", { client_id: clientId, reason })
    )
    if (message === undefined) return null
    const { payload, properties, qos, retain, topic } = message
    const { mountpoint, subject } = storedSubject(row.by ?? "", clientId)
    const will = new LastWill(
      { topic, payload, qos, retain, properties, delayIntervalSeconds: row.delaySeconds },
      subject,
      mountpoint
    )
    will.packet = row.packet
    will.dueAt = row.dueAt
    return will
  }

  /** For the store; null once it was published. */
  row(clientId: string): SessionRow["will"] {
    const { dueAt, will } = this
    if (will === undefined) return null
    const { payload, properties, qos, retain, topic } = will
    this.packet ??=
      contentOf(Message.make({ topic, payload, qos, retain, properties, publisher: clientId, now: 0 })).packet
    const by = subjectText(this.subject, this.mountpoint, will)
    const row = { packet: this.packet, delaySeconds: will.delayIntervalSeconds, dueAt }
    return by === "" ? row : { ...row, by }
  }

  /** Its connection ended at `at`, and nobody was there to publish it. */
  armAt(at: number, expiryMillis: number, { settings }: Services): void {
    const delay = (this.will?.delayIntervalSeconds ?? 0) * 1000
    this.dueAt = at + Math.min(delay, settings.will.maxDelayMillis, expiryMillis)
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
    // The rules of now, not those of its CONNECT.
    const subject = asOfNow(services, this.subject ?? nobodyKnown(clientId))
    this.judge(services, clientId, will, new Permissions(services.rules, subject, 0))
  }

  /** The session may be over by the time that the answer is there. */
  private judge(services: Services, clientId: string, will: Will, permissions: Permissions): void {
    const decision = isSystemTopic(will.topic)
      ? brokersOwn
      : permissions.publish(unmountedTopic(this.mountpoint, will.topic), will.qos, will.retain)
    if (decision === awaited) {
      const again = { run: () => this.judge(services, clientId, will, permissions) }
      services.counters.rule_answers_awaited_total++
      permissions.fetch(() => services.scheduler.enqueue(again))
      return
    }
    if (!decision.allowed) {
      services.counters.wills_denied_total++
      services.log.warning("will denied", {
        client_id: clientId,
        user_name: this.subject?.userName,
        topic: will.topic,
        by: decision.by
      })
      return
    }
    services.counters.wills_published_total++
    services.router.remote.publisherIsDurable = true
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

/** Who was a superuser at its CONNECT and is none any more is judged like everybody. */
const asOfNow = ({ authentication, scram, settings }: Services, subject: Subject): Subject => {
  const { address = "", by, certificateName, clientId, listener = "", superuser, userName } = subject
  if (!superuser || by === undefined) return subject
  const still = by.startsWith("SCRAM-")
    ? scram.isSuperuser((settings.auth_users.key === "client_id" ? clientId : userName) ?? "")
    : authentication.chain.stillAllows(by, { address, certificateName, clientId, listener, superuser, userName })
  return still ? subject : { ...subject, superuser: false }
}
