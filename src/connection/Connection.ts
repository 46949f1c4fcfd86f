// One client socket: bytes in, packets checked and handed on, answers and deliveries out, keep alive. The platform pushes
// chunks and wakes it, its session posts events; everything it does happens in its own turn.
// Invariants: frames are handled in the order in which they came; nothing is handled before CONNECT is answered.
import { nobodyKnown, type Subject } from "../access/rules/Rule.ts"
import type { LimitsSettings } from "../config/Settings.ts"
import { decodeAcknowledgement } from "../mqtt/acknowledgement.ts"
import { decodeControl } from "../mqtt/decodeControl.ts"
import { type Connack, pingresp } from "../mqtt/encodeControl.ts"
import { FrameReader } from "../mqtt/FrameReader.ts"
import { type Connect, type ControlPacket, PacketType, type ProtocolVersion } from "../mqtt/Packet.ts"
import { ProtocolError } from "../mqtt/ProtocolError.ts"
import { ReasonCode } from "../mqtt/ReasonCode.ts"
import type { TcpSocket } from "../platform/Tcp.ts"
import type { ClientLink, LinkEvent, SessionHandle } from "../session/ClientLink.ts"
import type { Outlet } from "../session/Outlet.ts"
import { OutgoingAliases } from "../session/OutgoingAliases.ts"
import { outletFor, type Services } from "../session/Services.ts"
import type { Sessions } from "../session/Sessions.ts"
import { mountUnsubscribe } from "../session/mountpoint.ts"
import type { Verdict } from "../access/authentication/Authentication.ts"
import { admit, applicantOf } from "./admission.ts"
import { Arrival } from "./Arrival.ts"
import { ChunkMailbox } from "./ChunkMailbox.ts"
import { answerableVersion, fittingConnack, fittingDisconnect, refusalConnack, requestAnswer } from "./answers.ts"
import { connectionLog } from "./connectionLog.ts"
import type { ConnectionOwner } from "./ConnectionOwner.ts"
import { EnhancedAuth, type EnhancedStep, onlyAuth, withoutMethod } from "./EnhancedAuth.ts"
import { acceptance, idleMillisOf, judgeFirstByte, type Refusal, registryOverloaded } from "./handshake.ts"
import { Incoming } from "./Incoming.ts"
import { permitted } from "./permitted.ts"
import { endedFor, type Ending, endingOf, Phase, secondConnect, withoutDisconnect } from "./Phase.ts"
import { RuleAsking } from "./RuleAsking.ts"
import { TimedConnection } from "./TimedConnection.ts"

/** Packets handled in one turn of one connection, so that a busy client leaves others their turn. */
const framesPerTurn = 512
/** A client that does not take its last bytes is cut off after this time, ms. */
const lingerMillis = 5_000

const noSubject = nobodyKnown("")

/** Never pushed to: what an empty lane stands on. */
const noEvents: Array<LinkEvent> = []

const pingrespBuffer = Buffer.from(pingresp)

export class Connection extends TimedConnection implements ClientLink {
  version: ProtocolVersion = 4
  readonly outlet: Outlet
  accepting = false
  receiveMaximum = 65_535
  maximumPacketSize = 268_435_460
  aliases: OutgoingAliases | undefined = undefined
  clientId = ""
  mountpoint = ""
  subject: Subject = noSubject
  private readonly socket: TcpSocket
  private readonly sessions: Sessions
  private readonly reader: FrameReader
  private readonly chunks: ChunkMailbox
  /** Made by the first PUBLISH: most connections of a large broker only listen. */
  private incoming: Incoming | null = null
  /** Made by its first PUBLISH, or where it has to wait for its access rules. */
  private ruleAsking: RuleAsking | null = null
  /** Set when the door is closed to this one: answered at its CONNECT. */
  readonly refusal: Refusal | undefined
  private readonly owner: ConnectionOwner<Connection>
  private phase: Phase = Phase.AwaitingConnect
  private session: SessionHandle | null = null
  /** Until its CONNACK. */
  private arrival: Arrival | null = null
  /** Of a client that has named a method in CONNECT. */
  private enhanced: EnhancedAuth | null = null
  /** The session was to end with this connection (section 3.14.2.2.2). */
  private endsWithSession = false
  private ending: Ending = withoutDisconnect
  private socketGone = false
  private drained = false
  private pings = 0
  /** The turn's budget ended before the frames did. */
  private moreFrames = false
  private events: Array<LinkEvent> = noEvents

