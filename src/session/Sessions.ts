// The registry: client id → session. Connections ask it to open one; it decides between a new one, the one that is there,
// and its end. Invariant: a client id names at most one session that is not over [MQTT-3.1.3-2] [MQTT5-3.1.3-2].
import type { Connect } from "../mqtt/Packet.ts"
import { ReasonCode } from "../mqtt/ReasonCode.ts"
import { MailboxActor } from "../otp/MailboxActor.ts"
import type { Supervisor } from "../otp/Supervisor.ts"
import type { Subscriber, Subscription } from "../router/Subscriber.ts"
import type { StoredSession } from "../store/Engine.ts"
import type { ClientLink, LinkEvent, SessionCommand } from "./ClientLink.ts"
import {
  type Claimed,
  type RemoteSessions,
  type SessionDeparture,
  type SessionState,
  takenOverElsewhere
} from "./RemoteSessions.ts"
import { type Services, zonedServices } from "./Services.ts"
import { Session, type SessionOwner } from "./Session.ts"
import { whenCommitted } from "../store/whenCommitted.ts"
import { decodeTaken, takenKind } from "./TakenNotes.ts"
import { userMark } from "./userMark.ts"

export type SessionsMessage =
  | {
    readonly _tag: "Open"
    readonly clientId: string
    readonly link: ClientLink
    readonly connect: Connect
    readonly expiryMillis: number
  }
  | { readonly _tag: "Claimed"; readonly clientId: string; readonly claimed: Claimed }
  /** Another node has claimed it. `end`: it only has to end here. */
  | {
    readonly _tag: "Yield"
    readonly clientId: string
    readonly end: boolean
    readonly reply: (departure: SessionDeparture | null) => void
  }
  /** Another node wants it for this user (userMark.ts). */
  | {
    readonly _tag: "Judge"
    readonly clientId: string
    readonly mark: string
    readonly reply: (may: boolean) => void
  }
  /** For the session of this client id, in its turn; undefined: there is none. */
  | { readonly _tag: "With"; readonly clientId: string; readonly run: (session: Session | undefined) => void }
  /** From another node, without a client that waits for it here. */
  | { readonly _tag: "Adopt"; readonly state: SessionState; readonly done: (group: number) => void }
  | { readonly _tag: "Stays"; readonly session: Session; readonly done: () => void }
  | { readonly _tag: "Ended"; readonly session: Session }
  | { readonly _tag: "End"; readonly clientId: string; readonly reasonCode: number; readonly reason: string }

const superseded: LinkEvent = { _tag: "Close", reasonCode: ReasonCode.SessionTakenOver, reason: takenOverElsewhere }

type Open = Extract<SessionsMessage, { readonly _tag: "Open" }>

const mailboxCapacity = 1_048_576

const anotherUsers: LinkEvent = {
  _tag: "Refused",
  reasonCode: ReasonCode.ClientIdentifierNotValid,
  reason: "the session of this client id is another user's (authentication.takeover)"
}

const isByUser = (link: ClientLink): boolean => link.services.settings.authentication.takeover === "same_user"

const userOf = (link: ClientLink): string | null => link.subject.userName ?? null

const mayTakeOver = ({ userName }: Session, link: ClientLink): boolean =>
  !isByUser(link) || userName === undefined || userName === userOf(link)

export class Sessions extends MailboxActor<SessionsMessage> implements SessionOwner {
  private readonly services: Services
  private readonly supervisor: Supervisor
  private serial = 0
  /** Whose CONNECT is being looked at; after a crash it is refused instead of left waiting. */
  private opening: ClientLink | null = null
  private readonly byClientId = new Map<string, Session>()
  /** Of restored sessions, one for all of a zone. */
  private readonly zones = new Map<string, Services>()
  /** Null: there are no other nodes. Set before the broker listens. */
  remote: RemoteSessions | null = null
  /** CONNECTs whose client id has been claimed and not granted yet: the one it was claimed for, and the last that came. */
  private readonly claiming = new Map<string, { readonly first: Open; last: Open }>()
  /** On their way to another node. */
  private readonly departing = new Set<Session>()

  /** `supervisor`: of the sessions, one child each. */
  constructor(services: Services, supervisor: Supervisor) {
    super("sessions", services.scheduler, mailboxCapacity)
    this.services = services
    this.supervisor = supervisor
  }

  get size(): number {
    return this.byClientId.size
  }

  /** On their way to other nodes, and not over yet. */
  get departingCount(): number {
    return this.departing.size
  }

  get(clientId: string): Session | undefined {
    return this.byClientId.get(clientId)
  }

