// How a link is made from the settings, and what it may use: the file of each type of link has one MakeLink, makeLinks.ts lists them.
// Invariant: a link is made whole or not at all; every fault is told, in one line.
import { Data, type Effect, type FileSystem, type Scope } from "effect"
import type { Settings } from "../../config/Settings.ts"
import type { Counters } from "../../metrics/Counters.ts"
import type { EventLog } from "../../metrics/EventLog.ts"
import type { UserDatabase } from "../users/UserDatabase.ts"
import type { AuthLink } from "./AuthLink.ts"
import type { PasswordChecks } from "./passwords/PasswordChecks.ts"

/** What a link may use of the node. */
export interface LinkParts {
  readonly log: EventLog
  readonly counters: Counters
  /** ms since 1970, by the node's clock. */
  readonly now: () => number
  /** Those that the node keeps itself. */
  readonly users: Pick<UserDatabase, "find">
  /** Where whatever burns CPU has to go through. */
  readonly passwords: PasswordChecks
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
