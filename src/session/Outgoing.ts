// The sending half of a session: decides for each message whether it goes now, waits in the queue, or is dropped, and
// runs the QoS 1 and 2 exchanges with the client. Plain code, owned by one Session and called inside its turn.
// Invariants: QoS 1 and 2 leave in the order in which they came [MQTT-4.6.0-5] [MQTT-4.6.0-6] [MQTT5-4.6.0-5]
// [MQTT5-4.6.0-6]; never more unacknowledged messages than
// the client takes [MQTT5-3.3.4-9]; each message given up is counted.
import type { Settings } from "../config/Settings.ts"
import { writeAcknowledgement } from "../mqtt/acknowledgement.ts"
import { publishSize, writePublish } from "../mqtt/encodePublish.ts"
import type { Message } from "../mqtt/Message.ts"
import type { QoS } from "../mqtt/Packet.ts"
import { ReasonCode } from "../mqtt/ReasonCode.ts"
import type { RetainedCursor } from "../retain/RetainedCursor.ts"
import type { Route } from "../router/Route.ts"
import type { Subscriber } from "../router/Subscriber.ts"
import type { ClientLink } from "./ClientLink.ts"
import { ExchangeState, type InflightEntry, InflightWindow } from "./InflightWindow.ts"
import { OutgoingQueue } from "./OutgoingQueue.ts"
import type { Services } from "./Services.ts"

const Puback = 4
const Pubrec = 5
const Pubrel = 6
const Pubcomp = 7

/** Retained messages sent in one turn of one session, so that a large replay leaves others their turn. */
const replayPerTurn = 512
/** Places of the tree looked at for them: a filter that matches little must not hold the loop. */
const stepsPerTurn = 2_000

/** Retained messages that a new subscription is owed: read from the tree as the client takes them. */
interface Replay {
  readonly cursor: RetainedCursor
  readonly route: Route
}

const noEntries: ReadonlyArray<InflightEntry> = []

export class Outgoing {
  readonly inflight: InflightWindow
  readonly queue: OutgoingQueue
  private readonly services: Services
  private readonly settings: Settings
  private readonly subscriber: Subscriber
  private link: ClientLink | null = null
  /** Exchanges of an earlier connection that this one has not seen yet, oldest first. */
  private resend: ReadonlyArray<InflightEntry> = noEntries
  /** By topic filter: at most one for each subscription. */
  private replays: Map<string, Replay> | null = null
  /** Exchanges that count against the window of this connection. */
  private outstanding = 0
  private window = 0
  private congestionLogged = false

  constructor(services: Services, subscriber: Subscriber) {
    this.services = services
    this.settings = services.settings
    this.subscriber = subscriber
    this.inflight = new InflightWindow(services.settings.session.maxInflight)
    this.queue = new OutgoingQueue(services.settings.queue.capacity, services.settings.queue.whenFull)
  }

  // --- messages in -------------------------------------------------------------------------------------------------

  /**
   * A message that the router gave this session; RETAIN as its subscription wants it [MQTT-3.3.1-9] [MQTT5-3.3.1-12]
   * [MQTT5-3.3.1-13].
   */
  deliver(message: Message, route: Route): void {
    const link = this.link
    const qos = message.qos < route.qos ? message.qos : route.qos
    if (qos === 0) {
      if (link !== null && this.queue.qos0Size === 0) {
        if (!link.outlet.congested) this.sendQos0(link, message, route, route.retainAsPublished && message.retain)
        else this.dropCongested(message)
        return
      }
      if (link === null && !this.settings.queue.storeQoS0) {
        this.services.counters.deliveries_dropped_offline_qos0_total++
        return
      }
    } else if (link !== null && this.canSend(link) && this.queue.size === 0 && this.resend.length === 0) {
      this.sendWithIdentifier(link, message, route, qos as 1 | 2, route.retainAsPublished && message.retain)
      return
    }
    // [MQTT-3.1.2-5] [MQTT31-8] kept for when it can go
    message.detach()
    const dropped = this.queue.push(message, route)
    if (dropped !== undefined) {
      this.services.counters.deliveries_dropped_queue_full_total++
      this.services.log.warning("queue full: message dropped", {
        client_id: this.subscriber.clientId,
        topic: dropped.message.topic,
        limit: "queue.capacity"
      })
    }
  }

