// The link "client_id_file": the original's list of client ids that may come in, each from its addresses. Invariant: a client id that is not
// there, or comes from elsewhere, is not let in by this link.
import { Effect } from "effect"
import type { AuthClientIdFileSettings } from "../../config/Settings.ts"
import { ReasonCode } from "../../mqtt/ReasonCode.ts"
import { allow, type AuthLink, type Deny, ignore } from "./AuthLink.ts"
import { clientIdsParser, type ParsedClientIds } from "./parseClientIds.ts"
import { readLinkFile } from "./readLinkFile.ts"

const denied = (reason: string): Deny => ({ _tag: "Deny", reasonCode: ReasonCode.NotAuthorized, reason })

export const clientIdFileLink = (
  name: string,
  clients: ParsedClientIds["clients"],
  unknown: AuthClientIdFileSettings["unknown"]
): AuthLink => {
  const elsewhere = denied("this client id may not come from this address")
  const notThere = denied("the client id is not in the file")
  /** Undefined: it is not there. */
  const lets = (clientId: string, address: string): boolean | undefined => {
    const ranges = clients.get(clientId)
    return ranges === undefined ? undefined : ranges.length === 0 || ranges.some((range) => range.contains(address))
  }
  return {
    name,
    cacheable: false,
    check: ({ address, clientId }) => {
      const answer = lets(clientId, address)
      if (answer === undefined) return unknown === "deny" ? notThere : ignore
      return answer ? allow : elsewhere
    },
    stillAllows: ({ address, clientId }) => lets(clientId, address) === true
  }
}

export const makeClientIdFileLink = Effect.fnUntraced(function* ({ path, unknown }: AuthClientIdFileSettings) {
  const { clients } = yield* readLinkFile("auth_client_id_file.path", path, clientIdsParser())
  return clientIdFileLink(`client_id_file ${path}`, clients, unknown)
})
