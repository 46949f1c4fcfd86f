// One client's session: its subscriptions, what it is owed, its will and its deadline; it outlives connections. The router
// delivers to it, the attached connection hands it acknowledgements and requests, Sessions opens and ends it.
// Invariant: at most one connection is attached, and nobody else writes this state.
import type { Subscribe, Unsubscribe } from "../mqtt/Packet.ts"
import { Permissions } from "../access/rules/Permissions.ts"
import { ReasonCode } from "../mqtt/ReasonCode.ts"
import type { Timer } from "../otp/TimerWheel.ts"
import { Route } from "../router/Route.ts"
import type { Subscription } from "../router/Subscriber.ts"
import type { StoredSession } from "../store/Engine.ts"
import { AwaitingPubrel } from "./AwaitingPubrel.ts"
import type { ClientLink, LinkEvent, SessionCommand, SessionHandle } from "./ClientLink.ts"
import { awaitedPermissions, deniedNow, type JudgedWhen } from "./deniedNow.ts"
import { DurableState } from "./DurableState.ts"
import { type Holder, sameHolder } from "./Holder.ts"
import { LastWill } from "./LastWill.ts"
import { Outgoing } from "./Outgoing.ts"
import { ReadJudge } from "./ReadJudge.ts"
import type { Services, Timed } from "./Services.ts"
import { isShared, StoredHandOver } from "./StoredHandOver.ts"
import { type HeldAnswer, HeldAnswers } from "./HeldAnswers.ts"
import { MovingSession, ownerOf } from "./MovingSession.ts"
import { judgeSubscribe, routerIsFull } from "./subscribe.ts"
import { Subscriptions } from "./Subscriptions.ts"

/** The registry, as its sessions see it. */
export interface SessionOwner {
  sessionEnded(session: Session): void
  /** It was to go to another node, which has not taken it. */
  stays(session: Session, done: () => void): void
  /** An Attach met a session that was over by then: open another one. */
  reopen(attach: Extract<SessionCommand, { readonly _tag: "Attach" }>, clientId: string): void
}

const crashesAllowed = 3

const sentAway: LinkEvent = {
  _tag: "Close",
  reasonCode: ReasonCode.SessionTakenOver,
  reason: "taken over by a new connection"
}

export class Session extends MovingSession implements SessionHandle, Timed {
  private readonly owner: SessionOwner
  private timer: Timer<Timed> | undefined
  private crashes = 0
  private answering = false
  private answers: HeldAnswers | null = null
  /** It waits for answers of the access rules about the subscriptions that are here. */
  private judged: ClientLink | null = null
  /** Whose it was when what it is owed was judged last, and under which rules. */
  private holder: Holder | null = null
  private judgedUnder = 0

  constructor(clientId: string, services: Services, owner: SessionOwner) {
    super(clientId, services)
    this.owner = owner
  }

  get outgoing(): Outgoing {
    if (this.sending !== null) return this.sending
    const outgoing = new Outgoing(this.services, this, this.durable, this.stored)
    this.stored = 0
    if (this.link !== null) outgoing.attach(this.link)
    return this.sending = outgoing
  }

  get awaitingPubrel(): AwaitingPubrel {
    return this.awaiting ??= new AwaitingPubrel(this.services.settings.session.maxAwaitingPubrel, this.durable)
  }

  /** Messages that wait for its client or are in flight. */
  get owed(): number {
    return this.sending?.owed ?? this.stored
  }

  protected stays(done: () => void): void {
    this.owner.stays(this, done)
  }

  onTimer(): void {
    this.wake()
  }

  /** Over for good, although the registry may not have heard of it. */
  get isFinished(): boolean {
    return this.finished
  }

  override crash(defect: unknown): void {
    this.services.log.error("session crashed", { client_id: this.clientId, defect: String(defect) })
    super.crash(defect)
  }

  // --- one turn ----------------------------------------------------------------------------------------------------

