// The link "anonymous": lets in who names nobody, from where `access.anonymous` says. Invariant: a user name that other links are there to
// check is not let in here; alone, this link takes names as they come.
import type { AnonymousAccess } from "../../config/Settings.ts"
import { ReasonCode } from "../../mqtt/ReasonCode.ts"
import { isLoopback } from "../Access.ts"
import { allow, type AuthLink, type Deny, ignore } from "./AuthLink.ts"

/** `alone`: no other link is in the chain. */
export const anonymousLink = (anonymous: AnonymousAccess, alone: boolean): AuthLink => {
  const keptOut: Deny = {
    _tag: "Deny",
    reasonCode: ReasonCode.NotAuthorized,
    reason: keptOutBy(anonymous)
  }
  const lets = (address: string): boolean =>
    anonymous === "anywhere" || (anonymous === "loopback" && isLoopback(address))
  return {
    name: "anonymous",
    cacheable: false,
    check: ({ address, userName }) => {
      if (userName !== undefined && !alone) return ignore
      if (lets(address)) return allow
      return alone ? keptOut : ignore
    },
    stillAllows: ({ address, userName }) => (userName === undefined || alone) && lets(address)
  }
}

export const keptOutBy = (anonymous: AnonymousAccess): string =>
  `access.anonymous = "${anonymous}" keeps this address out`
