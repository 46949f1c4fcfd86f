// The registry: client id → session. Connections ask it to open one; it decides between a new one, the one that is there,
// and its end. Invariant: a client id names at most one session that is not over [MQTT-3.1.3-2] [MQTT5-3.1.3-2].
import type { Connect } from "../mqtt/Packet.ts"
import { ReasonCode } from "../mqtt/ReasonCode.ts"
import { MailboxActor } from "../otp/MailboxActor.ts"
import type { Supervisor } from "../otp/Supervisor.ts"
import type { Subscriber, Subscription } from "../router/Subscriber.ts"
import type { StoredSession } from "../store/Engine.ts"
import type { ClientLink, SessionCommand } from "./ClientLink.ts"
import type { Services } from "./Services.ts"
import { Session, type SessionOwner } from "./Session.ts"

export type SessionsMessage =
  | {
    readonly _tag: "Open"
    readonly clientId: string
    readonly link: ClientLink
    readonly connect: Connect
    readonly expiryMillis: number
  }
  | { readonly _tag: "Ended"; readonly session: Session }
  | { readonly _tag: "End"; readonly clientId: string; readonly reasonCode: number; readonly reason: string }

const mailboxCapacity = 1_048_576

export class Sessions extends MailboxActor<SessionsMessage> implements SessionOwner {
  private readonly services: Services
  private readonly supervisor: Supervisor
  private serial = 0
  /** Whose CONNECT is being looked at; after a crash it is refused instead of left waiting. */
  private opening: ClientLink | null = null
  private readonly byClientId = new Map<string, Session>()

  /** `supervisor`: of the sessions, one child each. */
  constructor(services: Services, supervisor: Supervisor) {
    super("sessions", services.scheduler, mailboxCapacity)
    this.services = services
    this.supervisor = supervisor
  }

  get size(): number {
    return this.byClientId.size
  }

  get(clientId: string): Session | undefined {
    return this.byClientId.get(clientId)
  }

  /** For the router's rebuild: who has which subscriptions. */
  *subscriptions(): Iterable<[Subscriber, Iterable<Subscription>]> {
    for (const session of this.byClientId.values()) {
      if (session.subscriptions !== null) yield [session, session.subscriptions.values()]
    }
  }

  /** A CONNECT: it overtakes what is queued, as a take-over is about now. False: the mailbox is full. */
  request(message: Extract<SessionsMessage, { readonly _tag: "Open" }>): boolean {
    if (!this.cast(message)) return false
    this.wakeNext()
    return true
  }

  sessionEnded(session: Session): void {
    this.cast({ _tag: "Ended", session })
  }

  reopen(attach: Extract<SessionCommand, { readonly _tag: "Attach" }>, clientId: string): void {
    this.cast({ _tag: "Open", clientId, link: attach.link, connect: attach.connect, expiryMillis: attach.expiryMillis })
  }

  protected handle(message: SessionsMessage): void {
    switch (message._tag) {
      case "Open":
        this.opening = message.link
        this.open(message.clientId, message.link, message.connect, message.expiryMillis)
        this.opening = null
        return
      case "Ended":
        if (this.byClientId.get(message.session.clientId) === message.session) {
          this.byClientId.delete(message.session.clientId)
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

  private open(clientId: string, link: ClientLink, connect: Connect, expiryMillis: number): void {
    const { counters, journal, log, settings } = this.services
    if (journal.failing !== null && expiryMillis > 0) {
      counters.sessions_refused_total++
      return link.post({
        _tag: "Refused",
        reasonCode: ReasonCode.QuotaExceeded,
        reason: "the store takes no changes: no session can be kept"
      })
    }
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
      if (this.byClientId.size >= settings.session.maxSessions) {
        counters.sessions_refused_total++
        log.warning("connection refused: too many sessions", { client_id: clientId, limit: "session.max_sessions" })
        return link.post({ _tag: "Refused", reasonCode: ReasonCode.QuotaExceeded, reason: "too many sessions" })
      }
      // [MQTT-3.1.2-4] [MQTT5-3.1.2-6] [MQTT31-8] no session: a new one
      session = this.create(clientId, link.services)
      counters.sessions_created_total++
    } else {
      // [MQTT-3.1.2-4] [MQTT5-3.1.2-5]
      counters.sessions_resumed_total++
    }
    // [MQTT-3.2.2-1] [MQTT-3.2.2-2] [MQTT-3.2.2-3] [MQTT5-3.2.2-2] [MQTT5-3.2.2-3] session present
    session.command({ _tag: "Attach", link, connect, expiryMillis, sessionPresent: resume, group })
  }

  /** Before the broker listens: a session that the store has. Its deadlines run from `begin` on. */
  restore(stored: StoredSession, subscriptions: ReadonlyArray<Subscription>, committedAt: number): Session {
    const session = this.create(stored.row.clientId, this.services)
    session.restore(stored, subscriptions, committedAt)
    return session
  }

  private create(clientId: string, services: Services): Session {
    const session = new Session(clientId, services, this)
    // A number: names are the clients' to choose, and one that has ended may still be on its way out.
    this.supervisor.startChild({ id: ++this.serial, kind: "worker", restart: "transient", start: session })
    this.byClientId.set(clientId, session)
    return session
  }
}