  /** One line for each time that the socket fills, a count for each message. */
  private dropCongested(message: Message): void {
    this.services.counters.deliveries_dropped_congested_total++
    if (this.congestionLogged) return
    this.congestionLogged = true
    this.services.log.warning("slow consumer: its socket is full, QoS 0 messages are dropped", {
      client_id: this.subscriber.clientId,
      topic: message.topic,
      limit: "connection.write_high_watermark"
    })
  }

  /** Retained messages for a new subscription; sent as the window and the socket allow, never dropped by the queue's bound. */
  replay(cursor: RetainedCursor, route: Route): void {
    this.replays ??= new Map()
    this.replays.set(route.topicFilter, { cursor, route })
  }

  /** The subscription was made anew or given up: what it has not got yet of the retained messages is not sent any more. */
  stopReplay(topicFilter: string): void {
    this.replays?.delete(topicFilter)
  }

  // --- acknowledgements in -----------------------------------------------------------------------------------------

  acknowledge(type: number, packetIdentifier: number, reasonCode: number): void {
    const entry = this.inflight.get(packetIdentifier)
    if (type === Puback) {
      // [MQTT-4.3.2-1] [MQTT5-4.3.2-3] acknowledged: the identifier is free again. [MQTT5-4.4.0-2] whatever the reason
      // code
      if (entry !== undefined && entry.state === ExchangeState.AwaitingPuback) this.finish(entry)
    } else if (type === Pubrec) {
      this.onPubrec(entry, packetIdentifier, reasonCode)
    } else if (type === Pubcomp) {
      if (entry !== undefined && entry.state === ExchangeState.AwaitingPubcomp) this.finish(entry)
    }
  }

  private onPubrec(entry: InflightEntry | undefined, packetIdentifier: number, reasonCode: number): void {
    if (reasonCode >= 0x80) {
      // [MQTT5-4.4.0-2] an error ends the exchange; [MQTT5-4.8.2-6] and nobody else gets the message
      if (entry !== undefined && entry.state === ExchangeState.AwaitingPubrec) this.finish(entry)
      return
    }
    if (entry !== undefined && entry.state === ExchangeState.AwaitingPubrec) {
      // [MQTT5-4.3.3-4] [MQTT5-4.3.3-5] [MQTT5-4.3.3-6] from here on the PUBREL is what is sent again
      entry.state = ExchangeState.AwaitingPubcomp
      entry.message = null // [MQTT-4.3.3-1] after PUBREC only the identifier is kept
      entry.sentAt = this.services.scheduler.now
    }
    const known = entry !== undefined && entry.state === ExchangeState.AwaitingPubcomp
    const link = this.link
    if (link === null) return
    // [MQTT-4.6.0-4] at once, so in the order of the PUBRECs
    this.sendPubrel(link, packetIdentifier, known ? ReasonCode.Success : ReasonCode.PacketIdentifierNotFound)
  }

  private finish(entry: InflightEntry): void {
    if (entry.sent) this.outstanding--
    this.inflight.close(entry)
  }

  // --- the connection comes and goes -------------------------------------------------------------------------------

  /** A connection is there. What an earlier one left unacknowledged is sent again, in order [MQTT-4.4.0-1] [MQTT5-4.4.0-1]. */
  attach(link: ClientLink): void {
    this.link = link
    // [MQTT5-4.9.0-1]
    this.window = Math.min(link.receiveMaximum, this.inflight.capacity)
    this.outstanding = 0
    this.resend = this.inflight.size === 0 ? noEntries : this.inflight.inOrder()
    for (const entry of this.resend) entry.sent = false
  }

  /** The connection has gone; what a new subscription is still owed waits for the next one. */
  detach(): void {
    this.link = null
    this.resend = noEntries
    this.outstanding = 0
  }

  /** The session ends: what it was owed is handed over where that is allowed, and counted. */
  end(): void {
    this.link = null
    this.handOver(true)
    this.services.counters.deliveries_dropped_session_ended_total += this.queue.size + this.inflight.size
  }

  get owed(): number {
    return this.queue.size + this.inflight.size
  }

