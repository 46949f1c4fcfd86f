// The receiving half of a connection: decodes each PUBLISH, judges it, hands it on and acknowledges it; keeps QoS 2 to once.
// Plain code, owned by one Connection and called inside its turn. Invariant: acknowledgements leave in the order of the packets
// that they answer [MQTT-4.6.0-2] [MQTT-4.6.0-3], and a refused message is neither delivered nor retained.
import { awaited } from "../access/rules/AskedRules.ts"
import { brokersOwn } from "../access/rules/Authorization.ts"
import type { Permissions } from "../access/rules/Permissions.ts"
import type { Decision, Subject } from "../access/rules/Rule.ts"
import type { LimitsSettings } from "../config/Settings.ts"
import { writeAcknowledgement } from "../mqtt/acknowledgement.ts"
import type { FrameReader } from "../mqtt/FrameReader.ts"
import type { Message } from "../mqtt/Message.ts"
import { PacketType, type ProtocolVersion } from "../mqtt/Packet.ts"
import { ProtocolError } from "../mqtt/ProtocolError.ts"
import { PublishDecoder } from "../mqtt/PublishDecoder.ts"
import { ReasonCode } from "../mqtt/ReasonCode.ts"
import { isValidUtf8 } from "../mqtt/scanUtf8.ts"
import type { Forward } from "../router/Forward.ts"
import type { RemoteRoutes } from "../router/RemoteRoutes.ts"
import type { SessionHandle } from "../session/ClientLink.ts"
import type { Outlet } from "../session/Outlet.ts"
import { mountedMessage, unmountedTopic } from "../session/mountpoint.ts"
import { publish, type Services } from "../session/Services.ts"
import type { Journal, Waiter } from "../store/Journal.ts"
import { AnswerGate } from "./AnswerGate.ts"
import { PublishRate, type RateOwner, sameRates } from "./PublishRate.ts"

/** Whoever publishes: its connection. */
export interface Publisher {
  readonly outlet: Outlet
  readonly version: ProtocolVersion
  readonly clientId: string
  readonly subject: Subject
  readonly mountpoint: string
  readonly asking: { readonly permissions: Permissions }
  /** The packet is handled again once the access rules have answered. */
  awaitAnswers(): void
}

export class Incoming implements RateOwner {
  readonly permissions: Permissions
  /** There while answers wait. */
  private gate: AnswerGate | null = null
  private readonly owner: Publisher & Waiter
  private readonly journal: Journal
  private readonly remote: RemoteRoutes
  /** A client of 3.1 or 3.1.1 was owed an acknowledgement that it cannot get: it has no reason codes. */
  private refused = false
  private awaitsRoom = false
  /** The gate was full when the last answer was put into it. */
  private heldUp = false
  private readonly services: Services
  private readonly session: SessionHandle
  private readonly outlet: Outlet
  private readonly version: ProtocolVersion
  private readonly clientId: string
  private readonly mountpoint: string
  private readonly decoder: PublishDecoder
  /** The highest group that a PUBREC has waited for: a duplicate is acknowledged no earlier. */
  private duplicateGroup = 0
  private limits: LimitsSettings
  /** Null: it may publish as fast as it can. */
  private rate: PublishRate | null

  /** `link` is woken when held answers may go: it calls `release`. */
  constructor(services: Services, session: SessionHandle, link: Publisher & Waiter, limits: LimitsSettings) {
    this.owner = link
    this.journal = services.journal
    this.remote = services.router.remote
    this.permissions = link.asking.permissions
    this.services = services
    this.session = session
    this.outlet = link.outlet
    this.version = link.version
    this.clientId = link.clientId
    this.mountpoint = link.mountpoint
    this.decoder = new PublishDecoder(services.topics, services.publishLimits)
    this.limits = limits
    this.rate = PublishRate.of(this, services.wheel, limits, services.scheduler.now)
  }

  /** From the next PUBLISH on. */
  limit(limits: LimitsSettings): void {
    if (sameRates(limits, this.limits)) return
    this.close()
    this.limits = limits
    this.rate = PublishRate.of(this, this.services.wheel, limits, this.services.scheduler.now)
    // Who was not read may be now.
    this.wake()
  }

  /** The connection is over. */
  close(): void {
    this.rate?.close()
    this.rate = null
  }

