// From `[auth_http]` to what its link and its rule source have in common: the service and the headers that go with each request. Each of the two
// has a back end of its own, so that one that is slow keeps the other from nothing. Invariant: a header's value reaches no log and no fault.
import { Effect, Redacted } from "effect"
import type { AuthHttpSettings } from "../../config/Settings.ts"
import type { Counters } from "../../metrics/Counters.ts"
import type { EventLog } from "../../metrics/EventLog.ts"
import { readText } from "../readText.ts"
import { HttpBackend } from "./HttpBackend.ts"

interface Parts {
  readonly log: EventLog
  readonly counters: Counters
}

export const headersOf = ({ headers }: AuthHttpSettings): ReadonlyArray<string> =>
  headers.map((one) => Redacted.value(one))

export const httpBackend = Effect.fnUntraced(function* (settings: AuthHttpSettings, { counters, log }: Parts) {
  return yield* HttpBackend.make({
    name: "auth_http",
    ca: yield* readText("auth_http.ca", settings.ca),
    timeoutMillis: settings.timeoutMillis,
    connections: settings.poolSize,
    waiting: settings.maxWaiting,
    maxAnswer: settings.maxAnswerBytes,
    counters,
    breaker: {
      failures: settings.breakerFailures,
      restMillis: settings.breakerRestMillis,
      onOpen: (reason) => log.error("auth_http does not answer: not asked for a while", { reason }),
      onClose: () => log.info("auth_http answers again", {})
    }
  })
})