  constructor(
    socket: TcpSocket,
    services: Services,
    sessions: Sessions,
    refusal: Refusal | undefined,
    owner: ConnectionOwner<Connection>
  ) {
    const { connection } = services.settings
    super(services, owner.settings.connectTimeoutMillis || connection.connectTimeoutMillis)
    this.socket = socket
    this.sessions = sessions
    this.refusal = refusal
    this.owner = owner
    this.reader = new FrameReader(Math.min(connection.maxConnectSize, connection.maxPacketSize))
    this.chunks = new ChunkMailbox(socket, connection.mailboxBytes)
    this.outlet = outletFor(socket, services)
  }

  // --- the mailbox -------------------------------------------------------------------------------------------------

  /** Bytes of the client. A full mailbox stops the reading of the socket, which stops the client. */
  onChunk(chunk: Buffer): void {
    if (this.phase === Phase.Closed) return
    this.chunks.push(chunk)
    this.wake()
    this.lastReceivedAt = this.scheduler.now
  }

  onDrain(): void {
    this.drained = true
    this.wake()
  }

  onSocketClosed(): void {
    this.socketGone = true
    if (this.phase !== Phase.Closed) return this.wake()
    this.setTimer(undefined)
    this.owner.closed(this)
  }

  /** A reload has changed how fast it may publish. */
  limit(limits: LimitsSettings): void {
    this.incoming?.limit(limits)
  }

  onTimer(): void {
    if (this.phase === Phase.Closed) this.socket.destroy()
    else this.wake()
  }

  post(event: LinkEvent): void {
    if (this.phase === Phase.Closed) return this.decline(event)
    if (this.events === noEvents) this.events = [event]
    else this.events.push(event)
    this.wake()
  }

  // --- one turn ----------------------------------------------------------------------------------------------------

  protected receive(): void {
    if (this.phase === Phase.Closed) return
    if (this.events.length > 0) this.takeEvents()
    if (this.arrival !== null && this.arrival.isUnknown) this.awaitVerdict(this.arrival)
    for (; this.pings > 0; this.pings--) this.outlet.appendBytes(pingrespBuffer)
    if (this.drained) {
      this.drained = false
      this.outlet.drained()
      this.session?.wake()
    }
    // Who is not read is not silent.
    if (this.isHeld) this.lastReceivedAt = this.scheduler.now
    if (this.incoming?.release() === false) {
      return this.disconnect(ReasonCode.QuotaExceeded, "the store takes no changes")
    }
    try {
      this.ruleAsking?.goOn()
      this.takeChunks()
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      return this.onProtocolError(error)
    }
    // What the client sent before it went counts, a DISCONNECT above all.
    if (this.socketGone && !this.busy && !this.moreFrames) return this.finish()
    if (this.timer !== undefined && !this.timer.active) this.onDeadline()
  }

  /** Nothing is read on: an answer is awaited, or the connection is over. */
  private get busy(): boolean {
    const { phase } = this
    return phase !== Phase.Connected && phase !== Phase.AwaitingConnect && phase !== Phase.Authenticating
  }

  /** It is not read until the store has taken what it waits for, or as it publishes too fast. */
  private get isHeld(): boolean {
    return this.incoming?.isFull === true || this.session?.isBehind === true
  }

  // [MQTT-7.1.1-1] [MQTT5-4.2-1] the stream of bytes, in order and whole
  private takeChunks(): void {
    this.moreFrames = false
    let budget = framesPerTurn
    // [MQTT-4.6.0-2] [MQTT-4.6.0-3] one after the other, so their answers too; [MQTT-3.14.4-2] [MQTT-3.1.4-5] [MQTT5-3.1.4-6] none
    // after the end. A client that does not take its answers is not read either.
    while (!this.busy && (this.socketGone || (!this.outlet.congested && !this.isHeld))) {
      if (this.reader.next()) {
        this.services.counters.packetReceived(this.reader.header >> 4)
        this.onFrame()
        if (--budget > 0) continue
        this.moreFrames = true
        return this.wake()
      }
      const chunk = this.chunks.take()
      if (chunk === undefined) return this.chunks.workedOff()
      this.services.counters.bytes_received_total += chunk.length
      if (this.phase === Phase.AwaitingConnect && this.reader.pendingBytes === 0) judgeFirstByte(chunk)
      this.reader.push(chunk)
    }
  }