  /** For the router's rebuild: who has which subscriptions. */
  *subscriptions(): Iterable<[Subscriber, Iterable<Subscription>]> {
    for (const session of this.byClientId.values()) {
      if (session.subscriptions !== null) yield [session, session.subscriptions.values()]
    }
    for (const session of this.departing) {
      if (session.subscriptions !== null) yield [session, session.subscriptions.values()]
    }
  }

  clientIds(): Iterable<string> {
    return this.byClientId.keys()
  }

  all(): Iterable<Session> {
    return this.byClientId.values()
  }

  /** Of clients that are connected, whose sessions outlive their connections. */
  keptOfClients(): ReadonlyArray<string> {
    const found: Array<string> = []
    for (const { clientId, connected, expiryMillis } of this.byClientId.values()) {
      if (connected && expiryMillis > 0) found.push(clientId)
    }
    return found
  }

  /** A CONNECT: it overtakes what is queued, as a take-over is about now. False: the mailbox is full. */
  request(message: Open): boolean {
    if (!this.cast(message)) return false
    this.wakeNext()
    return true
  }

  sessionEnded(session: Session): void {
    this.cast({ _tag: "Ended", session })
  }

  stays(session: Session, done: () => void): void {
    this.cast({ _tag: "Stays", session, done })
  }

  reopen(attach: Extract<SessionCommand, { readonly _tag: "Attach" }>, clientId: string): void {
    this.cast({ _tag: "Open", clientId, link: attach.link, connect: attach.connect, expiryMillis: attach.expiryMillis })
  }

  /** Its client is at another node. Null: there is nothing to move. `end`: it only has to end. */
  yieldTo(clientId: string, end: boolean, reply: (departure: SessionDeparture | null) => void): void {
    if (!this.cast({ _tag: "Yield", clientId, end, reply })) reply(null)
  }

  /** Whether another node may have it for this user (userMark.ts). Too busy to look: no. */
  judge(clientId: string, mark: string, reply: (may: boolean) => void): void {
    if (!this.cast({ _tag: "Judge", clientId, mark, reply })) reply(false)
  }

  /** For the session of this client id, in its turn; undefined: there is none. */
  with(clientId: string, run: (session: Session | undefined) => void): void {
    this.cast({ _tag: "With", clientId, run })
  }

  /** From another node, without a client that waits for it here. `done`: with the group that it is recorded in. */
  adopt(state: SessionState, done: (group: number) => void): void {
    this.cast({ _tag: "Adopt", state, done })
  }

  protected handle(message: SessionsMessage): void {
    switch (message._tag) {
      case "Open":
        this.opening = message.link
        if (this.remote !== null && !this.remote.holds(message.clientId)) this.claim(this.remote, message)
        else this.open(message)
        this.opening = null
        return
      case "Claimed":
        return this.claimed(message.clientId, message.claimed)
      case "Yield":
        return this.yieldUp(message.clientId, message.end, message.reply)
      case "Judge":
        return message.reply(this.isUsers(message.clientId, message.mark))
      case "With":
        return this.runWith(message.clientId, message.run)
      case "Adopt":
        return this.install(message.state, this.services, message.done)
      case "Stays":
        return this.stayed(message.session, message.done)
      case "Ended":
        if (this.departing.delete(message.session)) return
        if (this.byClientId.get(message.session.clientId) === message.session) {
          this.byClientId.delete(message.session.clientId)
          this.remote?.ended(message.session.clientId)
        }
        return
      case "End":
        this.byClientId.get(message.clientId)?.command(message)
        return
      default:
        return message satisfies never
    }
  }

  protected override restarted(): void {
    super.restarted()
    this.opening?.post({ _tag: "Refused", reasonCode: ReasonCode.ServerUnavailable, reason: "the registry crashed" })
    this.opening = null
  }

  /** True: it was answered. */
  private refused({ clientId, expiryMillis, link }: Open): boolean {
    const { counters, journal, log, settings } = this.services
    if (journal.failing !== null && expiryMillis > 0) {
      counters.sessions_refused_total++
      link.post({
        _tag: "Refused",
        reasonCode: ReasonCode.QuotaExceeded,
        reason: "the store takes no changes: no session can be kept"
      })
      return true
    }
    const present = this.byClientId.get(clientId)
    if (present !== undefined && !present.isFinished && !mayTakeOver(present, link)) {
      this.refuseStranger(link)
      return true
    }
    if (present !== undefined || this.byClientId.size < settings.session.maxSessions) return false
    counters.sessions_refused_total++
    log.warning("connection refused: too many sessions", { client_id: clientId, limit: "session.max_sessions" })
    link.post({ _tag: "Refused", reasonCode: ReasonCode.QuotaExceeded, reason: "too many sessions" })
    return true
  }

