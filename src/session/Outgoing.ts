// The sending half of a session: decides for each message whether it goes now, waits in the queue, or is dropped, and
// runs the QoS 1 and 2 exchanges with the client. Plain code, owned by one Session and called inside its turn.
// Invariants: QoS 1 and 2 leave in the order in which they came [MQTT-4.6.0-5] [MQTT-4.6.0-6] [MQTT5-4.6.0-5]
// [MQTT5-4.6.0-6]; never more unacknowledged messages than the client takes [MQTT5-3.3.4-9]; each message given up is counted.
import type { Settings } from "../config/Settings.ts"
import { publishSize, writePublish } from "../mqtt/encodePublish.ts"
import type { Message } from "../mqtt/Message.ts"
import { PacketType, type QoS } from "../mqtt/Packet.ts"
import { ReasonCode } from "../mqtt/ReasonCode.ts"
import type { RetainedCursor } from "../retain/RetainedCursor.ts"
import { Route } from "../router/Route.ts"
import type { Subscriber } from "../router/Subscriber.ts"
import { DurableDelivery } from "../store/DurableDelivery.ts"
import { DeliveryState } from "../store/Engine.ts"
import type { Journal, Waiter } from "../store/Journal.ts"
import { Backlog, storedMessage } from "./Backlog.ts"
import type { ClientLink } from "./ClientLink.ts"
import type { DurableState } from "./DurableState.ts"
import { appendPubrel } from "./appendPubrel.ts"
import { countSent, Drops } from "./Drops.ts"
import { HeldExchanges } from "./HeldExchanges.ts"
import { ExchangeState, type InflightEntry, InflightWindow } from "./InflightWindow.ts"
import { unmountedMessage } from "./mountpoint.ts"
import { OutgoingQueue } from "./OutgoingQueue.ts"
import type { ReadJudge } from "./ReadJudge.ts"
import { Replays } from "./Replays.ts"
import type { Services } from "./Services.ts"
import { isShared } from "./StoredHandOver.ts"

const { Puback, Pubcomp, Pubrec } = PacketType

const noEntries: ReadonlyArray<InflightEntry> = []

export class Outgoing {
  readonly inflight: InflightWindow
  readonly queue: OutgoingQueue
  private readonly services: Services
  private readonly settings: Settings
  private readonly subscriber: Subscriber & Waiter
  private readonly durable: DurableState | null
  private readonly journal: Journal
  /** What is on disk and not in memory; null: nothing. */
  private backlog: Backlog | null = null
  private held: HeldExchanges | null = null
  private link: ClientLink | null = null
  /** Exchanges of an earlier connection that this one has not seen yet, oldest first. */
  private resend: ReadonlyArray<InflightEntry> = noEntries
  private replays: Replays | null = null
  /** There while something is owed that the client may not be allowed to read any more. */
  judge: ReadJudge | null = null
  /** Exchanges that count against the window of this connection. */
  private outstanding = 0
  private window = 0
  private readonly drops: Drops

  /** `durable`: null where nothing outlives the process; `owed`: what it has in the store and not in memory. */
  constructor(services: Services, subscriber: Subscriber & Waiter, durable: DurableState | null = null, owed = 0) {
    this.services = services
    this.durable = durable
    this.journal = services.journal
    if (durable !== null && owed > 0) {
      this.backlog = new Backlog(services.journal, services.reads, durable, owed, subscriber)
    }
    this.settings = services.settings
    this.drops = new Drops(services, subscriber.clientId)
    this.subscriber = subscriber
    this.inflight = new InflightWindow(services.settings.session.maxInflight)
    this.queue = new OutgoingQueue(services.settings.queue.capacity, services.settings.queue.whenFull)
  }

  // --- messages in -------------------------------------------------------------------------------------------------

  /** A message of the router; RETAIN as its subscription wants it [MQTT-3.3.1-9] [MQTT5-3.3.1-12] [MQTT5-3.3.1-13]. */
  deliver(message: Message, route: Route, record: DurableDelivery | null): void {
    const link = this.link
    const qos = message.qos < route.qos ? message.qos : route.qos
    if (this.judge?.refuses(message, qos) === true) return this.forget(record)
    if (qos === 0) {
      if (link !== null && this.queue.qos0Size === 0) {
        if (!link.outlet.congested) this.sendQos0(link, message, route, route.retainAsPublished && message.retain)
        else this.drops.congested(message)
        return
      }
      if (link === null && !this.settings.queue.storeQoS0) {
        this.drops.offline(message)
        return
      }
    } else if (
      link !== null && this.canSend(link) && this.queue.size === 0 && this.resend.length === 0 && this.backlog === null
    ) {
      this.sendWithIdentifier(link, message, route, qos as 1 | 2, route.retainAsPublished && message.retain, record)
      return
    }
    // [MQTT-3.1.2-5] [MQTT31-8] kept for when it can go
    message.detach()
    if (this.backlog === null || record === null) return this.enqueue(message, route, record)
    if (this.queue.size + this.backlog.size >= this.queue.capacity) {
      this.drops.queueFull(message)
      if (this.queue.whenFull === "drop_newest") return this.journal.done(record)
      const oldest = this.queue.shift()
      if (oldest === undefined) this.backlog.excess++
      else this.forget(oldest.record)
    }
    this.backlog.add({ message, route, record })
    if (this.backlog.excess > 0) this.readBack()
  }