  protected receive(): void {
    if (this.finished) return
    if (this.answers !== null) this.releaseAnswers(this.answers)
    this.sending?.readBack()
    if (this.acknowledgements !== null && this.sending?.exchangesUnread !== true) {
      if (this.isBehind) this.link?.wake()
      this.takeAcknowledgements(this.acknowledgements)
    }
    if (this.commands !== null) {
      const commands = this.commands
      this.commands = null
      for (let i = 0; i < commands.length; i++) {
        const command = commands[i]
        if (command === undefined) continue
        try {
          this.handle(command)
        } catch (defect) {
          this.commands = [...commands.slice(i + 1), ...(this.commands ?? [])]
          throw defect
        }
        if (this.finished) return commands.slice(i + 1).forEach((late) => this.refuse(late))
      }
    }
    // [MQTT-3.2.0-1] [MQTT5-3.2.0-1] nothing goes out before CONNACK: the connection wakes its session after it
    if (this.link !== null && !this.link.accepting) return
    if (this.deferred !== null) this.takeDeferred(this.deferred)
    if (!this.holding && this.messages !== null && this.messages.length > 0) {
      this.takeMessages(this.messages, this.routes)
    }
    if (this.timer !== undefined && !this.timer.active) this.onDeadline(this.scheduler.now)
    if (this.finished) return
    if (this.answering) this.answering = false
    else if (this.sending?.pump() !== true) return
    this.wake()
  }

  private handle(command: SessionCommand): void {
    switch (command._tag) {
      case "Attach":
        return this.attach(command)
      case "Detach":
        return this.detach(command.link, command.publishWill, command.expiryMillis)
      case "Subscribe":
        return this.subscribe(command.link, command.packet)
      case "Subscribed":
        return this.subscribed(command)
      case "Unsubscribe":
        return this.unsubscribe(command.link, command.packet)
      case "Unsubscribed":
        return this.answer({ link: command.link, event: command, replays: [] }, 0)
      case "Depart":
        return command.reply(this.depart())
      case "Step":
        return command.run()
      case "End":
        return this.terminate(command.reasonCode, command.reason)
      default:
        return command satisfies never
    }
  }

  /** Too late for this session: a connection that wanted to attach gets another one, the rest has nobody to answer to. */
  protected refuse(command: SessionCommand): void {
    if (command._tag === "Attach") this.owner.reopen(command, this.clientId)
    else if (command._tag === "Depart") command.reply(null)
  }

  // --- connections -------------------------------------------------------------------------------------------------

  private attach(command: Extract<SessionCommand, { readonly _tag: "Attach" }>): void {
    const { expiryMillis, link, sessionPresent } = command
    const { will } = command.connect
    const takenOver = this.link !== null || command.takenOver === true
    // Of two that wait for answers the later one is served.
    if (this.judged !== null && this.judged !== link) this.judged.post(sentAway)
    this.judged = link
    if (this.link !== null) {
      // [MQTT-3.1.4-2] [MQTT5-3.1.4-3] the client that is there has to go
      this.services.counters.sessions_taken_over_total++
      this.link.post(sentAway)
      this.loseLink()
    }
    const permissions = awaitedPermissions(link)
    const denied = this.deniedTo(link, permissions, "the session was resumed", () => {
      if (this.judged === link) this.command({ ...command, takenOver })
    })
    if (denied === undefined) return
    this.judged = null
    this.giveUp(link, denied, permissions)
    const formerWill = takenOver ? this.lastWill : null
    this.link = link
    this.accepts = null
    this.userName = link.subject.userName ?? null
    this.connected = true
    this.expiryMillis = expiryMillis
    this.expiresAt = Infinity
    if (!sessionPresent) this.startedClean = command.connect.cleanStart
    this.lastWill = will === undefined ? null : new LastWill(will, link.subject, link.mountpoint) // [MQTT-3.1.2-8] [MQTT-3.1.2-12] [MQTT5-3.1.2-7]
    const { journal } = this.services
    if (journal.enabled && expiryMillis > 0) this.durable ??= new DurableState(journal, journal.nextSession(), 0)
    this.save()
    this.answer({ link, event: { _tag: "Attached", session: this, sessionPresent }, replays: [] }, command.group) // What it is owed from before a restart is read from now on.
    ;(this.stored > 0 ? this.outgoing : this.sending)?.attach(link)
    this.setTimer()
    // [MQTT5-3.1.3-9] within its delay the new connection cancels the will of the old one; without a delay it is published
    formerWill?.arm(this.services, this.clientId, this.scheduler.now, Infinity)
  }

  /** Undefined: answers have to be fetched first. */
  private deniedTo(
    link: ClientLink,
    permissions: Permissions,
    why: JudgedWhen,
    answered: () => void
  ): ReadonlyArray<string> | undefined {
    return this.subscriptions === null ? [] : deniedNow(link, this.subscriptions, permissions, why, answered)
  }