  wake(): void {
    this.owner.wake()
  }

  onExceeded(limit: string): void {
    this.services.counters.publishers_rate_exceeded_total++
    const fields = { client_id: this.clientId, limit, action: this.limits.whenExceeded }
    this.services.log.warning("client publishes faster than its limit", fields)
  }

  /** Throws ProtocolError: the connection ends. */
  onPublish(reader: FrameReader): void {
    const { services, decoder } = this
    const decoded = decoder.decode(reader, this.version, this.clientId, services.scheduler.now)
    const message = this.mountpoint === "" ? decoded : mountedMessage(this.mountpoint, decoded, services.topics)
    const qos = message.qos
    // [MQTT5-3.2.2-11] [MQTT5-3.2.2-14] [MQTT-3.3.5-2] what is not taken ends the connection, or is acknowledged with its reason
    if (qos > services.settings.connection.maximumQoS) {
      throw new ProtocolError(ReasonCode.QoSNotSupported, "MQTT5-3.2.2-11", "QoS above connection.maximum_qos")
    }
    if (message.retain && !services.settings.connection.retainAvailable) {
      throw new ProtocolError(ReasonCode.RetainNotSupported, "MQTT5-3.2.2-14", "retained messages are not available")
    }
    if (services.rules.authorization.awaits && this.isAwaited(message, decoder.packetIdentifier)) {
      return this.owner.awaitAnswers()
    }
    const tooFast = this.rate !== null && this.isTooFast(this.rate, message, reader.end - reader.start)
    // [MQTT-3.3.4-1] [MQTT5-3.3.4-1] nothing, PUBACK or PUBREC
    if (qos === 0) {
      services.counters.messages_received_qos0_total++
      if (!tooFast && this.allows(message) && (this.version !== 5 || this.refusal(message) === 0)) {
        publish(services, message)
        if (message.retain && this.journal.isFull) this.awaitRoom()
      }
    } else if (qos === 1) {
      services.counters.messages_received_qos1_total++
      // [MQTT-4.3.2-2] [MQTT5-4.3.2-4] [MQTT5-4.3.2-5] nothing is remembered: the next one is new, whatever DUP says
      const { changes } = this.journal
      const reasonCode = tooFast ? ReasonCode.QuotaExceeded : this.accept(message)
      const forward = reasonCode === ReasonCode.Success ? this.remote.awaited : null
      this.acknowledge(
        PacketType.Puback,
        decoder.packetIdentifier,
        reasonCode,
        this.groupSince(changes),
        message,
        forward
      )
    } else {
      services.counters.messages_received_qos2_total++
      this.onPublishQos2(message, decoder.packetIdentifier, tooFast)
    }
  }

  /** `packed`: the packet identifier in the low 16 bits. */
  onPubrel(packed: number): void {
    const packetIdentifier = packed & 0xffff
    const { changes } = this.journal
    const known = this.session.awaitingPubrel.release(packetIdentifier)
    if (!known) this.services.counters.acknowledgementMissed(PacketType.Pubrel)
    // [MQTT-4.3.3-2] [MQTT5-4.3.3-11] [MQTT5-4.3.3-12] [MQTT5-4.3.3-13] always answered; the identifier is new from here on
    this.acknowledge(
      PacketType.Pubcomp,
      packetIdentifier,
      known ? ReasonCode.Success : ReasonCode.PacketIdentifierNotFound,
      // No crash may forget the release: the identifier, used again, would be taken for a duplicate.
      this.groupSince(changes),
      undefined,
      null
    )
  }