  private enqueue(message: Message, route: Route, record: DurableDelivery | null): void {
    const dropped = this.queue.push(message, route, record)
    if (dropped === undefined) return
    this.forget(dropped.record)
    this.drops.queueFull(dropped.message)
  }

  /** What was refused to its publisher when the store failed is owed to nobody any more. */
  private isWithdrawn(record: DurableDelivery | null): boolean {
    if (record === null || !record.recorded.withdrawn) return false
    this.journal.done(record)
    this.services.counters.deliveries_withdrawn_total++
    return true
  }

  private forget(record: DurableDelivery | null): void {
    if (record !== null) this.journal.done(record)
  }

  /** Takes in what was read from the store; asks for more. */
  readBack(): void {
    const { backlog } = this
    if (backlog === null) return
    for (const row of backlog.take() ?? []) {
      const record = DurableDelivery.stored(row)
      // An exchange that was under way is never given up: its client may hold the identifier.
      if (backlog.excess > 0 && row.state === DeliveryState.Queued) {
        backlog.excess--
        this.journal.done(record)
        continue
      }
      if (row.state === DeliveryState.Queued) backlog.exchangesUnread = false
      const message = storedMessage(row, this.subscriber.clientId, this.services)
      if (message === undefined) continue
      const { topicFilter } = row
      const route = Route.stored(
        this.subscriber,
        row,
        isShared(topicFilter) ? this.services.router.share(topicFilter) : undefined
      )
      const entry = row.state === DeliveryState.Queued ? undefined : this.inflight.restore(message, route, record)
      if (entry === undefined) this.enqueue(message, route, record)
      else if (this.link !== null) this.resend = [...this.resend, entry]
    }
    const { rest } = backlog
    if (rest === null) return backlog.readOn(this.queue.size, this.link !== null)
    this.backlog = null
    for (const { message, record, route } of rest) this.enqueue(message, route, record)
  }

  /** Some of what it is owed is in the store and not in memory. */
  get hasBacklog(): boolean {
    return this.backlog !== null
  }

  /** True until it is known which packet identifiers were in use before a restart. */
  get exchangesUnread(): boolean {
    return this.backlog !== null && this.backlog.exchangesUnread
  }

  /** Retained messages for a new subscription; sent as the window and the socket allow, never dropped by the queue's bound. */
  replay(cursor: RetainedCursor, route: Route): void {
    this.replays ??= new Replays(this.subscriber.clientId)
    this.replays.add(cursor, route)
  }

  /** The subscription was made anew or given up: what it has not got yet of the retained messages is not sent any more. */
  stopReplay(topicFilter: string): void {
    this.replays?.stop(topicFilter)
  }

  // --- acknowledgements in -----------------------------------------------------------------------------------------