  private onFrame(): void {
    const type = this.reader.header >> 4
    // [MQTT5-3.1.2-30] [MQTT-7.0.0-2] a CONNECT is all it takes, and nothing else counts before it is accepted
    const session = this.session
    if (this.phase === Phase.Authenticating) return this.onControl(onlyAuth(decodeControl(this.reader, this.version)))
    if (this.phase === Phase.AwaitingConnect || session === null) {
      return this.onControl(decodeControl(this.reader, this.version))
    }
    switch (type) {
      case PacketType.Publish:
        return this.publishing(session).onPublish(this.reader)
      case PacketType.Puback:
      case PacketType.Pubrec:
      case PacketType.Pubcomp:
        // [MQTT5-3.3.4-10] [MQTT5-4.9.0-3] whatever is in flight
        return session.acknowledge(decodeAcknowledgement(this.reader, this.version) | type << 24)
      case PacketType.Pubrel:
        return this.publishing(session).onPubrel(decodeAcknowledgement(this.reader, this.version))
      default:
        return this.onControl(decodeControl(this.reader, this.version))
    }
  }

  private publishing(session: SessionHandle): Incoming {
    return this.incoming ??= new Incoming(this.services, session, this, this.owner.limits)
  }

  private onControl(packet: ControlPacket): void {
    switch (packet._tag) {
      case "Connect":
        return this.onConnect(packet)
      case "Subscribe": {
        const allowed = permitted(packet, this, this.incoming)
        if (allowed === undefined) return this.awaitAnswers()
        this.phase = Phase.Waiting
        return this.session?.command({ _tag: "Subscribe", link: this, packet: allowed })
      }
      case "Unsubscribe":
        this.phase = Phase.Waiting
        packet = mountUnsubscribe(this.services.settings, this.mountpoint, packet)
        return this.session?.command({ _tag: "Unsubscribe", link: this, packet })
      case "Pingreq":
        // [MQTT-3.12.4-1] [MQTT5-3.12.4-1] answered after what earlier packets have caused: sessions that they woke run first
        this.pings++
        return this.wake()
      case "Disconnect":
        this.ending = endingOf(this.services.settings, packet, this.endsWithSession)
        return this.finish()
      case "Auth":
        if (this.enhanced === null) throw withoutMethod()
        return this.follow(this.enhanced.onAuth(packet))
    }
  }

  get asking(): RuleAsking {
    return this.ruleAsking ??= new RuleAsking(this)
  }

  /** The frame that was read last is handled again when the access rules have answered; nothing is read on meanwhile. */
  awaitAnswers(): void {
    this.phase = Phase.Waiting
    this.asking.wait(() => {
      this.phase = Phase.Connected
      this.onFrame()
    })
  }

  // --- CONNECT and DISCONNECT --------------------------------------------------------------------------------------

  private onConnect(packet: Connect): void {
    if (this.phase !== Phase.AwaitingConnect) throw secondConnect()
    this.version = packet.protocolVersion
    this.maximumPacketSize = packet.maximumPacketSize
    const applicant = this.refusal ?? applicantOf(this.services, this.owner.settings, packet, this.socket)
    if ("reasonCode" in applicant) return this.refuse(applicant, packet.clientId, packet.username)
    this.clientId = applicant.credentials.clientId
    this.phase = Phase.Opening
    const arrival = this.arrival = new Arrival(applicant)
    this.enhanced = EnhancedAuth.of(this.services, applicant)
    if (this.enhanced !== null) return this.follow(this.enhanced.begin())
    const verdict = arrival.ask(this.services.authentication.chain, () => this.wake())
    if (verdict !== undefined) this.onVerdict(arrival, verdict)
  }

  /** What enhanced authentication says, at CONNECT and while it is connected. */
  private follow(step: EnhancedStep): void {
    if (step._tag === "Known") {
      this.phase = Phase.Opening
      if (this.arrival !== null) this.onVerdict(this.arrival, step.verdict)
    } else if (step._tag === "Send") {
      if (this.session === null) this.phase = Phase.Authenticating
      this.outlet.appendBytes(step.bytes)
      this.setTimer(this.dueAt)
    } else if (this.session === null) this.refuse(step, this.clientId)
    else this.disconnect(step.reasonCode, step.reason)
  }