  private refuseStranger(link: ClientLink): void {
    const { counters } = this.services
    counters.sessions_refused_total++
    counters.takeovers_refused_total++
    link.post(anotherUsers)
  }

  /** `token`: of its claim; 0: there was none. */
  private open(message: Open, token = 0): void {
    if (this.refused(message)) return
    const { clientId, connect, expiryMillis, link } = message
    const { counters } = this.services
    const present = this.byClientId.get(clientId)
    let session = present?.isFinished === true ? undefined : present
    // [MQTT-3.1.4-3] [MQTT5-3.1.4-4] [MQTT-3.1.2-6] [MQTT5-3.1.2-4] a clean start ends what is there; so does a
    // session that was to end with its connection
    let group = 0
    const resume = session !== undefined && !connect.cleanStart && session.expiryMillis > 0
    if (session !== undefined && !resume) {
      session.command({
        _tag: "End",
        reasonCode: ReasonCode.SessionTakenOver,
        reason: "taken over by a new connection"
      })
      this.byClientId.delete(clientId)
      session = undefined
    }
    if (!resume && present !== undefined) group = present.forget()
    if (session === undefined) {
      // [MQTT-3.1.2-4] [MQTT5-3.1.2-6] [MQTT31-8] no session: a new one
      session = this.create(clientId, link.services)
      session.userName = link.subject.userName ?? null
      counters.sessions_created_total++
    } else {
      // [MQTT-3.1.2-4] [MQTT5-3.1.2-5]
      counters.sessions_resumed_total++
    }
    session.token = Math.max(session.token, token > 0 ? token : this.remote?.attached(clientId) ?? 0)
    // [MQTT-3.2.2-1] [MQTT-3.2.2-2] [MQTT-3.2.2-3] [MQTT5-3.2.2-2] [MQTT5-3.2.2-3] session present
    session.command({ _tag: "Attach", link, connect, expiryMillis, sessionPresent: resume, group })
  }

  // --- other nodes -------------------------------------------------------------------------------------------------

  private claim(remote: RemoteSessions, message: Open): void {
    const { clientId } = message
    const waiting = this.claiming.get(clientId)
    if (waiting !== undefined) {
      // Of two users the one who came first, of two that wait the later one is served.
      if (isByUser(message.link) && userOf(waiting.last.link) !== userOf(message.link)) {
        return this.refuseStranger(message.link)
      }
      waiting.last.link.post(superseded)
      waiting.last = message
      return
    }
    if (this.refused(message)) return
    this.claiming.set(clientId, { first: message, last: message })
    this.services.counters.sessions_claimed_total++
    // One that only has to end elsewhere comes here all the same where it matters whose it is.
    const byUser = isByUser(message.link)
    remote.claim(
      clientId,
      !message.connect.cleanStart || byUser,
      byUser ? userMark(userOf(message.link)) : null,
      (claimed) => this.cast({ _tag: "Claimed", clientId, claimed })
    )
  }

  private claimed(clientId: string, claimed: Claimed): void {
    const waiting = this.claiming.get(clientId)
    this.claiming.delete(clientId)
    const message = waiting?.last
    if (claimed._tag !== "Granted") {
      if (message === undefined) return
      // Whoever has come after the claim was made is claimed for anew.
      if (waiting?.first !== message && this.remote !== null) return this.claim(this.remote, message)
      return claimed._tag === "Refused" ? this.refuseStranger(message.link) : message.link.post(superseded)
    }
    if (claimed.state !== null) {
      this.install(
        claimed.state,
        message?.link.services ?? this.services,
        (group) => this.remote?.installed(clientId, claimed.token, group)
      )
    }
    if (message === undefined) return
    this.opening = message.link
    this.open(message, claimed.token)
    this.opening = null
    if (!this.byClientId.has(clientId)) this.remote?.ended(clientId)
  }

  /** Or nobody's: who waits here for a session that has not come yet is somebody. */
  private isUsers(clientId: string, mark: string): boolean {
    const session = this.byClientId.get(clientId)
    const waiting = this.claiming.get(clientId)?.last.link
    const there = session !== undefined && !session.isFinished
    const userName = there ? session.userName : waiting === undefined ? undefined : userOf(waiting)
    return userName === undefined || userMark(userName) === mark
  }

  private install(state: SessionState, services: Services, done: (group: number) => void): void {
    const { clientId } = state.row
    const present = this.byClientId.get(clientId)
    if (present === undefined || present.isFinished) {
      const session = this.create(clientId, services)
      session.token = this.remote?.tokenOf(clientId) ?? 0
      return session.install(state, done)
    }
    if (this.isAnothers(present, state)) return this.giveUp(present, state, done)
    present.command({ _tag: "Step", run: () => present.merge(state, done) })
  }