  /** What is denied to who is there now: subscriptions at once, what it is owed when its turn comes. */
  private giveUp(link: ClientLink, denied: ReadonlyArray<string>, permissions: Permissions): void {
    const holder = { subject: link.subject, mountpoint: link.mountpoint }
    const { serial } = this.services.rules.authorization
    const isAsBefore = this.judgedUnder === serial && this.holder !== null && sameHolder(this.holder, holder)
    this.judgedUnder = serial
    this.holder = holder
    if (denied.length === 0 && (isAsBefore || (this.owed === 0 && (this.messages?.length ?? 0) === 0))) return
    const judge = this.outgoing.judge = new ReadJudge(link, permissions, () => this.subscriptions)
    if (denied.length === 0) return
    judge.settled = false
    this.remove(denied, () => {
      judge.settled = true
    })
  }

  /** In its turn: the rules have changed under a client that is there. */
  rejudge(whenRevoked: "unsubscribe" | "disconnect", permissions?: Permissions): void {
    const { link } = this
    if (link === null || this.departing || this.judgedUnder === this.services.rules.authorization.serial) return
    const asked = permissions ?? new Permissions(link.services.rules, link.subject, 0)
    const denied = this.deniedTo(
      link,
      asked,
      "the rules have changed",
      () => this.command({ _tag: "Step", run: () => this.rejudge(whenRevoked, this.link === link ? asked : undefined) })
    )
    if (denied === undefined) return
    this.giveUp(link, denied, asked)
    if (denied.length === 0 || whenRevoked === "unsubscribe") return
    link.post({ _tag: "Close", reasonCode: ReasonCode.NotAuthorized, reason: "a subscription is denied now" })
  }

  private detach(link: ClientLink, publishWill: boolean, expiryMillis: number | undefined): void {
    if (this.link !== link) return
    this.loseLink()
    if (expiryMillis !== undefined) this.expiryMillis = expiryMillis
    const now = this.scheduler.now
    if (publishWill) this.lastWill?.arm(this.services, this.clientId, now, this.expiryMillis)
    else this.lastWill = null // [MQTT-3.1.2-10] [MQTT5-3.1.2-10] gone after DISCONNECT 0x00
    // [MQTT-4.1.0-1] [MQTT-4.1.0-2] [MQTT5-3.1.2-23] [MQTT5-4.1.0-1] [MQTT5-4.1.0-2] it lives as long as its
    // connection, and then for its expiry
    if (this.expiryMillis === 0) return this.terminate(ReasonCode.Success, "")
    this.expiresAt = now + this.expiryMillis
    this.save()
    this.setTimer()
  }

  // --- the store ---------------------------------------------------------------------------------------------------

  /** What outlives the process: a node that starts finds this session as it is now. */
  protected save(): void {
    const { clientId, connected, durable, expiresAt, expiryMillis, token, userName } = this
    const { zone } = this.services
    const will = this.lastWill?.row(clientId) ?? null
    const cluster = token === 0 ? {} : { token }
    durable?.save({ clientId, expiryMillis, expiresAt, connected, will, zone, ...ownerOf(userName), ...cluster })
  }

  /** Before the broker listens: as it was when the last group was committed. `begin` follows once all are read. */
  restore(stored: StoredSession, subscriptions: ReadonlyArray<Subscription>, committedAt: number): void {
    const { row } = stored
    this.durable = new DurableState(this.services.journal, row.session, stored.lastSequence)
    this.restoredTo = stored.lastSequence
    this.userName = row.userName
    this.token = row.token ?? 0
    this.expiryMillis = row.expiryMillis
    this.expiresAt = row.connected ? committedAt + row.expiryMillis : row.expiresAt
    this.stored = stored.owed
    if (stored.awaitingPubrel.length > 0) this.awaitingPubrel.restore(stored.awaitingPubrel)
    for (const subscription of subscriptions) (this.subscriptions ??= new Subscriptions()).set(subscription)
    if (row.will === null) return
    this.lastWill = LastWill.restore(row.will, row.clientId, this.services)
    // The node has crashed under a client that was there: its connection ended when the last group was committed.
    if (row.connected) this.lastWill?.armAt(committedAt, this.expiryMillis, this.services)
  }