  // [MQTT-3.10.4-3] [MQTT5-3.10.4-3] nothing but this and acknowledgements takes an exchange away: UNSUBSCRIBE does not
  /** Shared messages that the client has not acknowledged go to another member that is connected. */
  handOver(sessionEnds: boolean): void {
    if (this.inflight.size > 0) {
      for (const entry of this.inflight.inOrder()) {
        // [MQTT5-4.8.2-4] [MQTT5-4.8.2-5] a QoS 2 message that was sent stays with its client, or dies with its session
        if (entry.state !== ExchangeState.AwaitingPuback || entry.message === null) continue
        if (this.redispatch(entry.message, entry.route)) this.inflight.close(entry)
      }
    }
    if (this.queue.size > 0) {
      this.queue.removeWhere(({ message, route }) =>
        (sessionEnds || message.qos > 0) && this.redispatch(message, route)
      )
    }
  }

  private redispatch(message: Message, route: Route | null): boolean {
    if (route === null || route.group === undefined) return false
    const done = route.group.redispatch(message, this.subscriber)
    if (done) this.services.counters.shared_redispatched_total++
    return done
  }

  // --- messages out ------------------------------------------------------------------------------------------------

  /** Sends what may go: first what is sent again, then the queue, then retained messages. True: there is more for the next turn. */
  pump(): boolean {
    const link = this.link
    if (link === null) return false
    if (!link.outlet.congested) this.congestionLogged = false
    if (this.resend.length > 0 && !this.pumpResend(link)) return false
    while (this.queue.size > 0) {
      const next = this.queue.peek()
      if (next === undefined) break
      const qos = Math.min(next.message.qos, next.route.qos)
      if (link.outlet.congested || (qos > 0 && !this.canSend(link))) return false
      this.queue.shift()
      this.send(link, next.message, next.route, next.route.retainAsPublished && next.message.retain)
    }
    return this.replays !== null && this.pumpReplays(link, this.replays)
  }

  /** Outgoing QoS 1 and 2 of a live connection that are older than the retry interval are sent again (3.1 and 3.1.1 only). */
  retry(sentBefore: number): void {
    const link = this.link
    if (link === null || this.inflight.size === 0 || link.outlet.congested) return
    for (const entry of this.inflight.inOrder()) {
      if (entry.sent && entry.sentAt <= sentBefore) this.sendAgain(link, entry)
    }
  }

  /** True: nothing is left to be sent again. A PUBREL does not wait behind PUBLISHes that find no room [MQTT5-3.3.4-10]. */
  private pumpResend(link: ClientLink): boolean {
    const waiting: Array<InflightEntry> = []
    for (const entry of this.resend) {
      if (entry.state === ExchangeState.Free || entry.sent) continue
      const release = entry.state === ExchangeState.AwaitingPubcomp
      if (!release && (waiting.length > 0 || !this.hasRoom(link))) {
        waiting.push(entry)
        continue
      }
      // [MQTT5-4.3.3-7] what was sent once does not expire
      entry.sent = true
      this.outstanding++
      this.sendAgain(link, entry)
    }
    this.resend = waiting.length === 0 ? noEntries : waiting
    return waiting.length === 0
  }

  private sendAgain(link: ClientLink, entry: InflightEntry): void {
    this.services.counters.deliveries_resent_total++
    entry.sentAt = this.services.scheduler.now
    if (entry.state === ExchangeState.AwaitingPubcomp) {
      this.sendPubrel(link, entry.packetIdentifier, ReasonCode.Success)
    } else if (entry.message !== null && entry.route !== null) {
      // [MQTT-3.3.1-1] [MQTT5-3.3.1-1] sent again: DUP is 1
      if (!this.write(link, entry.message, entry.route, entry.qos, true, entry.retain, entry.packetIdentifier)) {
        this.finish(entry)
      }
    }
  }

  private pumpReplays(link: ClientLink, replays: Map<string, Replay>): boolean {
    let budget = replayPerTurn
    for (const [topicFilter, { cursor, route }] of replays) {
      while (true) {
        // Nothing is drawn that cannot be sent at once: what waits in the tree is never stale.
        if (link.outlet.congested || (route.qos > 0 && !this.canSend(link))) return false
        if (budget-- <= 0) return true
        const message = cursor.next(stepsPerTurn)
        if (message === undefined && !cursor.done) return true
        if (message === undefined) break
        if (route.noLocal && message.publisher === this.subscriber.clientId) continue // [MQTT5-3.8.3-3]
        this.send(link, message, route, true) // [MQTT-3.3.1-8] [MQTT5-3.3.1-9] RETAIN is 1 for a new subscription
      }
      replays.delete(topicFilter)
    }
    return false
  }

