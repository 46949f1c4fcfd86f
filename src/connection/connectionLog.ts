// What the operator hears of one connection, and what is counted with it. Plain functions; names and addresses are put together only when a
// line is written, for in a flood most are only counted. Invariant: never a password, nor anything else that would let somebody in.
import type { Verdict } from "../access/authentication/Authentication.ts"
import type { ProtocolVersion } from "../mqtt/Packet.ts"
import type { ProtocolError } from "../mqtt/ProtocolError.ts"
import type { Subject } from "../access/rules/Rule.ts"
import type { PresentClient } from "../session/Presence.ts"
import type { Services } from "../session/Services.ts"
import type { Admission } from "./admission.ts"
import type { Refusal } from "./handshake.ts"
import { Phase } from "./Phase.ts"

interface Logged {
  readonly services: Services
  readonly clientId: string
  readonly version: ProtocolVersion
  readonly peer: string
  readonly subject: Subject
  /** It had its CONNACK. */
  readonly accepting: boolean
}

/** `userName`: as it said, whoever it is. */
const refused = (
  link: Logged,
  { reason, reasonCode }: Refusal,
  clientId: string,
  userName: string | undefined
): void => {
  const { counters, log } = link.services
  counters.connections_refused_total++
  log.warning("connection refused", () => ({
    client_id: clientId,
    user_name: shownName(userName),
    peer: link.peer,
    reason_code: reasonCode,
    reason
  }))
}

/** Whoever hands over a token as a user name has it in no log, good or not. */
const shownName = (userName: string | undefined): string | undefined =>
  userName !== undefined && /^ey[\w-]*\.[\w-]*\.[\w-]*$/.test(userName) ? "(a token)" : userName

const authenticated = (link: Logged, userName: string | undefined, verdict: Verdict): void => {
  if (verdict._tag !== "Allow") return
  const { by, superuser } = verdict
  link.services.log.debug("client authenticated", () => ({
    client_id: link.clientId,
    user_name: userName,
    peer: link.peer,
    by,
    superuser: superuser ? true : undefined
  }))
}

const connected = (link: Logged, sessionPresent: boolean, { connect, terms }: Admission): void => {
  const { counters, log, presence } = link.services
  counters.clients_connected_total++
  log.debug("client connected", () => {
    const { clientId, peer, version } = link
    return { client_id: clientId, peer, version, session_present: sessionPresent }
  })
  if (presence === null || !presence.isWanted) return
  const { expiryMillis, keepAliveSeconds } = terms
  presence.connected(presentClient(link), { cleanStart: connect.cleanStart, keepAliveSeconds, expiryMillis })
}

const presentClient = ({ clientId, peer, subject, version }: Logged): PresentClient => ({
  clientId,
  userName: shownName(subject.userName),
  peer,
  version
})

const protocolError = (link: Logged, { clause, message, reasonCode }: ProtocolError): void => {
  const { counters, log } = link.services
  counters.protocol_errors_total++
  log.warning("protocol error", () => {
    const { clientId, peer } = link
    return { client_id: clientId, peer, reason_code: reasonCode, clause, reason: message }
  })
}

const timedOut = (link: Logged, phase: Phase, idleMillis: number): void => {
  const what = phase === Phase.AwaitingConnect
    ? "no CONNECT in time"
    : phase === Phase.Opening
    ? "CONNECT not answered in time"
    : "keep alive timeout"
  const { counters, log } = link.services
  counters.connections_timed_out_total++
  log.info(what, () => ({ client_id: link.clientId, peer: link.peer, seconds: idleMillis / 1000 }))
}

/** Who let it in said until when. */
const expired = (link: Logged): void =>
  link.services.log.info("authentication expired", () => ({ client_id: link.clientId, peer: link.peer }))

/** `wasIn`: it had its CONNACK. */
const closed = (link: Logged, wasIn: boolean, because: string): void => {
  const { bans, counters, presence } = link.services
  counters.connections_closed_total++
  if (wasIn) bans.disconnected(link.clientId)
  if (!link.accepting) return
  counters.clients_disconnected_total++
  if (presence?.isWanted === true) presence.disconnected(presentClient(link), because)
}

export const connectionLog = { closed, refused, authenticated, connected, protocolError, timedOut, expired } as const