  /** The message goes on with its first PUBLISH; until PUBREL the identifier is remembered and a second one is a duplicate. */
  private onPublishQos2(message: Message, packetIdentifier: number, tooFast: boolean): void {
    const { awaitingPubrel } = this.session
    if (awaitingPubrel.has(packetIdentifier)) {
      // [MQTT-4.3.3-2] [MQTT5-4.3.3-10] acknowledged again, not published again
      this.services.counters.messages_duplicate_total++
      return this.acknowledge(
        PacketType.Pubrec,
        packetIdentifier,
        ReasonCode.Success,
        this.duplicateGroup,
        undefined,
        null
      )
    }
    const { connection, session: limits } = this.services.settings
    const { now } = this.services.scheduler
    const bound = this.version === 5 ? connection.receiveMaximum : limits.maxAwaitingPubrel
    if (awaitingPubrel.isFull || awaitingPubrel.size >= bound) {
      this.services.counters.pubrel_timed_out_total += awaitingPubrel.expire(now - limits.awaitPubrelTimeoutMillis)
      if (awaitingPubrel.isFull || awaitingPubrel.size >= bound) {
        // [MQTT5-3.3.4-7] more than it was allowed
        throw new ProtocolError(
          ReasonCode.ReceiveMaximumExceeded,
          "MQTT5-3.3.4-7",
          "too many QoS 2 messages without PUBREL"
        )
      }
    }
    // [MQTT5-4.3.3-8] [MQTT5-4.3.3-9] a refused one leaves its identifier free
    const { changes } = this.journal
    this.remote.publisherIsDurable = awaitingPubrel.isDurable
    const reasonCode = tooFast ? ReasonCode.QuotaExceeded : this.accept(message)
    if (reasonCode < 0x80) awaitingPubrel.add(packetIdentifier, now)
    const group = this.groupSince(changes)
    if (group > this.duplicateGroup) this.duplicateGroup = group
    const forward = reasonCode === ReasonCode.Success ? this.remote.awaited : null
    this.acknowledge(PacketType.Pubrec, packetIdentifier, reasonCode, group, message, forward)
  }

  /** True: it is refused. Throws where that ends the connection. */
  private isTooFast(rate: PublishRate, { qos }: Message, size: number): boolean {
    if (rate.judge(size, this.services.scheduler.now) === "read") return false
    const { counters } = this.services
    counters.messages_rate_refused_total++
    counters.messages_refused_total++
    counters.quota_exceeded_total++
    // The older versions have no way to say it.
    if (this.limits.whenExceeded === "refuse" && (this.version === 5 || qos === 0)) return true
    throw new ProtocolError(ReasonCode.QuotaExceeded, "limits.when_exceeded", "publishes faster than its limit")
  }

  /** What the acknowledgement of this packet waits for; 0: nothing was recorded for it. */
  private groupSince(changes: number): number {
    return this.journal.changes === changes ? 0 : this.journal.group
  }

  /** Publishes, unless it is refused; the reason code for PUBACK or PUBREC. */
  private accept(message: Message): number {
    // MQTT 5 is told; the older versions have no way to say it
    if (!this.allows(message)) return ReasonCode.NotAuthorized
    if (this.journal.failing !== null && this.needsStore(message)) {
      this.services.counters.messages_refused_total++
      this.services.counters.quota_exceeded_total++
      return ReasonCode.QuotaExceeded
    }
    const refused = this.version === 5 ? this.refusal(message) : 0
    if (refused !== 0) return refused
    return publish(this.services, message) === 0 ? ReasonCode.NoMatchingSubscribers : ReasonCode.Success
  }

  /** Nothing has been done for it yet: it may be handled again from the start. */
  private isAwaited({ qos, retain, topic }: Message, packetIdentifier: number): boolean {
    // Nobody is asked about a duplicate.
    if (qos === 2 && this.session.awaitingPubrel.has(packetIdentifier)) return false
    return this.permissions.publish(unmountedTopic(this.mountpoint, topic), qos, retain) === awaited
  }

  private allows(message: Message): boolean {
    const topic = unmountedTopic(this.mountpoint, message.topic)
    if (message.topicName.isSystem) return this.deny(topic, brokersOwn)
    const decision = this.permissions.publish(topic, message.qos, message.retain)
    return decision.allowed || this.deny(topic, decision)
  }

  /** False; or it throws, where a denied PUBLISH ends the connection. */
  private deny(topic: string, { by }: Decision): false {
    const { counters, log, settings } = this.services
    counters.messages_denied_total++
    log.warning("message denied", {
      client_id: this.clientId,
      user_name: this.owner.subject.userName,
      topic,
      by
    })
    if (settings.authorization.denyAction === "ignore") return false
    throw new ProtocolError(ReasonCode.NotAuthorized, "authorization.deny_action", "not authorized to publish this")
  }

