// Enhanced authentication of MQTT 5 (section 4.12) of one connection: the exchange at CONNECT, and those by which the client proves
// anew who it is while it is connected. Owned by its Connection, which sends what this says. Invariants: one exchange at a time, all with
// the method of CONNECT; who proves to be somebody else than it came in as does not stay.
import { randomUUID } from "node:crypto"
import type { Verdict } from "../access/authentication/Authentication.ts"
import type { ScramExchange } from "../access/scram/ScramExchange.ts"
import { encodeAuth } from "../mqtt/encodeControl.ts"
import type { Auth, ControlPacket } from "../mqtt/Packet.ts"
import { ProtocolError } from "../mqtt/ProtocolError.ts"
import { ReasonCode } from "../mqtt/ReasonCode.ts"
import type { Services } from "../session/Services.ts"
import type { Applicant } from "./admission.ts"
import type { Refusal } from "./handshake.ts"

export type EnhancedStep =
  /** An AUTH. */
  | { readonly _tag: "Send"; readonly bytes: Uint8Array }
  /** The answer to CONNECT. */
  | { readonly _tag: "Known"; readonly verdict: Verdict }
  | Refusal & { readonly _tag: "Refused" }

/** What a client is told, whatever it was: the log says more. */
const failed: EnhancedStep = { _tag: "Refused", reasonCode: ReasonCode.NotAuthorized, reason: "not authenticated" }

export class EnhancedAuth {
  readonly method: string
  /** What the server has to say at the end of the exchange: goes into CONNACK [MQTT5-4.12.0-5]. */
  lastData: Uint8Array | undefined
  /** ms; a re-authentication that has begun has to be over then. */
  dueAt = Infinity
  private readonly services: Services
  private applicant: Applicant
  private exchange: ScramExchange | undefined
  /** Who it came in as; undefined: CONNECT is not answered. */
  private name: string | undefined

  constructor(method: string, services: Services, applicant: Applicant) {
    this.method = method
    this.services = services
    this.applicant = applicant
  }

  /** Null: CONNECT asks for none [MQTT5-4.12.0-6]. */
  static of(services: Services, applicant: Applicant): EnhancedAuth | null {
    const { authenticationMethod } = applicant.connect
    return authenticationMethod === undefined ? null : new EnhancedAuth(authenticationMethod, services, applicant)
  }

  /** With the data of CONNECT. */
  begin(): EnhancedStep {
    const paused = this.services.authentication.chain.pauseOf(this.applicant.credentials)
    if (paused !== undefined) {
      return { _tag: "Refused", reasonCode: paused.reasonCode, reason: paused.reason, told: "Server Busy" }
    }
    this.exchange = this.services.scram.begin(this.method)
    if (this.exchange !== undefined) return this.take(this.applicant.connect.authenticationData)
    const reason = `authentication method ${this.method} is not offered (auth_scram.mechanisms)`
    // [MQTT5-4.12.0-1]
    const told = "Bad authentication method"
    return { _tag: "Refused", reasonCode: ReasonCode.BadAuthenticationMethod, reason, told }
  }

  onAuth({ authenticationData, authenticationMethod, reasonCode }: Auth): EnhancedStep {
    // [MQTT5-4.12.0-5] [MQTT5-4.12.1-1] the method of CONNECT, always
    if (authenticationMethod !== this.method) {
      throw protocolError("MQTT5-4.12.0-5", "AUTH with another method than CONNECT's")
    }
    if (this.exchange !== undefined) {
      // [MQTT5-4.12.0-3]
      if (reasonCode === ReasonCode.ContinueAuthentication) return this.take(authenticationData)
      throw protocolError("MQTT5-4.12.0-3", "an AUTH that begins anew within an exchange")
    }
    if (reasonCode !== ReasonCode.ReAuthenticate) {
      throw protocolError("MQTT5-4.12.1-1", "an AUTH that continues what has not begun")
    }
    this.exchange = this.services.scram.begin(this.method)
    this.dueAt = this.services.scheduler.now + this.services.settings.authentication.timeoutMillis
    return this.take(authenticationData)
  }