  acknowledge(type: number, packetIdentifier: number, reasonCode: number): void {
    const found = this.inflight.get(packetIdentifier)
    // What has not been sent cannot be acknowledged.
    const entry = found?.written === true ? found : undefined
    if (entry === undefined) this.services.counters.acknowledgementMissed(type)
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
      // No crash may forget the PUBREC of a PUBREL that went out: the message would go a second time.
      if (entry.record !== null) {
        entry.group = this.journal.exchange(entry.record, entry.state, packetIdentifier)
        if (this.link !== null) (this.held ??= new HeldExchanges(this.journal, this.subscriber)).release(entry)
        return
      }
    }
    if (entry !== undefined && entry.group > this.journal.committed) return
    const known = entry !== undefined && entry.state === ExchangeState.AwaitingPubcomp
    const link = this.link
    if (link === null) return
    // [MQTT-4.6.0-4] at once, so in the order of the PUBRECs
    appendPubrel(link, packetIdentifier, known ? ReasonCode.Success : ReasonCode.PacketIdentifierNotFound)
  }

  private finish(entry: InflightEntry): void {
    if (entry.sent) this.outstanding--
    this.forget(entry.record)
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
    this.held = null
    this.resend = noEntries
    this.outstanding = 0
  }

  /** The session ends: what it was owed is handed over where that is allowed, and counted. */
  end(): void {
    this.link = null
    this.handOver(true)
    this.services.counters.deliveries_dropped_session_ended_total += this.owed
    this.backlog = null
  }

  get owed(): number {
    return this.queue.size + this.inflight.size + (this.backlog?.size ?? 0)
  }

  /** Shared messages that the client has not acknowledged go to another member that is connected; nothing else takes an exchange
   * away, UNSUBSCRIBE does not [MQTT-3.10.4-3] [MQTT5-3.10.4-3]. */
  handOver(sessionEnds: boolean): void {
    if (this.inflight.size > 0) {
      for (const entry of this.inflight.inOrder()) {
        // [MQTT5-4.8.2-4] [MQTT5-4.8.2-5] a QoS 2 message that was sent stays with its client, or dies with its session
        if (entry.state !== ExchangeState.AwaitingPuback || entry.message === null) continue
        if (entry.record?.recorded.withdrawn === true || !this.redispatch(entry.message, entry.route)) continue
        this.forget(entry.record)
        this.inflight.close(entry)
      }
    }
    if (this.queue.size > 0) {
      const handed = this.queue.removeWhere(({ message, record, route }) =>
        (sessionEnds || message.qos > 0) && record?.recorded.withdrawn !== true && this.redispatch(message, route)
      )
      for (const { record } of handed) this.forget(record)
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
    if (!link.outlet.congested) this.drops.relieved()
    if (this.held !== null) this.sendHeld(link, this.held)
    if (this.resend.length > 0 && !this.pumpResend(link)) return false
    while (this.queue.size > 0) {
      const next = this.queue.peek()
      if (next === undefined) break
      const qos = Math.min(next.message.qos, next.route.qos)
      if (link.outlet.congested || (qos > 0 && !this.canSend(link))) return false
      this.queue.shift()
      this.send(link, next.message, next.route, next.route.retainAsPublished && next.message.retain, next.record)
    }
    this.backlog?.readOn(this.queue.size, true)
    if (this.backlog === null && this.judge?.settled === true) this.judge = null
    if (this.exchangesUnread) return false
    if (this.replays === null) return false
    return this.replays.pump(
      // Nothing is drawn that cannot be sent at once: what waits in the tree is never stale.
      (route) => !link.outlet.congested && (route.qos === 0 || this.canSend(link)),
      // [MQTT-3.3.1-8] [MQTT5-3.3.1-9] RETAIN is 1 for a new subscription
      (message, route) => this.send(link, message, route, true, this.durable?.deliver(message, route, true) ?? null)
    )
  }

  /** Outgoing QoS 1 and 2 of a live connection that are older than the retry interval are sent again (3.1 and 3.1.1 only). */
  retry(sentBefore: number): void {
    const link = this.link
    if (link === null || this.inflight.size === 0 || link.outlet.congested) return
    for (const entry of this.inflight.inOrder()) {
      if (!entry.sent || entry.sentAt > sentBefore || !entry.written || entry.group > this.journal.committed) continue
      this.sendAgain(link, entry)
    }
  }

  /** True: nothing is left to be sent again. A PUBREL does not wait behind PUBLISHes that find no room [MQTT5-3.3.4-10]. */
  private pumpResend(link: ClientLink): boolean {
    const waiting: Array<InflightEntry> = []
    for (const entry of this.resend) {
      if (entry.state === ExchangeState.Free || entry.sent) continue
      if (entry.group > this.journal.committed) {
        this.journal.wait(this.subscriber)
        waiting.push(entry)
        continue
      }
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
    if (!entry.written && this.isWithdrawn(entry.record)) return this.finish(entry)
    if (entry.message !== null && this.judge?.refuses(entry.message, entry.qos) === true) return this.finish(entry)
    const again = entry.written
    if (again) this.services.counters.deliveries_resent_total++
    entry.written = true
    entry.sentAt = this.services.scheduler.now
    if (entry.state === ExchangeState.AwaitingPubcomp) {
      appendPubrel(link, entry.packetIdentifier, ReasonCode.Success)
    } else if (entry.message !== null && entry.route !== null) {
      // [MQTT-3.3.1-1] [MQTT5-3.3.1-1] sent again: DUP is 1
      if (!this.write(link, entry.message, entry.route, entry.qos, again, entry.retain, entry.packetIdentifier)) {
        this.finish(entry)
      }
    }
  }

  private canSend(link: ClientLink): boolean {
    // [MQTT5-4.9.0-2] at zero quota nothing of QoS 1 and 2 goes
    return !this.inflight.isFull && this.hasRoom(link)
  }

  /** The client takes another one, new or sent again. */
  private hasRoom(link: ClientLink): boolean {
    return this.outstanding < this.window && !link.outlet.congested
  }

  private send(
    link: ClientLink,
    message: Message,
    route: Route,
    retain: boolean,
    record: DurableDelivery | null
  ): void {
    if (message.isExpired(this.services.scheduler.now)) {
      this.forget(record)
      this.services.counters.deliveries_dropped_expired_total++ // [MQTT5-3.3.2-5]
      return
    }
    // [MQTT-3.8.4-6] [MQTT5-3.8.4-8] the lower of the two QoS
    const qos: QoS = message.qos < route.qos ? message.qos : route.qos
    if (this.judge?.refuses(message, qos) === true) return this.forget(record)
    if (qos === 0) this.sendQos0(link, message, route, retain)
    else this.sendWithIdentifier(link, message, route, qos, retain, record)
  }

  private sendQos0(link: ClientLink, message: Message, route: Route, retain: boolean): void {
    if (
      !retain && message.expiresAt === 0 && link.aliases === undefined &&
      route.subscriptionIdentifiers === undefined && link.mountpoint === ""
    ) {
      // [MQTT-4.3.1-1] [MQTT5-4.3.1-1] QoS 0, DUP 0
      const frame = message.frame(link.version)
      if (frame.end - frame.start <= link.maximumPacketSize) {
        link.outlet.append(frame.buffer, frame.start, frame.end)
        countSent(this.services.counters, message, 0)
        return
      }
    }
    this.write(link, message, route, 0, false, retain, 0)
  }

  private sendWithIdentifier(
    link: ClientLink,
    message: Message,
    route: Route,
    qos: 1 | 2,
    retain: boolean,
    record: DurableDelivery | null
  ): void {
    if (this.isWithdrawn(record)) return
    message.detach()
    // [MQTT-4.3.2-1] [MQTT-4.3.3-1] [MQTT5-4.3.2-1] [MQTT5-4.3.2-2] [MQTT5-4.3.3-1] [MQTT5-4.3.3-2] [MQTT5-4.3.3-3] a
    // new identifier, DUP 0, unacknowledged until the client says so
    const entry = this.inflight.open(message, route, qos, retain, this.services.scheduler.now)
    this.outstanding++
    if (record !== null) {
      entry.record = record
      const group = this.journal.exchange(record, entry.state, entry.packetIdentifier)
      // No crash may forget the identifier of a QoS 2 PUBLISH that went out; what comes behind it stays behind it.
      if (qos === 2) entry.group = group
      if (qos === 2 || this.held !== null) {
        return (this.held ??= new HeldExchanges(this.journal, this.subscriber)).publish(entry)
      }
    }
    entry.written = true
    if (!this.write(link, message, route, qos, false, retain, entry.packetIdentifier)) this.finish(entry)
  }

  /** What waited for its group and may go now. */
  private sendHeld(link: ClientLink, held: HeldExchanges): void {
    const entries = held.takeCommitted()
    if (held.isEmpty) this.held = null
    for (const entry of entries) {
      if (entry.state === ExchangeState.AwaitingPubcomp) {
        appendPubrel(link, entry.packetIdentifier, ReasonCode.Success)
      } else if (this.isWithdrawn(entry.record)) this.finish(entry)
      else if (entry.message !== null && entry.route !== null) {
        entry.written = true
        entry.sentAt = this.services.scheduler.now
        const { message, packetIdentifier, qos, retain, route } = entry
        if (!this.write(link, message, route, qos, false, retain, packetIdentifier)) this.finish(entry)
      }
    }
  }

  /** False: the packet is larger than the client takes; the message counts as sent [MQTT5-3.1.2-25]. */
  private write(
    link: ClientLink,
    whole: Message,
    route: Route,
    qos: QoS,
    dup: boolean,
    retain: boolean,
    packetIdentifier: number
  ): boolean {
    const { mountpoint } = link
    const message = mountpoint === "" ? whole : unmountedMessage(mountpoint, whole, this.services.topics)
    const { version, outlet } = link
    const identifiers = version === 5 ? route.subscriptionIdentifiers : undefined
    const size = publishSize(message, version, qos, identifiers, link.aliases === undefined ? 0 : 1, false)
    if (size > link.maximumPacketSize) {
      this.drops.tooLarge(message, size)
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
    countSent(this.services.counters, message, qos)
    return true
  }
}