  private awaitVerdict(arrival: Arrival): void {
    const verdict = arrival.takeVerdict(this.services.authentication.chain)
    if (verdict !== undefined) this.onVerdict(arrival, verdict)
    // Nobody is kept waiting for who has gone.
    else if (this.socketGone) this.finish()
  }

  /** Who it is, or that it has to go. */
  private onVerdict(arrival: Arrival, verdict: Verdict): void {
    const admission = admit(this.services, this.owner.settings, arrival.applicant, verdict)
    if ("reasonCode" in admission) return this.refuse(admission, this.clientId)
    const { connect, mountpoint, subject, terms } = arrival.admission = admission
    this.clientId = terms.clientId
    this.mountpoint = mountpoint
    this.subject = subject
    connectionLog.authenticated(this, subject.userName, verdict)
    this.receiveMaximum = connect.receiveMaximum
    this.aliases = OutgoingAliases.within(connect.topicAliasMaximum, this.services.settings.connection)
    const { clientId, expiryMillis } = terms
    const opened = this.sessions.request({ _tag: "Open", clientId, link: this, connect, expiryMillis })
    if (!opened) this.refuse(registryOverloaded, this.clientId)
  }

  private takeEvents(): void {
    const events = this.events
    this.events = noEvents
    for (const [index, event] of events.entries()) {
      switch (event._tag) {
        case "Attached":
          this.onAttached(event.session, event.sessionPresent)
          break
        case "Refused":
          this.refuse(event, this.clientId)
          break
        case "Subscribed":
        case "Unsubscribed":
          this.answer(requestAnswer(event, this.version))
          break
        case "Close":
          this.disconnect(event.reasonCode, event.reason)
          break
      }
      // It is over; who still wanted to attach must hear of it.
      if (this.phase === Phase.Closed) return events.slice(index + 1).forEach((late) => this.decline(late))
    }
  }

  /** SUBACK or UNSUBACK: reading goes on. One that is larger than the client takes is not sent [MQTT5-3.1.2-24]. */
  private answer(bytes: Uint8Array): void {
    if (bytes.length > this.maximumPacketSize) {
      return this.disconnect(ReasonCode.PacketTooLarge, "the answer is larger than the client takes")
    }
    this.outlet.appendBytes(bytes)
    this.phase = Phase.Connected
    this.lastReceivedAt = this.scheduler.now
  }

  private onAttached(session: SessionHandle, sessionPresent: boolean): void {
    const admission = this.arrival?.admission
    if (admission === undefined) return
    const { connect, terms } = admission
    this.session = session
    this.phase = Phase.Connected
    this.reader.maximumPacketSize = this.services.settings.connection.maxPacketSize
    // [MQTT-3.1.4-4] [MQTT5-3.1.4-5] [MQTT5-3.2.0-2] the one CONNACK of this connection
    if (!this.sendConnack(acceptance(this.services.settings, connect, terms, sessionPresent, this.enhanced))) {
      return this.finish()
    }
    this.owner.admitted(this)
    this.accepting = true
    session.wake()
    this.endsWithSession = terms.expiryMillis === 0
    this.endsAt = terms.endsAt
    this.arrival = null
    connectionLog.connected(this, sessionPresent, admission)
    this.idleMillis = idleMillisOf(this.services.settings, terms)
    this.setTimer(this.dueAt)
  }

  /** False: it is larger than the client takes and was not sent. */
  private sendConnack(connack: Connack): boolean {
    const bytes = fittingConnack(connack, this.maximumPacketSize)
    if (bytes !== undefined) this.outlet.appendBytes(bytes)
    return bytes !== undefined
  }

  /** CONNACK with the reason, and close [MQTT-3.2.2-5] [MQTT5-3.2.2-7]. */
  private refuse(refusal: Refusal, clientId: string, userName = this.arrival?.applicant.connect.username): void {
    connectionLog.refused(this, refusal, clientId, userName)
    this.sendConnack(refusalConnack(this.version, refusal, this.services.settings))
    this.finish()
  }

  private onProtocolError(error: ProtocolError): void {
    const { message: reason, reasonCode } = error
    connectionLog.protocolError(this, error)
    if (this.phase === Phase.Authenticating) return this.refuse({ reasonCode, reason }, this.clientId)
    if (this.phase !== Phase.AwaitingConnect) return this.disconnect(reasonCode, reason)
    // [MQTT-3.1.2-2] [MQTT-3.2.2-6] [MQTT5-3.1.2-2] [MQTT5-4.13.1-1] a CONNECT that says enough is told why; anything else is closed
    const version = answerableVersion(this.reader, error)
    if (version !== undefined) {
      this.version = version
      this.sendConnack(refusalConnack(version, { reasonCode, reason }))
    }
    this.finish()
  }

