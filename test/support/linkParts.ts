// What a link of the authentication chain is given, for tests of links: counters and a log that nobody reads unless asked for.
import type { LinkParts } from "../../src/access/authentication/MakeLink.ts"
import { PasswordChecks } from "../../src/access/authentication/passwords/PasswordChecks.ts"
import { defaultSettings } from "../../src/config/Settings.ts"
import { Counters } from "../../src/metrics/Counters.ts"
import { EventLog } from "../../src/metrics/EventLog.ts"

export const linkParts = (change: Partial<LinkParts> = {}): LinkParts => {
  const counters = change.counters ?? new Counters()
  return {
    counters,
    log: new EventLog(() => {}, () => 0, 1),
    now: () => 0,
    users: { find: () => undefined },
    passwords: new PasswordChecks(defaultSettings.authentication, counters),
    ...change
  }
}