  /** Why a well-formed PUBLISH of an MQTT 5 client is not taken; 0: it is. */
  private refusal(message: Message): number {
    const { counters, retainer } = this.services
    if (message.properties?.payloadFormatIndicator === 1) {
      const payload = message.payload
      if (!isValidUtf8(payload, 0, payload.length)) {
        counters.messages_refused_total++
        return ReasonCode.PayloadFormatInvalid
      }
    }
    if (message.retain && message.qos > 0 && retainer.isFull(message)) {
      counters.messages_refused_total++
      counters.quota_exceeded_total++
      this.services.log.warning("retained message refused: a limit of [retain] is reached", {
        client_id: this.clientId,
        topic: message.topic
      })
      return ReasonCode.QuotaExceeded
    }
    return 0
  }

  /** While the store takes nothing: whether this message could not be acknowledged. */
  private needsStore(message: Message): boolean {
    if (message.retain) return true
    const { groups, routes } = this.services.router.match(message.topicName)
    return groups.length > 0 || this.remote.needsStore(message) ||
      routes.some((route) => route.qos > 0 && (route.subscriber.durable ?? null) !== null)
  }

  /** No more is read while so many answers are held, or the store has no room for more: the client waits. */
  get isFull(): boolean {
    return (this.gate !== null && this.gate.isFull) || this.awaitsRoom || (this.rate !== null && this.slowed)
  }

  /** It is not read, as it has published faster than it may. */
  get slowed(): boolean {
    return this.rate !== null && this.rate.slowed(this.services.scheduler.now)
  }

  /** Sends the answers whose groups are committed. False: the client has to go, it cannot be told that the store takes nothing. */
  release(): boolean {
    const { gate } = this
    if (this.refused) return false
    if (this.awaitsRoom) this.awaitRoom()
    if (gate === null) return true
    if (this.journal.failing !== null && !this.refuseHeld(gate)) return false
    gate.release((type, packetIdentifier, reasonCode) => this.write(type, packetIdentifier, reasonCode))
    if (gate.isEmpty) this.gate = null
    return true
  }

  /** What has no answer to be held, a retained message with QoS 0, waits for room too, unless the store fails. */
  private awaitRoom(): void {
    const { failing, isFull } = this.journal
    const waits = isFull && failing === null
    if (waits && !this.awaitsRoom) this.services.counters.connections_held_total++
    this.awaitsRoom = waits
    if (waits) this.journal.wait(this.owner)
  }

  private refuseHeld(gate: AnswerGate): boolean {
    if (this.version !== 5) return false
    for (const packetIdentifier of gate.refuse(ReasonCode.QuotaExceeded)) {
      // [MQTT5-4.3.3-9] its identifier is free
      this.session.awaitingPubrel.release(packetIdentifier)
    }
    return true
  }

  private acknowledge(
    type: 4 | 5 | 7,
    packetIdentifier: number,
    reasonCode: number,
    group: number,
    message: Message | undefined,
    forward: Forward | null
  ): void {
    if (forward !== null) return this.hold(type, packetIdentifier, reasonCode, group, message, forward)
    if (group === 0 && this.gate === null && reasonCode < 0x80) return this.write(type, packetIdentifier, reasonCode)
    if (reasonCode === ReasonCode.QuotaExceeded && this.version !== 5 && this.journal.failing !== null) {
      this.refused = true
      return this.owner.wake()
    }
    if (group <= this.journal.committed && this.gate === null) return this.write(type, packetIdentifier, reasonCode)
    this.hold(type, packetIdentifier, reasonCode, group, message, forward)
  }

  private hold(
    type: 4 | 5 | 7,
    packetIdentifier: number,
    reasonCode: number,
    group: number,
    message: Message | undefined,
    forward: Forward | null
  ): void {
    this.gate ??= new AnswerGate(this.journal, this.owner, this.services.settings.store.maxHeldAnswers)
    this.gate.hold(type, packetIdentifier, reasonCode, group, message?.recorded, forward)
    if (!this.heldUp && this.gate.isFull) this.services.counters.connections_held_total++
    this.heldUp = this.gate.isFull
  }

  private write(type: 4 | 5 | 7, packetIdentifier: number, reasonCode: number): void {
    this.services.counters.packetSent(type)
    const output = this.outlet.arena.output
    output.reserve(8)
    const start = output.position
    writeAcknowledgement(output, type, packetIdentifier, reasonCode, this.version)
    this.outlet.append(output.buffer, start, output.position)
  }
}