  /** The client has begun to prove anew who it is, and has not gone on. */
  late(): EnhancedStep {
    return this.fail(this.name, "re-authentication not over within authentication.timeout")
  }

  private take(data: Uint8Array | undefined): EnhancedStep {
    const step = this.exchange?.take(data)
    if (step === undefined) return failed
    // [MQTT5-4.12.0-2] AUTH 0x18 as long as there is more to say
    if (step._tag === "Challenge") return this.send(ReasonCode.ContinueAuthentication, step.data)
    this.exchange = undefined
    this.dueAt = Infinity
    const fault = step._tag === "Failure" ? step.reason : this.faultOf(step.userName)
    if (step._tag === "Failure" || fault !== undefined) return this.fail(step.userName, fault)
    const { counters, scram } = this.services
    counters.authentications_allowed_total++
    if (this.name !== undefined) return this.send(ReasonCode.Success, step.data)
    this.name = step.userName
    this.lastData = step.data
    this.applicant = withoutContent(this.applicant)
    const userName = this.isByClientId ? undefined : step.userName
    const superuser = scram.isSuperuser(step.userName)
    return { _tag: "Known", verdict: { _tag: "Allow", superuser, userName, by: this.method } }
  }

  private get isByClientId(): boolean {
    return this.services.settings.auth_users.key === "client_id"
  }

  /** The proof was right: whether it is a proof of who this client says it is. */
  private faultOf(name: string): string | undefined {
    const { connect: { username }, credentials: { clientId } } = this.applicant
    // [MQTT5-4.12.1-2] nobody becomes somebody else
    if (this.name !== undefined) return name === this.name ? undefined : "another name than at CONNECT"
    if (this.isByClientId) return name === clientId ? undefined : "another name than the client id"
    return username === undefined || name === username ? undefined : "another name than the user name of CONNECT"
  }

  /** [MQTT5-4.12.0-4] [MQTT5-4.12.1-2] */
  private fail(userName: string | undefined, reason: string | undefined): EnhancedStep {
    const { counters, log } = this.services
    const { address, clientId } = this.applicant.credentials
    counters.authentications_denied_total++
    // No two exchanges are the same: each counts.
    this.services.authentication.chain.guessed(this.applicant.credentials, randomUUID())
    log.warning("enhanced authentication failed", () => ({
      client_id: clientId,
      user_name: userName,
      address,
      method: this.method,
      reason
    }))
    return failed
  }

  private send(reasonCode: number, authenticationData: Uint8Array): EnhancedStep {
    // [MQTT5-4.12.0-5]
    const bytes = encodeAuth(reasonCode, { authenticationMethod: this.method, authenticationData })
    if (bytes.length <= this.applicant.connect.maximumPacketSize) return { _tag: "Send", bytes }
    // [MQTT5-3.1.2-24]
    return { _tag: "Refused", reasonCode: ReasonCode.PacketTooLarge, reason: "AUTH is larger than the client takes" }
  }
}

/** What later exchanges need of it: no will and no password are held as long as the connection lives. */
const withoutContent = ({ connect, credentials }: Applicant): Applicant => ({
  connect: { ...connect, will: undefined, password: undefined, authenticationData: undefined, userProperties: [] },
  credentials: { ...credentials, password: undefined }
})

/** [MQTT5-3.1.2-30] before CONNACK AUTH and DISCONNECT alone. */
export const onlyAuth = (packet: ControlPacket): ControlPacket => {
  if (packet._tag === "Auth" || packet._tag === "Disconnect") return packet
  throw protocolError("MQTT5-3.1.2-30", `${packet._tag} while it is authenticated`)
}

/** [MQTT5-4.12.0-7] */
export const withoutMethod = (): ProtocolError =>
  protocolError("MQTT5-4.12.0-7", "AUTH without an authentication method in CONNECT")

const protocolError = (clause: string, message: string): ProtocolError =>
  new ProtocolError(ReasonCode.ProtocolError, clause, message)