  /** Its deadlines run; what has passed meanwhile is dealt with at the next tick. */
  begin(crashed: boolean): void {
    if (this.finished) return
    if (this.expiresAt <= this.scheduler.now) {
      return this.command({ _tag: "End", reasonCode: ReasonCode.Success, reason: "" })
    }
    if (crashed) this.save()
    this.setTimer()
  }

  /** Another session takes its place: at once, so that the other one's CONNACK knows the group. */
  forget(): number {
    // What it has to hand over is read first; a start in between knows of two sessions of one client which is the later one.
    return this.leavesShared ? 0 : this.durable?.end() ?? 0
  }

  /** Deliveries of shared subscriptions may be in the store and not in memory. */
  private get leavesShared(): boolean {
    if (this.durable === null || (this.stored === 0 && this.sending?.hasBacklog !== true)) return false
    return this.subscriptions !== null && this.subscriptions.topicFilters().some(isShared)
  }

  /** Goes when what it says is committed. */
  private answer(answer: HeldAnswer, group: number): void {
    const { journal } = this.services
    const needed = Math.max(group, this.durable?.changedIn ?? 0)
    if (this.answers === null && needed <= journal.committed) return this.give(answer)
    this.answers ??= new HeldAnswers(journal, this)
    this.answers.hold(answer, needed)
  }

  private releaseAnswers(answers: HeldAnswers): void {
    for (const answer of answers.takeCommitted()) this.give(answer)
    if (answers.isEmpty) this.answers = null
  }

  private give({ event, link, replays, undo }: HeldAnswer): void {
    link.post(event)
    if (undo !== undefined) return this.command(undo)
    if (this.link !== link || replays.length === 0) return
    for (const subscription of replays) {
      this.outgoing.replay(this.services.retainer.cursor(subscription.filter), Route.of(this, subscription, undefined))
    }
    // Retained messages go in the next turn of this session, after the connection has written its SUBACK.
    this.answering = true
  }

  protected loseLink(): void {
    this.link = null
    this.connected = false
    this.sending?.detach()
    // What the router gave and nobody has looked at belongs to the queue now, and may be handed over with it.
    if (!this.holding && this.messages !== null && this.messages.length > 0) {
      this.takeMessages(this.messages, this.routes)
    }
    this.sending?.handOver(false)
  }

  /** The session is over: subscriptions go, a will that waits is published [MQTT5-3.1.2-8], shared messages find another member. */
  protected terminate(reasonCode: number, reason: string): void {
    if (this.link !== null) {
      this.link.post({ _tag: "Close", reasonCode, reason })
      this.loseLink()
    } else if (this.messages !== null && this.messages.length > 0) this.takeMessages(this.messages, this.routes)
    this.conclude()
  }

  protected conclude(): void {
    // First what must not be left undone, should anything after it throw.
    const handOver = this.leavesShared && this.durable !== null
      ? new StoredHandOver(this.services, this, this.durable)
      : undefined
    this.finished = true
    if (handOver === undefined) this.durable?.leave()
    this.dropTaken()
    this.owner.sessionEnded(this)
    for (const late of this.commands ?? []) this.refuse(late)
    this.commands = null
    if (this.deferred !== null) this.takeDeferred(this.deferred)
    if (this.subscriptions !== null) {
      this.services.router.removeSubscriber(this, this.subscriptions.topicFilters())
      this.subscriptions = null
    }
    if (handOver === undefined) this.sending?.end()
    handOver?.begin()
    this.lastWill?.publish(this.services, this.clientId)
    if (this.timer !== undefined) this.services.wheel.cancel(this.timer)
    this.timer = undefined
    this.services.counters.sessions_ended_total++
    this.stop()
  }

  // --- subscriptions -----------------------------------------------------------------------------------------------

  private subscribe(link: ClientLink, packet: Subscribe): void {
    const { clientId, services } = this
    const subscriptions = this.subscriptions ??= new Subscriptions()
    const { granted, reasonCodes, replays, takeBack } = judgeSubscribe(services, clientId, subscriptions, packet)
    const { packetIdentifier } = packet
    const done = { _tag: "Subscribed", link, packetIdentifier, reasonCodes, granted, replays } as const
    if (granted.length === 0) return this.handle(done)
    const refused = () => ({ ...done, reasonCodes: takeBack(), granted: [], replays: [] })
    if (services.router.subscribe(this, granted, (had) => this.command(had === undefined ? refused() : done))) return
    routerIsFull(services, clientId, granted.length)
    this.handle(refused())
  }