  private isAnothers({ userName }: Session, { row }: SessionState): boolean {
    return this.services.settings.authentication.takeover === "same_user" && row.userName !== undefined &&
      userName !== undefined && row.userName !== userName
  }

  /** Two users had a session of this client id while their nodes did not see each other: nobody gets what another one is owed. */
  private giveUp(present: Session, { deliveries, row }: SessionState, done: (group: number) => void): void {
    const { counters, log } = this.services
    counters.deliveries_dropped_denied_total += deliveries.length
    log.warning("session of another user given up: its client id has been taken meanwhile", () => ({
      client_id: row.clientId,
      user_name: row.userName ?? undefined,
      thenby: present.userName ?? undefined,
      deliveries: deliveries.length
    }))
    present.command({
      _tag: "Step",
      run: () => {
        present.keepOut()
        done(this.services.journal.barrier())
      }
    })
  }

  private yieldUp(clientId: string, end: boolean, reply: (departure: SessionDeparture | null) => void): void {
    const session = this.byClientId.get(clientId)
    if (session === undefined || session.isFinished) return reply(null)
    this.byClientId.delete(clientId)
    if (end) {
      session.command({ _tag: "End", reasonCode: ReasonCode.SessionTakenOver, reason: takenOverElsewhere })
      return reply(null)
    }
    this.departing.add(session)
    session.command({ _tag: "Depart", reply })
  }

  private runWith(clientId: string, run: (session: Session | undefined) => void): void {
    const session = this.byClientId.get(clientId)
    if (session === undefined || session.isFinished) return run(undefined)
    session.command({ _tag: "Step", run: () => run(session) })
  }

  /** It could not leave. Its client may have come back meanwhile: then that session gets what this one is owed. */
  private stayed(session: Session, done: () => void): void {
    if (!this.departing.delete(session) || session.isFinished) return
    const { clientId } = session
    if (!this.byClientId.has(clientId)) {
      this.byClientId.set(clientId, session)
      done()
    } else session.command({ _tag: "Depart", reply: (departure) => this.mergeAtHome(clientId, departure) })
  }

  /** It ends once the store has all of it with the other one. */
  private mergeAtHome(clientId: string, departure: SessionDeparture | null): void {
    departure?.read((page, more) => {
      const at = this.byClientId.get(clientId)
      if (at === undefined || at.isFinished) return departure.finish()
      const { head: { restored, taken }, session } = departure
      // It may have come back with what was taken of this one.
      const from = { node: this.services.settings.node.name, session }
      const state = { deliveries: page, from, restored, taken }
      const then = (group: number) =>
        whenCommitted(this.services.journal, group, () => {
          if (more) return this.mergeAtHome(clientId, departure)
          at.command({ _tag: "Step", run: () => at.release() })
          departure.finish((ended) =>
            whenCommitted(this.services.journal, ended, () => {
              at.command({ _tag: "Step", run: () => at.forgetTaken(from) })
            })
          )
        })
      at.command({ _tag: "Step", run: () => at.merge(state, then) })
    })
  }

  /** Before the broker listens: a session that the store has. Its deadlines run from `begin` on. */
  restore(stored: StoredSession, subscriptions: ReadonlyArray<Subscription>, committedAt: number): Session {
    // The later one has taken its place, when the broker was killed.
    this.byClientId.get(stored.row.clientId)?.command({
      _tag: "End",
      reasonCode: ReasonCode.SessionTakenOver,
      reason: ""
    })
    const session = this.create(stored.row.clientId, this.servicesOf(stored.row.zone ?? ""))
    session.restore(stored, subscriptions, committedAt)
    return session
  }

  /** Before the broker listens: what a session has taken of those of other nodes. */
  restoreTaken(number: string, value: Uint8Array): void {
    const { clientId, notes } = decodeTaken(value)
    const session = this.byClientId.get(clientId)
    if (String(session?.durable?.number) === number) session?.restoreTaken(notes)
    else this.services.journal.deleteRecordLazily(takenKind, number)
  }

  /** A zone that is gone from the settings: the node's own limits. */
  private servicesOf(zone: string): Services {
    if (zone === "") return this.services
    const known = this.zones.get(zone)
    if (known !== undefined) return known
    const services = zonedServices(this.services, this.services.settings, zone)
    this.zones.set(zone, services)
    return services
  }

  private create(clientId: string, services: Services): Session {
    const session = new Session(clientId, services, this)
    // A number: names are the clients' to choose, and one that has ended may still be on its way out.
    this.supervisor.startChild({ id: ++this.serial, kind: "worker", restart: "transient", start: session })
    this.byClientId.set(clientId, session)
    return session
  }
}
