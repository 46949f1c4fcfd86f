// From the settings to the links of the chain, in their order: one line a type of link. Invariant: either all links are there, or none
// and every fault is told; what they hold open is closed with the scope.
import { Data, Effect, type FileSystem, type Scope } from "effect"
import type { LinkType, Settings } from "../../config/Settings.ts"
import type { Counters } from "../../metrics/Counters.ts"
import type { EventLog } from "../../metrics/EventLog.ts"
import { anonymousLink, keptOutBy } from "./anonymousLink.ts"
import type { AuthLink, Credentials } from "./AuthLink.ts"

/** What a link may use of the node. */
export interface LinkParts {
  readonly log: EventLog
  readonly counters: Counters
  /** ms since 1970, by the node's clock. */
  readonly now: () => number
}

/** One line a fault: `auth_jwt.key_file: no such file`, `etc/passwd:7: no ":"`. */
export class LinksInvalid extends Data.TaggedError("LinksInvalid")<{ readonly faults: ReadonlyArray<string> }> {
  /** EX_CONFIG of sysexits.h. */
  readonly exitCode = 78
  override get message(): string {
    return this.faults.join("\n")
  }
}

export type MakeLink = (
  settings: Settings,
  parts: LinkParts
) => Effect.Effect<AuthLink, LinksInvalid, Scope.Scope | FileSystem.FileSystem>

const makers: { readonly [Type in LinkType]?: MakeLink } = {
  anonymous: ({ access, authentication }) =>
    Effect.succeed(anonymousLink(access.anonymous, authentication.links.length === 1))
}

export const makeLinks = Effect.fn("makeLinks")(function* (settings: Settings, parts: LinkParts) {
  const links: Array<AuthLink> = []
  const faults: Array<string> = []
  for (const type of settings.authentication.links) {
    const make = makers[type]
    if (make === undefined) faults.push(`authentication.links: "${type}" is not there yet`)
    else {
      yield* make(settings, parts).pipe(
        Effect.map((link) => links.push(link)),
        Effect.catch((invalid) => Effect.sync(() => faults.push(...invalid.faults)))
      )
    }
  }
  if (faults.length > 0) return yield* new LinksInvalid({ faults })
  return links
})

/** For the operator, when no link knew a client. */
export const nobodyKnows = ({ access, authentication: { links } }: Settings) => {
  const unknown = `no link of authentication.links (${links.join(", ")}) knows this client`
  const anonymous = links.includes("anonymous") ? `${unknown}, and ${keptOutBy(access.anonymous)}` : unknown
  return ({ userName }: Credentials): string => userName === undefined ? anonymous : unknown
}