  private canSend(link: ClientLink): boolean {
    // [MQTT5-4.9.0-2] at zero quota nothing of QoS 1 and 2 goes
    return !this.inflight.isFull && this.hasRoom(link)
  }

  /** The client takes another one, new or sent again. */
  private hasRoom(link: ClientLink): boolean {
    return this.outstanding < this.window && !link.outlet.congested
  }

  private send(link: ClientLink, message: Message, route: Route, retain: boolean): void {
    if (message.isExpired(this.services.scheduler.now)) {
      this.services.counters.deliveries_dropped_expired_total++ // [MQTT5-3.3.2-5]
      return
    }
    // [MQTT-3.8.4-6] [MQTT5-3.8.4-8] the lower of the two QoS
    const qos: QoS = message.qos < route.qos ? message.qos : route.qos
    if (qos === 0) this.sendQos0(link, message, route, retain)
    else this.sendWithIdentifier(link, message, route, qos, retain)
  }

  private sendQos0(link: ClientLink, message: Message, route: Route, retain: boolean): void {
    if (
      !retain && message.expiresAt === 0 && link.aliases === undefined && route.subscriptionIdentifiers === undefined
    ) {
      // [MQTT-4.3.1-1] [MQTT5-4.3.1-1] QoS 0, DUP 0
      const frame = message.frame(link.version)
      if (frame.end - frame.start <= link.maximumPacketSize) {
        link.outlet.append(frame.buffer, frame.start, frame.end)
        this.services.counters.messages_sent_qos0_total++
        return
      }
    }
    this.write(link, message, route, 0, false, retain, 0)
  }

  private sendWithIdentifier(link: ClientLink, message: Message, route: Route, qos: 1 | 2, retain: boolean): void {
    message.detach()
    // [MQTT-4.3.2-1] [MQTT-4.3.3-1] [MQTT5-4.3.2-1] [MQTT5-4.3.2-2] [MQTT5-4.3.3-1] [MQTT5-4.3.3-2] [MQTT5-4.3.3-3] a
    // new identifier, DUP 0, unacknowledged until the client says so
    const entry = this.inflight.open(message, route, qos, retain, this.services.scheduler.now)
    this.outstanding++
    if (!this.write(link, message, route, qos, false, retain, entry.packetIdentifier)) this.finish(entry)
  }

  private sendPubrel(link: ClientLink, packetIdentifier: number, reasonCode: number): void {
    const output = link.outlet.arena.output
    output.reserve(8)
    const start = output.position
    writeAcknowledgement(output, Pubrel, packetIdentifier, reasonCode, link.version)
    link.outlet.append(output.buffer, start, output.position)
  }

  /** False: the packet is larger than the client takes; the message counts as sent [MQTT5-3.1.2-25]. */
  private write(
    link: ClientLink,
    message: Message,
    route: Route,
    qos: QoS,
    dup: boolean,
    retain: boolean,
    packetIdentifier: number
  ): boolean {
    const { version, outlet } = link
    const identifiers = version === 5 ? route.subscriptionIdentifiers : undefined
    const size = publishSize(message, version, qos, identifiers, link.aliases === undefined ? 0 : 1, false)
    if (size > link.maximumPacketSize) {
      this.services.counters.deliveries_dropped_too_large_total++
      this.services.log.info("message larger than the client takes: not sent", {
        client_id: this.subscriber.clientId,
        topic: message.topic,
        bytes: size
      })
      return false
    }
    // [MQTT5-3.3.2-11]
    const alias = link.aliases === undefined ? 0 : link.aliases.aliasFor(message.topic)
    const output = outlet.arena.output
    output.reserve(size)
    const start = output.position
    writePublish(
      output,
      message,
      version,
      qos,
      dup,
      retain,
      packetIdentifier,
      identifiers,
      this.services.scheduler.now,
      alias < 0 ? -alias : alias,
      alias > 0
    )
    outlet.append(output.buffer, start, output.position)
    if (qos === 0) this.services.counters.messages_sent_qos0_total++
    else if (qos === 1) this.services.counters.messages_sent_qos1_total++
    else this.services.counters.messages_sent_qos2_total++
    return true
  }
}