  private subscribed(command: Extract<SessionCommand, { readonly _tag: "Subscribed" }>): void {
    const { granted, link, packetIdentifier, reasonCodes, replays } = command
    this.subscribedAt = this.services.router.remote.placesInTrouble() ?? this.subscribedAt
    for (const subscription of granted) {
      if (this.subscriptions?.get(subscription.topicFilter) === subscription) this.durable?.subscribed(subscription)
    }
    // [MQTT-3.8.4-1] [MQTT5-3.8.4-1] [MQTT5-3.8.4-2]
    this.answer({ link, event: { _tag: "Subscribed", packetIdentifier, reasonCodes }, replays }, 0)
  }

  private unsubscribe(link: ClientLink, packet: Unsubscribe): void {
    // [MQTT-3.10.4-4] [MQTT-3.10.4-5] [MQTT5-3.10.4-4] [MQTT5-3.10.4-5] answered even if there was nothing to delete
    const reasonCodes = this.remove(packet.topicFilters, () => this.command(done))
    const done = { _tag: "Unsubscribed", link, packetIdentifier: packet.packetIdentifier, reasonCodes } as const
    if (!reasonCodes.includes(ReasonCode.Success)) this.handle(done)
  }

  /** Their reason codes; `removed` is called when the router has heard of those that were there. */
  private remove(topicFilters: ReadonlyArray<string>, removed: () => void): ReadonlyArray<number> {
    const known: Array<string> = []
    // [MQTT-3.10.4-6] [MQTT5-3.10.4-6] one after the other
    const reasonCodes = topicFilters.map((topicFilter) => {
      // [MQTT-3.10.4-1] [MQTT5-3.10.4-1] compared character by character
      if (this.subscriptions?.delete(topicFilter) !== true) return ReasonCode.NoSubscriptionExisted
      known.push(topicFilter)
      this.durable?.unsubscribed(topicFilter)
      this.sending?.stopReplay(topicFilter) // [MQTT-3.10.4-2] [MQTT5-3.10.4-2]
      return ReasonCode.Success
    })
    if (known.length > 0) this.services.router.unsubscribe(this, known, removed)
    return reasonCodes
  }

  // --- time --------------------------------------------------------------------------------------------------------

  private onDeadline(now: number): void {
    this.timer = undefined
    if (this.lastWill !== null && this.lastWill.dueAt <= now) {
      this.lastWill.publish(this.services, this.clientId)
      this.save()
    }
    if (this.expiresAt <= now) return this.terminate(ReasonCode.Success, "")
    const retry = this.services.settings.session.retryIntervalMillis
    if (this.retries) this.outgoing.retry(now - retry)
    this.setTimer()
  }

  /** Only 3.1 and 3.1.1 clients are sent a message again on a live connection, and only where that is configured [MQTT5-4.4.0-1]. */
  private get retries(): boolean {
    return this.services.settings.session.retryIntervalMillis > 0 && this.link !== null && this.link.version !== 5
  }

  protected setTimer(): void {
    const retryAt = this.retries ? this.scheduler.now + this.services.settings.session.retryIntervalMillis : Infinity
    const next = Math.min(this.expiresAt, this.lastWill?.dueAt ?? Infinity, retryAt)
    if (this.timer !== undefined) this.services.wheel.cancel(this.timer)
    this.timer = next === Infinity || this.departing ? undefined : this.services.wheel.schedule(next, this)
  }

  // --- after a crash -----------------------------------------------------------------------------------------------

  /**
   * What was being handled is gone; subscriptions, queue and exchanges are kept, and the client has to connect again. A session
   * that crashes again and again is ended: it must not cost its neighbours their supervisor.
   */
  protected override restarted(): void {
    this.services.counters.sessions_crashed_total++
    this.crashes++
    const reason = "its session crashed"
    if (this.crashes > crashesAllowed) return this.terminate(ReasonCode.ImplementationSpecificError, reason)
    // [MQTT-4.8.0-2] a transient error closes the connection
    const link = this.link
    if (link === null) return
    link.post({ _tag: "Close", reasonCode: ReasonCode.ImplementationSpecificError, reason })
    this.detach(link, true, undefined)
  }
}
