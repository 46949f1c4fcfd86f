// Who may come in. One question, asked once per CONNECT, answered at once. Sources of users and rules come here later;
// until then there is the setting for anonymous clients. Invariant: what is not allowed is denied, with the setting that says so.
import type { AnonymousAccess } from "../config/Settings.ts"
import { ReasonCode } from "../mqtt/ReasonCode.ts"

export interface Allowed {
  readonly allowed: true
}
export interface Denied {
  readonly allowed: false
  readonly reasonCode: number
  /** For the operator's log: names the setting that decided. */
  readonly reason: string
}

const allowed: Allowed = { allowed: true }

/** `remoteAddress` as the socket gives it, IPv4 or IPv6. */
export const authenticate = (anonymous: AnonymousAccess, remoteAddress: string): Allowed | Denied => {
  if (anonymous === "anywhere" || (anonymous === "loopback" && isLoopback(remoteAddress))) return allowed
  return {
    allowed: false,
    reasonCode: ReasonCode.NotAuthorized,
    reason: `access.anonymous = "${anonymous}" keeps this address out`
  }
}

export const isLoopback = (address: string): boolean =>
  address === "::1" || address.startsWith("127.") || address.startsWith("::ffff:127.")