  /** MQTT 5 clients are told why, once CONNACK was sent [MQTT5-3.14.0-1], and without an expiry [MQTT5-3.14.2-2]. */
  private disconnect(reasonCode: number, reason: string): void {
    this.ending = endedFor(reasonCode)
    if (this.version === 5 && this.session !== null) {
      const bytes = fittingDisconnect(this.services.settings, { reasonCode, reason }, this.maximumPacketSize)
      if (bytes !== undefined) this.outlet.appendBytes(bytes)
    } else if (this.phase === Phase.Opening || this.phase === Phase.Authenticating) {
      // Superseded or too late before its session was there: none of these reasons is one of CONNACK's.
      this.sendConnack(refusalConnack(this.version, { reasonCode: ReasonCode.ServerUnavailable, reason }))
    }
    this.finish()
  }

  /**
   * What was said is written, then the socket is closed and the actor ends, so nothing follows a DISCONNECT or a CONNACK that refuses
   * [MQTT-4.8.0-1] [MQTT-4.8.0-2] [MQTT5-4.13.2-1] [MQTT5-3.14.4-1] [MQTT5-3.14.4-2].
   */
  private finish(): void {
    this.phase = Phase.Closed
    this.setTimer(undefined)
    if (!this.socketGone) {
      this.outlet.flush()
      this.chunks.discard()
      // Half closed: the client can still read why, and what it sends meanwhile is not answered by a reset that would eat the reason.
      this.socket.end()
      this.setTimer(this.scheduler.now + lingerMillis)
    }
    this.stop()
  }

  /** However it ended: the session is told, nothing is left behind. */
  protected override closed(): void {
    const crashed = this.phase !== Phase.Closed
    this.phase = Phase.Closed
    this.outlet.close()
    this.incoming?.close()
    if (crashed) {
      this.setTimer(undefined)
      this.socket.destroy()
    }
    this.arrival?.cancel()
    this.ruleAsking?.close()
    const { because, expiryMillis, publishWill } = this.ending
    connectionLog.closed(this, this.session !== null, crashed ? "internal_error" : because)
    this.session?.command({ _tag: "Detach", link: this, publishWill, expiryMillis })
    this.session = null
    for (const event of this.events) this.decline(event)
    this.events = noEvents
    if (this.socketGone) this.owner.closed(this)
  }

  /** The client went while its session was being opened: the session is told. */
  private decline(event: LinkEvent): void {
    if (event._tag === "Attached") event.session.command({ _tag: "Detach", link: this, ...withoutDisconnect })
  }

  // --- time --------------------------------------------------------------------------------------------------------

  private onDeadline(): void {
    if (this.isHeld || this.phase === Phase.Waiting) this.lastReceivedAt = this.scheduler.now
    const comingIn = this.phase !== Phase.Connected && this.phase !== Phase.Waiting
    if (this.scheduler.now < this.dueAt && !comingIn) return this.setTimer(this.dueAt)
    if (this.scheduler.now >= this.endsAt) {
      connectionLog.expired(this)
      return this.disconnect(ReasonCode.MaximumConnectTime, "the authentication has expired")
    }
    if (this.enhanced !== null && this.scheduler.now >= this.enhanced.dueAt) return this.follow(this.enhanced.late())
    connectionLog.timedOut(this, this.phase, this.idleMillis)
    const heldPlace = this.phase === Phase.AwaitingConnect
    this.disconnect(ReasonCode.KeepAliveTimeout, "")
    // It was told nothing that it would have to read first: its place is free with the next tick.
    if (heldPlace && this.timer !== undefined) this.setTimer(this.scheduler.now)
  }

  private get dueAt(): number {
    return Math.min(this.lastReceivedAt + this.idleMillis, this.endsAt, this.enhanced?.dueAt ?? Infinity)
  }

  /** What the socket could not take yet. */
  get bufferedBytes(): number {
    return this.socket.bufferedBytes
  }

  get connected(): boolean {
    return this.session !== null
  }

  get peer(): string {
    return `${this.socket.remoteAddress}:${this.socket.remotePort}`
  }
}
